import numpy as np
import pytest

from podcaster.speak.quality import CLIP_LUFS, measure_lufs, normalise_level, score_clip
from podcaster.units import db_to_gain

RATE_HZ = 48_000


def tone(frequency_hz: float, level_db: float, seconds: float = 3.0) -> np.ndarray:
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (db_to_gain(level_db) * np.sin(2 * np.pi * frequency_hz * times_s)).astype(np.float32)


def test_the_reference_tone_has_the_loudness_that_the_standard_gives_it() -> None:
    # BS.1770: a 997 Hz sine at full scale in one channel is -3.01 LUFS
    assert measure_lufs(tone(997, 0.0), RATE_HZ) == pytest.approx(-3.01, abs=0.05)
    assert measure_lufs(tone(997, -20.0), RATE_HZ) == pytest.approx(-23.01, abs=0.05)


def test_low_sounds_count_for_less_and_high_ones_for_more() -> None:
    assert measure_lufs(tone(40, -20), RATE_HZ) < measure_lufs(tone(997, -20), RATE_HZ) - 3
    assert measure_lufs(tone(4000, -20), RATE_HZ) > measure_lufs(tone(997, -20), RATE_HZ) + 2


def test_pauses_do_not_lower_the_loudness() -> None:
    speech = tone(997, -20)
    paused = np.concatenate([speech, np.zeros(2 * RATE_HZ, dtype=np.float32), speech])
    assert measure_lufs(paused, RATE_HZ) == pytest.approx(measure_lufs(speech, RATE_HZ), abs=0.4)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(5), np.zeros(RATE_HZ)])
def test_silence_is_the_floor_and_stays_silent(samples: np.ndarray) -> None:
    silence = samples.astype(np.float32)
    assert measure_lufs(silence, RATE_HZ) == -70.0
    assert np.array_equal(normalise_level(silence, RATE_HZ)[0], silence)


@pytest.mark.parametrize("level_db", [-50.0, -3.0])
def test_any_level_is_brought_to_the_common_one(level_db: float) -> None:
    levelled, told = normalise_level(tone(997, level_db), RATE_HZ)
    assert told == pytest.approx(measure_lufs(levelled, RATE_HZ), abs=0.01)
    assert levelled.dtype == np.float32
    assert measure_lufs(levelled, RATE_HZ) == pytest.approx(CLIP_LUFS, abs=0.05)


def test_a_peak_is_never_clipped_for_loudness() -> None:
    clicks = np.zeros(RATE_HZ, dtype=np.float32)
    clicks[::4800] = 0.5
    assert np.abs(normalise_level(clicks, RATE_HZ)[0]).max() <= 0.951


def test_scores_say_what_is_there() -> None:
    half = np.concatenate([tone(997, -20, 1.0), np.zeros(RATE_HZ, dtype=np.float32)])
    scores = score_clip(half, RATE_HZ, ["Four words are here."], -20.0)
    assert scores["silence_share"] == pytest.approx(0.5, abs=0.02)
    assert scores["peak_db"] == pytest.approx(-20.0, abs=0.1)
    assert scores["active_rms_db"] == pytest.approx(-23.0, abs=0.1)
    assert scores["word_s"] == pytest.approx(0.5)
