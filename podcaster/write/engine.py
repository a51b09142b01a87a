"""What a writing engine is: a language model that goes on with a growing prompt."""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from podcaster.chat_form import ChatForm
from podcaster.model import Noun, Role


class Foretold(Noun, frozen=True):
    """How well a model foretells what one role says: `nats` over all of it.

    Tokens are the model's own, so perplexities compare only between models of one tokenizer; bits
    a character compare between all.
    """

    nats: float
    tokens: int
    characters: int

    @property
    def perplexity(self) -> float:
        """The exponential of the mean nats of a token."""
        return math.exp(min(700.0, self.nats / self.tokens)) if self.tokens else math.inf

    @property
    def bits_per_character(self) -> float:
        """Bits for all tokens over characters."""
        return self.nats / math.log(2) / self.characters if self.characters else math.inf

    def __add__(self, other: "Foretold") -> "Foretold":
        return Foretold(
            nats=self.nats + other.nats,
            tokens=self.tokens + other.tokens,
            characters=self.characters + other.characters,
        )


@dataclass(frozen=True)
class WriterModel:
    """What is known of an opened model.

    `chat` are the pieces of its chat template where it is small, and so talked to turn by turn
    (`commission.choose_form`); None for a model that writes a script.
    """

    name: str
    sha256: str
    parameters: int
    context_tokens: int
    chat: ChatForm | None


class Piece(NamedTuple):
    """A piece of what a model reads. `special`: a template's tokens in it count as such.

    `role`: whose it is to foretell; None: it is given.
    """

    text: str
    special: bool = False
    role: Role | None = None


@dataclass(frozen=True)
class Sampling:
    """How to sample. `stop_texts` end a candidate and are not part of it.

    `repeat_penalty` divides the logits of tokens that were among the last ones (CTRL, Keskar et
    al., 2019); 1: none.
    """

    temperature: float
    min_p: float
    max_tokens: int
    seed: int
    stop_texts: tuple[str, ...] = ()
    repeat_penalty: float = 1.0


@dataclass(frozen=True)
class Candidate:
    """One possible continuation. `finished`: the model ended it, rather than `max_tokens`.

    `mean_logprob` is in nats a token.
    """

    text: str
    finished: bool
    tokens: int
    mean_logprob: float


class Writer(Protocol):
    """A language model, opened, with a prompt that only grows, so that its cache is reused."""

    @property
    def id(self) -> str:
        """Engine, version and model hash; part of the script's fingerprint."""

    @property
    def model(self) -> WriterModel:
        """What is known of the model."""

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` takes."""

    def start(self, pieces: Sequence[Piece]) -> None:
        """Forget everything and evaluate `pieces`."""

    def start_chat(self, system: str, request: str) -> None:
        """Forget everything and evaluate a request through the model's own chat template.

        The prompt ends where the answer begins. Nothing in either text can spell a token of the
        template.
        """

    def append(self, pieces: Sequence[Piece]) -> None:
        """Grow the prompt. Raises EngineError where the context would overflow.

        What the cache holds then depends on the pieces handed in and on nothing else.
        """

    def room(self) -> int:
        """Tokens that still fit into the context."""

    def sample(
        self, opening: Sequence[Piece], count: int, sampling: Sampling
    ) -> Sequence[Candidate]:
        """Go on `count` times from prompt + `opening`; the prompt itself stays as it was."""

    def stream(self, opening: Sequence[Piece], sampling: Sampling) -> Generator[str, None, None]:
        """Go on once from prompt + `opening`, text by text as it is drawn: whole characters only.

        All of it together is the first candidate of `sample(opening, 1, sampling)`, without
        special tokens. The prompt stays as it was. Until the generator has ended or is closed,
        nothing else may be asked of the writer.
        """

    def complete_json(
        self, system: str, request: str, schema: dict[str, Any], sampling: Sampling
    ) -> str:
        """Answer one request with JSON that a grammar made from `schema` constrains.

        It goes through the model's chat template, and forgets the prompt.
        """

    def counts(self) -> dict[str, float]:
        """What was done so far: `tokens_evaluated`, `tokens_sampled`, `decode_s`."""

    def close(self) -> None:
        """Free the model; it is not used afterwards."""


class Reader(Protocol):
    """A language model, opened to read what others said."""

    @property
    def chat(self) -> ChatForm | None:
        """The pieces of a small model's chat template; None for a model that reads scripts."""

    def chat_pieces(self, system: str, request: str) -> list[Piece]:
        """A request through the model's chat template, up to where the answer begins."""

    def read(self, head: Sequence[Piece], turns: Sequence[Sequence[Piece]]) -> dict[Role, Foretold]:
        """Foretell the pieces of turns that belong to a role, each from all that is before it.

        Where the context is full, it begins anew with the head; a turn longer than a whole context
        is cut. Pieces are tokenised one by one.
        """

    def close(self) -> None:
        """Free the model; it is not used afterwards."""
