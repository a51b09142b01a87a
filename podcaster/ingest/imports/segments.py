"""JSON of programs that hear speech, the podcast namespace's transcripts, and our own.

All but ours are lists of segments under different names: openai-whisper and WhisperX
(`segments` with `start`, `end`, `text`, `words`), faster-whisper (such a list, alone or beside
`info`), whisper.cpp (`transcription` with `offsets` in milliseconds), and the namespace's
`transcripts.md` (`segments` with `startTime`, `endTime`, `body`, `speaker`).
"""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec

from podcaster.errors import InputError
from podcaster.ingest.imports.languages import as_language
from podcaster.ingest.imports.reading import Reading, flatten
from podcaster.model import Transcript, Word
from podcaster.model import parse as parse_noun

_OPENING = re.compile(r"\s{0,1000}+(?:\{|\[\s{0,1000}+[\[{\]])")
_BYTE = re.compile(r"\(byte ([0-9]{1,12})\)")


class _Word(msgspec.Struct):
    """A word of any program; the probability is called `score` by WhisperX."""

    word: str = ""
    text: str = ""
    start: float | None = None
    end: float | None = None
    probability: float | None = None
    score: float | None = None
    speaker: str | int | None = None


class _Offsets(msgspec.Struct, rename={"start_ms": "from", "end_ms": "to"}):
    start_ms: float
    end_ms: float


class _Segment(msgspec.Struct):
    """A segment of any program."""

    text: str = ""
    body: str = ""
    start: float | None = None
    end: float | None = None
    startTime: float | None = None  # noqa: N815 - the namespace's names
    endTime: float | None = None  # noqa: N815
    offsets: _Offsets | None = None
    speaker: str | int | None = None
    words: list[_Word] | None = None


class _Info(msgspec.Struct):
    language: str | None = None
    duration: float | None = None


class _Document(msgspec.Struct):
    """The top of a file; what it does not have is None."""

    segments: list[_Segment] | None = None
    transcription: list[_Segment] | None = None
    utterances: Any = None  # ours
    word_segments: Any = None  # WhisperX repeats all words here
    language: str | None = None
    info: _Info | None = None
    result: _Info | None = None
    duration: float | None = None
    title: str | None = None


def looks_so(text: str) -> bool:
    """Whether it begins as an object does, or as a list of objects."""
    return _OPENING.match(text) is not None


def parse(text: str, where: str, language: str) -> Transcript:
    """Read a file of any of the programs; probabilities of words are kept where they are given.

    Raises InputError with the line of malformed JSON, or the number of a segment that is wrong.
    """
    document = _decode(text, where)
    if document.utterances is not None:
        return _check(parse_noun(text, Transcript, where=where), where)
    found = document.segments if document.segments is not None else document.transcription
    if found is None:
        raise InputError(
            f"{where} is JSON, but no transcript: expected `segments`, `transcription`, "
            "`utterances`, or a list of segments."
        )
    reading = Reading(_name_program(document, found), where)
    for number, segment in enumerate(found, 1):
        _say(reading, segment, f"segment {number}")
    info = document.info or document.result or _Info()
    duration_s = document.duration if document.duration is not None else info.duration
    named = document.language or info.language
    return reading.finish(
        language=(as_language(named) if named else None) or language,
        expected="segments with text",
        title=document.title or "",
        duration_s=duration_s if duration_s is not None and duration_s > 0 else None,
    )


