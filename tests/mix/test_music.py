import numpy as np
import pytest

from podcaster.mix.music import (
    CLOSING_LEAD_S,
    CLOSING_S,
    DUCK_DB,
    OPENING_S,
    compose_theme,
    duck_envelope,
    make_room_tone,
    merge_speech,
    play_closing,
    play_opening,
)
from podcaster.units import SAMPLE_RATE_HZ


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10((samples.astype(np.float64) ** 2).mean() + 1e-15))


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_opening_and_closing_are_music_without_clicks_or_clipping(seed: int) -> None:
    for music, length_s in ((play_opening(seed), OPENING_S), (play_closing(seed), CLOSING_S)):
        assert music.shape == (round(length_s * SAMPLE_RATE_HZ), 2)
        assert music.dtype == np.float32
        assert 0.2 < np.abs(music).max() < 0.9
        assert np.abs(music[:2]).max() < 1e-3
        assert np.abs(music[-2:]).max() < 1e-3
        assert np.abs(np.diff(music, axis=0)).max() < 0.1  # a click is a jump
        assert abs(music.mean()) < 1e-3
        assert not np.array_equal(music[:, 0], music[:, 1])


def test_opening_sounds_at_once_and_has_faded_at_its_end() -> None:
    opening = play_opening(3)
    second = SAMPLE_RATE_HZ
    solo = power_db(opening[second // 5 : 2 * second])
    assert solo > -32
    assert power_db(opening[-second:]) < solo - 15


def test_closing_swells_under_the_last_words_and_rings_out() -> None:
    closing = play_closing(3)
    rate = SAMPLE_RATE_HZ
    last_word = round(CLOSING_LEAD_S * rate)
    ring = power_db(closing[last_word + rate // 2 : last_word + 2 * rate])
    assert power_db(closing[:rate]) < ring
    assert ring > -32
    assert power_db(closing[-rate // 2 :]) < ring - 15


def test_the_seed_decides_key_and_chords() -> None:
    assert np.array_equal(play_opening(8), play_opening(8))
    assert not np.array_equal(play_opening(8), play_opening(9))
    assert len({compose_theme(seed).root for seed in range(30)}) > 3


def test_music_is_ducked_before_the_first_word_and_comes_back_after_the_last() -> None:
    rate = SAMPLE_RATE_HZ
    speech = [(2.0, 4.0), (4.3, 6.0)]
    gain = duck_envelope(speech, 0.0, 9 * rate)
    deepest = 10 ** (DUCK_DB / 20)
    assert gain[rate] == pytest.approx(1.0)
    # also in the pause between the turns
    assert gain[round(2.0 * rate) : round(6.0 * rate)] == pytest.approx(deepest, rel=1e-3)
    assert gain[8 * rate] == pytest.approx(1.0)
    assert np.abs(np.diff(gain)).max() < 2e-4  # no step that could be heard


def test_ducking_follows_the_timeline_wherever_the_music_lies() -> None:
    speech = [(100.0, 101.0)]
    whole = duck_envelope(speech, 98.0, 5 * SAMPLE_RATE_HZ)
    part = duck_envelope(speech, 99.0, 2 * SAMPLE_RATE_HZ)
    assert np.allclose(whole[SAMPLE_RATE_HZ : 3 * SAMPLE_RATE_HZ], part, atol=1e-5)
    assert duck_envelope(speech, 0.0, SAMPLE_RATE_HZ).min() == 1.0


def test_short_pauses_are_held_and_long_ones_are_not() -> None:
    assert merge_speech([(0, 1), (1.2, 2), (0.5, 1.1), (9, 10)]) == [(0, 2), (9, 10)]


def test_room_tone_has_its_level_and_repeats_without_a_seam() -> None:
    room = make_room_tone(4, -68.0)
    assert power_db(room) == pytest.approx(-68.0, abs=0.01)
    steps = np.abs(np.diff(room, axis=0)).max()
    assert np.abs(room[0] - room[-1]).max() <= steps
    assert np.array_equal(room, make_room_tone(4, -68.0))
    correlation = np.corrcoef(room.T)[0, 1]
    assert abs(correlation) < 0.1
    spectrum = np.abs(np.fft.rfft(room[:, 0])) ** 2
    hz = np.fft.rfftfreq(len(room), 1 / SAMPLE_RATE_HZ)
    low = spectrum[(hz > 50) & (hz < 200)].mean()
    assert low > 100 * spectrum[(hz > 4000) & (hz < 8000)].mean()
