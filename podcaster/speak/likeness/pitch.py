"""The pitch of a recording, by autocorrelation: a telephone that takes the fundamental away, or
noise, does not hide it.

WORLD's own estimators look for the fundamental itself, and find three times the pitch where a
line carries nothing below 300 Hz. They are used on synthetic speech, which has it.

After Boersma, "Accurate short-term analysis of the fundamental frequency" (1993): the window's own
autocorrelation is divided out, and the smoothest path through the candidates is taken. The second
pass looks around the first one's median alone (De Looze and Hirst, 2008), against octave errors.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from podcaster.speak.engine import Samples

HOP_S = 0.01
LOWEST_HZ, HIGHEST_HZ = 60.0, 420.0

Array = NDArray[Any]

_WINDOW_S = 0.05  # three periods of the lowest pitch
_CANDIDATES = 5
_BLOCK_FRAMES = 1000
_VOICED = 0.5  # a correlation above this is a voice
# for each octave of lag: of two as good, the higher pitch where the wave repeats itself exactly;
# where it does not, the lower, for a telephone leaves the second and third harmonics, which
# repeat themselves sooner than the voice does
_OCTAVE_COST, _OCTAVE_GAIN = 0.01, 0.03
_INEXACT = 0.1  # so much less than 1 at the best lag counts as inexact
_JUMP_COST = 0.5  # for each octave from frame to frame
_SWITCH_COST = 0.2  # between voiced and unvoiced
_QUIET_DB, _FAINT_DB = 25.0, 20.0  # below the loud frames; quieter ones count less and less
_BELOW, _ABOVE = 1.8, 1.9  # how far from the median, as factors


@dataclass(frozen=True)
class Track:
    """Pitch in hertz, 0 where unvoiced, and mean power in dB: `(n_frames,)`, frame k at k HOP_S."""

    pitch_hz: Array
    power_db: Array


def track_pitch(samples: Samples, rate_hz: int) -> Track:
    """Follow the pitch of one voice through mono `(n_samples,)`; nothing voiced gives zeros."""
    first = _track(samples, rate_hz, LOWEST_HZ, HIGHEST_HZ)
    voiced = first.pitch_hz[first.pitch_hz > 0]
    if not len(voiced):
        return first
    median = float(np.median(voiced))
    lowest, highest = max(LOWEST_HZ, median / _BELOW), min(HIGHEST_HZ, median * _ABOVE)
    return _track(samples, rate_hz, lowest, highest)


def _track(samples: Samples, rate_hz: int, lowest_hz: float, highest_hz: float) -> Track:
    pitches, strengths, power = _candidates(samples, rate_hz, lowest_hz, highest_hz)
    power_db = 10.0 * np.log10(power + 1e-12)
    below = float(np.percentile(power_db, 95)) - _QUIET_DB - power_db
    strengths -= np.clip(below / _FAINT_DB, 0.0, 1.0)[:, None]
    path = _smoothest(np.log2(np.maximum(pitches, 1.0)), strengths)
    found = np.take_along_axis(
        np.pad(pitches, ((0, 0), (0, 1))), path[:, None], axis=1
    )  # the last column is "unvoiced"
    return Track(np.where(power_db > -100.0, found[:, 0], 0.0), power_db)


def _candidates(
    samples: Samples, rate_hz: int, lowest_hz: float, highest_hz: float
) -> tuple[Array, Array, Array]:
    """The best peaks of each frame: hertz and strength `(n_frames, 5)`, and powers."""
    window, hop = round(_WINDOW_S * rate_hz), round(HOP_S * rate_hz)
    shape = np.hanning(window + 2)[1:-1]
    lags = np.arange(int(rate_hz / highest_hz) - 1, int(rate_hz / lowest_hz) + 2)
    padded = np.pad(samples.astype(np.float64), (window // 2, window))
    frames = sliding_window_view(padded, window)[::hop][: len(samples) // hop + 1]
    own = np.fft.irfft(np.abs(np.fft.rfft(shape, 2 * window)) ** 2)
    size = 1 << int(np.ceil(np.log2(window + lags[-1])))
    octaves = np.log2(lags[1:-1] / lags[1])
    pitches, strengths, powers = [], [], []
    for first in range(0, len(frames), _BLOCK_FRAMES):
        block = frames[first : first + _BLOCK_FRAMES]
        block = (block - block.mean(axis=1, keepdims=True)) * shape
        correlation = np.fft.irfft(np.abs(np.fft.rfft(block, size)) ** 2)
        power = correlation[:, :1]
        curve = correlation[:, lags] / np.maximum(power, 1e-12) / (own[lags] / own[0])
        here, before, after = curve[:, 1:-1], curve[:, :-2], curve[:, 2:]
        peaks = curve.max(axis=1, keepdims=True)
        gain = _OCTAVE_GAIN * np.clip((1.0 - peaks) / _INEXACT, 0.0, 1.0) - _OCTAVE_COST
        score = np.where((here > before) & (here >= after), here + gain * octaves, -9.0)
        best = np.argsort(-score, axis=1, kind="stable")[:, :_CANDIDATES]
        # a parabola through the peak finds it between two lags
        y0, y1, y2 = (np.take_along_axis(one, best, 1) for one in (before, here, after))
        shift = 0.5 * (y0 - y2) / np.minimum(y0 - 2.0 * y1 + y2, -1e-9)
        pitches.append(rate_hz / (lags[1:-1][best] + np.clip(shift, -0.5, 0.5)))
        strengths.append(np.take_along_axis(score, best, 1))
        powers.append(power[:, 0] / window)
    return np.concatenate(pitches), np.concatenate(strengths), np.concatenate(powers)


def _smoothest(octaves: Array, strengths: Array) -> NDArray[np.int64]:
    """The path of least cost through candidates, by dynamic programming `(n_frames,)`.

    The number after the last candidate says "unvoiced".
    """
    count, width = octaves.shape
    gains = np.pad(strengths, ((0, 0), (0, 1)), constant_values=_VOICED)
    moves = np.full((width + 1, width + 1), _SWITCH_COST)
    moves[width, width] = 0.0
    back = np.zeros((count, width + 1), dtype=np.int64)
    total = -gains[0]
    rows = np.arange(width + 1)
    for frame in range(1, count):
        moves[:width, :width] = _JUMP_COST * np.abs(octaves[frame][:, None] - octaves[frame - 1])
        costs = total + moves
        back[frame] = costs.argmin(axis=1)
        total = costs[rows, back[frame]] - gains[frame]
    path = np.zeros(count, dtype=np.int64)
    path[-1] = int(total.argmin())
    for frame in range(count - 1, 0, -1):
        path[frame - 1] = back[frame, path[frame]]
    return path
