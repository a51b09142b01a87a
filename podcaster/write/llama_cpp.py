"""Write with llama.cpp: any GGUF model, several candidates at once, over one shared cache."""

import contextlib
import ctypes
import hashlib
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as lib
import numpy as np

from podcaster.errors import EngineError
from podcaster.write.engine import Candidate, Piece, Sampling, WriterModel
from podcaster.write.gguf_file import check_gguf, hash_together, sha256_model
from podcaster.write.llama_opening import (
    BATCH_TOKENS,
    MOST_PARALLEL,
    Adapter,
    choose_context_tokens,
    count_parameters,
    last_log_line,
    load_model,
    open_context,
    read_chat_form,
    read_chat_template,
    read_metadata,
)
from podcaster.write.llama_sampling import (
    LOGPROB_EVERY,
    Grammar,
    SamplerMaker,
    TokenChooser,
    TokenLists,
    floor_nats,
    view_logits,
)
from podcaster.write.streaming import StreamedText

ADAPTER_SCALE = 0.7  # all of it foretells talk best, and rambles most: docs/log.md
SAMPLING_CELLS = 2048  # for the candidates, beside the prompt's own
PROMPT_SEQUENCE = 0


class LlamaCppWriter:
    """A `Writer` over llama.cpp. `gpu_layers` -1: all of them, where there is a GPU.

    `adapter` is a LoRA adapter as GGUF, applied in conversations. Raises InputError where a path is
    no file, EngineError where it is no model that can write, or no adapter of it.
    """

    def __init__(
        self,
        path: str,
        context_tokens: int = 0,
        threads: int = 0,
        gpu_layers: int = -1,
        adapter: str = "",
    ) -> None:
        self._resources = contextlib.ExitStack()
        file = Path(path)
        check_gguf(file)
        if adapter:
            check_gguf(Path(adapter))
        try:
            self._model = load_model(file, gpu_layers, self._resources)
            self._vocab = lib.llama_model_get_vocab(self._model)
            metadata = read_metadata(self._model)
            self._chat = read_chat_template(metadata, self._vocab)
            name = metadata.get("general.name", "").strip() or file.stem
            window = choose_context_tokens(self._model, file, context_tokens)
            digests = [sha256_model(file)] + ([sha256_model(Path(adapter))] if adapter else [])
            self._description = WriterModel(
                name=name[:120],
                sha256=digests[0] if len(digests) == 1 else hash_together(digests),
                parameters=count_parameters(self._model),
                context_tokens=window,
                chat=read_chat_form(self._model, metadata, self._vocab),
            )
            self._cells = window + SAMPLING_CELLS
            self._context = open_context(self._model, self._cells, threads, self._resources)
            self._adapter = Adapter(self._model, Path(adapter)) if adapter else None
            self._memory = lib.llama_get_memory(self._context)
            self._batch = lib.llama_batch_init(BATCH_TOKENS, 0, MOST_PARALLEL)
            self._resources.callback(lib.llama_batch_free, self._batch)
            self._stops = self._find_ends()
            self._samplers = SamplerMaker(self._vocab, window)
            self._resources.callback(self._samplers.close)
        except BaseException:
            self._resources.close()
            raise
        self._vocab_size = lib.llama_vocab_n_tokens(self._vocab)
        self._lists = TokenLists(self._vocab_size, MOST_PARALLEL)
        self._pieces: dict[int, bytes] = {}
        self._prompt: list[int] = []
        self._evaluated = self._sampled = 0
        self._decode_s = 0.0

    @property
    def id(self) -> str:
        """Engine, version and model hash."""
        return f"llama_cpp {llama_cpp.__version__} {self._description.sha256}"

    @property
    def model(self) -> WriterModel:
        """What is known of the model."""
        return self._description

    def count_tokens(self, text: str) -> int:
        """How many tokens `text` takes."""
        return len(self._tokenize([Piece(text)]))

    def start(self, pieces: Sequence[Piece]) -> None:
        """Forget everything and evaluate `pieces`."""
        self._restart(self._tokenize(pieces), ADAPTER_SCALE)

    def start_chat(self, system: str, request: str) -> None:
        """Forget everything and evaluate a request, up to where the answer begins."""
        self._restart(self._tokenize(self._spell_request(system, request)), 0.0)

    def append(self, pieces: Sequence[Piece]) -> None:
        """Grow the prompt. Raises EngineError where the context would overflow."""
        tokens = self._tokenize(pieces)
        self._check_room(len(tokens))
        self._evaluate(tokens, [PROMPT_SEQUENCE])
        self._prompt += tokens

    def room(self) -> int:
        """Tokens that still fit into the context."""
        return self._description.context_tokens - len(self._prompt)

    def counts(self) -> dict[str, float]:
        """What was done so far."""
        return {
            "tokens_evaluated": self._evaluated,
            "tokens_sampled": self._sampled,
            "decode_s": self._decode_s,
        }

    def sample(
        self, opening: Sequence[Piece], count: int, sampling: Sampling
    ) -> Sequence[Candidate]:
        """Go on `count` times from prompt + `opening`; the prompt itself stays as it was.

        Candidate `i` depends on the prompt, the opening, the sampling and `i`; nothing else.
        """
        if count < 1:
            raise ValueError("there must be at least one candidate")
        tokens, longest = self._open_candidates(opening, sampling)
        free = self._cells - len(self._prompt) - len(tokens)
        together = max(1, min(count, MOST_PARALLEL, free // longest))
        candidates: list[Candidate] = []
        for first in range(0, count, together):
            numbers = range(first, min(first + together, count))
            with self._growing(tokens, numbers, longest, sampling) as (choosers, steps):
                for _ in steps:
                    pass
                candidates += [self._candidate(chooser, sampling) for chooser in choosers]
        return candidates

    def stream(self, opening: Sequence[Piece], sampling: Sampling) -> Generator[str, None, None]:
        """Go on once from prompt + `opening`, text by text as it is drawn."""
        tokens, longest = self._open_candidates(opening, sampling)
        return self._stream(tokens, longest, sampling)

    def complete_json(
        self, system: str, request: str, schema: dict[str, Any], sampling: Sampling
    ) -> str:
        """Answer one request with JSON that a grammar made from `schema` constrains."""
        self.start_chat(system, request)
        seed = _derive_seed(sampling.seed, 0)
        text = b""
        with (
            Grammar(self._vocab, self._vocab_size, schema) as grammar,
            self._samplers.chains(sampling, [seed], ()) as chains,
        ):
            for _ in range(min(sampling.max_tokens, self.room())):
                token = grammar.choose(chains[0], self._context)
                if lib.llama_vocab_is_eog(self._vocab, token):
                    break
                text += self._piece(token)
                self._sampled += 1
                self._evaluate([token], [PROMPT_SEQUENCE])
                self._prompt.append(token)
        self._restart([], 0.0)
        return text.decode("utf-8", "replace")

    def close(self) -> None:
        """Free the model."""
        self._resources.close()

    # -- the prompt ---------------------------------------------------------------------------

    def _restart(self, tokens: list[int], scale: float) -> None:
        """Begin anew; the adapter is for conversations, requests are for the model alone."""
        if self._adapter:
            self._adapter.apply(self._context, scale)
        lib.llama_memory_clear(self._memory, True)
        self._prompt = []
        if not tokens:
            return
        bos = lib.llama_vocab_bos(self._vocab)
        if lib.llama_vocab_get_add_bos(self._vocab) and tokens[0] != bos:
            tokens = [bos, *tokens]
        self._check_room(len(tokens))
        self._evaluate(tokens, [PROMPT_SEQUENCE])
        self._prompt = tokens

    def _check_room(self, needed: int) -> None:
        if needed > self.room():
            raise EngineError(
                f"The model {self._description.name} has no room for {needed} more tokens: its "
                f"context of {self._description.context_tokens} holds {len(self._prompt)} already.",
                next_step="Give fewer notes or less steering text, or a model with more context.",
            )

    def _evaluate(self, tokens: Sequence[int], sequences: Sequence[int]) -> None:
        """Decode `tokens` after the prompt, in `sequences`; the last one's logits are kept."""
        batch = self._batch
        for start in range(0, len(tokens), BATCH_TOKENS):
            part = tokens[start : start + BATCH_TOKENS]
            for i, token in enumerate(part):
                batch.token[i] = token
                batch.pos[i] = len(self._prompt) + start + i
                batch.n_seq_id[i] = len(sequences)
                for j, sequence in enumerate(sequences):
                    batch.seq_id[i][j] = sequence
                batch.logits[i] = start + i == len(tokens) - 1
            batch.n_tokens = len(part)
            self._decode()
        self._evaluated += len(tokens)

    def _decode(self) -> None:
        started = time.perf_counter()
        status = lib.llama_decode(self._context, self._batch)
        self._decode_s += time.perf_counter() - started
        if status != 0:
            raise EngineError(
                f"llama.cpp could not evaluate {self._batch.n_tokens} tokens (status {status}: "
                f"{last_log_line()}).",
                next_step="Try a smaller context with `write.context_tokens`.",
            )

    # -- candidates ---------------------------------------------------------------------------

    def _open_candidates(
        self, opening: Sequence[Piece], sampling: Sampling
    ) -> tuple[list[int], int]:
        """The tokens of an opening, and how many may follow."""
        tokens = self._tokenize(opening)
        if not tokens:
            raise ValueError("a candidate needs an opening")
        self._check_room(len(tokens) + 1)
        return tokens, min(sampling.max_tokens, self.room() - len(tokens))

    def _stream(
        self, opening: list[int], longest: int, sampling: Sampling
    ) -> Generator[str, None, None]:
        text = StreamedText(sampling.stop_texts)
        with self._growing(opening, range(1), longest, sampling) as (choosers, steps):
            tokens = choosers[0].tokens
            read = 0
            for _ in steps:
                for token in tokens[read:]:
                    special = lib.llama_vocab_is_control(self._vocab, token)
                    if said := text.add(b"" if special else self._piece(token)):
                        yield said
                read = len(tokens)
        if rest := text.finish():
            yield rest

    @contextlib.contextmanager
    def _growing(
        self, opening: list[int], numbers: range, longest: int, sampling: Sampling
    ) -> Iterator[tuple[list[TokenChooser], Iterator[None]]]:
        """Lend a chooser for each candidate, and the steps by which all of them grow."""
        sequences = [1 + i for i in range(len(numbers))]
        for sequence in sequences:
            lib.llama_memory_seq_cp(self._memory, PROMPT_SEQUENCE, sequence, -1, -1)
        try:
            seeds = [_derive_seed(sampling.seed, i) for i in numbers]
            recent = (*self._prompt, *opening)
            with self._samplers.chains(sampling, seeds, recent) as chains:
                choosers = [TokenChooser(chain) for chain in chains]
                self._evaluate(opening, sequences)
                position = len(self._prompt) + len(opening)
                yield choosers, self._grow(choosers, position, longest, sampling)
        finally:
            for sequence in sequences:
                lib.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def _grow(
        self, choosers: list[TokenChooser], position: int, longest: int, sampling: Sampling
    ) -> Iterator[None]:
        """Draw a token for each candidate, decode them as one batch, drop those that ended.

        Yields after each draw.
        """
        batch, context, size = self._batch, self._context, self._vocab_size
        growing = list(enumerate(choosers, 1))
        floor = floor_nats(sampling.min_p)
        for step in range(longest):
            # the opening was shared, so its one row of logits is every candidate's
            logits = view_logits(context, len(growing) if step else 1, size)
            if step == 0:
                logits = np.repeat(logits, len(growing), axis=0)
            drawn = self._lists.draw(
                [chooser for _, chooser in growing],
                logits,
                floor_nats=floor,
                measure=step % LOGPROB_EVERY == 0,
            )
            going = []
            for (sequence, chooser), token in zip(growing, drawn, strict=True):
                if token in self._stops:
                    chooser.ended_by = token
                    continue
                chooser.tokens.append(token)
                if sampling.stop_texts and self._stopped(chooser, sampling.stop_texts):
                    continue
                going.append((sequence, chooser))
            self._sampled += len(growing)
            growing = going
            yield
            if not growing or step == longest - 1:
                return
            for i, (sequence, chooser) in enumerate(growing):
                batch.token[i] = chooser.tokens[-1]
                batch.pos[i] = position + step
                batch.n_seq_id[i] = 1
                batch.seq_id[i][0] = sequence
                batch.logits[i] = 1
            batch.n_tokens = len(growing)
            self._evaluated += len(growing)
            self._decode()

    def _stopped(self, chooser: TokenChooser, stop_texts: tuple[str, ...]) -> bool:
        tail = b"".join(self._piece(token) for token in chooser.tokens[-16:])
        chooser.stopped = any(stop.encode() in tail for stop in stop_texts)
        return chooser.stopped

    def _candidate(self, chooser: TokenChooser, sampling: Sampling) -> Candidate:
        text = b"".join(self._piece(token) for token in chooser.tokens).decode("utf-8", "ignore")
        finished = chooser.ended_by is not None or chooser.stopped
        for stop in sampling.stop_texts:
            text = text.partition(stop)[0]
        return Candidate(
            text=text,
            finished=finished,
            tokens=len(chooser.tokens),
            mean_logprob=chooser.mean_logprob,
        )

    # -- tokens -------------------------------------------------------------------------------

    def _tokenize(self, pieces: Sequence[Piece]) -> list[int]:
        found: list[int] = []
        for piece in pieces:
            data = piece.text.encode("utf-8", "replace")
            room = len(data) + 8
            tokens = (lib.llama_token * room)()
            count = lib.llama_tokenize(
                self._vocab, data, len(data), tokens, room, False, piece.special
            )
            if count < 0:
                raise EngineError(f"The model's vocabulary cannot spell {piece.text[:40]!r}.")
            found += tokens[:count]
        return found

    def _spell_request(self, system: str, request: str) -> list[Piece]:
        return [Piece(text, special=told) for text, told in self._chat.render(system, request)]

    def _piece(self, token: int) -> bytes:
        piece = self._pieces.get(token)
        if piece is None:
            buffer = ctypes.create_string_buffer(512)
            size = lib.llama_token_to_piece(self._vocab, token, buffer, 512, 0, True)
            piece = self._pieces[token] = buffer.raw[: max(0, size)]
        return piece

    def _find_ends(self) -> set[int]:
        """The tokens that end a turn."""
        count = lib.llama_vocab_n_tokens(self._vocab)
        return {i for i in range(count) if lib.llama_vocab_is_eog(self._vocab, i)}


def _derive_seed(seed: int, number: int) -> int:
    # 31 bits: all ones would ask llama.cpp for a seed from the clock
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF
