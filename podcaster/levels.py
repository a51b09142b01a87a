"""How loud sound is from moment to moment, and how far speech lies over what is behind it.

Samples are float32 mono `(n_samples,)`; levels are in dBFS, one for every 20 ms.
"""

import numpy as np
from numpy.typing import NDArray

FRAME_S = 0.02

_QUIETEST_DB = -90.0
_MOST_SNR_DB = 60.0
_PAUSE_DB = 30.0  # under the speech; what is quieter is no voice

Samples = NDArray[np.float32]
Levels = NDArray[np.float32]


def measure_levels_db(samples: Samples, rate_hz: int) -> Levels:
    """Levels of whole frames of 20 ms `(n_samples // frame,)`, -90 at least."""
    frame = round(FRAME_S * rate_hz)
    whole = len(samples) // frame * frame
    power = np.mean(np.square(samples[:whole].reshape(-1, frame), dtype=np.float64), axis=1)
    levels = 10.0 * np.log10(np.maximum(power, 10.0 ** (_QUIETEST_DB / 10.0)))
    return np.asarray(levels, dtype=np.float32)


def compare_levels_db(speech_db: Levels, around_db: Levels) -> float:
    """How far speech lies over what is heard in the pauses in and around it, at most 60 dB."""
    loud_db = float(np.percentile(speech_db, 80))
    noise_db = float(np.percentile(around_db, 5))
    return round(min(_MOST_SNR_DB, max(0.0, loud_db - noise_db)), 1)


def keep_voiced(samples: Samples, rate_hz: int) -> Samples:
    """What is left of speech without its pauses."""
    frame = round(FRAME_S * rate_hz)
    count = len(samples) // frame
    if count == 0:
        return samples
    levels = measure_levels_db(samples, rate_hz)
    loud = levels > np.percentile(levels, 80) - _PAUSE_DB
    # a tenth of a second on both sides: consonants are quiet
    near = np.convolve(loud, np.ones(11), mode="same")[:count] > 0.5
    return np.asarray(samples[: count * frame].reshape(-1, frame)[near].reshape(-1))
