"""How long GPUs stand idle while a show's recordings are worked off, by simulation.

    python bench/scheduling.py

1,000 recordings of lognormal length (20 to 180 minutes) on 64 GPUs, handed out by the very
`WorkList` that a cluster's actors are fed from; only the clock is simulated. Idle is what the GPUs
have in all until the last recording is done, less what they work. Prints one JSON line: longest
first, in the order of arrival, with lengths that foretell the time badly, and with two GPUs that
die (each loses what it held and never comes back; until it dies, it counts).
"""

import heapq
import json
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from podcaster.scheduling import WorkList

RECORDINGS, GPUS, SEEDS = 1_000, 64, 20
TYPICAL_S, SPREAD = 65 * 60.0, 0.45  # median, and the standard deviation of its logarithm
SHORTEST_S, LONGEST_S = 20 * 60.0, 180 * 60.0
SPEED = 40.0  # seconds of sound a second, between the 31 and 60 seen on GPUs
OPENING_S = 20.0  # an engine's models, once
NOISE = 0.2  # standard deviation of the logarithm of the time that a length foretells


@dataclass(frozen=True)
class Simulated:
    """What came of it, in seconds of the simulated clock."""

    makespan_s: float
    worked_s: float  # what counted, without what was lost with a GPU
    there_s: float  # the time that the GPUs were there
    finished: int

    @property
    def idle_share(self) -> float:
        """The part of the GPUs' time in which nothing was done that counts."""
        return 1 - self.worked_s / self.there_s


def draw_lengths(count: int, seed: int) -> list[float]:
    """Lengths of recordings in seconds of sound."""
    draw = random.Random(seed)
    lengths: list[float] = []
    while len(lengths) < count:
        length_s = TYPICAL_S * draw.lognormvariate(0.0, SPREAD)
        if SHORTEST_S <= length_s <= LONGEST_S:
            lengths.append(length_s)
    return lengths


def simulate(
    predicted: Sequence[float],
    actual: Sequence[float],
    workers: int,
    *,
    sort: bool = True,
    deaths: Sequence[float] = (),
) -> Simulated:
    """Work off items that take `actual` seconds, on what is known before: `predicted`.

    At each of the times `deaths` one worker is gone for good, with what it held.
    """
    todo = WorkList(range(len(actual)), size=predicted.__getitem__ if sort else None)
    ends_at = dict(enumerate(deaths))  # by worker
    idle = [(OPENING_S, worker) for worker in range(workers)]  # when which asks for work
    heapq.heapify(idle)
    gone: list[float] = []
    parked: list[int] = []  # those that found nothing waiting: called again if a holder dies
    makespan_s = worked_s = 0.0
    finished = 0
    held: list[tuple[float, int, object]] = []
    while idle or held:
        if idle and (not held or idle[0][0] <= held[0][0]):
            now_s, worker = heapq.heappop(idle)
            ticket = todo.take()
            if ticket is None:
                parked.append(worker)
                continue
            end_s = now_s + actual[ticket.item]
            heapq.heappush(held, (min(end_s, ends_at.get(worker, end_s)), worker, ticket))
            continue
        now_s, worker, ticket = heapq.heappop(held)
        if now_s == ends_at.get(worker):
            todo.lose(ticket)
            gone.append(now_s)
            for other in parked:
                heapq.heappush(idle, (now_s, other))
            parked.clear()
            continue
        todo.finish(ticket)
        finished += 1
        worked_s += actual[ticket.item]
        makespan_s = max(makespan_s, now_s)
        heapq.heappush(idle, (now_s, worker))
    there_s = sum(gone) + makespan_s * (workers - len(gone))
    return Simulated(makespan_s, worked_s, there_s, finished)


def simulate_show(seed: int, *, sort: bool = True, noise: float = 0.0, dying: int = 0) -> Simulated:
    """One show on the cluster that this page is about."""
    predicted = draw_lengths(RECORDINGS, seed)
    draw = random.Random(seed + 1_000_000)
    actual = [length / SPEED * draw.lognormvariate(0.0, noise) for length in predicted]
    mean_s = OPENING_S + sum(actual) / GPUS
    deaths = [mean_s * draw.uniform(0.2, 0.9) for _ in range(dying)]
    return simulate(predicted, actual, GPUS, sort=sort, deaths=deaths)


def measure(**how: float) -> dict[str, float]:
    """Several shows: idle share in the mean and at worst, minutes until all is done."""
    runs = [simulate_show(seed, **how) for seed in range(SEEDS)]  # type: ignore[arg-type]
    assert all(run.finished == RECORDINGS for run in runs)
    return {
        "idle_share": round(statistics.mean(run.idle_share for run in runs), 4),
        "worst_idle_share": round(max(run.idle_share for run in runs), 4),
        "minutes": round(statistics.mean(run.makespan_s for run in runs) / 60, 2),
    }


def main() -> None:
    """Print the line."""
    print(
        json.dumps(
            {
                "bench": "scheduling",
                "recordings": RECORDINGS,
                "gpus": GPUS,
                "shows": SEEDS,
                "sound_seconds_per_second": SPEED,
                "opening_s": OPENING_S,
                "longest_first": measure(),
                "order_of_arrival": measure(sort=False),
                "longest_first_badly_foretold": measure(noise=NOISE),
                "longest_first_two_die": measure(dying=2),
                "badly_foretold_and_two_die": measure(noise=NOISE, dying=2),
            }
        )
    )


if __name__ == "__main__":
    main()
