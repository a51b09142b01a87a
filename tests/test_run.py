"""Run folders: writing is all or nothing, records commit, locks hold, names are safe."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from podcaster.errors import ConfigError, InputError, RunError, RunLocked
from podcaster.model import Record
from podcaster.run import (
    atomic_path,
    changed_outputs,
    check_workspace,
    create_run,
    fingerprint,
    list_runs,
    open_run,
    read_record,
    sha256_file,
    write_atomic,
    write_record,
)


def make_run(home: Path, title: str = "Barack Obama"):  # noqa: ANN201
    return create_run(home, title, kind="episode", seed=7, version="0")


@pytest.mark.parametrize(
    ("title", "start"),
    [
        ("Barack Obama", "barack-obama-"),
        ("../../etc", "etc-"),
        ("Ólafur Grímsson", "olafur-grimsson-"),
        ("🎉🎉", "episode-"),
        ("محمد", "episode-"),
        ("x" * 300, "x" * 40 + "-"),
    ],
)
def test_any_name_makes_a_folder_inside_the_workspace(
    tmp_path: Path, title: str, start: str
) -> None:
    run = make_run(tmp_path, title)
    assert run.path.parent == tmp_path / "runs"
    assert re.fullmatch(re.escape(start) + r"\d{8}-[0-9a-f]{4}", run.name)
    assert open_run(tmp_path, run.name).info == run.info


def test_a_run_opens_by_its_beginning_its_path_and_as_the_latest(tmp_path: Path) -> None:
    first, second = make_run(tmp_path, "Ada"), make_run(tmp_path, "Bob")
    os.utime(first.path / "run.json", (1, 1))
    assert list_runs(tmp_path) == [first.name, second.name]
    assert open_run(tmp_path, "ada").name == first.name
    assert open_run(tmp_path, f"runs/{second.name}/").name == second.name
    assert open_run(tmp_path, "latest").name == second.name


def test_an_unknown_or_ambiguous_run_is_a_sentence(tmp_path: Path) -> None:
    make_run(tmp_path, "Ada")
    make_run(tmp_path, "Ada")
    with pytest.raises(InputError, match=r"no run 'bob'.*podcaster runs list"):
        open_run(tmp_path, "bob")
    with pytest.raises(InputError, match="could be any of 2 runs"):
        open_run(tmp_path, "ada")
    with pytest.raises(InputError, match="no run"):
        open_run(tmp_path, "../..")


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_atomic(path, b"old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_file_keeps_its_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a.mp3") as temporary:
        assert temporary.suffix == ".mp3"
        temporary.write_bytes(b"x")
    assert (tmp_path / "a.mp3").read_bytes() == b"x"


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / ".a.tmp.txt").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"Cannot write .*a\.txt: the disk is full\..*--home"):
        write_atomic(tmp_path / "a.txt", b"x" * 100_000)


def test_a_file_where_a_folder_should_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(RunError, match="a file is in its place"):
        make_run(tmp_path)
    with pytest.raises(ConfigError, match="is a file, not a folder"):
        check_workspace(tmp_path / "runs")


def make_record(outputs: dict[str, str]) -> Record:
    return Record(
        stage="mix",
        item="x",
        fingerprint="0" * 64,
        inputs={},
        options={},
        engine="e",
        outputs=outputs,
        seconds=1.0,
    )


def test_an_output_that_was_changed_or_is_missing_is_not_believed(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"a")
    write_atomic(tmp_path / "b", b"b")
    outputs = {name: sha256_file(tmp_path / name) for name in "ab"} | {"c": "0" * 64}
    write_record(tmp_path / "record.json", make_record(outputs))
    (tmp_path / "b").write_bytes(b"edited")
    record = read_record(tmp_path / "record.json")
    assert record is not None
    assert changed_outputs(record, tmp_path) == ["b", "c"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"stage": "mix"}', b"\xff\xfe"])
def test_a_torn_record_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "record.json").write_bytes(content)
    assert read_record(tmp_path / "record.json") is None
    assert read_record(tmp_path / "missing.json") is None


def test_a_fingerprint_changes_with_everything_that_decides_the_output() -> None:
    base = fingerprint("mix", 1, {"gap_ms": 180.0}, "e", {"a": "1"})
    assert base == fingerprint("mix", 1, {"gap_ms": 180.0}, "e", {"a": "1"})
    others = {
        fingerprint("speak", 1, {"gap_ms": 180.0}, "e", {"a": "1"}),
        fingerprint("mix", 2, {"gap_ms": 180.0}, "e", {"a": "1"}),
        fingerprint("mix", 1, {"gap_ms": 181.0}, "e", {"a": "1"}),
        fingerprint("mix", 1, {"gap_ms": 180.0}, "f", {"a": "1"}),
        fingerprint("mix", 1, {"gap_ms": 180.0}, "e", {"a": "2"}),
    }
    assert len(others) == 5
    assert base not in others


HOLD = """
import sys, time
from pathlib import Path
from podcaster.run import open_run
with open_run(Path(sys.argv[1]), "latest").lock():
    print("held", flush=True)
    time.sleep(600)
"""


def test_two_processes_cannot_hold_one_run_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunLocked, match=r"another process.*podcaster resume"), run.lock():
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with run.lock():
        run.log_event("locked")
    assert '"event": "locked"' in (run.path / "events.jsonl").read_text()
