"""Words that a diariser cut off come back to whoever was saying the sentence."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcaster.ingest.imports import read_transcript
from podcaster.model import Utterance, Word
from podcaster.transcribe.realign import realign

SEEDS = Path(__file__).parents[3] / "shared" / "data" / "seeds"


def said(*turns: tuple[str, str]) -> list[Utterance]:
    return [Utterance(speaker=speaker, text=text) for speaker, text in turns]


def texts(*turns: tuple[str, str]) -> list[tuple[str | None, str]]:
    return [(turn.speaker, turn.text) for turn in realign(said(*turns))[0]]


def test_a_first_word_that_came_early_goes_to_the_next_speaker() -> None:
    assert texts(
        ("Ann", "They employ it internally as well. I"),
        ("Bob", "Know it's related, but it is true."),
    ) == [
        ("Ann", "They employ it internally as well."),
        ("Bob", "I know it's related, but it is true."),
    ]


def test_a_last_word_that_came_late_goes_back() -> None:
    assert texts(
        ("Ann", "So it seems to perform really"),
        ("Bob", "Well. It's a data set, right?"),
    ) == [("Ann", "So it seems to perform really well."), ("Bob", "It's a data set, right?")]


def test_a_turn_of_nothing_but_cut_off_words_goes() -> None:
    assert texts(
        ("Ann", "You got it right the"),
        ("Bob", "First time."),
        ("Ann", "That is so."),
    ) == [("Ann", "You got it right the first time."), ("Ann", "That is so.")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("I was going to say that the whole", "No, wait, let me finish what I began."),
        ("That is what I think.", "Well. It is not."),
        ("We left the keys on the fence,", "Yeah. And the wallet."),
    ],
)
def test_interruptions_answers_and_whole_sentences_stay(before: str, after: str) -> None:
    assert texts(("Ann", before), ("Bob", after)) == [("Ann", before), ("Bob", after)]


def test_names_keep_their_capitals_and_one_speaker_is_let_alone() -> None:
    moved = texts(("Ann", "I met Paris there. Then"), ("Bob", "Paris went home with all of them."))
    assert moved[1] == ("Bob", "Then Paris went home with all of them.")
    alone = (("Ann", "And so"), ("Ann", "It goes on."))
    assert texts(*alone) == list(alone)
    nobody = [Utterance(text="And so"), Utterance(text="It goes on and on.")]
    assert realign(nobody) == (tuple(nobody), ())


def test_words_keep_their_times_and_take_their_new_speaker() -> None:
    before = Utterance(
        text="Fine. I", speaker="Ann", start_s=0.0, end_s=2.0,
        words=(Word(text="Fine.", start_s=0.0, end_s=1.0, speaker="Ann"),
               Word(text="I", start_s=1.5, end_s=2.0, speaker="Ann")),
    )  # fmt: skip
    after = Utterance(
        text="Know it well.", speaker="Bob", start_s=2.0, end_s=4.0,
        words=tuple(Word(text=word, start_s=2.0 + n / 2, end_s=2.5 + n / 2, speaker="Bob")
                    for n, word in enumerate(("Know", "it", "well."))),
    )  # fmt: skip
    (first, second), moves = realign([before, after])
    assert (first.start_s, first.end_s, second.start_s, second.end_s) == (0.0, 1.0, 1.5, 3.5)
    assert [word.speaker for word in second.words] == ["Bob"] * 4
    assert [(m.text, m.from_speaker, m.to_speaker) for m in moves] == [("I", "Ann", "Bob")]


sentence = st.lists(st.sampled_from(["we", "Go.", "and", "Ann", "then?", "I", "so,"]), min_size=1)


@given(st.lists(st.tuples(st.sampled_from("AB"), sentence), max_size=8))
def test_no_word_is_lost_or_made_up(turns: list[tuple[str, list[str]]]) -> None:
    given_turns = said(*((speaker, " ".join(words)) for speaker, words in turns))
    kept, _ = realign(given_turns)
    before = " ".join(turn.text for turn in given_turns).lower().split()
    assert " ".join(turn.text for turn in kept).lower().split() == before
    assert all(turn.text for turn in kept)


@pytest.mark.skipif(not SEEDS.is_dir(), reason="needs ../shared/data/seeds")
def test_the_words_that_a_real_transcript_cut_off_come_back() -> None:
    transcript = read_transcript(SEEDS / "this-day-in-ai.txt")
    turns, moves = realign(transcript.utterances)
    assert len(moves) >= 30
    whole = " ".join(turn.text for turn in turns)
    for sentence in (
        "perform really well.",
        "I know it's related",
        "not relevant at all.",
    ):
        assert any(sentence in turn.text for turn in turns), sentence
    assert len(whole.split()) == len(" ".join(t.text for t in transcript.utterances).split())
