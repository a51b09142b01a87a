"""What stage 1 makes and all others read: cleaned episodes, one JSON object a line."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from podcaster.errors import InputError, foreign
from recipes.mini.sources import PRESIDENTS, SPEECHES

EPISODE_SOURCES = ("bitcoin", PRESIDENTS, SPEECHES)


class Line(msgspec.Struct, frozen=True):
    """What one person said until another spoke, as plain text."""

    speaker: str
    text: str


class Episode(msgspec.Struct, frozen=True):
    """One cleaned transcript; `split` is `train` or `validation`, the show tells the source."""

    show: str
    name: str
    split: str
    lines: tuple[Line, ...]


def source_of(show: str) -> str:
    """The source that a show is from: `changelog`, `bitcoin`, `presidents` or `speeches`."""
    source = show.partition("/")[0]
    return source if source in EPISODE_SOURCES else "changelog"


def write_corpus(path: Path, episodes: Iterable[Episode]) -> None:
    """Write one JSON object a line."""
    lines = b"".join(msgspec.json.encode(episode) + b"\n" for episode in episodes)
    path.write_bytes(lines)


def read_corpus(path: Path) -> list[Episode]:
    """Read what `write_corpus` wrote; raises InputError where it is not that."""
    broken = (OSError, msgspec.MsgspecError)
    with foreign(InputError, f"Reading {path.name}", *broken), path.open("rb") as lines:
        return [msgspec.json.decode(line, type=Episode) for line in lines]
