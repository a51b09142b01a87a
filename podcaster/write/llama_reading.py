"""Let a GGUF model read text, with llama.cpp: how well it foretells what somebody says."""

import contextlib
import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import llama_cpp.llama_cpp as lib
import numpy as np

from podcaster.errors import EngineError
from podcaster.model import Role
from podcaster.write.engine import Foretold, Piece
from podcaster.write.gguf_file import check_gguf
from podcaster.write.llama_opening import (
    BATCH_TOKENS,
    SHORTEST_CONTEXT_TOKENS,
    Adapter,
    choose_context_tokens,
    last_log_line,
    load_model,
    open_context,
    read_chat_form,
    read_chat_template,
    read_metadata,
)
from podcaster.write.llama_sampling import view_logits

CONTEXT_TOKENS = 2048  # the same window for all models that have as much
LOGITS_AT_ONCE = 1 << 24  # what a batch's logits may take: 64 MB

NEWLINE = 0x0A


class LlamaCppReader:
    """A `Reader` over llama.cpp. `gpu_layers` -1: all of them, where there is a GPU.

    `adapter` is a LoRA adapter that is applied to it. Raises InputError where a path is no file,
    EngineError where it is no model that can write, or no adapter of it.
    """

    def __init__(
        self, path: str, threads: int = 0, gpu_layers: int = -1, adapter: str = ""
    ) -> None:
        self._resources = contextlib.ExitStack()
        file = Path(path)
        check_gguf(file)
        try:
            self._model = load_model(file, gpu_layers, self._resources)
            self._vocab = lib.llama_model_get_vocab(self._model)
            metadata = read_metadata(self._model)
            self.chat = read_chat_form(self._model, metadata, self._vocab)
            self._template = read_chat_template(metadata, self._vocab)
            own = choose_context_tokens(self._model, file, 0)
            self.context_tokens = max(SHORTEST_CONTEXT_TOKENS, min(own, CONTEXT_TOKENS))
            self._context = open_context(self._model, self.context_tokens, threads, self._resources)
            if adapter:
                Adapter(self._model, Path(adapter)).apply(self._context, 1.0)
            self._memory = lib.llama_get_memory(self._context)
            self._vocab_size = lib.llama_vocab_n_tokens(self._vocab)
            self._characters: dict[int, int] = {}
            self._batch = lib.llama_batch_init(BATCH_TOKENS, 0, 1)
            self._resources.callback(lib.llama_batch_free, self._batch)
        except BaseException:
            self._resources.close()
            raise

    def chat_pieces(self, system: str, request: str) -> list[Piece]:
        """A request through the model's chat template, up to where the answer begins."""
        return [Piece(text, special=told) for text, told in self._template.render(system, request)]

    def read(self, head: Sequence[Piece], turns: Sequence[Sequence[Piece]]) -> dict[Role, Foretold]:
        """Read turns after a head; where the context is full, the head is read anew."""
        opening = [_Given(token) for piece in head for token in self._tokenize(piece)]
        bos = lib.llama_vocab_bos(self._vocab)
        if (lib.llama_vocab_get_add_bos(self._vocab) or not opening) and bos >= 0:
            opening = opening if opening and opening[0].token == bos else [_Given(bos), *opening]
        if len(opening) > self.context_tokens // 2:
            raise EngineError(
                f"A head of {len(opening)} tokens leaves no room in the context of "
                f"{self.context_tokens}.",
                next_step="Choose a model with more context.",
            )
        sums: _Sums = {}
        row = list(opening)
        for turn in turns:
            said = [_Given(t, piece.role) for piece in turn for t in self._tokenize(piece)]
            if len(row) + len(said) > self.context_tokens and len(row) > len(opening):
                self._read_row(row, sums)
                row = list(opening)
            row += said[: self.context_tokens - len(row)]
        self._read_row(row, sums)
        return {
            role: Foretold(nats=nats, tokens=int(tokens), characters=int(characters))
            for role, (nats, tokens, characters) in sums.items()
        }

    def close(self) -> None:
        """Free the model."""
        self._resources.close()

    def _read_row(self, row: Sequence["_Given"], sums: "_Sums") -> None:
        """Foretell each token of a row that belongs to a role, from all before it."""
        lib.llama_memory_clear(self._memory, True)
        step = max(1, min(BATCH_TOKENS, LOGITS_AT_ONCE // self._vocab_size))
        for start in range(0, len(row) - 1, step):
            stop = min(start + step, len(row) - 1)
            wanted = [row[place + 1] for place in range(start, stop) if row[place + 1].role]
            outputs = [row[place + 1].role is not None for place in range(start, stop)]
            self._decode([given.token for given in row[start:stop]], start, outputs)
            if not wanted:
                continue
            logits = view_logits(self._context, len(wanted), self._vocab_size)
            following = np.array([given.token for given in wanted])
            for given, nats in zip(wanted, _foretell(logits, following), strict=True):
                assert given.role is not None
                one = sums.setdefault(given.role, [0.0, 0, 0])
                one[0] += nats
                one[1] += 1
                one[2] += self._count_characters(given.token)

    def _decode(self, tokens: Sequence[int], position: int, outputs: Sequence[bool]) -> None:
        batch = self._batch
        for i, (token, output) in enumerate(zip(tokens, outputs, strict=True)):
            batch.token[i] = token
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = output
        batch.n_tokens = len(tokens)
        status = lib.llama_decode(self._context, batch)
        if status != 0:
            raise EngineError(
                f"llama.cpp could not read {len(tokens)} tokens (status {status}: "
                f"{last_log_line()})."
            )

    def _tokenize(self, piece: Piece) -> list[int]:
        data = piece.text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(self._vocab, data, len(data), tokens, room, False, piece.special)
        if count < 0:
            raise EngineError(f"The model's vocabulary cannot spell {piece.text[:40]!r}.")
        return list(tokens[:count])

    def _count_characters(self, token: int) -> int:
        """How many characters begin in a token; special tokens and line ends have none."""
        known = self._characters.get(token)
        if known is None:
            buffer = ctypes.create_string_buffer(512)
            size = lib.llama_token_to_piece(self._vocab, token, buffer, 512, 0, False)
            data = buffer.raw[: max(0, size)]
            known = sum(byte & 0xC0 != 0x80 and byte != NEWLINE for byte in data)
            self._characters[token] = known
        return known


class _Given(NamedTuple):
    """A token, and the role whose it is to foretell, if any."""

    token: int
    role: Role | None = None


_Sums = dict[Role, list[float]]  # nats, tokens, characters


def _foretell(logits: Any, following: Any) -> list[float]:
    """Nats of each following token `(n,)` by its row of logits `(n, n_vocab)`."""
    top = logits.max(axis=1)
    norm = top + np.log(np.exp(logits - top[:, None]).sum(axis=1, dtype=np.float64))
    nats: list[float] = (norm - logits[np.arange(len(following)), following]).tolist()
    return nats
