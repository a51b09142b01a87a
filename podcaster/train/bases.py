"""Find and describe the model to start from: a folder, or one of the hub's cache.

Weights are read from safetensors alone, and no code that comes with a model is run.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podcaster.errors import InputError, foreign
from podcaster.model import Noun

BUILTIN = "builtin"
LARGEST_CONFIG_BYTES = 5_000_000
# transformers' names of the families whose linear layers are called alike, and that export writes
FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text", "gemma3")
_HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")
_READ_ALONG = ("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


class Base(Noun, frozen=True):
    """A model to start from: its name as it was given, its folder, a hash of what is in it.

    `chat` is its chat template, `bos` and `eos` are the texts of its first and last token.
    """

    name: str
    folder: str
    sha256: str
    model_type: str
    context_tokens: int
    vocabulary: int
    chat: str
    bos: str = ""
    eos: str = ""


@dataclass(frozen=True)
class Shape:
    """The sizes that decide memory and time: `parameters` of the linear layers, and of all."""

    layers: int
    width: int
    inner: int
    heads: int
    key_heads: int
    head_width: int
    vocabulary: int
    tied: bool

    @property
    def linear_parameters(self) -> int:
        """The weights of the blocks' linear layers."""
        attention = self.width * self.head_width * 2 * (self.heads + self.key_heads)
        return self.layers * (attention + 3 * self.width * self.inner)

    @property
    def parameters(self) -> int:
        """All weights, norms aside."""
        return self.linear_parameters + self.vocabulary * self.width * (1 if self.tied else 2)

    def lora_parameters(self, rank: int) -> int:
        """The weights of LoRA matrices on all linear layers."""
        queries, keys = self.heads * self.head_width, self.key_heads * self.head_width
        sides = 2 * (self.width + queries) + 2 * (self.width + keys) + 3 * (self.width + self.inner)
        return self.layers * rank * sides


def find_base(name: str) -> Base:
    """The base that is meant by a folder or a name of the hub's cache.

    Raises InputError where it is not here or is of a family that cannot be trained.
    """
    return describe_base(name, _find_folder(name))


def describe_base(name: str, folder: Path) -> Base:
    """Read what a folder says of its model, without opening the weights."""
    kind = read_config(folder).get("model_type")
    if kind not in FAMILIES:
        raise InputError(
            f"The model {name} is of the family {kind!r}; those that can be trained are "
            f"{', '.join(FAMILIES)}.",
            next_step="Choose another with `--base`.",
        )
    text = read_text_config(folder)
    if not (folder / "tokenizer.json").is_file():
        raise InputError(f"There is no tokenizer.json in {folder}.")
    settings = _read_json(folder / "tokenizer_config.json", missing={})
    chat = _read_chat_template(folder, settings)
    if not chat:
        raise InputError(
            f"The tokenizer of {name} has no chat template, so that nobody knows how it is to be "
            "asked.",
            next_step="Choose the instruct version of that model with `--base`.",
        )
    return Base(
        name=name,
        folder=str(folder.resolve()),
        sha256=hash_base(folder),
        model_type=kind,
        context_tokens=_whole(text, "max_position_embeddings"),
        vocabulary=_whole(text, "vocab_size"),
        chat=chat,
        bos=_token(settings, "bos_token"),
        eos=_token(settings, "eos_token"),
    )


def read_shape(folder: Path) -> Shape:
    """The sizes of a folder's model. Raises InputError where its config lacks one."""
    text = read_text_config(folder)
    width, heads = _whole(text, "hidden_size"), _whole(text, "num_attention_heads")
    return Shape(
        layers=_whole(text, "num_hidden_layers"),
        width=width,
        inner=_whole(text, "intermediate_size"),
        heads=heads,
        key_heads=int(text.get("num_key_value_heads") or heads),
        head_width=int(text.get("head_dim") or width // heads),
        vocabulary=_whole(text, "vocab_size"),
        tied=bool(text.get("tie_word_embeddings", False)),
    )


def hash_base(folder: Path) -> str:
    """Hash the weights, the tokenizer and the configuration in a folder."""
    digest = hashlib.sha256()
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise InputError(
            f"There are no weights in {folder}: no file ends in .safetensors.",
            next_step="Models that come as .bin alone are not opened: they could run code.",
        )
    for path in [*weights, *(folder / name for name in _READ_ALONG)]:
        if path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            digest.update(f"{path.name} {content}\n".encode())
    return digest.hexdigest()


def read_config(folder: Path) -> dict[str, Any]:
    """A folder's config.json. Raises InputError."""
    return _read_json(folder / "config.json")


def read_text_config(folder: Path) -> dict[str, Any]:
    """What config.json says of the part that reads text, with the family's defaults.

    Gemma 3 leaves out whatever is as its class has it, sizes among it. Raises InputError.
    """
    config = read_config(folder)
    from transformers import CONFIG_MAPPING

    with foreign(InputError, f"Reading {folder / 'config.json'}"):
        whole = CONFIG_MAPPING[config["model_type"]].from_dict(config)
        found: dict[str, Any] = whole.get_text_config().to_dict()
    return found


def _find_folder(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.suffix == ".gguf":
        raise InputError(
            f"{name} is a GGUF file; training starts from a folder as transformers saves it.",
            next_step="Name the folder of the model that it was made from.",
        )
    if not _HUB_NAME.match(name):
        raise InputError(
            f"There is no model folder {name}.",
            next_step="Name `builtin`, a folder with config.json and *.safetensors, or a model of "
            "the hub as `org/name`.",
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError) as error:
        raise InputError(
            f"The model {name} is not on this machine.",
            next_step=f"Fetch it with `hf download {name} --exclude '*.bin' --exclude '*.pth'`.",
        ) from error


def _read_chat_template(folder: Path, settings: Mapping[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8", errors="replace")
    source = settings.get("chat_template", "")
    if isinstance(source, list):
        named = {o.get("name"): o.get("template") for o in source if isinstance(o, dict)}
        source = named.get("default", "")
    return source if isinstance(source, str) else ""


def _token(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    value = value.get("content") if isinstance(value, dict) else value
    return value if isinstance(value, str) else ""


def _read_json(path: Path, *, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    if missing is not None and not path.is_file():
        return missing
    try:
        if path.stat().st_size > LARGEST_CONFIG_BYTES:
            raise InputError(f"{path} has more than {LARGEST_CONFIG_BYTES} bytes.")
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror or error}.",
            next_step="Name a folder as transformers saves one with `--base`.",
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds no object.")
    return value


def _whole(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if not isinstance(value, int) or not 0 < value < 10**9:
        raise InputError(f"The model's config.json says {key} = {value!r}, expected a number.")
    return value
