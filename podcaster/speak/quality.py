"""What can be measured on a clip: level, loudness, silence; and bringing it to a common level."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from podcaster.speak.engine import Samples
from podcaster.units import count_words, db_to_gain, gain_to_db

CLIP_LUFS = -23.0
_CEILING = 0.95
_BLOCK_S, _HOP_S = 0.4, 0.1
_FLOOR_LUFS = -70.0
_SILENT_DB = -50.0
_SHELF = (
    (1.53512485958697, -2.69169618940638, 1.19839281085285),
    (-1.69065929318241, 0.73248077421585),
)
_HIGH_PASS = ((1.0, -2.0, 1.0), (-1.99004745483398, 0.99007225036621))


def measure_lufs(samples: Samples, sample_rate_hz: int) -> float:
    """Loudness of mono speech, gated as in ITU-R BS.1770-4; -70 where there is none.

    The weighting is applied to the spectrum, so it holds at any sample rate; what is shorter than
    a block is measured as one.
    """
    if len(samples) == 0:
        return _FLOOR_LUFS
    padded = _fast_length(len(samples))
    spectrum = np.fft.rfft(samples, padded) * _weighting(padded // 2 + 1, sample_rate_hz)
    weighted = np.fft.irfft(spectrum, padded)[: len(samples)]
    block = min(len(weighted), round(_BLOCK_S * sample_rate_hz))
    power = np.concatenate(([0.0], np.cumsum(np.square(weighted))))
    starts = np.arange(0, len(weighted) - block + 1, max(1, round(_HOP_S * sample_rate_hz)))
    means = np.maximum(power[starts + block] - power[starts], 0.0) / block
    means = means[means > _power(_FLOOR_LUFS)]
    if len(means) == 0:
        return _FLOOR_LUFS
    loud = means[means > 0.1 * means.mean()]
    return float(-0.691 + 10.0 * np.log10(loud.mean()))


def normalise_level(samples: Samples, sample_rate_hz: int) -> tuple[Samples, float]:
    """Bring speech to CLIP_LUFS, less where its peaks would not fit: the samples, their loudness.

    Silence stays silence.
    """
    peak = float(np.max(np.abs(samples), initial=0.0))
    loudness = measure_lufs(samples, sample_rate_hz)
    if peak == 0.0 or loudness <= _FLOOR_LUFS:
        return samples, loudness
    gain = min(db_to_gain(CLIP_LUFS - loudness), _CEILING / peak)
    levelled: Samples = (samples * np.float32(gain)).astype(np.float32)
    return levelled, loudness + gain_to_db(gain)


def score_clip(
    samples: Samples, sample_rate_hz: int, sentences: Sequence[str], lufs: float
) -> dict[str, float]:
    """Measure a finished clip whose loudness is known.

    `lufs`, `peak_db`, `active_rms_db`, `silence_share`, `word_s`.
    `word_s` is seconds per spoken word (0 with no words): far from a voice's usual, the engine
    has babbled, or swallowed a part.
    """
    frame = max(1, round(0.02 * sample_rate_hz))
    whole = len(samples) // frame * frame
    frames = np.square(samples[:whole], dtype=np.float64).reshape(-1, frame).mean(axis=1)
    active = frames[frames > 10.0 ** (_SILENT_DB / 10.0)]
    words = sum(count_words(sentence) for sentence in sentences)
    scores = {
        "lufs": lufs,
        "peak_db": max(-120.0, gain_to_db(float(np.max(np.abs(samples), initial=0.0)))),
        "active_rms_db": 10.0 * float(np.log10(active.mean())) if len(active) else -120.0,
        "silence_share": 1.0 - len(active) / len(frames) if len(frames) else 1.0,
        "word_s": len(samples) / sample_rate_hz / words if words else 0.0,
    }
    return {name: round(value, 3) for name, value in scores.items()}


def _fast_length(count: int) -> int:
    """The next length without a prime factor over 5: others make the transform far slower."""
    best = 1 << max(0, count - 1).bit_length()
    fives = 1
    while fives < best:
        threes = fives
        while threes < best:
            missing = -(-count // threes)
            best = min(best, threes << max(0, missing - 1).bit_length())
            threes *= 3
        fives *= 5
    return best


def _weighting(bins: int, sample_rate_hz: int) -> NDArray[np.float64]:
    """Gain of the K-weighting at `bins` frequencies from 0 to half the sample rate."""
    # the curve is smooth: some thousand points are enough, and cheap
    grid_hz = np.linspace(0.0, sample_rate_hz / 2, 2049)
    z = np.exp(-2j * np.pi * grid_hz / 48_000.0)
    response = np.ones_like(z)
    for (b0, b1, b2), (a1, a2) in (_SHELF, _HIGH_PASS):
        response = response * (b0 + b1 * z + b2 * z * z) / (1.0 + a1 * z + a2 * z * z)
    bins_hz = np.linspace(0.0, sample_rate_hz / 2, bins)
    gains: NDArray[np.float64] = np.interp(bins_hz, grid_hz, np.abs(response))
    return gains


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs + 0.691) / 10.0))
