"""The gate catches what is planted into good clips, and lets the good ones pass."""

import importlib.util
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from podcaster.model import Voice
from podcaster.speak.checks.gate import Gate, GateOptions, Verdict
from podcaster.speak.checks.pace import ENOUGH_CLIPS, Habits, learn_habits
from podcaster.speak.checks.sound import outline
from podcaster.speak.checks.voice import (
    WINDOW_S,
    Vectors,
    compare_voice,
    hear_voice,
    mean_print,
    take_print,
)
from podcaster.speak.checks.words import compare_words
from podcaster.speak.engine import Samples
from podcaster.speak.espeak import EspeakVoicer
from tests.speak.planted import (
    FAULTS,
    SHARED,
    Sample,
    other_voice,
    read_people,
    read_sound,
    read_turns,
    say_tail_again,
    speak,
)

pytestmark = pytest.mark.engine

GATE = Gate(GateOptions())
LIGHT = Gate(GateOptions(thorough=False))


@pytest.fixture(scope="module")
def spoken(voicer: EspeakVoicer, voices: dict[str, Voice]) -> list[Sample]:
    """Every turn by four of the built-in voices."""
    return [
        speak(voicer, text, voice, number)
        for number, text in enumerate(read_turns())
        for place, voice in enumerate(voices.values())
        if (number + place) % 5 < 2
    ]


@pytest.fixture(scope="module")
def people(voices: dict[str, Voice]) -> list[Sample]:
    """People's clips; none without the shared recordings."""
    return read_people(voices["ada"])


def judge(gate: Gate, one: Sample, **known: Any) -> Verdict:
    return gate.judge(one.samples, one.rate_hz, one.sentences, one.ends_s, one.voice, "en", **known)


def kinds(verdict: Verdict) -> set[str]:
    return {fault.kind for fault in verdict.faults}


@pytest.fixture(scope="module")
def verdicts(spoken: list[Sample]) -> list[Verdict]:
    return [judge(GATE, one) for one in spoken]


def test_good_clips_pass(
    spoken: list[Sample], verdicts: list[Verdict], people: list[Sample]
) -> None:
    assert len(spoken) >= 200
    judged = [*zip(spoken, verdicts, strict=True), *((one, judge(GATE, one)) for one in people)]
    wrong = [f"{one.name}: {verdict.faults}" for one, verdict in judged if not verdict.passed]
    assert len(wrong) <= 0.02 * len(judged), wrong


def test_good_clips_pass_where_the_voice_is_known(
    spoken: list[Sample], verdicts: list[Verdict]
) -> None:
    for name in {one.who for one in spoken}:
        theirs = [verdict.scores for one, verdict in zip(spoken, verdicts, strict=True)
                  if one.who == name]  # fmt: skip
        habits = learn_habits(theirs)
        assert habits is not None
        assert habits.pace == pytest.approx(1.0, abs=0.05)
        again = [judge(LIGHT, one, habits=habits) for one in spoken if one.who == name]
        assert sum(verdict.passed for verdict in again) >= 0.98 * len(again)


@pytest.mark.parametrize("kind", FAULTS)
def test_planted_faults_are_caught(kind: str, spoken: list[Sample], people: list[Sample]) -> None:
    # what is shorter has no tail or half that anybody could miss, and one text repeats itself
    long = [one for one in spoken if one.duration_s >= 3.2]
    random = np.random.default_rng(11)
    long = [*long[::5], *(one for one in people[:12] if one.duration_s >= 3.2)]
    caught = [kind in kinds(judge(GATE, FAULTS[kind](one, random))) for one in long]
    assert len(caught) >= 30
    assert sum(caught) >= 0.97 * len(caught)


def test_an_end_that_is_said_again_in_another_tone_is_caught(
    spoken: list[Sample], voicer: EspeakVoicer
) -> None:
    random = np.random.default_rng(12)
    again = say_tail_again(voicer)
    caught = [
        not judge(GATE, again(one, random)).passed for one in spoken[::5] if one.duration_s >= 3.2
    ]
    assert len(caught) >= 20
    assert sum(caught) >= 0.85 * len(caught)


