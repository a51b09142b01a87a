"""The built-in clone: eSpeak NG's speech, made to resemble somebody by a few measured parameters.

It is a likeness of parameters, not a clone: median pitch, pitch range, the size of the throat,
spectral tilt and colour, and pace are somebody's, and the manner of speaking is eSpeak NG's.
Nothing needs to be downloaded for it.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from podcaster import audio
from podcaster.errors import EngineError, InputError, RunError, VoiceError, foreign
from podcaster.model import Noun, Voice
from podcaster.run import write_atomic
from podcaster.speak.derived import derived_path
from podcaster.speak.engine import Samples, Speech
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.espeak_voice import EspeakSettings, find_accent
from podcaster.speak.likeness.measures import (
    BANDS_HZ,
    RATE_HZ,
    Array,
    Decibels,
    Measures,
    Portrait,
    Yardstick,
    find_gains,
    listen,
    make_yardstick,
    measure,
)
from podcaster.speak.likeness.world import reshape_speech
from podcaster.speak.voices import FASTEST_ESPEAK_WPM, SLOWEST_ESPEAK_WPM

DESCRIPTION = "A likeness of parameters, not a clone: pitch, size, colour and pace on eSpeak NG."
LONGEST_HEARD_S = 600.0
FORMAT = 1  # of what is kept, and of how it is measured and imposed
_LARGEST_KEPT_BYTES = 20_000

_LARGEST_GAIN_DB = 18.0
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 400.0
_NARROWEST, _WIDEST = 2.0, 12.0  # semitones that are imposed, 10th to 90th percentile
# what eSpeak makes of its two pitches: the median lies above their middle, the range is narrower
_MEDIAN_BY_MIDDLE, _RANGE_BY_PITCHES = 1.04, 0.62
_BENDS = (0.4, 2.5)  # of the melody, by WORLD, after that
# eSpeak's pace by the words a minute that come of it, pauses included (see pace.py)
_PACE_BY_WPM = 148.5 / 166.5
# the standard speaker speaks low to high, so that the codebook holds at any pitch
_STANDARD_PITCHES_HZ = ((82, 118), (120, 170), (160, 225))
_STANDARD_TEXT = (
    "The boat was already leaving when we reached the quay, and nobody had brought a coat.",
    "Good bread needs only four things: flour, water, salt, and a lot of time.",
    "How would you choose between a job you love and a town where all your friends are?",
    "They argued about music for two hours, then went home and wrote the song of the year.",
    "A small group of engineers measured the noise in each room before the judges came.",
    "She put the yellow book on the shelf above the window, just beside the old clock.",
    "Every few weeks a new idea comes along, and we try it out without much fear.",
    "If you ask me, the whole point of travelling is to be surprised by something ordinary.",
)
_LONGEST_PIECE_S = 15.0
_FADE_S = 0.004
_PEAK = 0.9


class LikenessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a `voice.toml` may say for this engine; other engines' keys are theirs.

    Left out, the accent is that of the voice's first language that fits, and eSpeak's pace comes
    from the voice's words a minute.
    """

    accent: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}(-[a-z0-9]{1,8})*$")] | None = None
    pace_wpm: Annotated[int, msgspec.Meta(ge=90, le=300)] | None = None


class Likeness(Noun, frozen=True):
    """What was measured, and what follows from it: kept as JSON in the voice's folder.

    eSpeak speaks between `pitch_low_hz` and `pitch_high_hz`, which gives `spoken_hz` as its median;
    that is moved to the measured one and the melody stretched by `bend`. `gains_db` is what the
    spectrum lacks at BANDS_HZ once the formants are where they belong.
    """

    measures: Measures
    pitch_low_hz: Annotated[int, msgspec.Meta(ge=45, le=350)]
    pitch_high_hz: Annotated[int, msgspec.Meta(ge=50, le=500)]
    spoken_hz: Annotated[float, msgspec.Meta(ge=40, le=600)]
    bend: Annotated[float, msgspec.Meta(ge=_BENDS[0], le=_BENDS[1])]
    gains_db: Annotated[
        tuple[Decibels, ...], msgspec.Meta(min_length=len(BANDS_HZ), max_length=len(BANDS_HZ))
    ]


