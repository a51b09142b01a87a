"""Where one voice is heard alone, and how clean it is there.

Stretches are planned from the words' times, then fitted to what the sound says: they begin and end
in pauses, and what is heard in pauses (noise, room, music) is measured against the speech.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from podcaster.audio import Samples
from podcaster.levels import FRAME_S, Levels, compare_levels_db, measure_levels_db
from podcaster.model import Transcript
from podcaster.speakers.engine import SAMPLE_RATE_HZ
from podcaster.speakers.recording import end_of

LONGEST_STRETCH_S = 12.0
SHORTEST_STRETCH_S = 2.0
SHORTEST_PRINTED_S = 0.8  # shorter ones are left out of voiceprints, too
MOST_SPEECH_S = 75.0  # a voice; more does not change its print
MOST_RECORDING_S = 900.0  # of all voices together: memory is bounded

_MARGIN_S = 0.1  # diarisers and transcribers are off by about this much
_JOIN_S = 1.0  # the same voice goes on after a pause
_AROUND_S = 3.0  # before and after a stretch, where its pauses are looked for
_SEARCH_S = 1.0  # how far an end moves to come to lie in a pause


@dataclass(frozen=True)
class Span:
    """A part of a recording in which only `label` is heard."""

    label: str
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s


def plan_spans(transcript: Transcript) -> tuple[Span, ...]:
    """Where each voice is heard alone, at most 12 s each and 75 s a voice, in the order of time.

    Long ones are chosen first, and from long turns only their beginnings, as long as there are
    others.
    """
    rated: dict[str, list[tuple[int, Span]]] = {}
    for span in _single_voices(transcript):
        for place, part in enumerate(_cut(span)):
            if part.duration_s >= SHORTEST_PRINTED_S:
                rated.setdefault(part.label, []).append((place // 2, part))
    chosen: list[Span] = []
    for spans in rated.values():
        spans.sort(key=lambda rating: (rating[0], -rating[1].duration_s, rating[1].start_s))
        left_s = min(MOST_SPEECH_S, MOST_RECORDING_S / len(rated))
        for _, span in spans:
            if left_s <= 0:
                break
            chosen.append(span)
            left_s -= span.duration_s
    return tuple(sorted(chosen, key=lambda span: (span.start_s, span.label)))


def _single_voices(transcript: Transcript) -> Iterator[Span]:
    """Where each voice is heard and nobody else; over a short pause it goes on."""
    timed: list[Span] = []
    for index, utterance in enumerate(transcript.utterances):
        end_s = end_of(transcript, index)
        if utterance.start_s is not None and end_s is not None and end_s > utterance.start_s:
            timed.append(Span(utterance.speaker or "", utterance.start_s, end_s))
    timed.sort(key=lambda span: (span.start_s, span.end_s, span.label))
    for label in sorted({span.label for span in timed} - {""}):
        own = _join((span for span in timed if span.label == label), _JOIN_S)
        others = _join((span for span in timed if span.label != label), 0.0)
        for start_s, end_s in own:
            first = bisect_left(others, start_s, key=lambda interval: interval[1])
            for busy_s, free_s in others[first:]:
                if busy_s >= end_s:
                    break
                if busy_s - start_s > 2 * _MARGIN_S:
                    yield Span(label, start_s + _MARGIN_S, busy_s - _MARGIN_S)
                start_s = max(start_s, free_s)
            if end_s - start_s > 2 * _MARGIN_S:
                yield Span(label, start_s + _MARGIN_S, end_s - _MARGIN_S)


def _join(spans: Iterator[Span], gap_s: float) -> list[tuple[float, float]]:
    """Intervals in the order of time; those with less than a gap between them are one."""
    joined: list[tuple[float, float]] = []
    for span in spans:
        if joined and span.start_s - joined[-1][1] <= gap_s:
            joined[-1] = (joined[-1][0], max(joined[-1][1], span.end_s))
        else:
            joined.append((span.start_s, span.end_s))
    return joined


def _cut(span: Span) -> Iterator[Span]:
    parts = max(1, int(np.ceil(span.duration_s / LONGEST_STRETCH_S)))
    each_s = span.duration_s / parts
    for part in range(parts):
        start_s = span.start_s + part * each_s
        yield Span(span.label, start_s, start_s + each_s)


@dataclass(frozen=True)
class Heard:
    """The sound of planned spans, and how loud every 20 ms of the recording are, in dBFS."""

    sounds: tuple[Samples, ...]
    levels_db: Levels


def gather(blocks: Iterator[Samples], spans: Sequence[Span]) -> Heard:
    """Read a recording once, at 16 kHz, up to the end of the last span (and of its pause).

    Only the spans' own samples are kept. A span that lies behind the end comes out empty.
    """
    frame = round(FRAME_S * SAMPLE_RATE_HZ)
    parts: list[list[Samples]] = [[] for _ in spans]
    edges = [
        (round(span.start_s * SAMPLE_RATE_HZ), round(span.end_s * SAMPLE_RATE_HZ)) for span in spans
    ]
    needed = max((end for _, end in edges), default=0) + round(_AROUND_S * SAMPLE_RATE_HZ)
    levels: list[Levels] = []
    rest = np.zeros(0, dtype=np.float32)
    place = 0
    for block in blocks:
        for part, (start, end) in zip(parts, edges, strict=True):
            if start < place + len(block) and end > place:
                part.append(block[max(0, start - place) : end - place].copy())
        joined = np.concatenate((rest, block))
        whole = len(joined) // frame * frame
        levels.append(measure_levels_db(joined[:whole], SAMPLE_RATE_HZ))
        rest = joined[whole:]
        place += len(block)
        if place >= needed:
            break
    nothing = np.zeros(0, dtype=np.float32)
    return Heard(
        tuple(np.concatenate(part) if part else nothing for part in parts),
        np.concatenate(levels) if levels else nothing,
    )


def fit_span(span: Span, levels_db: Levels) -> Span:
    """Move a span's ends inwards to the quietest place within a second of each."""
    first, last = _frames(span.start_s, span.end_s, len(levels_db))
    reach = min(round(_SEARCH_S / FRAME_S), max(1, (last - first) // 4))
    if last - first < 4:
        return span
    start = first + int(np.argmin(levels_db[first : first + reach]))
    end = last - int(np.argmin(levels_db[last - reach : last][::-1]))
    return Span(span.label, start * FRAME_S, end * FRAME_S)


def measure_snr_db(span: Span, levels_db: Levels) -> float:
    """How far the speech lies over what is heard in pauses in and around it, at most 60 dB.

    A bed of music fills the pauses, so it counts as noise.
    """
    first, last = _frames(span.start_s, span.end_s, len(levels_db))
    around = _frames(span.start_s - _AROUND_S, span.end_s + _AROUND_S, len(levels_db))
    if last <= first:
        return 0.0
    return compare_levels_db(levels_db[first:last], levels_db[around[0] : around[1]])


def _frames(start_s: float, end_s: float, count: int) -> tuple[int, int]:
    first = min(count, max(0, round(start_s / FRAME_S)))
    return first, min(count, max(first, round(end_s / FRAME_S)))
