"""A GGUF file in llama.cpp, as a proof needs it: its token ids, and the logits of whole texts."""

import contextlib
import ctypes
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from podcaster.errors import EngineError

MOST_BATCH_TOKENS = 512
MOST_BATCH_LOGITS = 1 << 26  # 268 MB of float32
GGML_TYPE_F32 = 0
ALL_LAYERS = 10_000

_log_lines: deque[str] = deque(maxlen=60)


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_log(level: int, text: bytes, _user_data: Any) -> None:
    _log_lines.append(text.decode("utf-8", "replace").strip())


class LlamaCppModel:
    """An open GGUF file; a context manager.

    With `exact` it runs on the processor alone with a float32 cache and without flash attention,
    so that it differs from transformers by rounding only. `adapter` is a GGUF adapter that is added
    to it. Raises EngineError with llama.cpp's own reason where it cannot read a file.
    """

    def __init__(
        self, path: Path, *, threads: int, exact: bool = False, adapter: Path | None = None
    ) -> None:
        self.path, self.exact, self._threads = path, exact, threads
        lib.llama_log_set(_keep_log, ctypes.c_void_p(0))
        lib.llama_backend_init()
        on_gpu = not exact and lib.llama_supports_gpu_offload()
        model = self._load(ALL_LAYERS) if on_gpu else None
        self._model = model or self._load(0)  # a GPU may be too small
        if not self._model:
            raise EngineError(f"llama.cpp cannot load {path.name}: {_explain_failure()}.")
        self._adapter = self._load_adapter(adapter) if adapter else None
        self._vocab = lib.llama_model_get_vocab(self._model)
        self.vocab_size = int(lib.llama_vocab_n_tokens(self._vocab))
        self.context_tokens = int(lib.llama_model_n_ctx_train(self._model))
        begin = lib.llama_vocab_bos(self._vocab)
        self.begin = self.piece(begin) if begin >= 0 else ""
        self.layers = int(lib.llama_model_n_layer(self._model))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the model."""
        lib.llama_model_free(self._model)

    def tokenize(self, text: str, *, begin: bool = False) -> list[int]:
        """The ids of a text, in which special tokens count as such.

        With `begin` the model adds what it puts around a text by itself. Raises EngineError.
        """
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(self._vocab, data, len(data), tokens, room, begin, True)
        if count < 0:
            raise EngineError(f"{self.path.name} has no tokens for {text[:40]!r}.")
        return list(tokens[:count])

    def piece(self, token: int) -> str:
        """What an id stands for, special tokens spelled out."""
        buffer = ctypes.create_string_buffer(512)
        size = lib.llama_token_to_piece(self._vocab, token, buffer, 512, 0, True)
        return buffer.raw[: max(0, size)].decode("utf-8", "replace")

    @contextlib.contextmanager
    def open_reader(self, window_tokens: int) -> Iterator["Reader"]:
        """Lend a context of so many tokens. Raises EngineError where there is no memory for it."""
        settings = lib.llama_context_default_params()
        settings.n_ctx = window_tokens
        batch_tokens = max(32, min(MOST_BATCH_TOKENS, MOST_BATCH_LOGITS // self.vocab_size))
        settings.n_batch = settings.n_ubatch = min(batch_tokens, window_tokens)
        settings.n_outputs_max_per_seq = 0  # as many as there are
        settings.n_seq_max = 1
        settings.no_perf = True
        settings.swa_full = True
        settings.n_threads = settings.n_threads_batch = self._threads
        if self.exact:
            settings.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
            settings.type_k = settings.type_v = GGML_TYPE_F32
            settings.offload_kqv = settings.op_offload = False
        context = lib.llama_init_from_model(self._model, settings)
        if not context:
            raise EngineError(
                f"llama.cpp cannot open a context of {window_tokens} tokens for {self.path.name}: "
                f"{_explain_failure()}.",
                next_step="Close other programs, or export on a machine with more memory.",
            )
        if self._adapter:
            added = (lib.llama_adapter_lora_p_ctypes * 1)(self._adapter)
            lib.llama_set_adapters_lora(context, added, 1, (ctypes.c_float * 1)(1.0))
        batch = lib.llama_batch_init(settings.n_batch, 0, 1)
        try:
            yield Reader(context, batch, int(settings.n_batch), self.vocab_size)
        finally:
            lib.llama_batch_free(batch)
            lib.llama_free(context)

    def _load(self, gpu_layers: int) -> Any:
        _log_lines.clear()
        settings = lib.llama_model_default_params()
        settings.n_gpu_layers = gpu_layers
        return lib.llama_model_load_from_file(os.fsencode(self.path), settings)

    def _load_adapter(self, path: Path) -> Any:
        """An adapter for the model, which frees it with itself."""
        _log_lines.clear()
        adapter = lib.llama_adapter_lora_init(self._model, os.fsencode(path))
        if not adapter:
            reason = _explain_failure()
            self.close()
            raise EngineError(f"llama.cpp cannot add {path.name} to {self.path.name}: {reason}.")
        return adapter


class Reader:
    """Reads one window of ids after the other."""

    def __init__(self, context: Any, batch: Any, batch_tokens: int, vocab_size: int) -> None:
        self._context, self._batch = context, batch
        self._batch_tokens, self._vocab_size = batch_tokens, vocab_size

    def read(self, ids: Sequence[int]) -> Iterator[NDArray[np.float32]]:
        """Yield the logits of a window, some positions at a time, each `(n, vocab)`.

        They lie in llama.cpp's memory and are valid until the next is asked for. Raises
        EngineError.
        """
        lib.llama_memory_clear(lib.llama_get_memory(self._context), True)
        for start in range(0, len(ids), self._batch_tokens):
            part = ids[start : start + self._batch_tokens]
            for i, token in enumerate(part):
                self._batch.token[i] = token
                self._batch.pos[i] = start + i
                self._batch.n_seq_id[i] = 1
                self._batch.seq_id[i][0] = 0
                self._batch.logits[i] = 1
            self._batch.n_tokens = len(part)
            status = lib.llama_decode(self._context, self._batch)
            if status != 0:
                raise EngineError(
                    f"llama.cpp could not read {len(part)} tokens (status {status}: "
                    f"{_explain_failure()})."
                )
            yield self._view(len(part))

    def _view(self, rows: int) -> NDArray[np.float32]:
        address = ctypes.addressof(lib.llama_get_logits(self._context).contents)
        memory = (ctypes.c_float * (rows * self._vocab_size)).from_address(address)
        logits: NDArray[np.float32] = np.frombuffer(memory, dtype=np.float32)  # type: ignore[call-overload]
        return logits.reshape(rows, self._vocab_size)


def _explain_failure() -> str:
    lines = [line for line in _log_lines if "error" in line.lower() or "fail" in line.lower()]
    # the first complaint is the cause, what follows it are consequences
    return (lines[0] if lines else "no reason given").rstrip(".").replace("\n", " ")[:300]
