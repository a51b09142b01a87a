"""Speech through Kokoro, run by ONNX Runtime: eSpeak NG spells, the model speaks."""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from podcaster.errors import EngineError, foreign
from podcaster.model import Voice
from podcaster.speak.engine import Samples, Speech
from podcaster.speak.kokoro.graph import Graph, choose_providers, open_graph
from podcaster.speak.kokoro.reading import Piece, Reader
from podcaster.speak.kokoro.weights import find_weights

SAMPLE_RATE_HZ = 24_000
LONGEST_PIECE_S = 300.0
HIGHEST_PEAK = 0.98
_SILENT = 10 ** (-52 / 20)  # of the piece's peak
_EDGE_S = 0.012


class KokoroVoicer:
    """A `Voicer` on Kokoro, 24 kHz.

    `model` is a folder with one `*.onnx` and, where voices name stock styles, one `voices*.bin`; or
    the files whose bytes, joined, are the graph. `sha256` is what the graph must have. `device` is
    auto, cpu or cuda. The graph is opened when something is to be said.

    Raises EngineMissing where a file or the GPU's library is not there or is another than meant.
    """

    def __init__(
        self,
        *,
        model: str | Sequence[str] = "",
        sha256: str = "",
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        choose_providers(device)
        self._weights = find_weights(model, sha256)
        self._device, self._threads = device, threads
        self._graph: Graph | None = None
        self._reader: Reader | None = Reader(self._weights)
        digest = self._weights.sha256[:16]
        runtime = f"onnxruntime {version('onnxruntime')}"
        self._id = f"kokoro ({digest}), {runtime}, {self._reader.speller_id}"

    @property
    def id(self) -> str:
        """A hash of the model, and the versions of what runs it and of what spells."""
        return self._id

    def say(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> Speech:
        """Speak each sentence, a pause after each but the last.

        A sentence too long for the model is cut at a clause's border. The model draws nothing:
        another seed gives other pauses and a slightly different pace.

        Raises VoiceError for settings, a stock voice or a language that Kokoro does not have,
        EngineError for a text in which there is nothing to say, or where the model fails.
        """
        if self._reader is None:
            raise EngineError("This Kokoro voicer is closed.")
        sounds: list[Samples] = []
        ends_s: list[float] = []
        count = 0
        for piece in self._reader.read(sentences, voice, language=language, seed=seed):
            spoken = self._speak(piece, sentences[piece.sentence])
            count += len(spoken)
            if piece.ends:
                ends_s.append(count / SAMPLE_RATE_HZ)
            pause = np.zeros(round(piece.pause_s * SAMPLE_RATE_HZ), dtype=np.float32)
            count += len(pause)
            sounds += (spoken, pause)
        return Speech(np.concatenate(sounds), SAMPLE_RATE_HZ, tuple(ends_s))

    def _speak(self, piece: Piece, sentence: str) -> Samples:
        graph = self._open()
        with foreign(EngineError, f"Saying {sentence[:60]!r} with Kokoro"):
            samples: Samples = graph.run(piece.tokens, piece.style, piece.speed).astype(np.float32)
        length_s = len(samples) / SAMPLE_RATE_HZ
        if not 0 < length_s <= LONGEST_PIECE_S:
            raise EngineError(f"Kokoro said {length_s:.0f} s for {sentence[:60]!r}.")
        if not np.isfinite(samples).all() or float(np.abs(samples).max()) < 1e-4:
            raise EngineError(f"Kokoro has no sound for {sentence[:60]!r}.")
        # the model may overshoot; cutting its crests off would be heard
        return _trim(samples) / max(1.0, float(np.abs(samples).max()) / HIGHEST_PEAK)

    def _open(self) -> Graph:
        if self._graph is None:
            self._graph = open_graph(self._weights, self._device, self._threads)
        return self._graph

    def close(self) -> None:
        """Free the model and the speller."""
        self._graph = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _trim(samples: Samples) -> Samples:
    """Drop the silence around a piece, but for some milliseconds."""
    level = np.abs(samples)
    loud = np.flatnonzero(level > _SILENT * float(level.max()))
    edge = round(_EDGE_S * SAMPLE_RATE_HZ)
    return samples[max(0, int(loud[0]) - edge) : int(loud[-1]) + 1 + edge]
