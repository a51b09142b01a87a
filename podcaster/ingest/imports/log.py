"""What Whisper programs print while they work, with whatever else stands around it:

[0.00s -> 2.00s]  What faster-whisper heard.
[00:00:00.000 --> 00:00:04.720]  What openai-whisper and whisper.cpp heard.
"""

import re

from podcaster.ingest.imports.clock import CLOCK, parse_clock
from podcaster.ingest.imports.languages import as_language
from podcaster.ingest.imports.reading import Reading
from podcaster.model import Transcript

_SECONDS = r"[0-9]{1,8}(?:\.[0-9]{1,9})?"
_ARROW = r"[ \t]{1,8}-{1,2}>[ \t]{1,8}"
_LINE = re.compile(
    rf"^[ \t]{{0,8}}\[[ \t]{{0,8}}(?:(?P<from>{_SECONDS})s?{_ARROW}(?P<to>{_SECONDS})s?"
    rf"|(?P<from_clock>{CLOCK}){_ARROW}(?P<to_clock>{CLOCK}))[ \t]{{0,8}}\]"
    r"(?P<text>[^\n]*)",
    re.MULTILINE,
)
_LANGUAGE = re.compile(
    r"^[^\n]{0,200}?detected language:?[ \t]{1,4}'?([A-Za-z-]{2,20})'?",
    re.MULTILINE | re.IGNORECASE,
)


def looks_so(text: str) -> bool:
    """Whether a line begins with times in brackets and an arrow between them."""
    return _LINE.search(text) is not None


def parse(text: str, where: str, language: str) -> Transcript:
    """Read the lines with times, all others are passed over; nobody is said to speak."""
    reading = Reading("log", where, text)
    for match in _LINE.finditer(text):
        if match["from"]:
            start_s: float | None = float(match["from"])
            end_s: float | None = float(match["to"])
        else:
            start_s, end_s = parse_clock(match["from_clock"]), parse_clock(match["to_clock"])
        if start_s is None or end_s is None:
            raise reading.fault(
                match.start(), f"{match.group()[:40]!r} has no times: expected MM:SS below 60"
            )
        reading.say(match["text"], at=match.start(), start_s=start_s, end_s=end_s)
    named = _LANGUAGE.search(text)
    return reading.finish(
        language=(as_language(named[1]) if named else None) or language,
        expected="lines such as `[0.00s -> 2.00s]  text`",
    )
