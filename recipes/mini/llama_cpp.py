"""A dialogue model in llama.cpp, as the proof needs it: read passages, talk, be timed.

Its own vocabulary and template come out of the GGUF file, so files of any size, context and
tokenizer can be compared.
"""

import contextlib
import ctypes
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
import numpy.typing as npt

from podcaster.dialogue import DialogueTemplate, template_from_metadata
from podcaster.errors import EngineError
from podcaster.model import Role
from podcaster.write.engine import Sampling
from podcaster.write.gguf_file import check_gguf
from podcaster.write.llama_cpp import LlamaCppWriter
from podcaster.write.llama_opening import last_log_line, load_model, read_metadata
from podcaster.write.llama_sampling import view_logits
from recipes.mini.passages import Passage

THREADS = 2
UBATCH_TOKENS = 512
TEMPERATURE = 0.8
TOP_K = 60
TOP_P = 0.95
MIN_P = 0.05
REPEAT_PENALTY = 1.1
PENALTY_LAST_TOKENS = 64
TOGETHER = 20  # conversations in a batch; the writer has as many candidates for a turn
LONGEST_TURN_TOKENS = 160
CONVERSATION_TOKENS = 1024  # the same room for all models, whatever their context
ROWS_AT_ONCE = 256  # of logits

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True)
class Score:
    """How well a model foretells text: nats and tokens of everything predicted, bytes of speech."""

    nats: float = 0.0
    tokens: int = 0
    spoken_bytes: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            nats=self.nats + other.nats,
            tokens=self.tokens + other.tokens,
            spoken_bytes=self.spoken_bytes + other.spoken_bytes,
        )

    @property
    def bits_per_byte(self) -> float:
        """Bits for all tokens predicted over bytes of spoken text alone."""
        return self.nats / self.spoken_bytes / float(np.log(2)) if self.spoken_bytes else 0.0


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What a conversation is asked to be about; without keywords the header has no topic."""

    names: tuple[str, ...]
    keywords: tuple[str, ...]
    seed: int


@dataclass(frozen=True, kw_only=True)
class Row:
    """A window: ids `(n,)`, and `counted (n,)`: which of them the model is to foretell."""

    ids: Ids
    counted: npt.NDArray[np.bool_]


@dataclass(kw_only=True)
class _Talk:
    """A conversation that is going on in one sequence of the cache."""

    number: int
    chain: Any
    pending: list[int]  # not decoded yet
    length: int = 0  # tokens decoded
    output: int = 0  # where in the last batch its logits are
    said: list[int] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)


class DialogueModel:
    """An open model; a context manager. Raises EngineError where the file is no dialogue model."""

    def __init__(self, path: Path, *, threads: int = THREADS) -> None:
        check_gguf(path)
        self.path = path
        self.threads = threads
        self._resources = contextlib.ExitStack()
        try:
            self._model = load_model(path, 0, self._resources)
            template = template_from_metadata(read_metadata(self._model))
            if template is None:
                raise EngineError(f"The model {path.name} has no dialogue template.")
        except BaseException:
            self._resources.close()
            raise
        self.template: DialogueTemplate = template
        self._vocab = lib.llama_model_get_vocab(self._model)
        self.vocab_size = int(lib.llama_vocab_n_tokens(self._vocab))
        self.context_tokens = int(lib.llama_model_n_ctx_train(self._model))
        self.parameters = int(lib.llama_model_n_params(self._model))
        self._special = {token: self._single(token) for token in template.special_tokens()}
        self._stops = frozenset(self._special.values())
        self._bytes = np.array([len(self._piece(token)) for token in range(self.vocab_size)])

    def __enter__(self) -> "DialogueModel":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the model."""
        self._resources.close()

    # -- tokens -------------------------------------------------------------------------------

    def tokenize(self, text: str) -> list[int]:
        """The ids of a text, in which the template's tokens count as such."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(self._vocab, data, len(data), tokens, room, False, True)
        if count < 0:
            raise EngineError(f"The model's vocabulary cannot spell {text[:40]!r}.")
        return list(tokens[:count])

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens left out."""
        return b"".join(self._piece(token) for token in ids).decode("utf-8", "replace")

    def turn_ids(self, role: Role, text: str) -> list[int]:
        """The ids of a whole turn, from its role to its end."""
        return self.tokenize(self.template.format_turn(role, text))

    def spoken_bytes(self, ids: npt.ArrayLike) -> int:
        """How many bytes of text the ids spell; the special ones none."""
        return int(self._bytes[np.asarray(ids, dtype=np.int64)].sum())

    def vocabulary(self) -> tuple[bytes, ...]:
        """What every id spells; models with the same vocabulary can share a baseline."""
        return tuple(self._piece(token) for token in range(self.vocab_size))

    def _single(self, token: str) -> int:
        ids = self.tokenize(token)
        if len(ids) != 1:
            raise EngineError(f"The vocabulary of {self.path.name} lacks the token {token}.")
        return ids[0]

    def _piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(512)
        size = lib.llama_token_to_piece(self._vocab, token, buffer, 512, 0, False)
        return buffer.raw[: max(0, size)]

    # -- reading ------------------------------------------------------------------------------

    def lay_out(self, passage: Passage, context: int) -> list[Row]:
        """Windows of at most `context + 1` ids that hold every turn of a passage once.

        Where a turn does not fit any more, the next window begins anew: the names, the topic that
        is talked about, that turn. Headers are given and not counted. A turn longer than a whole
        window goes on in the next one, after its role.
        """
        template = self.template
        header = self.tokenize(template.format_header(passage.names, ()))
        topic: list[int] = []
        rows: list[Row] = []
        ids, counted, empty = list(header), [False] * len(header), True

        def flush() -> None:
            nonlocal ids, counted, empty
            if any(counted):
                rows.append(Row(ids=np.array(ids, np.int32), counted=np.array(counted)))
            ids = [*header, *topic]
            counted, empty = [False] * len(ids), True

        for turn in passage.turns:
            fresh = self.tokenize(template.format_topic(turn.topic)) if turn.topic else []
            said = self.turn_ids(turn.role, turn.text)
            topic = fresh or topic
            if not empty and len(ids) + len(fresh) + len(said) > context + 1:
                flush()
                fresh = []
            ids += fresh
            counted += [False] * len(fresh)
            known = 0  # of the turn, its role was counted before
            while len(ids) + len(said) > context + 1:
                room = context + 1 - len(ids)
                if room <= known:
                    raise EngineError(f"A context of {context} tokens is too short for a header.")
                ids += said[:room]
                counted += [False] * known + [True] * (room - known)
                said = [said[0], *said[room:]]
                known = 1
                flush()
            ids += said
            counted += [False] * known + [True] * (len(said) - known)
            empty = False
        flush()
        return rows

    def score(self, passages: Sequence[Passage], context: int) -> Score:
        """Read passages in windows of `context` tokens, each from its start."""
        if context > self.context_tokens:
            raise EngineError(
                f"The model {self.path.name} has a context of {self.context_tokens} tokens, "
                f"asked to read {context}."
            )
        total = Score()
        with self._open_context(cells=context, batch_tokens=context, sequences=1) as (live, batch):
            for passage in passages:
                for row in self.lay_out(passage, context):
                    total += self._score_row(live, batch, row)
        return total

    def _score_row(self, context: Any, batch: Any, row: Row) -> Score:
        lib.llama_memory_clear(lib.llama_get_memory(context), True)
        wanted = row.ids[1:][row.counted[1:]]
        for i, token in enumerate(row.ids[:-1].tolist()):
            self._put(batch, i, token, i, 0, wanted=bool(row.counted[i + 1]))
        self._decode(context, batch, len(row.ids) - 1)
        logits = view_logits(context, len(wanted), self.vocab_size)
        nats = 0.0
        for start in range(0, len(wanted), ROWS_AT_ONCE):
            part = logits[start : start + ROWS_AT_ONCE]
            top = part.max(axis=1)
            norm = top + np.log(np.exp(part - top[:, None]).sum(axis=1, dtype=np.float64))
            chosen = part[np.arange(len(part)), wanted[start : start + ROWS_AT_ONCE]]
            nats += float((norm - chosen).sum())
        return Score(nats=nats, tokens=len(wanted), spoken_bytes=self.spoken_bytes(wanted))

    # -- talking ------------------------------------------------------------------------------

    def converse(
        self, prompts: Sequence[Prompt], *, turns: int, together: int = TOGETHER
    ) -> list[list[str]]:
        """Let host and guest speak by turns, for each prompt; returns the turns' texts.

        Turns are cut at LONGEST_TURN_TOKENS. A conversation that has no room left for one more
        such turn ends there.
        """
        room = min(CONVERSATION_TOKENS, self.context_tokens)
        longest = min(LONGEST_TURN_TOKENS, room // 4)
        finished: list[list[str]] = [[] for _ in prompts]
        slots: dict[int, _Talk | None] = dict.fromkeys(range(min(together, len(prompts))))
        cells = room * len(slots)
        with (
            self._open_context(cells=cells, batch_tokens=cells, sequences=len(slots)) as opened,
            contextlib.ExitStack() as chains,
        ):
            context, batch = opened
            memory = lib.llama_get_memory(context)
            waiting = iter(enumerate(prompts))
            while True:
                for sequence, talk in slots.items():
                    if talk is None and (following := next(waiting, None)):
                        slots[sequence] = self._begin(*following, chains)
                going = {s: talk for s, talk in slots.items() if talk is not None}
                if not going:
                    return finished
                self._feed(context, batch, going)
                for sequence, talk in going.items():
                    token = lib.llama_sampler_sample(talk.chain, context, talk.output)
                    if not self._go_on(talk, token, turns=turns, longest=longest, room=room):
                        finished[talk.number] = talk.turns
                        lib.llama_memory_seq_rm(memory, sequence, -1, -1)
                        slots[sequence] = None

    def _begin(self, number: int, prompt: Prompt, chains: contextlib.ExitStack) -> _Talk:
        header = self.template.format_header(prompt.names, prompt.keywords)
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        chains.callback(lib.llama_sampler_free, chain)
        for sampler in (
            lib.llama_sampler_init_penalties(
                self.vocab_size, PENALTY_LAST_TOKENS, REPEAT_PENALTY, 0.0, 0.0
            ),
            lib.llama_sampler_init_top_k(TOP_K),
            lib.llama_sampler_init_top_p(TOP_P, 1),
            lib.llama_sampler_init_min_p(MIN_P, 1),
            lib.llama_sampler_init_temp(TEMPERATURE),
            lib.llama_sampler_init_dist(prompt.seed),
        ):
            lib.llama_sampler_chain_add(chain, sampler)
        opened = self.tokenize(header + self.template.open_turn("host"))
        return _Talk(number=number, chain=chain, pending=opened)

    def _feed(self, context: Any, batch: Any, going: dict[int, _Talk]) -> None:
        """Decode what is pending in all sequences as one batch."""
        count = 0
        for sequence, talk in going.items():
            for token in talk.pending:
                self._put(batch, count, token, talk.length, sequence, wanted=False)
                talk.length += 1
                count += 1
            talk.pending = []
            talk.output = count - 1
            batch.logits[count - 1] = 1
        self._decode(context, batch, count)

    def _go_on(self, talk: _Talk, token: int, *, turns: int, longest: int, room: int) -> bool:
        """Take the token that was drawn; returns whether the conversation goes on."""
        stopped = token in self._stops
        if not stopped:
            talk.said.append(token)
            if len(talk.said) < longest:
                talk.pending = [token]
                return True
        talk.turns.append(self.detokenize(talk.said).strip())
        role: Role = "guest" if len(talk.turns) % 2 else "host"
        opened = self._special[self.template.role_token(role)]
        talk.pending = [*talk.said[-1:]] if not stopped else []
        talk.pending += [self._special[self.template.end], opened]
        talk.said = []
        return len(talk.turns) < turns and talk.length + len(talk.pending) + longest <= room

    # -- speed --------------------------------------------------------------------------------

    def measure_speed(self, *, tokens: int = 400, rounds: int = 3) -> float:
        """Tokens a second, one after the other in one sequence, sampling included: the median."""
        rates: list[float] = []
        room = min(self.context_tokens, CONVERSATION_TOKENS)
        tokens = min(tokens, room // 2)
        for number in range(rounds):
            with (
                self._open_context(cells=room, batch_tokens=room, sequences=1) as opened,
                contextlib.ExitStack() as chains,
            ):
                talk = self._begin(0, Prompt(names=(), keywords=(), seed=number), chains)
                self._feed(*opened, {0: talk})
                started = time.perf_counter()
                for _ in range(tokens):
                    token = lib.llama_sampler_sample(talk.chain, opened[0], talk.output)
                    talk.pending = [token]
                    self._feed(*opened, {0: talk})
                rates.append(tokens / (time.perf_counter() - started))
        return statistics.median(rates)

    # -- llama.cpp ----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _open_context(
        self, *, cells: int, batch_tokens: int, sequences: int
    ) -> Iterator[tuple[Any, Any]]:
        """Lend a context, each of whose sequences has its own share of the cells, and a batch."""
        settings = lib.llama_context_default_params()
        settings.n_ctx = cells
        settings.n_batch = batch_tokens
        settings.n_ubatch = min(UBATCH_TOKENS, batch_tokens)
        settings.n_seq_max = sequences
        settings.n_outputs_max_per_seq = 0  # as many as there are
        settings.kv_unified = False
        settings.no_perf = True
        settings.n_threads = settings.n_threads_batch = self.threads
        context = lib.llama_init_from_model(self._model, settings)
        if not context:
            raise EngineError(f"llama.cpp cannot open a context of {cells} tokens.")
        batch = lib.llama_batch_init(batch_tokens, 0, 1)
        try:
            yield context, batch
        finally:
            lib.llama_batch_free(batch)
            lib.llama_free(context)

    @staticmethod
    def _put(batch: Any, i: int, token: int, position: int, sequence: int, *, wanted: bool) -> None:
        batch.token[i] = token
        batch.pos[i] = position
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = sequence
        batch.logits[i] = wanted

    def _decode(self, context: Any, batch: Any, count: int) -> None:
        batch.n_tokens = count
        status = lib.llama_decode(context, batch)
        if status != 0:
            raise EngineError(
                f"llama.cpp could not evaluate {count} tokens (status {status}: {last_log_line()})."
            )


def measure_writer_speed(path: Path, *, tokens: int = 120, rounds: int = 3) -> float:
    """Tokens a second of the writer's own engine with as many candidates as it takes: the median.

    Candidates that end are not replaced, as in writing.
    """
    writer = LlamaCppWriter(str(path), threads=THREADS)
    template = writer.model.template or DialogueTemplate()
    rates: list[float] = []
    try:
        writer.start(template.format_header((), ()) + template.format_turn("host", "Welcome."))
        for number in range(rounds):
            sampling = Sampling(
                temperature=TEMPERATURE, min_p=MIN_P, max_tokens=tokens, seed=number
            )
            before = writer.counts()["tokens_sampled"]
            started = time.perf_counter()
            writer.sample(template.open_turn("guest"), TOGETHER, sampling)
            seconds = time.perf_counter() - started
            rates.append((writer.counts()["tokens_sampled"] - before) / seconds)
    finally:
        writer.close()
    return statistics.median(rates)
