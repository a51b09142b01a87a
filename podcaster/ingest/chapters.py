"""Chapters that lie beside a recording or in it: a feed's JSON file, marks in the file itself.

Formats: `application/json+chapters` (Podcasting 2.0, JSON chapters 1.2); what FFmpeg's libraries
read as chapters (ID3 `CHAP`, MP4, Matroska, Ogg).
"""

import math
from pathlib import Path
from typing import Any

import msgspec

from podcaster.audio import read_chapter_marks
from podcaster.errors import InputError
from podcaster.ingest.feed_values import plain_line
from podcaster.model import TranscriptChapter
from podcaster.web import Purpose, fetch_page

LARGEST_CHAPTERS_BYTES = 2_000_000
MOST_CHAPTERS = 500
LONGEST_TITLE = 300
_ACCEPT = "application/json+chapters, application/json;q=0.9, */*;q=0.1"


def fetch_chapters(url: str, *, allow_private: bool = False) -> tuple[TranscriptChapter, ...]:
    """Get a feed's chapters file. Raises InputError where it cannot be had or is none."""
    without = "The recording is taken in without chapters."
    purpose = Purpose(
        what="chapters file",
        if_unreachable=without,
        if_private=without,
        if_large=without,
        allow_private=allow_private,
    )
    page = fetch_page(url, purpose, largest_bytes=LARGEST_CHAPTERS_BYTES, accept=_ACCEPT)
    return parse_chapters(page.content)


def parse_chapters(data: bytes) -> tuple[TranscriptChapter, ...]:
    """Read JSON chapters, in order; those without title or time, or hidden, are left out.

    Raises InputError where the data are no such file.
    """
    try:
        document = msgspec.json.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise InputError(f"The chapters file is not JSON: {error}.") from error
    entries = document.get("chapters") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise InputError("The chapters file has no list of chapters.")
    found = [(_seconds(e.get("startTime")), e) for e in entries[:MOST_CHAPTERS] if _is_shown(e)]
    chapters = [
        TranscriptChapter(title=title, start_s=start_s)
        for start_s, entry in found
        if start_s is not None and (title := _title(entry.get("title")))
    ]
    return tuple(sorted(chapters, key=lambda chapter: chapter.start_s or 0.0))


def read_embedded_chapters(path: Path) -> tuple[TranscriptChapter, ...]:
    """The chapters marked in a recording's file; none where it has none.

    Raises InputError where the file cannot be read as audio.
    """
    marks = read_chapter_marks(path)[:MOST_CHAPTERS]
    titled = [(start_s, _title(title)) for start_s, title in marks]
    return tuple(
        TranscriptChapter(title=title, start_s=start_s) for start_s, title in titled if title
    )


def _is_shown(entry: Any) -> bool:
    # a chapter with toc false changes the picture, and is none for people
    return isinstance(entry, dict) and entry.get("toc") is not False


def _seconds(value: Any) -> float | None:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if numeric and math.isfinite(value) and value >= 0 else None


def _title(value: Any) -> str:
    return plain_line(value, longest=LONGEST_TITLE) if isinstance(value, str) else ""
