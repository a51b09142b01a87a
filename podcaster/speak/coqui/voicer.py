"""The engine `coqui`: XTTS-v2 by coqui-tts, which speaks in a voice that it heard for seconds.

Several texts go through its GPT at a time (`decoding`); its vocoder is run as it is.
"""

import gc
import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from podcaster.errors import ConfigError, EngineError, EngineMissing, PodcasterError, VoiceError
from podcaster.model import Voice
from podcaster.placement import DEVICES, choose_device
from podcaster.speak.coqui.joining import draw_piece_pause_s, hash_text, sentence_ends_s, trim
from podcaster.speak.coqui.model import identify
from podcaster.speak.coqui.text import (
    LANGUAGE_NAMES,
    Piece,
    check_language,
    cut_sentence,
    cut_sentences,
    expected_s,
)
from podcaster.speak.engine import Request, Samples, Speech
from podcaster.speak.voices import check_consent

# its absence is the ImportError of an extra that is missing; the library itself takes ten seconds
# to import, so that waits for the first word
COQUI_VERSION = version("coqui-tts")
# of this engine's own ways with texts, takes and pauses: part of every clip's fingerprint
REVISION = 1
PRECISIONS = ("auto", "float32", "float16", "bfloat16")
_GPU_BATCH, _CPU_BATCH = 16, 8
# a take is believed between these shares of the time that its text should last
_SHORTEST_SHARE = 0.25
_LONGEST_SHARE, _LONGEST_MORE_S = 1.7, 1.5
# what writes other alphabets in Latin letters for XTTS, where it is not a part of coqui-tts
_SPELLERS = {"zh": ("pypinyin", "pypinyin"), "ja": ("cutlet", "cutlet unidic-lite")}


@dataclass(frozen=True)
class _Take:
    """One piece to speak: of which request, and how long it should and may become, in tokens."""

    request: int
    index: int
    piece: Piece
    tokens: tuple[int, ...]
    expected_tokens: float
    longest_tokens: int


