"""Who gets which item next: the longest that waits; what a dead worker held is tried again.

Pure: no clock, no processes. `cluster` hands out work by it, and `bench/scheduling.py` simulates
with it.
"""

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")

MOST_DEATHS = 3  # of workers that held the same item: then the item is at fault
CORES_OF_A_WORKER = 4  # where there are no GPUs: what speech models still make use of


@dataclass
class Ticket(Generic[Item]):
    """An item that is handed out, or waits to be; `deaths` of workers that held it."""

    number: int
    item: Item
    size: float
    deaths: int = 0


class WorkList(Generic[Item]):
    """Items, longest first (LPT: Graham, Bounds on multiprocessing timing anomalies, 1969).

    A worker takes one item at a time, and gives it back when it is done or when the worker died.
    Long items at the end are what leaves workers idle, so that they come first; equal ones, and
    all of them without `size`, keep their order.
    """

    def __init__(
        self,
        items: Iterable[Item],
        size: Callable[[Item], float] | None = None,
        *,
        most_deaths: int = MOST_DEATHS,
    ) -> None:
        self.most_deaths = most_deaths
        tickets = [
            Ticket(number, item, size(item) if size else 0.0) for number, item in enumerate(items)
        ]
        self._waiting = [(-ticket.size, ticket.number, ticket) for ticket in tickets]
        heapq.heapify(self._waiting)
        self._held: set[int] = set()

    @property
    def waiting(self) -> int:
        """How many items nobody holds."""
        return len(self._waiting)

    @property
    def unfinished(self) -> int:
        """How many items wait or are held."""
        return len(self._waiting) + len(self._held)

    def take(self) -> Ticket[Item] | None:
        """The longest item that waits; None where all are held or finished."""
        if not self._waiting:
            return None
        ticket = heapq.heappop(self._waiting)[2]
        self._held.add(ticket.number)
        return ticket

    def finish(self, ticket: Ticket[Item]) -> None:
        """The item has its outcome. KeyError where nobody holds it."""
        self._held.remove(ticket.number)

    def lose(self, ticket: Ticket[Item]) -> bool:
        """The worker that held the item died. True: it waits again; False: it has cost too many.

        KeyError where nobody holds it.
        """
        self._held.remove(ticket.number)
        ticket.deaths += 1
        if ticket.deaths >= self.most_deaths:
            return False
        heapq.heappush(self._waiting, (-ticket.size, ticket.number, ticket))
        return True


@dataclass(frozen=True)
class Share:
    """What one worker needs of its node: processor cores, GPUs (a part of one, or whole ones)."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        parts = [f"{self.cpus:g} core{'s' if self.cpus != 1 else ''}"]
        if self.gpus:
            parts.insert(0, f"{self.gpus:g} GPU{'s' if self.gpus != 1 else ''}")
        return " and ".join(parts)


def choose_share(
    nodes: Sequence[Mapping[str, float]], gpus_per_worker: float | None, cpus_per_worker: int
) -> Share:
    """What a worker gets, where 0 or None leaves it to us.

    `nodes` are the nodes' resources, as Ray names them: `CPU`, `GPU`. One GPU where any node has
    one; else so many cores as speech models still make use of, or as the largest node has.
    """
    gpus = gpus_per_worker or (1.0 if any(node.get("GPU", 0) >= 1 for node in nodes) else 0.0)
    if gpus:
        return Share(cpus_per_worker or 1, gpus)
    largest = max((node.get("CPU", 0.0) for node in nodes), default=0.0)
    return Share(cpus_per_worker or max(1, min(CORES_OF_A_WORKER, math.floor(largest))), 0.0)


def count_places(nodes: Sequence[Mapping[str, float]], share: Share) -> int:
    """How many workers the nodes have room for, if nobody else used them."""
    return sum(_places_of(node, share) for node in nodes)


def _places_of(node: Mapping[str, float], share: Share) -> int:
    places = [math.floor(node.get("CPU", 0.0) / share.cpus)]
    if share.gpus > 1:  # more than one: Ray gives whole ones only
        places.append(math.floor(node.get("GPU", 0.0)) // math.ceil(share.gpus))
    elif share.gpus:  # a part: what is left of one GPU is not joined with another's
        places.append(math.floor(node.get("GPU", 0.0)) * math.floor(1 / share.gpus + 1e-9))
    return min(places)
