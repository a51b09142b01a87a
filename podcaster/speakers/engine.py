"""The engine of `speakers`: what makes a voiceprint of somebody's speech."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from podcaster.audio import Samples

SAMPLE_RATE_HZ = 16_000  # what speaker encoders are trained on

Vector = NDArray[np.float32]


class VoiceEncoder(Protocol):
    """Turns speech into a unit vector that is near another one where the voice is the same."""

    @property
    def id(self) -> str:
        """Its package with version, and its weights: what decides the vectors."""

    def embed(self, samples: Samples) -> Vector:
        """One voice's print, of length 1, of float32 mono `(n_samples,)` at 16 kHz.

        Raises EngineError, and InputError where there are no samples.
        """

    def close(self) -> Any:
        """Give the model's memory back."""
