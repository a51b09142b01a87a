from functools import cache

import numpy as np
import pytest

pytest.importorskip("pyworld", reason="the base install has it: pyworld-prebuilt")
import soxr

from podcaster.errors import InputError
from podcaster.model import Voice
from podcaster.speak.engine import Samples
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.likeness.measures import (
    RATE_HZ,
    Measures,
    find_gains,
    listen,
    make_yardstick,
    measure,
)
from podcaster.speak.likeness.pitch import track_pitch
from podcaster.speak.likeness.study import find_standard

pytestmark = pytest.mark.engine

# F1 to F3 of ten vowels of American men, about as Peterson and Barney measured them
VOWELS_HZ = (
    (270, 2290, 3010),
    (390, 1990, 2550),
    (530, 1840, 2480),
    (660, 1720, 2410),
    (730, 1090, 2440),
    (570, 840, 2410),
    (440, 1020, 2240),
    (300, 870, 2240),
    (640, 1190, 2390),
    (490, 1350, 1690),
)
TEXT = (
    "When the rain stopped, the children ran down to the river to look for frogs.",
    "Our neighbour has built a machine that peels potatoes, and it only works on Sundays.",
    "I never thought that a letter from the bank could make anybody laugh so much.",
)


def sing_vowels(pitch_hz: float, scale: float, seconds: float = 6.0) -> Samples:
    """Pulses through resonators: vowels that follow each other, half a tone up and down."""
    count = round(seconds * RATE_HZ)
    times = np.arange(count) / RATE_HZ
    pitch = pitch_hz * 2.0 ** (np.sin(2 * np.pi * 0.7 * times) / 12.0)
    phase = np.cumsum(pitch) / RATE_HZ
    # some dB an octave less, as a glottis gives; below half the rate, or they would fold
    source = sum(
        np.cos(2 * np.pi * k * phase) * (k * pitch < 7500) / k**1.2
        for k in range(1, int(7500 / pitch_hz) + 1)
    )
    piece = round(0.3 * RATE_HZ)
    parts = []
    for number, start in enumerate(range(0, count, piece)):
        formants = (*VOWELS_HZ[number % len(VOWELS_HZ)], 3500)
        spectrum = np.fft.rfft(source[start : start + piece], 2 * piece)
        frequencies = np.fft.rfftfreq(2 * piece, 1 / RATE_HZ)
        for formant in formants:
            centre, width = formant * scale, 90.0 * scale
            s = 2j * np.pi * frequencies
            pole = -np.pi * width + 2j * np.pi * centre
            spectrum *= abs(pole) ** 2 / ((s - pole) * (s - np.conj(pole)))
        parts.append(np.fft.irfft(spectrum)[:piece])
    sound = np.concatenate(parts)[:count]
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


@cache
def speak(low_hz: int, high_hz: int, formants_percent: int) -> Samples:
    """An eSpeak voice whose settings are known."""
    settings: dict[str, str | int | float | bool] = {
        "pitch_low_hz": low_hz,
        "pitch_high_hz": high_hz,
        **{f"formant_{n}_percent": formants_percent for n in (1, 2, 3, "rest")},
    }
    voice = Voice(
        name="known",
        engine="espeak",
        description="Known.",
        languages=("en",),
        words_per_minute=165,
        licence="none",
        sha256="0" * 64,
        engine_settings=settings,
    )
    voicer = EspeakVoicer()
    speech = voicer.say(TEXT, voice, language="en", seed=3)
    voicer.close()
    return np.asarray(soxr.resample(speech.samples, speech.sample_rate_hz, RATE_HZ))


def take(samples: Samples) -> Measures:
    return measure(listen([samples]), find_standard())


def band(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    """A telephone line: nothing outside the band."""
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    spectrum[(frequencies < low_hz) | (frequencies > high_hz)] = 0.0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def add_noise(samples: Samples, snr_db: float) -> Samples:
    noise = np.random.default_rng(5).standard_normal(len(samples))
    return (samples + noise * samples.std() * 10 ** (-snr_db / 20)).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [95.0, 150.0, 230.0])