class CoquiVoicer:
    """A `BatchVoicer` on the XTTS-v2 model in the folder `model`; nothing is ever downloaded.

    `device` auto takes a GPU if there is one; `precision` auto is float16 there, float32 on the
    processor; `batch_size` 0 chooses. A piece that ends far too early, or does not end, is spoken
    again, `attempts` times in all, and the likeliest length is kept.

    Raises EngineError where the folder holds no XTTS model, ConfigError for a wrong setting.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch_size: int = 0,
        attempts: int = 3,
    ) -> None:
        _check_choice("device", device, DEVICES)
        _check_choice("precision", precision, PRECISIONS)
        if not 0 <= batch_size <= 512 or not 1 <= attempts <= 20:
            raise ConfigError(
                f"batch_size is {batch_size} and attempts {attempts}, expected 0–512 and 1–20."
            )
        self._folder = Path(model)
        self._device, self._precision = device, precision
        self._batch_size, self._attempts = batch_size, attempts
        self._model_id = identify(self._folder)
        self._network: Any = None
        self._closed = False

    @property
    def id(self) -> str:
        """The versions of coqui-tts and of this engine, and hashes of the model's files."""
        return f"coqui-tts {COQUI_VERSION} xtts {self._model_id} r{REVISION}"

    @property
    def batch_size(self) -> int:
        """How many pieces go through the GPT at once; a turn is a few."""
        if self._batch_size:
            return self._batch_size
        return _GPU_BATCH if choose_device(self._device, "torch") == "cuda" else _CPU_BATCH

    def say(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> Speech:
        """Speak sentences, a pause after each but the last.

        Raises VoiceError for a voice without consent or references and for a language that XTTS
        does not speak, EngineError where the library fails or nothing can be said.
        """
        return self.say_many([Request(tuple(sentences), voice, language, seed)])[0]

    def say_many(self, requests: Sequence[Request]) -> list[Speech]:
        """Speak each request, in order, all of them side by side. Raises as `say` does."""
        spoken: dict[tuple[int, int], Samples] = {}
        with self._explaining():
            network = self._open()
            takes = [
                take
                for number, request in enumerate(requests)
                for take in self._plan(network, number, request)
            ]
            for take, samples in self._speak(network, takes, requests):
                spoken[take.request, take.index] = samples
        return [
            self._join([t.piece for t in takes if t.request == number], spoken, number, request)
            for number, request in enumerate(requests)
        ]

    def stream(
        self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int
    ) -> Iterator[Samples]:
        """Speak as `say` does, but hand over what is spoken as soon as it is, with its pauses.

        The first piece is spoken alone, then twice as many at a time as before. Joined, the
        chunks are what `say` returns, within rounding; their rate is `sample_rate_hz`.
        Raises as `say` does.
        """
        request = Request(tuple(sentences), voice, language, seed)
        with self._explaining():
            network = self._open()
            takes = self._plan(network, 0, request)
        pieces = [take.piece for take in takes]
        start, count = 0, 1
        while start < len(takes):
            with self._explaining():
                group = takes[start : start + count]
                spoken = {t.index: s for t, s in self._speak(network, group, [request])}
            for index in sorted(spoken):
                pause = self._pause(pieces, index, request)
                yield np.concatenate((spoken[index], np.zeros(pause, dtype=np.float32)))
            start, count = start + count, min(2 * count, self.batch_size)

    @property
    def sample_rate_hz(self) -> int:
        """The rate of what is spoken: 24,000 for XTTS-v2. Raises EngineError."""
        with self._explaining():
            return int(self._open().rate_hz)

    def close(self) -> None:
        """Free the model, and the GPU's memory."""
        if self._network is not None:
            self._network.close()
            self._network = None
            gc.collect()
        self._closed = True

    def _open(self) -> Any:
        if self._closed:
            raise EngineError("This XTTS voicer is closed.")
        if self._network is None:
            network = importlib.import_module("podcaster.speak.coqui.network")
            device = choose_device(self._device, "torch")
            precision = self._precision
            if precision == "auto":
                precision = "float16" if device == "cuda" else "float32"
            self._network = network.Network(
                self._folder,
                model_id=self._model_id,
                device=device,
                precision=precision,
                batch_size=self.batch_size,
            )
        return self._network

    def _plan(self, network: Any, number: int, request: Request) -> list[_Take]:
        """What is to be spoken of a request, piece by piece."""
        voice = request.voice
        check_consent(voice)
        language = check_language(request.language)
        if not voice.references:
            raise VoiceError(
                f"Voice {voice.name!r} has no references, which XTTS needs to sound like somebody.",
                next_step=f"Add recordings: `podcaster voice add {voice.name} AUDIO...`.",
            )
        pieces = cut_sentences(request.sentences, language)
        silent = set(range(len(request.sentences))) - {piece.sentence for piece in pieces}
        if silent or not pieces:
            which = request.sentences[min(silent)][:60] if silent else ""
            raise EngineError(f"XTTS finds nothing to say in {which!r}.")
        takes: list[_Take] = []
        for piece, tokens in self._spell(network, pieces, language):
            lasts_s = expected_s(piece.text, language, voice.words_per_minute)
            longest = network.count_tokens(_LONGEST_SHARE * lasts_s + _LONGEST_MORE_S)
            limit = max(1, min(network.longest_tokens, longest))
            expected = lasts_s / network.token_s
            takes.append(_Take(number, len(takes), piece, tokens, expected, limit))
        return takes

    def _spell(
        self, network: Any, pieces: Sequence[Piece], language: str
    ) -> Iterator[tuple[Piece, tuple[int, ...]]]:
        """Pieces with their tokens; one whose writing takes too many is cut again."""
        for piece in pieces:
            try:
                tokens = tuple(network.encode(piece.text, language))
            except ImportError as error:
                package = _SPELLERS.get(language, ("", "coqui-tts"))[1]
                raise EngineMissing(
                    f"XTTS speaks {LANGUAGE_NAMES[language]} only with a package that is not "
                    f"installed: {error}.",
                    next_step=f"Install it with `pip install {package}`.",
                ) from error
            if len(tokens) <= network.longest_text_tokens:
                yield piece, tokens
                continue
            limit = len(piece.text) // 2 + 1
            parts = cut_sentence(piece.text, limit, spaced=language not in _SPELLERS)
            if len(parts) < 2:
                raise EngineError(f"XTTS cannot spell {piece.text[:60]!r}: it is one endless word.")
            smaller = [Piece(part, piece.sentence) for part in parts]
            yield from self._spell(network, smaller, language)

    def _speak(
        self, network: Any, takes: Sequence[_Take], requests: Sequence[Request]
    ) -> Iterator[tuple[_Take, Samples]]:
        """Decode takes side by side, then let each be heard."""
        for take, decoded in zip(takes, self._decode(network, takes, requests), strict=True):
            sound = network.vocode(decoded.latents, requests[take.request].voice)
            yield take, trim(sound, network.rate_hz)

    def _decode(
        self, network: Any, takes: Sequence[_Take], requests: Sequence[Request]
    ) -> list[Any]:
        """Decode takes side by side, again those that went astray: the best of each."""
        best: dict[int, Any] = {}
        astray = list(range(len(takes)))
        for attempt in range(self._attempts):
            rows = [self._row(takes[i], requests, attempt) for i in astray]
            for i, decoded in zip(astray, network.decode(rows), strict=True):
                if i not in best or _score(decoded, takes[i]) < _score(best[i], takes[i]):
                    best[i] = decoded
            astray = [i for i in astray if not _is_believable(best[i], takes[i])]
            if not astray:
                break
        return [best[i] for i in range(len(takes))]

    def _row(
        self, take: _Take, requests: Sequence[Request], attempt: int
    ) -> tuple[tuple[int, ...], Voice, int, int]:
        request = requests[take.request]
        seed = hash_text(f"{request.seed}/{attempt}/{take.index}/{take.piece.text}")
        return take.tokens, request.voice, take.longest_tokens, seed

    def _join(
        self,
        pieces: Sequence[Piece],
        spoken: dict[tuple[int, int], Samples],
        number: int,
        request: Request,
    ) -> Speech:
        chunks = [spoken[number, index] for index in range(len(pieces))]
        pauses = [self._pause(pieces, index, request) for index in range(len(pieces))]
        rate_hz = self._network.rate_hz
        ends_s = sentence_ends_s(pieces, [len(chunk) for chunk in chunks], pauses, rate_hz)
        silences = (np.zeros(pause, dtype=np.float32) for pause in pauses)
        joined = [part for pair in zip(chunks, silences, strict=True) for part in pair]
        return Speech(np.concatenate(joined), rate_hz, ends_s)

    def _pause(self, pieces: Sequence[Piece], index: int, request: Request) -> int:
        pace = request.voice.words_per_minute
        pause_s = draw_piece_pause_s(pieces, index, pace, request.seed)
        return round(pause_s * int(self._network.rate_hz))

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn what torch and coqui-tts raise into a sentence."""
        try:
            yield
        except PodcasterError:
            raise
        except ImportError as error:
            raise EngineMissing(
                f"coqui-tts cannot be loaded: {error}.",
                next_step="Install it with `pip install 'podcaster[tts]'`.",
            ) from error
        except Exception as error:  # the border with other libraries
            text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            if isinstance(error, MemoryError) or "out of memory" in text:
                raise EngineError(
                    f"XTTS has too little memory for {self.batch_size} pieces at a time: {text}.",
                    next_step="Open it with a smaller batch_size, or with device = 'cpu'.",
                ) from error
            raise EngineError(f"XTTS failed: {text}.") from error


def _is_believable(decoded: Any, take: _Take) -> bool:
    return decoded.stopped and len(decoded.tokens) >= _SHORTEST_SHARE * take.expected_tokens


def _score(decoded: Any, take: _Take) -> tuple[bool, float]:
    """Smaller is better: an end, and a length near to what was expected."""
    return not _is_believable(decoded, take), abs(len(decoded.tokens) - take.expected_tokens)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ConfigError(f"{name} is {value[:40]!r}, expected one of {', '.join(choices)}.")
