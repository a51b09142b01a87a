"""A voiceprint for each voice of a recording, from its clean stretches."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from podcaster.audio import Samples, decode
from podcaster.levels import keep_voiced
from podcaster.model import Transcript
from podcaster.speakers.engine import SAMPLE_RATE_HZ, Vector, VoiceEncoder
from podcaster.speakers.recording import LocalSpeaker, Stretch
from podcaster.speakers.stretches import (
    LONGEST_STRETCH_S,
    SHORTEST_STRETCH_S,
    Span,
    fit_span,
    gather,
    measure_snr_db,
    plan_spans,
)

LEAST_VOICED_S = 1.5  # less says little about a voice
STRETCHES_S = 45.0  # kept of each voice, to cut a reference from
_STRANGER = 0.6  # a stretch less like its voice's mean is somebody else's, diarised wrongly


def print_voices(
    path: Path,
    transcript: Transcript,
    speakers: Sequence[LocalSpeaker],
    encoder: VoiceEncoder,
) -> tuple[LocalSpeaker, ...]:
    """The same speakers with voiceprints and clean stretches, where they are heard long enough.

    The recording is decoded once, in a stream; at most 75 s of each voice are looked at. Raises
    InputError where the sound cannot be read, EngineError.
    """
    spans = plan_spans(transcript)
    if not spans:
        return tuple(speakers)
    heard = gather(decode(path, SAMPLE_RATE_HZ, 1), spans)
    return tuple(
        _print_voice(
            speaker,
            [
                (span, sound)
                for span, sound in zip(spans, heard.sounds, strict=True)
                if span.label == speaker.label and len(sound)
            ],
            heard.levels_db,
            encoder,
        )
        for speaker in speakers
    )


def _print_voice(
    speaker: LocalSpeaker,
    heard: Sequence[tuple[Span, Samples]],
    levels_db: Samples,
    encoder: VoiceEncoder,
) -> LocalSpeaker:
    prints: list[Vector] = []
    lengths: list[float] = []
    spans: list[Span] = []
    for span, sound in heard:
        voiced = keep_voiced(sound, SAMPLE_RATE_HZ)
        if np.any(voiced):
            prints.append(encoder.embed(voiced))
            lengths.append(len(voiced) / SAMPLE_RATE_HZ)
            spans.append(span)
    if sum(lengths) < LEAST_VOICED_S:
        return speaker
    mean, own = mean_print(np.stack(prints), np.array(lengths))
    stretches = _rate([span for span, kept in zip(spans, own, strict=True) if kept], levels_db)
    return msgspec.structs.replace(
        speaker,
        voiceprint=tuple(round(float(value), 5) for value in mean),
        voiced_s=round(float(np.array(lengths)[own].sum()), 2),
        stretches=stretches,
    )


def mean_print(prints: Vector, weights: Vector) -> tuple[Vector, Vector]:
    """The mean direction of unit vectors `(n, d)`, and which of them belong to it: `(n,)` of bool.

    Those far from the mean are left out of it; if all are, none is.
    """
    own = np.ones(len(prints), dtype=bool)
    for _ in range(2):
        mean = _unit((prints[own] * weights[own, None]).sum(axis=0))
        near = prints @ mean >= _STRANGER
        if not near.any() or np.array_equal(near, own):
            break
        own = near
    return _unit((prints[own] * weights[own, None]).sum(axis=0)), own


def _rate(spans: Sequence[Span], levels_db: Samples) -> tuple[Stretch, ...]:
    """Stretches of 2 to 12 s that begin and end in pauses, the cleanest first, 45 s in all."""
    rated = []
    for span in spans:
        fitted = fit_span(span, levels_db)
        if SHORTEST_STRETCH_S <= fitted.duration_s <= LONGEST_STRETCH_S:
            snr_db = measure_snr_db(fitted, levels_db)
            rated.append(
                Stretch(
                    start_s=round(fitted.start_s, 3), end_s=round(fitted.end_s, 3), snr_db=snr_db
                )
            )
    rated.sort(key=lambda stretch: (-stretch.snr_db, stretch.start_s))
    kept: list[Stretch] = []
    left_s = STRETCHES_S
    for stretch in rated:
        if left_s <= 0:
            break
        kept.append(stretch)
        left_s -= stretch.end_s - stretch.start_s
    return tuple(kept)


def _unit(vector: Vector) -> Vector:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)
