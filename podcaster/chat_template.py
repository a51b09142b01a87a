"""A model's own chat template, which is a program from outside, run in a sandbox."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from podcaster.errors import EngineError

LARGEST_TEMPLATE_CHARACTERS = 400_000

Messages = Sequence[Mapping[str, str]]


class Refused(Exception):
    """The template itself refused the messages, or the sandbox what it did with them."""


class Sandbox(ImmutableSandboxedEnvironment):
    """A sandbox in which no product can make a giant."""

    intercepted_binops = frozenset({"*", "**"})

    def call_binop(
        self, context: jinja2.runtime.Context, operator: str, left: Any, right: Any
    ) -> Any:
        """Multiply numbers, and nothing else. Raises Refused."""
        if operator == "**" or not all(isinstance(side, int | float) for side in (left, right)):
            raise Refused(f"the operator {operator} is not allowed on these values")
        return left * right


class SandboxedTemplate:
    """A chat template, with the texts of its model's first and last token.

    Raises EngineError where it cannot be read.
    """

    def __init__(self, source: str, *, bos: str, eos: str) -> None:
        if len(source) > LARGEST_TEMPLATE_CHARACTERS:
            raise EngineError(
                f"The model's chat template has {len(source)} characters, expected at most "
                f"{LARGEST_TEMPLATE_CHARACTERS}."
            )
        environment = Sandbox(
            trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
        )
        environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
        environment.globals["raise_exception"] = _refuse
        # a date would make every day's text another one
        environment.globals["strftime_now"] = lambda _: "2025-01-01"
        self._special = {"bos_token": bos, "eos_token": eos}
        try:
            self._template = environment.from_string(source)
        except (jinja2.TemplateError, RecursionError, ValueError) as error:
            raise explain_broken(error) from error

    def render(
        self, messages: Messages, *, most_characters: int, most_loop_steps: int, **told: Any
    ) -> str:
        """Spell messages; `told` are further variables, such as `add_generation_prompt`.

        Raises Refused, and EngineError for whatever else the program comes to.
        """
        steps = 0

        def bounded_range(*bounds: int) -> range:
            nonlocal steps
            span = range(*bounds)
            steps += len(span)
            if steps > most_loop_steps:
                raise Refused("it loops too long")
            return span

        pieces: list[str] = []
        length = 0
        try:
            for piece in self._template.generate(
                messages=[dict(message) for message in messages],
                tools=None,
                documents=None,
                range=bounded_range,
                **told,
                **self._special,
            ):
                pieces.append(piece)
                length += len(piece)
                if length > most_characters:
                    raise Refused("it writes without an end")
        except Refused:
            raise
        except Exception as error:  # whatever a foreign program may raise
            raise explain_broken(error) from error
        return "".join(pieces)


def explain_broken(error: BaseException) -> EngineError:
    """What to tell of a template that cannot be used."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return EngineError(
        f"The model's chat template cannot be used: {reason}.",
        next_step="Choose another model: `podcaster setup` lists them.",
    )


def _refuse(message: str = "") -> None:
    raise Refused(message)
