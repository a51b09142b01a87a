"""What can be measured on a recording of somebody's voice.

Samples are float32 mono `(n_samples,)`.

Music is told from speech by tones that are held: the pitch of speech glides, so that its harmonics
move from one frequency to the next within a third of a second, and notes do not. Words are counted
by syllables: peaks of the energy between 300 and 2,500 Hz with a dip on both sides, after de Jong
and Wempe, "Praat script to detect syllable nuclei and measure speech rate automatically",
Behavior Research Methods 41, 2009.
"""

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from podcaster.audio import Samples
from podcaster.levels import compare_levels_db, measure_levels_db

# of one voice: how alike 1.6 s of it is to another 1.6 s
Vectors = NDArray[np.float32]

_RATE_HZ = 16_000
_DIGITAL_SILENCE_DB = -88.0  # such frames say nothing of the noise elsewhere

_TONE_WINDOW = 2720  # 170 ms: bins of 6 Hz
_TONE_HOP = 640  # 40 ms
_TONES_HZ = (200.0, 4000.0)  # under it hums the mains
_TONE_HELD = 10  # hops
_TONE_OVER_DB = 12.0  # its surroundings
_TONE_UNDER_DB = 70.0  # the loudest of all
_TONE_AROUND = 25  # bins

_BAND_DROP_DB = 50.0
_BAND_FFT = 2048

_SYLLABLES_HZ = (300.0, 2500.0)
_SYLLABLE_FFT, _SYLLABLE_HOP = 400, 160
_SYLLABLE_RANGE_DB = 25.0
_SYLLABLE_DIP_DB = 2.0
# fitted on fifteen transcribed recordings, English, read and in conversation
_WORDS_PER_SYLLABLE = 0.78


def measure_snr_db(samples: Samples, rate_hz: int) -> float:
    """How far the speech lies over what is heard in its pauses; 0 where there is no sound."""
    levels = measure_levels_db(samples, rate_hz)
    heard = levels[levels > _DIGITAL_SILENCE_DB]
    return compare_levels_db(heard, heard) if len(heard) else 0.0


def measure_clipping(samples: Samples) -> float:
    """The share of samples that lie on a flat top: three or more in a row at the peak."""
    if len(samples) < 3:
        return 0.0
    hot = np.abs(samples) >= 0.985 * float(np.max(np.abs(samples), initial=1e-9))
    return float(np.mean(hot[:-2] & hot[1:-1] & hot[2:]))


