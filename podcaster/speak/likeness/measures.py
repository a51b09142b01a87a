"""What makes a voice recognisable in a few numbers, measured from its references.

Pitch and its range, the size of the throat (formant scale), spectral tilt and colour. The size is
relative to eSpeak NG's standard speaker: that speaker's voiced spectra make a codebook, and the
references are stretched until they fit it best, as recognisers normalise vocal tract length (Lee
and Rose, 1996).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from podcaster.errors import InputError
from podcaster.model import Noun
from podcaster.speak.engine import Samples
from podcaster.speak.likeness.pitch import HOP_S, track_pitch
from podcaster.speak.likeness.world import read_envelopes

Array = NDArray[Any]

RATE_HZ = 16_000
LEAST_VOICED_S = 2.0
SMALLEST_SCALE, LARGEST_SCALE = 0.8, 1.3

# what any recording has, a telephone's, too; a grid of equal ratios, with room to be shifted
_LOW_HZ, _HIGH_HZ = 300.0, 3800.0
_POINTS, _ROOM = 96, 24
_STEP = float(np.log(_HIGH_HZ / _LOW_HZ)) / (_POINTS - 1)
_GRID_HZ = _LOW_HZ * np.exp(np.arange(-_ROOM, _POINTS + _ROOM) * _STEP)
_SMOOTH_POINTS = 25  # an octave's Hann window
_BANDS = 17
BANDS_HZ = np.exp(np.linspace(np.log(175.0), np.log(6800.0), _BANDS))
_CORE = (BANDS_HZ >= _LOW_HZ) & (BANDS_HZ <= _HIGH_HZ)
_CUT_DB = 20.0  # lower than the standard speaker by this: the recording ends there

_MOST_FRAMES = 4000
_NOISE_FRAMES = 400
_LOUD_DB = 25.0  # what is further below the loud frames is left out
_QUIET_SHARE = 10.0  # percent of frames that are taken for the room's noise
_DEEPEST_CUT = 0.3  # of a frame's power, where noise is subtracted
_CODES = 64
_ROUNDS = 12
# smaller people speak higher; the exponent is about what readers and talkers showed
_TYPICAL_HZ, _SIZE_BY_PITCH, _PRIOR = 110.0, 0.2, 25.0

_FARTHEST_DB = 100.0
Decibels = Annotated[float, msgspec.Meta(ge=-_FARTHEST_DB, le=_FARTHEST_DB)]


class Measures(Noun, frozen=True):
    """A voice in numbers.

    `pitch_range_semitones` is from the 10th to the 90th percentile; `formant_scale` is over 1 for
    a smaller throat than eSpeak's standard speaker has; `colour_db` is the mean level of voiced
    sound at BANDS_HZ, smoothed to an octave, about the mean from 300 to 3,800 Hz; the tilt is its
    slope there.
    """

    pitch_hz: Annotated[float, msgspec.Meta(ge=40, le=600)]
    pitch_range_semitones: Annotated[float, msgspec.Meta(ge=0, le=40)]
    formant_scale: Annotated[float, msgspec.Meta(ge=0.7, le=1.5)]
    tilt_db_per_octave: Decibels
    colour_db: Annotated[tuple[Decibels, ...], msgspec.Meta(min_length=_BANDS, max_length=_BANDS)]
    voiced_s: Annotated[float, msgspec.Meta(ge=0)]


@dataclass(frozen=True)
class Portrait:
    """What was heard: pitches of voiced frames `(n,)`, and envelopes in dB of some `(m, 144)`."""

    pitches_hz: Array
    envelopes_db: Array


@dataclass(frozen=True)
class Yardstick:
    """The standard speaker: two codebooks `(64, 96)` and the mean envelope `(144,)`, in dB.

    The codes are of spectra, and of their deviations from the mean.
    """

    codes: Array
    deviations: Array
    mean_db: Array


def listen(sounds: Iterable[Samples]) -> Portrait:
    """Hear the voiced frames of recordings of one voice, mono at RATE_HZ.

    Noise that is there between the words is subtracted. Raises InputError for less than
    LEAST_VOICED_S of voiced sound.
    """
    pitches: list[Array] = []
    envelopes: list[Array] = []
    heard_s = 0.0
    for samples in sounds:
        heard_s += len(samples) / RATE_HZ
        if len(samples) < RATE_HZ // 10:
            continue
        track = track_pitch(samples, RATE_HZ)
        loud_db = float(np.percentile(track.power_db, 95)) - _LOUD_DB
        voiced = np.flatnonzero((track.pitch_hz > 0) & (track.power_db > loud_db))
        if not len(voiced):
            continue
        pitches.append(track.pitch_hz[voiced])
        chosen = _thin(voiced, _MOST_FRAMES)
        quiet = np.flatnonzero(track.power_db <= np.percentile(track.power_db, _QUIET_SHARE))
        noise = _read(samples, track.pitch_hz * 0.0, _thin(quiet, _NOISE_FRAMES))
        envelopes.append(_subtract(_read(samples, track.pitch_hz, chosen), noise.mean(axis=0)))
    voiced_s = sum(len(part) for part in pitches) * HOP_S
    if voiced_s < LEAST_VOICED_S:
        raise InputError(
            f"{voiced_s:.1f} s of voiced speech were found in {heard_s:.1f} s of sound, "
            f"expected at least {LEAST_VOICED_S:.0f} s."
        )
    return Portrait(np.concatenate(pitches), np.concatenate(envelopes))


def make_yardstick(standard: Portrait) -> Yardstick:
    """Learn how the standard speaker's spectra look."""
    level = _level(standard.envelopes_db, 0)
    return Yardstick(
        _cluster(level), _cluster(level - level.mean(axis=0)), standard.envelopes_db.mean(axis=0)
    )


