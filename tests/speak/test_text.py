import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcaster.errors import InputError
from podcaster.speak.text import (
    LONGEST_TURN_CHARACTERS,
    clean,
    normalise,
    prepare,
    split_sentences,
)

KNOWN = ("Henry ", "World War ", "Jan. ", "1990s", "No. ", "St. ", "km", " million", "U.S.")
KNOWN += ("a@b.co", "http://a.com", "0.5", "10:30 p.m.", "https://", "(555) 123-4567")

ENGLISH = [
    # money
    ("It cost $3.5 million.", "It cost three point five million dollars."),
    ("It cost €20.", "It cost twenty euros."),
    ("£5.50", "five pounds and fifty pence"),
    ("$1", "one dollar"),
    ("$0.99", "ninety-nine cents"),
    ("$1.01", "one dollar and one cent"),
    ("$3-5 billion", "three to five billion dollars"),
    ("$10k", "ten thousand dollars"),
    ("$1.2bn", "one point two billion dollars"),
    ("a $5 bill", "a five dollar bill"),
    ("a $3 million house", "a three million dollar house"),
    ("a $5-million deal", "a five million dollar deal"),
    ("100 USD", "one hundred U.S. dollars"),
    ("1,000 €", "one thousand euros"),
    # years and decades
    ("in 2024", "in twenty twenty-four"),
    ("in 1984 and 2007", "in nineteen eighty-four and two thousand and seven"),
    ("since 1066", "since ten sixty-six"),
    ("the 1990s", "the nineteen nineties"),
    ("the '80s", "the eighties"),
    ("90s kids", "nineties kids"),
    ("the 2000s", "the two thousands"),
    ("the 1900s", "the nineteen hundreds"),
    ("1990-1995", "nineteen ninety to nineteen ninety-five"),
    ("1990-95", "nineteen ninety to nineteen ninety-five"),
    ("2024 people", "two thousand and twenty-four people"),
    ("1500 miles", "one thousand five hundred miles"),
    # dates and times
    ("January 5, 2024", "January fifth, twenty twenty-four"),
    ("Jan. 5", "January fifth"),
    ("5 January 2024", "the fifth of January, twenty twenty-four"),
    ("the 5th of May", "the fifth of May"),
    ("2024-01-05", "January fifth, twenty twenty-four"),
    ("March 2020", "March twenty twenty"),
    ("at 10:30 a.m. sharp", "at ten thirty A.M. sharp"),
    ("at 10:05", "at ten oh five"),
    ("at 7:00", "at seven o'clock"),
    ("at 5pm", "at five P.M."),
    # numbers
    ("1,234,567", "one million two hundred and thirty-four thousand five hundred and sixty-seven"),
    ("3.14159", "three point one four one five nine"),
    ("-5 degrees", "minus five degrees"),
    ("007", "zero zero seven"),
    ("21st", "twenty-first"),
    ("12.5%", "twelve point five percent"),
    ("3-5 people", "three to five people"),
    ("5–10%", "five to ten percent"),
    ("1/2 cup", "one half cup"),
    ("3/4", "three quarters"),
    ("2 1/2", "two and a half"),
    ("½", "one half"),
    ("24/7", "twenty-four seven"),
    ("50/50", "fifty fifty"),
    ("won 2-1", "won two to one"),
    ("0.5 and .5", "zero point five and point five"),
    ("version 1.2.3", "version one point two point three"),
    (
        "12345678901234567890",
        " ".join(
            ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "zero"] * 2
        ),
    ),
    ("Call 555-123-4567", "Call five five five, one two three, four five six seven"),
    ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
    # units
    ("5 km at 60 mph", "five kilometres at sixty miles per hour"),
    ("3.5GHz", "three point five gigahertz"),
    ("20°C", "twenty degrees Celsius"),
    ("1 kg", "one kilogram"),
    ("16 GB", "sixteen gigabytes"),
    # names and abbreviations
    ("Dr. Smith vs. Mr. Jones", "Doctor Smith versus Mister Jones"),
    ("tools, e.g. saws, i.e. these, etc.", "tools, for example saws, that is these, et cetera."),
    ("J.F.K. spoke", "J.F.K. spoke"),
    ("J. R. R. Tolkien", "J.R.R. Tolkien"),
    ("the FBI and NASA", "the F.B.I. and Nasa"),
    ("NASA's plan, the U.S.A.", "Nasa's plan, the U.S.A."),
    ("a Ph.D. in AI", "a P.H.D. in A.I."),
    ("I am NOT well", "I am not well"),
    ("APIs", "A.P.I's"),
    ("THIS IS NOT FUNNY AT ALL", "This is not funny at all"),
    ("No. 5 in St. Louis", "number five in Saint Louis"),
    ("on Main St. today", "on Main Street today"),
    ("Martin Luther King Jr. spoke", "Martin Luther King Junior spoke"),
    ("Elizabeth II and Henry VIII", "Elizabeth the Second and Henry the Eighth"),
    ("World War II, Chapter IV", "World War two, Chapter four"),
    ("Paul Irish, and Peter I think", "Paul Irish, and Peter I think"),
    ("World War I ended", "World War one ended"),
    ("GPT-4, MP3 and 5G", "G.P.T. four, M.P. three and five G"),
    ("COVID-19", "Covid nineteen"),
    # symbols, addresses
    ("https://www.example.com/path", "example dot com slash path"),
    ("see example.org.", "see example dot org."),
    ("jane.doe@example.org", "jane dot doe at example dot org"),
    ("R&D @ home", "R and D at home"),
    ("#1 and #ai", "number one and hashtag ai"),
    ("C# and C++", "C sharp and C plus plus"),
    ("2+2=4", "two plus two equals four"),
    ("and/or, he/she", "and or, he or she"),
    ("x² and ٣ things", "x² and three things"),
    # what writing has and speech has not
    ("Well... I don't know", "Well, I don't know"),
    ("maybe — or not", "maybe, or not"),
    ("**bold** and _this_", "bold and this"),
    ("<b>bold</b>", "bold"),
    ("“Really?” she said", '"Really?" she said'),
]


