"""Write a network and its tokenizer as GGUF, tensor by tensor, and quantise it with llama.cpp.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Imports torch, gguf and
llama_cpp: reach this module only when a model is to be exported.
"""

import ctypes
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import gguf
import llama_cpp
import numpy as np
from numpy.typing import NDArray

from podcaster.errors import EngineError, RunError
from podcaster.export.adapters import read_adapter
from podcaster.export.architectures import read_network, supported
from podcaster.export.merging import Job, MergedModel, Precision, open_merged
from podcaster.export.special_tokens import read_special_tokens
from podcaster.export.vocabulary import read_vocabulary

__all__ = [
    "QUANTISATIONS", "AdapterPrecision", "ModelCard", "Precision", "WrittenModel", "quantise",
    "supported", "write_adapter", "write_model",
]  # fmt: skip

QUANTISATIONS: dict[str, int] = {
    "F16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q6_K": llama_cpp.LLAMA_FTYPE_MOSTLY_Q6_K,
    "Q5_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_K_M,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
    "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
}
_FILE_TYPES = {
    "F32": gguf.LlamaFileType.ALL_F32,
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "BF16": gguf.LlamaFileType.MOSTLY_BF16,
}
_KINDS = {
    "F32": gguf.GGMLQuantizationType.F32,
    "F16": gguf.GGMLQuantizationType.F16,
    "BF16": gguf.GGMLQuantizationType.BF16,
}
AdapterPrecision = Literal["F32", "F16", "Q8_0"]
_ADAPTER_KINDS: dict[AdapterPrecision, gguf.GGMLQuantizationType] = {
    "F32": gguf.GGMLQuantizationType.F32,
    "F16": gguf.GGMLQuantizationType.F16,
    "Q8_0": gguf.GGMLQuantizationType.Q8_0,
}
_METADATA_BYTES = 64  # a token's share of the file, beyond its text


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a GGUF file says about itself; `extra` holds string metadata of our own."""

    name: str
    licence: str
    description: str
    extra: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class WrittenModel:
    """A GGUF file that was written: of which network, how many of its blocks, how large.

    llama.cpp splits text as the tokenizer does if it opens with the token `opening` ("": any text),
    but for what `caveat` says ("": nothing).
    """

    path: Path
    architecture: str
    precision: Precision
    layers: int
    all_layers: int
    tensors: int
    size_bytes: int
    opening: str = ""
    caveat: str = ""


def write_model(
    path: Path,
    base: Path,
    adapter: Path | None,
    *,
    precision: Precision,
    card: ModelCard,
    layers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenModel:
    """Write the model in the folder `base`, with an adapter merged, as one GGUF file, atomically.

    Tensors stream through: one shard is open at a time, and a few rows are in memory. Vectors
    (norms, biases) stay float32. `layers` keeps the first so many blocks. `progress` is called with
    the bytes done and all bytes. The tokenizer is the adapter's where it has one.
    Raises InputError for a base or an adapter that cannot be used, EngineError for what llama.cpp
    cannot run, RunError where the disk is full.
    """
    network = read_network(base, layers=layers)
    read = None if adapter is None else read_adapter(adapter)
    merged = open_merged(base, network, read)
    spelled = adapter if adapter and (adapter / "tokenizer.json").is_file() else base
    vocabulary = read_vocabulary(spelled / "tokenizer.json", size=merged.network.sizes.vocab_size)
    special = read_special_tokens(spelled, vocabulary, settings=base)
    text = sum(len(token.encode()) for token in (*vocabulary.tokens, *vocabulary.merges))
    count = len(vocabulary.tokens) + len(vocabulary.merges)
    jobs = merged.jobs(precision)
    _check_space(path, sum(job.nbytes for job in jobs) + text + count * _METADATA_BYTES)
    with _writing(path, network.architecture.name) as writer:
        _add_card(writer, card)
        merged.network.add_metadata(writer)
        writer.add_file_type(_FILE_TYPES[precision])
        vocabulary.add_to(writer)
        special.add_to(writer, vocabulary.tokens)
        _stream(writer, merged, jobs, progress or (lambda done, whole: None))
    return WrittenModel(
        path=path,
        architecture=network.architecture.name,
        precision=precision,
        layers=network.layers,
        all_layers=network.sizes.num_hidden_layers,
        tensors=len(jobs),
        size_bytes=path.stat().st_size,
        opening=vocabulary.tokens[special.begin] if vocabulary.needs_opening else "",
        caveat=vocabulary.caveat,
    )


def write_adapter(
    path: Path, base: Path, adapter: Path, *, card: ModelCard, precision: AdapterPrecision = "F32"
) -> None:
    """Write the bare LoRA as a GGUF adapter for the GGUF file of its base, atomically.

    Raises InputError for an adapter that trained more than low-rank pairs of linear layers,
    EngineError where `precision` is Q8_0 and a side of a pair is no multiple of 32.
    """
    network = read_network(base)
    read = read_adapter(adapter)
    kind = _ADAPTER_KINDS[precision]
    jobs = {
        name: _pack(values, kind, name)
        for name, values in open_merged(base, network, read).adapter_tensors()
    }
    _check_space(path, sum(values.nbytes for values in jobs.values()))
    with _writing(path, network.architecture.name) as writer:
        _add_card(writer, card)
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", read.alpha)
        for name, values in jobs.items():
            writer.add_tensor(name, values, raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()


def _pack(values: NDArray[np.float32], kind: gguf.GGMLQuantizationType, name: str) -> NDArray[Any]:
    try:
        packed: NDArray[Any] = gguf.quants.quantize(values, kind)
    except gguf.quants.QuantError as error:
        raise EngineError(f"{name} cannot be written as {kind.name}: {error}.") from error
    return packed


def _add_card(writer: gguf.GGUFWriter, card: ModelCard) -> None:
    # by these names llama.cpp knows models whose special tokens take the spaces beside them
    writer.add_name(re.sub(r"(phi|modern)-?(3|bert)", r"\1 \2", card.name, flags=re.IGNORECASE))
    writer.add_license(card.licence)
    writer.add_description(card.description)
    for key, value in card.extra.items():
        writer.add_string(key, value)


def _stream(
    writer: gguf.GGUFWriter,
    merged: MergedModel,
    jobs: Sequence[Job],
    progress: Callable[[int, int], None],
) -> None:
    for job in jobs:
        kind = _KINDS[job.precision]
        writer.add_tensor_info(
            job.tensor.target, job.tensor.shape, np.dtype(np.float32), job.nbytes, raw_dtype=kind
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    whole, done = sum(job.nbytes for job in jobs), 0
    for stream in merged.stream(jobs):
        writer.write_tensor_data(cast(Any, stream))
        done += stream.nbytes
        progress(done, whole)


def _check_space(path: Path, needed: int) -> None:
    try:
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise RunError(f"Cannot write to {path.parent}: {error.strerror or error}.") from error
    if needed > free:
        raise RunError(
            f"{path.name} needs {needed / 1e9:.2f} GB, and {path.parent} has {free / 1e9:.2f} GB "
            "free.",
            next_step="Make room, or write to another disk.",
        )


@contextmanager
def _writing(path: Path, architecture: str) -> Iterator[gguf.GGUFWriter]:
    """A writer whose file gets its name when it is whole, and is gone when anything failed."""
    partial = path.with_name(f"{path.name}.tmp")
    writer = gguf.GGUFWriter(partial, architecture)
    try:
        yield writer
        writer.close()
        _commit(partial, path)
    except OSError as error:
        full = " The disk is full." if error.errno == errno.ENOSPC else ""
        raise RunError(
            f"{path} could not be written: {error.strerror or error}.{full}",
            next_step="Make room and export again." if full else None,
        ) from error
    finally:
        with suppress(OSError):
            writer.close()
        partial.unlink(missing_ok=True)


def quantise(source: Path, target: Path, kind: str, *, threads: int = 2) -> None:
    """Quantise a GGUF file with llama.cpp, atomically; the embeddings stay at 8 bits or more.

    Raises EngineError for an unknown `kind` or if llama.cpp fails.
    """
    if kind not in QUANTISATIONS:
        raise EngineError(
            f"There is no quantisation {kind!r}; known are {', '.join(QUANTISATIONS)}."
        )
    options = llama_cpp.llama_model_quantize_default_params()
    options.nthread = threads
    options.ftype = QUANTISATIONS[kind]
    if kind != "F16":
        options.token_embedding_type = int(gguf.GGMLQuantizationType.Q8_0)
    partial = target.with_name(f"{target.name}.tmp")
    try:
        failed = llama_cpp.llama_model_quantize(
            os.fsencode(source), os.fsencode(partial), ctypes.byref(options)
        )
        if failed:
            raise EngineError(f"llama.cpp could not quantise {source.name} to {kind}.")
        _commit(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def _commit(partial: Path, path: Path) -> None:
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.replace(path)