def measure(portrait: Portrait, yardstick: Yardstick) -> Measures:
    """Put a voice into numbers."""
    low, median, high = (float(x) for x in np.percentile(portrait.pitches_hz, [10, 50, 90]))
    colour = _colour(portrait.envelopes_db.mean(axis=0))
    return Measures(
        pitch_hz=round(median, 2),
        pitch_range_semitones=round(12.0 * float(np.log2(high / low)), 3),
        formant_scale=round(_fit_scale(portrait, yardstick, median), 4),
        tilt_db_per_octave=round(
            float(np.polyfit(np.log2(BANDS_HZ[_CORE]), colour[_CORE], 1)[0]), 3
        ),
        colour_db=tuple(round(float(level), 2) for level in colour),
        voiced_s=round(len(portrait.pitches_hz) * HOP_S, 2),
    )


def find_gains(measures: Measures, yardstick: Yardstick) -> Array:
    """What the standard speaker lacks at BANDS_HZ, in dB, once resonances are where they belong."""
    places = np.arange(len(_GRID_HZ)) - np.log(measures.formant_scale) / _STEP
    standard = _colour(np.interp(places, np.arange(len(_GRID_HZ)), yardstick.mean_db))
    return _go_on(np.asarray(measures.colour_db) - standard)


def find_difference(spoken: Measures, wanted: Measures) -> Array:
    """What a speech lacks at BANDS_HZ, in dB, to be of the wanted colour."""
    return _go_on(np.asarray(wanted.colour_db) - np.asarray(spoken.colour_db))


def _go_on(lacking: Array) -> Array:
    """Beyond the edges of a recording, as of a telephone's, what holds at the edge goes on."""
    inside = np.flatnonzero(_CORE)
    for band in (*range(inside[0] - 1, -1, -1), *range(inside[-1] + 1, _BANDS)):
        if lacking[band] < -_CUT_DB:
            lacking[band] = lacking[band + (1 if band < inside[0] else -1)]
    return lacking


def _thin(frames: Array, most: int) -> Array:
    return frames[np.linspace(0, len(frames) - 1, min(most, len(frames))).astype(np.int64)]


