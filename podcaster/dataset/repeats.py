"""Find passages that a show says again and again: shingles of words, hashed and counted exactly.

A shingle is `SHINGLE_WORDS` words in a row, over the turns of a recording (Broder, On the
resemblance and containment of documents, 1997). Those of a recording are counted once. The counts
are made in parts on disk, so that memory does not grow with the number of recordings.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from podcaster.units import count_words, split_words

SHINGLE_WORDS = 12
OFTEN = 3  # a shingle in so many recordings is boilerplate
LONG_WORDS = 25  # a passage this long in two recordings is boilerplate in the second
LONG_TURN_WORDS = 25  # turns by which a re-run is told
COVERED = 0.9  # the share of a sentence's words that repeated shingles cover, for it to go
PART_HASHES = 1_000_000  # counted at a time: some 80 MB
MOST_PARTS = 400  # files open at a time; beyond so many, the parts grow

Hashes = npt.NDArray[np.uint64]
Owners = npt.NDArray[np.uint32]
Covered = npt.NDArray[np.bool_]

_FACTOR = 0x9E3779B97F4A7C15  # odd, its bits spread: 2^64 divided by the golden ratio
_WORD_MEMORY = 300_000
_word_hashes: dict[str, int] = {}


def hash_shingles(texts: Sequence[str]) -> Hashes:
    """The shingles of texts read in a row; `(n_words - SHINGLE_WORDS + 1,)`, in order."""
    words = _hash_words(texts)
    count = len(words) - SHINGLE_WORDS + 1
    if count < 1:
        return np.empty(0, dtype=np.uint64)
    total = np.zeros(count, dtype=np.uint64)
    factor = np.uint64(_FACTOR)
    for offset in range(SHINGLE_WORDS):
        total *= factor
        total += words[offset : offset + count]
    return total


def hash_long_turns(texts: Iterable[str]) -> Hashes:
    """Hashes of the long turns' letters, by which a re-run is told, in order."""
    long_turns = [text for text in texts if text.count(" ") >= LONG_TURN_WORDS - 1]
    hashes = [_hash_text("".join(filter(str.isalnum, text.lower()))) for text in long_turns]
    return np.array(hashes, dtype=np.uint64)


def find_reruns(turns: Sequence[Hashes]) -> list[bool]:
    """Whether more than half of a recording's long turns are in recordings before it."""
    counts = [len(hashes) for hashes in turns]
    if not sum(counts):
        return [False] * len(counts)
    every = np.concatenate(turns)
    owners = np.repeat(np.arange(len(turns), dtype=np.uint32), counts)
    _, first, inverse = np.unique(every, return_index=True, return_inverse=True)
    known = owners[first][inverse] < owners
    shares = np.bincount(owners, weights=known, minlength=len(turns))
    return [bool(share * 2 > count) for share, count in zip(shares, counts, strict=True)]


class RepeatCounter:
    """Counts in how many recordings each shingle is, with its hashes in a folder's files."""

    def __init__(self, folder: Path, expected: int) -> None:
        self.parts = min(max(1, -(-expected // PART_HASHES)), MOST_PARTS)
        self.files = [(folder / f"part-{part}.bin").open("w+b") for part in range(self.parts)]
        self.added = 0

    def add(self, shingles: Hashes) -> None:
        """Add a recording; recordings are numbered in the order in which they are added."""
        unique = np.unique(shingles)
        entries = np.empty(len(unique), dtype=[("hash", np.uint64), ("owner", np.uint32)])
        entries["hash"], entries["owner"] = unique, self.added
        self.added += 1
        places = (unique % np.uint64(self.parts)).astype(np.int64)
        for part, file in enumerate(self.files):
            file.write(entries[places == part].tobytes())

    def finish(self) -> "Repeats":
        """Count, and close the files."""
        often, twice, first = [], [], []
        for file in self.files:
            file.seek(0)
            entries = np.frombuffer(file.read(), dtype=[("hash", np.uint64), ("owner", np.uint32)])
            file.close()
            hashes, starts, counts = np.unique(
                entries["hash"], return_index=True, return_counts=True
            )
            often.append(hashes[counts >= OFTEN])
            in_two = (counts > 1) & (counts < OFTEN)
            twice.append(hashes[in_two])
            first.append(entries["owner"][starts[in_two]])
        pairs, owners = np.concatenate(twice), np.concatenate(first)
        order = np.argsort(pairs)
        return Repeats(np.sort(np.concatenate(often)), pairs[order], owners[order])


class Repeats:
    """The shingles of several recordings, sorted: `often`, or `twice` and whose they are first."""

    def __init__(self, often: Hashes, twice: Hashes, first: Owners) -> None:
        self.often, self.twice, self.first = often, twice, first

    def write(self, path: Path) -> None:
        """Write them as one .npz without pickles."""
        with path.open("wb") as out:
            np.savez(out, allow_pickle=False, often=self.often, twice=self.twice, first=self.first)

    @classmethod
    def read(cls, path: Path) -> "Repeats":
        """Read what `write` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["often"], arrays["twice"], arrays["first"])

    def cover(self, shingles: Hashes, owner: int) -> Covered:
        """Which words of recording number `owner` lie in repeated passages; `(n_words,)`."""
        words = len(shingles) + SHINGLE_WORDS - 1 if len(shingles) else 0
        covered = np.zeros(words, dtype=np.bool_)
        _mark(covered, np.flatnonzero(_places(self.often, shingles) >= 0))
        places = _places(self.twice, shingles)
        again = places >= 0
        if len(self.first):
            again &= self.first[places] < owner
        edges = np.flatnonzero(np.diff(np.concatenate(([False], again, [False])).astype(np.int8)))
        for start, stop in edges.reshape(-1, 2).tolist():
            if stop - start + SHINGLE_WORDS - 1 >= LONG_WORDS:
                covered[start : stop + SHINGLE_WORDS - 1] = True
        return covered


def find_repeated(sentences: Sequence[Sequence[str]], covered: Covered) -> set[tuple[int, int]]:
    """The sentences that lie in repeated passages, as (turn, sentence)."""
    found: set[tuple[int, int]] = set()
    if not covered.any():
        return found
    sums = np.concatenate(([0], np.cumsum(covered)))
    here = 0
    for number, turn in enumerate(sentences):
        for place, sentence in enumerate(turn):
            words = count_words(sentence)
            if words and int(sums[here + words] - sums[here]) >= COVERED * words:
                found.add((number, place))
            here += words
    return found


def _hash_words(texts: Sequence[str]) -> Hashes:
    if len(_word_hashes) > _WORD_MEMORY:
        _word_hashes.clear()
    words = [word for text in texts for word in split_words(text)]
    for word in words:
        if word not in _word_hashes:
            _word_hashes[word] = _hash_text(word)
    return np.fromiter(map(_word_hashes.__getitem__, words), dtype=np.uint64, count=len(words))


def _hash_text(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _mark(covered: Covered, starts: npt.NDArray[np.intp]) -> None:
    for offset in range(SHINGLE_WORDS):
        covered[starts + offset] = True


def _places(table: Hashes, hashes: Hashes) -> npt.NDArray[np.intp]:
    """Where each hash is in a sorted table; -1 where it is not."""
    if not len(table):
        return np.full(len(hashes), -1, dtype=np.intp)
    places = np.minimum(np.searchsorted(table, hashes), len(table) - 1)
    return np.where(table[places] == hashes, places, -1)
