"""Count tokens as a GGUF model does, with llama.cpp; only the file's vocabulary is loaded."""

import contextlib
import ctypes
import hashlib
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import llama_cpp.llama_cpp as lib

from podcaster.dataset.chat import CHATML, ChatTemplate
from podcaster.errors import EngineError, InputError

HASHED_BYTES = 64_000_000  # the vocabulary comes first in the file, the weights after it
LONGEST_VALUE_BYTES = 4_000_000

_log_lines: deque[str] = deque(maxlen=60)


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _keep_log(level: int, text: bytes, _user_data: Any) -> None:
    _log_lines.append(text.decode("utf-8", "replace").strip())


class LlamaCppTokenizer:
    """A `Tokenizer` out of a GGUF file.

    Raises InputError where `path` is no file, EngineError where llama.cpp cannot read it.
    """

    def __init__(self, path: str) -> None:
        file = Path(path)
        self._sha256 = _hash_beginning(file)
        self._resources = contextlib.ExitStack()
        lib.llama_log_set(_keep_log, ctypes.c_void_p(0))
        lib.llama_backend_init()
        settings = lib.llama_model_default_params()
        settings.vocab_only = True
        self._model = lib.llama_model_load_from_file(os.fsencode(file), settings)
        if not self._model:
            raise EngineError(
                f"llama.cpp cannot read the vocabulary of {file}: {_explain_failure()}.",
                next_step="Choose another with `--tokenizer`.",
            )
        self._resources.callback(lib.llama_model_free, self._model)
        try:
            self._open()
        except BaseException:
            self._resources.close()
            raise

    def _open(self) -> None:
        self._vocab = lib.llama_model_get_vocab(self._model)
        texts = [
            lib.llama_vocab_get_text(self._vocab, token) if token >= 0 else b""
            for token in (lib.llama_vocab_bos(self._vocab), lib.llama_vocab_eos(self._vocab))
        ]
        bos, eos = ((text or b"").decode("utf-8", "replace") for text in texts)
        source = self._value("tokenizer.chat_template")
        self._chat = ChatTemplate(source or CHATML, bos=bos, eos=eos)
        architecture = self._value("general.architecture") or ""
        length = self._value(f"{architecture}.context_length") or ""
        self._context_tokens = int(length) if length.isdecimal() else 0
        self._room = 0

    @property
    def id(self) -> str:
        """Engine, version, and a hash of where the vocabulary is."""
        return f"llama_cpp {llama_cpp.__version__} {self._sha256}"

    @property
    def context_tokens(self) -> int:
        """What the file says; 0 where it does not."""
        return self._context_tokens

    @property
    def chat(self) -> ChatTemplate:
        """The file's chat template."""
        return self._chat

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        return [self._count(text.encode("utf-8", "replace")) for text in texts]

    def close(self) -> None:
        """Free the vocabulary."""
        self._resources.close()

    def _count(self, data: bytes) -> int:
        if len(data) + 8 > self._room:
            self._room = 2 * len(data) + 4096
            self._tokens = (lib.llama_token * self._room)()
        count = lib.llama_tokenize(
            self._vocab, data, len(data), self._tokens, self._room, False, True
        )
        if count < 0:
            shown = data[:40].decode("utf-8", "replace")
            raise EngineError(f"The model's vocabulary cannot spell {shown!r}.")
        return int(count)

    def _value(self, key: str) -> str | None:
        size = lib.llama_model_meta_val_str(self._model, key.encode(), None, 0)
        if not 0 <= size <= LONGEST_VALUE_BYTES:
            return None
        buffer = ctypes.create_string_buffer(size + 1)
        lib.llama_model_meta_val_str(self._model, key.encode(), buffer, size + 1)
        return buffer.value.decode("utf-8", "replace")


def _hash_beginning(path: Path) -> str:
    try:
        if not path.is_file():
            raise InputError(
                f"The tokenizer {path} is not a file.",
                next_step="Name a .gguf, a tokenizer.json or a model's folder with `--tokenizer`.",
            )
        with path.open("rb") as file:
            beginning = file.read(HASHED_BYTES)
    except OSError as error:
        raise InputError(
            f"The tokenizer {path} cannot be read: {error.strerror or error}."
        ) from error
    if beginning[:4] != b"GGUF":
        raise InputError(
            f"{path} is not a GGUF model: it begins with {beginning[:4]!r}, expected b'GGUF'.",
            next_step="Name a .gguf, a tokenizer.json or a model's folder with `--tokenizer`.",
        )
    return hashlib.sha256(beginning).hexdigest()


def _explain_failure() -> str:
    lines = [line for line in _log_lines if "error" in line.lower() or "fail" in line.lower()]
    return (lines[0] if lines else "no reason given").rstrip(".").replace("\n", " ")[:300]
