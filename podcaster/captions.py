"""Captions: sentences with times and speakers as WebVTT, SRT, plain text, tables and JSON.

A writer per format takes the same segments. Specifications: WebVTT (W3C), SubRip (by custom), TSV
as openai-whisper writes it, and `transcripts.md` of the Podcasting 2.0 namespace.
"""

import math
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from podcaster.errors import InputError
from podcaster.model import Segment, Transcript, Utterance, Word, to_json
from podcaster.units import format_timestamp

LINE_CHARACTERS = 42  # a caption line on a phone; the custom of subtitlers
LINES = 2


@dataclass(frozen=True)
class Cue:
    """What is shown at once: at most two lines, spoken by one person; `name` may be empty.

    Times are whole milliseconds, `end_ms > start_ms`.
    """

    start_ms: int
    end_ms: int
    name: str
    lines: tuple[str, ...]


LONGEST_CAPTION_S = 12.0  # a longer sentence is split between its words
_ENDS_SENTENCE = re.compile(r"[.!?…。？！]+[\"'”’)\]]*$")
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def segments_of(transcript: Transcript) -> list[Segment]:
    """A transcript as caption sentences, in the order of their starts.

    Utterances with timed words are split at ends of sentences, and where nobody could read on;
    others stay whole. Raises InputError where an utterance has no times.
    """
    segments: list[Segment] = []
    for utterance in transcript.utterances:
        start_s, end_s = utterance.start_s, utterance.end_s
        if start_s is None or end_s is None:
            raise InputError(
                f"The transcript {transcript.title!r} has utterances without times, of which no "
                "captions can be made.",
                next_step="Listen to the recording itself: add its sound to the show.",
            )
        if utterance.words:
            segments.extend(_split_at_sentences(utterance))
        else:
            text = _shown(utterance.text)
            segments.append(
                Segment(text=text, start_s=start_s, end_s=end_s, speaker=utterance.speaker)
            )
    return sorted((s for s in segments if s.text), key=lambda segment: segment.start_s)


def make_cues(sentences: Sequence[Segment]) -> list[Cue]:
    """Split sentences into cues of at most two lines, in the order in which they begin.

    Times inside a split sentence are interpolated by the characters spoken so far.
    """
    cues: list[Cue] = []
    for sentence in sentences:
        cues.extend(_split_sentence(sentence))
    return sorted(cues, key=lambda cue: cue.start_ms)


def format_vtt(sentences: Sequence[Segment]) -> bytes:
    """WebVTT: one voice span a cue where somebody is known to speak, so that players show it."""
    blocks = ["WEBVTT"]
    for cue in make_cues(sentences):
        text = "\n".join(_escape_vtt(line) for line in cue.lines)
        voiced = f"<v {_escape_vtt(cue.name)}>{text}</v>" if cue.name else text
        blocks.append(f"{_times(cue, '.')}\n{voiced}")
    return ("\n\n".join(blocks) + "\n").encode()


def format_srt(sentences: Sequence[Segment]) -> bytes:
    """SubRip: numbered cues; a name stands before the text when the speaker changes."""
    blocks, speaking = [], ""
    for number, cue in enumerate(make_cues(sentences), start=1):
        # an arrow in the text would read as a line of times
        lines = [line.replace("-->", "→") for line in cue.lines]
        if cue.name and cue.name != speaking:
            lines[0] = f"{cue.name.replace('-->', '→')}: {lines[0]}"
        speaking = cue.name
        blocks.append("\n".join([str(number), _times(cue, ","), *lines]))
    return ("\n\n".join(blocks) + "\n").encode()


def format_txt(sentences: Sequence[Segment]) -> bytes:
    """Plain text: a line a sentence; where speakers are known, a paragraph a turn, named."""
    lines: list[str] = []
    speaking: str | None = None
    for sentence in sentences:
        if sentence.speaker is None:
            lines.append(sentence.text)
        elif sentence.speaker == speaking:
            lines[-1] += f" {sentence.text}"
        else:
            lines += (
                ["", f"{sentence.speaker}: {sentence.text}"]
                if lines
                else [f"{sentence.speaker}: {sentence.text}"]
            )
        speaking = sentence.speaker
    return ("\n".join(lines) + "\n").encode()


def format_tsv(sentences: Sequence[Segment]) -> bytes:
    """A table: start and end in milliseconds, text; the speaker first where any is known."""
    named = any(sentence.speaker for sentence in sentences)
    rows = [[*(["speaker"] if named else []), "start", "end", "text"]]
    for sentence in sentences:
        start_ms, end_ms = _milliseconds(sentence.start_s, sentence.end_s)
        who = [sentence.speaker or ""] if named else []
        rows.append([*who, str(start_ms), str(end_ms), sentence.text])
    return "".join("\t".join(_cell(cell) for cell in row) + "\n" for row in rows).encode()


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


CAPTION_WRITERS: dict[str, Callable[[Sequence[Segment]], bytes]] = {
    ".vtt": format_vtt,
    ".srt": format_srt,
    ".txt": format_txt,
    ".tsv": format_tsv,
}


def _split_at_sentences(utterance: Utterance) -> Iterator[Segment]:
    held: list[tuple[Word, str]] = []
    for word, text in zip(utterance.words, _spelled(utterance), strict=True):
        if held and word.end_s - held[0][0].start_s > LONGEST_CAPTION_S:
            yield _segment_of(held, utterance.speaker)
            held = []
        held.append((word, text))
        if _ENDS_SENTENCE.search(word.text.strip()):
            yield _segment_of(held, utterance.speaker)
            held = []
    if held:
        yield _segment_of(held, utterance.speaker)


def _spelled(utterance: Utterance) -> list[str]:
    """Each word with what stands before it: languages without spaces must not be given any."""
    spelled, position = [], 0
    for word in utterance.words:
        text = word.text.strip()
        found = utterance.text.find(text, position)
        if found < 0:
            return [f" {one.text.strip()}" for one in utterance.words]
        spelled.append(utterance.text[position : found + len(text)])
        position = found + len(text)
    return spelled


def _segment_of(words: Sequence[tuple[Word, str]], speaker: str | None) -> Segment:
    start_s = words[0][0].start_s
    end_s = max(start_s, *(word.end_s for word, _ in words))
    text = _shown("".join(text for _, text in words))
    return Segment(text=text, start_s=start_s, end_s=end_s, speaker=speaker)


def _shown(text: str) -> str:
    return " ".join(_UNSEEN.sub(" ", text).split())


def _cell(text: str) -> str:
    return re.sub(r"[\t\r\n]+", " ", text)


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
        cues.append(Cue(begin_ms, until_ms, sentence.speaker or "", group))
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
