"""Little conversations, and a tokenizer that everybody understands: a token a word."""

import re
from collections.abc import Sequence

from podcaster.dataset.chat import ChatTemplate
from podcaster.dataset.clean import SpokenTurn
from podcaster.dataset.examples import Talk
from podcaster.model import Role

_TOKEN = re.compile(r"<\|[a-z_]+\|>|[^\s<|]{1,6}")


class WordTokenizer:
    """A `Tokenizer` whose tokens are special tokens and pieces of words of six letters."""

    id = "words 1"
    context_tokens = 0

    def __init__(self, *, template: str = "") -> None:
        self.chat = ChatTemplate(template) if template else ChatTemplate()

    def count(self, texts: Sequence[str]) -> list[int]:
        return [len(_TOKEN.findall(text)) for text in texts]

    def close(self) -> None:
        pass


SIDES: dict[str, Role] = {"Ann": "host", "Bob": "guest", "Cy": "other"}


def say(speaker: str, words: int, *, chapter: int = -1, about: str = "tea") -> SpokenTurn:
    """A turn of about so many words, in sentences of five."""
    sentences = [f"{about.title()} number {n} is good." for n in range(max(1, words // 5))]
    return SpokenTurn(speaker, " ".join(sentences), chapter)


def talk_of(turns: Sequence[SpokenTurn], **known: object) -> Talk:
    """A recording with these turns."""
    fields: dict[str, object] = {
        "recording": "tea-1",
        "show": "Tea Talk",
        "title": "On tea",
        "turns": turns,
        "roles": SIDES,
        "sides": SIDES,
    }
    return Talk(**(fields | known))  # type: ignore[arg-type]
