"""How long Kokoro will take for a text, without its saying it.

The first tenth of the model's graph decides how many frames each phoneme gets; what follows makes
sound of them, and takes thirty times as long.
"""

from collections.abc import Sequence

import numpy as np

from podcaster.errors import EngineError, foreign
from podcaster.model import Voice
from podcaster.speak.kokoro.graph import DURATIONS, FRAME_S, Graph, open_graph
from podcaster.speak.kokoro.reading import Reader
from podcaster.speak.kokoro.styles import parse_settings
from podcaster.speak.kokoro.weights import find_weights


class KokoroClock:
    """A `Clock` for Kokoro; it takes the settings of `KokoroVoicer`.

    Raises EngineMissing and EngineError as that does, and EngineMissing for a model of another
    export, which does not name its durations.
    """

    def __init__(
        self,
        *,
        model: str | Sequence[str] = "",
        sha256: str = "",
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        weights = find_weights(model, sha256)
        # on a processor: it is too little work for a GPU
        self._graph: Graph = open_graph(weights, "cpu", threads, DURATIONS)
        self._reader = Reader(weights)

    def time_s(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> float:
        """Seconds of speech, pauses included. Raises EngineError, VoiceError as `say` does."""
        silence_s = parse_settings(voice).silence_s
        length_s = 0.0
        for piece in self._reader.read(sentences, voice, language=language, seed=seed):
            with foreign(EngineError, f"Timing {sentences[piece.sentence][:60]!r} with Kokoro"):
                frames = float(np.sum(self._graph.run(piece.tokens, piece.style, piece.speed)))
            length_s += frames * FRAME_S - silence_s + piece.pause_s
        return length_s

    def close(self) -> None:
        """Free what spells."""
        self._reader.close()
