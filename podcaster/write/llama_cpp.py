"""Write with llama.cpp: any GGUF model, several candidates at once, over one shared cache."""

import contextlib
import ctypes
import hashlib
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as lib
import numpy as np
import psutil

from podcaster.dialogue import DialogueTemplate, template_from_metadata
from podcaster.errors import ConfigError, EngineError
from podcaster.write.chat_template import ChatTemplate
from podcaster.write.engine import Candidate, Sampling, WriterModel
from podcaster.write.gguf_file import check_gguf, sha256_model
from podcaster.write.llama_sampling import (
    LOGPROB_EVERY,
    Grammar,
    SamplerMaker,
    TokenChooser,
    TokenLists,
)

LONGEST_CONTEXT_TOKENS = 8192
SHORTEST_CONTEXT_TOKENS = 256
MOST_PARALLEL = 64
BATCH_TOKENS = 512
SAMPLING_CELLS = 2048  # for the candidates, beside the prompt's own
SMALL_MODEL_PARAMETERS = 100_000_000
# more threads wait for each other at every layer, and on a busy machine that waiting costs a
# hundred times what they save
SMALL_MODEL_THREADS = 1
PROMPT_SEQUENCE = 0

_log_lines: deque[str] = deque(maxlen=60)


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_log(level: int, text: bytes, _user_data: Any) -> None:
    _log_lines.append(text.decode("utf-8", "replace").strip())


