"""A speech engine that fails as engines that draw at random do, on purpose and repeatably.

It speaks through eSpeak NG. A text that holds "stutter" is said twice where the seed is that of the
first take, one with "hasty" loses a third there; "silent" has three seconds of silence whatever the
seed; "breaks" is refused.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from podcaster.errors import EngineError
from podcaster.model import Voice
from podcaster.speak.engine import Request, Speech
from podcaster.speak.espeak import EspeakVoicer

FIRST_SEED = 5
ENTRY = "tests.faulty_engine:FaultyVoicer"


class FaultyVoicer:
    """A `BatchVoicer` with the faults above; `calls` counts what it was asked for."""

    calls: ClassVar[list[tuple[str, int]]] = []
    batches: ClassVar[list[int]] = []

    def __init__(self) -> None:
        self._voicer = EspeakVoicer()

    @property
    def id(self) -> str:
        return "faulty 1"

    @property
    def batch_size(self) -> int:
        return 3

    def say(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> Speech:
        text = " ".join(sentences)
        self.calls.append((text, seed))
        if "breaks" in text:
            raise EngineError("The engine broke.")
        speech = self._voicer.say(sentences, _plain(voice), language=language, seed=seed)
        samples: Any = speech.samples
        if "stutter" in text and seed == FIRST_SEED:
            samples = np.concatenate((samples, samples))
        if "hasty" in text and seed == FIRST_SEED:
            samples = samples[: round(0.66 * len(samples))]
        if "silent" in text:
            gap = np.zeros(3 * speech.sample_rate_hz, dtype=np.float32)
            middle = len(samples) // 2
            samples = np.concatenate((samples[:middle], gap, samples[middle:]))
        ends_s = (*speech.sentence_ends_s[:-1], len(samples) / speech.sample_rate_hz)
        return Speech(samples, speech.sample_rate_hz, ends_s)

    def say_many(self, requests: Sequence[Request]) -> list[Speech]:
        self.batches.append(len(requests))
        return [
            self.say(one.sentences, one.voice, language=one.language, seed=one.seed)
            for one in requests
        ]

    def close(self) -> None:
        self._voicer.close()


def _plain(voice: Voice) -> Voice:
    import msgspec

    return msgspec.structs.replace(voice, engine="espeak")
