"""What an engine of the stage `ingest` offers: recordings behind pages that are no feeds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from podcaster.model import Noun, Seconds, TranscriptChapter
from podcaster.progress import Progress


class PageItem(Noun, frozen=True):
    """A recording behind a page, as the page tells it; `published_at` is a day, or nothing."""

    identity: str
    url: str
    title: str
    duration_s: Seconds | None = None
    published_at: str = ""
    description: str = ""
    chapters: tuple[TranscriptChapter, ...] = ()


class Pages(Protocol):
    """Reads pages of sites that it knows."""

    def find(self, url: str, *, last: int | None = None) -> Iterator[PageItem]:
        """The recordings of a page or a list of pages, `last` at most. Raises InputError."""

    def fetch(
        self, item: PageItem, target: Path, *, largest_bytes: int, progress: Progress
    ) -> Path:
        """Fetch one as `target` with the suffix that it has. Raises InputError."""

    def close(self) -> None:
        """Let go of what is held."""
