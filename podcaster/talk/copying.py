"""Find what was said word for word as it stands in a training text: exactly, in one pass.

The runs of `SHORTEST_RUN` words of what was said are hashed; the training text goes by turn after
turn, and where a hash is met the words themselves are compared. So memory grows with what was said
and not with the training text, and nothing is found that is not there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from podcaster.model import Noun
from podcaster.units import split_words

SHORTEST_RUN = 8
LONG_RUN = 12  # what the writer refuses
MOST_SHOWN = 5

_RADIX = np.uint64(0x9E3779B97F4A7C15)
_NO_WORD = -1  # in no run: a word that nobody said, a turn's end

Ids = npt.NDArray[np.int64]


class CopiedRun(Noun, frozen=True):
    """A run of words that stands in the training text, too."""

    text: str
    words: int


class Copied(Noun, frozen=True):
    """What stands in the training text word for word, of `words` words in all.

    `runs` counts those of 8 words or more that are not part of a longer one, `long_runs` those of
    12 or more; `copied_words` are in them. `longest` shows some, the longest first;
    `longest_words` is 0 where there is none.
    """

    words: int
    longest_words: int
    runs: int
    long_runs: int
    copied_words: int
    longest: tuple[CopiedRun, ...]


@dataclass
class _Group:
    """What was said by one: its words by number, turns parted, and the longest run from each."""

    words: list[str]
    ids: Ids
    runs: dict[int, int] = field(default_factory=dict)


def find_copied(groups: Mapping[str, Sequence[str]], training: Iterable[str]) -> dict[str, Copied]:
    """Compare the turns of each group with the turns of a training text, which is read once."""
    numbers: dict[str, int] = {}
    gathered = {name: _gather(texts, numbers) for name, texts in groups.items()}
    starts = _index(gathered)
    known = np.array(sorted(starts), dtype=np.uint64)
    for text in training if len(known) else ():
        words = split_words(text)
        if len(words) < SHORTEST_RUN:
            continue
        ids = np.array([numbers.get(word, _NO_WORD) for word in words], dtype=np.int64)
        for place in _find_hits(ids, known):
            for group, start in starts[_hash_at(ids, place)]:
                _extend(gathered[group], start, ids, place)
    return {name: _describe(group, groups[name]) for name, group in gathered.items()}


def _gather(texts: Sequence[str], numbers: dict[str, int]) -> _Group:
    words: list[str] = []
    ids: list[int] = []
    for text in texts:
        for word in split_words(text):
            words.append(word)
            ids.append(numbers.setdefault(word, len(numbers)))
        words.append("")
        ids.append(_NO_WORD)
    return _Group(words, np.array(ids, dtype=np.int64))


def _index(gathered: Mapping[str, _Group]) -> dict[int, list[tuple[str, int]]]:
    """Where the runs of what was said begin, by their hashes."""
    starts: dict[int, list[tuple[str, int]]] = {}
    for name, group in gathered.items():
        hashes = _hash_runs(group.ids)
        for place, usable in enumerate(_is_whole(group.ids)):
            if usable:
                starts.setdefault(int(hashes[place]), []).append((name, place))
    return starts


def _hash_runs(ids: Ids) -> npt.NDArray[np.uint64]:
    """A hash of each run of `SHORTEST_RUN` ids, `(n - SHORTEST_RUN + 1,)`."""
    count = max(0, len(ids) - SHORTEST_RUN + 1)
    hashes = np.zeros(count, dtype=np.uint64)
    numbers = ids.astype(np.uint64)
    for offset in range(SHORTEST_RUN):
        hashes = hashes * _RADIX + numbers[offset : offset + count]
    return hashes


def _is_whole(ids: Ids) -> npt.NDArray[np.bool_]:
    """Of each run, whether all its words are known."""
    count = max(0, len(ids) - SHORTEST_RUN + 1)
    unknown = np.concatenate(([0], np.cumsum(ids == _NO_WORD)))
    whole: npt.NDArray[np.bool_] = unknown[SHORTEST_RUN:][:count] == unknown[:count]
    return whole


def _find_hits(ids: Ids, known: npt.NDArray[np.uint64]) -> Iterator[int]:
    hashes = _hash_runs(ids)
    nearest = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    hits = (known[nearest] == hashes) & _is_whole(ids)
    yield from (int(place) for place in np.flatnonzero(hits))


def _hash_at(ids: Ids, place: int) -> int:
    return int(_hash_runs(ids[place : place + SHORTEST_RUN])[0])


def _extend(group: _Group, start: int, ids: Ids, place: int) -> None:
    """Note how far two runs that seem to begin alike really go on alike."""
    length = 0
    own, most = group.ids, min(len(group.ids) - start, len(ids) - place)
    while length < most and own[start + length] == ids[place + length] != _NO_WORD:
        length += 1
    if length >= SHORTEST_RUN:
        group.runs[start] = max(length, group.runs.get(start, 0))


def _describe(group: _Group, texts: Sequence[str]) -> Copied:
    runs: list[tuple[int, int]] = []  # start and length, none within another
    end = 0
    for start, length in sorted(group.runs.items()):
        if start + length > end:
            runs.append((start, length))
            end = start + length
    covered = {place for start, length in runs for place in range(start, start + length)}
    longest = sorted(runs, key=lambda run: (-run[1], run[0]))
    return Copied(
        words=sum(len(split_words(text)) for text in texts),
        longest_words=longest[0][1] if longest else 0,
        runs=len(runs),
        long_runs=sum(length >= LONG_RUN for _, length in runs),
        copied_words=len(covered),
        longest=tuple(
            CopiedRun(text=" ".join(group.words[start : start + length]), words=length)
            for start, length in longest[:MOST_SHOWN]
        ),
    )
