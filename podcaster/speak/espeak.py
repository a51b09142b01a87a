"""Speech through eSpeak NG: its library and data come with the package `espeakng-loader`.

The C library has one global state and is not thread-safe. All voicers of a process share it, and
a lock lets one of them speak at a time; speaking in parallel takes processes.
"""

import ctypes
import hashlib
import random
import shutil
import tempfile
import threading
import unicodedata
from _ctypes import dlclose
from collections.abc import Sequence
from multiprocessing.util import Finalize
from pathlib import Path

import espeakng_loader
import numpy as np

from podcaster.errors import EngineError
from podcaster.model import Voice
from podcaster.speak.engine import Samples, Speech
from podcaster.speak.espeak_voice import (
    EspeakSettings,
    find_accent,
    format_variant,
    parse_settings,
    variant_name,
)
from podcaster.speak.pauses import draw_pause_s

# speak_lib.h
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1  # and neither SSML (0x10) nor [[phonemes]] (0x100): the text comes from outside
_IPA = 2
_POSITION_CHARACTER = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
# at full volume some vowels reach the end of 16 bits; clips are brought to a level afterwards
_VOLUME_PERCENT = 60

_LONGEST_SENTENCE_S = 1800.0
_SILENT = 10 ** (-52 / 20)  # of the sentence's peak
_LEAD_S, _TAIL_S = 0.006, 0.015
_FADE_IN_S, _FADE_OUT_S = 0.003, 0.008

_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Library:
    """The loaded C library, with a data folder of its own in which voices can be put.

    eSpeak reads variants from its data folder only, and that may be read-only: so it gets a
    temporary one, of links to the real one and of the variants that are asked for.
    """

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="podcaster-espeak-")
        # worker processes end without closing their engines, and run no atexit functions
        self._remove_folder = Finalize(
            None, shutil.rmtree, args=(folder,), kwargs={"ignore_errors": True}, exitpriority=1
        )
        data = Path(folder) / "espeak-ng-data"
        self._variants = data / "voices" / "!v"
        self._chunks: list[bytes] = []
        self._samples_left = 0
        # kept, or the C side would call freed memory
        self._receive = _Callback(self._take)
        try:
            _link_data(data, self._variants)
        except OSError as error:
            raise EngineError(
                f"eSpeak NG's data cannot be linked into {folder}: {error}."
            ) from error
        self._data = data
        self._copies = 0
        self._c = self._open()
        self.version = self._c.espeak_Info(None).decode()

    def renew(self) -> None:
        """Load the library again, as if nothing had been said yet.

        It keeps the phase of trills (a Scottish "right") in static variables that outlive an
        utterance and even `espeak_Terminate`. It takes 10 ms.
        """
        self._c.espeak_Terminate()
        dlclose(self._c._handle)
        self._c = self._open()

    def _open(self) -> ctypes.CDLL:
        # a copy under a name of its own: whatever else holds the library, these are new variables
        self._copies += 1
        copy = self._data.parent / f"{self._copies}-{Path(espeakng_loader.get_library_path()).name}"
        try:
            shutil.copyfile(espeakng_loader.get_library_path(), copy)
            library = _load_library(copy)
            copy.unlink()
        except OSError as error:
            raise EngineError(
                f"eSpeak NG cannot be loaded: {error}.",
                next_step="Install it again with `pip install --force-reinstall espeakng-loader`.",
            ) from error
        rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, str(self._data).encode(), _DONT_EXIT)
        if rate_hz <= 0:
            raise EngineError(f"eSpeak NG does not start with the data in {self._data}.")
        self.sample_rate_hz = int(rate_hz)
        library.espeak_SetSynthCallback(self._receive)
        return library

    def choose(self, accent: str, settings: EspeakSettings) -> None:
        """Speak with this timbre from now on."""
        name = variant_name(settings)
        path = self._variants / name
        if not path.exists():
            path.write_text(format_variant(settings), encoding="ascii")
        status = self._c.espeak_SetVoiceByName(f"{accent}+{name}".encode())
        if status != 0:
            raise EngineError(f"eSpeak NG cannot speak {accent!r}: it answered {status}.")

    def synthesise(self, text: str, *, rate_wpm: int, pitch: int, spread: int) -> Samples:
        """Speak one text: float32 mono, with eSpeak's own silences around it."""
        for parameter, value in (
            (_RATE, rate_wpm),
            (_VOLUME, _VOLUME_PERCENT),
            (_PITCH, pitch),
            (_RANGE, spread),
        ):
            self._c.espeak_SetParameter(parameter, value, 0)
        self._chunks.clear()
        self._samples_left = int(_LONGEST_SENTENCE_S * self.sample_rate_hz)
        encoded = text.encode("utf-8", errors="ignore")
        status = self._c.espeak_Synth(
            encoded, len(encoded) + 1, 0, _POSITION_CHARACTER, 0, _UTF8, None, None
        )
        if status != 0:
            raise EngineError(f"eSpeak NG failed to say {text[:60]!r}: it answered {status}.")
        if self._samples_left <= 0:
            raise EngineError(
                f"eSpeak NG spoke {text[:60]!r} for more than {_LONGEST_SENTENCE_S:.0f} s.",
                next_step="Split that turn of the script.",
            )
        pcm = np.frombuffer(b"".join(self._chunks), dtype=np.int16)
        self._chunks.clear()
        return pcm.astype(np.float32) / np.float32(32768.0)

    def spell_phonemes(self, text: str) -> tuple[str, ...]:
        """How the chosen accent says a text, in IPA, clause by clause."""
        position = ctypes.c_char_p(text.encode("utf-8", errors="ignore"))
        clauses: list[str] = []
        while position.value:
            clause = self._c.espeak_TextToPhonemes(ctypes.byref(position), _UTF8, _IPA)
            clauses.append((clause or b"").decode("utf-8", errors="ignore").strip())
        return tuple(clause for clause in clauses if clause)

    def _take(self, samples: object, count: int, _events: object) -> int:
        if count > 0:
            self._chunks.append(ctypes.string_at(samples, 2 * count))  # type: ignore[arg-type]
            self._samples_left -= count
        return 0 if self._samples_left > 0 else 1

    def close(self) -> None:
        """Free the library's memory and the temporary folder."""
        self._c.espeak_Terminate()
        self._remove_folder()


