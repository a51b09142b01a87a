"""An episode's page: title, description, chapters and sources, then turns with their times:

00:19 - A chapter

Ann Smith (00:00:00):
What she says.
"""

import re

from podcaster.ingest.imports import name
from podcaster.ingest.imports.clock import CLOCK, parse_clock
from podcaster.ingest.imports.front_matter import read_front_matter
from podcaster.ingest.imports.outline import begin_chapters, read_header
from podcaster.ingest.imports.reading import OVERLAP_S, Reading
from podcaster.model import Transcript

_LABEL = re.compile(
    r"^[ \t]{0,8}(?P<name>[^\W_][^\n:()\[\]]{0,119}?)"
    rf"(?:[ \t]{{1,4}}(?:\((?P<round>{CLOCK})\)|\[(?P<square>{CLOCK})\])"
    r"(?:[ \t]{0,2}:|[ \t]{0,8}$)"
    rf"|[ \t]{{0,2}}[-–—][ \t]{{0,2}}(?P<dashed>{CLOCK})[ \t]{{0,2}}:"
    rf"|(?:[ \t]{{2,4}}|[ \t](?=[0-9]{{1,2}}:[0-9]{{2}}:))(?P<bare>{CLOCK})[ \t]{{0,8}}$)",
    re.MULTILINE,
)
MOST_TURNS_TIMED = 0.8  # of the lines that begin with a name, at least, in a page


def looks_so(text: str) -> bool:
    """Whether lines begin with a name and a time, and few with a name alone."""
    timed = sum(1 for _ in _LABEL.finditer(text))
    return timed > 0 and timed >= MOST_TURNS_TIMED * name.count_labels(text)


def parse(text: str, where: str, language: str) -> Transcript:
    """Read the header and the turns; a turn goes on until the next line with a name and a time."""
    reading = Reading("page", where, text, overlap_s=OVERLAP_S)
    matter = read_front_matter(text)
    labels = list(_LABEL.finditer(text, matter.end))
    header = read_header(text, labels[0].start() if labels else len(text), start=matter.end)
    begin_chapters(reading, header)
    ends = [*(label.start() for label in labels), len(text)][1:]
    for label, end in zip(labels, ends, strict=True):
        written = label["round"] or label["square"] or label["dashed"] or label["bare"]
        start_s = parse_clock(written)
        if start_s is None:
            raise reading.fault(label.start(), f"{written} is no time: expected HH:MM:SS")
        reading.say(
            text[label.end() : end], at=label.start(), start_s=start_s, speaker=label["name"]
        )
    return reading.finish(
        language=matter.language or language,
        expected="turns that begin `Name (HH:MM:SS):`",
        title=matter.title or header.title,
        description=matter.description or header.description,
        options={"speakers": list(matter.speakers)} if matter.speakers else None,
    )
