"""WebVTT captions (W3C, WebVTT: The Web Video Text Tracks Format), with or without voices."""

import re

from podcaster.ingest.imports import cues
from podcaster.ingest.imports.languages import as_language
from podcaster.ingest.imports.plain import unescape
from podcaster.ingest.imports.reading import Reading
from podcaster.model import Transcript

_VOICE = re.compile(r"<v(?:\.[^\s<>.&]{1,80}+){0,8}+[ \t\n]([^<>]{1,300}+)>")
_TAG = re.compile(r"<[^<>]{0,1000}+>")
_STAMP = re.compile(r"<[0-9:]{5,12}\.[0-9]{3}>")
_LANGUAGE = re.compile(r"^Language:[ \t]{0,8}(\S{2,40})$", re.MULTILINE)


def looks_so(text: str) -> bool:
    """Whether it begins with the format's name."""
    return text.startswith("WEBVTT")


def parse(text: str, where: str, language: str) -> Transcript:
    """Read the cues; voices tell who speaks, or else `Name: ` at the beginning of a cue.

    Captions that roll up show each line twice, as one that was said and as one above the next;
    they are told by times inside cues, and each line is read once.
    """
    reading = Reading("vtt", where, text)
    found = cues.find_times(reading)
    ends = [*(times.start for times in found), len(text)][1:]
    speaking = cues.Speaking(reading)
    rolls_up = _STAMP.search(text) is not None
    above: list[str] = []
    for times, end in zip(found, ends, strict=True):
        payload = text[times.end : end].removeprefix("\n").partition("\n\n")[0]
        voices = list(_VOICE.finditer(payload))
        if voices:
            _say_voices(reading, payload, voices, times)
            continue
        lines = [plain for line in payload.split("\n") if (plain := _to_plain(line))]
        shown = lines
        if rolls_up:
            lines = lines[_count_repeated(above, lines) :]
            above = shown or above
        speaking.say(lines, times)
    header = text[: found[0].start if found else len(text)]
    named = _LANGUAGE.search(header)
    title = header.partition("\n")[0].removeprefix("WEBVTT").strip(" \t-–—")
    return reading.finish(
        language=(as_language(named[1]) if named else None) or language,
        expected="captions with times",
        title=title,
    )


def _say_voices(
    reading: Reading, payload: str, voices: list[re.Match[str]], times: cues.Times
) -> None:
    ends = [*(voice.start() for voice in voices[1:]), len(payload)]
    spoken = [(None, payload[: voices[0].start()])] + [
        (unescape(voice[1]), payload[voice.end() : end])
        for voice, end in zip(voices, ends, strict=True)
    ]
    for name, text in spoken:
        reading.say(
            _to_plain(text.replace("\n", " ")),
            at=times.start,
            start_s=times.start_s,
            end_s=times.end_s,
            speaker=name,
        )


def _to_plain(line: str) -> str:
    return " ".join(unescape(_TAG.sub("", line)).split())


def _count_repeated(above: list[str], lines: list[str]) -> int:
    """How many of the first lines were shown at the end of the cue before."""
    for count in range(min(len(above), len(lines)), 0, -1):
        if above[-count:] == lines[:count]:
            return count
    return 0
