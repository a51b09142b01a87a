"""A run folder: its lock, its records, its log, and writing that is all or nothing.

The record is the commit. A payload is written under a temporary name, synced, and renamed; the
record that names its hash is written last, the same way. What has no record was not done, and
what does not have the recorded hash is not believed.
"""

import errno
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from podcaster.errors import ConfigError, InputError, RunError, RunLocked
from podcaster.model import Noun, Record, parse, slugify, to_json

RECORD_NAME = "record.json"
TEMPORARY_SUFFIX = ".tmp"


RunKind = Literal["episode", "show"]


class RunInfo(Noun, frozen=True):
    """What `run.json` says: written once, when the run is made."""

    name: str
    kind: RunKind
    created_at: str
    seed: int
    version: str


class Run:
    """One run folder. Use `create_run` or `open_run`; hold `lock()` while changing it."""

    def __init__(self, path: Path, info: RunInfo) -> None:
        self.path = path
        self.info = info

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.info.name

    def stage_folder(self, stage: str) -> Path:
        """The folder of a stage's payloads; made if it is not there."""
        folder = self.path / stage
        make_folder(folder)
        return folder

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process.

        The lock belongs to the operating system, so a killed process leaves none behind.
        Raises RunLocked if another process holds it.
        """
        import filelock

        lock = filelock.FileLock(self.path / ".lock", timeout=0)
        with writing(self.path / ".lock"):
            try:
                lock.acquire()
            except filelock.Timeout as error:
                raise RunLocked(
                    f"Run {self.name} is being worked on by another process.",
                    next_step="Wait for it to end, or stop it, then run "
                    f"`podcaster resume {self.name}`.",
                ) from error
        try:
            yield
        finally:
            lock.release()

    def log_event(self, event: str, **fields: Any) -> None:
        """Append one line to `events.jsonl`; a torn last line is harmless."""
        line = json.dumps({"at": round(time.time(), 3), "event": event, **fields})
        path = self.path / "events.jsonl"
        with writing(path), path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def create_run(home: Path, title: str, *, kind: RunKind, seed: int, version: str) -> Run:
    """Make a new run folder `runs/<title>-<date>-<4 hex>` in the workspace `home`.

    Raises RunError where the workspace cannot be written.
    """
    runs = home / "runs"
    make_folder(runs)
    now = time.gmtime()
    while True:
        suffix = secrets.token_hex(2)
        name = f"{slugify(title)}-{time.strftime('%Y%m%d', now)}-{suffix}"
        try:
            with writing(runs / name):
                (runs / name).mkdir()
            break
        except FileExistsError:
            continue
    return _write_info(runs / name, kind, seed, version)


def open_show_run(home: Path, title: str, *, version: str, create: bool = False) -> Run:
    """Open the run `runs/<title>` of a show, which is one for all time; with `create`, make it.

    Raises InputError where there is none, or where a run of another kind has its name.
    """
    path = home / "runs" / slugify(title, fallback="show")
    if not (path / "run.json").is_file():
        if not create:
            shows = ", ".join(list_runs(home, "show"))
            raise InputError(
                f"There is no show {path.name!r} in {home / 'runs'}; there is {shows or 'none'}.",
                next_step=f"Make it with `podcaster show add {path.name} SOURCE`.",
            )
        make_folder(path)
        return _write_info(path, "show", 0, version)
    info = parse(read_bytes(path / "run.json"), RunInfo, where=str(path / "run.json"))
    if info.kind != "show":
        raise InputError(
            f"The run {path.name} is an {info.kind}, not a show.",
            next_step="Give the show another name.",
        )
    return Run(path, info)


def _write_info(path: Path, kind: RunKind, seed: int, version: str) -> Run:
    info = RunInfo(
        name=path.name,
        kind=kind,
        created_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seed=seed,
        version=version,
    )
    write_atomic(path / "run.json", to_json(info))
    return Run(path, info)


def open_run(home: Path, reference: str, kind: RunKind | None = None) -> Run:
    """Open a run by its name, by an unambiguous beginning of it, or by `latest`.

    Raises InputError where there is no such run (of that kind), or more than one.
    """
    names = list_runs(home, kind)
    if reference == "latest" and names:
        matches = names[-1:]
    else:
        # a path to the folder is what tab completion gives
        wanted = reference.rstrip("/").rsplit("/", 1)[-1]
        matches = [n for n in names if n == wanted] or [
            n for n in names if wanted and n.startswith(wanted)
        ]
    others = [n for n in list_runs(home) if n == reference] if kind and not matches else []
    if others:
        raise InputError(
            f"The run {reference} is of another kind, expected one of an {kind}.",
            next_step="`podcaster show --help` says what can be done with a show.",
        )
    if not matches:
        raise InputError(
            f"There is no run {reference!r} in {home / 'runs'}.",
            next_step="List them with `podcaster runs list`.",
        )
    if len(matches) > 1:
        raise InputError(
            f"{reference!r} could be any of {len(matches)} runs: {', '.join(matches[:4])}.",
            next_step="Type more of the name.",
        )
    path = home / "runs" / matches[0]
    info = parse(read_bytes(path / "run.json"), RunInfo, where=str(path / "run.json"))
    return Run(path, info)


def list_runs(home: Path, kind: RunKind | None = None) -> list[str]:
    """Names of the workspace's runs (of one kind), oldest first."""
    runs = home / "runs"
    if not runs.is_dir():
        return []
    found = [entry.parent for entry in runs.glob("*/run.json")]
    if kind is not None:
        found = [path for path in found if _kind_of(path) == kind]
    return [p.name for p in sorted(found, key=lambda p: ((p / "run.json").stat().st_mtime, p.name))]


