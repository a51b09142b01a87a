"""What a model must beat: a general compressor, and counting five tokens at a time."""

import lzma
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.float64]

_RADIX = np.uint64(0x9E3779B97F4A7C15)


def xz_bits_per_byte(text: bytes) -> float:
    """The size of `text` after xz at its best, in bits a byte."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    return 8 * len(lzma.compress(text, filters=filters)) / len(text)


class TokenNgrams:
    """An interpolated Kneser-Ney model of token n-grams (Chen and Goodman 1998), one discount.

    Runs of tokens are known by 64-bit hashes; rows are not joined to each other.
    """

    def __init__(
        self,
        rows: Sequence[npt.NDArray[np.uint16]],
        *,
        order: int,
        vocabulary: int,
        discount: float = 0.75,
    ) -> None:
        self.order, self.vocabulary, self.discount = order, vocabulary, discount
        self.tables: list[tuple[Hashes, Counts, Hashes, Counts, Counts]] = []
        for length in range(1, order + 1):
            longer = min(order, length + 1)
            grams = np.concatenate([_windows(row, longer) for row in rows if len(row) >= longer])
            _, first, seen = np.unique(_hash(grams), return_index=True, return_counts=True)
            grams = grams[first]
            if length == order:
                keys, counts = _hash(grams), seen.astype(np.float64)
                heads = _hash(grams[:, :-1])
            else:  # below the top, a gram counts once for each token that comes before it
                keys, kept, distinct = np.unique(
                    _hash(grams[:, 1:]), return_index=True, return_counts=True
                )
                counts = distinct.astype(np.float64)
                heads = _hash(grams[kept][:, 1:-1])
            arranged = np.argsort(keys)
            contexts, place = np.unique(heads, return_inverse=True)
            totals = np.bincount(place, weights=counts).astype(np.float64)
            kinds = np.bincount(place).astype(np.float64)
            self.tables.append((keys[arranged], counts[arranged], contexts, totals, kinds))

    def nats(self, row: npt.NDArray[np.uint16]) -> Counts:
        """-ln p of each token of a row after the first `order - 1`."""
        windows = _windows(row, self.order)
        chance = np.full(len(windows), 1 / self.vocabulary)
        for length, (keys, counts, contexts, totals, kinds) in enumerate(self.tables, start=1):
            grams = windows[:, self.order - length :]
            count = _look_up(keys, counts, _hash(grams))
            head = _hash(grams[:, :-1])
            total = _look_up(contexts, totals, head)
            kind = _look_up(contexts, kinds, head)
            known = total > 0
            safe = np.where(known, total, 1.0)
            direct = np.maximum(count - self.discount, 0) / safe
            chance = np.where(known, direct + self.discount * kind / safe * chance, chance)
        return np.asarray(-np.log(chance), dtype=np.float64)


def _windows(row: npt.NDArray[np.uint16], length: int) -> npt.NDArray[np.uint16]:
    return np.lib.stride_tricks.sliding_window_view(row, length)


def _hash(grams: npt.NDArray[np.uint16]) -> Hashes:
    value = np.full(len(grams), 0x1234567, dtype=np.uint64)
    for column in range(grams.shape[1]):
        value = (value ^ grams[:, column].astype(np.uint64)) * _RADIX
        value ^= value >> np.uint64(29)
    return value


def _look_up(keys: Hashes, values: Counts, wanted: Hashes) -> Counts:
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0.0)
