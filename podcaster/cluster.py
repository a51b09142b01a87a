"""Work over a Ray cluster: an engine open in an actor per GPU, outcomes streamed to the driver.

The only module that imports Ray. What decides who does what next is in `scheduling`.
"""

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from podcaster import __version__
from podcaster.actor import Absent, Worker
from podcaster.errors import EngineError, EngineMissing, InputError, PodcasterError
from podcaster.joining import LOCAL, check_address, explain_refusal
from podcaster.mapping import Opener, Outcome
from podcaster.scheduling import Share, Ticket, WorkList, choose_share, count_places

Item = TypeVar("Item")
Result = TypeVar("Result")

POLL_S = 1.0  # how often new nodes are looked for
PATIENCE_S = 300.0  # for the first worker: other people's work may hold the cluster
MOST_STILLBORN = 3  # workers in a row that die before they say where they are
CLOSING_S = 10.0

# Ray reads them when it is imported, and hands them to what it starts
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # what is left is 127.0.0.1, on Linux as well


@dataclass(frozen=True)
class Room:
    """What a cluster has for us: nodes, what a worker gets of one, and how many they have room for.

    `places` counts what the nodes have in all, in use or not.
    """

    nodes: int
    share: Share
    places: int


@contextmanager
def connect(address: str | None = None) -> Iterator[None]:
    """Join the Ray cluster at `address` and leave it again; or start one here, and end it.

    `address` is `host:port`, `auto` (one that runs on this machine) or `local`; None: what
    RAY_ADDRESS says, else local. A process that is already in a cluster stays in it.

    Raises EngineMissing where Ray is not installed, InputError where nothing answers or what
    answers is of another version, EngineError where it refuses us or does not start.
    """
    address = address or os.environ.get("RAY_ADDRESS") or LOCAL
    ray = import_ray(LOOPBACK if address == LOCAL else {})
    if ray.is_initialized():
        yield
        return
    told = {"log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        told |= {"address": LOCAL, "include_dashboard": False}
    else:
        check_address(address)
        told |= {"address": address}
    try:
        ray.init(**told)
    except Exception as error:
        raise explain_refusal(address, f"{type(error).__name__}: {error}") from error
    # what befalls nodes Ray prints to stdout, where a command's result goes; no option prevents it
    ray._private.worker._worker_logs_enabled = False
    try:
        yield
    finally:
        ray.shutdown()


def measure_room(gpus_per_worker: float | None = None, cpus_per_worker: int = 0) -> Room:
    """What the connected cluster has room for, by its own account and not by this machine's."""
    nodes = _alive_nodes(())
    share = choose_share([n["Resources"] for n in nodes], gpus_per_worker, cpus_per_worker)
    return Room(len(nodes), share, count_places([n["Resources"] for n in nodes], share))


def map_on_cluster(
    items: Sequence[Item],
    work: Callable[[Any, Item], Result],
    spec: Opener,
    *,
    size: Callable[[Item], float] | None = None,
    address: str | None = None,
    workers: int = 0,
    gpus_per_worker: float | None = None,
    cpus_per_worker: int = 0,
    files: Callable[[Item], Sequence[Path]] | None = None,
    note: Callable[[str], None] | None = None,
    patience_s: float = PATIENCE_S,
) -> Iterator[Outcome[Item, Result]]:
    """Yield an outcome per item as they finish, the largest begun first: `map_locally` over nodes.

    One actor per GPU, or per `gpus_per_worker` of one; where the cluster has none, per
    `cpus_per_worker` cores. At most `workers` (0: as many as there is room for, also on nodes that
    join later). With `workers`, nodes may come yet: their lack is waited out, and an autoscaler is
    told. Each opens its engine once from `spec` and holds one item at a time; when it or its node
    dies, that item is tried by another, and after `MOST_DEATHS` such deaths it is an EngineError.

    `files` names what an item reads: files that are not on a node are sent there for the time of
    the work. `note` is told of nodes that cannot take part. Closing the iterator kills the actors.

    Raises what `connect` raises; EngineMissing or EngineError where no node can open the engine,
    or no worker starts within `patience_s`.
    """
    if not items:
        return
    with connect(address):
        crew = _Crew(
            WorkList(items, size),
            lambda: measure_room(gpus_per_worker, cpus_per_worker),
            workers,
            (work, spec),
            files or (lambda _: ()),
            note or (lambda _: None),
            patience_s,
        )
        try:
            yield from crew.work_off()
        finally:
            crew.dismiss()


def import_ray(environment: Mapping[str, str] = MappingProxyType({})) -> Any:
    """Ray, quiet; `environment` is set before. Raises EngineMissing where it is not installed."""
    for name, value in {**QUIET, **environment}.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise EngineMissing(
            f"Work over a cluster needs Ray, which cannot be loaded: {error}.",
            next_step="Install it with `pip install 'podcaster[cluster]'`.",
        ) from error
    return ray


def _alive_nodes(refused: Sequence[str]) -> list[Any]:
    nodes = import_ray().nodes()
    return [node for node in nodes if node["Alive"] and node["NodeID"] not in refused]


class _Actor(Worker):
    """A worker that knows where it is."""

    def introduce(self) -> tuple[str, str, str]:
        """Its node's id, the node's name for people, and the version of podcaster there."""
        ray = import_ray()
        name = f"node {platform.node()} ({ray.util.get_node_ip_address()})"
        return ray.get_runtime_context().get_node_id(), name, __version__


@dataclass
class _Hand(Generic[Item]):
    """An actor as the driver sees it: what it is at (`task`), and where."""

    actor: Any
    answer: Any  # the ObjectRef of what it is at
    task: str = "starting"  # then "opening", "working", "closing"
    node_id: str = ""
    node: str = ""
    ticket: Ticket[Item] | None = None


class _Crew(Generic[Item, Result]):
    """The actors of one map: started where there is room, fed, replaced when they die."""

    def __init__(
        self,
        todo: WorkList[Item],
        measure: Callable[[], Room],
        most: int,
        job: tuple[Callable[[Any, Item], Result], Opener],
        files: Callable[[Item], Sequence[Path]],
        note: Callable[[str], None],
        patience_s: float,
    ) -> None:
        self.ray = import_ray()
        self.todo, self.measure, self.most, self.spec = todo, measure, most, job[1]
        self.files, self.note, self.patience_s = files, note, patience_s
        self.job = self.ray.put(job)
        self.hands: list[_Hand[Item]] = []
        self.refused: dict[str, PodcasterError] = {}  # by node: why the engine is not opened there
        self.stillborn = 0
        self.proven = False  # that the cluster can start a worker
        self.looked_at = -POLL_S
        self.waiting_since = time.monotonic()

    def work_off(self) -> Iterator[Outcome[Item, Result]]:
        """All items' outcomes. Raises PodcasterError when nothing more can be done."""
        while self.todo.unfinished:
            if time.monotonic() - self.looked_at >= POLL_S:
                self._hire()
            answers = {hand.answer: hand for hand in self.hands}
            if not answers:
                time.sleep(POLL_S)
                continue
            ready, _ = self.ray.wait(list(answers), num_returns=1, timeout=POLL_S)
            for answer in ready:
                outcome = self._hear(answers[answer])
                if outcome is not None:
                    yield outcome

    def dismiss(self) -> None:
        """Let the engines be closed where nothing is in the making, then end all actors."""
        closing = [hand.answer for hand in self.hands if hand.task == "closing"]
        if closing and not self.todo.unfinished:
            self.ray.wait(closing, num_returns=len(closing), timeout=CLOSING_S)
        for hand in self.hands:
            self.ray.kill(hand.actor)
        self.hands.clear()

    def _hire(self) -> None:
        """Start as many actors as there are items for them and room, or places asked for."""
        self.looked_at = time.monotonic()
        room = self.measure()
        nodes = [node["Resources"] for node in _alive_nodes(tuple(self.refused))]
        places = count_places(nodes, room.share)
        if not self._usable():
            self._check_hope(room, places)
        busy = sum(hand.task != "closing" for hand in self.hands)
        idle = sum(hand.task in ("starting", "opening") for hand in self.hands)
        wanted = min(self.most or places, busy + self.todo.waiting - idle)
        if self.stillborn >= MOST_STILLBORN and self._usable():
            return  # those that work go on alone
        for _ in range(wanted - busy):
            self._start(room.share)

    def _start(self, share: Share) -> None:
        options: dict[str, Any] = {"num_cpus": share.cpus, "num_gpus": share.gpus}
        if self.refused:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self.refused)})"}
        # max_restarts=0: Ray would restart the actor without its engine and without telling us
        made = self.ray.remote(_Actor).options(max_restarts=0, max_task_retries=0, **options)
        actor = made.remote(self.job)
        self.hands.append(_Hand(actor, actor.introduce.remote()))

    def _hear(self, hand: _Hand[Item]) -> Outcome[Item, Result] | None:
        """Take an actor's answer, and give it what is next before its outcome is dealt with."""
        try:
            answer = self.ray.get(hand.answer)
        except self.ray.exceptions.RayTaskError as error:
            answer = PodcasterError(f"A worker failed unforeseen: {_first_line(error)}")
        except self.ray.exceptions.RayError as error:
            return self._bury(hand, error)
        if hand.task == "starting":
            self._meet(hand, answer)
        elif hand.task == "opening":
            self._opened(hand, answer)
        elif hand.task == "working":
            return self._worked(hand, answer)
        else:
            self._drop(hand)
        return None

    def _meet(self, hand: _Hand[Item], answer: Any) -> None:
        if isinstance(answer, PodcasterError):
            raise answer
        hand.node_id, hand.node, version = answer
        self.stillborn, self.proven = 0, True
        if version != __version__:
            other = f"podcaster {version} is installed there, and {__version__} here."
            self._refuse(hand, EngineMissing(other, next_step="Install the same on every node."))
            return
        hand.task, hand.answer = "opening", hand.actor.open.remote()

    def _opened(self, hand: _Hand[Item], problem: PodcasterError | None) -> None:
        if problem is None:
            self._feed(hand)
        else:
            self._refuse(hand, problem)

    def _worked(self, hand: _Hand[Item], answer: Any) -> Outcome[Item, Result] | None:
        ticket = hand.ticket
        assert ticket is not None
        if isinstance(answer, Absent):
            try:
                sent = [self.ray.put(Path(name).read_bytes()) for name in answer.names]
            except (OSError, self.ray.exceptions.RayError) as error:
                answer = InputError(f"{answer.names[0]} cannot be sent to {hand.node}: {error}.")
            else:
                self._hand_out(hand, ticket, answer.names, sent)
                return None
        if isinstance(answer, PodcasterError):
            answer = Outcome(ticket.item, None, answer, 0.0)
        self.todo.finish(ticket)
        failed = isinstance(answer.error, EngineError)
        if failed and not isinstance(answer.error, EngineMissing):
            self._drop(hand)  # what a GPU's failure leaves behind would fail the next item, too
        else:
            self._feed(hand)
        return Outcome(ticket.item, answer.result, answer.error, answer.seconds)

    def _feed(self, hand: _Hand[Item]) -> None:
        hand.ticket = self.todo.take()
        if hand.ticket is None:  # others may need its GPU; should a holder die, one is started anew
            hand.task, hand.answer = "closing", hand.actor.close.remote()
        else:
            self._hand_out(hand, hand.ticket, (), ())

    def _hand_out(
        self, hand: _Hand[Item], ticket: Ticket[Item], names: Sequence[str], sent: Sequence[Any]
    ) -> None:
        sizes = {}
        for path in self.files(ticket.item):
            if path.is_file():  # what is not here either is the work's to tell
                sizes[str(path)] = path.stat().st_size
        hand.task = "working"
        hand.answer = hand.actor.do.remote(ticket.item, sizes, tuple(names), *sent)

    def _bury(self, hand: _Hand[Item], error: Exception) -> Outcome[Item, Result] | None:
        """The actor died, or cannot be reached: then it is killed, lest its item be done twice."""
        self._drop(hand)
        self.looked_at = -POLL_S
        if hand.task == "starting":
            self.stillborn += 1
            if self.stillborn >= MOST_STILLBORN and not self._usable():
                raise EngineError(
                    f"No worker starts on the cluster: {_first_line(error)}",
                    next_step="Install the same podcaster, with the same extras, on every node.",
                )
        elif hand.task == "opening" and any(
            node["NodeID"] == hand.node_id for node in _alive_nodes(())
        ):
            death = EngineError(
                f"A worker of the {self.spec.stage} engine {self.spec.name!r} died while it was "
                f"opened: {_first_line(error)}",
                next_step="It may lack memory: give a worker more of a node.",
            )
            self._refuse(hand, death)
        elif hand.ticket is not None and not self.todo.lose(hand.ticket):
            failure = EngineError(
                f"{hand.ticket.deaths} workers died while they worked on it, the last on "
                f"{hand.node}: {_first_line(error)}",
                next_step="It may be too long for the memory of a worker, or crash the engine.",
            )
            return Outcome(hand.ticket.item, None, failure, 0.0)
        return None

    def _refuse(self, hand: _Hand[Item], problem: PodcasterError) -> None:
        """Start no more on a node that cannot open the engine; raise if it was the last one."""
        self._drop(hand)
        told = type(problem)(f"On {hand.node}: {problem.message}", next_step=problem.next_step)
        if hand.node_id not in self.refused:
            self.note(str(told))
        self.refused[hand.node_id] = told
        if not self._usable() and not _alive_nodes(tuple(self.refused)):
            raise told

    def _drop(self, hand: _Hand[Item]) -> None:
        self.hands = [other for other in self.hands if other is not hand]
        self.ray.kill(hand.actor)

    def _usable(self) -> bool:
        """Whether any actor has started, so that the cluster has shown that it has a place."""
        usable = any(hand.task != "starting" for hand in self.hands)
        if usable:
            self.waiting_since = time.monotonic()
        return usable

    def _check_hope(self, room: Room, places: int) -> None:
        """Raise where no worker will ever start, or none has for too long."""
        if not places and self.refused:
            raise next(iter(self.refused.values()))
        waited_s = time.monotonic() - self.waiting_since
        # a node that died may come back; one that never was there is hoped for only if asked for
        hopeful = self.proven or self.most
        if not places and (not hopeful or waited_s > self.patience_s):
            raise EngineError(
                f"No node of the cluster has the {room.share} that a worker needs; "
                f"it has {room.nodes} nodes.",
                next_step="Ask for less with [cluster] gpus_per_worker or cpus_per_worker, or join "
                "a node with `ray start --address=HOST:PORT`.",
            )
        if waited_s > self.patience_s:
            raise EngineError(
                f"No worker could start within {self.patience_s:g} s: the cluster has {places} "
                f"places of {room.share}, and others hold them.",
                next_step="See who with `ray status`, and run it again later.",
            )


def _first_line(error: Exception) -> str:
    """What of a Ray error's many lines says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Error: " in line or "death" in line]
    return (telling[-1] if telling else lines[0] if lines else type(error).__name__)[:300]
