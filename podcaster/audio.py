"""Audio in and out of files: decode, encode, probe, measure.

Samples are float32 in [-1, 1], mono `(n_samples,)` or stereo `(n_samples, 2)`.
"""

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from podcaster.errors import InputError

Samples = NDArray[np.float32]


def write_wav(path: Path, samples: Samples, sample_rate_hz: int) -> None:
    """Write 16-bit PCM; samples beyond ±1 are clipped. Raises OSError."""
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    pcm = np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(pcm.tobytes())


def read_wav(path: Path) -> tuple[Samples, int]:
    """Read 16-bit PCM WAV: samples and their rate in hertz.

    Raises InputError where the file is not one.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise InputError(
                    f"{path} has {8 * file.getsampwidth()} bits a sample, expected 16."
                )
            channels, rate_hz = file.getnchannels(), file.getframerate()
            pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    except (wave.Error, EOFError, OSError) as error:
        raise InputError(f"{path} is not a WAV file that can be read: {error}.") from error
    samples = pcm.astype(np.float32) / 32767.0
    return (samples if channels == 1 else samples.reshape(-1, channels)), rate_hz
