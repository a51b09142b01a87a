import time

import pytest

from podcaster.errors import VoiceError
from podcaster.model import Voice
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.pace import estimate_s
from podcaster.speak.text import prepare
from podcaster.units import count_words
from tests.speak.conftest import CONVERSATION

pytestmark = pytest.mark.engine

TURNS = [line.partition(": ")[2] for line in CONVERSATION.read_text("utf-8").splitlines()]


def spoken_s(voicer: EspeakVoicer, text: str, voice: Voice, language: str, seed: int) -> float:
    sentences = [sentence.spoken for sentence in prepare(text, language)]
    speech = voicer.say(sentences, voice, language=language, seed=seed)
    return len(speech.samples) / speech.sample_rate_hz


@pytest.fixture(scope="module")
def measured_s(voicer: EspeakVoicer, voices: dict[str, Voice]) -> dict[str, float]:
    """Seconds that each voice takes for the whole conversation."""
    return {
        name: sum(spoken_s(voicer, text, voice, "en", 1) for text in TURNS)
        for name, voice in voices.items()
    }


def test_a_conversation_is_foretold_within_two_and_a_half_percent(
    measured_s: dict[str, float], voices: dict[str, Voice]
) -> None:
    assert len(TURNS) > 25
    assert len(measured_s) >= 8
    for name, seconds in measured_s.items():
        expected_s = sum(estimate_s(text, voices[name], "en") for text in TURNS)
        assert expected_s == pytest.approx(seconds, rel=0.025), name


def test_the_stated_words_per_minute_are_those_measured(
    measured_s: dict[str, float], voices: dict[str, Voice]
) -> None:
    words = sum(count_words(text) for text in TURNS)
    for name, seconds in measured_s.items():
        # its words are shorter than those of the conversations that the numbers stand for
        ratio = 60 * words / seconds / voices[name].words_per_minute
        assert ratio == pytest.approx(1.07, abs=0.05), name


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (
            "de",
            "Heute sprechen wir über das Meer, über alte Türme und darüber, wie man sie erhält.",
        ),
        ("fr", "Aujourd'hui nous parlons de la mer, des vieux phares et de leur histoire."),
        ("es", "Hoy hablamos del mar, de los viejos faros y de cómo se conservan."),
        ("cmn", "今天我们谈谈大海、古老的灯塔以及如何保护它们。"),
    ],
)
def test_other_languages_are_foretold_within_a_tenth(
    voicer: EspeakVoicer, voices: dict[str, Voice], language: str, text: str
) -> None:
    measured_s = spoken_s(voicer, text, voices["ada"], language, 1)
    assert estimate_s(text, voices["ada"], language) == pytest.approx(measured_s, rel=0.1)


def test_numbers_take_the_time_in_which_they_are_said(voices: dict[str, Voice]) -> None:
    assert estimate_s("It was 1,234,567.", voices["ada"], "en") > 3 * estimate_s(
        "It was ten.", voices["ada"], "en"
    )


def test_a_slower_voice_takes_longer(voices: dict[str, Voice]) -> None:
    assert estimate_s(TURNS[1], voices["otis"], "en") > estimate_s(TURNS[1], voices["tess"], "en")


def test_silence_is_a_beat(voices: dict[str, Voice]) -> None:
    assert estimate_s("😀", voices["ada"], "en") < 1.0


def test_a_language_unknown_to_all_is_an_error(voices: dict[str, Voice]) -> None:
    with pytest.raises(VoiceError, match="does not speak 'tlh'"):
        estimate_s("nuqneH", voices["ada"], "tlh")


def test_foretelling_is_far_cheaper_than_speaking(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    fresh = [f"{text} And so on, {index}." for index, text in enumerate(TURNS)]
    start = time.process_time()
    for text in fresh:
        spoken_s(voicer, text, voices["ada"], "en", 1)
    speaking = time.process_time() - start
    again = [f"{text} And so forth, {index}." for index, text in enumerate(TURNS)]
    start = time.process_time()
    for text in again:
        estimate_s(text, voices["ada"], "en")
    assert time.process_time() - start < speaking / 2
