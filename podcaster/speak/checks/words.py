"""Whether what a transcriber heard in a clip is what was to be said.

Words are aligned with the fewest changes (Levenshtein). A word that was heard nearly right counts
in part: transcribers spell names and sounds in their own way.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from podcaster.speak.text import normalise

# scripts without spaces are compared by character
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_LONGEST_WORDS = 1000  # some minutes; the table of an alignment grows with the square
# what people and transcribers put in or leave out
_FILLERS = frozenset(["uh", "um", "er", "erm", "hm", "hum", "hmm", "mm", "mhm", "ah", "oh", "eh"])

# which transcribers write without the capital or the full stop by which they are known
_TITLES = {"mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay"}


@dataclass(frozen=True)
class WordErrors:
    """How a transcription differs from the text.

    `rate` is changes per word of the text, near misses counted in part. `added_at_end` are the
    words after the last that belongs to the text; `longest_missing` the longest run of words of
    the text that were not heard.
    """

    rate: float
    errors: float
    words: int
    added_at_end: tuple[str, ...]
    longest_missing: tuple[str, ...]


def compare_words(text: str, heard: str, language: str) -> WordErrors:
    """Compare what was to be said with what was heard; case, numbers and fillers do not matter."""
    wanted, got = split_for_comparing(text, language), split_for_comparing(heard, language)
    steps = _align(wanted, got)
    errors = sum(cost for cost, _, _ in steps)
    missing: list[str] = []
    longest: list[str] = []
    for _, one, other in steps:
        missing = [*missing, wanted[one]] if one is not None and other is None else []
        longest = missing if len(missing) > len(longest) else longest
    tail: list[str] = []
    for _, one, other in reversed(steps):
        if one is not None or other is None:
            break
        tail.insert(0, got[other])
    rate = errors / len(wanted) if wanted else float(bool(got))
    return WordErrors(rate, errors, len(wanted), tuple(tail), tuple(longest))


def split_for_comparing(text: str, language: str) -> tuple[str, ...]:
    """Words in lower case, numbers spelled, without accents of Latin letters, marks or fillers."""
    spoken = unicodedata.normalize("NFKC", normalise(text, language)).casefold()
    spoken = spoken.replace("-", " ")
    words: list[str] = []
    for word in _WORD.findall(_plain(spoken)):
        words.extend(word if _UNSPACED.search(word) else [word.replace("'", "")])
    kept = (_TITLES.get(word, word) for word in words if word not in _FILLERS)
    return tuple(kept)[:_LONGEST_WORDS]


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", re.sub(r"(?<=[a-z])[\u0300-\u036f]+", "", decomposed))


def _align(wanted: Sequence[str], got: Sequence[str]) -> list[tuple[float, int | None, int | None]]:
    """Steps of the cheapest alignment in order: cost, place in `wanted`, place in `got`."""
    above = [float(j) for j in range(len(got) + 1)]
    table = [above]
    for i, word in enumerate(wanted, start=1):
        row = [float(i)]
        for j, other in enumerate(got, start=1):
            changed = above[j - 1] + _difference(word, other)
            row.append(min(changed, above[j] + 1.0, row[j - 1] + 1.0))
        table.append(row)
        above = row
    steps: list[tuple[float, int | None, int | None]] = []
    i, j = len(wanted), len(got)
    while i or j:
        here = table[i][j]
        # words that are left over at the end are taken for added, not for changed ones
        if j and here == table[i][j - 1] + 1.0:
            j -= 1
            steps.append((1.0, None, j))
        elif i and here == table[i - 1][j] + 1.0:
            i -= 1
            steps.append((1.0, i, None))
        else:
            i, j = i - 1, j - 1
            steps.append((here - table[i][j], i, j))
    return steps[::-1]


@lru_cache(maxsize=65_536)
def _difference(one: str, other: str) -> float:
    """0 for the same word, 1 for another; in between for one that is spelled nearly so."""
    if one == other:
        return 0.0
    if abs(len(one) - len(other)) > 3:
        return 1.0
    above = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        row = [i]
        for j, b in enumerate(other, start=1):
            row.append(min(above[j - 1] + (a != b), above[j] + 1, row[j - 1] + 1))
        above = row
    share = above[-1] / max(len(one), len(other))
    return share if share <= 0.5 else 1.0
