"""A likeness in a language that Kokoro does not speak: eSpeak NG, reshaped by WORLD."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import msgspec

from podcaster.model import Noun, Voice
from podcaster.speak.engine import Speech
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.espeak_voice import EspeakSettings, find_accent
from podcaster.speak.likeness.measures import Measures, find_gains, measure
from podcaster.speak.likeness.shaping import (
    HIGHEST_HZ,
    LOWEST_HZ,
    NARROWEST,
    WIDEST,
    Shape,
    make_shape,
    shape_speech,
)
from podcaster.speak.likeness.study import (
    find_standard,
    hear_references,
    keep,
    listen_to_espeak,
    make_voice,
)
from podcaster.speak.voices import FASTEST_ESPEAK_WPM, SLOWEST_ESPEAK_WPM

FORMAT = 2  # of what is kept, and of how it is measured and imposed

_LARGEST_GAIN_DB = 18.0
# what eSpeak makes of its two pitches: the median lies above their middle, the range is narrower
_MEDIAN_BY_MIDDLE, _RANGE_BY_PITCHES = 1.04, 0.62
# eSpeak's pace by the words a minute that come of it, pauses included (see pace.py)
_PACE_BY_WPM = 148.5 / 166.5


class EspeakLikeness(Noun, frozen=True):
    """eSpeak speaks between two pitches, and what it says gets a shape; kept as JSON."""

    pitch_low_hz: Annotated[int, msgspec.Meta(ge=45, le=350)]
    pitch_high_hz: Annotated[int, msgspec.Meta(ge=50, le=500)]
    shape: Shape


class EspeakLikenessVoicer:
    """A `Voicer` on eSpeak NG and WORLD, at eSpeak's rate, 22,050 Hz.

    Raises EngineError where eSpeak NG cannot be loaded.
    """

    def __init__(self) -> None:
        self._espeak = EspeakVoicer()
        library = f"pyworld {version('pyworld-prebuilt')}"
        self._id = f"likeness sketch {FORMAT} ({self._espeak.id}, {library})"
        self._known: dict[tuple[str, ...], EspeakLikeness] = {}

    @property
    def id(self) -> str:
        """The form of the likeness, and the versions of eSpeak NG and of WORLD."""
        return self._id

    def say(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> Speech:
        """Speak as eSpeak NG does, and make it resemble the voice; sentences end where they did.

        Raises VoiceError for references that cannot be read or in which nobody speaks, or a
        language that eSpeak does not have; EngineError for a text in which there is nothing to
        say. The same arguments give the same samples.
        """
        likeness = self.study(voice)
        spoken = self._espeak.say(
            sentences, espeak_voice(voice, likeness, language), language=language, seed=seed
        )
        pitches_hz = (likeness.pitch_low_hz / 1.5, likeness.pitch_high_hz * 1.6)
        return shape_speech(spoken, likeness.shape, pitches_hz)

    def study(self, voice: Voice) -> EspeakLikeness:
        """Measure a voice, once: what is kept is read afterwards. Raises VoiceError."""
        if voice.references not in self._known:
            self._known[voice.references] = keep(
                voice, self._id, EspeakLikeness, lambda: _work_out(voice)
            )
        return self._known[voice.references]

    def close(self) -> None:
        """Let go of eSpeak NG."""
        self._espeak.close()


def _work_out(voice: Voice) -> EspeakLikeness:
    _, portrait = hear_references(voice)
    standard = find_standard()
    wanted = measure(portrait, standard)
    low_hz, high_hz = _pitches(wanted)
    shape = make_shape(
        measure(listen_to_espeak(low_hz, high_hz), standard),
        wanted,
        formant_scale=wanted.formant_scale,
        gains_db=find_gains(wanted, standard),
        most_db=_LARGEST_GAIN_DB,
    )
    return EspeakLikeness(pitch_low_hz=low_hz, pitch_high_hz=high_hz, shape=shape)


def _pitches(measures: Measures) -> tuple[int, int]:
    """The two pitches for eSpeak that come near the measured median and range."""
    median = min(HIGHEST_HZ, max(LOWEST_HZ, measures.pitch_hz)) / _MEDIAN_BY_MIDDLE
    wanted = min(WIDEST, max(NARROWEST, measures.pitch_range_semitones))
    half = min(7.0, wanted / _RANGE_BY_PITCHES / 2.0)
    low, high = median * 2.0 ** (-half / 12.0), median * 2.0 ** (half / 12.0)
    low_hz = min(350, max(45, round(low)))
    return low_hz, min(500, max(low_hz + 5, round(high)))


def espeak_voice(voice: Voice, likeness: EspeakLikeness, language: str) -> Voice:
    """The eSpeak voice that is reshaped, in the accent of the voice's first language that fits."""
    pace_wpm = min(
        FASTEST_ESPEAK_WPM, max(SLOWEST_ESPEAK_WPM, round(voice.words_per_minute * _PACE_BY_WPM))
    )
    tongue = language.lower().partition("-")[0]
    own = [spoken for spoken in voice.languages if spoken.lower().partition("-")[0] == tongue]
    accents = {}
    if own and own[0].lower() != "en":
        # asked as a voice of another tongue, which has no accent of its own in this one
        stranger = EspeakSettings(accent="de" if tongue == "en" else "en-us")
        accents = {"accent": find_accent(stranger, own[0])}
    return make_voice(
        voice.name,
        "espeak",
        {
            **accents,
            "pace_wpm": pace_wpm,
            "pitch_low_hz": likeness.pitch_low_hz,
            "pitch_high_hz": likeness.pitch_high_hz,
        },
    )