@pytest.mark.parametrize(("written", "spoken"), ENGLISH)
def test_english_is_spelled_as_it_is_said(written: str, spoken: str) -> None:
    assert normalise(written, "en") == spoken


def test_the_table_is_long_enough() -> None:
    assert len(ENGLISH) >= 60


def test_plain_english_passes_through_unchanged() -> None:
    text = "I think that's a wonderful question, and it goes back to what we said; didn't it?"
    assert normalise(text, "en") == text


@pytest.mark.parametrize(
    ("language", "written", "spoken"),
    [
        ("de", "Es waren 21 Leute.", "Es waren einundzwanzig Leute."),
        ("de", "1.234,5 Meter", "eintausendzweihundertvierunddreißig Komma fünf Meter"),
        ("de", "im Jahr 1989", "im Jahr neunzehnhundertneunundachtzig"),
        ("fr", "Il y a 80 ans.", "Il y a quatre-vingts ans."),
        ("es", "Hay 1.500 personas.", "Hay mil quinientos personas."),
        ("pt-BR", "São 16 casas.", "São dezesseis casas."),
        ("qu", "12 runa", "12 runa"),
    ],
)
def test_other_languages_get_their_own_numbers(language: str, written: str, spoken: str) -> None:
    assert normalise(written, language) == spoken


@pytest.mark.parametrize("text", ["", "   ", "😀", "…", "— — —", "\x00\x01", "👩‍👩‍👧", "***"])
def test_what_cannot_be_said_becomes_empty(text: str) -> None:
    assert normalise(text, "en") == ""


def test_nothing_harmful_is_left() -> None:
    spoken = normalise(
        "a\x00b \x01 50p [[f@ni:m]] <break time='3s'/> \u202eevil\u202c \ud800", "en"
    )
    assert not set("[]<>\x00\x01\u202e\u202c\ud800") & set(spoken)
    assert "evil" in spoken


def test_right_to_left_text_is_kept() -> None:
    assert normalise("مرحبا بكم", "ar") == "مرحبا بكم"


def test_endless_words_are_cut() -> None:
    assert max(map(len, normalise("x" * 5000, "en").split())) <= 80


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(max_size=120), st.sampled_from(["en", "de", "ja", "xx"]))
def test_any_text_can_be_prepared(text: str, language: str) -> None:
    for sentence in prepare(text, language):
        assert sentence.written.strip() == sentence.written != ""
        assert not any(ord(character) < 32 for character in sentence.spoken)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from((*string.digits, *"$€%.,:/-'# °XIV½", *KNOWN)),
        max_size=12,
    )
)
def test_any_mixture_of_what_the_rules_know_can_be_spelled(parts: list[str]) -> None:
    assert not any(character in string.digits for character in normalise("".join(parts), "en"))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(alphabet=string.digits + "$€%.,:/-+'# °skmABII", max_size=40))
def test_no_digit_is_left_to_the_engine_in_english(text: str) -> None:
    assert not any(character in string.digits for character in normalise(text, "en"))


@pytest.mark.parametrize(
    "unit", ["a.", "A. ", "1-", "$1,", "a@", "x-", "1/", "St. ", "I", "(5", "--"]
)
def test_hostile_repetition_takes_linear_time(unit: str) -> None:
    def seconds(length: int) -> float:
        text = (unit * length)[:length]
        start = time.process_time()
        normalise(text, "en")
        return time.process_time() - start

    seconds(200)
    # a quadratic pattern would take a hundred times as long
    assert seconds(LONGEST_TURN_CHARACTERS) < 50 * max(seconds(LONGEST_TURN_CHARACTERS // 10), 0.01)


def test_sentences_end_where_a_reader_would_end_them() -> None:
    text = 'Dr. Smith met J.F.K. at 10:30 a.m. It cost $3.5 million! "Really?" she asked. Yes.'
    assert split_sentences(text, "en") == (
        "Dr. Smith met J.F.K. at 10:30 a.m.",
        "It cost $3.5 million!",
        '"Really?" she asked.',
        "Yes.",
    )


def test_nothing_but_white_space_is_lost_between_sentences() -> None:
    text = "One.  Two?\nThree 😀! Four…"
    assert "".join(split_sentences(text, "en")).replace(" ", "") == clean(
        text, keep_symbols=True
    ).replace(" ", "")


def test_the_written_sentence_is_kept_for_captions() -> None:
    (sentence,) = prepare("In 2024 it cost $5.", "en")
    assert sentence.written == "In 2024 it cost $5."
    assert sentence.spoken == "In twenty twenty-four it cost five dollars."


def test_an_endless_turn_is_refused_with_a_sentence() -> None:
    with pytest.raises(InputError, match=r"20,001 characters long, expected at most 20,000"):
        split_sentences("a" * 20_001, "en")


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Mm-hm.", "Um-hum."),
        ("Mhm, I see.", "Um-hum, I see."),
        ("Yes, mm-hmm.", "Yes, um-hum."),
        ("Hm. Perhaps.", "Hum. Perhaps."),
        ("Uh-huh.", "Uh-huh."),
        ("It is 5 mm wide.", "It is five millimetres wide."),
    ],
)
def test_sounds_are_no_letters(written: str, spoken: str) -> None:
    assert normalise(written, "en") == spoken
