"""Tell whether a text repeats the built-in model's training text word for word.

The index is a Bloom filter of winnowed word n-grams (Schleimer, Wilkerson, Aiken: "Winnowing",
2003). Of every `window` neighbouring n-grams the one with the least hash is kept, so a verbatim run
of `n + window - 1` words always holds a kept one. No text can be read out of the index.

File, little-endian: 8 bytes magic `PODNGRAM`, then uint32 version (1), n, window, hashes; uint64
bits; uint64 count of n-grams put in; 16 bytes salt; then `bits / 8` bytes of the filter.
"""

import hashlib
import mmap
import struct
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

from podcaster.errors import EngineError, foreign
from podcaster.units import split_words

MAGIC = b"PODNGRAM"
VERSION = 1
HEADER = struct.Struct("<8sIIIIQQ16s")
LARGEST_N = 64
LARGEST_WINDOW = 1024
MOST_HASHES = 32

_MASK = (1 << 64) - 1
_RADIX = 0x9E3779B97F4A7C15  # odd, so multiplying by it loses nothing
_MIX_1 = 0xBF58476D1CE4E5B9  # splitmix64's finaliser
_MIX_2 = 0x94D049BB133111EB


def hash_word(word: str, salt: bytes) -> int:
    """A word's 64-bit hash."""
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8, key=salt)
    return int.from_bytes(digest.digest(), "little")


def hash_grams(words: Sequence[int], n: int) -> list[int]:
    """The 64-bit hashes of all runs of `n` words, in order, from the words' hashes."""
    if len(words) < n:
        return []
    top = pow(_RADIX, n, 1 << 64)
    rolling = 0
    hashes: list[int] = []
    for place, word in enumerate(words):
        rolling = (rolling * _RADIX + word) & _MASK
        if place >= n:
            rolling = (rolling - top * words[place - n]) & _MASK
        if place >= n - 1:
            mixed = rolling ^ (rolling >> 30)
            mixed = (mixed * _MIX_1) & _MASK
            mixed ^= mixed >> 27
            mixed = (mixed * _MIX_2) & _MASK
            hashes.append(mixed ^ (mixed >> 31))
    return hashes


def winnow(hashes: Sequence[int], window: int) -> list[int]:
    """The places of the least hash in every `window` neighbours, each place once, in order.

    Of equal hashes the last counts. Fewer than `window` hashes are one window.
    """
    kept: list[int] = []
    best = -1
    for end in range(max(0, min(window, len(hashes)) - 1), len(hashes)):
        start = max(0, end - window + 1)
        if best < start:
            best = min(range(start, end + 1), key=lambda place: (hashes[place], -place))
        elif hashes[end] <= hashes[best]:
            best = end
        if not kept or kept[-1] != best:
            kept.append(best)
    return kept


class TrainingNgrams:
    """An open index; a context manager. `close` it when done."""

    def __init__(self, path: Path, content: mmap.mmap, fields: Sequence[int], salt: bytes) -> None:
        self.path = path
        self.n, self.window, self.hashes, self.bits, self.count = fields
        self._content: mmap.mmap | None = content
        self._salt = salt
        self._hash_word = lru_cache(maxsize=20_000)(lambda word: hash_word(word, salt))

    @property
    def certain_words(self) -> int:
        """Every verbatim run of this many words or more is found."""
        return self.n + self.window - 1

    def longest_run_words(self, text: str) -> int:
        """The longest run of words, at the least, that the training text holds as well; 0 if none.

        A verbatim run of `certain_words` or more never gives 0. Hits at most `window` words apart
        are joined, and the run is counted from the first hit's first word to the last one's last,
        so it may be up to `window - 1` words short at either end. A lone hit counts as `n` words:
        mostly an everyday phrase, or a run too short to hold two kept n-grams. So a result above
        `n` is evidence, and to be certain that no run of `certain_words` passes, refuse `n` too.
        """
        grams = hash_grams([self._hash_word(word) for word in split_words(text)], self.n)
        longest, first, last = 0, -1, -1
        for place in winnow(grams, self.window):
            if not self._holds(grams[place]):
                continue
            if first < 0 or place - last > self.window:
                first = place
            last = place
            longest = max(longest, last - first + self.n)
        return longest

    def _holds(self, gram: int) -> bool:
        content = self._content
        if content is None:
            raise ValueError(f"{self.path.name} is closed")
        step = (gram >> 32) | 1
        for _ in range(self.hashes):
            bit = gram % self.bits
            if not content[HEADER.size + (bit >> 3)] >> (bit & 7) & 1:
                return False
            gram = (gram + step) & _MASK
        return True

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        if self._content is not None:
            self._content.close()
            self._content = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_ngrams(path: Path) -> TrainingNgrams:
    """Map an index into memory.

    Raises EngineError if the file is missing, cut off, or not such an index.
    """
    doing = f"Opening the index of training text {path.name}"
    with foreign(EngineError, doing, OSError, ValueError), path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        fields, salt = _read_header(path, content)
        return TrainingNgrams(path, content, fields, salt)
    except BaseException:
        content.close()
        raise


def _read_header(path: Path, content: mmap.mmap) -> tuple[tuple[int, ...], bytes]:
    if len(content) < HEADER.size:
        raise EngineError(f"{path.name} is no index of training text: it ends in its header.")
    magic, version, n, window, hashes, bits, count, salt = HEADER.unpack_from(content)
    if magic != MAGIC or version != VERSION:
        raise EngineError(f"{path.name} is no index of training text of version {VERSION}.")
    sane = 0 < n <= LARGEST_N and 0 < window <= LARGEST_WINDOW and 0 < hashes <= MOST_HASHES
    if not sane or bits == 0 or bits % 8 or len(content) != HEADER.size + bits // 8:
        raise EngineError(f"{path.name} is damaged: its header does not fit its contents.")
    return (n, window, hashes, bits, count), salt
