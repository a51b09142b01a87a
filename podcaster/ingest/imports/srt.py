"""SubRip captions, as programs write them: numbers may be missing, times may have points.

There is no specification; a line of digits before a line of times is a number if a blank line
stands before it, or if it is one more than the number before.
"""

import re

from podcaster.ingest.imports import cues
from podcaster.ingest.imports.reading import Reading
from podcaster.model import Transcript

_TAG = re.compile(r"</?(?:b|c|font|i|s|u|v)\b[^<>]{0,300}+>|\{\\[^{}\n]{0,100}+\}", re.IGNORECASE)

looks_so = cues.looks_so


def parse(text: str, where: str, language: str) -> Transcript:
    """Read the cues; `Name: ` at the beginning of one tells who speaks, until the next name."""
    reading = Reading("srt", where, text)
    found = cues.find_times(reading)
    speaking = cues.Speaking(reading)
    ends = [*(times.start for times in found), len(text)][1:]
    number = _number_before(text[: found[0].start]) if found else None
    for times, end in zip(found, ends, strict=True):
        lines = text[times.end : end].strip("\n").split("\n")
        following = None
        if end < len(text) and lines[-1].strip().isdecimal():
            # the number of the cue after this one, if it is not what is said
            following = _to_number(lines[-1])
            blank_before = len(lines) == 1 or not lines[-2].strip()
            if blank_before or (number is not None and following == number + 1):
                lines.pop()
        number = following
        speaking.say((_TAG.sub("", line) for line in lines), times)
    return reading.finish(language=language, expected="captions with times")


def _number_before(text: str) -> int | None:
    lines = text.split()
    return _to_number(lines[-1]) if lines else None


def _to_number(line: str) -> int | None:
    digits = line.strip()
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None
