"""Open a GGUF file with llama.cpp: the model, a context for it, and why that fails."""

import contextlib
import ctypes
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib
import psutil

from podcaster.chat_form import ChatForm
from podcaster.commission import choose_form
from podcaster.errors import ConfigError, EngineError
from podcaster.write.chat_template import ChatTemplate

LONGEST_CONTEXT_TOKENS = 8192
LONGEST_CHAT_TOKENS = 2048  # a small model is shown its last turns, twice over at most
SHORTEST_CONTEXT_TOKENS = 256
MOST_PARALLEL = 64
BATCH_TOKENS = 512
SMALL_MODEL_PARAMETERS = 200_000_000
# more threads wait for each other at every layer, and on a busy machine that waiting costs a
# hundred times what they save
SMALL_MODEL_THREADS = 1

_log_lines: deque[str] = deque(maxlen=60)


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_log(level: int, text: bytes, _user_data: Any) -> None:
    _log_lines.append(text.decode("utf-8", "replace").strip())


def last_log_line() -> str:
    """What llama.cpp said last; nobody sees it otherwise."""
    return _log_lines[-1] if _log_lines else "no reason given"


def load_model(path: Path, gpu_layers: int, resources: contextlib.ExitStack) -> Any:
    """Load a model; `resources` frees it. Raises EngineError with llama.cpp's own reason."""
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
    resources.callback(lib.llama_model_free, model)
    if lib.llama_model_has_encoder(model) or lib.llama_model_is_recurrent(model):
        raise EngineError(
            f"The model {path} is no decoder with a cache that can be rewound.",
            next_step="Choose a plain transformer: `podcaster setup` lists some.",
        )
    return model


class Adapter:
    """A LoRA adapter of a model, applied to its context or not; the model frees it.

    Raises EngineError where it is not an adapter of this model.
    """

    def __init__(self, model: Any, path: Path) -> None:
        self._path = path
        _log_lines.clear()
        self._adapter = lib.llama_adapter_lora_init(model, os.fsencode(path))
        if not self._adapter:
            raise self._explain()

    def apply(self, context: Any, scale: float) -> None:
        """Let it weigh so much in what the context computes from now on; 0: nothing."""
        adapters = (lib.llama_adapter_lora_p_ctypes * 1)(self._adapter)
        scales = (ctypes.c_float * 1)(scale)
        if lib.llama_set_adapters_lora(context, adapters, int(scale != 0), scales) != 0:
            raise self._explain()

    def _explain(self) -> EngineError:
        return EngineError(
            f"llama.cpp cannot apply the adapter {self._path}: {_explain_failure()}.",
            next_step="Use it with the model that it was trained on.",
        )


def count_parameters(model: Any) -> int:
    """How many weights a model has."""
    return int(lib.llama_model_n_params(model))


def read_chat_template(metadata: dict[str, str], vocab: Any) -> ChatTemplate:
    """The model's chat template. Raises EngineError where it has none."""
    return ChatTemplate(_find_template(metadata), **_edges(vocab))


def read_chat_form(model: Any, metadata: dict[str, str], vocab: Any) -> ChatForm | None:
    """The pieces of a small model's chat template, to talk turn by turn; None for a large one.

    Raises EngineError where it has no template.
    """
    if choose_form(count_parameters(model)) == "script":
        return None
    return ChatForm(_find_template(metadata), **_edges(vocab))


def _find_template(metadata: dict[str, str]) -> str:
    source = metadata.get("tokenizer.chat_template")
    if source is None:
        raise EngineError(
            "The model has no chat template, so nobody knows how to talk to it.",
            next_step="Choose an instruct model, or one of `podcaster show export`.",
        )
    return source


def _edges(vocab: Any) -> dict[str, str]:
    """The texts of a vocabulary's first and last token, as templates ask for them."""
    bos, eos = (
        lib.llama_vocab_get_text(vocab, token) if token >= 0 else b""
        for token in (lib.llama_vocab_bos(vocab), lib.llama_vocab_eos(vocab))
    )
    return {name: (text or b"").decode("utf-8", "replace") for name, text in
            (("bos", bos), ("eos", eos))}  # fmt: skip


def choose_context_tokens(model: Any, path: Path, wanted: int) -> int:
    """The context to use; `wanted` 0: the model's own, within reason. Raises ConfigError."""
    trained = int(lib.llama_model_n_ctx_train(model))
    small = choose_form(count_parameters(model)) == "chat"
    longest = LONGEST_CHAT_TOKENS if small else LONGEST_CONTEXT_TOKENS
    window = wanted or min(trained, longest)
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


def open_context(model: Any, cells: int, threads: int, resources: contextlib.ExitStack) -> Any:
    """Open a context of so many cells; `resources` frees it. Raises EngineError."""
    settings = lib.llama_context_default_params()
    settings.n_ctx = cells
    settings.n_batch = settings.n_ubatch = BATCH_TOKENS
    settings.n_seq_max = MOST_PARALLEL + 1
    settings.kv_unified = True
    settings.no_perf = True
    if not lib.llama_supports_gpu_offload():
        # its CPU kernel splits sums by the number of threads: other machine, other script
        settings.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    small = lib.llama_model_n_params(model) < SMALL_MODEL_PARAMETERS
    settings.n_threads = settings.n_threads_batch = threads or _count_threads(small)
    context = lib.llama_init_from_model(model, settings)
    if not context:
        raise EngineError(
            f"llama.cpp cannot open a context of {cells} tokens: {_explain_failure()}.",
            next_step="Set a smaller `write.context_tokens`, or choose a smaller model.",
        )
    resources.callback(lib.llama_free, context)
    return context


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


def read_metadata(model: Any) -> dict[str, str]:
    """The entries of a model's metadata that matter here."""
    return dict(_iterate_metadata(model))


def _iterate_metadata(model: Any) -> Iterator[tuple[str, str]]:
    for key in ("general.name", "tokenizer.chat_template"):
        size = lib.llama_model_meta_val_str(model, key.encode(), None, 0)
        if size < 0:
            continue
        buffer = ctypes.create_string_buffer(size + 1)
        lib.llama_model_meta_val_str(model, key.encode(), buffer, size + 1)
        yield key, buffer.value.decode("utf-8", "replace")