def test_one_swallowed_sentence_among_many_is_caught_where_the_ends_are_known(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    text = "First we row out. Then we climb three hundred and twelve steps to the lamp. "
    whole = speak(voicer, text * 3, voices["ada"], 1)
    start_s, end_s = whole.ends_s[2], whole.ends_s[3]
    gone_s = 0.85 * (end_s - start_s)
    start, count = round(start_s * whole.rate_hz) + 2000, round(gone_s * whole.rate_hz)
    cut = np.delete(whole.samples, slice(start, start + count))
    ends_s = (*whole.ends_s[:3], *(end - gone_s for end in whole.ends_s[3:]))
    verdict = GATE.judge(cut, whole.rate_hz, whole.sentences, ends_s, whole.voice, "en")
    (fault,) = verdict.faults
    assert fault.kind == "too_short"
    assert fault.message.startswith("Sentence 4 takes ")


def test_the_light_gate_catches_what_costs_nothing(spoken: list[Sample]) -> None:
    random = np.random.default_rng(13)
    long = [one for one in spoken if one.duration_s >= 3.2][::6]
    for kind in ("silence_inside", "silence_at_end", "clipping", "loudness"):
        assert all(kind in kinds(judge(LIGHT, FAULTS[kind](one, random))) for one in long)
    assert all(judge(LIGHT, one).passed for one in long)
    assert "repeat_s" not in judge(LIGHT, long[0]).scores


def test_faults_say_what_was_got_and_expected(spoken: list[Sample]) -> None:
    random = np.random.default_rng(14)
    one = next(one for one in spoken if one.duration_s > 5)
    for kind, plant in FAULTS.items():
        verdict = judge(GATE, plant(one, random))
        assert verdict.severity > 0
        for fault in verdict.faults:
            assert "expected" in fault.message
            assert fault.message.endswith(".")
            assert fault.excess >= 1, kind


def test_nothing_to_say_passes_and_nothing_said_does_not(voices: dict[str, Voice]) -> None:
    silence = np.zeros(22_050, dtype=np.float32)
    assert GATE.judge(silence, 22_050, (), (), voices["ada"], "en").passed
    for samples in (silence, silence[:0], silence[:7]):
        verdict = GATE.judge(samples, 22_050, ("Some words.",), (), voices["ada"], "en")
        assert kinds(verdict) == {"too_short"}
    broken = np.full(22_050, np.nan, dtype=np.float32)
    (fault,) = GATE.judge(broken, 22_050, ("Words.",), (), voices["ada"], "en").faults
    assert fault.message == "Some samples are not numbers, expected -1 to 1."


def test_a_language_that_nobody_can_foretell_is_judged_by_letters(voices: dict[str, Voice]) -> None:
    noise = np.random.default_rng(1).standard_normal(40_000).astype(np.float32) * 0.1
    verdict = GATE.judge(noise, 16_000, ("jIyaj, qatlh bIjatlh 'e' Qub",), (), voices["ada"], "tlh")
    assert 0.5 < verdict.scores["pace"] < 2


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("cmn", "今天我们谈谈大海、古老的灯塔以及如何保护它们。"),
        ("ja", "きょうは、うみと、ふるい とうだいの はなしを します。"),
        ("ar", "نتحدث اليوم عن البحر وعن المنارات القديمة."),
        ("hi", "आज हम समुद्र और पुराने प्रकाशस्तंभों की बात करेंगे।"),
        ("de", "Heute sprechen wir über das Meer, über alte Türme und wie man sie erhält."),
    ],
)
def test_other_languages_pass(
    voicer: EspeakVoicer, voices: dict[str, Voice], language: str, text: str
) -> None:
    speech = voicer.say([text], voices["nora"], language=language, seed=1)
    for gate in (GATE, LIGHT):
        verdict = gate.judge(
            speech.samples, 22_050, (text,), speech.sentence_ends_s, voices["nora"], language
        )
        assert verdict.passed, verdict.faults


