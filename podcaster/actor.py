"""What runs in an actor on a node of a cluster: an open engine, and one item at a time.

Nothing here imports Ray at the top: the class becomes an actor in `cluster`.
"""

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import psutil

from podcaster.errors import EngineError, PodcasterError
from podcaster.mapping import Opener, Outcome, attempt

SENT_PREFIX = "podcaster-sent-"  # of folders of files that were sent; then the worker's process id


@dataclasses.dataclass(frozen=True)
class Absent:
    """An item's files that are not on the node: they are to be sent along."""

    names: tuple[str, ...]


class Worker:
    """An engine, opened once; the driver asks for one thing at a time.

    Failures are values, so that they arrive as they were: what an actor raises comes with a
    traceback instead of a sentence.
    """

    def __init__(self, job: tuple[Callable[[Any, Any], Any], Opener]) -> None:
        self.work, self.spec = job
        self.engine: Any = None
        remove_leftovers()

    def open(self) -> PodcasterError | None:
        """Open the engine: None, or why not."""
        try:
            self.engine = self.spec.open()
        except PodcasterError as error:
            return error
        except Exception as error:  # noqa: BLE001 (what it is, the driver tells)
            return EngineError(_describe(f"The engine {self.spec.name!r} cannot be opened", error))
        return None

    def do(
        self, item: Any, sizes: Mapping[str, int], names: tuple[str, ...], *sent: bytes
    ) -> Outcome[Any, Any] | Absent:
        """Work on an item: its outcome, or which of its files are not here.

        `sizes` are the bytes of the files that it reads, by path; `sent` is what is in `names`.
        """
        places: dict[str, str] = {}
        absent = tuple(n for n, size in sizes.items() if n not in names and not _is_here(n, size))
        if absent:
            return Absent((*names, *absent))
        with tempfile.TemporaryDirectory(prefix=f"{SENT_PREFIX}{os.getpid()}-") as folder:
            for number, (name, content) in enumerate(zip(names, sent, strict=True)):
                place = Path(folder) / str(number) / Path(name).name
                place.parent.mkdir()
                place.write_bytes(content)
                places[name] = str(place)
            try:
                outcome = attempt(self.engine, self.work, replace_paths(item, places))
            except Exception as error:  # noqa: BLE001 (a fault in one item must not stop a cluster)
                return Outcome(None, None, PodcasterError(_describe("It failed", error)), 0.0)
        return dataclasses.replace(outcome, item=None)  # the driver has it

    def close(self) -> None:
        """Close the engine."""
        if self.engine is not None:
            self.engine.close()


def remove_leftovers() -> None:
    """Remove the files that were sent to workers that died on this machine."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SENT_PREFIX}*"):
        number = folder.name.removeprefix(SENT_PREFIX).partition("-")[0]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            shutil.rmtree(folder, ignore_errors=True)  # another user's stays


def replace_paths(value: Any, places: Mapping[str, str]) -> Any:
    """The same value with the paths that are in `places` replaced, at any depth.

    Looks into dataclasses, structs, lists, tuples and values of dicts; strings and paths count.
    """
    if not places:
        return value
    if isinstance(value, str):
        return places.get(value, value)
    if isinstance(value, Path):
        return Path(places.get(str(value), value))
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(replace_paths(part, places) for part in value)
    if isinstance(value, dict):
        return {key: replace_paths(part, places) for key, part in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.init]
        changes = {name: replace_paths(getattr(value, name), places) for name in names}
        return dataclasses.replace(value, **changes)
    if isinstance(value, msgspec.Struct):
        names = list(value.__struct_fields__)
        changes = {name: replace_paths(getattr(value, name), places) for name in names}
        return msgspec.structs.replace(value, **changes)
    return value


def _is_here(name: str, size: int) -> bool:
    try:
        return Path(name).stat().st_size == size
    except OSError:
        return False


def _describe(what: str, error: Exception) -> str:
    text = str(error).strip() or "no reason given"
    return f"{what}: {type(error).__name__}: {text.splitlines()[0][:300]}."