def _kind_of(path: Path) -> RunKind | None:
    try:
        return msgspec.json.decode((path / "run.json").read_bytes(), type=RunInfo).kind
    except (OSError, msgspec.MsgspecError):
        return None


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds all of it or what it held before.

    Raises RunError for a full disk or a folder that may not be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(data)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Lend a temporary path in the same folder; on success it is synced and becomes `path`.

    The suffix stays at the end (`episode.tmp.mp3`), for libraries that go by it.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.stem}{TEMPORARY_SUFFIX}{path.suffix}")
    with writing(path):
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing `path` into a RunError sentence."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        reason = {
            errno.ENOSPC: "the disk is full",
            errno.EDQUOT: "the disk quota is used up",
            errno.EROFS: "the file system is read-only",
            errno.EACCES: "this user may not write there",
            errno.EPERM: "this user may not write there",
            errno.ENOTDIR: "a part of its path is a file, not a folder",
            errno.ENAMETOOLONG: "the name is too long",
        }.get(error.errno or 0, error.strerror or str(error))
        raise RunError(
            f"Cannot write {path}: {reason}.",
            next_step="Make room or choose another workspace with --home, then type the same "
            "command (or `podcaster resume RUN`) again: nothing that was finished is lost.",
        ) from error


def make_folder(path: Path) -> None:
    """Make a folder and its parents. Raises RunError."""
    with writing(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:
            raise RunError(f"Cannot make the folder {path}: a file is in its place.") from error


def read_bytes(path: Path) -> bytes:
    """Read a whole file of our own. Raises RunError where it is missing or unreadable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror or error}.") from error


def sha256_file(path: Path) -> str:
    """Hash a file of any size. Raises RunError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise RunError(f"Cannot read {path}: {error.strerror or error}.") from error


def fingerprint(
    stage: str, version: int, options: Mapping[str, Any], engine: str, inputs: Mapping[str, str]
) -> str:
    """Hash everything that decides a stage's output: the same fingerprint, the same bytes.

    `options` must hold only those that affect the output (no device, no number of workers).
    """
    decided = {
        "stage": stage,
        "version": version,
        "options": options,
        "engine": engine,
        "inputs": inputs,
    }
    text = json.dumps(msgspec.to_builtins(decided), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_record(path: Path, record: Record) -> None:
    """Commit a unit of work. Its outputs must be in place before."""
    write_atomic(path, to_json(record))


def read_record(path: Path) -> Record | None:
    """Read a record; None where there is none, or where what is there cannot be believed."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except (OSError, msgspec.MsgspecError, ValueError):
        return None


def changed_outputs(record: Record, folder: Path) -> list[str]:
    """Names of a record's outputs that are missing or no longer have the recorded content."""
    return [
        name
        for name, expected in record.outputs.items()
        if not (folder / name).is_file() or sha256_file(folder / name) != expected
    ]


def check_workspace(home: Path) -> None:
    """Raise ConfigError where the workspace is not a folder."""
    if home.exists() and not home.is_dir():
        raise ConfigError(
            f"The workspace {home} is a file, not a folder.",
            next_step="Point --home (or PODCASTER_HOME) at a folder.",
        )


def _sync_folder(folder: Path) -> None:
    # so that the rename itself survives a power cut; not every file system lets a folder be opened
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
