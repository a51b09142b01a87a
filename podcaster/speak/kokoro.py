"""Speech through Kokoro, a small neural model with stock voices, run by `kokoro-onnx`.

The library could turn text into phonemes itself, by way of `phonemizer`; here eSpeak NG does, which
the base install has, and its IPA is respelled as the model learnt it.
"""

import hashlib
import random
import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any
from zipfile import ZipFile

import msgspec
import numpy as np
import onnxruntime
from kokoro_onnx import Kokoro
from numpy.typing import NDArray

from podcaster.errors import ConfigError, EngineError, EngineMissing, VoiceError, foreign
from podcaster.model import Voice
from podcaster.speak.engine import Samples, Speech
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.pauses import draw_pause_s

SAMPLE_RATE_HZ = 24_000
SLOWEST, FASTEST = 0.5, 2.0  # what the library takes as speed
STYLE_SIZE = 256
MOST_STYLES = 1024  # one for each length of text in tokens; the released model has 510
LARGEST_MODEL_BYTES = 2_000_000_000
LARGEST_VOICES_BYTES = 500_000_000
LONGEST_SENTENCE_S = 1800.0
_SILENT = 10 ** (-52 / 20)  # of the sentence's peak
_EDGE_S = 0.012
DEVICES = ("auto", "cpu", "cuda")

# the tongues that Kokoro learnt from eSpeak's phonemes, or from some that these can be turned into
LANGUAGES = ("en", "es", "fr", "hi", "it", "pt-br")
_TONGUES = {"en": "en", "es": "es", "fr": "fr", "hi": "hi", "it": "it", "pt": "pt-br"}
_BRITISH_ACCENT = "en"  # eSpeak's file of that name
_SPEED_SPREAD = 0.025  # from one sentence to the next

# eSpeak's IPA and how the model's symbols spell it, longest first (misaki's notes on English)
_EVERYWHERE = {"dʒ": "ʤ", "tʃ": "ʧ", "aɪ": "I", "aʊ": "W", "eɪ": "A", "ɔɪ": "Y"}
_ELSEWHERE = {"ts": "ʦ", "dz": "ʣ", "oʊ": "O"}
_ENGLISH = {
    "ʔˌn\u0329": "tᵊn", "ʔn\u0329": "tᵊn", "ʔn": "tᵊn", "ɚɹ": "əɹ", "ɚ": "əɹ", "e": "A", "r": "ɹ",
    "x": "k", "ç": "k", "ɐ": "ə", "ɬ": "l", "ʔ": "t", "ʲ": "", "\u0303": "",
}  # fmt: skip
_AMERICAN = {"oʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ː": "", "ɾ": "T", "o": "ɔ"}
_BRITISH = {"eə": "ɛː", "iə": "ɪə", "əʊ": "Q", "oʊ": "Q", "o": "ɔ"}
_SYLLABIC = re.compile("(\\S)\u0329")
_SYLLABIC_L = re.compile("əl(?![ˈˌ]?[aeiouæɐɑɒɔəɚɛɜɪʊʌᵻɨAIOQWYɹ])")
_OTHER_TONGUE = re.compile(r"\([a-z]{2,3}(?:-[a-z0-9-]+)?\)")  # eSpeak marks a foreign word so
_MARKS = re.compile(r"\s*([,;:.!?…—]+)(?=\s|$)")


class KokoroSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[settings]` of a Kokoro voice's `voice.toml`: a stock voice, and how fast."""

    voice: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
    speed: Annotated[float, msgspec.Meta(ge=SLOWEST, le=FASTEST)] = 1.0


class KokoroVoicer:
    """A `Voicer` on Kokoro, 24 kHz.

    `model` is a folder with one `*.onnx` and one `voices*.bin`. `device` is auto, cpu or cuda;
    `threads` 0 leaves their number to the library.

    Raises EngineMissing where a file or the GPU's library is not there, EngineError where a file is
    not a Kokoro model or its voices.
    """

    def __init__(self, *, model: str = "", device: str = "auto", threads: int = 0) -> None:
        model_path, voices_path = find_files(model)
        self._names = stock_voices(voices_path)
        session = _open_session(model_path, device, threads)
        with foreign(EngineError, f"Reading the voices in {voices_path}"):
            self._kokoro: Any = Kokoro.from_session(session, str(voices_path))
        self._voices_path = voices_path
        self._styles: dict[str, Samples] = {}
        self._speller = EspeakVoicer()
        files = "".join(_hash_file(p, p.stat().st_mtime_ns) for p in (model_path, voices_path))
        digest = hashlib.sha256(files.encode()).hexdigest()[:16]
        self._id = f"kokoro-onnx {version('kokoro-onnx')} ({digest}), {self._speller.id}"

    @property
    def id(self) -> str:
        """The library's version, a hash of the model and its voices, and the speller's version."""
        return self._id

    def say(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> Speech:
        """Speak each sentence, a pause after each but the last.

        A sentence too long for the model is cut at a clause's border by the library. The model
        draws nothing: another seed gives other pauses and a slightly different pace.

        Raises VoiceError for settings, a stock voice or a language that Kokoro does not have,
        EngineError for a text in which there is nothing to say, or where the model fails.
        """
        if self._kokoro is None:
            raise EngineError("This Kokoro voicer is closed.")
        settings = parse_settings(voice)
        style = self._style(settings.voice)
        phonemes = self.spell(sentences, settings.voice, language)
        pieces: list[Samples] = []
        ends_s: list[float] = []
        count = 0
        for index, (sentence, spelled) in enumerate(zip(sentences, phonemes, strict=True)):
            rng = random.Random(f"{seed}/{index}/{sentence}")
            pieces.append(self._say_one(sentence, spelled, style, settings.speed, rng))
            count += len(pieces[-1])
            ends_s.append(count / SAMPLE_RATE_HZ)
            if index < len(sentences) - 1:
                pause_s = draw_pause_s(sentence, voice.words_per_minute, rng)
                pieces.append(np.zeros(round(pause_s * SAMPLE_RATE_HZ), dtype=np.float32))
                count += len(pieces[-1])
        if not pieces:
            raise EngineError("Kokoro was given no sentence to say.")
        return Speech(np.concatenate(pieces), SAMPLE_RATE_HZ, tuple(ends_s))

    def spell(self, sentences: Sequence[str], stock: str, language: str) -> tuple[str, ...]:
        """Spell sentences in the model's phonemes, punctuation kept: it decides the melody.

        British stock voices (`b…`) speak British English, all others American.
        Raises VoiceError for a language that Kokoro does not speak.
        """
        tongue = _TONGUES.get(language.lower().partition("-")[0])
        if tongue is None:
            raise VoiceError(
                f"Kokoro does not speak {language!r} here.",
                next_step=f"Choose one of: {', '.join(LANGUAGES)}; or another engine's voice.",
            )
        british = tongue == "en" and stock.startswith("b")
        parts = [_MARKS.split(re.sub(r'["()\[\]]', " ", sentence)) for sentence in sentences]
        words = [word for part in parts for word in part[::2]]
        spelled = self._speller.spell_phonemes(
            words, language=tongue, accent=_BRITISH_ACCENT if british else "en-us"
        )
        found = iter(respell(" ".join(clauses), tongue, british=british) for clauses in spelled)
        lines = []
        for part in parts:
            # words and marks take turns
            line = "".join(
                f" {next(found)}" if index % 2 == 0 else text[0] for index, text in enumerate(part)
            )
            lines.append(" ".join(line.split()))
        return tuple(lines)

    def _say_one(
        self, sentence: str, phonemes: str, style: Samples, speed: float, rng: random.Random
    ) -> Samples:
        if not any(character.isalpha() for character in phonemes):
            raise EngineError(f"There is nothing to say in {sentence[:60]!r}.")
        factor = 1.0 + max(-0.05, min(0.05, rng.gauss(0.0, _SPEED_SPREAD)))
        pace = min(FASTEST, max(SLOWEST, speed * factor))
        with foreign(EngineError, f"Saying {sentence[:60]!r} with Kokoro"):
            spoken, rate_hz = self._kokoro.create(phonemes, style, pace, is_phonemes=True)
        samples: Samples = np.asarray(spoken, dtype=np.float32).ravel()
        if rate_hz != SAMPLE_RATE_HZ or not 0 < len(samples) <= LONGEST_SENTENCE_S * rate_hz:
            raise EngineError(f"Kokoro said {len(samples) / rate_hz:.0f} s for {sentence[:60]!r}.")
        if not np.isfinite(samples).all() or float(np.abs(samples).max()) < 1e-4:
            raise EngineError(f"Kokoro has no sound for {sentence[:60]!r}.")
        return np.clip(_trim(samples), -1.0, 1.0)

    def _style(self, name: str) -> Samples:
        if name not in self._names:
            raise VoiceError(
                f"Kokoro has no stock voice {name!r} in {self._voices_path}.",
                next_step=f"Choose one of: {', '.join(self._names)}.",
            )
        if name not in self._styles:
            with foreign(EngineError, f"Reading the voice {name!r} in {self._voices_path}"):
                self._styles[name] = _read_style(self._voices_path, name)
        return self._styles[name]

    def close(self) -> None:
        """Free the model, its voices' file and the speller."""
        if self._kokoro is not None:
            self._kokoro.voices.close()
            self._kokoro = None
            self._speller.close()


def parse_settings(voice: Voice) -> KokoroSettings:
    """Read what a voice says for Kokoro. Raises VoiceError, naming the field."""
    try:
        return msgspec.convert(voice.engine_settings, KokoroSettings)
    except msgspec.ValidationError as error:
        raise VoiceError(
            f"The Kokoro settings of voice {voice.name!r} are wrong: {error}.",
            next_step="Correct the table [settings] of its voice.toml: voice and speed.",
        ) from error


def stock_voices(voices: Path) -> tuple[str, ...]:
    """The names of the voices in a `voices*.bin`, sorted. Raises EngineError."""
    with foreign(EngineError, f"Reading the voices in {voices}"), ZipFile(voices) as archive:
        names = tuple(
            sorted(i.filename[:-4] for i in archive.infolist() if i.filename.endswith(".npy"))
        )
    if not names:
        raise EngineError(f"{voices} has no voices in it.")
    return names


def find_files(model: str) -> tuple[Path, Path]:
    """The model and the voices in the folder `model`. Raises EngineMissing, EngineError."""
    if not model:
        raise EngineMissing(
            "Kokoro needs a model, and none was named.",
            next_step="Get it with `podcaster setup kokoro`.",
        )
    found = []
    for pattern, what, largest in (
        ("*.onnx", "model", LARGEST_MODEL_BYTES),
        ("voices*.bin", "voices", LARGEST_VOICES_BYTES),
    ):
        paths = sorted(path for path in Path(model).glob(pattern) if path.is_file())
        if len(paths) != 1:
            raise EngineMissing(
                f"{model} has {len(paths)} files {pattern}, expected one: Kokoro's {what}.",
                next_step="Get it with `podcaster setup kokoro`, or see docs/kokoro.md.",
            )
        if not 0 < paths[0].stat().st_size <= largest:
            raise EngineError(
                f"{paths[0]} has {paths[0].stat().st_size:,} bytes, expected at most {largest:,}."
            )
        found.append(paths[0])
    return found[0], found[1]


def respell(ipa: str, tongue: str, *, british: bool = False) -> str:
    """Turn eSpeak's IPA into the symbols that Kokoro learnt."""
    text = _OTHER_TONGUE.sub("", ipa).replace("-", "")
    if tongue != "en":
        return _replace(text, {**_EVERYWHERE, **_ELSEWHERE})
    accent = _BRITISH if british else _AMERICAN
    diphthongs = {old: new for old, new in accent.items() if len(old) > 1}
    letters = {old: new for old, new in accent.items() if len(old) == 1}
    text = _replace(text, {**_EVERYWHERE, **diphthongs})
    text = _SYLLABIC.sub(r"ᵊ\1", _SYLLABIC_L.sub("ᵊl", _replace(text, _ENGLISH)))
    return _replace(text, letters)


def _trim(samples: Samples) -> Samples:
    """Drop what the library leaves of the silence around a sentence, but for some milliseconds."""
    level = np.abs(samples)
    loud = np.flatnonzero(level > _SILENT * float(level.max()))
    edge = round(_EDGE_S * SAMPLE_RATE_HZ)
    return samples[max(0, int(loud[0]) - edge) : int(loud[-1]) + 1 + edge]


def _replace(text: str, table: dict[str, str]) -> str:
    for old in sorted(table, key=len, reverse=True):
        text = text.replace(old, table[old])
    return text


def _open_session(path: Path, device: str, threads: int) -> Any:
    """Open the graph and check that it is shaped as Kokoro's."""
    if device not in DEVICES:
        raise ConfigError(f"Kokoro's device is {device!r}, expected one of {', '.join(DEVICES)}.")
    providers = ["CPUExecutionProvider"]
    gpu = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "cuda" and not gpu:
        raise EngineMissing(
            "Kokoro cannot use a GPU: this onnxruntime knows none.",
            next_step='Install `onnxruntime-gpu` in its place, or say device = "cpu".',
        )
    if gpu and device != "cpu":
        providers.insert(0, "CUDAExecutionProvider")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(0, threads)
    # several voicers share a machine, and a thread that waits should not work
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    with foreign(EngineError, f"Opening {path} as an ONNX model"):
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        inputs = {node.name for node in session.get_inputs()}
    if inputs not in ({"tokens", "style", "speed"}, {"input_ids", "style", "speed"}):
        raise EngineError(
            f"{path} is no Kokoro model: it takes {', '.join(sorted(inputs))[:200]}, "
            "expected tokens (or input_ids), style and speed."
        )
    return session


def _read_style(path: Path, name: str) -> NDArray[np.float32]:
    """Read a voice, `(lengths, 1, 256)`; its header is checked before anything is allocated."""
    with ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
        np.lib.format.read_magic(file)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        good = len(shape) == 3 and 0 < shape[0] <= MOST_STYLES and shape[1:] == (1, STYLE_SIZE)
        if not good or fortran or dtype != np.dtype("<f4"):
            raise ValueError(f"it is {dtype} {shape}, expected float32 (lengths, 1, {STYLE_SIZE})")
        data = file.read(4 * shape[0] * STYLE_SIZE)
    style = np.frombuffer(data, dtype="<f4").reshape(shape)
    if not np.isfinite(style).all():
        raise ValueError("it holds numbers that are not finite")
    return style


@cache
def _hash_file(path: Path, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
