"""Texts for XTTS: cut where people breathe, never within a word, never too long."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcaster.errors import VoiceError
from podcaster.speak.coqui.joining import draw_piece_pause_s, sentence_ends_s, trim
from podcaster.speak.coqui.text import (
    CHARACTER_LIMITS,
    LANGUAGE_NAMES,
    Piece,
    check_language,
    cut_sentence,
    cut_sentences,
    expected_s,
    polish,
)

WORDS = st.lists(st.text(alphabet="abcdeéñü'", min_size=1, max_size=30), min_size=1, max_size=80)


def test_seventeen_languages_and_the_others_by_name() -> None:
    assert len(CHARACTER_LIMITS) == 17
    assert CHARACTER_LIMITS.keys() == LANGUAGE_NAMES.keys()
    assert check_language("en-GB") == "en"
    assert check_language("zh-CN") == "zh"
    with pytest.raises(
        VoiceError, match=r"does not speak 'sv'; it speaks Arabic \(ar\), .*Turkish"
    ):
        check_language("sv")


@given(words=WORDS, marks=st.lists(st.sampled_from(["", "", "", ",", ";", ":", "."]), min_size=80))
def test_parts_are_whole_words_within_the_limit(words: list[str], marks: list[str]) -> None:
    sentence = " ".join(word + mark for word, mark in zip(words, marks, strict=False))
    parts = cut_sentence(sentence, 100)
    assert " ".join(parts) == sentence
    assert all(0 < len(part) <= 100 for part in parts)


@given(text=st.text(alphabet="あいうえおかきくアイウ漢字東京語、。", min_size=1, max_size=400))
def test_without_spaces_nothing_is_lost_and_nothing_too_long(text: str) -> None:
    parts = cut_sentence(text, CHARACTER_LIMITS["ja"], spaced=False)
    assert "".join(parts) == text
    assert all(0 < len(part) <= CHARACTER_LIMITS["ja"] for part in parts)


def test_a_cut_is_at_a_mark_near_the_middle_rather_than_at_a_space_in_it() -> None:
    early = "The boats came in at four that day; "
    late = "and when the last of them was tied up, which took until dark, nobody said a word."
    assert cut_sentence(early + late, 82) == (early.strip(), late)
    comma = "We waited there for the whole of that long evening, and the rain never once let up."
    assert cut_sentence(comma, 60) == tuple(re.split(r"(?<=,) ", comma))
    plain = "one two three four five six seven eight nine ten"
    assert cut_sentence(plain, 30) == ("one two three four five", "six seven eight nine ten")


def test_parts_are_about_as_long_as_each_other() -> None:
    sentence = " ".join(["word"] * 120)
    lengths = [len(part) for part in cut_sentence(sentence, 250)]
    assert len(lengths) == 3
    assert max(lengths) - min(lengths) < 20


def test_a_piece_is_of_one_sentence_and_ends_with_a_mark() -> None:
    pieces = cut_sentences(('He said "no way!"', "I see", "Well, " * 60 + "yes."), "en")
    assert pieces[:2] == (Piece("He said no way!", 0), Piece("I see.", 1))
    assert {piece.sentence for piece in pieces[2:]} == {2}
    assert len(pieces) == 4
    assert all(len(piece.text) <= 250 for piece in pieces)
    assert polish('"What?")') == "What?"
    assert polish("") == ""


def test_every_language_has_about_the_same_time_at_its_limit() -> None:
    for language, limit in CHARACTER_LIMITS.items():
        assert expected_s("x" * limit, language, 150) == pytest.approx(17.5)
    assert expected_s("x" * 250, "en", 300) == pytest.approx(17.5 / 2)


def test_quiet_noise_around_speech_goes_and_its_ends_are_soft() -> None:
    rng = np.random.default_rng(3)
    rate_hz = 24_000
    sound = rng.normal(0, 0.0005, 3 * rate_hz).astype(np.float32)
    sound[rate_hz : 2 * rate_hz] += 0.3 * np.sin(np.arange(rate_hz) * 0.05).astype(np.float32)
    trimmed = trim(sound, rate_hz)
    assert 1.05 < len(trimmed) / rate_hz < 1.15
    assert abs(trimmed[0]) < 1e-5
    assert abs(trimmed[-1]) < 1e-5
    silent = np.zeros(rate_hz, dtype=np.float32)
    assert len(trim(silent, rate_hz)) == rate_hz


def test_pauses_follow_the_marks_and_the_last_piece_has_none() -> None:
    pieces = [Piece("One,", 0), Piece("two three", 0), Piece("four.", 0), Piece("Five?", 1)]
    pauses_s = [draw_piece_pause_s(pieces, index, 165, seed=4) for index in range(4)]
    assert pauses_s == [draw_piece_pause_s(pieces, index, 165, seed=4) for index in range(4)]
    assert 0.1 < pauses_s[0] < 0.4
    assert 0 < pauses_s[1] < 0.1  # no mark: the voice goes on
    assert 0.2 < pauses_s[2] < 0.75
    assert pauses_s[3] == 0
    ends_s = sentence_ends_s(pieces, [100, 200, 300, 400], [10, 20, 30, 0], 1000)
    assert ends_s == (0.63, 1.06)
