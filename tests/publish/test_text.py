import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from podcaster.errors import InputError
from podcaster.publish.categories import CATEGORIES, parse_category
from podcaster.publish.languages import THREE_LETTERS, is_language, three_letters
from podcaster.publish.text import clean_line, clean_text, shorten, shorten_bytes

ANY_TEXT = st.text(st.characters(), max_size=300)


@given(ANY_TEXT)
def test_cleaned_text_can_always_stand_in_xml(text: str) -> None:
    element = etree.Element("x")
    element.text = clean_text(text)
    assert etree.fromstring(etree.tostring(element)).text == (clean_text(text) or None)


@given(ANY_TEXT, st.integers(min_value=1, max_value=60))
def test_a_line_is_one_line_and_no_longer_than_asked(text: str, longest: int) -> None:
    line = clean_line(text, longest=longest)
    assert len(line) <= longest
    assert len(line.splitlines()) <= 1


@given(ANY_TEXT, st.integers(min_value=3, max_value=200))
def test_bytes_are_counted_and_no_character_is_cut(text: str, longest: int) -> None:
    cleaned = clean_text(text)
    short = shorten_bytes(cleaned, longest)
    assert len(short.encode()) <= longest
    assert cleaned.startswith(short.removesuffix("…").rstrip())


def test_control_characters_and_direction_overrides_go_and_right_to_left_text_stays() -> None:
    assert clean_line("a\x00b\x1b[31m\u202egnp.exe\x85") == "ab[31mgnp.exe"
    assert clean_line("مرحبا\u200f") == "مرحبا\u200f"
    assert clean_line("family 👨‍👩‍👧") == "family 👨‍👩‍👧"


def test_a_lone_surrogate_does_not_break_encoding() -> None:
    assert clean_text("a\ud800b").encode() == b"ab"


def test_text_is_cut_between_words() -> None:
    assert shorten("one two three four", 12) == "one two…"
    assert shorten("x" * 20, 5) == "xxxx…"


def test_categories_are_read_in_any_case_and_spelt_as_apple_does() -> None:
    assert parse_category("society & culture > philosophy") == ("Society & Culture", "Philosophy")
    assert parse_category("TV & film") == ("TV & Film", None)
    assert len(CATEGORIES) == 19


def test_an_unknown_category_names_the_nearest() -> None:
    with pytest.raises(InputError, match="not one of Apple's podcast categories") as caught:
        parse_category("Tecnology")
    assert caught.value.next_step == "Did you mean 'Technology'?"


def test_three_letter_codes() -> None:
    assert three_letters("en-GB") == "eng"
    assert three_letters("de") == "deu"
    assert three_letters("haw") == "haw"
    assert three_letters("qq") == "und"
    assert is_language("pt-BR")
    assert not is_language("english")
    assert len(THREE_LETTERS) > 180
    assert all(len(a) == 2 and len(b) == 3 for a, b in THREE_LETTERS.items())
