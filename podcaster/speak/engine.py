"""What a speech engine is: text and a voice in, samples out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from podcaster.model import Voice

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Speech:
    """Spoken text: float32 mono `(n_samples,)` in [-1, 1].

    `sentence_ends_s` are the times at which each of the sentences handed in ends.
    """

    samples: Samples
    sample_rate_hz: int
    sentence_ends_s: tuple[float, ...]


class Voicer(Protocol):
    """A speech engine, opened. It is used from one thread of one process."""

    @property
    def id(self) -> str:
        """Name and version; part of every clip's fingerprint."""

    def say(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> Speech:
        """Speak normalised sentences in one go.

        Raises EngineError where the library fails, VoiceError where the voice cannot be used.
        The same arguments give the same samples.
        """

    def close(self) -> None:
        """Free what the engine holds; it is not used afterwards."""


@runtime_checkable
class Clock(Protocol):
    """What knows how long speech will be without making it."""

    def time_s(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> float:
        """Seconds that `Voicer.say` would speak. Raises EngineError, VoiceError as that does."""

    def close(self) -> None:
        """Free what it holds; it is not used afterwards."""


@dataclass(frozen=True)
class Request:
    """What a `BatchVoicer` is to say: the arguments of one `Voicer.say`."""

    sentences: tuple[str, ...]
    voice: Voice
    language: str
    seed: int


@runtime_checkable
class BatchVoicer(Voicer, Protocol):
    """A speech engine that speaks several texts at a time quicker than one after the other."""

    @property
    def batch_size(self) -> int:
        """How many requests it likes to be handed at once."""

    def say_many(self, requests: Sequence[Request]) -> list[Speech]:
        """Speak each request, in order. Each sounds as `say` would make it, within rounding.

        Raises EngineError, VoiceError as `say` does.
        """


@runtime_checkable
class StreamingVoicer(Voicer, Protocol):
    """A speech engine that hands over the beginning of a text before it has spoken its end."""

    @property
    def sample_rate_hz(self) -> int:
        """Of what `stream` yields."""

    def stream(
        self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int
    ) -> Iterator[Samples]:
        """Speak as `say` does: pieces of float32 mono `(n_samples,)` that follow each other.

        Raises EngineError, VoiceError as `say` does.
        """
