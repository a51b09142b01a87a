"""Speech taken apart and put together again by WORLD: pitch, spectral envelope, breath.

Morise, Yokomori and Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system for
real-time applications" (2016).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyworld
from numpy.typing import NDArray

from podcaster.speak.engine import Samples

Array = NDArray[Any]

_FRAME_MS = 5.0
_LEAST_S = 0.1  # WORLD wants some frames
_SILENT_POWER = 1e-12


def read_envelopes(samples: Samples, rate_hz: int, pitch_hz: Array, times_s: Array) -> Array:
    """The spectral envelopes at some times, in dB: `(n_times, n_bins)`, from 0 to half the rate.

    `pitch_hz` is the pitch there; 0 is for what has none.
    """
    envelopes = pyworld.cheaptrick(
        np.ascontiguousarray(samples, dtype=np.float64),
        np.ascontiguousarray(pitch_hz, dtype=np.float64),
        np.ascontiguousarray(times_s, dtype=np.float64),
        rate_hz,
        f0_floor=60.0,
    )
    return np.asarray(10.0 * np.log10(envelopes + _SILENT_POWER))


def follow_pitch(
    samples: Array, rate_hz: int, lowest_hz: float, highest_hz: float
) -> tuple[Array, Array]:
    """The pitch of clean speech every 5 ms (0: unvoiced), and the times: `(n_frames,)` each."""
    sound = np.ascontiguousarray(samples, dtype=np.float64)  # (n_samples,)
    rough_hz, times_s = pyworld.dio(
        sound, rate_hz, f0_floor=lowest_hz, f0_ceil=highest_hz, frame_period=_FRAME_MS
    )
    return np.asarray(pyworld.stonemask(sound, rough_hz, times_s, rate_hz)), np.asarray(times_s)


def reshape_speech(
    samples: Samples,
    rate_hz: int,
    *,
    pitch_range_hz: tuple[float, float],
    move_pitch: Callable[[Array], Array],
    formant_scale: float,
    gains_db: Callable[[Array], Array],
) -> Samples:
    """Speak the same again: another pitch, another size of throat, another colour; as many samples.

    `pitch_range_hz` is where to look for the pitch, `move_pitch` maps hertz to hertz. All
    resonances move up by `formant_scale`; `gains_db` maps hertz to what is added there.
    """
    least = round(_LEAST_S * rate_hz)
    padded = np.pad(samples, (0, max(0, least - len(samples)))).astype(np.float64)
    pitch_hz, times_s = follow_pitch(padded, rate_hz, *pitch_range_hz)
    floor_hz = max(40.0, pitch_range_hz[0])
    size = pyworld.get_cheaptrick_fft_size(rate_hz, floor_hz)
    envelope = pyworld.cheaptrick(padded, pitch_hz, times_s, rate_hz, fft_size=size)
    breath = pyworld.d4c(padded, pitch_hz, times_s, rate_hz, fft_size=size)
    bins_hz = np.linspace(0.0, rate_hz / 2, envelope.shape[1])
    # powers are warped as logarithms, or the valleys would fill
    shape = _warp(np.log(envelope + _SILENT_POWER), formant_scale)
    shape += gains_db(bins_hz) * (np.log(10.0) / 10.0)
    voiced = pitch_hz > 0
    moved = np.zeros_like(pitch_hz)
    moved[voiced] = move_pitch(pitch_hz[voiced])
    spoken = pyworld.synthesize(
        moved, np.exp(shape), _warp(breath, formant_scale), rate_hz, _FRAME_MS
    )
    whole = np.zeros(len(samples), dtype=np.float32)
    kept = min(len(whole), len(spoken))
    whole[:kept] = spoken[:kept]
    return whole


def _warp(spectra: Array, scale: float) -> Array:
    """Move what stands at frequency f to f times `scale`, `(n_frames, n_bins)`; ends are held."""
    bins = spectra.shape[1]
    places = np.minimum(np.arange(bins) / scale, bins - 1.0)
    low = np.minimum(places.astype(np.int64), bins - 2)
    part = places - low
    return np.ascontiguousarray(spectra[:, low] * (1.0 - part) + spectra[:, low + 1] * part)
