"""Markdown whose paragraphs begin with a name in bold type, as the Changelog's transcripts do:

**Ann Smith:** What she says.

**Break:** [01:44]
"""

import re

from podcaster.ingest.imports.front_matter import read_front_matter
from podcaster.ingest.imports.labelled import Label, read_labelled
from podcaster.ingest.imports.plain import to_plain
from podcaster.ingest.imports.reading import Reading
from podcaster.model import Transcript

_LABEL = re.compile(
    r"^[ \t]{0,3}\*\*[ \t]{0,3}([^*\n]{1,120}?)[ \t]{0,3}(?::[ \t]{0,3}\*\*|\*\*[ \t]{0,3}:)",
    re.MULTILINE,
)
_PAUSE = re.compile(r"(?:breaks?|sponsors?|ads?|advertisements?|jingle|music)", re.IGNORECASE)


def looks_so(text: str) -> bool:
    """Whether a line begins with a name in bold type."""
    return _LABEL.search(text) is not None


def parse(text: str, where: str, language: str) -> Transcript:
    """Read the turns, which have no times; a turn goes on until the next label."""
    matter = read_front_matter(text)
    labels = []
    for match in _LABEL.finditer(text, matter.end):
        name = to_plain(match[1])
        pause = _PAUSE.fullmatch(name) is not None
        labels.append(Label(match.start(), match.end(), name, pause=pause))
    return read_labelled(
        Reading("changelog", where, text),
        labels,
        matter,
        language=language,
        expected="paragraphs that begin `**Name:**`",
    )
