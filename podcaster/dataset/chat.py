"""Spell a whole conversation with a model's chat template, a program from outside, in a sandbox."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from podcaster.errors import EngineError

LARGEST_TEMPLATE_CHARACTERS = 400_000
MOST_LOOP_STEPS = 1_000_000
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
)

Messages = Sequence[Mapping[str, str]]


class ChatTemplate:
    """A model's chat template, with the texts of its first and last token.

    Raises EngineError where the template cannot be read.
    """

    def __init__(self, source: str = CHATML, *, bos: str = "", eos: str = "") -> None:
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
        # a date would make every day's counts others
        environment.globals["strftime_now"] = lambda _: "2025-01-01"
        self._special = {"bos_token": bos, "eos_token": eos}
        try:
            self._template = environment.from_string(source)
        except (jinja2.TemplateError, RecursionError, ValueError) as error:
            raise _broken(error) from error
        self.takes_system = self._try_system()

    def spell(self, messages: Messages) -> str:
        """The text that the model reads; a system's message joins the first request if it must.

        Raises EngineError where the template fails.
        """
        if not self.takes_system and messages and messages[0]["role"] == "system":
            request = messages[1] if len(messages) > 1 else {"role": "user", "content": ""}
            joined = f"{messages[0]['content']}\n\n{request['content']}".strip()
            messages = [{"role": request["role"], "content": joined}, *messages[2:]]
        try:
            return self._render(messages)
        except _Refusal as error:
            raise _broken(error) from error

    def _try_system(self) -> bool:
        mark = "PODCASTERSYSTEMTEXT"
        try:
            return mark in self._render(
                [
                    {"role": "system", "content": mark},
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "content": "b"},
                ]
            )
        except _Refusal:
            return False

    def _render(self, messages: Messages) -> str:
        steps = 0

        def bounded_range(*bounds: int) -> range:
            nonlocal steps
            span = range(*bounds)
            steps += len(span)
            if steps > MOST_LOOP_STEPS:
                raise _Refusal("it loops too long")
            return span

        largest = 10_000 + 4 * sum(len(m["content"]) + 200 for m in messages)
        pieces: list[str] = []
        length = 0
        try:
            for piece in self._template.generate(
                messages=[dict(message) for message in messages],
                add_generation_prompt=False,
                tools=None,
                documents=None,
                range=bounded_range,
                **self._special,
            ):
                pieces.append(piece)
                length += len(piece)
                if length > largest:
                    raise _Refusal("it writes without an end")
        except _Refusal:
            raise
        except Exception as error:  # whatever a foreign program may raise
            raise _broken(error) from error
        return "".join(pieces)


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


def _refuse(message: str = "") -> None:
    raise _Refusal(message)


def _broken(error: BaseException) -> EngineError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return EngineError(
        f"The model's chat template cannot be used: {reason}.",
        next_step="Choose another with `--tokenizer`.",
    )