def _read(samples: Samples, pitch_hz: Array, frames: Array) -> Array:
    """Envelopes in dB at some frames, on the grid `(n, 144)`."""
    envelopes = read_envelopes(samples, RATE_HZ, pitch_hz[frames], frames * HOP_S)
    places = _GRID_HZ / (RATE_HZ / 2) * (envelopes.shape[1] - 1)
    low = places.astype(np.int64)
    part = places - low
    return np.asarray(envelopes[:, low] * (1.0 - part) + envelopes[:, low + 1] * part)


def _subtract(envelopes_db: Array, noise_db: Array) -> Array:
    powers, noise = 10.0 ** (envelopes_db / 10.0), 10.0 ** (noise_db / 10.0)
    return np.asarray(10.0 * np.log10(np.maximum(powers - noise, _DEEPEST_CUT * powers)))


def _level(envelopes_db: Array, shift: int) -> Array:
    """The band's part of `(n, 144)`, read `shift` points higher, without its level and slope."""
    part = envelopes_db[:, _ROOM + shift : _ROOM + shift + _POINTS]
    axis = np.linspace(-1.0, 1.0, _POINTS)
    flat = part - part.mean(axis=1, keepdims=True)
    return np.asarray(flat - np.outer(flat @ axis / (axis @ axis), axis))


def _fit_scale(portrait: Portrait, yardstick: Yardstick, pitch_hz: float) -> float:
    """How much larger than the standard speaker's the frequencies of the resonances are.

    Spectra are compared as they are, which a microphone's colour disturbs, and as deviations from
    their mean, which loses half of the evidence; the two costs are added, and a little for what
    is unlikely at this pitch.
    """
    likely = _SIZE_BY_PITCH * np.log(pitch_hz / _TYPICAL_HZ)
    first = round(float(np.log(SMALLEST_SCALE)) / _STEP)
    last = round(float(np.log(LARGEST_SCALE)) / _STEP)
    costs = []
    for shift in range(first, last + 1):
        level = _level(portrait.envelopes_db, shift)
        cost = _misfit(level, yardstick.codes)
        cost += _misfit(level - level.mean(axis=0), yardstick.deviations)
        costs.append(cost + _PRIOR * (shift * _STEP - likely) ** 2)
    best = min(max(int(np.argmin(costs)), 1), len(costs) - 2)
    before, here, after = costs[best - 1 : best + 2]
    # a parabola through the lowest finds it between two shifts
    between = 0.5 * (before - after) / max(before - 2.0 * here + after, 1e-9)
    scale = float(np.exp((first + best + np.clip(between, -1.0, 1.0)) * _STEP))
    return min(LARGEST_SCALE, max(SMALLEST_SCALE, scale))


def _misfit(spectra: Array, codes: Array) -> float:
    """The mean distance, in dB, of spectra `(n, 96)` to the nearest code."""
    return float(np.sqrt(_distances(spectra, codes).min(axis=1) / _POINTS).mean())


def _distances(spectra: Array, codes: Array) -> Array:
    squares = np.square(spectra).sum(axis=1)[:, None] + np.square(codes).sum(axis=1)
    return np.asarray(np.maximum(squares - 2.0 * spectra @ codes.T, 0.0))


def _cluster(spectra: Array) -> Array:
    """Codes `(64, 96)` for spectra `(n, 96)`: k-means, from the same beginning each time."""
    codes = spectra[np.linspace(0, len(spectra) - 1, _CODES).astype(np.int64)].copy()
    for _ in range(_ROUNDS):
        nearest = _distances(spectra, codes).argmin(axis=1)
        for code in np.unique(nearest):
            codes[code] = spectra[nearest == code].mean(axis=0)
    return codes


def _colour(mean_db: Array) -> Array:
    """A mean envelope `(144,)` smoothed, at BANDS_HZ, about its mean where all recordings reach."""
    window = np.hanning(_SMOOTH_POINTS + 2)[1:-1]
    padded = np.pad(mean_db, _SMOOTH_POINTS // 2, mode="edge")
    smooth = np.convolve(padded, window / window.sum(), "valid")
    levels = np.interp(np.log(BANDS_HZ), np.log(_GRID_HZ), smooth)
    return np.asarray(np.clip(levels - levels[_CORE].mean(), -_FARTHEST_DB, _FARTHEST_DB))
