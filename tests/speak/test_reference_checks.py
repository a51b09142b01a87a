"""Verdicts on references: what is measured, and that real voices pass where faults do not."""

from pathlib import Path

import numpy as np
import pytest
import soxr
from msgspec.structs import replace

from podcaster.audio import Samples, write_wav
from podcaster.mix.music import play_closing, play_opening
from podcaster.model import Voice
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.references.checks import Finding, ReferenceCheck, check_references
from podcaster.speak.references.measures import (
    estimate_words_per_minute,
    mean_print,
    measure_bandwidth_hz,
    measure_clipping,
    measure_music,
    measure_snr_db,
    split_voices,
)
from podcaster.speak.references.sound import (
    LONGEST_KEPT_S,
    ReferenceSound,
    read_reference,
    shorten_pauses,
)
from podcaster.units import SAMPLE_RATE_HZ, count_words

AUDIO = Path(__file__).parents[3] / "shared" / "data" / "audio"
RATE = 22_050
TEXT = (
    "The harbour was quiet that morning, and the gulls had left.",
    "Nobody had told the keeper that the lamp was out.",
    "When the storm came in from the west they went up to the light and waited.",
    "By noon the sea had risen over the lower steps, and still no boat was seen.",
)


def say(voicer: EspeakVoicer, voice: Voice) -> Samples:
    speech = voicer.say(TEXT, voice, language="en", seed=0)
    assert speech.sample_rate_hz == RATE
    return speech.samples


@pytest.fixture(scope="module")
def speech(voicer: EspeakVoicer, voices: dict[str, Voice]) -> Samples:
    # music is looked for in the pauses and between the partials: a voice of a known pitch and pace
    settings = {"accent": "en-us", "pace_wpm": 148, "pitch_low_hz": 160, "pitch_high_hz": 225}
    formants = {f"formant_{n}_percent": 106 for n in (1, 2, 3)} | {"formant_rest_percent": 108}
    told = replace(voices["ada"], engine_settings={**settings, **formants})
    return say(voicer, told)


@pytest.fixture(scope="module")
def music() -> Samples:
    played = [play(seed).mean(axis=1) for seed in (0, 1) for play in (play_opening, play_closing)]
    whole = np.concatenate(played)
    return np.asarray(soxr.resample(whole, SAMPLE_RATE_HZ, RATE), dtype=np.float32)


def add(speech: Samples, other: Samples, under_db: float) -> Samples:
    """`other`, as long as it takes, so many dB under the speech."""
    bed = np.resize(other, len(speech))
    gain = np.sqrt(np.mean(speech**2) / np.mean(bed**2)) * 10 ** (-under_db / 20)
    return np.asarray(speech + gain * bed, dtype=np.float32)


def hiss(count: int) -> Samples:
    return np.random.default_rng(1).standard_normal(count).astype(np.float32)


def check(path: Path, samples: Samples, rate_hz: int = RATE) -> ReferenceCheck:
    """Through a file, as a person's recording would go; nobody listens for a second voice."""
    write_wav(path, samples, rate_hz)
    (checked,) = check_references([("a.wav", read_reference(path))], None).references
    return checked


def find(checked: ReferenceCheck, what: str) -> Finding:
    (found,) = [one for one in checked.findings if one.check == what]
    return found


def test_every_built_in_voice_is_heard_as_clean_speech_without_music(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    for voice in voices.values():
        samples = say(voicer, voice)
        assert measure_music(samples, RATE) == 0.0, voice.name
        assert measure_snr_db(samples, RATE) > 20, voice.name
        assert measure_clipping(samples) < 1e-4, voice.name
        assert measure_bandwidth_hz(samples, RATE) > 8000, voice.name


def test_music_is_heard_alone_and_under_speech(speech: Samples, music: Samples) -> None:
    assert measure_music(music, RATE) > 0.8
    shares = [measure_music(add(speech, music, under_db), RATE) for under_db in (6, 12, 20)]
    assert shares[0] > 0.1
    assert shares[1] > 0.1
    assert shares[2] > 0.005
    assert measure_music(add(speech, hiss(len(speech)), 6), RATE) == 0.0


def test_one_hum_is_no_music(speech: Samples) -> None:
    time_s = np.arange(len(speech)) / RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * time_s) / k for k in (1, 2, 3))
    assert measure_music(add(speech, np.asarray(hum, dtype=np.float32), 12), RATE) < 0.005


