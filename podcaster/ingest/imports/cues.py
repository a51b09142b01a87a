"""Captions, as SRT and WebVTT share them: lines of times, and who speaks in a cue's lines."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from podcaster.ingest.imports.clock import parse_clock
from podcaster.ingest.imports.names import NAME, is_name
from podcaster.ingest.imports.reading import Reading

_TIMES = re.compile(r"^[ \t]{0,8}([0-9][^\n]{0,40}?)[ \t]{0,8}-->[ \t]{0,8}([^\n]{0,200})", re.M)
_LABEL = re.compile(rf"({NAME})[ \t]{{0,2}}:[ \t]{{1,8}}(?=\S)")
_DASH = re.compile(r"(?:>>{1,2}|[-–—](?![-0-9]))[ \t]{0,8}(?=\S)")


@dataclass(frozen=True)
class Times:
    """A line of times: `start` and `end` are its offsets in the text."""

    start: int
    end: int
    start_s: float
    end_s: float


def looks_so(text: str) -> bool:
    """Whether a line is `HH:MM:SS,mmm --> HH:MM:SS,mmm`, or nearly."""
    match = _TIMES.search(text)
    return match is not None and parse_clock(match[1]) is not None


def find_times(reading: Reading) -> list[Times]:
    """All lines of times; what stands behind the second (settings, positions) is passed over.

    Raises InputError, with the line, for one whose times cannot be read.
    """
    found = []
    for match in _TIMES.finditer(reading.text):
        start_s = parse_clock(match[1])
        end_s = parse_clock((match[2].split(None, 1) or [""])[0])
        if start_s is None or end_s is None:
            raise reading.fault(
                match.start(),
                f"{shorten(match.group())!r} is no line of times: expected "
                "`HH:MM:SS,mmm --> HH:MM:SS,mmm`",
            )
        line_end = reading.text.find("\n", match.end())
        end = len(reading.text) if line_end < 0 else line_end
        found.append(Times(match.start(), end, start_s, end_s))
    return found


def shorten(line: str) -> str:
    """A line for a message: no longer than 60 characters."""
    return line.strip()[:60]


@dataclass
class Speaking:
    """Who speaks in captions whose lines begin `Name: ` when the speaker changes.

    A name holds until the next one, or until a dash or `>>` says that somebody else speaks.
    """

    reading: Reading
    speaker: str | None = None

    def say(self, lines: Iterable[str], times: Times) -> None:
        """Add the utterances of a cue; each has the cue's times."""
        texts: list[str] = []
        changed = True
        for line in lines:
            plain = line.strip()
            rest = plain[dash.end() :] if (dash := _DASH.match(plain)) else plain
            label = _LABEL.match(rest)
            named = label[1] if label and is_name(label[1]) else None
            if (dash or named) and not changed:
                self._add(texts, times)
                texts = []
            if named and label:
                self.speaker, rest = named, rest[label.end() :]
            elif dash:
                self.speaker = None
            texts.append(rest)
            changed = False
        self._add(texts, times)

    def _add(self, texts: list[str], times: Times) -> None:
        self.reading.say(
            " ".join(texts),
            at=times.start,
            start_s=times.start_s,
            end_s=times.end_s,
            speaker=self.speaker,
        )
