"""The engines of `transcribe`: what hears words, what times them, what tells voices apart.

All take a recording's whole sound at 16 kHz, decoded by us: float32 mono `(n_samples,)` in [-1, 1].
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from podcaster.audio import Samples
from podcaster.model import SpeakerSpan, Utterance

SAMPLE_RATE_HZ = 16_000  # what speech models are trained on


@dataclass(frozen=True)
class Heard:
    """What a transcriber hears: the utterances come while it listens.

    `language` is a code such as `en`. `options` are what the engine was told, for the transcript.
    Consuming `utterances` raises EngineError where the engine fails.
    """

    language: str
    language_probability: float
    utterances: Iterator[Utterance]
    options: dict[str, Any] = field(default_factory=dict)


class Transcriber(Protocol):
    """Hears words."""

    @property
    def id(self) -> str:
        """Its library with version, and its model with a hash: what decides the words."""

    def listen(self, samples: Samples, *, language: str | None, hotwords: Sequence[str]) -> Heard:
        """Begin to listen. `language` None: to be found out. `hotwords` are likely to be said.

        Raises EngineError, and InputError for a language that the model lacks.
        """

    def close(self) -> None:
        """Give the model's memory back."""


class Aligner(Protocol):
    """Says when each word was said."""

    @property
    def id(self) -> str:
        """Its library with version, and its model: what decides the times."""

    def align(
        self, samples: Samples, utterances: Sequence[Utterance], *, language: str
    ) -> tuple[Utterance, ...]:
        """The same utterances with words and times; one that cannot be aligned stays as it was.

        Raises EngineMissing where there is no model for the language, EngineError.
        """

    def close(self) -> None:
        """Give the model's memory back."""


class Diariser(Protocol):
    """Tells voices apart, without knowing whose they are."""

    @property
    def id(self) -> str:
        """Its library with version, and its models: what decides the spans."""

    def diarise(
        self, samples: Samples, *, fewest: int | None = None, most: int | None = None
    ) -> tuple[SpeakerSpan, ...]:
        """Who speaks when, in the order of starts; labels are `S1`, `S2`, … by first appearance.

        `fewest` and `most` bound the number of speakers where it is known. No speech: no spans.
        Raises EngineError.
        """

    def close(self) -> None:
        """Give the models' memory back."""
