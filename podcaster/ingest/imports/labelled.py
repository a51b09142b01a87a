"""Texts whose paragraphs begin with who speaks: cut at the labels and read what is between them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from podcaster.ingest.imports.front_matter import FrontMatter
from podcaster.ingest.imports.plain import to_plain
from podcaster.ingest.imports.reading import Reading
from podcaster.model import Transcript

_HEADING = re.compile(r"^(#{1,6})[ \t]{1,8}([^\n]{1,400})$", re.MULTILINE)


@dataclass(frozen=True)
class Label:
    """Who speaks from `end` on; the label itself begins at `start` (offsets in the text).

    After a `pause` (a break, a sponsor's message) nobody speaks for the rest of the paragraph.
    """

    start: int
    end: int
    speaker: str | None
    start_s: float | None = None
    pause: bool = False


@dataclass(frozen=True)
class _Heading:
    start: int
    end: int
    title: str
    level: int


def read_labelled(
    reading: Reading,
    labels: Sequence[Label],
    matter: FrontMatter,
    *,
    language: str,
    expected: str,
) -> Transcript:
    """Read the text of each label, up to the next label or heading.

    Headings become chapters, which begin with the next turn that has a time; the first one before
    all turns is the title. The text before the first label is the description.
    """
    text, title = reading.text, matter.title
    headings = _find_headings(text, matter.end)
    first = labels[0].start if labels else len(text)
    if headings and headings[0].level == 1 and headings[0].start < first:
        title = title or headings[0].title
        headings = headings[1:]
    marks: list[Label | _Heading] = [*labels, *headings]
    marks.sort(key=lambda mark: mark.start)
    ends = [*(mark.start for mark in marks), len(text)][1:]
    speaker: str | None = None
    for index, (mark, end) in enumerate(zip(marks, ends, strict=True)):
        body = text[mark.end : end]
        if isinstance(mark, Label):
            speaker = None if mark.pause else mark.speaker
            body = body.partition("\n\n")[2] if mark.pause else body
            reading.say(to_plain(body), at=mark.start, start_s=mark.start_s, speaker=speaker)
            continue
        following = marks[index + 1] if index + 1 < len(marks) else None
        start_s = following.start_s if isinstance(following, Label) else None
        reading.begin_chapter(mark.title, at=mark.start, start_s=start_s)
        if mark.start > first:  # without a name, what stands below a heading goes on with the turn
            reading.say(to_plain(body), at=mark.start, speaker=speaker)
    before = to_plain(_HEADING.sub("", text[matter.end : first])) if labels else ""
    return reading.finish(
        language=matter.language or language,
        expected=expected,
        title=title,
        description=matter.description or before,
        options={"speakers": list(matter.speakers)} if matter.speakers else None,
    )


def _find_headings(text: str, start: int) -> list[_Heading]:
    if "#" not in text:
        return []
    return [
        _Heading(match.start(), match.end(), to_plain(match[2].rstrip("# \t")), len(match[1]))
        for match in _HEADING.finditer(text, start)
    ]
