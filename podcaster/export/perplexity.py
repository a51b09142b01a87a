"""How well an exported file foretells held-out text, and whether it does as the unquantised one.

Perplexity is e to the mean negative log-likelihood of a token, each text read from its own start
(https://huggingface.co/docs/transformers/perplexity without the sliding window: a text longer than
the context goes on in a window of its own).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from podcaster.errors import EngineError
from podcaster.export.llama_cpp import LlamaCppModel

LONGEST_WINDOW_TOKENS = 4096  # of a model that takes more: its cache would not fit everywhere
FEWEST_TOKENS = 2  # of a window: the first is not foretold
MOST_NATS = 700.0  # a token; e to more is no number any more
ROWS_AT_ONCE = 64  # of logits that are copied as float64 or exponentiated


@dataclass(frozen=True)
class Reading:
    """What a file made of the held-out text: nats of all tokens foretold, and its own guesses.

    `guesses` `(tokens,)` is the likeliest token at each position.
    """

    nats: float
    guesses: NDArray[np.int32]

    @property
    def tokens(self) -> int:
        """Those that were foretold."""
        return len(self.guesses)

    @property
    def perplexity(self) -> float:
        """Of a token."""
        return math.exp(min(self.nats / self.tokens, MOST_NATS))

    def agreement(self, other: "Reading") -> float:
        """The share of positions at which both think the same token likeliest."""
        return float((self.guesses == other.guesses).mean())


def read_texts(
    model: LlamaCppModel,
    texts: Sequence[str],
    *,
    most_tokens: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Reading | None:
    """Read texts until `most_tokens` are foretold; None where there is nothing to foretell.

    `report` hears how many of how many tokens were read. Raises EngineError where llama.cpp fails,
    or where its logits are not numbers.
    """
    window_tokens = min(model.context_tokens, LONGEST_WINDOW_TOKENS)
    windows = list(_cut_windows(model, texts, window_tokens, most_tokens))
    if not windows:
        return None
    total = sum(map(len, windows))
    nats, done = 0.0, 0
    guesses: list[NDArray[np.int32]] = []
    with model.open_reader(max(map(len, windows))) as reader:
        for ids in windows:
            place = 0
            for logits in reader.read(ids):
                wanted = np.array(ids[place + 1 : place + 1 + len(logits)], np.int64)
                place += len(logits)
                nats += _sum_nats(logits[: len(wanted)], wanted)
                guesses.append(logits[: len(wanted)].argmax(axis=1).astype(np.int32))
            done += len(ids)
            report(done, total)
    if not math.isfinite(nats):
        raise EngineError(f"The logits of {model.path.name} are not all numbers.")
    return Reading(nats, np.concatenate(guesses))


def _cut_windows(
    model: LlamaCppModel, texts: Sequence[str], window_tokens: int, most_tokens: int
) -> Iterator[list[int]]:
    left = most_tokens
    for text in texts:
        ids = model.tokenize(text)
        for start in range(0, len(ids), window_tokens):
            window = ids[start : start + min(window_tokens, left + 1)]
            if len(window) >= FEWEST_TOKENS:
                yield window
                left -= len(window) - 1
            if left <= 0:
                return


def _sum_nats(logits: NDArray[np.float32], wanted: NDArray[np.int64]) -> float:
    """Minus the log-likelihood of `wanted` `(n,)` under `logits` `(n, vocab)`."""
    nats = 0.0
    for start in range(0, len(wanted), ROWS_AT_ONCE):
        part = logits[start : start + ROWS_AT_ONCE]
        top = part.max(axis=1)
        norm = top + np.log(np.exp(part - top[:, None]).sum(axis=1, dtype=np.float64))
        nats += float((norm - part[np.arange(len(part)), wanted[start : start + len(part)]]).sum())
    return nats
