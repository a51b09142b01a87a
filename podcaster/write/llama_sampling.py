"""Choose tokens with llama.cpp's samplers: DRY, min-p, temperature, a seeded draw, a grammar."""

import ctypes
import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
from llama_cpp.llama_grammar import LlamaGrammar
from numpy.typing import NDArray

from podcaster.errors import EngineError
from podcaster.write.engine import Sampling

# DRY ("don't repeat yourself", llama.cpp #9702) makes it costly to go on with a sequence that was
# there before; short ones are how people talk, and names must stay sayable
DRY_MULTIPLIER = 0.8
DRY_BASE = 1.75
DRY_ALLOWED_TOKENS = 5
DRY_LAST_TOKENS = 64  # a loop is shorter, and looking further back costs as much as drawing
PENALTY_LAST_TOKENS = 192  # the turn and the ones before it
MARGIN_NATS = 3.0  # by which DRY may lower the likeliest tokens before unlikely ones are missed
LOWEST_MIN_P = 1e-4
LOGPROB_EVERY = 4  # tokens; a mean over some ranks candidates as well as one over all

_MULTIPLES = np.arange(1024)


class TokenChooser:
    """One growing candidate: its sampler, its tokens and how likely they were."""

    def __init__(self, chain: Any) -> None:
        self.chain = chain
        self.tokens: list[int] = []
        self.ended_by: int | None = None
        self.stopped = False
        self.logprob_sum = 0.0
        self.logprobs = 0

    @property
    def mean_logprob(self) -> float:
        """In nats a token, before temperature and truncation."""
        return self.logprob_sum / self.logprobs if self.logprobs else 0.0


class TokenLists:
    """Memory for llama.cpp's lists of tokens to choose from, used again for every draw.

    All candidates' lists lie behind each other, so that numpy fills them in one go.
    """

    def __init__(self, vocab_size: int, lists: int) -> None:
        self._tokens = np.empty(
            vocab_size * lists,
            dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)],
        )
        self._ids, self._logits = self._tokens["id"], self._tokens["logit"]
        # the columns of a llama_token_data_array: address, size, selected, sorted
        self._arrays = np.zeros((lists, 4), dtype=np.int64)
        assert ctypes.sizeof(lib.llama_token_data_array) == self._arrays.itemsize * 4
        self._references = [
            ctypes.byref(lib.llama_token_data_array.from_buffer(row))  # type: ignore[arg-type]
            for row in self._arrays
        ]

    def fill(
        self, ids: NDArray[Any], logits: NDArray[np.float32], ends: NDArray[Any]
    ) -> Sequence[Any]:
        """Hold lists of tokens; list `i` is `ids[ends[i]:ends[i + 1]]`. Returns what samplers take.

        `ids` and `logits` are `(n_tokens,)`, `ends` is `(n_lists + 1,)` and begins with 0.
        """
        count = len(ends) - 1
        self._ids[: len(ids)] = ids
        self._logits[: len(ids)] = logits
        arrays = self._arrays[:count]
        arrays[:, 0] = self._tokens.ctypes.data + self._tokens.itemsize * ends[:-1]
        arrays[:, 1] = np.diff(ends)
        arrays[:, 2] = -1
        arrays[:, 3] = 0
        return self._references[:count]

    def selected(self, ends: NDArray[Any]) -> NDArray[np.int32]:
        """The tokens that samplers chose, one a list."""
        chosen: NDArray[np.int32] = self._ids[ends[:-1] + self._arrays[: len(ends) - 1, 2]]
        return chosen

    def possible(self, count: int) -> NDArray[np.int32]:
        """Those of the first `count` tokens that a grammar left possible."""
        kept: NDArray[np.int32] = self._ids[:count][np.isfinite(self._logits[:count])]
        return kept

    def draw(
        self,
        choosers: Sequence[TokenChooser],
        logits: NDArray[np.float32],
        *,
        floor_nats: float,
        measure: bool,
    ) -> list[int]:
        """Draw a token for each chooser from its row of logits `(n_choosers, n_vocab)`.

        One pass of numpy over all rows leaves llama.cpp's samplers some hundred tokens instead of
        the whole vocabulary, at a fraction of the time; what is left out is less likely than the
        likeliest by e**-floor_nats (see the function), which min-p would drop anyway. With
        `measure` the choosers note how likely their tokens were among those left.
        """
        rows, size = logits.shape
        highest = logits.max(axis=1)
        # flat: numpy looks for the true ones of a matrix ten times as long
        places = np.flatnonzero(logits > (highest - floor_nats)[:, None])
        ends = np.searchsorted(places, _MULTIPLES[: rows + 1] * size)
        likely = logits.reshape(-1)[places]
        references = self.fill(places % size, likely, ends)
        for chooser, reference in zip(choosers, references, strict=True):
            lib.llama_sampler_apply(chooser.chain, reference)
        tokens = self.selected(ends)
        if measure:
            spread = np.add.reduceat(np.exp(likely - np.repeat(highest, np.diff(ends))), ends[:-1])
            logprobs = logits[_MULTIPLES[:rows], tokens] - highest - np.log(spread)
            for chooser, logprob in zip(choosers, logprobs.tolist(), strict=True):
                chooser.logprob_sum += logprob
                chooser.logprobs += 1
        drawn: list[int] = tokens.tolist()
        for chooser, token in zip(choosers, drawn, strict=True):
            lib.llama_sampler_accept(chooser.chain, token)
        return drawn