def measure_bandwidth_hz(samples: Samples, rate_hz: int) -> float:
    """Up to which frequency there is sound: 50 dB under the loudest, on average."""
    count = len(samples) // _BAND_FFT
    if count == 0:
        return 0.0
    frames = samples[: count * _BAND_FFT].reshape(count, _BAND_FFT)
    power = np.zeros(_BAND_FFT // 2 + 1)
    for start in range(0, count, 256):
        block = frames[start : start + 256] * np.hanning(_BAND_FFT)
        power += np.sum(np.square(np.abs(np.fft.rfft(block, axis=1))), axis=0)
    heard = np.flatnonzero(power > power.max() * 10.0 ** (-_BAND_DROP_DB / 10.0))
    return float(heard[-1]) * rate_hz / _BAND_FFT if len(heard) else 0.0


def measure_music(samples: Samples, rate_hz: int) -> float:
    """The share of the time in which two or more tones are held for 0.4 s, as in chords.

    Drums alone hold none. Speech has none either, whoever speaks.
    """
    sound = _resample(samples, rate_hz)
    count = (len(sound) - _TONE_WINDOW) // _TONE_HOP + 1
    if count <= _TONE_HELD:
        return 0.0
    low, high = (round(edge * _TONE_WINDOW / _RATE_HZ) for edge in _TONES_HZ)
    windows = sliding_window_view(sound, _TONE_WINDOW)[::_TONE_HOP]
    levels = np.empty((count, high - low + 2), dtype=np.float32)
    loudest = -np.inf
    for start in range(0, count, 256):
        spectra = np.fft.rfft(windows[start : start + 256] * np.hanning(_TONE_WINDOW), axis=1)
        block = 20.0 * np.log10(np.abs(spectra) + 1e-7)
        loudest = max(loudest, float(block.max()))
        levels[start : start + 256] = block[:, low - 1 : high + 1]
    tones = _find_tones(levels) & (levels[:, 1:-1] > loudest - _TONE_UNDER_DB)
    sums = np.cumsum(np.pad(tones.astype(np.int32), ((1, 0), (0, 0))), axis=0)
    held = sums[_TONE_HELD:] - sums[:-_TONE_HELD] == _TONE_HELD
    return float(np.mean(held.sum(axis=1) >= 2))


def count_syllables(samples: Samples, rate_hz: int) -> int:
    """How many syllables are spoken, about."""
    sound = _resample(samples, rate_hz)
    if len(sound) < 10 * _SYLLABLE_HOP:
        return 0
    low, high = (round(edge * _SYLLABLE_FFT / _RATE_HZ) for edge in _SYLLABLES_HZ)
    windows = sliding_window_view(sound, _SYLLABLE_FFT)[::_SYLLABLE_HOP]
    energy = np.empty(len(windows))
    for start in range(0, len(windows), 4096):
        spectra = np.fft.rfft(windows[start : start + 4096] * np.hanning(_SYLLABLE_FFT), axis=1)
        energy[start : start + 4096] = np.square(np.abs(spectra[:, low:high])).sum(axis=1)
    shape = np.hanning(11)
    smooth = np.convolve(np.sqrt(energy), shape / shape.sum(), mode="same")
    levels = 20.0 * np.log10(smooth + 1e-7)
    return _count_peaks(levels, float(np.percentile(levels, 95)) - _SYLLABLE_RANGE_DB)


def estimate_words_per_minute(samples: Samples, rate_hz: int) -> float:
    """The pace, pauses included, told from syllables alone; right within about a sixth."""
    duration_s = len(samples) / rate_hz
    if duration_s <= 0:
        return 0.0
    return count_syllables(samples, rate_hz) * _WORDS_PER_SYLLABLE / duration_s * 60.0


def split_voices(prints: Vectors) -> tuple[float, float]:
    """Part voiceprints `(n, d)` of length 1 into the two groups that are least alike.

    Returns the cosine between the groups' means, and the smaller one's share. One voice has groups
    that are alike.
    """
    if len(prints) < 4:
        return 1.0, 0.0
    alike = prints @ prints.T
    one, other = np.unravel_index(int(np.argmin(alike)), alike.shape)
    means = np.stack((prints[one], prints[other]))
    share = 0.0
    for _ in range(20):
        second = prints @ means[1] > prints @ means[0]
        if second.all() or not second.any():
            return 1.0, 0.0
        means = np.stack((mean_print(prints[~second]), mean_print(prints[second])))
        share = float(min(second.mean(), 1.0 - second.mean()))
    return float(means[0] @ means[1]), share


def mean_print(prints: Vectors) -> Vectors:
    """The mean direction `(d,)` of unit vectors `(n, d)`."""
    mean = prints.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), dtype=np.float32)


def _find_tones(levels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a spectrum `(n, bins)` has narrow peaks; the outermost bins are left out."""
    half = _TONE_AROUND // 2
    tones = np.empty((len(levels), levels.shape[1] - 2), dtype=bool)
    for start in range(0, len(levels), 128):
        block = levels[start : start + 128]
        padded = np.pad(block, ((0, 0), (half, half)), mode="edge")
        around = np.median(sliding_window_view(padded, _TONE_AROUND, axis=1), axis=2)[:, 1:-1]
        inner = block[:, 1:-1]
        tones[start : start + 128] = (
            (inner > block[:, :-2]) & (inner >= block[:, 2:]) & (inner - around > _TONE_OVER_DB)
        )
    return tones


def _count_peaks(levels: NDArray[np.float64], least: float) -> int:
    """Peaks over `least` with a dip before and after."""
    count, rising, extreme = 0, True, -np.inf
    for level in levels:
        if rising:
            if level > extreme:
                extreme = float(level)
            elif level < extreme - _SYLLABLE_DIP_DB:
                count += extreme > least
                rising, extreme = False, float(level)
        elif level < extreme:
            extreme = float(level)
        elif level > extreme + _SYLLABLE_DIP_DB:
            rising, extreme = True, float(level)
    return count + (rising and extreme > least)


def _resample(samples: Samples, rate_hz: int) -> Samples:
    if rate_hz == _RATE_HZ:
        return samples
    return np.asarray(soxr.resample(samples, rate_hz, _RATE_HZ), dtype=np.float32)
