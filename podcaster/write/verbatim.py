"""Find what a show's model says word for word as it stands in the text that it learned."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np

from podcaster.errors import InputError, foreign
from podcaster.units import split_words

SHORTEST_RUN_WORDS = 8


class _Message(msgspec.Struct):
    content: str


class _Line(msgspec.Struct):
    messages: list[_Message]


def open_verbatim(model: str) -> Callable[[str], int] | None:
    """How many words the longest run has that a text shares with what a model was trained on.

    By the dataset of the show that exported it (runs/<show>/export/<hash>/<model>.gguf); None for
    any other model. Raises InputError where the dataset is broken.
    """
    path = Path(model).resolve()
    export = path.parent.parent
    learned = export.parent / "dataset" / "dialogue.train.jsonl"
    if path.suffix != ".gguf" or export.name != "export" or not learned.is_file():
        return None
    known = np.unique(np.fromiter(_hash_all(learned), dtype=np.int64))

    def measure(text: str) -> int:
        grams = np.fromiter(_hash_runs(split_words(text)), dtype=np.int64)
        longest = run = 0
        for hit in np.isin(grams, known):
            run = run + 1 if hit else 0
            longest = max(longest, run)
        return longest + SHORTEST_RUN_WORDS - 1 if longest else 0

    return measure


def _hash_all(path: Path) -> Iterator[int]:
    decoder = msgspec.json.Decoder(_Line)
    broken = (OSError, msgspec.MsgspecError)
    with foreign(InputError, f"Reading {path}", *broken), path.open("rb") as lines:
        for line in lines:
            for message in decoder.decode(line).messages:
                yield from _hash_runs(split_words(message.content))


def _hash_runs(words: list[str]) -> Iterator[int]:
    for start in range(len(words) - SHORTEST_RUN_WORDS + 1):
        yield hash(tuple(words[start : start + SHORTEST_RUN_WORDS]))
