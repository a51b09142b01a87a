"""Do the same work on many items over the cores of this machine, an engine open in each process.

`cluster.py` offers a function of the same signature over Ray; stages know neither.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import Any, Generic, Protocol, TypeVar

from podcaster.engines import open_engine
from podcaster.errors import EngineError, PodcasterError

Item = TypeVar("Item")
Result = TypeVar("Result")

# a process takes about as long to start as this many clips take to speak
ITEMS_WORTH_A_PROCESS = 24


class Opener(Protocol):
    """How to open what works on items, in any process: names and plain values, no open engine."""

    @property
    def stage(self) -> str:
        """The stage that it works for."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    def open(self) -> Any:
        """Open it; the caller closes it. Raises PodcasterError."""


@dataclass(frozen=True)
class EngineSpec:
    """How to open an engine, in any process: names and plain values, nothing pickled."""

    stage: str
    name: str
    settings: dict[str, Any] = field(default_factory=dict)

    def open(self) -> Any:
        """Open the engine. Raises PodcasterError."""
        return open_engine(self.stage, self.name, **self.settings)


class Mapper(Protocol):
    """What `map_locally` and Ray have in common, their own settings bound."""

    def __call__(
        self,
        items: Sequence[Item],
        work: Callable[[Any, Item], Result],
        spec: Opener,
        *,
        size: Callable[[Item], float] | None = None,
    ) -> "Iterator[Outcome[Item, Result]]":
        """Yield an outcome per item as they finish; larger ones are begun earlier."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """What became of an item: a result, or the error that kept it from having one."""

    item: Item
    result: Result | None
    error: PodcasterError | None
    seconds: float


def map_locally(
    items: Sequence[Item],
    work: Callable[[Any, Item], Result],
    spec: Opener,
    workers: int = 0,
    *,
    size: Callable[[Item], float] | None = None,
    items_worth_a_process: int = ITEMS_WORTH_A_PROCESS,
) -> Iterator[Outcome[Item, Result]]:
    """Yield an outcome per item as they finish, in any order; with `size`, the largest first.

    `work(engine, item)` must be a function of a module, for it runs in other processes; with one
    worker, or few items, it runs in this one. An item that fails does not stop the others.
    Closing the iterator stops what has not begun. Raises EngineError if a worker is killed.
    """
    if not items:
        return
    if size is not None:
        items = sorted(items, key=size, reverse=True)
    count = min(workers or os.cpu_count() or 1, -(-len(items) // items_worth_a_process))
    if count <= 1:
        with closing(spec.open()) as engine:
            for item in items:
                yield attempt(engine, work, item)
        return
    pool = ProcessPoolExecutor(
        count, mp_context=get_context("spawn"), initializer=_prepare_worker, initargs=(spec,)
    )
    try:
        futures = [pool.submit(_work_in_worker, work, item) for item in items]
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        raise EngineError(
            f"A worker of the {spec.stage} engine {spec.name!r} died, perhaps for lack of memory.",
            next_step=f"Run it again with fewer workers ([{spec.stage}] workers = 1): "
            "what was finished is kept.",
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def attempt(engine: Any, work: Callable[[Any, Item], Result], item: Item) -> Outcome[Item, Result]:
    """Work on one item: its outcome, with the PodcasterError that it raised, and how long it took.

    Other exceptions are faults of ours and pass.
    """
    started = time.monotonic()
    try:
        result, failure = work(engine, item), None
    except PodcasterError as error:
        result, failure = None, error
    return Outcome(item, result, failure, round(time.monotonic() - started, 4))


class _Worker:
    """What a worker process keeps between items."""

    spec: Opener
    engine: Any = None


def _prepare_worker(spec: Opener) -> None:
    # Ctrl-C reaches the whole process group; the driver decides what happens then
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _Worker.spec = spec


def _work_in_worker(work: Callable[[Any, Item], Result], item: Item) -> Outcome[Item, Result]:
    # opened with the first item and not in the initializer, whose errors a pool does not tell
    if _Worker.engine is None:
        try:
            _Worker.engine = _Worker.spec.open()
        except PodcasterError as error:
            return Outcome(item, None, error, 0.0)
    return attempt(_Worker.engine, work, item)