def test_habits_are_learnt_from_enough_clips_and_survive_bad_ones() -> None:
    good = [{"pace": 1.3 + 0.02 * (n % 3), "speech_s": 5.0, "similarity": 0.8} for n in range(9)]
    assert learn_habits(good[: ENOUGH_CLIPS - 1]) is None
    assert learn_habits([{**one, "speech_s": 0.5} for one in good]) is None
    habits = learn_habits([*good, {"pace": 4.0, "speech_s": 60.0, "similarity": 0.1}])
    assert habits is not None
    assert habits.pace == pytest.approx(1.32)
    assert habits.similarity == pytest.approx(0.8)


def test_habits_narrow_what_is_believed(voicer: EspeakVoicer, voices: dict[str, Voice]) -> None:
    text = "We walked for three days and three nights, with one lamp between the four of us."
    one = speak(voicer, text, voices["otis"], 3)
    quick = one.samples[: round(0.66 * len(one.samples))]
    known = Habits(clips=20, pace=1.0, pace_deviation=0.03)
    arguments = (quick, one.rate_hz, one.sentences, (), one.voice, "en")
    assert LIGHT.judge(*arguments).passed
    assert kinds(LIGHT.judge(*arguments, habits=known)) == {"too_short"}


# whose voice it is


@pytest.fixture(scope="module")
def listener() -> Iterator[Any]:
    pytest.importorskip("torch", reason="the extra asr is not installed")
    if importlib.util.find_spec("resemblyzer") is None:
        pytest.skip("the extra asr is not installed")
    from podcaster.voiceprint import Encoder

    opened = Encoder()
    yield opened
    opened.close()


def prints_of(listener: Any, clips: Sequence[Sample]) -> dict[str, Vectors]:
    """What each voice's clips have in common."""
    found: dict[str, list[Vectors]] = {}
    for one in clips:
        heard = take_print(listener, one.samples, one.rate_hz)
        if heard is not None and one.duration_s > 2:
            found.setdefault(one.who, []).append(heard)
    means = {who: mean_print(prints) for who, prints in found.items()}
    return {who: mean for who, mean in means.items() if mean is not None}


