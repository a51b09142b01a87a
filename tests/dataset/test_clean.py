"""Turns come out as plain speech: without breaks, sponsor reads, asides, links."""

from collections import Counter

import pytest

from podcaster.dataset.chapters import Said, order_chapters, split_at_chapters
from podcaster.dataset.clean import SpokenTurn, clean_text, is_person, merge_turns, split_sentences
from podcaster.dataset.sponsors import find_reads
from podcaster.dataset.stage import clean_turns
from podcaster.model import TranscriptChapter, Utterance, Word


def test_text_comes_out_plain() -> None:
    assert clean_text("See [the shop](https://example.org/tea) and [laughs] smile\\!") == (
        "See the shop and smile!"
    )
    assert clean_text("I drank [unintelligible 00:12] then. It was good.") == "It was good."
    assert clean_text("Welcome to Tea Talk. It is late.", spoilers=("tea talk",)) == "It is late."
    assert clean_text("We shout.", rewrite=str.upper) == "WE SHOUT."


def test_no_text_can_spell_a_special_token() -> None:
    for token in ("<|end|>", "<|im_start|>user", "</s>", "[INST]", "<start_of_turn>"):
        cleaned = clean_text(f"He said {token} twice.")
        assert not set("<>|[]{}") & set(cleaned)


def test_labels_of_nobody() -> None:
    assert [name for name in ("Break", "Ads", "Ann", "Speaker 1", "Crowd") if is_person(name)] == [
        "Ann",
        "Speaker 1",
    ]
    removed: Counter[str] = Counter()
    said = [Said("Ann Host (CEO)", "Hello."), Said("Break", "Two words."), Said("Ann Host", "Yes.")]
    assert clean_turns(said, removed) == [SpokenTurn("Ann Host", "Hello. Yes.")]
    assert removed == {"nobody": 2}


def test_turns_of_one_person_are_merged_but_not_over_chapters() -> None:
    turns = [SpokenTurn("A", "One.", 0), SpokenTurn("A", "Two.", 0), SpokenTurn("A", "Three.", 1)]
    assert merge_turns(turns) == [SpokenTurn("A", "One. Two.", 0), SpokenTurn("A", "Three.", 1)]
    assert merge_turns(turns, across_chapters=True) == [SpokenTurn("A", "One. Two. Three.", 0)]
    assert merge_turns([SpokenTurn("A", ""), SpokenTurn("B", "x")]) == [SpokenTurn("B", "x")]


READS = [
    # what is said, and what is left of it
    (
        "Good to see you. This episode is brought to you by Teapots. Teapots makes pots that "
        "last. They never drip. Head to teapots.com and use code TALK. Now, how are you?",
        "Good to see you. Now, how are you?",
    ),
    ("Thanks so much to our sponsors, Kettle and Cup. See you soon.", "See you soon."),
    ("Cuppa is new. I love how Cuppa feels. It saves time. With Cuppa all is well. Learn more at "
     "cuppa.dev now.", ""),
]  # fmt: skip


@pytest.mark.parametrize(("said", "left"), READS)
def test_a_read_goes_with_what_belongs_to_it(said: str, left: str) -> None:
    removed: Counter[str] = Counter()
    turns = clean_turns([Said("Ann", said)], removed)
    assert " ".join(turn.text for turn in turns) == left
    assert removed["sponsor"] > 0


@pytest.mark.parametrize(
    "cue",
    [
        "Today's show is also sponsored by Teapots.",
        "Our sponsor for this episode is Teapots.",
        "Our sponsors are Teapots and Kettles.",
        "Huge shout-out to all of our sponsors!",
        "If you go, use the code tea20 there.",
        'Use coupon code "tea" when you pay.',
        "It is time for our second sponsored break.",
        "And now, a word from our sponsor.",
        "Thanks again to our friends at Teapots.",
    ],
)
def test_cues_are_found_by_themselves(cue: str) -> None:
    assert find_reads([["Hello.", cue, "How are you?"]]) == {(0, 1)}


def test_a_read_reaches_from_its_announcement_into_the_next_turn() -> None:
    turns = [
        ["Wait.", "Here is a word from our sponsor."],
        ["Do your cups leak?", "Mine did.", "Learn more at cups.io today."],
        ["Welcome home, Bob."],
    ]
    assert find_reads(turns) == {(0, 1), (1, 0), (1, 1), (1, 2)}
    segment = [["It is time for sponsored news."], ["Cups are cheap.", "Buy."], ["Hello, Bob."]]
    assert find_reads(segment) == {(0, 0), (1, 0), (1, 1)}


@pytest.mark.parametrize(
    "talk",
    [
        "Our sponsors keep the project alive, and we have no sponsors in France.",
        "I use code search every day, and anybody can use the code under this licence.",
        "By the time this episode is out, it will be spring. I was sponsored by a bank once.",
        "We talked to our friends at the library about books. Is it ten percent off the top?",
        "You can go to example.org to read the paper. It is long.",
        "Our sponsors are different. They use code AI, and we set the flag to no coupon code.",
    ],
)
def test_talk_about_sponsors_and_code_is_no_read(talk: str) -> None:
    assert find_reads([split_sentences(talk)]) == set()


CHAPTERS = (
    TranscriptChapter(title="Water", start_s=0.0),
    TranscriptChapter(title="Leaves", start_s=10.0),
    TranscriptChapter(title="Milk", start_s=20.0),
)


def test_turns_are_divided_between_chapters_by_time_at_sentences() -> None:
    utterances = [
        Utterance(text="Boil it well.", start_s=0.0, speaker="A"),
        Utterance(text="Water is hot now. Green leaves wilt.", start_s=6.0, speaker="B"),
        Utterance(text="No time is known.", speaker="A"),
        Utterance(text="Milk is white.", start_s=21.0, end_s=22.0, speaker="B"),
    ]
    # the second ends when it is not known, so where it begins decides
    assert [part.chapter for part in split_at_chapters(utterances, CHAPTERS)] == [0, 0, 0, 2]
    timed = [utterances[0], *utterances[1:2], utterances[3]]
    assert split_at_chapters(timed, CHAPTERS)[1:] == [
        Said("B", "Water is hot now.", 0),
        Said("B", "Green leaves wilt.", 1),
        Said("B", "Milk is white.", 2),
    ]


def test_words_times_say_where_a_sentence_lies() -> None:
    texts = ["Water", "is", "hot", "now.", "Green", "leaves", "wilt."]
    words = tuple(
        Word(text=text, start_s=9.0 + (n > 3) * 3, end_s=9.5 + (n > 3) * 3)
        for n, text in enumerate(texts)
    )
    utterance = Utterance(text=" ".join(texts), start_s=9.0, end_s=90.0, speaker="B", words=words)
    assert [(p.text, p.chapter) for p in split_at_chapters([utterance], CHAPTERS)] == [
        ("Water is hot now.", 0),
        ("Green leaves wilt.", 1),
    ]


def test_chapters_without_times_are_none() -> None:
    untimed = (TranscriptChapter(title="A"), TranscriptChapter(title="B"))
    assert order_chapters(untimed, ()) == ()
    assert order_chapters(untimed, CHAPTERS[::-1]) == CHAPTERS
    assert order_chapters((), CHAPTERS[:1]) == ()
    said = split_at_chapters([Utterance(text="Hello.", start_s=3.0, speaker="A")], ())
    assert said == [Said("A", "Hello.", -1)]