def _decode(text: str, where: str) -> _Document:
    kind: Any = _Document | list[_Segment]
    try:
        try:
            decoded = msgspec.json.decode(text, type=kind)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            if "NaN" not in text and "Infinity" not in text:
                raise
            # no JSON, but what Python's `json` writes for the log probability of silence
            decoded = msgspec.convert(json.loads(text), type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(f"{where}, {_find_place(str(error), text)}: {error}.") from error
    return decoded if isinstance(decoded, _Document) else _Document(segments=decoded)


def _find_place(message: str, text: str) -> str:
    """The line of malformed JSON; where a value is wrong, the message itself says which."""
    if byte := _BYTE.search(message):
        return f"line {text.encode()[: int(byte[1])].count(10) + 1}"
    return "which is not the JSON of a transcript"


def _name_program(document: _Document, found: Sequence[_Segment]) -> str:
    if document.transcription is not None:
        return "whisper.cpp"
    if any(segment.startTime is not None for segment in found[:100]):
        return "podcast-namespace"
    if document.word_segments is not None or any(
        word.score is not None for segment in found[:100] for word in segment.words or ()
    ):
        return "whisperx"
    alone = document.language is None and document.duration is None
    return "faster-whisper" if document.info is not None or alone else "openai-whisper"


def _say(reading: Reading, segment: _Segment, place: str) -> None:
    start_s = segment.start if segment.start is not None else segment.startTime
    end_s = segment.end if segment.end is not None else segment.endTime
    if segment.offsets is not None:
        start_s, end_s = segment.offsets.start_ms / 1000, segment.offsets.end_ms / 1000
    words = _read_words(reading, segment, start_s, end_s, place)
    if words and start_s is None:
        start_s, end_s = words[0].start_s, words[-1].end_s
    reading.say(
        segment.text or segment.body or " ".join(word.text for word in words),
        at=place,
        start_s=start_s,
        end_s=end_s,
        speaker=_read_speaker(segment.speaker),
        words=words,
    )


def _read_speaker(speaker: str | int | None) -> str | None:
    return None if speaker is None else str(speaker).strip() or None


def _read_words(
    reading: Reading, segment: _Segment, start_s: float | None, end_s: float | None, place: str
) -> tuple[Word, ...]:
    """The words with text; those that an aligner left without times get them from `_fill_times`."""
    given = [word for word in segment.words or () if flatten(word.word or word.text)]
    timed = [word for word in given if word.start is not None and word.end is not None]
    if not timed and (start_s is None or end_s is None):
        return ()
    latest_s = 0.0
    for number, word in enumerate(timed, 1):
        assert word.start is not None
        assert word.end is not None
        at = f"{place}, word {number} of those with times"
        latest_s = reading.check_time(word.start, at=at, after_s=latest_s)
        reading.check_time(word.end, at=at, after_s=word.start)
    times = _fill_times(given, start_s, end_s)
    return tuple(
        Word(
            text=flatten(word.word or word.text),
            start_s=begin_s,
            end_s=until_s,
            speaker=_read_speaker(word.speaker),
            probability=word.probability if word.probability is not None else word.score,
        )
        for word, (begin_s, until_s) in zip(given, times, strict=True)
    )


def _fill_times(
    words: Sequence[_Word], start_s: float | None, end_s: float | None
) -> list[tuple[float, float]]:
    """The times of all words: a run without them shares the room between its neighbours evenly."""
    known = [
        (index, word.start, word.end)
        for index, word in enumerate(words)
        if word.start is not None and word.end is not None
    ]
    first_s = start_s if start_s is not None else known[0][1]
    last_s = end_s if end_s is not None else known[-1][2]
    borders = [(-1, first_s, first_s), *known, (len(words), last_s, last_s)]
    times: list[tuple[float, float]] = []
    for (left, _, from_s), (right, to_s, until_s) in pairwise(borders):
        share_s = max(to_s - from_s, 0.0) / max(right - left - 1, 1)
        times += [
            (from_s + share_s * step, from_s + share_s * (step + 1))
            for step in range(right - left - 1)
        ]
        if right < len(words):
            times.append((to_s, until_s))
    return times


def _check(transcript: Transcript, where: str) -> Transcript:
    """Return a transcript of ours if its times run forwards; raises InputError else."""
    reading = Reading("json", where)
    for number, utterance in enumerate(transcript.utterances, 1):
        if utterance.start_s is not None:
            reading.latest_s = reading.check_time(
                utterance.start_s, at=f"utterance {number}", after_s=reading.latest_s
            )
    return transcript
