"""The contract of `Voicer`, held by the real engine."""

import hashlib
import multiprocessing
import pickle
import random
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from podcaster import engines
from podcaster.errors import EngineError, VoiceError
from podcaster.model import Voice
from podcaster.speak.espeak import EspeakVoicer, draw_manner
from podcaster.speak.espeak_voice import format_variant, languages, parse_settings
from tests.speak.conftest import median_pitch_hz

pytestmark = pytest.mark.engine

SENTENCES = [
    "That is a wonderful question.",
    "Do you think so?",
    "I do, and I will tell you why, because it goes back to my childhood!",
]


def test_the_engine_opens_by_its_name() -> None:
    opened = engines.open_engine("speak", "espeak")
    assert opened.id.startswith("espeak-ng 1.")
    opened.close()


def test_speech_is_mono_float32_within_range(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    for voice in voices.values():
        speech = voicer.say(SENTENCES, voice, language="en", seed=1)
        assert speech.samples.dtype == np.float32
        assert speech.samples.ndim == 1
        assert speech.sample_rate_hz == 22_050
        assert 0.1 < np.abs(speech.samples).max() < 1.0


def test_sentences_end_in_order_before_a_pause_that_varies(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    sentences = ["It was warm."] * 12
    speech = voicer.say(sentences, voices["ada"], language="en", seed=1)
    ends = speech.sentence_ends_s
    assert len(ends) == 12
    assert list(ends) == sorted(ends)
    assert ends[-1] == pytest.approx(len(speech.samples) / speech.sample_rate_hz)
    pauses_s = []
    for end_s in ends[:-1]:
        after = speech.samples[round(end_s * speech.sample_rate_hz) :]
        pauses_s.append(np.flatnonzero(after)[0] / speech.sample_rate_hz)
    assert min(pauses_s) > 0.15
    assert max(pauses_s) < 0.9
    assert np.std(pauses_s) > 0.03


def test_the_same_sentence_is_not_said_twice_in_the_same_tone(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    speech = voicer.say(["It was warm."] * 4, voices["ada"], language="en", seed=1)
    ends = [round(end_s * speech.sample_rate_hz) for end_s in speech.sentence_ends_s]
    first = speech.samples[: ends[0]]
    second = speech.samples[ends[1] - len(first) : ends[1]]
    assert not np.array_equal(first, second)


def test_joins_do_not_click(voicer: EspeakVoicer, voices: dict[str, Voice]) -> None:
    speech = voicer.say(SENTENCES, voices["otis"], language="en", seed=1)
    for end_s in (0.0, *speech.sentence_ends_s):
        around = round(end_s * speech.sample_rate_hz)
        edge = speech.samples[max(0, around - 3) : around + 3]
        assert np.abs(edge).max() < 0.003


# "right" and "true" are trilled in Scotland, and eSpeak remembers the phase of a trill for ever
TRILLED = ["The right story is true.", "Around three the criticism grew."]


@pytest.mark.parametrize(
    ("name", "said"),
    [("ada", SENTENCES), ("cole", SENTENCES), ("maeve", TRILLED), ("finn", TRILLED)],
)
def test_the_same_arguments_give_the_same_samples_whatever_was_said_before(
    voicer: EspeakVoicer, voices: dict[str, Voice], name: str, said: list[str]
) -> None:
    expected = voicer.say(said, voices[name], language="en", seed=3).samples
    chance = random.Random(5)
    words = ["ship", "sizzle", "murmur", "adagio", "tick", "stop", "echo", "zoo", "fifth", "church"]
    for _ in range(25):
        other = " ".join(chance.choices(words, k=chance.randint(1, 9)))
        voice = voices[chance.choice(sorted(voices))]
        voicer.say([other], voice, language=chance.choice(["en", "de", "fr"]), seed=1)
        again = voicer.say(said, voices[name], language="en", seed=3).samples
        assert np.array_equal(expected, again)


def test_a_fresh_process_gives_the_same_samples(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    program = (
        "import hashlib, pickle, sys\n"
        "from podcaster.speak.espeak import EspeakVoicer\n"
        "sentences, voice = pickle.load(sys.stdin.buffer)\n"
        "speech = EspeakVoicer().say(sentences, voice, language='en', seed=3)\n"
        "print(hashlib.sha256(speech.samples.tobytes()).hexdigest())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        input=pickle.dumps((SENTENCES, voices["cole"])),
        capture_output=True,
        check=True,
    )
    here = voicer.say(SENTENCES, voices["cole"], language="en", seed=3).samples
    assert done.stdout.decode().strip() == hashlib.sha256(here.tobytes()).hexdigest()


def _leave_open(folder: str) -> int:
    tempfile.tempdir = folder
    EspeakVoicer()
    return len(list(Path(folder).iterdir()))


def test_a_worker_that_ends_without_closing_leaves_nothing_behind(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        assert pool.submit(_leave_open, str(tmp_path)).result() == 1
    assert list(tmp_path.iterdir()) == []


def test_another_seed_gives_another_take(voicer: EspeakVoicer, voices: dict[str, Voice]) -> None:
    takes = [
        voicer.say(SENTENCES, voices["ada"], language="en", seed=seed).samples for seed in (1, 2)
    ]
    assert len(takes[0]) != len(takes[1]) or not np.array_equal(*takes)


def test_voices_differ_in_pitch_as_their_files_say(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    measured_hz = {}
    for name, voice in voices.items():
        speech = voicer.say(SENTENCES, voice, language="en", seed=1)
        measured_hz[name] = median_pitch_hz(speech.samples, speech.sample_rate_hz)
        stated_hz = parse_settings(voice).pitch_hz
        assert measured_hz[name] == pytest.approx(stated_hz, rel=0.15), name
    assert sum(pitch > 150 for pitch in measured_hz.values()) >= 4
    assert sum(pitch < 150 for pitch in measured_hz.values()) >= 4


def test_voices_differ_in_spectrum(voicer: EspeakVoicer, voices: dict[str, Voice]) -> None:
    shapes = {}
    for name, voice in voices.items():
        samples = voicer.say(SENTENCES, voice, language="en", seed=1).samples
        power = np.square(np.abs(np.fft.rfft(samples, 2**18)))
        # third-octave bands from 300 Hz to 5 kHz
        edges_hz = 300 * 2 ** (np.arange(13) / 3)
        bands = np.add.reduceat(power, np.round(edges_hz * 2**18 / 22_050).astype(int))[:-1]
        shapes[name] = 10 * np.log10(bands / bands.sum())
    names = sorted(shapes)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    assert len(pairs) >= 28
    for a, b in pairs:
        assert np.abs(shapes[a] - shapes[b]).max() > 2.0, (a, b)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Guten Tag und herzlich willkommen zu unserer Sendung."),
        ("es", "Buenos días y bienvenidos a nuestro programa."),
        ("fr", "Bonjour et bienvenue dans notre émission."),
        ("pt-BR", "Bom dia e bem-vindos ao nosso programa."),
        ("ar", "مرحبا بكم في برنامجنا."),
        ("cmn", "大家好,欢迎收听我们的节目。"),
    ],
)
def test_every_voice_speaks_other_languages_with_its_own_timbre(
    voicer: EspeakVoicer, voices: dict[str, Voice], language: str, text: str
) -> None:
    pitch_hz = []
    for name in ("maeve", "otis"):
        speech = voicer.say([text], voices[name], language=language, seed=1)
        assert 1.5 < len(speech.samples) / speech.sample_rate_hz < 8.0
        pitch_hz.append(median_pitch_hz(speech.samples, speech.sample_rate_hz))
    assert pitch_hz[0] > 1.7 * pitch_hz[1]


def test_german_is_not_read_as_english(voicer: EspeakVoicer, voices: dict[str, Voice]) -> None:
    (german,) = voicer.spell_phonemes(["Zwei Züge ziehen."], language="de")
    (english,) = voicer.spell_phonemes(["Zwei Züge ziehen."], language="en")
    assert german != english


def test_all_listed_languages_can_be_spoken(voicer: EspeakVoicer, voices: dict[str, Voice]) -> None:
    assert len(languages()) > 100
    for language in languages():
        speech = voicer.say(["Hello, one two three."], voices["ada"], language=language, seed=1)
        assert len(speech.samples) > 0, language


@pytest.mark.parametrize(
    "text",
    [
        "\x01 50p hello",
        "a\x00b",
        "hello [[f@ni:m]] there",
        "<speak>hi <break time='9s'/></speak>",
        "مرحبا بكم",
        "hi 😀 there",
        "\ud800 hi",
        "\u202ehello\u202c",
        "%s%n%d",
        "../../etc/passwd",
    ],
)
def test_hostile_text_is_only_text(
    voicer: EspeakVoicer, voices: dict[str, Voice], text: str
) -> None:
    speech = voicer.say([text], voices["ada"], language="en", seed=1)
    assert 0.2 < len(speech.samples) / speech.sample_rate_hz < 9.0


def test_phonemes_in_brackets_are_not_obeyed(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    (bracketed,) = voicer.spell_phonemes(["[[f@ni:m]]"], language="en")
    assert "fəniːm" not in "".join(bracketed)


@pytest.mark.parametrize("text", ["", "   ", "😀", "..."])
def test_nothing_to_say_is_an_error_with_a_sentence(
    voicer: EspeakVoicer, voices: dict[str, Voice], text: str
) -> None:
    with pytest.raises(EngineError, match="There is nothing to say in"):
        voicer.say([text], voices["ada"], language="en", seed=1)


def test_no_sentences_are_an_error(voicer: EspeakVoicer, voices: dict[str, Voice]) -> None:
    with pytest.raises(EngineError, match="was given no sentence"):
        voicer.say([], voices["ada"], language="en", seed=1)


def test_an_unknown_language_names_those_there_are(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    with pytest.raises(VoiceError, match=r"does not speak 'tlh'\. Choose one of: .*de.*en"):
        voicer.say(["qapla"], voices["ada"], language="tlh", seed=1)


def test_a_closed_voicer_says_so(voices: dict[str, Voice]) -> None:
    opened = EspeakVoicer()
    opened.close()
    opened.close()
    with pytest.raises(EngineError, match="is closed"):
        opened.say(["hello"], voices["ada"], language="en", seed=1)


def test_the_manner_varies_around_the_pace() -> None:
    rng = random.Random(1)
    drawn = [draw_manner("It was warm.", 150, index % 6, rng) for index in range(600)]
    rates, pitches, spreads = zip(*drawn, strict=True)
    assert np.mean(rates) == pytest.approx(150, abs=1)
    assert 2 < np.std(pitches) < 5
    assert max(rates) <= 160
    assert min(rates) >= 140
    assert 0 <= min(spreads) <= max(spreads) <= 99


def test_a_turn_begins_higher_than_it_goes_on() -> None:
    def mean_pitch(index: int) -> float:
        rng = random.Random(1)
        return float(np.mean([draw_manner("Warm.", 150, index, rng)[1] for _ in range(300)]))

    assert mean_pitch(0) > mean_pitch(2) > mean_pitch(4)


def test_the_variant_leaves_out_what_eSpeak_draws_from_its_own_state(  # noqa: N802
    voices: dict[str, Voice],
) -> None:
    for voice in voices.values():
        variant = format_variant(parse_settings(voice))
        assert "flutter 0\n" in variant
        assert "roughness 0\n" in variant
        assert "breath" not in variant
