"""A `Writer` that says what a test lets it say: the checks are what is tested, not the model."""

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from podcaster.chat_form import ChatForm
from podcaster.model import Role
from podcaster.write.engine import Candidate, Piece, Sampling, WriterModel
from tests.write.conftest import WORDS
from tests.write.tiny_gguf import CHATML

HOST = "Robin Hale"

# (who speaks, what was said before, number of the candidate) -> what it says
Says = Callable[[Role, str, int], str]


class ScriptedWriter:
    """`large`: it writes a script, and `answers` its requests for JSON, the last one for ever."""

    id = "scripted 1"

    def __init__(
        self, says: Says, *, large: bool = False, answers: Sequence[str] = (), context: int = 4096
    ) -> None:
        self._says = says
        self._answers = list(answers)
        self._heard = ""
        self._said = 0
        self.requests: list[str] = []
        self.pieces: list[Piece] = []
        chat = None if large else ChatForm(CHATML)
        parameters = 8_000_000_000 if large else 135_000_000
        self.model = WriterModel("scripted", "0" * 64, parameters, context, chat)

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def start(self, pieces: Sequence[Piece]) -> None:
        self._heard = ""
        self.pieces += pieces

    def start_chat(self, system: str, request: str) -> None:
        self.requests.append(request)

    def append(self, pieces: Sequence[Piece]) -> None:
        self.pieces += pieces
        self._heard = next(piece.text for piece in pieces if not piece.special)

    def room(self) -> int:
        return self.model.context_tokens

    def sample(
        self, opening: Sequence[Piece], count: int, sampling: Sampling
    ) -> Sequence[Candidate]:
        self.pieces += opening
        opened = opening[0].text
        role: Role = "host" if opened.startswith(("<|im_start|>user", HOST)) else "guest"
        texts = []
        for _ in range(count):
            texts.append(self._says(role, self._heard.strip(), self._said))
            self._said += 1
        return [Candidate(f" {text}", True, len(text.split()), -2.0) for text in texts]

    def stream(self, opening: Sequence[Piece], sampling: Sampling) -> Generator[str, None, None]:
        yield self.sample(opening, 1, sampling)[0].text

    def complete_json(
        self, system: str, request: str, schema: dict[str, Any], sampling: Sampling
    ) -> str:
        self.requests.append(request)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def counts(self) -> dict[str, float]:
        return {"tokens_evaluated": 0, "tokens_sampled": self._said, "decode_s": 0.0}

    def close(self) -> None:
        pass


def talk_sense() -> Says:
    """Say something new in each turn: questions that take up a word, answers of two sentences."""
    fresh = _words()

    def says(role: Role, heard: str, number: int) -> str:
        a, b, c, d, e, f = (next(fresh) for _ in range(6))
        if role == "host":
            named = next((w for w in reversed(heard.split()) if len(w) > 4), "that")
            return f"And what did the {named.strip('.?,')} have to do with {a}?"
        return (
            f"We carried a {a} and one {b} down to the {c} before anybody woke up. "
            f"My {d} laughed at our {e}, but nobody minded the {f}."
        )

    return says


def _words() -> Iterator[str]:
    while True:
        yield from (word.strip() for word in WORDS[14:-2])
