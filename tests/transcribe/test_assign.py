"""Whose each word is: nothing is lost, nothing is moved, and changes of speaker cut utterances."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from podcaster.model import SpeakerSpan, Utterance, Word
from podcaster.transcribe.assign import assign_speakers


def span(start_s: float, end_s: float, speaker: str) -> SpeakerSpan:
    return SpeakerSpan(start_s=start_s, end_s=end_s, speaker=speaker)


def utter(*words: tuple[str, float, float]) -> Utterance:
    said = tuple(Word(text=text, start_s=start, end_s=end) for text, start, end in words)
    text = " ".join(word.text for word in said)
    return Utterance(text=text, start_s=said[0].start_s, end_s=said[-1].end_s, words=said)


TEA = utter(("Tea?", 0.0, 0.4), ("Yes,", 1.0, 1.3), ("please.", 1.4, 1.9))


def test_an_utterance_is_cut_where_the_speaker_changes() -> None:
    found = assign_speakers([TEA], [span(0.0, 0.5, "S1"), span(0.9, 2.0, "S2")])
    assert [(piece.speaker, piece.text) for piece in found] == [
        ("S1", "Tea?"),
        ("S2", "Yes, please."),
    ]
    assert [(piece.start_s, piece.end_s) for piece in found] == [(0.0, 0.4), (1.0, 1.9)]
    assert all(word.speaker == piece.speaker for piece in found for word in piece.words)


def test_a_word_goes_to_whoever_is_heard_in_most_of_it() -> None:
    words = utter(("Hm", 1.0, 2.0))
    assert assign_speakers([words], [span(0.0, 1.4, "S1"), span(1.4, 3.0, "S2")])[0].speaker == "S2"
    # in several spans, too
    three = [span(1.0, 1.3, "S1"), span(1.3, 1.7, "S2"), span(1.7, 2.0, "S1")]
    assert assign_speakers([words], three)[0].speaker == "S1"


def test_where_two_talk_at_once_a_word_stays_with_who_said_the_one_before() -> None:
    words = utter(("I", 0.0, 0.3), ("was", 0.4, 0.7), ("there", 0.8, 1.2))
    for first, other in (("S1", "S2"), ("S2", "S1")):
        spans = [span(0.0, 2.0, first), span(0.35, 0.9, other)]
        found = assign_speakers([words], spans)
        assert [piece.speaker for piece in found] == [first]


def test_a_word_outside_of_all_spans_goes_to_the_nearest_one_or_to_nobody() -> None:
    spans = [span(10.0, 11.0, "S1"), span(14.0, 15.0, "S2")]
    near = [utter(("so", 11.4, 11.6)), utter(("now", 13.5, 13.7)), utter(("far", 12.4, 12.6))]
    assert [piece.speaker for piece in assign_speakers(near, spans)] == ["S1", "S2", None]
    assert [p.speaker for p in assign_speakers(near, spans, near_s=5.0)] == ["S1", "S2", "S1"]


def test_a_long_span_counts_though_later_ones_began() -> None:
    spans = [span(0.0, 100.0, "S1"), span(1.0, 2.0, "S2"), span(3.0, 4.0, "S2")]
    assert assign_speakers([utter(("still", 50.0, 50.4))], spans)[0].speaker == "S1"


def test_without_words_the_utterance_is_assigned_as_a_whole() -> None:
    whole = Utterance(text="Good morning to you.", start_s=1.0, end_s=3.0)
    found = assign_speakers([whole], [span(0.0, 1.5, "S1"), span(1.5, 9.0, "S2")])
    assert [(piece.speaker, piece.text) for piece in found] == [("S2", "Good morning to you.")]


def test_without_times_an_utterance_stays_as_it_is() -> None:
    untimed = Utterance(text="Who knows when.", speaker="Ada")
    assert assign_speakers([untimed], [span(0.0, 9.0, "S1")]) == (untimed,)


def test_with_no_spans_nobody_is_named() -> None:
    (found,) = assign_speakers([TEA], [])
    assert found.speaker is None
    assert found.text == TEA.text


def test_text_of_another_spelling_than_its_words_is_kept() -> None:
    words = tuple(
        Word(text=text, start_s=at, end_s=at + 0.4)
        for at, text in enumerate(("hello", "you", "hi"))
    )
    written = Utterance(text="Hello, you! Hi.", start_s=0.0, end_s=2.4, words=words)
    found = assign_speakers([written], [span(0.0, 1.5, "S1"), span(1.9, 3.0, "S2")])
    assert [piece.text for piece in found] == ["Hello, you!", "Hi."]


def test_a_language_without_spaces_keeps_none() -> None:
    words = tuple(Word(text=text, start_s=at, end_s=at + 0.4) for at, text in enumerate("你好嗎"))
    written = Utterance(text="你好嗎", start_s=0.0, end_s=2.4, words=words)
    found = assign_speakers([written], [span(0.0, 1.5, "S1"), span(1.9, 3.0, "S2")])
    assert [piece.text for piece in found] == ["你好", "嗎"]


def test_words_without_a_text_make_no_utterance_of_their_own() -> None:
    blank = utter(("", 0.0, 0.2), ("Well", 1.0, 1.4), (" ", 2.0, 2.2), ("yes", 3.0, 3.3))
    spans = [span(0.0, 0.5, "S1"), span(0.9, 1.5, "S2"), span(1.9, 2.5, "S1"), span(2.9, 4, "S2")]
    found = assign_speakers([blank], spans)
    assert [piece.speaker for piece in found] == ["S2"]
    assert sum(len(piece.words) for piece in found) == 4


times = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 2))


@st.composite
def transcripts(draw: st.DrawFn) -> list[Utterance]:
    """Utterances of words in order; some words last no time."""
    marks = sorted(draw(st.lists(times, min_size=2, max_size=40)))
    words = [
        Word(text=draw(st.sampled_from(["tea", "and", "toast,", "please."])), start_s=a, end_s=b)
        for a, b in pairwise(marks)
    ]
    found = []
    while words:
        count = draw(st.integers(1, len(words)))
        own, words = tuple(words[:count]), words[count:]
        text = " ".join(word.text for word in own)
        found.append(Utterance(text=text, start_s=own[0].start_s, end_s=own[-1].end_s, words=own))
    return found


spans_drawn = st.lists(
    st.tuples(times, times, st.sampled_from(["S1", "S2", "S3"])).map(
        lambda drawn: span(min(drawn[:2]), max(drawn[:2]), drawn[2])
    ),
    max_size=12,
)


@given(transcripts(), spans_drawn)
def test_no_word_is_lost_moved_or_retimed(
    utterances: list[Utterance], spans: list[SpeakerSpan]
) -> None:
    found = assign_speakers(utterances, spans)
    before = [(w.text, w.start_s, w.end_s) for u in utterances for w in u.words]
    after = [(w.text, w.start_s, w.end_s) for u in found for w in u.words]
    assert after == before
    assert " ".join(u.text for u in found) == " ".join(u.text for u in utterances)


@given(transcripts(), spans_drawn)
def test_text_is_the_joined_words_and_one_speaker_says_them(
    utterances: list[Utterance], spans: list[SpeakerSpan]
) -> None:
    found = assign_speakers(utterances, spans)
    for piece in found:
        assert piece.text == " ".join(word.text for word in piece.words)
        assert {word.speaker for word in piece.words} == {piece.speaker}
        assert (piece.start_s, piece.end_s) == (piece.words[0].start_s, piece.words[-1].end_s)
    assert {piece.speaker for piece in found} <= {None, *(each.speaker for each in spans)}
    # cut only where the speaker changes: as many pieces as there are utterances and changes
    changes = sum(
        one.speaker != other.speaker
        for words in _words_by_utterance(utterances, found)
        for one, other in pairwise(words)
    )
    assert len(found) == len(utterances) + changes


def _words_by_utterance(
    utterances: list[Utterance], found: tuple[Utterance, ...]
) -> list[list[Word]]:
    words = [word for piece in found for word in piece.words]
    grouped, at = [], 0
    for utterance in utterances:
        grouped.append(words[at : at + len(utterance.words)])
        at += len(utterance.words)
    return grouped


@given(transcripts(), spans_drawn)
def test_a_word_that_one_speaker_alone_covers_is_theirs(
    utterances: list[Utterance], spans: list[SpeakerSpan]
) -> None:
    found = assign_speakers(utterances, spans)
    for word in (word for piece in found for word in piece.words):
        covering = {
            s.speaker for s in spans if s.start_s <= word.start_s and s.end_s >= word.end_s > 0
        }
        overlapping = {
            s.speaker
            for s in spans
            if min(s.end_s, word.end_s + 0.02) > max(s.start_s, word.start_s - 0.02)
        }
        if len(covering) == 1 and overlapping == covering and word.end_s - word.start_s > 0.05:
            assert word.speaker in covering


def test_an_hour_of_words_is_assigned() -> None:
    words = [(f"w{n}", n * 0.4, n * 0.4 + 0.3) for n in range(9000)]
    spans = [span(n * 2.0, n * 2.0 + 1.9, f"S{n % 3 + 1}") for n in range(1800)]
    found = assign_speakers([utter(*words)], spans)
    assert len(found) > 1000
    assert sum(len(piece.words) for piece in found) == 9000
