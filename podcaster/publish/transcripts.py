"""Transcripts of an episode: WebVTT with voices, SRT, and the JSON of Podcasting 2.0.

A writer per format takes the same cues. Specifications: WebVTT (W3C), SubRip (by custom), and
`transcripts.md` of the Podcasting 2.0 namespace.
"""

import math
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from podcaster.model import Script, Segment, Timeline, to_json
from podcaster.publish.text import clean_line
from podcaster.units import format_timestamp

LINE_CHARACTERS = 42  # a caption line on a phone; the custom of subtitlers
LINES = 2


@dataclass(frozen=True)
class Cue:
    """What is shown at once: at most two lines, spoken by one person.

    Times are whole milliseconds, `end_ms > start_ms`.
    """

    start_ms: int
    end_ms: int
    name: str
    lines: tuple[str, ...]


def make_sentences(script: Script, timeline: Timeline) -> list[Segment]:
    """All sentences of the episode, in the order in which they begin, with their speakers' names.

    Overlapping ones keep their times; turns without sentences are left out.
    """
    names = {speaker.id: clean_line(speaker.name, fallback="?") for speaker in script.speakers}
    sentences = [
        Segment(text=text, start_s=s.start_s, end_s=s.end_s, speaker=names.get(turn.speaker, "?"))
        for turn in timeline.turns
        for s in turn.sentences
        if (text := clean_line(s.text, longest=100_000))
    ]
    return sorted(sentences, key=lambda s: s.start_s)


def make_cues(sentences: Sequence[Segment]) -> list[Cue]:
    """Split sentences into cues of at most two lines, in the order in which they begin.

    Times inside a split sentence are interpolated by the characters spoken so far.
    """
    cues: list[Cue] = []
    for sentence in sentences:
        cues.extend(_split_sentence(sentence))
    return sorted(cues, key=lambda cue: cue.start_ms)


def format_vtt(sentences: Sequence[Segment]) -> bytes:
    """WebVTT: one voice span a cue, so that players can show who speaks."""
    blocks = ["WEBVTT"]
    for cue in make_cues(sentences):
        text = "\n".join(_escape_vtt(line) for line in cue.lines)
        blocks.append(f"{_times(cue, '.')}\n<v {_escape_vtt(cue.name)}>{text}</v>")
    return ("\n\n".join(blocks) + "\n").encode()


def format_srt(sentences: Sequence[Segment]) -> bytes:
    """SubRip: numbered cues; a name stands before the text when the speaker changes."""
    blocks, speaking = [], ""
    for number, cue in enumerate(make_cues(sentences), start=1):
        # an arrow in the text would read as a line of times
        lines = [line.replace("-->", "→") for line in cue.lines]
        if cue.name != speaking:
            lines[0] = f"{cue.name.replace('-->', '→')}: {lines[0]}"
        speaking = cue.name
        blocks.append("\n".join([str(number), _times(cue, ","), *lines]))
    return ("\n\n".join(blocks) + "\n").encode()


def format_json(sentences: Sequence[Segment]) -> bytes:
    """The JSON of Podcasting 2.0: one segment a sentence, times in seconds."""
    segments = []
    for sentence in sentences:
        start_ms, end_ms = _milliseconds(sentence.start_s, sentence.end_s)
        segments.append(
            {
                "speaker": sentence.speaker or "",
                "startTime": start_ms / 1000,
                "endTime": end_ms / 1000,
                "body": sentence.text,
            }
        )
    return to_json({"version": "1.0.0", "segments": segments})


TRANSCRIPT_WRITERS: dict[str, Callable[[Sequence[Segment]], bytes]] = {
    "episode.vtt": format_vtt,
    "episode.srt": format_srt,
    "transcript.json": format_json,
}


def _split_sentence(sentence: Segment) -> list[Cue]:
    lines = textwrap.wrap(
        sentence.text, LINE_CHARACTERS, break_long_words=True, break_on_hyphens=False
    )
    groups = [tuple(lines[i : i + LINES]) for i in range(0, len(lines), LINES)]
    start_ms, end_ms = _milliseconds(sentence.start_s, sentence.end_s)
    end_ms = max(end_ms, start_ms + len(groups))  # a cue lasts at least a millisecond
    total = sum(len(line) for line in lines)
    cues: list[Cue] = []
    spoken, begin_ms = 0, start_ms
    for index, group in enumerate(groups):
        spoken += sum(len(line) for line in group)
        left = len(groups) - 1 - index
        until_ms = start_ms + round((end_ms - start_ms) * spoken / total)
        until_ms = end_ms if not left else min(max(until_ms, begin_ms + 1), end_ms - left)
        cues.append(Cue(begin_ms, until_ms, sentence.speaker or "?", group))
        begin_ms = until_ms
    return cues


def _milliseconds(start_s: float, end_s: float) -> tuple[int, int]:
    start_ms = round(start_s * 1000) if math.isfinite(start_s) else 0
    end_ms = round(end_s * 1000) if math.isfinite(end_s) else 0
    return start_ms, max(end_ms, start_ms + 1)


def _times(cue: Cue, separator: str) -> str:
    start = format_timestamp(cue.start_ms / 1000, separator=separator)
    return f"{start} --> {format_timestamp(cue.end_ms / 1000, separator=separator)}"


def _escape_vtt(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"\s", " ", escaped)
