"""Chapters alone, as a description lists them: `MM:SS - title`, one a line; nobody speaks."""

import re
from dataclasses import dataclass, field

from podcaster.ingest.imports import name
from podcaster.ingest.imports.clock import CLOCK, parse_clock
from podcaster.ingest.imports.reading import Reading
from podcaster.model import Transcript

FEWEST_CHAPTERS = 2

_CHAPTER = re.compile(
    r"^[ \t]{0,8}(?:[-*•+][ \t]{1,8}|[0-9]{1,3}[.)][ \t]{1,8})?"
    rf"[\[(]?(?P<time>{CLOCK})[\])]?"
    r"[ \t]{0,8}(?:(?<=[ \t])(?=\S)|[-–—:|])(?:[ \t]{0,8}[-–—:|])?[ \t]{0,8}"
    r"(?P<title>[^\s-][^\n]{0,400})$",
    re.MULTILINE,
)
_SECTION = re.compile(r"^(?:[A-Z][A-Za-z ]{1,40}:|[=_*-]{3,200})[ \t]{0,8}$")
_ADDRESS = re.compile(r"^[ \t]{0,8}<?https?://")
LONGEST_TITLE = 200


@dataclass
class Header:
    """What a page says before anybody speaks; chapters are offset, start in seconds, title."""

    title: str = ""
    description: str = ""
    chapters: list[tuple[int, float, str]] = field(default_factory=list)


def read_header(text: str, end: int, *, start: int = 0) -> Header:
    """Read `text` between two offsets: the title, the description below it, the chapters.

    The description ends at the first section (`SOURCES:`, `=====`), chapter or address.
    """
    header = Header()
    described: list[str] = []
    describes, position = True, start
    for line in text[start:end].split("\n"):
        chapter = _CHAPTER.match(line)
        start_s = parse_clock(chapter["time"]) if chapter else None
        plain = line.strip()
        if chapter and start_s is not None:
            header.chapters.append((position, start_s, chapter["title"]))
            describes = not header.title and describes
        elif _SECTION.match(plain) or _ADDRESS.match(plain):
            describes = False
        elif plain and describes and not header.title and len(plain) <= LONGEST_TITLE:
            header.title = plain.lstrip("# ")
        elif plain and describes:
            described.append(plain)
        position += len(line) + 1
    header.description = " ".join(described)
    return header


def begin_chapters(reading: Reading, header: Header) -> None:
    """Add the header's chapters; raises InputError where their times run backwards."""
    for position, start_s, title in header.chapters:
        reading.begin_chapter(title, at=position, start_s=start_s)


def looks_so(text: str) -> bool:
    """Whether at least `FEWEST_CHAPTERS` lines are chapters, and fewer begin with a name.

    A description around the list may hold lines such as `Guest: Ann Smith`.
    """
    chapters = sum(1 for match in _CHAPTER.finditer(text) if parse_clock(match["time"]) is not None)
    return chapters >= FEWEST_CHAPTERS and chapters > name.count_labels(text)


def parse(text: str, where: str, language: str) -> Transcript:
    """Read the chapters into a transcript in which nobody says anything.

    Raises InputError if there is none, or if their times run backwards.
    """
    reading = Reading("outline", where, text)
    header = read_header(text, len(text))
    begin_chapters(reading, header)
    if not reading.chapters:
        raise reading.fault(0, "no chapters were found: expected lines such as `01:02 - A title`")
    return Transcript(
        language=language,
        utterances=(),
        engine="import:outline",
        title=header.title,
        description=header.description,
        chapters=tuple(reading.chapters),
    )
