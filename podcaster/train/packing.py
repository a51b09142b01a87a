"""Pack sequences of different lengths into rows, so that hardly a slot is empty.

A row is sequences side by side; attention never crosses from one to the next (`attention`), and
each begins at position 0. The order depends on the seed and the epoch alone, not on who works.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Row = tuple[int, ...]  # numbers of sequences

_FITS = 64  # steps in which the length of a row is sought
_ENOUGH_TO_FIT = 5000  # sequences; more tell nothing new


@dataclass(frozen=True)
class Step:
    """The rows of one step of the optimizer, over all workers."""

    rows: tuple[Row, ...]


def pack(lengths: Sequence[int], row_tokens: int, seed: int) -> list[Row]:
    """Best fit, the longest first: each goes to the fullest row that still has room for it.

    None may be longer than `row_tokens`. What lies together, and the order of rows, is drawn by
    `seed`. Raises ValueError.
    """
    if any(length > row_tokens or length < 1 for length in lengths):
        raise ValueError(f"a sequence is longer than a row of {row_tokens}, or empty")
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(lengths))
    order = order[np.argsort([-lengths[i] for i in order], kind="stable")]
    free: list[tuple[int, int]] = []  # (room, row), sorted
    rows: list[list[int]] = []
    for number in order.tolist():
        length = lengths[number]
        place = bisect_left(free, (length, -1))
        if place == len(free):
            rows.append([number])
            entry = (row_tokens - length, len(rows) - 1)
        else:
            room, row = free.pop(place)
            rows[row].append(number)
            entry = (room - length, row)
        free.insert(bisect_left(free, entry), entry)
    return [tuple(rows[i]) for i in draw.permutation(len(rows)).tolist()]


def fit_row(lengths: Sequence[int], most: int) -> int:
    """The length of row, `most` or up to a quarter less, in which the fewest slots stay free.

    Windows of a show are nearly all as long as the context allows: four of them leave much of a
    row of four contexts free. None of `lengths` is longer than three quarters of `most`.
    """
    sample = lengths[:_ENOUGH_TO_FIT]
    tried = [most - k * most // _FITS for k in range(_FITS // 4 + 1)]
    return max(tried, key=lambda n: count_efficiency(sample, pack(sample, n, 0), n))


def divide(
    rows: Sequence[Row], lengths: Sequence[int], most_tokens: int, rank: int, size: int
) -> list[Row]:
    """What worker `rank` of `size` computes of a step, at most `most_tokens` at a time.

    Every worker finds the same division: the longest first, each to whoever has least to do. Where
    a sequence is longer than `most_tokens`, as much as it is computed at a time.
    """
    if size > 1:
        shares: list[list[int]] = [[] for _ in range(size)]
        loads = [0] * size
        for number in sorted((i for row in rows for i in row), key=lambda i: (-lengths[i], i)):
            least = loads.index(min(loads))
            shares[least].append(number)
            loads[least] += lengths[number]
        rows = [tuple(shares[rank])]
    found: list[Row] = []
    for row in rows:
        own = [lengths[i] for i in row]
        if sum(own) <= most_tokens:
            found += [row] if row else []
            continue
        parts = pack(own, max(most_tokens, *own), 0)
        found += [tuple(row[i] for i in part) for part in parts]
    return found


def count_efficiency(lengths: Sequence[int], rows: Sequence[Row], row_tokens: int) -> float:
    """Real tokens over slots."""
    return sum(lengths) / (len(rows) * row_tokens) if rows else 0.0


def plan_epoch(
    lengths: Sequence[int], row_tokens: int, batch_tokens: int, seed: int, epoch: int
) -> list[Step]:
    """The steps of an epoch, each of about `batch_tokens`; none is much smaller than the others."""
    rows = pack(lengths, row_tokens, seed * 1_000_003 + epoch)
    per_step = max(1, round(batch_tokens / row_tokens))
    count = max(1, round(len(rows) / per_step))
    edges = [round(i * len(rows) / count) for i in range(count + 1)]
    return [Step(tuple(rows[a:b])) for a, b in pairwise(edges) if b > a]
