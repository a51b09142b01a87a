"""Sketches: how eSpeak NG speaks for a voice of a better engine, in its pitch and at its pace.

A sketch takes seconds where a model takes minutes, and knows a hundred languages.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from msgspec.structs import replace

from podcaster.errors import VoiceError
from podcaster.model import Voice
from podcaster.speak.espeak_voice import EspeakSettings, languages, parse_settings

ESPEAK = "espeak"
# low and high of the pitch of a voice of which only the sex is known, or not even that
_PITCHES_HZ = {"f": (158, 226), "m": (86, 124), None: (112, 160)}
_PACE_RATIO = 0.89  # what eSpeak NG calls its pace, over the words a minute that come of it


def sketch(voice: Voice) -> Voice:
    """A voice of settings as eSpeak NG imitates it: by its table `[sketch]`, else by its gender.

    It speaks all languages of eSpeak NG. An eSpeak voice is its own sketch.
    """
    if voice.engine == ESPEAK:
        return voice
    settings = voice.sketch or _guess(voice)
    return replace(
        voice,
        engine=ESPEAK,
        languages=languages(),
        engine_settings=settings,
        sketch={},
        sha256=hash_sound(ESPEAK, settings),
    )


def sketch_settings(voice: Voice) -> EspeakSettings:
    """What eSpeak NG is told to imitate a voice. Raises VoiceError for a wrong table."""
    return parse_settings(sketch(voice))


def _guess(voice: Voice) -> dict[str, str | int | float | bool]:
    low_hz, high_hz = _PITCHES_HZ[voice.gender]
    pace_wpm = round(min(300.0, max(90.0, voice.words_per_minute * _PACE_RATIO)))
    return {"pitch_low_hz": low_hz, "pitch_high_hz": high_hz, "pace_wpm": pace_wpm}


def hash_sound(engine: str, settings: Mapping[str, object], references: Iterable[Path] = ()) -> str:
    """Hash everything that decides how a voice sounds, and nothing else."""
    digest = hashlib.sha256(
        msgspec.json.encode({"engine": engine, "settings": dict(settings)}, order="sorted")
    )
    for reference in references:
        try:
            with reference.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise VoiceError(f"{reference} cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest()
