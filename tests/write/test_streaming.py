"""A turn as it is drawn: whole characters, no stops, and what `sample` would have said."""

import pytest

from podcaster.errors import EngineError
from podcaster.write.engine import Piece, Sampling
from podcaster.write.llama_cpp import LlamaCppWriter
from podcaster.write.streaming import StreamedText
from tests.write.conftest import ANSWER, open_talk

ASKED = ("user", "why was the rocket never tested?")


def sampling(seed: int, **changed: object) -> Sampling:
    told = {"temperature": 0.8, "min_p": 0.02, "max_tokens": 60, "seed": seed} | changed
    return Sampling(**told)  # type: ignore[arg-type]


def test_a_stream_is_the_first_candidate(chat_writer: LlamaCppWriter) -> None:
    chat_writer.start(open_talk(ASKED))
    longest = 0
    for seed in range(6):
        (candidate,) = chat_writer.sample(ANSWER, 1, sampling(seed))
        pieces = list(chat_writer.stream(ANSWER, sampling(seed)))
        assert "".join(pieces) == candidate.text.partition("<|")[0]
        assert chat_writer.sample(ANSWER, 1, sampling(seed)) == [candidate]
        longest = max(longest, len(pieces))
    assert longest > 30


def test_a_stream_that_is_left_leaves_the_prompt_as_it_was(chat_writer: LlamaCppWriter) -> None:
    chat_writer.start(open_talk())
    room = chat_writer.room()
    before = list(chat_writer.stream(ANSWER, sampling(1)))
    stream = chat_writer.stream(ANSWER, sampling(2))
    next(stream)
    stream.close()
    assert chat_writer.room() == room
    assert list(chat_writer.stream(ANSWER, sampling(1))) == before


def test_a_stream_ends_at_a_stop_that_came_in_pieces(script_writer: LlamaCppWriter) -> None:
    script_writer.start_chat("Write.", "Go on.")
    stopped = 0
    for seed in range(12):
        told = sampling(seed, stop_texts=("e", "the rocket"))
        (candidate,) = script_writer.sample([Piece("Ada:")], 1, told)
        text = "".join(script_writer.stream([Piece("Ada:")], told))
        assert text == candidate.text
        assert "e" not in text
        stopped += candidate.finished
    assert stopped


def test_characters_come_whole(chat_writer: LlamaCppWriter) -> None:
    """A random byte-level model writes bytes that are no characters, and halves of some."""
    chat_writer.start(open_talk())
    for seed in range(8):
        told = sampling(seed, temperature=3.0, min_p=0.0)
        pieces = list(chat_writer.stream(ANSWER, told))
        (candidate,) = chat_writer.sample(ANSWER, 1, told)
        assert "".join(pieces) == candidate.text.partition("<|")[0]
        assert all(pieces)


def test_a_full_context_is_said_before_anything_is_drawn(chat_writer: LlamaCppWriter) -> None:
    chat_writer.start(open_talk())
    with pytest.raises(EngineError, match="no room"):
        chat_writer.stream([*ANSWER, Piece("why " * 6000)], sampling(1))


def test_halves_of_characters_wait_for_the_rest() -> None:
    text = StreamedText()
    assert [text.add(bytes([byte])) for byte in "é€".encode()] == ["", "é", "", "", "€"]
    assert text.add(b"\xe2\x82") == ""
    assert text.finish() == ""


def test_what_may_begin_a_stop_is_held_back_until_it_is_known() -> None:
    text = StreamedText(("\n\n", "END"))
    assert text.add(b"one\n") == "one"
    assert text.add(b"two E") == "\ntwo "
    assert text.add(b"N") == ""
    assert text.add(b"t") == "ENt"
    assert text.add(b" EN") == " "
    assert text.add(b"D and more") == ""
    assert text.stopped
    assert text.add(b"more") == ""
    assert text.finish() == ""


def test_a_beginning_that_was_no_stop_is_given_at_the_end() -> None:
    text = StreamedText(("END",))
    assert text.add(b"the E") == "the "
    assert text.finish() == "E"
    assert not text.stopped
