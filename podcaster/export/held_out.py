"""Held-out dialogues of a dataset, as the model that is exported reads them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from podcaster.model import parse


class HeldOut(msgspec.Struct, frozen=True):
    """What of a dataset's line is read here."""

    messages: list[dict[str, str]]
    tokens: int = 0


def read_held_out(
    path: Path, spell: Callable[[Sequence[dict[str, str]]], str], most_tokens: int
) -> tuple[str, ...]:
    """Dialogues of about `most_tokens`, spread over the file; `spell` is a chat template.

    Raises InputError for a line that is no example.
    """
    total = sum(line.tokens for line in _read_lines(path))
    step = max(1.0, total / most_tokens)
    passed = taken = 0
    texts: list[str] = []
    for line in _read_lines(path):
        if taken * step <= passed:
            taken += line.tokens
            texts.append(spell(line.messages))
        passed += line.tokens
    return tuple(texts)


def _read_lines(path: Path) -> Iterator[HeldOut]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield parse(line, HeldOut, where=f"{path}:{number}")