@pytest.mark.parametrize(("under_db", "verdict"), [(5, "refused"), (14, "usable")])
def test_noise_is_measured_and_judged(
    tmp_path: Path, speech: Samples, under_db: float, verdict: str
) -> None:
    noisy = add(speech, hiss(len(speech)), under_db)
    found = find(check(tmp_path / "a.wav", 0.5 * noisy), "noise")
    assert found.verdict == verdict
    assert found.value == pytest.approx(under_db, abs=5)


def test_a_gate_between_words_does_not_hide_the_noise_in_them(speech: Samples) -> None:
    noisy = add(speech, hiss(len(speech)), 8)
    gated = np.concatenate([noisy, np.zeros(len(noisy), dtype=np.float32)])
    assert measure_snr_db(gated, RATE) == pytest.approx(measure_snr_db(noisy, RATE), abs=4)


@pytest.mark.parametrize(("gain", "verdict"), [(1.0, "good"), (8.0, "refused")])
def test_clipping_is_seen_whatever_the_level(
    tmp_path: Path, speech: Samples, gain: float, verdict: str
) -> None:
    clipped = np.clip(speech / np.abs(speech).max() * gain, -1, 1).astype(np.float32)
    for level in (1.0, 0.4):
        assert find(check(tmp_path / "a.wav", level * clipped), "clipping").verdict == verdict


def test_a_telephone_is_told_and_still_taken(tmp_path: Path, speech: Samples) -> None:
    narrow = soxr.resample(soxr.resample(speech, RATE, 8000), 8000, RATE)
    found = find(check(tmp_path / "a.wav", np.asarray(narrow, dtype=np.float32)), "bandwidth")
    assert (found.verdict, "telephone" in found.text) == ("usable", True)


@pytest.mark.parametrize(
    ("seconds", "verdict"), [(1.0, "refused"), (4.0, "refused"), (8.0, "usable"), (20.0, "good")]
)
def test_length_is_judged_over_all_recordings(
    tmp_path: Path, speech: Samples, seconds: float, verdict: str
) -> None:
    whole = shorten_pauses(np.tile(speech, 2), RATE)[: round(seconds * RATE)]
    halves = np.array_split(whole, 2)
    sounds = []
    for number, half in enumerate(halves):
        write_wav(tmp_path / f"{number}.wav", half, RATE)
        sounds.append((f"{number}.wav", read_reference(tmp_path / f"{number}.wav")))
    checked = check_references(sounds, None, missing="nobody listens")
    assert checked.verdict == verdict
    # what could not be checked is said, and is no refusal
    if verdict == "good":
        assert "nobody listens" in checked.references[0].reason


def test_long_silence_goes_and_speech_stays(speech: Samples) -> None:
    silence = np.zeros(4 * RATE, dtype=np.float32)
    padded = np.concatenate([silence, speech, silence, speech, silence])
    kept = shorten_pauses(padded, RATE)
    assert len(kept) / RATE < 2 * len(speech) / RATE + 0.8
    assert float(np.sum(kept**2)) == pytest.approx(2 * float(np.sum(speech**2)), rel=1e-3)
    assert len(shorten_pauses(silence, RATE)) == 0
    assert len(shorten_pauses(silence[:10], RATE)) == 0


def test_a_long_loud_file_is_bounded_and_brought_to_a_level(
    tmp_path: Path, speech: Samples
) -> None:
    write_wav(tmp_path / "a.wav", np.tile(speech, 8) * 1e-2, RATE)
    sound = read_reference(tmp_path / "a.wav")
    assert sound.bounded
    assert sound.duration_s == pytest.approx(LONGEST_KEPT_S)
    assert float(np.abs(sound.kept).max()) == pytest.approx(0.9)


def test_silence_is_refused_for_its_length(tmp_path: Path) -> None:
    checked = check(tmp_path / "a.wav", np.zeros(20 * RATE, dtype=np.float32))
    assert checked.verdict == "refused"
    assert checked.reason == "0.0 s of speech in 20.0 s, at least 2 s are needed"