class LikenessVoicer:
    """A `Voicer` on eSpeak NG and WORLD, at eSpeak's rate, 22,050 Hz.

    Raises EngineError where eSpeak NG cannot be loaded.
    """

    def __init__(self) -> None:
        self._espeak = EspeakVoicer()
        library = f"pyworld {version('pyworld-prebuilt')}"
        self._id = f"likeness {FORMAT} ({self._espeak.id}, {library})"
        self._known: dict[str, Likeness] = {}

    @property
    def id(self) -> str:
        """The form of the likeness, and the versions of eSpeak NG and of WORLD."""
        return self._id

    def say(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> Speech:
        """Speak as eSpeak NG does, and make it resemble the voice; sentences end where they did.

        Raises VoiceError for references that cannot be read or in which nobody speaks, for wrong
        settings or a language that eSpeak does not have; EngineError for a text in which there
        is nothing to say. The same arguments give the same samples.
        """
        likeness = self.study(voice)
        spoken = self._espeak.say(
            sentences, _espeak_voice(voice, likeness, language), language=language, seed=seed
        )
        reshaped = np.zeros_like(spoken.samples)
        with foreign(EngineError, "Reshaping speech with WORLD"):
            for start, end in _pieces(spoken):
                piece = _impose(spoken.samples[start:end], spoken.sample_rate_hz, likeness)
                reshaped[start:end] = _fade(piece, spoken.sample_rate_hz)
        return Speech(
            _level(reshaped, spoken.samples), spoken.sample_rate_hz, spoken.sentence_ends_s
        )

    def study(self, voice: Voice) -> Likeness:
        """Measure a voice's references, once: what is kept beside them is read afterwards.

        At most LONGEST_HEARD_S of them are heard, an equal part of each. Raises VoiceError.
        """
        path = derived_path(voice, self._id, ".json")
        if path.name not in self._known:
            found = _read(path)
            if found is None:
                found = self._work_out(voice)
                # a folder that cannot be written, or another process that just did: no matter
                with suppress(RunError):
                    write_atomic(path, msgspec.json.encode(found))
            self._known[path.name] = found
        return self._known[path.name]

    def close(self) -> None:
        """Let go of eSpeak NG."""
        self._espeak.close()

    def _work_out(self, voice: Voice) -> Likeness:
        longest_s = LONGEST_HEARD_S / len(voice.references)
        try:
            portrait = listen(_hear(Path(one), longest_s) for one in voice.references)
        except InputError as error:
            raise VoiceError(
                f"The references of voice {voice.name!r} in {Path(voice.references[0]).parent} "
                f"cannot be measured: {error.message}",
                next_step=f"Add a clear recording of at least ten seconds of speech: "
                f"`podcaster voice add {voice.name} AUDIO...`.",
            ) from error
        yardstick = _standard()
        measures = measure(portrait, yardstick)
        low_hz, high_hz = _pitches(measures)
        spoken = measure(_listen_to_espeak(low_hz, high_hz), yardstick)
        wanted = min(_WIDEST, max(_NARROWEST, measures.pitch_range_semitones))
        bend = wanted / max(spoken.pitch_range_semitones, 0.5)
        gains = np.clip(find_gains(measures, yardstick), -_LARGEST_GAIN_DB, _LARGEST_GAIN_DB)
        return Likeness(
            measures=measures,
            pitch_low_hz=low_hz,
            pitch_high_hz=high_hz,
            spoken_hz=spoken.pitch_hz,
            bend=round(min(_BENDS[1], max(_BENDS[0], bend)), 4),
            gains_db=tuple(round(float(gain), 2) for gain in gains),
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


def _read(path: Path) -> Likeness | None:
    """What was kept; None where there is nothing, or nothing that can be used."""
    try:
        with path.open("rb") as opened:
            return msgspec.json.decode(opened.read(_LARGEST_KEPT_BYTES), type=Likeness)
    except (OSError, msgspec.DecodeError):
        return None


@cache
def _standard() -> Yardstick:
    """The standard speaker, measured once in a process; it takes some seconds."""
    parts = [_listen_to_espeak(low, high) for low, high in _STANDARD_PITCHES_HZ]
    return make_yardstick(
        Portrait(
            np.concatenate([part.pitches_hz for part in parts]),
            np.concatenate([part.envelopes_db for part in parts]),
        )
    )


@cache
def _listen_to_espeak(low_hz: int, high_hz: int) -> Portrait:
    import soxr

    voice = _make_voice("standard", {"pitch_low_hz": low_hz, "pitch_high_hz": high_hz})
    espeak = EspeakVoicer()
    try:
        # in turns of two sentences, because a turn begins higher than it goes on
        turns = [
            espeak.say(_STANDARD_TEXT[first : first + 2], voice, language="en", seed=first)
            for first in range(0, len(_STANDARD_TEXT), 2)
        ]
    finally:
        espeak.close()
    return listen(
        np.asarray(soxr.resample(one.samples, one.sample_rate_hz, RATE_HZ), dtype=np.float32)
        for one in turns
    )


def _make_voice(name: str, settings: dict[str, str | int | float | bool]) -> Voice:
    return Voice(
        name=name,
        engine="espeak",
        description=DESCRIPTION,
        languages=("en",),
        words_per_minute=165.0,
        licence="none",
        sha256="0" * 64,
        engine_settings=settings,
    )


def _pitches(measures: Measures) -> tuple[int, int]:
    """The two pitches for eSpeak that come near the measured median and range."""
    median = min(_HIGHEST_HZ, max(_LOWEST_HZ, measures.pitch_hz)) / _MEDIAN_BY_MIDDLE
    wanted = min(_WIDEST, max(_NARROWEST, measures.pitch_range_semitones))
    half = min(7.0, wanted / _RANGE_BY_PITCHES / 2.0)
    low, high = median * 2.0 ** (-half / 12.0), median * 2.0 ** (half / 12.0)
    low_hz = min(350, max(45, round(low)))
    return low_hz, min(500, max(low_hz + 5, round(high)))


def _espeak_voice(voice: Voice, likeness: Likeness, language: str) -> Voice:
    """The eSpeak voice that is reshaped. Raises VoiceError for settings that are wrong."""
    try:
        settings = msgspec.convert(voice.engine_settings, LikenessSettings)
    except msgspec.ValidationError as error:
        raise VoiceError(
            f"The settings of voice {voice.name!r} are wrong: {error}.",
            next_step="Correct the table [settings] of its voice.toml.",
        ) from error
    pace_wpm = settings.pace_wpm or min(
        FASTEST_ESPEAK_WPM, max(SLOWEST_ESPEAK_WPM, round(voice.words_per_minute * _PACE_BY_WPM))
    )
    tongue = language.lower().partition("-")[0]
    own = [spoken for spoken in voice.languages if spoken.lower().partition("-")[0] == tongue]
    accents = {"accent": settings.accent} if settings.accent else {}
    if not accents and own and own[0].lower() != "en":
        # asked as a voice of another tongue, which has no accent of its own in this one
        stranger = EspeakSettings(accent="de" if tongue == "en" else "en-us")
        accents = {"accent": find_accent(stranger, own[0])}
    return _make_voice(
        voice.name,
        {
            **accents,
            "pace_wpm": pace_wpm,
            "pitch_low_hz": likeness.pitch_low_hz,
            "pitch_high_hz": likeness.pitch_high_hz,
        },
    )


def _impose(samples: Samples, rate_hz: int, likeness: Likeness) -> Samples:
    wanted_hz = min(_HIGHEST_HZ, max(_LOWEST_HZ, likeness.measures.pitch_hz))
    bands = np.log(BANDS_HZ)
    # nothing is known beyond the bands: there, what holds at their ends

    def move(pitch_hz: Array) -> Array:
        moved = wanted_hz * (pitch_hz / likeness.spoken_hz) ** likeness.bend
        return np.asarray(np.clip(moved, wanted_hz / 2.0, wanted_hz * 2.2))

    def gains(frequencies_hz: Array) -> Array:
        return np.interp(np.log(np.maximum(frequencies_hz, 1.0)), bands, likeness.gains_db)

    return reshape_speech(
        samples,
        rate_hz,
        pitch_range_hz=(likeness.pitch_low_hz / 1.5, likeness.pitch_high_hz * 1.6),
        move_pitch=move,
        formant_scale=likeness.measures.formant_scale,
        gains_db=gains,
    )


def _pieces(speech: Speech) -> Iterator[tuple[int, int]]:
    """Where sounds begin and end: sentences without the silence between; long ones in parts.

    A part ends where it is quietest, so that memory does not grow with a sentence.
    """
    rate_hz, start = speech.sample_rate_hz, 0
    longest, block = round(_LONGEST_PIECE_S * rate_hz), round(0.02 * rate_hz)
    for end_s in speech.sentence_ends_s:
        end = min(len(speech.samples), round(end_s * rate_hz))
        sounding = np.flatnonzero(speech.samples[start:end])
        if len(sounding):
            start += int(sounding[0])
            while end - start > longest:
                late = speech.samples[start + longest // 2 : start + longest]
                whole = len(late) // block * block
                power = np.square(late[:whole]).reshape(-1, block).sum(axis=1)
                cut = start + longest // 2 + int(power.argmin()) * block + block // 2
                yield start, cut
                start = cut
            yield start, end
        start = end


def _fade(samples: Samples, rate_hz: int) -> Samples:
    count = min(len(samples) // 2, round(_FADE_S * rate_hz))
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(count, 1))).astype(np.float32)
    samples[:count] *= ramp
    samples[len(samples) - count :] *= ramp[::-1]
    return samples


def _level(samples: Samples, before: Samples) -> Samples:
    """As loud as before, and never clipped."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    peak = float(np.max(np.abs(samples), initial=0.0))
    if power <= 0.0 or not np.isfinite(power):
        raise EngineError("WORLD made no sound of what eSpeak NG said.")
    gain = min(float(np.mean(np.square(before, dtype=np.float64)) / power) ** 0.5, _PEAK / peak)
    return np.asarray(samples * np.float32(gain), dtype=np.float32)
