"""Read a model's safetensors shards lazily: one shard open at a time, a few rows in memory.

Source of the index's form: https://huggingface.co/docs/safetensors/metadata_parsing. Imports torch:
reach this module only when a model is to be exported. Nothing is ever unpickled.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open

from podcaster.errors import InputError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
LARGEST_JSON_BYTES = 256 * 2**20  # a tokenizer.json of 260,000 tokens has 30 MB
_FLOATS = {"F32", "F16", "BF16", "F64"}
_BLOCK_VALUES = 2**20  # at a time: 4 MiB in float32, which a processor's cache holds

Shape = tuple[int, ...]


class Rows(Protocol):
    """A tensor that is read by its rows, as safetensors gives it."""

    def get_shape(self) -> list[int]:
        """Its shape."""

    def get_dtype(self) -> str:
        """Its type by safetensors' name: `BF16`."""

    def __getitem__(self, rows: Any) -> torch.Tensor:
        """Some of its rows."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object that came from outside.

    Raises InputError where there is none, or one that is too large or nested too deep.
    """
    try:
        if path.stat().st_size > LARGEST_JSON_BYTES:
            raise InputError(f"{path} is too large: at most {LARGEST_JSON_BYTES} bytes are read.")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} holds {type(value).__name__}, expected an object.")
    return value


@contextmanager
def open_shard(path: Path) -> Iterator[Any]:
    """Open one safetensors file. Raises InputError where it is missing or cut off."""
    try:
        opened = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a safetensors file: {error}.") from error
    with opened as shard:
        yield shard


@dataclass(frozen=True)
class Weights:
    """The tensors of a folder: by name, in which shard and of which shape."""

    folder: Path
    shards: Mapping[str, Path]
    shapes: Mapping[str, Shape]


def find_weights(folder: Path) -> Weights:
    """Look into a folder's shards without reading their tensors.

    Raises InputError for a folder of pickled weights, a shard outside the folder or missing, and
    tensors that are not floating-point numbers.
    """
    shards: dict[str, Path] = {}
    shapes: dict[str, Shape] = {}
    for path in _list_shards(folder):
        with open_shard(path) as shard:
            for name in shard.keys():  # noqa: SIM118 - a shard cannot be walked over
                if name in shards:
                    raise InputError(f"{name} is both in {shards[name].name} and in {path.name}.")
                rows = shard.get_slice(name)
                shards[name] = path
                shapes[name] = check_floats(rows, name, path)
    return Weights(folder, shards, shapes)


def check_floats(rows: Rows, name: str, path: Path) -> Shape:
    """The shape of a tensor of floating-point numbers; InputError for any other."""
    if rows.get_dtype() not in _FLOATS:
        raise InputError(
            f"{name} in {path} is of type {rows.get_dtype()}, expected F32, F16 or BF16.",
            next_step="Take the model as it was before it was quantised.",
        )
    return tuple(rows.get_shape())


def _list_shards(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"There is no model folder {folder}.")
    if (folder / INDEX).is_file():
        placed = read_json(folder / INDEX).get("weight_map")
        if not isinstance(placed, dict) or not all(isinstance(n, str) for n in placed.values()):
            raise InputError(f"{folder / INDEX} has no weight_map of tensor names to file names.")
        return [_inside(folder, name) for name in sorted(set(placed.values()))]
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    pickled = next((p for p in sorted(folder.glob("*.bin")) if "optimizer" not in p.name), None)
    if pickled:
        raise InputError(
            f"{folder} has its weights pickled ({pickled.name}): such a file can run any program.",
            next_step="Save the model again with safe_serialization=True.",
        )
    raise InputError(f"{folder} holds neither {SINGLE} nor {INDEX}.")


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if Path(name).name != name or name in {"", ".", ".."}:
        raise InputError(f"{folder / INDEX} names the shard {name!r}, which is outside the folder.")
    if not path.is_file():
        raise InputError(f"{folder} lacks the shard {name} that its index names.")
    return path


def iterate_blocks(rows: Rows, shape: Shape, *, whole: int = 1) -> Iterator[tuple[int, Any]]:
    """Walk over a tensor in blocks of rows: where each begins, and its values in float32.

    A block has a multiple of `whole` rows, so that an attention head is never cut.
    """
    if len(shape) < 2:
        yield 0, rows[:].to(torch.float32)
        return
    height = max(1, _BLOCK_VALUES // max(1, shape[1] * whole)) * whole
    for start in range(0, shape[0], height):
        yield start, rows[start : start + height].to(torch.float32)