def test_the_pace_is_estimated_from_the_sound_alone(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    words = sum(count_words(sentence) for sentence in TEXT)
    found = {}
    for name in ("otis", "ada", "tess"):
        samples = say(voicer, voices[name])
        found[name] = estimate_words_per_minute(samples, RATE)
        assert found[name] == pytest.approx(words / len(samples) * RATE * 60, rel=0.2)
    assert found["otis"] < found["ada"] < found["tess"]


def test_two_groups_of_prints_are_told_from_one() -> None:
    rng = np.random.default_rng(2)

    def around(centre: np.ndarray, count: int) -> np.ndarray:
        prints = np.abs(centre + 0.03 * rng.standard_normal((count, 64)))
        return (prints / np.linalg.norm(prints, axis=1, keepdims=True)).astype(np.float32)

    one, other = np.abs(rng.standard_normal((2, 64)))
    one, other = one / np.linalg.norm(one), other / np.linalg.norm(other)
    single, both = around(one, 20), np.concatenate([around(one, 15), around(other, 5)])
    assert split_voices(single)[0] > 0.95
    alike, share = split_voices(both)
    assert alike < 0.8
    assert share == pytest.approx(0.25)
    assert float(mean_print(single) @ one) > 0.95
    assert split_voices(single[:3]) == (1.0, 0.0)


@pytest.fixture(scope="module")
def real() -> dict[str, ReferenceSound]:
    """Three people's recordings as references."""
    pytest.importorskip("podcaster.voiceprint", reason="needs the extra asr")
    if not (AUDIO / "katie-reference.wav").is_file():
        pytest.skip("needs shared/data/audio beside the repository")
    files = {
        "katie": AUDIO / "katie-reference.wav",
        "steve": AUDIO / "steve-reference.wav",
        "dialogue": AUDIO / "katie-steve-dialogue.wav",
        **{f"reader {i}": AUDIO / "ljspeech" / f"LJ001-{i:04}.flac" for i in (1, 3, 4, 5)},
    }
    return {name: read_reference(path) for name, path in files.items()}


def listen(sounds: dict[str, ReferenceSound]) -> dict[str, ReferenceCheck]:
    from contextlib import closing

    from podcaster.engines import open_engine

    with closing(open_engine("voiceprint", "resemblyzer", device="cpu")) as encoder:
        checked = check_references(list(sounds.items()), encoder)
    return {one.source: one for one in checked.references}


def test_real_voices_are_good(real: dict[str, ReferenceSound]) -> None:
    for names in (["katie"], ["steve"], [name for name in real if name.startswith("reader")]):
        for name, checked in listen({name: real[name] for name in names}).items():
            assert checked.verdict == "good", (name, checked.reason)


def test_two_real_people_in_a_file_are_told(
    tmp_path: Path, real: dict[str, ReferenceSound]
) -> None:
    both = np.concatenate([real["katie"].kept, real["steve"].kept])
    write_wav(tmp_path / "both.wav", both, real["katie"].rate_hz)
    checked = listen({"both": read_reference(tmp_path / "both.wav")})["both"]
    assert (checked.verdict, find(checked, "voices").verdict) == ("refused", "refused")
    # where they take turns every few seconds, it is at least doubtful
    assert find(listen({"d": real["dialogue"]})["d"], "voices").verdict != "good"


def test_a_real_strangers_file_is_refused(real: dict[str, ReferenceSound]) -> None:
    readers = {name: sound for name, sound in real.items() if name.startswith("reader")}
    few = ReferenceSound(
        kept=real["katie"].kept[: 5 * real["katie"].rate_hz],
        rate_hz=real["katie"].rate_hz,
        heard_s=5.0,
        clipping=0.0,
        bounded=False,
    )
    checked = listen({**readers, "katie": few})
    assert [name for name, one in checked.items() if one.verdict == "refused"] == ["katie"]
    assert "another person than in reader" in checked["katie"].reason
    # half and half: nobody knows who is meant
    both = listen({"katie": real["katie"], "steve": real["steve"]})
    assert {one.verdict for one in both.values()} == {"refused"}
