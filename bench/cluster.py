"""What Ray costs beside the plain loop, on one machine and in one run.

    python bench/cluster.py

Each item comes back as an hour's transcript of 10,000 words with times. The cost of handing out
is measured on items that take no time, and on items of a known time of the processor; two workers
against one on items that sleep, which shows the handing out itself, and on the processor, which
also shows what the machine's cores have left. The shares for an hour-long recording assume 60 to
115 seconds of work, as large speech models need on a GPU. Prints one JSON line; without Ray it says
so and ends.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from podcaster.cluster import connect, map_on_cluster
from podcaster.errors import EngineMissing
from podcaster.mapping import Outcome, map_locally
from podcaster.model import Transcript, Utterance, Word

HOUR_WORDS = 10_000
QUICK, SLEEPS, BUSY = 60, 8, 2  # items of each kind
SLEEP_S, BUSY_S = 2.0, 3.0
ROUNDS = 3  # in turns; the quickest of each kind has met the least of other programs
HOUR_S = (60.0, 115.0)


@dataclass(frozen=True)
class NoEngine:
    """Opens what takes no time to open: what is left is Ray's."""

    stage: str = "bench"
    name: str = "none"

    def open(self) -> "NoEngine":
        """Itself."""
        return self

    def close(self) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Task:
    """Seconds to sleep, and seconds of the processor's time to use up."""

    sleep_s: float = 0.0
    busy_s: float = 0.0


@dataclass(frozen=True)
class Done:
    """Who did it and when it was begun, beside an hour's words."""

    worker: int
    begun_at: float
    words: Transcript


def do(engine: NoEngine, task: Task) -> Done:
    """Spend the time, and make an hour's words."""
    begun_at = time.time()
    time.sleep(task.sleep_s)
    until = time.process_time() + task.busy_s
    while time.process_time() < until:
        sum(range(1000))
    words = tuple(
        Word(text=f"word{n}", start_s=0.36 * n, end_s=0.36 * n + 0.3, probability=0.9)
        for n in range(HOUR_WORDS)
    )
    said = Utterance(text="An hour.", start_s=0.0, end_s=3600.0, words=words)
    return Done(os.getpid(), begun_at, Transcript(language="en", utterances=(said,), engine="none"))


def over_ray(workers: int) -> Callable[[list[Task]], Iterator[Outcome[Task, Done]]]:
    """The map over so many actors of one core."""
    return lambda tasks: map_on_cluster(tasks, do, NoEngine(), workers=workers, cpus_per_worker=1)


def plain(tasks: list[Task]) -> Iterator[Outcome[Task, Done]]:
    """The plain loop."""
    return map_locally(tasks, do, NoEngine(), workers=1)


def run(mapper: Callable[[list[Task]], Iterator[Outcome[Task, Done]]], tasks: list[Task]) -> Any:
    """Seconds in all, seconds from the first beginning on, seconds until each worker began."""
    started = time.time()
    done = [outcome.result for outcome in mapper(tasks)]
    ended = time.time()
    assert len(done) == len(tasks)
    begun: dict[int, float] = {}
    for one in done:
        assert one is not None
        begun[one.worker] = min(begun.get(one.worker, ended), one.begun_at)
    starts = [at - started for at in begun.values()]
    return ended - started, ended - started - min(starts), starts


def measure() -> dict[str, Any]:
    """All of it, on a cluster of two cores that is started for it."""
    tasks = {
        "quick": [Task()] * QUICK,
        "sleeping": [Task(sleep_s=SLEEP_S)] * SLEEPS,
        "busy": [Task(busy_s=BUSY_S)] * BUSY,
    }
    ways = {"plain": plain, "one": over_ray(1), "two": over_ray(2)}
    run(over_ray(1), tasks["quick"][:4])  # the first process pays for the disk
    seconds: dict[tuple[str, str], list[float]] = {}
    starts: list[float] = []
    for _ in range(ROUNDS):
        for kind, items in tasks.items():
            for way, mapper in ways.items():
                _, worked_s, started_s = run(mapper, items)
                seconds.setdefault((kind, way), []).append(worked_s)
                starts += [max(started_s) / len(started_s)] if way == "two" else []
    best = {key: min(times) for key, times in seconds.items()}
    item_s = (best["quick", "one"] - best["quick", "plain"]) / QUICK
    return {
        "start_s_per_actor": round(statistics.median(starts), 3),
        "worst_start_s_per_actor": round(max(starts), 3),
        "overhead_ms_per_item": round(1000 * item_s, 2),
        "overhead_share_of_an_hour": [round(item_s / hour_s, 6) for hour_s in HOUR_S],
        "sleeping_item_s": SLEEP_S,
        "overhead_share_sleeping": round(
            best["sleeping", "one"] / best["sleeping", "plain"] - 1, 4
        ),
        "two_workers_to_one_sleeping": round(best["sleeping", "one"] / best["sleeping", "two"], 3),
        "busy_item_s": BUSY_S,
        "overhead_share_busy": round(best["busy", "one"] / best["busy", "plain"] - 1, 4),
        "two_workers_to_one_busy": round(best["busy", "one"] / best["busy", "two"], 3),
    }


def main() -> None:
    """Print the line."""
    started = time.time()
    try:
        with connect("local"):
            connected_s = round(time.time() - started, 2)
            measured = measure()
    except EngineMissing as error:
        print(error, file=sys.stderr)
        return
    cores = len(os.sched_getaffinity(0))
    print(json.dumps({"bench": "cluster", "cores": cores, "ray_start_s": connected_s, **measured}))


if __name__ == "__main__":
    main()
