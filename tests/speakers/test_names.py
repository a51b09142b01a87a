"""Names: cleaned of what is hostile, compared as people would, found where a sentence has them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcaster.speakers.names import (
    LONGEST_NAME,
    clean_name,
    find_names,
    is_local_label,
    name_key,
    read_name,
)


@given(st.text(max_size=300))
def test_whatever_comes_from_outside_a_name_is_short_plain_text(text: str) -> None:
    name = clean_name(text)
    assert len(name) <= LONGEST_NAME
    assert not any(unicodedata.category(ch)[0] == "C" for ch in name)
    assert "\n" not in name
    assert clean_name(name) == name


@given(st.text(max_size=300))
def test_reading_names_never_fails_and_stays_within_the_text(text: str) -> None:
    name, end = read_name(text)
    assert bool(name) == bool(end)
    assert 0 <= end <= len(text)
    assert all(0 <= start < end <= len(text) for _, start, end in find_names(text))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<b>Jane</b> Doe", "Jane Doe"),
        ("Jane\u202e\nDoe\x00", "Jane Doe"),
        ("  **Jane Doe:** ", "Jane Doe"),
        ("../../etc", "etc"),
        ("\u200b", ""),
    ],
)
def test_hostile_names_are_cleaned(text: str, name: str) -> None:
    assert clean_name(text) == name


@pytest.mark.parametrize(
    ("one", "other"),
    [("JOSÉ García", "Jose Garcia"), ("Dr. Ann O’Neil", "ann o'neil"), ("Ann  Lee", "Ann Lee.")],
)
def test_spellings_of_one_name_are_one(one: str, other: str) -> None:
    assert name_key(one) == name_key(other) != ""


def test_a_name_in_another_script_keeps_its_letters() -> None:
    assert name_key("Анна Ли") != name_key("Анна Ло")
    assert name_key("कमला") != ""


@pytest.mark.parametrize(
    "label", ["S1", "SPEAKER_00", "Speaker A", "0", "Guest", "Q", "unknown speaker", "Caller 2", ""]
)
def test_labels_that_mean_nothing_elsewhere_are_no_names(label: str) -> None:
    assert is_local_label(label)


@pytest.mark.parametrize("label", ["Ann", "Mum", "S. Lee", "Al", "Guestella", "Host"])
def test_labels_that_are_names(label: str) -> None:
    assert not is_local_label(label)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Jane Doe on bees", "Jane Doe"),
        ("Ludwig van Beethoven, who wrote", "Ludwig van Beethoven"),
        ("Dr. Jane O'Neil: why", "Jane O'Neil"),
        ("Ann's garden", "Ann"),
        ("I'm here", ""),
        ("The garden", ""),
        ("African-American poets", ""),
        ("LibreOffice is", ""),
        ("MIT is", ""),
        ("Angus McDonald and", "Angus McDonald"),
        ("early in the day", ""),
    ],
)
def test_names_at_the_beginning_of_a_sentence(text: str, name: str) -> None:
    assert read_name(text)[0] == name