def _link_data(data: Path, variants: Path) -> None:
    variants.mkdir(parents=True)
    for path in Path(espeakng_loader.get_data_path()).iterdir():
        if path.name != "voices":
            (data / path.name).symlink_to(path)


def _load_library(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.espeak_Info.restype = ctypes.c_char_p
    library.espeak_Synth.argtypes = [
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int,
        ctypes.c_int,
    ]
    return library


_lock = threading.Lock()
_library: _Library | None = None
_users = 0


class EspeakVoicer:
    """A `Voicer` on eSpeak NG, 22,050 Hz.

    Raises EngineError where the library cannot be loaded.
    """

    def __init__(self) -> None:
        global _library, _users
        with _lock:
            if _library is None:
                _library = _Library()
            _users += 1
            self._shared: _Library | None = _library
        self._id = f"espeak-ng {_library.version}"

    @property
    def id(self) -> str:
        """Name and version of the library."""
        return self._id

    def say(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> Speech:
        """Speak each sentence, a pause after each but the last, never twice in the same tone.

        Raises VoiceError for settings or a language that eSpeak does not have, EngineError for a
        text in which there is nothing to say. The same arguments give the same samples.
        """
        if self._shared is None:
            raise EngineError("This eSpeak voicer is closed.")
        settings = parse_settings(voice)
        accent = find_accent(settings, language)
        rate_hz = self._shared.sample_rate_hz
        pieces: list[Samples] = []
        ends_s: list[float] = []
        count = 0
        with _lock:
            self._shared.renew()
            self._shared.choose(accent, settings)
            for index, sentence in enumerate(sentences):
                rng = random.Random(_hash(f"{seed}/{index}/{sentence}"))
                spoken = self._say_one(sentence, settings, index, rng)
                pieces.append(spoken)
                count += len(spoken)
                ends_s.append(count / rate_hz)
                if index < len(sentences) - 1:
                    pause_s = draw_pause_s(sentence, settings.pace_wpm, rng)
                    pieces.append(np.zeros(round(pause_s * rate_hz), dtype=np.float32))
                    count += len(pieces[-1])
        if not pieces:
            raise EngineError("eSpeak NG was given no sentence to say.")
        return Speech(np.concatenate(pieces), rate_hz, tuple(ends_s))

    def spell_phonemes(
        self, sentences: Sequence[str], *, language: str, accent: str = "en-us"
    ) -> tuple[tuple[str, ...], ...]:
        """How sentences are said in IPA: the clauses of each; English in that accent.

        Raises VoiceError for a language that eSpeak does not have.
        """
        if self._shared is None:
            raise EngineError("This eSpeak voicer is closed.")
        neutral = EspeakSettings(accent=accent)
        spoken = find_accent(neutral, language)
        with _lock:
            self._shared.choose(spoken, neutral)
            return tuple(
                self._shared.spell_phonemes(_speakable(sentence)) for sentence in sentences
            )

    def _say_one(
        self, sentence: str, settings: EspeakSettings, index: int, rng: random.Random
    ) -> Samples:
        assert self._shared is not None
        text = _speakable(sentence)
        if not any(character.isalnum() for character in text):
            raise EngineError(f"There is nothing to say in {sentence[:60]!r}.")
        rate_wpm, pitch, spread = draw_manner(text, settings.pace_wpm, index, rng)
        samples = self._shared.synthesise(text, rate_wpm=rate_wpm, pitch=pitch, spread=spread)
        samples = _trim(samples, self._shared.sample_rate_hz)
        if len(samples) == 0:
            raise EngineError(f"eSpeak NG has no sound for {sentence[:60]!r}.")
        if settings.breath_percent:
            samples = _breathe(samples, self._shared.sample_rate_hz, settings.breath_percent, rng)
        return _fade(samples, self._shared.sample_rate_hz)

    def close(self) -> None:
        """Let go of the library; the last one of the process frees it."""
        global _library, _users
        with _lock:
            if self._shared is None:
                return
            self._shared = None
            _users -= 1
            if _users == 0 and _library is not None:
                _library.close()
                _library = None


def draw_manner(
    sentence: str, pace_wpm: int, index: int, rng: random.Random
) -> tuple[int, int, int]:
    """Draw eSpeak's rate, pitch and pitch range (50 is neutral) for one sentence of a turn.

    A turn begins higher than it goes on, as people speak; questions and exclamations stand out;
    the rest is chance, so that a long turn does not repeat one melody. The mean rate is the pace.
    """
    asks, exclaims = sentence.endswith("?"), sentence.endswith("!")
    pitch = 50 + max(-4.0, 3.0 - 1.5 * index) + max(-6.0, min(6.0, rng.gauss(0.0, 2.6)))
    pitch += 2.0 * asks + 3.0 * exclaims
    spread = 52 + max(-14.0, min(14.0, rng.gauss(0.0, 7.0))) + 12.0 * exclaims
    factor = 1.0 + max(-0.06, min(0.06, rng.gauss(0.0, 0.028)))
    return round(pace_wpm * factor), round(pitch), round(spread)


def _speakable(text: str) -> str:
    # a control character begins a command to eSpeak, and a zero ends the text
    return "".join(" " if unicodedata.category(c) == "Cc" else c for c in text).strip()


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _trim(samples: Samples, rate_hz: int) -> Samples:
    """Drop the silence around a sentence, but for a few milliseconds."""
    level = np.abs(samples)
    if len(level) == 0 or float(level.max()) < 1e-4:
        return samples[:0]
    loud = np.flatnonzero(level > _SILENT * float(level.max()))
    start = max(0, int(loud[0]) - round(_LEAD_S * rate_hz))
    return samples[start : int(loud[-1]) + 1 + round(_TAIL_S * rate_hz)]


def _fade(samples: Samples, rate_hz: int) -> Samples:
    """Raise and lower the ends with half cosines, so that joins do not click."""
    faded = samples.copy()
    for fade_s, where in ((_FADE_IN_S, slice(None)), (_FADE_OUT_S, slice(None, None, -1))):
        count = min(round(fade_s * rate_hz), len(faded) // 2)
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(count, 1))
        view = faded[where]
        view[:count] *= ramp.astype(np.float32)
    return faded


def _breathe(samples: Samples, rate_hz: int, percent: int, rng: random.Random) -> Samples:
    """Add air: bright noise that follows the voice's own envelope, `percent` of it."""
    noise = np.random.default_rng(rng.getrandbits(64)).standard_normal(len(samples) + 1)
    # a difference brightens white noise by 6 dB an octave
    air = np.diff(noise).astype(np.float32) / np.float32(np.sqrt(2.0))
    window = round(0.012 * rate_hz)
    power = np.cumsum(np.concatenate(([0.0], np.square(samples, dtype=np.float64))))
    starts = np.clip(np.arange(len(samples)) - window // 2, 0, len(samples))
    ends = np.clip(starts + window, 0, len(samples))
    envelope = np.sqrt(np.maximum(power[ends] - power[starts], 0.0) / window)
    breathed = samples + air * (envelope * (percent / 100)).astype(np.float32)
    clipped: Samples = np.clip(breathed, -1.0, 1.0).astype(np.float32)
    return clipped
