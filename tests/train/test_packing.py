"""Rows hold every sequence once and hardly a free slot; workers and memory only divide them."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcaster.train.packing import count_efficiency, divide, fit_row, pack, plan_epoch

LENGTHS = st.lists(st.integers(1, 400), min_size=1, max_size=120)
SEEDS = st.integers(0, 2**31)


def draw_lengths(count: int, context: int, seed: int) -> list[int]:
    """Windows of conversations: 45% of the context in the mean, none beyond it."""
    drawn = np.random.default_rng(seed).lognormal(np.log(0.45) - 0.125, 0.5, count) * context
    return [int(n) for n in np.clip(drawn, 1, context)]


@settings(deadline=None)
@given(LENGTHS, SEEDS, st.integers(400, 3000))
def test_every_sequence_is_in_one_row_and_no_row_is_over(
    lengths: list[int], seed: int, row_tokens: int
) -> None:
    rows = pack(lengths, row_tokens, seed)
    assert Counter(i for row in rows for i in row) == Counter(range(len(lengths)))
    assert max(sum(lengths[i] for i in row) for row in rows) <= row_tokens
    assert all(rows)
    assert pack(lengths, row_tokens, seed) == rows


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 5000), SEEDS, st.integers(0, 9))
def test_the_steps_of_an_epoch_hold_all_its_rows(
    lengths: list[int], batch_tokens: int, seed: int, epoch: int
) -> None:
    steps = plan_epoch(lengths, 1000, batch_tokens, seed, epoch)
    assert Counter(i for s in steps for row in s.rows for i in row) == Counter(range(len(lengths)))
    counts = [len(step.rows) for step in steps]
    assert max(counts) - min(counts) <= 1


@settings(max_examples=50, deadline=None)
@given(LENGTHS, st.integers(1, 9), st.integers(50, 1500))
def test_workers_and_memory_divide_a_step_without_loss(
    lengths: list[int], size: int, most_tokens: int
) -> None:
    rows = pack(lengths, 1000, 0)
    shares = [divide(rows, lengths, most_tokens, rank, size) for rank in range(size)]
    assert Counter(i for share in shares for row in share for i in row) == Counter(
        range(len(lengths))
    )
    parts = [row for share in shares for row in share]
    most = max(most_tokens, *lengths, 0)
    assert all(0 < sum(lengths[i] for i in row) <= most for row in parts)
    # nobody has more to do than the others by more than one sequence
    loads = [sum(lengths[i] for row in share for i in row) for share in shares]
    assert max(loads) - min(loads) <= max(lengths)


def test_one_worker_with_memory_enough_computes_the_rows_as_they_are() -> None:
    lengths = draw_lengths(200, 1024, 1)
    rows = pack(lengths, 4096, 0)
    assert divide(rows, lengths, 4096, 0, 1) == rows


def test_rows_fit_windows_that_are_nearly_as_long_as_the_context() -> None:
    """Windows of a real show: most between 80% and 98% of the context, some shorter."""
    draw = np.random.default_rng(5)
    long, short = draw.integers(1660, 2008, 320), draw.integers(300, 1660, 53)
    lengths = [int(n) for n in (*long, *short)]
    plain = count_efficiency(lengths, pack(lengths, 8192, 0), 8192)
    row = fit_row(lengths, 8192)
    fitted = count_efficiency(lengths, pack(lengths, row, 0), row)
    assert plain < 0.97 <= fitted
    assert 6144 <= row <= 8192


@pytest.mark.parametrize("count", [500, 4000])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rows_of_four_contexts_are_full(count: int, seed: int) -> None:
    lengths = draw_lengths(count, 2048, seed)
    assert 0.40 < np.mean(lengths) / 2048 < 0.50
    rows = pack(lengths, 4 * 2048, seed)
    assert count_efficiency(lengths, rows, 4 * 2048) >= 0.97


def test_the_seed_and_the_epoch_change_the_order() -> None:
    lengths = draw_lengths(100, 1024, 3)
    first = plan_epoch(lengths, 4096, 8192, 0, 0)
    assert plan_epoch(lengths, 4096, 8192, 0, 0) == first
    assert plan_epoch(lengths, 4096, 8192, 0, 1) != first
    assert plan_epoch(lengths, 4096, 8192, 1, 0) != first


@pytest.mark.parametrize("lengths", [[5, 101], [0, 5]])
def test_what_fits_into_no_row_is_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="longer than a row of 100, or empty"):
        pack(lengths, 100, 0)


def test_no_sequence_makes_no_row() -> None:
    assert pack([], 100, 0) == []
    assert divide([], [], 100, 0, 1) == []
    assert count_efficiency([], [], 100) == 0.0
