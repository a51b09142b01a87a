"""Find the longest run of words that a text shares with the training text, exactly.

Training text is kept as numbers of words. Runs of a few words are looked up by hash in one pass
over it, and every place found is then compared word by word.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from podcaster.units import split_words

SEED_WORDS = 5  # the run that a search begins with; shorter ones are looked for where none is found
PAIRS_AT_ONCE = 2_000_000
BORDER = 0  # the number that no word has, between two texts
UNKNOWN = 1  # for words that training text does not hold

Numbers = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

_RADIX = np.uint64(0x9E3779B97F4A7C15)


class TrainingText:
    """All words of all training texts `(n_words,)`; runs do not cross from a text to the next."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._numbers: dict[str, int] = {}
        parts: list[Numbers] = [np.array([BORDER], dtype=np.int32)]
        for text in texts:
            known = self._numbers
            numbers = [known.setdefault(word, len(known) + 2) for word in split_words(text)]
            parts.append(np.array([*numbers, BORDER], dtype=np.int32))
        self._words: Numbers = np.concatenate(parts)
        self.words = int((self._words != BORDER).sum())

    def longest_runs(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """For each text, its longest verbatim run, as words; empty where no word is known.

        Of runs of the same length it is one of them.
        """
        words = [split_words(text) for text in texts]
        queries = [
            np.array([self._numbers.get(word, UNKNOWN) for word in spoken], dtype=np.int32)
            for spoken in words
        ]
        found = _Found.of(len(texts))
        for length in range(SEED_WORDS, 0, -1):
            unfound = [i for i in range(len(texts)) if found.words[i] == 0 and len(queries[i])]
            if unfound:
                self._search(_Query.join([queries[i] for i in unfound], unfound), length, found)
        runs = zip(words, found.start.tolist(), found.words.tolist(), strict=True)
        return [tuple(spoken[start : start + count]) for spoken, start, count in runs]

    def _search(self, query: "_Query", length: int, found: "_Found") -> None:
        """Find the runs that begin with a run of `length` words, which are looked up by hash."""
        starts = np.flatnonzero(_whole_runs(query.numbers, length))
        if not len(starts):
            return
        wanted = _hash_runs(query.numbers, length)[starts]
        arranged = np.argsort(wanted, kind="stable")
        starts, wanted = starts[arranged], wanted[arranged]
        hashes = _hash_runs(self._words, length)
        first = np.minimum(np.searchsorted(wanted, hashes), len(wanted) - 1)
        places = np.flatnonzero(wanted[first] == hashes)
        first = first[places]
        repeats = np.searchsorted(wanted, hashes[places], side="right") - first
        # each place of training text goes with every place of a query that has its hash
        ends = np.cumsum(repeats)
        begin, done = 0, 0
        while begin < len(places):
            stop = max(begin + 1, int(np.searchsorted(ends, done + PAIRS_AT_ONCE)))
            part = repeats[begin:stop]
            within = np.arange(part.sum()) - np.repeat(np.cumsum(part) - part, part)
            self._extend(
                query,
                starts[np.repeat(first[begin:stop], part) + within],
                np.repeat(places[begin:stop], part),
                found,
            )
            begin, done = stop, int(ends[stop - 1])

    def _extend(self, query: "_Query", start: Places, place: Places, found: "_Found") -> None:
        """Compare pairs of places word by word until the last pair differs."""
        # it ends: UNKNOWN is not among the training words, nor BORDER among the query's
        words = 0
        while len(start):
            same = query.numbers[start + words] == self._words[place + words]
            start, place = start[same], place[same]
            words += 1
            better = start[found.words[query.owner[start]] < words]
            owner = query.owner[better]
            found.words[owner] = words
            found.start[owner] = better - query.origin[better]


@dataclass(frozen=True)
class _Query:
    """Texts end to end: words `(n,)`, and for each the text that it is of and where that begins."""

    numbers: Numbers
    owner: Places
    origin: Places

    @classmethod
    def join(cls, texts: Sequence[Numbers], owners: Sequence[int]) -> Self:
        lengths = [len(text) + 1 for text in texts]
        ends = np.cumsum(lengths)
        return cls(
            numbers=np.concatenate([np.append(text, np.int32(UNKNOWN)) for text in texts]),
            owner=np.repeat(np.array(owners), lengths),
            origin=np.repeat(ends - lengths, lengths),
        )


@dataclass(frozen=True)
class _Found:
    """The longest run of each text so far: how many words, and from which of its words."""

    words: Places
    start: Places

    @classmethod
    def of(cls, count: int) -> Self:
        return cls(np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64))


def _whole_runs(numbers: Numbers, length: int) -> npt.NDArray[np.bool_]:
    """Which runs of `length` words hold known words alone: `(n - length + 1,)`."""
    if len(numbers) < length:
        return np.zeros(0, dtype=np.bool_)
    windows = np.lib.stride_tricks.sliding_window_view(numbers, length)
    whole: npt.NDArray[np.bool_] = (windows != UNKNOWN).all(axis=1)
    return whole


def _hash_runs(numbers: Numbers, length: int) -> Hashes:
    """The 64-bit hashes of all runs of `length` numbers, in order: `(n - length + 1,)`."""
    count = max(0, len(numbers) - length + 1)
    value = np.zeros(count, dtype=np.uint64)
    for offset in range(length):
        value ^= numbers[offset : offset + count].astype(np.uint64)
        value *= _RADIX
        value ^= value >> np.uint64(29)
    return value
