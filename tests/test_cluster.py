"""Work over real Ray nodes: what dies costs what it held, and nothing is lost or recorded twice."""

import contextlib
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from podcaster import doctor
from podcaster.actor import SENT_PREFIX
from podcaster.cluster import connect, map_on_cluster, measure_room
from podcaster.errors import ConfigError, EngineError, EngineMissing, InputError, PodcasterError
from podcaster.joining import check_address, explain_refusal
from podcaster.mapping import EngineSpec, Outcome
from podcaster.progress import Silence
from podcaster.recordings import Kept, Tally, Unit, UnitStage, run_units
from podcaster.run import Run, open_show_run, write_atomic
from podcaster.scheduling import Share

ray = pytest.importorskip("ray", reason="needs the extra cluster")
HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)
from cluster_engine import Job, Opener, do, free_port, told  # noqa: E402

pytestmark = [
    pytest.mark.engine,
    # Ray leaves sockets and log files to the collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster whose head only hands out; two nodes with a core each are added."""
    with pytest.MonkeyPatch.context() as patched:
        # the nodes' processes have it from us: they must be able to import `cluster_engine`
        patched.setenv("PYTHONPATH", HERE)
        yield from start_nodes()


def start_nodes() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    # how soon the head takes a node for dead that no longer answers; Ray itself: half a minute
    health = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": health}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    with connect(cluster.address):
        yield cluster
    cluster.shutdown()


def collect(outcomes: Iterator[Outcome[Job, str]]) -> dict[str, Outcome[Job, str]]:
    found: dict[str, Outcome[Job, str]] = {}
    for outcome in outcomes:
        assert outcome.item.name not in found
        found[outcome.item.name] = outcome
    return found


def jobs_of(folder: Path, count: int, **how: Any) -> list[Job]:
    return [Job(f"job{number}", str(folder), **how) for number in range(count)]


def jobs_that_need_both(folder: Path) -> list[Job]:
    """The first two wait until two workers are at them."""
    jobs = jobs_of(folder, 10)
    return [replace(job, meeting="both") for job in jobs[:2]] + jobs[2:]


def test_the_engine_is_opened_once_in_each_actor_and_closed(nodes: Any, tmp_path: Path) -> None:
    jobs = jobs_that_need_both(tmp_path)
    outcomes = collect(map_on_cluster(jobs, do, Opener(str(tmp_path)), cpus_per_worker=1))
    assert {name: outcome.result for name, outcome in outcomes.items()} == {
        job.name: job.name for job in jobs
    }
    opened = told(tmp_path, "open")
    assert len(opened) == len(set(opened)) == 2
    assert sorted(opened) == sorted(told(tmp_path, "close"))
    assert len({line.split()[1] for line in told(tmp_path, "begin")}) == 2  # on both nodes


def test_the_longest_is_begun_first(nodes: Any, tmp_path: Path) -> None:
    jobs = [Job(f"{size}", str(tmp_path)) for size in (3, 9, 1, 7, 5)]
    spec = Opener(str(tmp_path))
    outcomes = map_on_cluster(jobs, do, spec, size=lambda job: float(job.name), workers=1)
    assert [outcome.item.name for outcome in outcomes] == ["9", "7", "5", "3", "1"]
    assert [line.split()[0] for line in told(tmp_path, "begin")] == ["9", "7", "5", "3", "1"]


def test_errors_of_items_arrive_as_they_were(nodes: Any, tmp_path: Path) -> None:
    kinds = ["well", "bad input", "engine fails", "bug"]
    jobs = [Job(how, str(tmp_path), how=how) for how in kinds]
    found = collect(map_on_cluster(jobs, do, Opener(str(tmp_path)), cpus_per_worker=1))
    assert found["well"].error is None
    bad = found["bad input"].error
    assert type(bad) is InputError
    assert (bad.message, bad.next_step) == ("bad input has no sound.", "Give it some.")
    assert bad.exit_code == 3
    assert type(found["engine fails"].error) is EngineError
    bug = found["bug"].error
    assert type(bug) is PodcasterError
    assert "KeyError: 'bug'" in str(bug)


def test_an_actor_that_dies_costs_one_more_attempt(nodes: Any, tmp_path: Path) -> None:
    jobs = [Job("killer", str(tmp_path), how="die once"), *jobs_of(tmp_path, 6)]
    found = collect(map_on_cluster(jobs, do, Opener(str(tmp_path)), cpus_per_worker=1))
    assert all(outcome.error is None for outcome in found.values())
    begun = [line.split()[0] for line in told(tmp_path, "begin")]
    assert begun.count("killer") == 2
    assert len(begun) == len(jobs) + 1


def test_a_poison_item_does_not_stop_the_others(nodes: Any, tmp_path: Path) -> None:
    jobs = [Job("poison", str(tmp_path), how="die"), *jobs_of(tmp_path, 6)]
    found = collect(map_on_cluster(jobs, do, Opener(str(tmp_path)), cpus_per_worker=1))
    error = found.pop("poison").error
    assert type(error) is EngineError
    assert "3 workers died while they worked on it" in error.message
    assert len(found) == 6
    assert all(outcome.error is None for outcome in found.values())
    assert [line.split()[0] for line in told(tmp_path, "begin")].count("poison") == 3


def test_an_engine_that_is_missing_on_one_node_is_told_and_the_other_does_it(
    nodes: Any, tmp_path: Path
) -> None:
    jobs = jobs_of(tmp_path, 4)
    notes: list[str] = []
    spec = Opener(str(tmp_path), how="missing on the first")
    found = collect(map_on_cluster(jobs, do, spec, cpus_per_worker=1, note=notes.append))
    assert all(outcome.error is None for outcome in found.values())
    assert len(notes) == 1
    assert notes[0].startswith("On node ")
    assert "The model is not here. Get it with `get it`." in notes[0]
    assert len({line.split()[1] for line in told(tmp_path, "begin")}) == 1


@pytest.mark.parametrize(
    ("spec", "kind", "says"),
    [
        (Opener("", how="missing"), EngineMissing, r"On node .*: The model is not here\."),
        (Opener("", how="die"), EngineError, r"On node .* died while it was opened"),
        (EngineSpec("speak", "espeek"), PodcasterError, "On node .*no engine 'espeek'"),
    ],
)
def test_an_engine_that_opens_nowhere_ends_it(
    nodes: Any, spec: Any, kind: type[PodcasterError], says: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=says):
        list(map_on_cluster(jobs_of(tmp_path, 4), do, spec, cpus_per_worker=1))


def test_work_that_the_nodes_cannot_have_is_refused(nodes: Any, tmp_path: Path) -> None:
    spec = Opener(str(tmp_path))
    with pytest.raises(EngineError, match="No node of the cluster has the 1 GPU and 1 core"):
        list(map_on_cluster(jobs_of(tmp_path, 1), do, spec, gpus_per_worker=1))
    with pytest.raises(EngineError, match="No node of the cluster has the 64 cores"):
        list(
            map_on_cluster(
                jobs_of(tmp_path, 1), do, spec, cpus_per_worker=64, workers=2, patience_s=2
            )
        )


def test_closing_the_iterator_kills_the_actors(nodes: Any, tmp_path: Path) -> None:
    outcomes = map_on_cluster(
        jobs_of(tmp_path, 8, seconds=0.2), do, Opener(str(tmp_path)), cpus_per_worker=1
    )
    next(outcomes)
    outcomes.close()
    assert wait_until(lambda: ray.available_resources().get("CPU") == 2)
    assert len(told(tmp_path, "begin")) <= 4  # what was held was not finished
    again = collect(
        map_on_cluster(jobs_of(tmp_path, 2), do, Opener(str(tmp_path)), cpus_per_worker=1)
    )
    assert len(again) == 2


def test_files_that_a_node_has_are_read_where_they_are(nodes: Any, tmp_path: Path) -> None:
    here = tmp_path / "sound.txt"
    here.write_text("what is heard", encoding="utf-8")
    assert read_on_cluster(here, tmp_path) == "what is heard"
    assert told(tmp_path, "read") == [str(here)]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_files_that_a_node_lacks_are_sent_there_and_removed(nodes: Any, tmp_path: Path) -> None:
    """A file that this process alone has open under a number is on no node."""
    with tempfile.TemporaryFile() as file:
        file.write(b"what is heard")
        file.flush()
        number = os.dup2(file.fileno(), 987)
        try:
            assert read_on_cluster(Path(f"/proc/self/fd/{number}"), tmp_path) == "what is heard"
        finally:
            os.close(number)
    (place,) = told(tmp_path, "read")
    assert place.startswith(f"{tempfile.gettempdir()}/{SENT_PREFIX}")
    assert not Path(place).exists()
    assert not Path(place).parents[1].exists()


def test_what_was_sent_to_a_worker_that_died_is_removed_by_the_next(
    nodes: Any, tmp_path: Path
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = Path(tempfile.mkdtemp(prefix=f"{SENT_PREFIX}{ended.pid}-"))
    ours = Path(tempfile.mkdtemp(prefix=f"{SENT_PREFIX}{os.getpid()}-"))
    try:
        list(map_on_cluster(jobs_of(tmp_path, 1), do, Opener(str(tmp_path)), cpus_per_worker=1))
        assert not left.exists()
        assert ours.exists()
    finally:
        ours.rmdir()


def read_on_cluster(path: Path, folder: Path) -> str | None:
    jobs = [Job("far", str(folder), path=str(path))]
    (outcome,) = map_on_cluster(
        jobs, do, Opener(str(folder)), cpus_per_worker=1, files=lambda job: [Path(job.path)]
    )
    assert outcome.error is None
    assert outcome.item is jobs[0]
    return outcome.result


def wait_until(true: Callable[[], bool]) -> bool:
    while not true():
        time.sleep(0.1)
    return True


def test_a_node_is_killed_in_mid_work_and_another_joins(
    nodes: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told_in = tmp_path / "told"
    told_in.mkdir()
    run = open_show_run(tmp_path, "Tea Talk", version="0", create=True)
    victim = next(iter(nodes.worker_nodes))
    units = units_of(told_in, victim.node_id)
    kept: list[str] = []
    joined: list[Any] = []

    def kill_then_join(*arguments: Any, **named: Any) -> Iterator[Any]:
        outcomes = map_on_cluster(*arguments, cpus_per_worker=1, **named)
        for number, outcome in enumerate(outcomes):
            yield outcome
            if number == 3:  # the victim is at something that it will never end
                nodes.remove_node(victim, allow_graceful=False)  # SIGKILL
                joined.append(nodes.add_node(num_cpus=1))

    tally = Tally()
    with run.lock():
        run_units(run, stage_of(told_in, kept), units, kill_then_join, Silence(), tally)
    assert (tally.done, tally.reused, tally.failures) == (len(units), 0, [])
    assert sorted(kept) == sorted(unit.name for unit in units)  # each once: none lost, none twice
    begun = [line.split() for line in told(told_in, "begin")]
    names = [begin[0] for begin in begun]
    (twice,) = {name for name in names if names.count(name) > 1}
    assert len(names) == len(units) + 1
    assert next(begin[1] for begin in begun if begin[0] == twice) == victim.node_id
    assert joined[0].node_id in {begin[1] for begin in begun}
    assert_nothing_is_left_to_do(run, told_in, units)
    assert capfd.readouterr() == ("", "")  # stdout is for results, and Ray likes to tell of deaths


def units_of(told_in: Path, victim: str) -> list[Unit[Job]]:
    """The first two wait until both nodes have begun, the last two until there are two again.

    All others would never end on the node that is to be killed.
    """
    how = {11: {"meeting": "first"}, 10: {"meeting": "first"}}
    how |= {1: {"meeting": "last"}, 0: {"meeting": "last"}}
    return [
        Unit(
            f"r{n}",
            Job(f"r{n}", str(told_in), seconds=0.1, **how.get(n, {"endless_on": victim})),
            {"audio": f"{n}"},
            size=float(n),
        )
        for n in range(12)
    ]


def assert_nothing_is_left_to_do(run: Run, told_in: Path, units: list[Unit[Job]]) -> None:
    kept: list[str] = []
    tally = Tally()
    over = partial(map_on_cluster, cpus_per_worker=1)
    before = len(told(told_in, "begin"))
    run_units(run, stage_of(told_in, kept), units, over, Silence(), tally)
    assert (tally.done, tally.reused, tally.failures, kept) == (0, len(units), [], [])
    assert len(told(told_in, "begin")) == before


def stage_of(folder: Path, kept: list[str]) -> UnitStage[Job, str]:
    def keep(unit: Unit[Job], result: str, place: Path) -> Kept:
        kept.append(unit.name)
        write_atomic(place / f"{unit.name}.txt", result.encode())
        return Kept((f"{unit.name}.txt",))

    return UnitStage(
        name="transcribe",
        version=1,
        options={},
        engine="counted 1",
        spec=Opener(str(folder)),
        work=do,
        keep=keep,
    )


def test_room_is_what_the_cluster_says(nodes: Any) -> None:
    room = measure_room(cpus_per_worker=1)
    assert room.places == int(ray.cluster_resources()["CPU"])
    assert room.share.gpus == 0
    with contextlib.closing(map_on_cluster([], do, Opener(""))) as nothing:
        assert list(nothing) == []


def test_two_workers_share_the_gpu_of_the_one_node_that_has_it(nodes: Any, tmp_path: Path) -> None:
    """By Ray's account: no GPU is needed for it, and this machine is not asked for one."""
    node = nodes.add_node(num_cpus=2, num_gpus=1)
    try:
        assert measure_room().share == Share(cpus=1, gpus=1)  # it is used unasked
        assert measure_room(gpus_per_worker=0.5).places == 2
        jobs = jobs_that_need_both(tmp_path)
        found = collect(map_on_cluster(jobs, do, Opener(str(tmp_path)), gpus_per_worker=0.5))
    finally:
        nodes.remove_node(node)
    assert all(outcome.error is None for outcome in found.values())
    assert {line.split()[1] for line in told(tmp_path, "begin")} == {node.node_id}
    assert told(tmp_path, "gpus") == ["0", "0"]


def test_nobody_at_an_address_is_told_at_once() -> None:
    with pytest.raises(InputError, match=r"No Ray cluster answers at 127\.0\.0\.1:"):
        check_address(f"127.0.0.1:{free_port()}")


@pytest.mark.parametrize("address", ["here", "ray://10.0.0.1:10001", "10.0.0.1:", ":6379", "a:b"])
def test_what_is_no_address_is_told_so(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address of a Ray cluster, expected host:port"):
        check_address(address)


def test_what_answers_but_is_no_ray_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(InputError, match="did not let us join it as a Ray cluster"):
            check_address(f"127.0.0.1:{port}", join_s=4)


def test_another_version_is_told_in_a_sentence() -> None:
    from ray._private.utils import check_version_info

    with pytest.raises(RuntimeError) as caught:
        check_version_info({"ray_version": "2.1.0", "python_version": "3.8.1"}, "10.0.0.1")
    told_so = explain_refusal("10.0.0.1:6379", f"RuntimeError: {caught.value}")
    ours = f"{ray.__version__} and {platform.python_version()}"
    assert f"runs Ray and Python 2.1.0 and 3.8.1, and this machine {ours}" in str(told_so)


SECOND_DRIVER = """
import sys
from operator import attrgetter
from podcaster.cluster import map_on_cluster
from podcaster.errors import PodcasterError
from podcaster.mapping import EngineSpec
def work(engine, number):
    return number * number
try:
    spec = EngineSpec("speak", "espeak")
    for outcome in map_on_cluster(range(4), work, spec, address=sys.argv[1]):
        print(outcome.result)
except PodcasterError as error:
    print(error)
"""


START = ("start", "--head", "--block", "--num-cpus=1", "--include-dashboard=false")


def test_a_driver_joins_by_address_if_it_has_the_token(tmp_path: Path) -> None:
    """A head as people start it, `ray start --head`, in a process of its own."""
    port = free_port()
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0123456789abcdef" * 4}
    environment = {**os.environ, **token, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": HERE}
    ray_program = Path(sys.executable).with_name("ray")
    short = tempfile.mkdtemp(prefix="r")  # sockets lie in it, whose paths must be short
    head = subprocess.Popen(
        [ray_program, *START, f"--port={port}", f"--temp-dir={short}"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"127.0.0.1:{port}"
        assert wait_until(lambda: is_listening(port) or head.poll() is not None)
        joined = drive(address, environment)
        assert sorted(joined.stdout.split()) == ["0", "1", "4", "9"]
        assert joined.stderr == ""
        refused = drive(address, {**environment, "RAY_AUTH_TOKEN": "fedcba9876543210" * 4})
        assert "refuses us: its token is not ours" in refused.stdout
    finally:
        head.terminate()
        head.wait()
        shutil.rmtree(short, ignore_errors=True)


def drive(address: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SECOND_DRIVER, address],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )


def is_listening(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def test_the_doctor_tells_whether_the_cluster_answers(
    nodes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    (found,) = [one for one in doctor.examine(tmp_path, port=0) if one.what == "cluster"]
    assert (found.state, found.detail) == ("ok", f"Ray answers at {nodes.address}")
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    (lost,) = [one for one in doctor.examine(tmp_path, port=0) if one.what == "cluster"]
    assert lost.state == "warn"
    assert "No Ray cluster answers at" in lost.detail
    assert lost.next_step is not None
    assert "ray start --head" in lost.next_step
