"""What WORLD does to a speech so that it resembles somebody: pitch, melody, throat, colour."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
import numpy as np

from podcaster.errors import EngineError, foreign
from podcaster.model import Noun
from podcaster.speak.engine import Samples, Speech
from podcaster.speak.likeness.measures import BANDS_HZ, Array, Decibels, Measures
from podcaster.speak.likeness.world import reshape_speech

LOWEST_HZ, HIGHEST_HZ = 60.0, 400.0
NARROWEST, WIDEST = 2.0, 12.0  # semitones that are imposed, 10th to 90th percentile
_BENDS = (0.4, 2.5)  # of the melody

_LONGEST_PIECE_S = 15.0
_FADE_S = 0.004
_PEAK = 0.9

Hertz = Annotated[float, msgspec.Meta(ge=40, le=600)]


class Shape(Noun, frozen=True):
    """How a speech is to be changed: its median pitch and the wanted one, the melody's stretch,
    the formants' factor, and what is added at BANDS_HZ.
    """

    spoken_hz: Hertz
    wanted_hz: Hertz
    bend: Annotated[float, msgspec.Meta(ge=_BENDS[0], le=_BENDS[1])]
    formant_scale: Annotated[float, msgspec.Meta(ge=0.5, le=2)]
    gains_db: Annotated[
        tuple[Decibels, ...], msgspec.Meta(min_length=len(BANDS_HZ), max_length=len(BANDS_HZ))
    ]


def make_shape(
    spoken: Measures, wanted: Measures, *, formant_scale: float, gains_db: Array, most_db: float
) -> Shape:
    """What brings a speech that was measured to where somebody's measures are.

    Gains beyond `most_db` are cut.
    """
    range_semitones = min(WIDEST, max(NARROWEST, wanted.pitch_range_semitones))
    bend = range_semitones / max(spoken.pitch_range_semitones, 0.5)
    return Shape(
        spoken_hz=spoken.pitch_hz,
        wanted_hz=min(HIGHEST_HZ, max(LOWEST_HZ, wanted.pitch_hz)),
        bend=round(min(_BENDS[1], max(_BENDS[0], bend)), 4),
        formant_scale=round(formant_scale, 4),
        gains_db=tuple(round(float(one), 2) for one in np.clip(gains_db, -most_db, most_db)),
    )


def shape_speech(speech: Speech, shape: Shape, pitch_range_hz: tuple[float, float]) -> Speech:
    """Speak the same again in another shape; pauses stay silent, sentences end where they did.

    `pitch_range_hz` is where the speech's pitch lies. Raises EngineError where WORLD fails.
    """
    reshaped = np.zeros_like(speech.samples)
    with foreign(EngineError, "Reshaping speech with WORLD"):
        for start, end in split_sounds(speech):
            piece = _impose(speech.samples[start:end], speech.sample_rate_hz, shape, pitch_range_hz)
            reshaped[start:end] = _fade(piece, speech.sample_rate_hz)
    return Speech(_level(reshaped, speech.samples), speech.sample_rate_hz, speech.sentence_ends_s)


def split_sounds(speech: Speech) -> Iterator[tuple[int, int]]:
    """Where sounds begin and end: sentences without the silence between; long ones in parts.

    A part ends where it is quietest, so that memory does not grow with a sentence.
    """
    rate_hz, start = speech.sample_rate_hz, 0
    longest, block = round(_LONGEST_PIECE_S * rate_hz), round(0.02 * rate_hz)
    for end_s in speech.sentence_ends_s:
        end = min(len(speech.samples), round(end_s * rate_hz))
        sounding = np.flatnonzero(speech.samples[start:end])
        if len(sounding):
            start += int(sounding[0])
            while end - start > longest:
                late = speech.samples[start + longest // 2 : start + longest]
                whole = len(late) // block * block
                power = np.square(late[:whole]).reshape(-1, block).sum(axis=1)
                cut = start + longest // 2 + int(power.argmin()) * block + block // 2
                yield start, cut
                start = cut
            yield start, end
        start = end


def _impose(
    samples: Samples, rate_hz: int, shape: Shape, pitch_range_hz: tuple[float, float]
) -> Samples:
    bands = np.log(BANDS_HZ)

    def move(pitch_hz: Array) -> Array:
        moved = shape.wanted_hz * (pitch_hz / shape.spoken_hz) ** shape.bend
        return np.asarray(np.clip(moved, shape.wanted_hz / 2.0, shape.wanted_hz * 2.2))

    def gains(frequencies_hz: Array) -> Array:
        # nothing is known beyond the bands: there, what holds at their ends
        return np.interp(np.log(np.maximum(frequencies_hz, 1.0)), bands, shape.gains_db)

    return reshape_speech(
        samples,
        rate_hz,
        pitch_range_hz=pitch_range_hz,
        move_pitch=move,
        formant_scale=shape.formant_scale,
        gains_db=gains,
    )


def _fade(samples: Samples, rate_hz: int) -> Samples:
    count = min(len(samples) // 2, round(_FADE_S * rate_hz))
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(count, 1))).astype(np.float32)
    samples[:count] *= ramp
    samples[len(samples) - count :] *= ramp[::-1]
    return samples


def _level(samples: Samples, before: Samples) -> Samples:
    """As loud as before, and never clipped."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    peak = float(np.max(np.abs(samples), initial=0.0))
    if power <= 0.0 or not np.isfinite(power):
        raise EngineError("WORLD made no sound of what was said.")
    gain = min(float(np.mean(np.square(before, dtype=np.float64)) / power) ** 0.5, _PEAK / peak)
    return np.asarray(samples * np.float32(gain), dtype=np.float32)
