"""Plain paragraphs that begin with who speaks, with or without a time and YAML front matter:

Ann Smith (AS): What she says.

Bob: 00:01:02

What he says.

[00:01:20] AS: What she says then.
"""

import re
from collections import Counter

from podcaster.ingest.imports.clock import CLOCK, parse_clock
from podcaster.ingest.imports.front_matter import FrontMatter, read_front_matter
from podcaster.ingest.imports.labelled import Label, read_labelled
from podcaster.ingest.imports.names import NAME, is_name, is_word
from podcaster.ingest.imports.reading import OVERLAP_S, Reading
from podcaster.model import Transcript

FEWEST_LOWER_CASE = 3  # times that a label in lower case stands before paragraphs, to be a name

_LABEL = re.compile(
    rf"^[ \t]{{0,8}}(?:[\[(]?(?P<before>{CLOCK})[\])]?[ \t]{{1,8}})?(?P<name>{NAME})"
    rf"(?: ?\((?P<more>[^()\n]{{1,40}})\))?"
    rf"(?:[ \t]{{0,2}}[-–—]?[ \t]{{0,2}}\[?(?P<beside>{CLOCK})\]?)?[ \t]{{0,2}}:(?=\s|\Z)"
    r"(?![ \t]{0,8}<?https?://)"
    rf"(?:[ \t]{{0,8}}[\[(]?(?P<after>{CLOCK})[\])]?(?![\w:]))?",
    re.MULTILINE,
)
_INITIALS = re.compile(r"[A-Z][A-Za-z]{0,3}[0-9]{0,2}")


def looks_so(text: str) -> bool:
    """Whether somebody speaks in it, in the first half already: an article may quote a name."""
    matter = read_front_matter(text)
    labels = _find_labels(text, matter)
    return bool(labels) and labels[0].start() - matter.end <= (len(text) - matter.end) / 2


def count_labels(text: str) -> int:
    """How many lines begin with a name."""
    return len(_find_labels(text, read_front_matter(text)))


def parse(text: str, where: str, language: str) -> Transcript:
    """Read the turns; `Ann Smith (AS):` makes `AS:` hers too, as the text says so."""
    matter = read_front_matter(text)
    reading = Reading("name", where, text, overlap_s=OVERLAP_S)
    found = _find_labels(text, matter)
    stands_for = {
        match["more"]: match["name"]
        for match in found
        if match["more"] and _INITIALS.fullmatch(match["more"])
    }
    labels = []
    for match in found:
        name = stands_for.get(match["name"], match["name"]).rstrip("-")
        written = match["before"] or match["beside"] or match["after"] or match["more"] or ""
        labels.append(Label(match.start(), match.end(), name, start_s=parse_clock(written)))
    return read_labelled(
        reading,
        labels,
        matter,
        language=language,
        expected="paragraphs that begin `Name:`",
    )


def _find_labels(text: str, matter: FrontMatter) -> list[re.Match[str]]:
    """The lines that begin with a name: a known one, one that looks so, or one that recurs."""
    candidates = [m for m in _LABEL.finditer(text, matter.end) if not is_word(m["name"])]
    often = Counter(match["name"] for match in candidates)
    known = {name.casefold() for name in matter.speakers}

    def speaks(match: re.Match[str]) -> bool:
        name = match["name"]
        if name.casefold() in known or (is_name(name) and not name.isdigit()):
            return True
        return " " not in name and often[name] >= FEWEST_LOWER_CASE and not name.isdigit()

    return [match for match in candidates if speaks(match)]
