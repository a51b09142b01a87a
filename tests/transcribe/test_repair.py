"""Repetition loops are found and cut; what people do say stays."""

from itertools import pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcaster.model import Word
from podcaster.transcribe.repair import (
    LONGEST_PHRASE,
    Decoding,
    choose_decoding,
    cut_loops,
    find_loops,
    find_windows,
    gather_windows,
)

PACE_S = 0.3  # of a word as people speak
NAMES = [f"w{index}" for index in range(30)]


def speak(text: str | list[str], pace_s: float = PACE_S) -> tuple[Word, ...]:
    """Words of a text, one after the other without pauses."""
    texts = text.split() if isinstance(text, str) else text
    return tuple(
        Word(text=word, start_s=index * pace_s, end_s=(index + 1) * pace_s)
        for index, word in enumerate(texts)
    )


def cut(words: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in cut_loops(words, find_loops(words)))


def decode(
    text: str = "one two", *, ratio: float = 1.0, logprob: float = -0.2, no_speech: float = 0.0
) -> Decoding:
    return Decoding(speak(text), ratio, logprob, no_speech)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("so " + "and then we " * 5 + "and", "so and then we"),
        ("so " + "And then, we " * 2 + "and then we " * 3 + "went", "so And then, we went"),
        (
            "he said " + "and then we " * 5 + "and then I went",
            "he said and then we and then I went",
        ),
        ("to " * 40, "to"),
        ("- " * 9 + "yes", "- yes"),
        ("a " * 9 + "b " * 9, "a b"),
    ],
)
def test_a_loop_is_cut_to_its_first_phrase(text: str, left: str) -> None:
    assert cut(speak(text)) == left


@pytest.mark.parametrize(
    "text",
    [
        "no, no, no, no, no!",
        "it is very very very good",
        "thank you, thank you, thank you, thank you, all of you",
        "come on, come on, come on, come on, come on",
        "row row row your boat " * 3,
        "ha ha ha ha ha ha ha",
        "one two three four five six seven eight nine " * 6,  # longer than any phrase looked for
        "",
    ],
)
def test_what_people_say_twice_and_thrice_stays(text: str) -> None:
    assert cut(speak(text)) == " ".join(text.split())


@pytest.mark.parametrize("pace_s", [0.0, 0.05, 2.5])
def test_at_a_pace_at_which_nobody_speaks_fewer_make_a_loop(pace_s: float) -> None:
    assert cut(speak("thank you " * 4, pace_s)) == "thank you"
    assert cut(speak("thank you " * 3, pace_s)) == "thank you thank you thank you"
    assert cut(speak("no no no no", pace_s)) == "no no no no"


@given(
    before=st.lists(st.sampled_from(NAMES[:10]), max_size=5, unique=True),
    phrase=st.lists(st.sampled_from(NAMES[10:20]), min_size=1, max_size=8, unique=True),
    copies=st.integers(8, 30),
    after=st.lists(st.sampled_from(NAMES[20:]), max_size=5, unique=True),
    pace_s=st.floats(0, 3),
)
def test_a_loop_between_other_words_leaves_one_phrase(
    before: list[str], phrase: list[str], copies: int, after: list[str], pace_s: float
) -> None:
    words = speak([*before, *phrase * copies, *after], pace_s)
    (loop,) = find_loops(words)
    assert (loop.start, loop.period) == (len(before), len(phrase))
    assert loop.end == len(before) + len(phrase) * copies
    assert cut(words).split() == [*before, *phrase, *after]


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), st.integers(1, 12)),
        max_size=8,
    ),
    st.floats(0, 2),
)
def test_cutting_loses_no_word_that_is_said_once_and_makes_nothing_new(
    runs: list[tuple[list[str], int]], pace_s: float
) -> None:
    words = speak([word for phrase, copies in runs for word in phrase * copies], pace_s)
    loops = list(find_loops(words))
    kept = cut_loops(words, loops)
    assert {word.text for word in kept} == {word.text for word in words}
    places = [words.index(word) for word in kept] if pace_s else []
    assert all(one < other for one, other in pairwise(places))
    assert len(kept) == len(words) - sum(loop.end - loop.start - loop.period for loop in loops)
    for one, other in pairwise(loops):
        assert one.start < one.end <= other.start
    for loop in loops:
        assert 1 <= loop.period <= LONGEST_PHRASE
        assert loop.end - loop.start >= 4 * loop.period
        said = [word.text for word in words[loop.start : loop.end]]
        assert said[loop.period :] == said[: -loop.period]


@given(st.lists(st.sampled_from("abcd"), max_size=60))
def test_words_at_a_natural_pace_said_seven_times_at_most_stay(texts: list[str]) -> None:
    words = speak([text for text in texts if texts.count(text) <= 3 or text == "a"][:7])
    assert cut_loops(words, find_loops(words)) == words


def test_the_better_of_two_is_kept() -> None:
    loop, unsure, sure = decode("to " * 40), decode(logprob=-1.5), decode(logprob=-0.9)
    assert loop.failed
    assert unsure.failed
    assert not sure.failed
    assert choose_decoding([loop, unsure]) is unsure
    assert choose_decoding([unsure, sure, loop]) is sure
    assert choose_decoding([decode(ratio=2.5), sure]) is sure
    same = decode(logprob=-0.9)
    assert choose_decoding([same, sure]) is same


def test_only_where_nobody_speaks_a_window_is_made_up() -> None:
    assert decode(logprob=-1.2, no_speech=0.7).made_up
    assert decode("to " * 40, no_speech=0.7).made_up
    assert decode(ratio=3.0, no_speech=0.7).made_up
    assert not decode(logprob=-0.5, no_speech=0.9).made_up
    assert not decode("to " * 40, logprob=-1.2, no_speech=0.5).made_up


def test_windows_are_filled_with_parts_up_to_thirty_seconds() -> None:
    second = 16_000
    parts = [
        {"start": start * second, "end": end * second}
        for start, end in [(0, 12), (20, 38), (50, 51), (60, 90), (100, 102)]
    ]
    assert find_windows(parts) == {
        0: parts[:2],
        3000: parts[2:3],
        3100: parts[3:4],
        6100: parts[4:],
    }
    assert find_windows([]) == {}


def test_a_window_is_given_as_soon_as_it_is_known_to_be_whole() -> None:
    times = 100
    segments = [
        SimpleNamespace(seek=seek, tokens=tokens)
        for seek, tokens in [(0, [1]), (30, [1, 101]), (30, [2, 104]), (60, []), (90, [3, 102])]
    ]
    waiting = iter(segments)
    windows = gather_windows(waiting, times)
    assert next(windows) == segments[:1]
    assert next(waiting) is segments[1]  # it was not yet asked for
    rest = list(gather_windows(segments, times))
    assert rest == [segments[:1], segments[1:3], segments[3:4], segments[4:]]
