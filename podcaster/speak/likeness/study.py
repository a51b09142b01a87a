"""What a voice's references are compared to, and how what was found is kept beside them."""

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import soxr

from podcaster import audio
from podcaster.errors import InputError, RunError, VoiceError
from podcaster.model import Noun, Voice
from podcaster.run import write_atomic
from podcaster.speak.derived import derived_path
from podcaster.speak.engine import Samples, Speech
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.likeness.measures import (
    RATE_HZ,
    Portrait,
    Yardstick,
    listen,
    make_yardstick,
)

Found = TypeVar("Found", bound=Noun)

LONGEST_HEARD_S = 600.0
_LARGEST_KEPT_BYTES = 20_000

# the standard speaker speaks low to high, so that the codebook holds at any pitch
_STANDARD_PITCHES_HZ = ((82, 118), (120, 170), (160, 225))
TEXT = (
    "The boat was already leaving when we reached the quay, and nobody had brought a coat.",
    "Good bread needs only four things: flour, water, salt, and a lot of time.",
    "How would you choose between a job you love and a town where all your friends are?",
    "They argued about music for two hours, then went home and wrote the song of the year.",
    "A small group of engineers measured the noise in each room before the judges came.",
    "She put the yellow book on the shelf above the window, just beside the old clock.",
    "Every few weeks a new idea comes along, and we try it out without much fear.",
    "If you ask me, the whole point of travelling is to be surprised by something ordinary.",
)


def keep(voice: Voice, engine_id: str, kind: type[Found], work_out: Callable[[], Found]) -> Found:
    """What was worked out of a voice's references: once, then read from its folder `derived`.

    What lies there and cannot be used is made again. Raises VoiceError, and what `work_out` does.
    """
    path = derived_path(voice, engine_id, ".json")
    kept = _read(path, kind)
    if kept is None:
        found = work_out()
        # another process may have been quicker: all go by what the first one kept
        kept = _read(path, kind) or found
        with suppress(RunError):  # a folder that cannot be written
            write_atomic(path, msgspec.json.encode(kept))
    return kept


def hear_references(voice: Voice) -> tuple[list[Samples], Portrait]:
    """A voice's recordings, mono at RATE_HZ, and their portrait.

    At most LONGEST_HEARD_S of them are heard, an equal part of each. Raises VoiceError where one
    cannot be read or nobody speaks.
    """
    longest_s = LONGEST_HEARD_S / len(voice.references)
    try:
        sounds = [_hear(Path(one), longest_s) for one in voice.references]
        return sounds, listen(sounds)
    except InputError as error:
        raise VoiceError(
            f"The references of voice {voice.name!r} in {Path(voice.references[0]).parent} "
            f"cannot be measured: {error.message}",
            next_step=f"Add a clear recording of at least ten seconds of speech: "
            f"`podcaster voice add {voice.name} AUDIO...`.",
        ) from error


@cache
def find_standard() -> Yardstick:
    """The standard speaker, measured once in a process; it takes some seconds."""
    parts = [listen_to_espeak(low, high) for low, high in _STANDARD_PITCHES_HZ]
    return make_yardstick(
        Portrait(
            np.concatenate([part.pitches_hz for part in parts]),
            np.concatenate([part.envelopes_db for part in parts]),
        )
    )


@cache
def listen_to_espeak(low_hz: int, high_hz: int) -> Portrait:
    """The standard speaker between two pitches, as eSpeak NG has them."""
    voice = make_voice("standard", "espeak", {"pitch_low_hz": low_hz, "pitch_high_hz": high_hz})
    espeak = EspeakVoicer()
    try:
        # in turns of two sentences, because a turn begins higher than it goes on
        turns = [
            espeak.say(TEXT[first : first + 2], voice, language="en", seed=first)
            for first in range(0, len(TEXT), 2)
        ]
    finally:
        espeak.close()
    return listen(resample(one) for one in turns)


def resample(speech: Speech) -> Samples:
    """Speech at RATE_HZ."""
    sound = soxr.resample(speech.samples, speech.sample_rate_hz, RATE_HZ)
    return np.asarray(sound, dtype=np.float32)


def make_voice(name: str, engine: str, settings: dict[str, str | int | float | bool]) -> Voice:
    """A voice of an engine's settings alone, which speaks for another one."""
    return Voice(
        name=name,
        engine=engine,
        description="Speaks for somebody else.",
        languages=("en",),
        words_per_minute=165.0,
        licence="none",
        sha256="0" * 64,
        engine_settings=settings,
    )


def _hear(path: Path, longest_s: float) -> Samples:
    """The beginning of a recording, mono at RATE_HZ. Raises InputError."""
    blocks: list[Samples] = []
    count = 0
    for block in audio.decode(path, RATE_HZ, 1):
        blocks.append(block)
        count += len(block)
        if count >= longest_s * RATE_HZ:
            break
    samples = np.concatenate(blocks)[: int(longest_s * RATE_HZ)]
    # a file may hold numbers that are none
    return np.clip(np.nan_to_num(samples), -1.0, 1.0).astype(np.float32)


def _read(path: Path, kind: type[Found]) -> Found | None:
    """What was kept; None where there is nothing, or nothing that can be used."""
    try:
        with path.open("rb") as opened:
            return msgspec.json.decode(opened.read(_LARGEST_KEPT_BYTES), type=kind)
    except (OSError, msgspec.DecodeError):
        return None
