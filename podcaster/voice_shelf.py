"""The folder `voices/` while it is changed: one process at a time, and whole voices only."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from podcaster.errors import RunLocked
from podcaster.run import make_folder, writing

_OLD = ".old"
WORKBENCH = ".adding"  # in voices/: what is not yet, or no longer, a voice


@contextmanager
def lock_voices(home: Path) -> Iterator[None]:
    """Hold the library for a change, and clear away what a killed process has left.

    Raises RunLocked where another process holds it, RunError.
    """
    import filelock

    voices = home / "voices"
    make_folder(voices)
    lock = filelock.FileLock(voices / ".lock", timeout=0)
    with writing(voices / ".lock"):
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise RunLocked(
                f"The voices in {voices} are being changed by another process.",
                next_step="Wait for it to end, then type the same command again.",
            ) from error
    try:
        clear_workbench(voices)
        yield
    finally:
        with suppress(OSError):
            (voices / WORKBENCH).rmdir()
        lock.release()


def put_in_place(made: Path, final: Path) -> None:
    """Rename a finished folder from the workbench; what was there before goes. Raises RunError."""
    with writing(final):
        if final.is_symlink():
            final.unlink()
        elif final.exists():
            # should the process be killed right here, the next one puts it back
            final.rename(made.parent / f"{final.name}{_OLD}")
        made.rename(final)


def discard(path: Path) -> None:
    """Remove a voice's folder: first by name, so that no half of it is ever a voice. RunError.

    A link is removed, and what it leads to is left alone.
    """
    with writing(path):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
        place = make_workplace(path.parent) / "removed"
        path.rename(place)
        shutil.rmtree(place.parent)


def make_workplace(voices: Path) -> Path:
    """A new folder on the workbench; hold the library's lock. Raises RunError."""
    bench = voices / WORKBENCH / secrets.token_hex(4)
    make_folder(bench)
    return bench


def clear_workbench(voices: Path) -> None:
    """Remove what is on the workbench, and put back what has lost its place. Raises RunError."""
    with writing(voices / WORKBENCH):
        for bench in (voices / WORKBENCH).glob("*"):
            for old in bench.glob(f"*{_OLD}"):
                final = voices / old.name.removesuffix(_OLD)
                if not final.exists() and not final.is_symlink():
                    old.rename(final)
            shutil.rmtree(bench)
