"""What an engine is that marks sound inaudibly, and finds its mark again."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

MESSAGE_BITS = 16
# guessing gets 14 of 16 bits right once in 500 times
_ENOUGH_BITS = 14
_ENOUGH_SHARE = 0.5


@dataclass(frozen=True)
class Detection:
    """How much of the sound seems marked, and how many of our message's bits were heard."""

    share: float
    matching_bits: int

    @property
    def ours(self) -> bool:
        """Whether it is taken for podcaster's mark. It may be wrong either way."""
        return self.share >= _ENOUGH_SHARE and self.matching_bits >= _ENOUGH_BITS


class Marker(Protocol):
    """An engine that marks, opened."""

    @property
    def id(self) -> str:
        """Name and version."""

    def mark(self, samples: Samples, sample_rate_hz: int) -> Samples:
        """Sound `(n_samples,)` or `(n_samples, 2)`, marked: of the same shape."""

    def detect(self, blocks: Iterable[Samples], sample_rate_hz: int) -> Detection:
        """Look for the mark in blocks of mono sound."""

    def close(self) -> None:
        """Free what the engine holds."""
