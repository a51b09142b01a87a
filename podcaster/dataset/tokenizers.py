"""Count tokens as a Hugging Face model does: `tokenizer.json`, and the chat template beside it."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers

from podcaster.dataset.chat import CHATML, ChatTemplate
from podcaster.errors import EngineError, InputError, foreign

LARGEST_FILE_BYTES = 200_000_000
LONGEST_CONTEXT_TOKENS = 10_000_000  # more is a way to say "no limit"

_NEXT_STEP = "Name a .gguf, a tokenizer.json or a model's folder with `--tokenizer`."


class HuggingFaceTokenizer:
    """A `Tokenizer` out of a `tokenizer.json`, or of the folder in which it lies.

    Raises InputError where it is not there, EngineError where it cannot be read.
    """

    def __init__(self, path: str) -> None:
        # recordings are spread over processes already
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        given = Path(path)
        file = given / "tokenizer.json" if given.is_dir() else given
        data = _read(file)
        with foreign(EngineError, f"Reading the tokenizer {file}"):
            self._tokenizer = tokenizers.Tokenizer.from_str(data.decode("utf-8"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        settings = _read_json(file.with_name("tokenizer_config.json"))
        model = _read_json(file.with_name("config.json"))
        source = _find_template(file.with_name("chat_template.jinja"), settings)
        bos, eos = _token(settings, "bos_token"), _token(settings, "eos_token")
        spelling = json.dumps([source, bos, eos])  # in ASCII, whatever is in it
        self._sha256 = hashlib.sha256(data + spelling.encode()).hexdigest()
        self._chat = ChatTemplate(source or CHATML, bos=bos, eos=eos)
        self._context_tokens = _context(model, settings)

    @property
    def id(self) -> str:
        """Library, version, and a hash of the vocabulary and the template."""
        return f"tokenizers {tokenizers.__version__} {self._sha256}"

    @property
    def context_tokens(self) -> int:
        """What the model's folder says; 0 where it does not."""
        return self._context_tokens

    @property
    def chat(self) -> ChatTemplate:
        """The model's chat template."""
        return self._chat

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        with foreign(EngineError, "Counting tokens"):
            encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(encoding) for encoding in encodings]

    def close(self) -> None:
        """Forget the vocabulary."""
        del self._tokenizer


def _read(file: Path) -> bytes:
    try:
        if file.exists() and not file.is_file():  # a device's or a pipe's bytes may have no end
            raise InputError(f"The tokenizer {file} is not a file.", next_step=_NEXT_STEP)
        if file.stat().st_size > LARGEST_FILE_BYTES:
            raise InputError(f"The tokenizer {file} has more than {LARGEST_FILE_BYTES} bytes.")
        return file.read_bytes()
    except OSError as error:
        raise InputError(
            f"The tokenizer {file} cannot be read: {error.strerror or error}.",
            next_step=_NEXT_STEP,
        ) from error


def _read_json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        value = json.loads(_read(file))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not valid JSON: {error}.") from error
    return value if isinstance(value, dict) else {}


def _find_template(file: Path, settings: dict[str, Any]) -> str:
    if file.is_file():
        return _read(file).decode("utf-8", "replace")
    source = settings.get("chat_template", "")
    if isinstance(source, list):  # several, each with a name
        templates = [one for one in source if isinstance(one, dict)]
        named = [one.get("template") for one in templates if one.get("name") == "default"]
        source = named[-1] if named else ""
    return source if isinstance(source, str) else ""


def _token(settings: dict[str, Any], name: str) -> str:
    value = settings.get(name)
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _context(model: dict[str, Any], settings: dict[str, Any]) -> int:
    inner = model.get("text_config")
    for value in (
        model.get("max_position_embeddings"),
        inner.get("max_position_embeddings") if isinstance(inner, dict) else None,
        settings.get("model_max_length"),
    ):
        if isinstance(value, int | float) and 0 < value <= LONGEST_CONTEXT_TOKENS:
            return int(value)
    return 0
