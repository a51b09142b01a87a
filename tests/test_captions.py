"""Captions of a transcript: nothing lost, nobody invented, times in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcaster.captions import CAPTION_WRITERS, format_srt, format_tsv, format_txt, segments_of
from podcaster.errors import InputError
from podcaster.ingest.imports import parse_transcript
from podcaster.model import Transcript, Utterance, Word


def transcript(*utterances: Utterance) -> Transcript:
    return Transcript(language="en", utterances=utterances, engine="test", title="Tea")


def spoken(text: str, *, start_s: float = 0.0, speaker: str | None = None) -> Utterance:
    words = tuple(
        Word(text=word, start_s=start_s + i, end_s=start_s + i + 0.8, speaker=speaker)
        for i, word in enumerate(text.split())
    )
    end_s = words[-1].end_s
    return Utterance(text=text, start_s=start_s, end_s=end_s, speaker=speaker, words=words)


def test_an_utterance_is_split_at_the_ends_of_its_sentences() -> None:
    segments = segments_of(transcript(spoken("Good tea. Is it hot? Yes", speaker="Ann")))
    assert [(s.text, s.start_s, s.speaker) for s in segments] == [
        ("Good tea.", 0.0, "Ann"),
        ("Is it hot?", 2.0, "Ann"),
        ("Yes", 5.0, "Ann"),
    ]


def test_a_sentence_without_end_is_split_where_nobody_could_read_on() -> None:
    segments = segments_of(transcript(spoken(" ".join(f"w{i}" for i in range(40)))))
    assert all(s.end_s - s.start_s <= 12.0 for s in segments)
    assert " ".join(s.text for s in segments) == " ".join(f"w{i}" for i in range(40))


def test_words_of_a_language_without_spaces_are_given_none() -> None:
    words = (Word(text="お茶", start_s=0, end_s=1), Word(text="です。", start_s=1, end_s=2))
    said = Utterance(text="お茶です。", start_s=0, end_s=2, words=words)
    assert [s.text for s in segments_of(transcript(said))] == ["お茶です。"]


def test_an_utterance_without_times_is_no_caption() -> None:
    with pytest.raises(InputError, match="without times"):
        segments_of(transcript(Utterance(text="Hello.")))


@given(st.lists(st.text("ab.? é", min_size=1).filter(str.strip), min_size=1, max_size=9))
def test_no_word_is_lost_whatever_the_format(texts: list[str]) -> None:
    said = [spoken(text, start_s=20.0 * i, speaker="Ann") for i, text in enumerate(texts)]
    segments = segments_of(transcript(*said))
    assert " ".join(s.text for s in segments).split() == " ".join(texts).split()
    starts = [s.start_s for s in segments]
    assert starts == sorted(starts)
    for write in CAPTION_WRITERS.values():
        assert write(segments).decode()


def test_where_nobody_is_known_to_speak_nobody_is_named() -> None:
    segments = segments_of(transcript(spoken("Good tea."), spoken("Very.", start_s=5.0)))
    assert CAPTION_WRITERS[".vtt"](segments).decode().count("<v") == 0
    assert ":" not in format_srt(segments).decode().splitlines()[2]
    assert format_txt(segments).decode() == "Good tea.\nVery.\n"
    assert format_tsv(segments).decode().splitlines()[0] == "start\tend\ttext"


def test_text_names_who_speaks_once_a_turn() -> None:
    told = transcript(
        spoken("Good tea. Hot.", speaker="Ann"), spoken("Very.", start_s=9.0, speaker="Bob")
    )
    assert format_txt(segments_of(told)).decode() == "Ann: Good tea. Hot.\n\nBob: Very.\n"
    rows = [line.split("\t") for line in format_tsv(segments_of(told)).decode().splitlines()]
    assert rows[1] == ["Ann", "0", "1800", "Good tea."]


@pytest.mark.parametrize("suffix", [".vtt", ".srt"])
def test_captions_are_read_back_as_they_were_written(suffix: str) -> None:
    told = transcript(spoken("Good tea.", speaker="Ann"), spoken("Very.", start_s=9, speaker="Bob"))
    data = CAPTION_WRITERS[suffix](segments_of(told))
    back = parse_transcript(data, f"tea{suffix}", language="en")
    assert [(u.speaker, u.text) for u in back.utterances] == [
        ("Ann", "Good tea."),
        ("Bob", "Very."),
    ]
