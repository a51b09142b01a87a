"""Tiny models that real llama.cpp loads, a pace, and writers opened on them."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from podcaster import commission
from podcaster.builtin import IDF_PATH
from podcaster.units import count_words
from podcaster.write.engine import Piece
from podcaster.write.llama_cpp import LlamaCppWriter
from tests.write import tiny_gguf

# everyday words between some that are none, so that most of what is written has something to say
EVERYDAY = "we the a and it was so they in of to had when"


def pick_content_words(count: int) -> list[str]:
    """Words of the table of rarities that people say now and then, some from each part of it."""
    table = msgspec.json.decode(gzip.decompress(IDF_PATH.read_bytes()))
    known = [
        word
        for word, hundredths in zip(table["words"].split(" "), table["idf"], strict=True)
        if 300 < hundredths < 650 and word.isalpha() and 4 <= len(word) <= 9
    ]
    return known[:: max(1, len(known) // count)][:count]


WORDS = (
    *(
        f" {word}"
        for word in dict.fromkeys([*EVERYDAY.split(), "rocket", *pick_content_words(900)])
    ),
    ".",
    "?",
)


END_BIAS = 6.0  # turns of some sentences


class SteadyPace:
    """Speaks 160 words a minute, whoever speaks."""

    gap_s = 0.25

    def turn_s(self, speaker_id: str, text: str) -> float:
        return count_words(text) * 60 / 160

    def said_s(self, speaker_id: str, text: str) -> float:
        return self.turn_s(speaker_id, text)

    def overhead_s(self, chapters: int) -> float:
        return 8.0 + chapters


def open_talk(*turns: tuple[str, str]) -> list[Piece]:
    """The beginning of a ChatML chat, with turns of a host (`user`) and a guest."""
    said = [piece for role, text in turns for piece in spell_turn(role, text)]
    return [Piece("<|im_start|>system\n", special=True), Piece("You are Ada."), END, *said]


def spell_turn(role: str, text: str) -> list[Piece]:
    return [Piece(f"<|im_start|>{role}\n", special=True), Piece(text), END]


END = Piece("<|im_end|>\n", special=True)
ANSWER = [Piece("<|im_start|>assistant\n", special=True)]


@pytest.fixture
def pace() -> Any:
    return SteadyPace()


@pytest.fixture(scope="session")
def make_gguf() -> Any:
    return tiny_gguf.write_tiny_gguf


@pytest.fixture(scope="session")
def write_adapter() -> Any:
    return tiny_gguf.write_tiny_adapter


@pytest.fixture(scope="session")
def chatml() -> Any:
    return tiny_gguf.CHATML


@pytest.fixture(scope="session")
def chat_gguf(tmp_path_factory: pytest.TempPathFactory, make_gguf: Any) -> Any:
    path = tmp_path_factory.mktemp("gguf") / "chat.gguf"
    return make_gguf(path, words=WORDS, end_bias=END_BIAS, context_tokens=4096)


@pytest.fixture
def open_large(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Open a tiny model as one that is large enough to write a script: the bound lies below it."""
    writers = []

    def open_large(path: Path, context_tokens: int = 0) -> LlamaCppWriter:
        monkeypatch.setattr(commission, "SMALL_PARAMETERS", 1)
        writers.append(LlamaCppWriter(str(path), context_tokens))
        return writers[-1]

    yield open_large
    for writer in writers:
        writer.close()


@pytest.fixture
def chat_writer(chat_gguf: Path) -> Any:
    writer = LlamaCppWriter(str(chat_gguf))
    yield writer
    writer.close()


@pytest.fixture
def script_writer(chat_gguf: Path, open_large: Any) -> Any:
    return open_large(chat_gguf)
