"""The cleanest passages of a speaker, to be cut out of the recordings as a reference of the voice.

A reference is a recording of somebody who has not been asked. It comes without consent, and is not
cloned until somebody records one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podcaster.audio import Samples, decode, probe
from podcaster.speakers.recording import LocalSpeaker, Stretch

LONGEST_REFERENCE_S = 30.0
SHORTEST_REFERENCE_S = 6.0
LEAST_SNR_DB = 15.0
HIGHEST_RATE_HZ = 48_000
LONGEST_CLIP_S = 8.0

_ENOUGH_S = 15.0  # one recording with so much is better than several, whose rooms differ
_FADE_S = 0.01
_GAP_S = 0.25  # between passages


@dataclass(frozen=True)
class Passage:
    """A stretch of a recording."""

    recording: str
    start_s: float
    end_s: float
    snr_db: float

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class CutJob:
    """The passages that are to be cut from one recording."""

    recording: str
    audio: str
    passages: tuple[Passage, ...]


@dataclass(frozen=True)
class Cut:
    """What was cut, in the order of the job's passages: float32 mono, at `rate_hz`."""

    rate_hz: int
    sounds: tuple[Samples, ...]


def choose_passages(members: Iterable[tuple[str, LocalSpeaker]]) -> tuple[Passage, ...]:
    """6 to 30 s of clean speech, of one recording if it has enough; nothing if there is less.

    Clean is 15 dB or more over what is heard in pauses.
    """
    by_recording: dict[str, list[Passage]] = {}
    for recording, speaker in members:
        for stretch in speaker.stretches:
            if stretch.snr_db >= LEAST_SNR_DB:
                by_recording.setdefault(recording, []).append(_passage(recording, stretch))
    if not by_recording:
        return ()
    chosen = [_take(passages, LONGEST_REFERENCE_S) for passages in by_recording.values()]

    def worth(passages: Sequence[Passage]) -> tuple[float, float]:
        total_s = sum(one.duration_s for one in passages)
        return min(total_s, _ENOUGH_S), sum(one.snr_db for one in passages) / len(passages)

    best = max(chosen, key=worth)
    if sum(one.duration_s for one in best) < SHORTEST_REFERENCE_S:
        everything = [one for passages in by_recording.values() for one in passages]
        best = _take(everything, LONGEST_REFERENCE_S)
    total_s = sum(one.duration_s for one in best)
    return tuple(best) if total_s >= SHORTEST_REFERENCE_S else ()


def choose_clip(members: Iterable[tuple[str, LocalSpeaker]]) -> tuple[Passage, ...]:
    """The cleanest passage there is, at most 8 s of it, to hear who it is."""
    everything = [_passage(r, one) for r, speaker in members for one in speaker.stretches]
    if not everything:
        return ()
    best = max(everything, key=lambda one: (one.snr_db, one.recording, -one.start_s))
    end_s = min(best.end_s, best.start_s + LONGEST_CLIP_S)
    return (Passage(best.recording, best.start_s, end_s, best.snr_db),)


def cut_passages(_: object, job: CutJob) -> Cut:
    """Decode a recording at its own rate (48 kHz at most) up to its last passage: a worker's work.

    Raises InputError where it cannot be read any more.
    """
    path = Path(job.audio)
    rate_hz = min(HIGHEST_RATE_HZ, probe(path).sample_rate_hz)
    edges = [(round(p.start_s * rate_hz), round(p.end_s * rate_hz)) for p in job.passages]
    parts: list[list[Samples]] = [[] for _ in edges]
    last = max(end for _, end in edges)
    place = 0
    for block in decode(path, rate_hz, 1):
        for part, (start, end) in zip(parts, edges, strict=True):
            if start < place + len(block) and end > place:
                part.append(block[max(0, start - place) : end - place].copy())
        place += len(block)
        if place >= last:
            break
    nothing = np.zeros(0, dtype=np.float32)
    sounds = tuple(_fade(np.concatenate(part), rate_hz) if part else nothing for part in parts)
    return Cut(rate_hz, sounds)


def join_sounds(sounds: Sequence[tuple[Samples, int]]) -> tuple[Samples, int]:
    """Passages one after the other with a short silence between, at the highest of their rates."""
    import soxr

    rate_hz = max(rate for _, rate in sounds)
    gap = np.zeros(round(_GAP_S * rate_hz), dtype=np.float32)
    joined: list[Samples] = []
    for samples, rate in sounds:
        whole = samples if rate == rate_hz else soxr.resample(samples, rate, rate_hz)
        joined += [gap, np.asarray(whole, dtype=np.float32)]
    return np.concatenate(joined[1:]), rate_hz


def _passage(recording: str, stretch: Stretch) -> Passage:
    return Passage(recording, stretch.start_s, stretch.end_s, stretch.snr_db)


def _take(passages: Sequence[Passage], longest_s: float) -> list[Passage]:
    """The cleanest that fit, in the order of time."""
    ranked = sorted(passages, key=lambda one: (-one.snr_db, one.recording, one.start_s))
    taken: list[Passage] = []
    left_s = longest_s
    for one in ranked:
        if one.duration_s <= left_s:
            taken.append(one)
            left_s -= one.duration_s
    return sorted(taken, key=lambda one: (one.recording, one.start_s))


def _fade(samples: Samples, rate_hz: int) -> Samples:
    count = min(len(samples) // 2, round(_FADE_S * rate_hz))
    ramp = np.linspace(0.0, 1.0, count, endpoint=False, dtype=np.float32)
    samples[:count] *= ramp
    samples[len(samples) - count :] *= ramp[::-1]
    return samples
