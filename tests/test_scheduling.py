"""Who gets which item: longest first, dead workers' items again, so many workers as fit."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcaster.scheduling import MOST_DEATHS, Share, WorkList, choose_share, count_places

BENCH = Path(__file__).parents[1] / "bench" / "scheduling.py"


def load_bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_scheduling", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@given(st.lists(st.floats(min_value=0, max_value=1e6)))
def test_the_longest_that_waits_is_taken_and_equals_keep_their_order(sizes: list[float]) -> None:
    todo = WorkList(range(len(sizes)), size=sizes.__getitem__)
    taken = []
    while (ticket := todo.take()) is not None:
        taken.append(ticket.item)
        todo.finish(ticket)
    assert taken == sorted(range(len(sizes)), key=lambda number: (-sizes[number], number))
    assert todo.unfinished == 0


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 8))
def test_every_item_ends_once_whoever_dies(deaths: list[bool], count: int) -> None:
    todo = WorkList(range(count))
    ended: list[int] = []
    fates = iter(deaths)
    while (ticket := todo.take()) is not None:
        assert todo.unfinished == todo.waiting + 1
        if next(fates, False):
            if not todo.lose(ticket):
                assert ticket.deaths == MOST_DEATHS
                ended.append(ticket.item)
        else:
            todo.finish(ticket)
            ended.append(ticket.item)
    assert sorted(ended) == list(range(count))


def test_what_nobody_holds_cannot_be_finished_or_lost() -> None:
    todo = WorkList(["one"])
    ticket = todo.take()
    assert ticket is not None
    todo.finish(ticket)
    with pytest.raises(KeyError):
        todo.finish(ticket)
    with pytest.raises(KeyError):
        todo.lose(ticket)


GPU_NODE = {"CPU": 32.0, "GPU": 8.0}
CPU_NODE = {"CPU": 16.0}


@pytest.mark.parametrize(
    ("nodes", "gpus", "cpus", "share", "places"),
    [
        ([GPU_NODE, GPU_NODE, CPU_NODE], None, 0, Share(1, 1), 16),  # the node without is left out
        ([GPU_NODE], 0.5, 0, Share(1, 0.5), 16),
        ([GPU_NODE], 0.3, 0, Share(1, 0.3), 24),  # three on each GPU, and a tenth of each unused
        ([GPU_NODE], 2.0, 0, Share(1, 2.0), 4),
        ([{"CPU": 4.0, "GPU": 8.0}], None, 0, Share(1, 1), 4),  # cores run out first
        ([GPU_NODE], None, 8, Share(8, 1), 4),
        ([CPU_NODE, {"CPU": 6.0}], None, 0, Share(4, 0), 5),
        ([{"CPU": 2.0}], None, 0, Share(2, 0), 1),
        ([CPU_NODE], None, 1, Share(1, 0), 16),
        ([CPU_NODE], 1.0, 0, Share(1, 1), 0),  # what was asked for is not replaced by less
        ([{}], None, 0, Share(1, 0), 0),  # a head that only hands out
        ([], None, 0, Share(1, 0), 0),
    ],
)
def test_so_many_workers_as_the_nodes_have_room_for(
    nodes: list[dict[str, float]], gpus: float | None, cpus: int, share: Share, places: int
) -> None:
    assert choose_share(nodes, gpus, cpus) == share
    assert count_places(nodes, share) == places


def test_a_share_is_spelt_for_people() -> None:
    assert str(Share(1, 0)) == "1 core"
    assert str(Share(4, 0.5)) == "0.5 GPUs and 4 cores"


def test_64_gpus_stand_idle_for_at_most_3_percent_of_a_show() -> None:
    bench = load_bench()
    for seed in range(5):
        first = bench.simulate_show(seed)
        arrival = bench.simulate_show(seed, sort=False)
        assert first.finished == arrival.finished == 1_000
        assert first.idle_share <= 0.03
        assert first.idle_share < arrival.idle_share
        dying = bench.simulate_show(seed, dying=2)
        assert dying.finished == 1_000
        assert dying.idle_share <= 0.03


def test_the_simulation_counts_what_stands_idle() -> None:
    """Items of 4, 3 and 3 seconds on two workers: one ends after 4, the other after 6."""
    bench = load_bench()
    run = bench.simulate([4, 3, 3], [4, 3, 3], 2)
    assert run.makespan_s == bench.OPENING_S + 6
    assert run.worked_s == 10
    assert run.there_s == 2 * (bench.OPENING_S + 6)
    lost = bench.simulate([4, 3, 3], [4, 3, 3], 2, deaths=[bench.OPENING_S + 1])
    assert lost.finished == 3
    assert lost.makespan_s == bench.OPENING_S + 10  # the other does 3, then 4 again, then 3
