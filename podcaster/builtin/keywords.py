"""Find the distinctive words of a text, by tf-idf with the table shipped beside this file.

The model was trained with topics found by these functions, so an outline made by them speaks the
model's language. The table holds single words and how rare they are in conversation, as gzipped
JSON: `{"version": 1, "documents": N, "words": "a b c", "idf": [hundredths of a nat]}`.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import msgspec

from podcaster.builtin import IDF_PATH
from podcaster.errors import EngineError
from podcaster.units import split_words

COMMON_IDF = 2.2  # in nats: said in more than one stretch of nine, so it marks no topic
SHORTEST_LETTERS = 3
LARGEST_TABLE_BYTES = 4_000_000


class IdfTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table as it lies on disk; `idf` belongs to `words`, split at spaces, in order."""

    version: int
    documents: int
    words: str
    idf: tuple[int, ...]


def idf(word: str) -> float:
    """How rare a word is, in nats: ln(stretches / stretches with it); unknown words get the most.

    Case does not matter, nor does a possessive ending.
    """
    table = _shipped()
    return table.get(_stem(word), table[""])


def keywords(text: str, count: int) -> tuple[str, ...]:
    """The `count` (or fewer) most distinctive words of `text`, lower-cased, the best first.

    Words said twice or more here and rarely elsewhere win; of singular and plural one stays.
    """
    return rank(text, count, _shipped())


def rank(text: str, count: int, table: Mapping[str, float]) -> tuple[str, ...]:
    """Do what `keywords` does with a table of your own; its key `""` is for unknown words."""
    tally = Counter(_stem(word) for word in split_words(text))
    scores = {
        word: (times - 0.6) * (table.get(word, table[""]) - COMMON_IDF)
        for word, times in tally.items()
        if _may_mark(word, times, table)
    }
    best = sorted((w for w in scores if scores[w] > 0), key=lambda w: (-scores[w], w))
    chosen: list[str] = []
    for word in best:
        if len(chosen) == count:
            break
        if not _varies(word, chosen):
            chosen.append(word)
    return tuple(chosen)


def read_idf(path: Path) -> dict[str, float]:
    """Read a table: word → idf in nats, and under `""` that of unknown words.

    Raises EngineError if the file is missing or is not such a table.
    """
    try:
        with gzip.open(path, "rb") as compressed:
            content = compressed.read(LARGEST_TABLE_BYTES)
        table = msgspec.json.decode(content, type=IdfTable)
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise EngineError(f"The word table {path.name} cannot be read: {error}.") from error
    words = table.words.split(" ")
    if table.version != 1 or len(words) != len(table.idf):
        raise EngineError(f"The word table {path.name} is not of version 1 or is incomplete.")
    rarities = {word: hundredths / 100 for word, hundredths in zip(words, table.idf, strict=True)}
    rarities[""] = max(rarities.values(), default=0.0)
    return rarities


@cache
def _shipped() -> dict[str, float]:
    return read_idf(IDF_PATH)


def _may_mark(word: str, times: int, table: Mapping[str, float]) -> bool:
    if len(word) < SHORTEST_LETTERS or word.replace(".", "").isdigit():
        return False
    # a compound made up on the spot ("better-designed") is rare, yet it says little
    return times > 1 or "-" not in word or word in table


def _stem(word: str) -> str:
    return word.lower().replace("’", "'").removesuffix("'s")


def _varies(word: str, chosen: Iterable[str]) -> bool:
    singular = word.removesuffix("s")
    return any(other.removesuffix("s") == singular for other in chosen)