def test_a_built_in_voice_is_told_from_the_other_of_the_episode(
    listener: Any, spoken: list[Sample], voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    clips = [one for one in spoken[::3] if one.duration_s > 1.6]
    references = prints_of(listener, clips)
    gate = Gate(GateOptions(), listener)
    for one in clips[::6]:
        other = other_voice(one.voice, list(voices.values()))
        known: dict[str, Any] = {
            "reference": references[one.who],
            "others": [references[other.name]],
        }
        assert judge(gate, one, **known).passed, one.name
        speech = voicer.say(one.sentences, other, language="en", seed=5)
        verdict = gate.judge(
            speech.samples, one.rate_hz, one.sentences, (), one.voice, "en", **known
        )
        assert "other_voice" in kinds(verdict), one.name


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not beside the project")
def test_people_are_told_apart_by_their_references_alone(
    listener: Any, people: list[Sample]
) -> None:
    references = prints_of(listener, people)
    for name in ("katie", "steve"):
        sound = read_sound(SHARED / f"{name}-reference.wav", 16_000)
        reference = take_print(listener, sound, 16_000, windows=12)
        assert reference is not None
        references[name] = reference
    own: list[bool] = []
    foreign: list[bool] = []
    for one in people:
        heard = hear_voice(listener, one.samples, one.rate_hz, outline(one.samples, one.rate_hz))
        assert heard is not None
        if heard.speech_s < WINDOW_S:
            continue
        for who, reference in references.items():
            near = compare_voice(heard, reference, (), None)
            passes = near.similarity >= near.least and near.weakest >= near.least_weakest
            (own if who == one.who else foreign).append(passes)
    assert len(own) > 15
    assert all(own)
    assert len(foreign) > 75
    assert not any(foreign)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not beside the project")
def test_a_voice_that_changes_half_way_is_caught(listener: Any, people: list[Sample]) -> None:
    references = prints_of(listener, people)
    gate = Gate(GateOptions(), listener)
    turns = [one for one in people if one.who.startswith("speaker")]
    for one, other in itertools.pairwise(turns):
        half = len(one.samples) // 2
        mixed = np.concatenate([one.samples[:half], np.resize(other.samples, half)])
        known: dict[str, Any] = {
            "reference": references[one.who],
            "others": [references[other.who]],
        }
        verdict = gate.judge(mixed, one.rate_hz, one.sentences, (), one.voice, "en", **known)
        assert ("other_voice" in kinds(verdict)) == (one.who != other.who)


def test_somebody_unlike_the_reference_is_measured_by_what_is_usual(
    listener: Any, spoken: list[Sample]
) -> None:
    one = max(spoken, key=lambda one: one.duration_s)
    own = take_print(listener, one.samples, one.rate_hz)
    assert own is not None
    generator = np.random.default_rng(2)
    aside = generator.standard_normal(len(own)).astype(np.float32)
    aside -= (aside @ own) * own
    far = (0.6 * own + 0.8 * aside / np.linalg.norm(aside)).astype(np.float32)
    gate = Gate(GateOptions(), listener)
    assert "other_voice" in kinds(judge(gate, one, reference=far))
    usual = Habits(clips=20, pace=1.0, pace_deviation=0.05, similarity=0.6)
    assert judge(gate, one, reference=far, habits=usual).passed


# what was said


class Hearing:
    """A transcriber that heard what it is told."""

    def __init__(self, words: str) -> None:
        self.words = words

    def transcribe(self, samples: Samples, rate_hz: int, language: str) -> str:
        assert len(samples) / rate_hz > 1
        return self.words


TEXT = "It was in 1987 that Mr. O'Neill paid $4.2 million for a café, didn't he?"


@pytest.mark.parametrize(
    "heard",
    [
        "It was in nineteen eighty-seven that Mister O'Neill paid 4.2 million dollars for a cafe, "
        "didn't he?",
        "it was in 1987 that mr. oneill paid $4.2 million for a cafe didnt he",
        "Uh, it was in 1987 that Mr. O'Neal paid $4.2 million for a, um, café, didn't he?",
    ],
)
def test_spelling_numbers_and_fillers_are_no_errors(heard: str) -> None:
    found = compare_words(TEXT, heard, "en")
    assert found.errors < 0.5
    assert found.added_at_end == ()


@pytest.mark.parametrize(
    ("heard", "message"),
    [
        (
            "We walked for three days with one lamp between us thank you for watching",
            "After the last word 'thank you for watching' was heard, expected nothing.",
        ),
        ("We walked for three between us.", "'days with one lamp' was not heard, expected all"),
        (
            "We talked for free daisies with won lambs betwixt them.",
            "Of 10 words 4 were heard differently, expected at most 4",
        ),
        ("", "was not heard, expected all words."),
    ],
)
def test_other_words_are_caught(
    heard: str, message: str, voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    text = "We walked for three days with one lamp between us."
    one = speak(voicer, text, voices["ada"], 1)
    (fault,) = judge(Gate(GateOptions(), None, Hearing(heard)), one).faults
    assert fault.kind == "words"
    assert message in fault.message
    verdict = judge(Gate(GateOptions(), None, Hearing("We walked for 3 days, with 1 lamp..."
                                                      " between us")), one)  # fmt: skip
    assert verdict.passed
    assert verdict.scores["word_error_rate"] == 0


def test_words_are_characters_where_no_spaces_are_written() -> None:
    found = compare_words("今天我们谈谈大海。", "今天我们谈大海", "cmn")
    assert found.words == 8
    assert found.errors == 1