def test_the_pitch_of_vowels_is_what_they_were_sung_at(pitch_hz: float) -> None:
    found = take(sing_vowels(pitch_hz, 1.0))
    assert found.pitch_hz == pytest.approx(pitch_hz, rel=0.02)
    # a sine of one semitone to each side spends a tenth of its time beyond 0.95 of it
    assert found.pitch_range_semitones == pytest.approx(1.9, abs=0.3)


@pytest.mark.parametrize("scale", [0.9, 1.1, 1.2])
def test_vowels_of_a_smaller_throat_are_measured_against_a_larger_one(scale: float) -> None:
    yardstick = make_yardstick(listen([sing_vowels(110.0, 1.0)]))
    found = measure(listen([sing_vowels(130.0, scale)]), yardstick)
    assert found.formant_scale == pytest.approx(scale, rel=0.03)


@pytest.mark.parametrize("percent", [88, 100, 112])
@pytest.mark.parametrize("pitches", [(82, 118), (180, 260)])
def test_the_settings_of_an_espeak_voice_are_measured_back(
    pitches: tuple[int, int], percent: int
) -> None:
    found = take(speak(*pitches, percent))
    assert found.formant_scale == pytest.approx(percent / 100, rel=0.02)
    assert pitches[0] < found.pitch_hz < pitches[1]


def test_noise_moves_nothing_far() -> None:
    clean, noisy = take(speak(110, 160, 106)), take(add_noise(speak(110, 160, 106), 15))
    assert noisy.pitch_hz == pytest.approx(clean.pitch_hz, rel=0.03)
    assert noisy.pitch_range_semitones == pytest.approx(clean.pitch_range_semitones, abs=1.0)
    assert noisy.formant_scale == pytest.approx(clean.formant_scale, rel=0.04)


@pytest.mark.parametrize("pitches", [(82, 118), (180, 260)])
def test_a_telephone_does_not_hide_the_pitch(pitches: tuple[int, int]) -> None:
    whole = speak(*pitches, 100)
    line = band(whole, 300, 3400)
    assert take(line).pitch_hz == pytest.approx(take(whole).pitch_hz, rel=0.04)


def test_a_duller_sound_has_a_steeper_tilt() -> None:
    whole = speak(82, 118, 100)
    spectrum = np.fft.rfft(whole)
    frequencies = np.fft.rfftfreq(len(whole), 1 / RATE_HZ)
    spectrum *= 10 ** (-4.0 * np.log2(np.maximum(frequencies, 50.0) / 1000.0) / 20.0)
    dull = take(np.fft.irfft(spectrum, len(whole)).astype(np.float32))
    assert dull.tilt_db_per_octave - take(whole).tilt_db_per_octave == pytest.approx(-4.0, abs=0.7)
    assert dull.formant_scale == pytest.approx(1.0, rel=0.03)


def test_where_a_recording_ends_nothing_is_taken_from_the_voice() -> None:
    line = take(band(speak(82, 118, 100), 0, 3900))
    assert line.colour_db[-1] < -60
    assert find_gains(line, find_standard())[-1] > -20


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(0, dtype=np.float32),
        np.zeros(5 * RATE_HZ, dtype=np.float32),
        np.random.default_rng(1).standard_normal(5 * RATE_HZ).astype(np.float32) * 0.1,
        sing_vowels(120.0, 1.0, seconds=1.0),
    ],
    ids=["nothing", "silence", "noise", "one second"],
)
def test_too_little_voice_is_refused(sound: Samples) -> None:
    with pytest.raises(
        InputError, match=r"s of voiced speech were found in .* expected at least 2"
    ):
        listen([sound])


def test_a_pitch_track_has_no_voice_in_silence() -> None:
    sound = np.concatenate([np.zeros(RATE_HZ, dtype=np.float32), sing_vowels(140.0, 1.0, 2.0)])
    track = track_pitch(sound, RATE_HZ)
    assert not track.pitch_hz[:95].any()
    assert (track.pitch_hz[110:290] > 0).mean() > 0.95
