"""Spell a request with a model's own chat template, its texts told from the template's."""

from collections.abc import Iterator

from podcaster.chat_template import Messages, Refused, SandboxedTemplate, explain_broken
from podcaster.errors import EngineError

LARGEST_RENDERING_CHARACTERS = 400_000
MOST_LOOP_STEPS = 20_000

_SYSTEM_MARK = "PODCASTERSYSTEMTEXT"
_REQUEST_MARK = "PODCASTERREQUESTTEXT"


class ChatTemplate:
    """A model's chat template, with the texts of its first and last token.

    Raises EngineError where the template cannot be read.
    """

    def __init__(self, source: str, *, bos: str, eos: str) -> None:
        self._template = SandboxedTemplate(source, bos=bos, eos=eos)

    def render(self, system: str, request: str) -> list[tuple[str, bool]]:
        """Spell a request up to where the answer begins: pieces, and whether each is template.

        Only template pieces may be read as special tokens. A template without a system role gets
        both texts as one request. Raises EngineError where the template fails.
        """
        contents = {_SYSTEM_MARK: system, _REQUEST_MARK: request}
        try:
            text = self._render(
                [
                    {"role": "system", "content": _SYSTEM_MARK},
                    {"role": "user", "content": _REQUEST_MARK},
                ]
            )
            if _SYSTEM_MARK not in text:
                raise Refused("it leaves the system's text out")
        except Refused:
            contents = {_REQUEST_MARK: f"{system}\n\n{request}"}
            try:
                text = self._render([{"role": "user", "content": _REQUEST_MARK}])
            except Refused as error:
                raise explain_broken(error) from error
        if _REQUEST_MARK not in text:
            raise EngineError(
                "The model's chat template leaves the request out.",
                next_step="Choose another model: `podcaster setup` lists them.",
            )
        return list(_split(text, contents))

    def _render(self, messages: Messages) -> str:
        return self._template.render(
            messages,
            most_characters=LARGEST_RENDERING_CHARACTERS,
            most_loop_steps=MOST_LOOP_STEPS,
            add_generation_prompt=True,
            enable_thinking=False,
        )


def _split(text: str, contents: dict[str, str]) -> Iterator[tuple[str, bool]]:
    rest = text
    for mark, content in contents.items():
        before, found, after = rest.partition(mark)
        if not found:
            continue
        if before:
            yield before, True
        yield content, False
        rest = after
    if rest:
        yield rest, True
