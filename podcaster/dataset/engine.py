"""The engine of `dataset`: a model's own tokenizer, which says how long a text is for it."""

from collections.abc import Sequence
from typing import Protocol

from podcaster.dataset.chat import ChatTemplate
from podcaster.dataset.options import FEWEST_CONTEXT_TOKENS
from podcaster.errors import ConfigError

LONGEST_DEFAULT_CONTEXT = 4096  # of a model that takes more: longer ones need more memory to train


class Tokenizer(Protocol):
    """Counts tokens as its model would.

    `id` is the library with version, and a hash of the vocabulary. `context_tokens` is what the
    model was trained with, 0 where nobody says. `chat` spells conversations.
    """

    @property
    def id(self) -> str:
        """What decides the counts."""

    @property
    def context_tokens(self) -> int:
        """The model's context; 0: unknown."""

    @property
    def chat(self) -> ChatTemplate:
        """The model's chat template; ChatML where it has none."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text, in which special tokens are spelled out; nothing is added to it.

        Raises EngineError.
        """

    def close(self) -> None:
        """Give its memory back."""


def choose_context(tokenizer: Tokenizer, wanted: int) -> int:
    """The longest example in tokens; `wanted` 0: the model's own context, within reason.

    Raises ConfigError for more than the model was trained with, or too few to talk.
    """
    own = tokenizer.context_tokens
    if wanted and (wanted < FEWEST_CONTEXT_TOKENS or (own and wanted > own)):
        most = f" to {own}" if own else " on"
        raise ConfigError(
            f"The context is to be {wanted} tokens, expected from {FEWEST_CONTEXT_TOKENS}{most}.",
            next_step="Give another with `--context`, or 0 for the model's own.",
        )
    return wanted or min(own or LONGEST_DEFAULT_CONTEXT, LONGEST_DEFAULT_CONTEXT)
