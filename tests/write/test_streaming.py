"""A turn as it is drawn: whole characters, no stops, and what `sample` would have said."""

from collections.abc import Iterator

import pytest

from podcaster.builtin import MODEL_PATH
from podcaster.errors import EngineError
from podcaster.write.engine import Sampling
from podcaster.write.llama_cpp import LlamaCppWriter
from podcaster.write.streaming import StreamedText

HEADER = "<|episode|><|names|>Ada; Bob<|topic|>rocket, fuel"
TURN = "<|host|> why was the rocket never tested?<|end|>"


def sampling(seed: int, **changed: object) -> Sampling:
    told = {"temperature": 0.8, "min_p": 0.02, "max_tokens": 60, "seed": seed} | changed
    return Sampling(**told)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def builtin() -> Iterator[LlamaCppWriter]:
    writer = LlamaCppWriter(str(MODEL_PATH))
    yield writer
    writer.close()


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_is_the_first_candidate(builtin: LlamaCppWriter, seed: int) -> None:
    builtin.start(HEADER)
    builtin.append(TURN)
    (candidate,) = builtin.sample("<|guest|>", 1, sampling(seed))
    pieces = list(builtin.stream("<|guest|>", sampling(seed)))
    assert "".join(pieces) == candidate.text.partition("<|")[0]
    assert len(pieces) > 3
    assert builtin.sample("<|guest|>", 1, sampling(seed)) == [candidate]


def test_a_stream_that_is_left_leaves_the_prompt_as_it_was(builtin: LlamaCppWriter) -> None:
    builtin.start(HEADER)
    room = builtin.room()
    before = list(builtin.stream("<|host|>", sampling(1)))
    stream = builtin.stream("<|host|>", sampling(2))
    next(stream)
    stream.close()
    assert builtin.room() == room
    assert list(builtin.stream("<|host|>", sampling(1))) == before


def test_a_stream_ends_at_a_stop_that_came_in_pieces(instruct_writer: LlamaCppWriter) -> None:
    instruct_writer.start_chat("Write.", "Go on.")
    stopped = 0
    for seed in range(12):
        told = sampling(seed, stop_texts=("e", "the rocket"))
        (candidate,) = instruct_writer.sample("Ada:", 1, told)
        text = "".join(instruct_writer.stream("Ada:", told))
        assert text == candidate.text
        assert "e" not in text
        stopped += candidate.finished
    assert stopped


def test_characters_come_whole(dialogue_writer: LlamaCppWriter) -> None:
    """A random byte-level model writes bytes that are no characters, and halves of some."""
    dialogue_writer.start(HEADER)
    for seed in range(8):
        told = sampling(seed, temperature=3.0, min_p=0.0)
        pieces = list(dialogue_writer.stream("<|guest|>", told))
        (candidate,) = dialogue_writer.sample("<|guest|>", 1, told)
        assert "".join(pieces) == candidate.text.partition("<|")[0]
        assert all(pieces)


def test_a_full_context_is_said_before_anything_is_drawn(dialogue_writer: LlamaCppWriter) -> None:
    dialogue_writer.start(HEADER)
    with pytest.raises(EngineError, match="no room"):
        dialogue_writer.stream("<|host|> " + "why " * 600, sampling(1))


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
