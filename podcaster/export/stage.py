"""Stage export: what is to be made of a trained model, and what that takes of disk and memory.

Nothing heavy is imported here: sizes are read out of the weights' headers, by the safetensors
format (https://huggingface.co/docs/safetensors#format).
"""

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podcaster.errors import EngineError, InputError, RunError
from podcaster.export.options import ExportOptions, Quantisation
from podcaster.units import format_bytes

STAGE_VERSION = 2

LARGEST_Q8_0_BYTES = 1_000_000_000  # by default; what is larger becomes Q4_K_M
MOST_HEADER_BYTES = 100_000_000  # what the safetensors library takes
SPARE_DISK_BYTES = 100_000_000  # vocabulary, adapter, records
PARITY_BYTES = 9  # of memory a parameter: float32 in transformers and in llama.cpp, and some
F16_BYTES, F32_BYTES = 2, 4

# bytes a parameter in the layers, a little more than they are; embeddings stay at 8 bits
_BYTES: dict[Quantisation, float] = {
    "F16": 2.0, "Q8_0": 1.07, "Q6_K": 0.84, "Q5_K_M": 0.74, "Q4_K_M": 0.64
}  # fmt: skip
_SEES = ("vision_tower.", "multi_modal_projector.")  # parts that are not exported
_IN_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+)\.")


@dataclass(frozen=True)
class BaseSize:
    """How many parameters a model has in all layers, in one, and outside of them."""

    layers: int
    in_layers: int
    outside: int

    @property
    def parameters(self) -> int:
        """All of them."""
        return self.in_layers + self.outside

    def first(self, layers: int) -> int:
        """Those of a model that ends after so many layers."""
        return self.outside + math.ceil(self.in_layers * layers / self.layers)

    def file_bytes(self, quantisation: Quantisation) -> int:
        """About how long a GGUF file of it is; rather too long."""
        outside = F16_BYTES if quantisation == "F16" else _BYTES["Q8_0"]
        return int(self.in_layers * _BYTES[quantisation] + self.outside * outside)


@dataclass(frozen=True)
class Wanted:
    """Which files are made, the first of them for episodes, and how much is read with each."""

    quantisations: tuple[Quantisation, ...]
    with_base: bool
    perplexity_tokens: int
    threads: int


@dataclass(frozen=True)
class Task:
    """What is to be exported: a base's folder in transformers' form, and an adapter's for it.

    Files are named after `name`. `texts` are held-out ones. `layers` are those that parity
    compares.
    """

    name: str
    title: str
    base_name: str
    base: Path
    adapter: Path
    adapter_sha256: str
    licence: str
    wanted: Wanted
    layers: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class MadeFile:
    """A file that was made, by its name in the folder it was made in.

    `agreement` is the share of the held-out text's tokens at which it thinks the same token
    likeliest as the unquantised model does.
    """

    name: str
    quantisation: str
    perplexity: float | None = None
    agreement: float | None = None


@dataclass(frozen=True)
class Made:
    """Everything that an export made, and its proof. `perplexity` is the unquantised model's.

    `caveat`: of which text the token ids differ, where they are not all equal.
    """

    architecture: str
    files: tuple[MadeFile, ...]
    adapter: MadeFile | None
    base: MadeFile | None
    tokens: int
    token_ids_equal: bool
    caveat: str
    max_logit_difference: float
    precision: str
    layers: int
    all_layers: int
    half_precision_gelu: bool
    perplexity: float | None


def measure_base(folder: Path) -> BaseSize:
    """Count a model's parameters by the headers of its safetensors files.

    Raises InputError where there are none, or where one is not what the format says.
    """
    in_layers = outside = layers = 0
    for path in list_weights(folder):
        for name, shape in read_shapes(path).items():
            count = 0 if any(part in name for part in _SEES) else math.prod(shape)
            match = _IN_LAYER.search(name)
            if match and count:
                in_layers += count
                layers = max(layers, int(match.group(1)) + 1)
            else:
                outside += count
    if not layers:
        raise InputError(f"The model {folder} has no layers that podcaster knows.")
    return BaseSize(layers, in_layers, outside)