class LlamaCppWriter:
    """A `Writer` over llama.cpp. `gpu_layers` -1: all of them, where there is a GPU.

    Raises InputError where `path` is no file, EngineError where it is no model that can write.
    """

    def __init__(
        self, path: str, context_tokens: int = 0, threads: int = 0, gpu_layers: int = -1
    ) -> None:
        self._resources = contextlib.ExitStack()
        file = Path(path)
        check_gguf(file)
        try:
            self._model = self._load(file, gpu_layers)
            self._vocab = lib.llama_model_get_vocab(self._model)
            metadata = _read_metadata(self._model)
            template = template_from_metadata(metadata)
            self._chat = None if template else self._read_chat_template(metadata)
            name = metadata.get("general.name", "").strip() or file.stem
            window = self._choose_context(file, context_tokens)
            self._description = WriterModel(
                name=name[:120],
                sha256=sha256_model(file),
                kind="dialogue" if template else "instruct",
                context_tokens=window,
                template=template,
            )
            self._cells = window + SAMPLING_CELLS
            self._context = self._open_context(self._cells, threads)
            self._memory = lib.llama_get_memory(self._context)
            self._batch = lib.llama_batch_init(BATCH_TOKENS, 0, MOST_PARALLEL)
            self._resources.callback(lib.llama_batch_free, self._batch)
            self._stops, self._end = self._stop_tokens(template)
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
        return len(self._tokenize(text, special=self._chat is None))

    def start(self, prompt: str) -> None:
        """Forget everything and evaluate `prompt`."""
        self._restart(self._tokenize(prompt, special=True))

    def start_chat(self, system: str, request: str) -> None:
        """Forget everything and evaluate a request, up to where the answer begins."""
        self._restart(self._chat_tokens(system, request))

    def append(self, text: str) -> None:
        """Grow the prompt. Raises EngineError where the context would overflow."""
        tokens = self._tokenize(text, special=self._chat is None)
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

    def sample(self, opening: str, count: int, sampling: Sampling) -> Sequence[Candidate]:
        """Go on `count` times from prompt + `opening`; the prompt itself stays as it was.

        Candidate `i` depends on the prompt, the opening, the sampling and `i`; nothing else.
        """
        tokens = self._tokenize(opening, special=self._chat is None)
        if not tokens or count < 1:
            raise ValueError("a candidate needs an opening, and there must be at least one")
        self._check_room(len(tokens) + 1)
        longest = min(sampling.max_tokens, self.room() - len(tokens))
        free = self._cells - len(self._prompt) - len(tokens)
        together = max(1, min(count, MOST_PARALLEL, free // longest))
        candidates: list[Candidate] = []
        for first in range(0, count, together):
            numbers = range(first, min(first + together, count))
            candidates += self._sample_together(tokens, numbers, longest, sampling)
        return candidates

    def complete_json(
        self, system: str, request: str, schema: dict[str, Any], sampling: Sampling
    ) -> str:
        """Answer one request with JSON that a grammar made from `schema` constrains."""
        self._restart(self._chat_tokens(system, request))
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
        self._restart([])
        return text.decode("utf-8", "replace")

    def close(self) -> None:
        """Free the model."""
        self._resources.close()

    # -- the prompt ---------------------------------------------------------------------------

    def _restart(self, tokens: list[int]) -> None:
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
                f"{_log_lines[-1] if _log_lines else 'no reason given'}).",
                next_step="Try a smaller context with `write.context_tokens`.",
            )

    # -- candidates ---------------------------------------------------------------------------

    def _sample_together(
        self, opening: list[int], numbers: range, longest: int, sampling: Sampling
    ) -> list[Candidate]:
        sequences = [1 + i for i in range(len(numbers))]
        for sequence in sequences:
            lib.llama_memory_seq_cp(self._memory, PROMPT_SEQUENCE, sequence, -1, -1)
        try:
            seeds = [_derive_seed(sampling.seed, i) for i in numbers]
            recent = (*self._prompt, *opening)
            with self._samplers.chains(sampling, seeds, recent) as chains:
                choosers = [TokenChooser(chain) for chain in chains]
                self._evaluate(opening, sequences)
                self._grow(choosers, len(self._prompt) + len(opening), longest, sampling)
                return [self._candidate(chooser, sampling) for chooser in choosers]
        finally:
            for sequence in sequences:
                lib.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def _grow(
        self, choosers: list[TokenChooser], position: int, longest: int, sampling: Sampling
    ) -> None:
        """Draw a token for each candidate, decode them as one batch, drop those that ended."""
        batch, context, size = self._batch, self._context, self._vocab_size
        growing = list(enumerate(choosers, 1))
        for step in range(longest):
            # the opening was shared, so its one row of logits is every candidate's
            shape = (len(growing) if step else 1, size)
            logits = np.ctypeslib.as_array(lib.llama_get_logits(context), shape=shape)
            if step == 0:
                logits = np.repeat(logits, len(growing), axis=0)
            drawn = self._lists.draw(
                [chooser for _, chooser in growing], logits, measure=step % LOGPROB_EVERY == 0
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
        finished = chooser.ended_by in self._end or chooser.stopped
        if chooser.ended_by is not None and not finished:
            text += self._piece(chooser.ended_by).decode("utf-8", "ignore")
        for stop in sampling.stop_texts:
            text = text.partition(stop)[0]
        return Candidate(
            text=text,
            finished=finished,
            tokens=len(chooser.tokens),
            mean_logprob=chooser.mean_logprob,
        )

    # -- tokens -------------------------------------------------------------------------------

    def _tokenize(self, text: str, *, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(self._vocab, data, len(data), tokens, room, False, special)
        if count < 0:
            raise EngineError(f"The model's vocabulary cannot spell {text[:40]!r}.")
        return list(tokens[:count])

    def _chat_tokens(self, system: str, request: str) -> list[int]:
        if self._chat is None:
            raise EngineError(f"The model {self._description.name} has no chat template.")
        pieces = self._chat.render(system, request)
        return [t for text, trusted in pieces for t in self._tokenize(text, special=trusted)]

    def _piece(self, token: int) -> bytes:
        piece = self._pieces.get(token)
        if piece is None:
            buffer = ctypes.create_string_buffer(512)
            size = lib.llama_token_to_piece(self._vocab, token, buffer, 512, 0, True)
            piece = self._pieces[token] = buffer.raw[: max(0, size)]
        return piece

    def _stop_tokens(self, template: DialogueTemplate | None) -> tuple[set[int], set[int]]:
        """The tokens that end a candidate, and those of them that end a turn properly."""
        count = lib.llama_vocab_n_tokens(self._vocab)
        ends = {i for i in range(count) if lib.llama_vocab_is_eog(self._vocab, i)}
        if template is None:
            return ends, ends
        stops = set(ends)
        for text in template.special_tokens():
            tokens = self._tokenize(text, special=True)
            if len(tokens) != 1:
                raise EngineError(
                    f"The model's vocabulary lacks the token {text} of its dialogue template.",
                    next_step="Export the model again with this version of podcaster.",
                )
            stops.update(tokens)
            if text == template.end:
                ends.update(tokens)
        return stops, ends

    # -- opening ------------------------------------------------------------------------------

    def _load(self, path: Path, gpu_layers: int) -> Any:
        _log_lines.clear()
        lib.llama_log_set(_keep_log, ctypes.c_void_p(0))
        lib.llama_backend_init()
        settings = lib.llama_model_default_params()
        settings.n_gpu_layers = gpu_layers
        model = lib.llama_model_load_from_file(os.fsencode(path), settings)
        if not model:
            raise EngineError(
                f"llama.cpp cannot load the model {path}: {_explain_failure()}.",
                next_step="Download or convert it again, or choose another model.",
            )
        self._resources.callback(lib.llama_model_free, model)
        if lib.llama_model_has_encoder(model) or lib.llama_model_is_recurrent(model):
            raise EngineError(
                f"The model {path} is no decoder with a cache that can be rewound.",
                next_step="Choose a plain transformer: `podcaster setup` lists some.",
            )
        return model

    def _read_chat_template(self, metadata: dict[str, str]) -> ChatTemplate:
        source = metadata.get("tokenizer.chat_template")
        if source is None:
            raise EngineError(
                "The model has neither a dialogue template nor a chat template, so nobody knows "
                "how to talk to it.",
                next_step="Choose an instruct model, or one of `podcaster show export`.",
            )
        bos, eos = (
            lib.llama_vocab_get_text(self._vocab, token) if token >= 0 else b""
            for token in (lib.llama_vocab_bos(self._vocab), lib.llama_vocab_eos(self._vocab))
        )
        return ChatTemplate(
            source, bos=(bos or b"").decode("utf-8", "replace"), eos=(eos or b"").decode()
        )

    def _choose_context(self, path: Path, wanted: int) -> int:
        trained = int(lib.llama_model_n_ctx_train(self._model))
        window = wanted or min(trained, LONGEST_CONTEXT_TOKENS)
        if wanted and not SHORTEST_CONTEXT_TOKENS <= wanted <= trained:
            raise ConfigError(
                f"write.context_tokens is {wanted}, but the model {path.name} takes from "
                f"{SHORTEST_CONTEXT_TOKENS} to {trained}.",
                next_step="Set it to 0 for the model's own.",
            )
        if window < SHORTEST_CONTEXT_TOKENS:
            raise EngineError(
                f"The model {path} has a context of {trained} tokens, expected at least "
                f"{SHORTEST_CONTEXT_TOKENS}."
            )
        return window

    def _open_context(self, cells: int, threads: int) -> Any:
        settings = lib.llama_context_default_params()
        settings.n_ctx = cells
        settings.n_batch = settings.n_ubatch = BATCH_TOKENS
        settings.n_seq_max = MOST_PARALLEL + 1
        settings.kv_unified = True
        settings.no_perf = True
        if not lib.llama_supports_gpu_offload():
            # its CPU kernel splits sums by the number of threads: other machine, other script
            settings.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        small = lib.llama_model_n_params(self._model) < SMALL_MODEL_PARAMETERS
        settings.n_threads = settings.n_threads_batch = threads or _count_threads(small)
        context = lib.llama_init_from_model(self._model, settings)
        if not context:
            raise EngineError(
                f"llama.cpp cannot open a context of {cells} tokens: {_explain_failure()}.",
                next_step="Set a smaller `write.context_tokens`, or choose a smaller model.",
            )
        self._resources.callback(lib.llama_free, context)
        return context


def _derive_seed(seed: int, number: int) -> int:
    # 31 bits: all ones would ask llama.cpp for a seed from the clock
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") & 0x7FFFFFFF


def _count_threads(small: bool) -> int:
    allowed = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    cores = min(allowed, psutil.cpu_count(logical=False) or allowed)
    return min(cores, SMALL_MODEL_THREADS) if small else cores


def _explain_failure() -> str:
    lines = [line for line in _log_lines if "error" in line.lower() or "fail" in line.lower()]
    # the first complaint is the cause, what follows it are consequences
    return (lines[0] if lines else "no reason given").rstrip(".").replace("\n", " ")[:300]


def _read_metadata(model: Any) -> dict[str, str]:
    return dict(_iterate_metadata(model))


def _iterate_metadata(model: Any) -> Iterator[tuple[str, str]]:
    for key in ("general.name", "tokenizer.chat_template", "podcaster.dialogue_template"):
        size = lib.llama_model_meta_val_str(model, key.encode(), None, 0)
        if size < 0:
            continue
        buffer = ctypes.create_string_buffer(size + 1)
        lib.llama_model_meta_val_str(model, key.encode(), buffer, size + 1)
        yield key, buffer.value.decode("utf-8", "replace")
