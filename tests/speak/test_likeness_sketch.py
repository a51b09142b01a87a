import wave
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

pytest.importorskip("pyworld", reason="the base install has it: pyworld-prebuilt")
import soxr

from podcaster import audio
from podcaster.engines import open_engine
from podcaster.errors import EngineError, VoiceError
from podcaster.model import Voice
from podcaster.speak.derived import derived_path
from podcaster.speak.engine import Samples, Speech
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.likeness.espeak import (
    EspeakLikeness,
    EspeakLikenessVoicer,
    espeak_voice,
)
from podcaster.speak.likeness.measures import RATE_HZ, listen, measure
from podcaster.speak.likeness.pitch import track_pitch
from podcaster.speak.likeness.shaping import split_sounds
from podcaster.speak.likeness.study import find_standard, hear_references

pytestmark = pytest.mark.engine

SENTENCES = (
    "The ferry left at noon, and we were still looking for the tickets.",
    "Did anybody count the chairs?",
    "My brother collects maps of places that were never built.",
)
TEN = (
    "Our train stood in the fields for an hour.",
    "What would you have done with all that paint?",
    "The old bakery opens long before the sun is up.",
    "Three engineers looked at the bridge and shook their heads.",
    "I bought this lamp from a man who never sleeps.",
    "There is a letter for you under the flower pot.",
    "They promised to bring the boat back by Friday evening.",
    "How many people can live on such a small island?",
    "She writes every number down in a green notebook.",
    "Nothing tastes better than soup after a day of snow.",
)


@pytest.fixture(scope="module")
def engine() -> Iterator[EspeakLikenessVoicer]:
    opened = open_engine("speak", "likeness_sketch")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def spoken_by(
    voicer: EspeakVoicer, voices: dict[str, Voice], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Recordings of two built-in voices, as if they were people."""
    folder = tmp_path_factory.mktemp("recordings")
    paths = {}
    for name in ("tess", "hugo"):
        speech = voicer.say(TEN[:5], voices[name], language="en", seed=1)
        paths[name] = folder / f"{name}.wav"
        audio.write_wav(paths[name], speech.samples, speech.sample_rate_hz)
    return paths


def make_voice(folder: Path, reference: Path, **changes: object) -> Voice:
    """A voice whose folder holds a copy of the reference."""
    place = folder / f"voice-{reference.stem}" / reference.name
    if not place.exists():
        place.parent.mkdir(parents=True)
        place.write_bytes(reference.read_bytes())
    voice = Voice(
        name="kim",
        engine="likeness_sketch",
        description="Somebody.",
        languages=("en",),
        words_per_minute=165.0,
        licence="none",
        sha256="1" * 64,
        references=(str(place),),
    )
    return msgspec.structs.replace(voice, **changes)


def at_rate(speech: Speech) -> Samples:
    return np.asarray(soxr.resample(speech.samples, speech.sample_rate_hz, RATE_HZ))


def median_hz(samples: Samples) -> float:
    pitch_hz = track_pitch(samples, RATE_HZ).pitch_hz
    return float(np.median(pitch_hz[pitch_hz > 0]))


def test_what_is_imposed_is_what_was_measured(
    engine: EspeakLikenessVoicer, spoken_by: dict[str, Path], tmp_path: Path
) -> None:
    found = {}
    for name, path in spoken_by.items():
        voice = make_voice(tmp_path, path)
        wanted = measure(hear_references(voice)[1], find_standard())
        speech = engine.say(TEN[5:], voice, language="en", seed=2)
        got = measure(listen([at_rate(speech)]), find_standard())
        assert got.pitch_hz == pytest.approx(wanted.pitch_hz, rel=0.06)
        assert got.pitch_range_semitones == pytest.approx(wanted.pitch_range_semitones, abs=1.5)
        assert got.formant_scale == pytest.approx(wanted.formant_scale, rel=0.04)
        assert got.tilt_db_per_octave == pytest.approx(wanted.tilt_db_per_octave, abs=1.5)
        found[name] = wanted
    assert found["tess"].pitch_hz > 1.5 * found["hugo"].pitch_hz
    assert found["tess"].formant_scale > 1.05 * found["hugo"].formant_scale


def test_the_same_arguments_give_the_same_samples(
    engine: EspeakLikenessVoicer, spoken_by: dict[str, Path], tmp_path: Path
) -> None:
    voice = make_voice(tmp_path, spoken_by["tess"])
    one, other, third = (
        engine.say(SENTENCES, voice, language="en", seed=seed) for seed in (4, 5, 4)
    )
    assert np.array_equal(one.samples, third.samples)
    assert one.sentence_ends_s == third.sentence_ends_s
    assert len(one.samples) != len(other.samples) or not np.array_equal(one.samples, other.samples)


def test_sentences_end_where_espeak_ends_them_and_pauses_stay_silent(
    engine: EspeakLikenessVoicer, voicer: EspeakVoicer, spoken_by: dict[str, Path], tmp_path: Path
) -> None:
    voice = make_voice(tmp_path, spoken_by["hugo"])
    plain = espeak_voice(voice, engine.study(voice), "en")
    before = voicer.say(SENTENCES, plain, language="en", seed=6)
    after = engine.say(SENTENCES, voice, language="en", seed=6)
    assert after.sentence_ends_s == before.sentence_ends_s
    assert after.sample_rate_hz == before.sample_rate_hz
    assert len(after.samples) == len(before.samples)
    for end_s in after.sentence_ends_s[:-1]:
        end = round(end_s * after.sample_rate_hz)
        pause = after.samples[end : end + round(0.1 * after.sample_rate_hz)]
        assert len(pause)
        assert not pause.any()


def test_nothing_clips_or_clicks(
    engine: EspeakLikenessVoicer, voicer: EspeakVoicer, spoken_by: dict[str, Path], tmp_path: Path
) -> None:
    """A click is a bend of the wave; eSpeak's own are the measure of what speech has."""
    for path in spoken_by.values():
        voice = make_voice(tmp_path, path)
        plain = espeak_voice(voice, engine.study(voice), "en")
        before = voicer.say(SENTENCES, plain, language="en", seed=8).samples
        after = engine.say(SENTENCES, voice, language="en", seed=8).samples
        assert after.dtype == np.float32
        assert 0.02 < np.abs(after).max() <= 0.9
        assert after.std() == pytest.approx(before.std(), rel=0.05)
        bends = [np.abs(np.diff(one, 2)).max() / one.std() for one in (before, after)]
        assert bends[1] < 1.5 * bends[0]


def test_words_are_still_there(
    engine: EspeakLikenessVoicer, voicer: EspeakVoicer, spoken_by: dict[str, Path], tmp_path: Path
) -> None:
    """Loud and soft come where eSpeak had them: no syllable is swallowed, none is put in."""
    voice = make_voice(tmp_path, spoken_by["tess"])
    plain = espeak_voice(voice, engine.study(voice), "en")
    levels = []
    for speech in (
        voicer.say(SENTENCES, plain, language="en", seed=9),
        engine.say(SENTENCES, voice, language="en", seed=9),
    ):
        frame = round(0.02 * speech.sample_rate_hz)
        whole = len(speech.samples) // frame * frame
        power = np.square(speech.samples[:whole]).reshape(-1, frame).mean(axis=1)
        levels.append(10 * np.log10(power + 1e-6))
    assert np.corrcoef(*levels)[0, 1] > 0.93


def test_measures_are_kept_beside_the_references_and_damage_is_mended(
    engine: EspeakLikenessVoicer, spoken_by: dict[str, Path], tmp_path: Path
) -> None:
    voice = make_voice(tmp_path, spoken_by["hugo"])
    path = derived_path(voice, engine.id, ".json")
    assert not path.exists()
    stranger = EspeakLikenessVoicer()
    first = stranger.study(voice)
    stranger.close()
    assert msgspec.json.decode(path.read_bytes(), type=EspeakLikeness) == first
    for damage in (b"", b"{}", b"[" * 100_000, path.read_bytes().replace(b'"bend":', b'"bend":9')):
        path.write_bytes(damage)
        fresh = EspeakLikenessVoicer()
        assert fresh.study(voice) == first
        fresh.close()
    assert msgspec.json.decode(path.read_bytes(), type=EspeakLikeness) == first


def test_what_was_kept_is_used(
    engine: EspeakLikenessVoicer, spoken_by: dict[str, Path], tmp_path: Path
) -> None:
    voice = make_voice(tmp_path, spoken_by["tess"])
    first = engine.study(voice)
    derived_path(voice, engine.id, ".json").parent.mkdir(exist_ok=True)
    edited = msgspec.structs.replace(first, pitch_low_hz=77)
    derived_path(voice, engine.id, ".json").write_bytes(msgspec.json.encode(edited))
    fresh = EspeakLikenessVoicer()
    assert fresh.study(voice) == edited
    fresh.close()


def write_sound(path: Path, samples: Samples) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(audio.to_pcm16(samples))
    return path


def test_references_without_a_voice_are_refused_in_a_sentence(
    engine: EspeakLikenessVoicer, tmp_path: Path
) -> None:
    noise = np.random.default_rng(3).standard_normal(8 * RATE_HZ).astype(np.float32) * 0.05
    voice = make_voice(tmp_path, write_sound(tmp_path / "noise.wav", noise))
    with pytest.raises(VoiceError) as caught:
        engine.say(SENTENCES, voice, language="en", seed=0)
    assert "The references of voice 'kim' in " in caught.value.message
    assert "voiced speech were found in 8.0 s of sound" in caught.value.message
    assert caught.value.next_step is not None
    assert "voice add kim" in caught.value.next_step


def test_a_reference_that_is_no_audio_is_refused(
    engine: EspeakLikenessVoicer, tmp_path: Path
) -> None:
    (tmp_path / "words.wav").write_text("these are words")
    voice = make_voice(tmp_path, tmp_path / "words.wav")
    with pytest.raises(VoiceError, match=r"words\.wav cannot be read as audio"):
        engine.study(voice)
    with pytest.raises(VoiceError, match="has no references"):
        engine.study(msgspec.structs.replace(voice, references=()))


def test_pace_and_accent_come_from_the_voice(
    engine: EspeakLikenessVoicer, spoken_by: dict[str, Path], tmp_path: Path
) -> None:
    voice = make_voice(tmp_path, spoken_by["hugo"])
    slow = msgspec.structs.replace(voice, words_per_minute=130.0)
    assert len(engine.say(SENTENCES, slow, language="en", seed=1).samples) > 1.1 * len(
        engine.say(SENTENCES, voice, language="en", seed=1).samples
    )
    likeness = engine.study(voice)
    british = msgspec.structs.replace(voice, languages=("en-gb", "de"))
    assert espeak_voice(british, likeness, "en").engine_settings["accent"] == "en"
    assert espeak_voice(british, likeness, "de").engine_settings["accent"] == "de"
    german = engine.say(("Guten Tag, wie geht es Ihnen?",), british, language="de", seed=1)
    assert len(german.samples) > german.sample_rate_hz


def test_nothing_to_say_is_an_error(
    engine: EspeakLikenessVoicer, spoken_by: dict[str, Path], tmp_path: Path
) -> None:
    voice = make_voice(tmp_path, spoken_by["hugo"])
    with pytest.raises(EngineError, match="nothing to say"):
        engine.say(("...",), voice, language="en", seed=1)


def test_an_endless_sentence_is_reshaped_in_parts() -> None:
    rate_hz = 22_050
    sound = np.sin(np.arange(70 * rate_hz)).astype(np.float32)
    sound[round(30.0 * rate_hz) : round(30.4 * rate_hz)] = 0.0
    parts = list(split_sounds(Speech(sound, rate_hz, (30.0, 70.0))))
    assert len(parts) >= 5
    assert max(end - start for start, end in parts) <= 15 * rate_hz
    covered = np.zeros(len(sound), dtype=bool)
    for start, end in parts:
        assert not covered[start:end].any()
        covered[start:end] = True
    assert not sound[~covered].any()
