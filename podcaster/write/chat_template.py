"""Render a model's own chat template, which is a program from outside, in a sandbox."""

import json
from collections.abc import Iterator
from typing import Any

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from podcaster.errors import EngineError

LARGEST_TEMPLATE_CHARACTERS = 400_000
LARGEST_RENDERING_CHARACTERS = 400_000
MOST_LOOP_STEPS = 20_000

_SYSTEM_MARK = "PODCASTERSYSTEMTEXT"
_REQUEST_MARK = "PODCASTERREQUESTTEXT"


class _Refusal(Exception):
    """The template itself refused the messages."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """A sandbox in which no product can make a giant."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        if operator == "**" or not all(isinstance(side, int | float) for side in (left, right)):
            raise _Refusal(f"the operator {operator} is not allowed on these values")
        return left * right


class ChatTemplate:
    """A model's chat template, with the texts of its first and last token."""

    def __init__(self, source: str, *, bos: str, eos: str) -> None:
        if len(source) > LARGEST_TEMPLATE_CHARACTERS:
            raise EngineError(
                f"The model's chat template has {len(source)} characters, expected at most "
                f"{LARGEST_TEMPLATE_CHARACTERS}."
            )
        environment = _Sandbox(
            trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
        environment.globals["raise_exception"] = _refuse
        # a date would make every day's script another one
        environment.globals["strftime_now"] = lambda _: "2025-01-01"
        self._special = {"bos_token": bos, "eos_token": eos}
        try:
            self._template = environment.from_string(source)
        except (jinja2.TemplateError, RecursionError, ValueError) as error:
            raise _broken(error) from error

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
                raise _Refusal("it leaves the system's text out")
        except _Refusal:
            contents = {_REQUEST_MARK: f"{system}\n\n{request}"}
            try:
                text = self._render([{"role": "user", "content": _REQUEST_MARK}])
            except _Refusal as error:
                raise _broken(error) from error
        if _REQUEST_MARK not in text:
            raise EngineError(
                "The model's chat template leaves the request out.",
                next_step="Choose another model: `podcaster setup` lists them.",
            )
        return list(_split(text, contents))

    def _render(self, messages: list[dict[str, str]]) -> str:
        steps = 0

        def bounded_range(*bounds: int) -> range:
            nonlocal steps
            span = range(*bounds)
            steps += len(span)
            if steps > MOST_LOOP_STEPS:
                raise _Refusal("it loops too long")
            return span

        text = ""
        try:
            for piece in self._template.generate(
                messages=messages,
                add_generation_prompt=True,
                enable_thinking=False,
                tools=None,
                documents=None,
                range=bounded_range,
                **self._special,
            ):
                text += piece
                if len(text) > LARGEST_RENDERING_CHARACTERS:
                    raise _Refusal("it writes without an end")
        except _Refusal:
            raise
        except Exception as error:
            raise _broken(error) from error
        return text


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


def _refuse(message: str = "") -> None:
    raise _Refusal(message)


def _broken(error: BaseException) -> EngineError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return EngineError(
        f"The model's chat template cannot be used: {reason}.",
        next_step="Choose another model: `podcaster setup` lists them.",
    )
