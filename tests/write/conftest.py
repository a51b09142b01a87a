"""Tiny models that real llama.cpp loads, a pace, and writers opened on them."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from podcaster.units import count_words
from podcaster.write.llama_cpp import LlamaCppWriter

_spec = importlib.util.spec_from_file_location(
    "tiny_gguf", Path(__file__).with_name("tiny_gguf.py")
)
tiny_gguf = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tiny_gguf)

SPOKEN = (
    "we built the rocket engine people never saw why it was good idea think fuel tank mars again "
    "learned failed tested metal team money question answer night school"
)
WORDS = (*(f" {word}" for word in SPOKEN.split()), ".", "?")


class SteadyPace:
    """Speaks 160 words a minute, whoever speaks."""

    gap_s = 0.25

    def turn_s(self, speaker_id: str, text: str) -> float:
        return count_words(text) * 60 / 160

    def said_s(self, speaker_id: str, text: str) -> float:
        return self.turn_s(speaker_id, text)

    def overhead_s(self, chapters: int) -> float:
        return 8.0 + chapters


@pytest.fixture
def pace() -> Any:
    return SteadyPace()


@pytest.fixture(scope="session")
def make_gguf() -> Any:
    return tiny_gguf.write_tiny_gguf


@pytest.fixture(scope="session")
def chatml() -> Any:
    return tiny_gguf.CHATML


@pytest.fixture(scope="session")
def dialogue_gguf(tmp_path_factory: pytest.TempPathFactory, make_gguf: Any) -> Any:
    return make_gguf(tmp_path_factory.mktemp("gguf") / "dialogue.gguf", words=WORDS, end_bias=4.0)


@pytest.fixture(scope="session")
def instruct_gguf(tmp_path_factory: pytest.TempPathFactory, make_gguf: Any, chatml: str) -> Any:
    path = tmp_path_factory.mktemp("gguf") / "instruct.gguf"
    return make_gguf(
        path, dialogue=False, chat_template=chatml, words=WORDS, end_bias=4.0, context_tokens=4096
    )


@pytest.fixture
def dialogue_writer(dialogue_gguf: Path) -> Any:
    writer = LlamaCppWriter(str(dialogue_gguf))
    yield writer
    writer.close()


@pytest.fixture
def instruct_writer(instruct_gguf: Path) -> Any:
    writer = LlamaCppWriter(str(instruct_gguf))
    yield writer
    writer.close()