class SamplerMaker:
    """Makes sampler chains for one vocabulary."""

    def __init__(self, vocab: Any, context_tokens: int) -> None:
        self._vocab_size = lib.llama_vocab_n_tokens(vocab)
        breakers = (ctypes.c_char_p * 1)(b"\n")
        self._dry = lib.llama_sampler_init_dry(
            vocab,
            DRY_MULTIPLIER,
            DRY_BASE,
            DRY_ALLOWED_TOKENS,
            min(DRY_LAST_TOKENS, context_tokens),
            breakers,
            1,
        )

    @contextmanager
    def chains(
        self, sampling: Sampling, seeds: Sequence[int], recent: Sequence[int]
    ) -> Iterator[list[Any]]:
        """Lend a chain for each seed; all know the `recent` tokens."""
        chains: list[Any] = []
        primed = [lib.llama_sampler_clone(self._dry)]
        if sampling.repeat_penalty != 1.0:
            primed.append(
                lib.llama_sampler_init_penalties(
                    self._vocab_size, PENALTY_LAST_TOKENS, sampling.repeat_penalty, 0.0, 0.0
                )
            )
        try:
            for token in recent[-PENALTY_LAST_TOKENS:]:
                for sampler in primed:
                    lib.llama_sampler_accept(sampler, token)
            for seed in seeds:
                chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
                chains.append(chain)
                for sampler in primed:
                    lib.llama_sampler_chain_add(chain, lib.llama_sampler_clone(sampler))
                for sampler in _choosing(sampling, seed):
                    lib.llama_sampler_chain_add(chain, sampler)
            yield chains
        finally:
            for sampler in primed:
                lib.llama_sampler_free(sampler)
            for chain in chains:
                lib.llama_sampler_free(chain)

    def close(self) -> None:
        """Free what is held."""
        lib.llama_sampler_free(self._dry)


def view_logits(context: Any, rows: int, size: int) -> NDArray[np.float32]:
    """The context's logits `(rows, size)`, in place: valid until the next decode."""
    address = ctypes.addressof(lib.llama_get_logits(context).contents)
    memory = (ctypes.c_float * (rows * size)).from_address(address)
    logits: NDArray[np.float32] = np.frombuffer(memory, dtype=np.float32)  # type: ignore[call-overload]
    return logits.reshape(rows, size)


def floor_nats(min_p: float) -> float:
    """How far below the likeliest token a token's logit may lie to be worth a look."""
    return MARGIN_NATS - math.log(max(min_p, LOWEST_MIN_P))


def _choosing(sampling: Sampling, seed: int) -> list[Any]:
    if sampling.temperature == 0:
        return [lib.llama_sampler_init_greedy()]
    return [
        lib.llama_sampler_init_min_p(sampling.min_p, 1),
        lib.llama_sampler_init_temp(sampling.temperature),
        lib.llama_sampler_init_dist(seed),
    ]


class Grammar:
    """Holds an answer to the grammar made from a JSON schema."""

    def __init__(self, vocab: Any, vocab_size: int, schema: dict[str, Any]) -> None:
        try:
            grammar = LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False)
        except Exception as error:  # the converter raises whatever it stumbles over
            raise EngineError(f"The schema cannot be made a grammar: {error}.") from error
        self._size = vocab_size
        self._lists = TokenLists(vocab_size, 1)
        self._sampler = lib.llama_sampler_init_grammar(vocab, grammar._grammar.encode(), b"root")
        if not self._sampler:
            raise EngineError("llama.cpp refuses the grammar that was made from the schema.")

    def __enter__(self) -> "Grammar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        lib.llama_sampler_free(self._sampler)

    def choose(self, chain: Any, context: Any) -> int:
        """Draw a token that the grammar allows.

        The free choice is looked at first: mostly it is allowed, and checking one token against
        the grammar is cheaper than checking a whole vocabulary.
        """
        everything = np.arange(self._size)
        logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(context, -1), shape=(self._size,))
        token = self._draw(chain, everything, logits)
        if not len(self._allowed(everything[token : token + 1], logits[token : token + 1])):
            ids = self._allowed(everything, logits)
            token = self._draw(chain, ids, logits[ids])
        lib.llama_sampler_accept(self._sampler, token)
        lib.llama_sampler_accept(chain, token)
        return token

    def _draw(self, chain: Any, ids: NDArray[Any], logits: NDArray[np.float32]) -> int:
        ends = np.array([0, len(ids)])
        lib.llama_sampler_apply(chain, self._lists.fill(ids, logits, ends)[0])
        return int(self._lists.selected(ends)[0])

    def _allowed(self, ids: NDArray[Any], logits: NDArray[np.float32]) -> NDArray[np.int32]:
        ends = np.array([0, len(ids)])
        lib.llama_sampler_apply(self._sampler, self._lists.fill(ids, logits, ends)[0])
        return self._lists.possible(len(ids)).copy()
