"""The failures, each with its exit code.

    PodcasterError            1  a fault of ours
    ├── ConfigError           2  usage or configuration
    ├── InputError            3  a file, a feed, a name that came from outside
    ├── EngineError           4  a model or library failed
    │   └── EngineMissing     4  it is not installed or not downloaded
    ├── VoiceError            5  a voice is unknown or broken
    │   └── ConsentMissing    5  nobody allowed this voice to be cloned
    └── RunError              6  a run folder, a lock, a disk
        └── RunLocked         6  another process works on it

A message is one sentence: what went wrong, where, what was expected and what was
there instead. `next_step` is what the person should type or change now.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class PodcasterError(Exception):
    """A failure that is told to the person as a sentence, never as a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}" if self.next_step else self.message


class ConfigError(PodcasterError):
    """A flag, an environment variable or `podcaster.toml` says something impossible."""

    exit_code = 2


class InputError(PodcasterError):
    """What came from outside cannot be used: a file, a note, a script, a feed, a name."""

    exit_code = 3


class EngineError(PodcasterError):
    """A model or the library that runs it failed."""

    exit_code = 4


class EngineMissing(EngineError):
    """A library or a model is not on this machine; the next step says how to get it."""


class VoiceError(PodcasterError):
    """A voice is unknown, broken, or cannot speak this language."""

    exit_code = 5


class ConsentMissing(VoiceError):
    """A voice was asked for that nobody has allowed to be cloned."""


class RunError(PodcasterError):
    """A run folder cannot be read or written."""

    exit_code = 6


class RunLocked(RunError):
    """Another process is working on the same run."""


@contextmanager
def foreign(kind: type[PodcasterError], doing: str, *caught: type[Exception]) -> Iterator[None]:
    """Turn another library's exceptions into `kind`, with a sentence that says what was being done.

    Our own errors pass unchanged. With no `caught`, every `Exception` is turned.
    """
    kinds: tuple[type[Exception], ...] = caught or (Exception,)
    try:
        yield
    except PodcasterError:
        raise
    except kinds as error:
        text = str(error).strip() or type(error).__name__
        first_line = text.splitlines()[0]
        raise kind(f"{doing} failed: {first_line}.") from error
