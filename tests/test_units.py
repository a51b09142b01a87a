"""Units and their spellings."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcaster import units


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("  — … !", 0),
        ("Don't stop.", 2),
        ("A well-kept 3.5-litre engine", 4),
        ("Grüße an Ólafur", 3),
        ("snake_case", 2),
    ],
)
def test_words_are_counted_as_a_reader_would(text: str, words: int) -> None:
    assert units.count_words(text) == words
    assert len(units.split_words(text)) == words


@pytest.mark.parametrize(
    ("seconds", "spelled"),
    [(0, "00:00:00.000"), (59.9996, "00:01:00.000"), (3725.25, "01:02:05.250")],
)
def test_timestamps_carry_over(seconds: float, spelled: str) -> None:
    assert units.format_timestamp(seconds) == spelled
    assert units.format_timestamp(seconds, separator=",") == spelled.replace(".", ",")


@pytest.mark.parametrize("seconds", [-0.001, math.nan, math.inf])
def test_an_impossible_timestamp_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="finite and at least 0"):
        units.format_timestamp(seconds)


@given(st.floats(min_value=0, max_value=1e6))
def test_a_timestamp_reads_back_to_the_millisecond(seconds: float) -> None:
    hours, minutes, rest = units.format_timestamp(seconds).split(":")
    assert int(hours) * 3600 + int(minutes) * 60 + float(rest) == pytest.approx(seconds, abs=6e-4)


def test_durations_and_sizes_are_for_people() -> None:
    assert [units.format_duration(s) for s in (47.2, 245, 3723)] == ["47 s", "4:05", "1:02:03"]
    assert [units.format_bytes(n) for n in (512, 4_700_000, 1_900_000_000)] == [
        "512 B",
        "4.7 MB",
        "1.9 GB",
    ]


@given(st.floats(min_value=-100, max_value=40))
def test_decibels_go_there_and_back(level_db: float) -> None:
    assert units.gain_to_db(units.db_to_gain(level_db)) == pytest.approx(level_db, abs=1e-9)


def test_silence_is_minus_infinity() -> None:
    assert units.gain_to_db(0.0) == -math.inf