def list_weights(folder: Path) -> list[Path]:
    """A model's safetensors files: those that its index names, else the whole one, else all.

    Raises InputError where there are none.
    """
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = set(json.loads(index.read_bytes())["weight_map"].values())
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as e:
            raise InputError(f"{index} is not an index of safetensors files: {e}.") from e
        if any(not isinstance(name, str) or Path(name).name != name for name in names):
            raise InputError(f"{index} names a file that is not in its folder.")
        found = [folder / name for name in sorted(names)]
    elif (folder / "model.safetensors").is_file():
        found = [folder / "model.safetensors"]
    else:
        found = sorted(folder.glob("*.safetensors"))
    missing = [path.name for path in found if not path.is_file()]
    if missing or not found:
        what = missing[0] if missing else "*.safetensors"
        raise InputError(
            f"The model {folder} lacks its weights: there is no {what}.",
            next_step="Download it again, whole and as safetensors.",
        )
    return found


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The tensors of a safetensors file, by its header.

    Raises InputError where the file is shorter than its header says, or is none.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(MOST_HEADER_BYTES, size - 8):
                raise InputError(f"{path} is not a safetensors file, or only its beginning.")
            header: Any = json.loads(file.read(length))
        tensors = {name: one for name, one in header.items() if name != "__metadata__"}
        shapes = {name: tuple(int(n) for n in one["shape"]) for name, one in tensors.items()}
        end = max((int(one["data_offsets"][1]) for one in tensors.values()), default=0)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} is not a safetensors file: {error}.") from error
    if size != 8 + length + end:
        raise InputError(
            f"{path} has {size} bytes, expected {8 + length + end}: it is only a part of the file."
        )
    return shapes


def choose_quantisations(options: ExportOptions, size: BaseSize) -> tuple[Quantisation, ...]:
    """What is asked for, each once; else one that fits the model's size."""
    if options.quantise:
        return tuple(dict.fromkeys(options.quantise))
    return ("Q8_0",) if size.file_bytes("Q8_0") <= LARGEST_Q8_0_BYTES else ("Q4_K_M",)


def choose_layers(size: BaseSize, *, memory_bytes: int, disk_bytes: int) -> int:
    """How many layers can be compared in float32 with the memory and disk that are free.

    Raises EngineError where not even one can.
    """
    most = min(memory_bytes / PARITY_BYTES, (disk_bytes - SPARE_DISK_BYTES) / F32_BYTES)
    layers = int((most - size.outside) * size.layers / size.in_layers)
    if layers < 1:
        need = size.first(1) * PARITY_BYTES
        raise EngineError(
            f"Comparing even one layer with transformers takes {format_bytes(need)} of memory; "
            f"{format_bytes(memory_bytes)} are free.",
            next_step="Close other programs, or export on a machine with more memory.",
        )
    return min(layers, size.layers)


def check_disk(
    size: BaseSize, quantisations: tuple[Quantisation, ...], *, with_base: bool, free_bytes: int
) -> None:
    """Raise RunError where the files, and the unquantised one on the way, do not fit."""
    kept = sum(size.file_bytes(q) for q in quantisations)
    whole = size.file_bytes("F16")
    need = kept + (0 if "F16" in quantisations and not with_base else whole) + SPARE_DISK_BYTES
    if with_base:
        need += size.file_bytes(quantisations[0])
    if need > free_bytes:
        raise RunError(
            f"The export needs {format_bytes(need)} of disk on its way, and "
            f"{format_bytes(free_bytes)} are free.",
            next_step="Make room (`podcaster runs clean`), choose another workspace with --home, "
            "or ask for fewer files.",
        )
