"""Mastering: two passes to the asked loudness, under a look-ahead true-peak limiter.

The first pass has measured the programme while it was rendered. The second applies one gain and
the limiter, encodes, and measures the decoded MP3; where that misses, gain or ceiling is
corrected and it is encoded again. (ITU-R BS.1770-4, Annex 2, on true peaks; EBU R 128.)
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from podcaster.audio import SILENCE_LUFS, Samples, measure_loudness
from podcaster.model import Loudness
from podcaster.mp3 import MP3_FRAME_SAMPLES, Mp3Writer
from podcaster.units import db_to_gain

STEREO_LUFS = -16.0
MONO_LUFS = -19.0
CEILING_DBTP = -1.5  # of the limiter: encoding overshoots
HIGHEST_DBTP = -1.0  # of the decoded MP3

_TOLERANCE_LU = 0.3
_PASSES = 4
_HIGHEST_GAIN_DB = 30.0  # so that near-silence is not turned into noise

HOP_SAMPLES = 64
_SMOOTH_HOPS = 12  # the gain begins to fall 17 ms before a peak, and is back 17 ms after it
MARGIN_SAMPLES = HOP_SAMPLES * 2 * (_SMOOTH_HOPS + 2)
_BLOCK_SAMPLES = MP3_FRAME_SAMPLES * 384  # 10 s, whole hops
_PHASES = 4
_HALF_TAPS = 8
_HIGHEST_RISE = 1.5  # 3.5 dB from a sample to the peak beside it: more than sound below 15 kHz does


@dataclass(frozen=True)
class Programme:
    """The rendered mix before mastering: raw float32, interleaved, in a file of its own."""

    path: Path
    channels: int
    samples: int
    integrated_lufs: float

    def read(self, start: int, count: int) -> Samples:
        """Samples `(count, channels)` from `start`; what lies outside the programme is silence."""
        result = np.zeros((count, self.channels), dtype=np.float32)
        first, last = max(0, start), min(self.samples, start + count)
        if first < last:
            width = 4 * self.channels
            # read, not mapped: mapped pages count as this process's memory
            with self.path.open("rb") as file:
                file.seek(first * width)
                data = np.frombuffer(file.read((last - first) * width), dtype="<f4")
            result[first - start : last - start] = data.reshape(-1, self.channels)
        return result


def target_lufs(channels: int) -> float:
    """What an episode is mastered to; one channel is played by both ears, so it asks for less."""
    return MONO_LUFS if channels == 1 else STEREO_LUFS


def master(
    programme: Programme, mp3: Path, bitrate_kbps: int, report: Callable[[float], None]
) -> tuple[Loudness, int]:
    """Write the MP3 and say what was measured on it, and how many times it was encoded.

    `report` is told the share that is done. A programme too quiet to be brought to level is left
    at the highest allowed gain.
    """
    target = target_lufs(programme.channels)
    gain_db = min(target - programme.integrated_lufs, _HIGHEST_GAIN_DB)
    ceiling_db = CEILING_DBTP
    encoded = 0
    while True:
        encoded += 1
        with Mp3Writer(mp3, channels=programme.channels, bitrate_kbps=bitrate_kbps) as writer:
            for block, share in limited_blocks(programme, gain_db, ceiling_db):
                writer.write(block)
                report(0.85 * share)
        measured = measure_loudness(mp3)
        report(1.0)
        miss_lu = target - measured.integrated_lufs
        over_db = measured.true_peak_dbtp - HIGHEST_DBTP
        at_limit = measured.integrated_lufs <= SILENCE_LUFS or gain_db >= _HIGHEST_GAIN_DB
        good = over_db <= 0 and (abs(miss_lu) <= _TOLERANCE_LU or at_limit)
        if good or encoded == _PASSES:
            return measured, encoded
        if not at_limit:
            gain_db = min(gain_db + miss_lu, _HIGHEST_GAIN_DB)
        if over_db > 0:
            ceiling_db -= over_db + 0.1


def limited_blocks(
    programme: Programme, gain_db: float, ceiling_dbtp: float
) -> Iterator[tuple[Samples, float]]:
    """The programme with gain and limiter applied, block by block, and the share that is done."""
    gain, ceiling = db_to_gain(gain_db), db_to_gain(ceiling_dbtp)
    for start in range(0, programme.samples, _BLOCK_SAMPLES):
        count = min(_BLOCK_SAMPLES, programme.samples - start)
        padded = -(-count // HOP_SAMPLES) * HOP_SAMPLES
        around = programme.read(start - MARGIN_SAMPLES, padded + 2 * MARGIN_SAMPLES)
        yield limit(around * np.float32(gain), ceiling)[:count], (start + count) / programme.samples


def limit(samples: Samples, ceiling: float) -> Samples:
    """Bring all true peaks under `ceiling` by a smooth gain that both channels share.

    `samples` is `(n + 2·MARGIN_SAMPLES, channels)` with n a multiple of `HOP_SAMPLES`; the margins
    are the neighbourhood that decides the gain, and are not returned. The same sample gets the
    same gain wherever the blocks are cut.
    """
    needed = np.minimum(1.0, ceiling / np.maximum(true_peaks(samples, ceiling), 1e-9))
    inside = samples[MARGIN_SAMPLES : len(samples) - MARGIN_SAMPLES]
    if needed.min() >= 1.0:
        return inside
    reach = _SMOOTH_HOPS + 1  # one more, for the interpolation between neighbours
    lowest = sliding_window_view(needed, 2 * reach + 1).min(axis=-1)
    window = np.hanning(2 * _SMOOTH_HOPS + 3)[1:-1]
    curve = np.convolve(lowest, window / window.sum(), mode="valid")
    # curve[0] belongs to this hop of `samples`; from the middle of each hop to the next, linearly
    first_hop = reach + _SMOOTH_HOPS
    middles = (np.arange(len(curve)) + first_hop + 0.5) * HOP_SAMPLES
    positions = np.arange(MARGIN_SAMPLES, MARGIN_SAMPLES + len(inside)) + 0.5
    gains = np.interp(positions, middles, curve).astype(np.float32)
    return np.asarray(inside * gains[:, None], dtype=np.float32)


def true_peaks(samples: Samples, ceiling: float) -> NDArray[np.float64]:
    """The true peak of each hop over all channels, `(n_hops,)`, exact wherever it matters.

    Four times oversampling by a windowed sinc; a hop whose samples are so low that hardly a peak
    between them could reach `ceiling` is judged by its samples.
    """
    hops = len(samples) // HOP_SAMPLES
    peaks: NDArray[np.float64] = np.abs(samples.reshape(hops, -1)).max(axis=1).astype(np.float64)
    # a hop is interpolated from its neighbours too
    spread = np.maximum(peaks, np.maximum(np.roll(peaks, 1), np.roll(peaks, -1)))
    close = np.flatnonzero(spread * _HIGHEST_RISE > ceiling)
    if not len(close):
        return peaks
    padded = np.pad(samples, ((_HALF_TAPS, _HALF_TAPS), (0, 0)))
    index = close[:, None] * HOP_SAMPLES + np.arange(HOP_SAMPLES + 2 * _HALF_TAPS)
    for channel in range(samples.shape[1]):
        segments = padded[:, channel][index]
        for taps in _interpolators():
            between = np.zeros((len(close), HOP_SAMPLES), dtype=np.float32)
            for tap, weight in enumerate(taps):
                between += weight * segments[:, tap : tap + HOP_SAMPLES]
            peaks[close] = np.maximum(peaks[close], np.abs(between).max(axis=1))
    return peaks


@functools.cache
def _interpolators() -> NDArray[np.float32]:
    # (phases − 1, taps): the values between samples 7 and 8 of 16, a Kaiser-windowed sinc
    fractions = np.arange(1, _PHASES)[:, None] / _PHASES
    offsets = np.arange(2 * _HALF_TAPS) - (_HALF_TAPS - 1) - fractions
    window = np.i0(6.0 * np.sqrt(np.maximum(0.0, 1 - (offsets / _HALF_TAPS) ** 2))) / np.i0(6.0)
    taps = np.sinc(offsets) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), dtype=np.float32)
