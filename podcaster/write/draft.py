"""The draft: what a killed run had already decided, so that going on gives the same script.

One JSON line per step, appended as soon as the step is done. The first line is the fingerprint of
everything that decides the script; a draft with another one is started anew. A torn last line is
cut off: its step is done again, and comes out the same.
"""

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from podcaster.errors import RunError
from podcaster.run import make_folder, writing

LARGEST_DRAFT_BYTES = 64_000_000


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    value: Any


class Draft:
    """Steps by key, on disk; a context manager."""

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        make_folder(path.parent)
        with writing(path):
            steps, end = _read_steps(path, fingerprint)
            self._file = path.open("r+b" if steps is not None else "wb")
            self._steps: dict[str, Any] = steps or {}
            if steps is None:
                self._write("fingerprint", fingerprint)
            else:
                self._file.truncate(end)
                self._file.seek(end)
        self.reused = 0

    def step(self, key: str, decide: Callable[[], Any]) -> Any:
        """Return what was decided under `key`, or decide now and remember it.

        What is decided must be plain data (as JSON has it). Raises RunError where the disk refuses.
        """
        if key in self._steps:
            self.reused += 1
            return self._steps[key]
        value = msgspec.to_builtins(decide())
        self._steps[key] = value
        with writing(self._path):
            self._write(key, value)
        return value

    def __enter__(self) -> "Draft":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _write(self, key: str, value: Any) -> None:
        # flushed, not synced: a killed process loses nothing, a power cut only the last steps
        self._file.write(msgspec.json.encode(_Line(key, value)) + b"\n")
        self._file.flush()


def _read_steps(path: Path, fingerprint: str) -> tuple[dict[str, Any] | None, int]:
    """The steps of a draft with this fingerprint, and where its last whole line ends."""
    try:
        if os.stat(path).st_size > LARGEST_DRAFT_BYTES:  # noqa: PTH116 - follows a link as open does
            raise RunError(
                f"The draft {path} is larger than any that podcaster writes.",
                next_step=f"Remove {path} and type the same command again.",
            )
        data = path.read_bytes()
    except FileNotFoundError:
        return None, 0
    steps: dict[str, Any] = {}
    end = 0
    for line in data.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            step = msgspec.json.decode(line, type=_Line)
        except (msgspec.MsgspecError, RecursionError):
            break
        steps[step.key] = step.value
        end += len(line)
    if steps.pop("fingerprint", None) != fingerprint:
        return None, 0
    return steps, end
