"""Base, adapter and network together: what is to be written, checked before the first byte is.

Source of how peft ties embeddings: `peft.tuners.trainable_tokens`, `save_embedding_layers`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import torch

from podcaster.errors import EngineError, InputError
from podcaster.export.adapters import Adapter, canonical_name
from podcaster.export.architectures import EMBEDDINGS, HEAD, Network, Tensor
from podcaster.export.weights import Rows, Weights, find_weights, iterate_blocks, open_shard

Precision = Literal["F32", "F16", "BF16"]
LARGEST_F16 = 65504.0
_TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class Job:
    """One tensor to write and where it comes from: a shard, or values that are there already."""

    tensor: Tensor
    precision: Precision
    name: str = ""
    shard: Path | None = None
    values: torch.Tensor | None = None

    @property
    def nbytes(self) -> int:
        """How many bytes it takes in the file."""
        return math.prod(self.tensor.shape) * int(_TYPES[self.precision].itemsize)


@dataclass(frozen=True)
class MergedModel:
    """A network whose base and adapter fit; `names` are the base's own of its tensors."""

    network: Network
    weights: Weights
    names: Mapping[str, str]
    adapter: Adapter | None
    untied: bool

    def jobs(self, precision: Precision) -> list[Job]:
        """All tensors to write, those of one shard together."""
        jobs = []
        factors = self.network.rope_factors()
        if factors is not None:
            shape = tuple(factors.shape)
            jobs.append(Job(Tensor("rope_freqs.weight", "", shape), "F32", values=factors))
        whole = self.adapter.whole if self.adapter else {}
        for tensor in self.network.tensors(untied=self.untied):
            kept: Precision = "F32" if len(tensor.shape) == 1 else precision
            source = tensor.source
            if source == HEAD and self.network.sizes.tie_word_embeddings and source not in whole:
                source = EMBEDDINGS
            if source in whole:
                jobs.append(Job(tensor, kept, values=whole[source]))
            else:
                name = self.names[source]
                jobs.append(Job(tensor, kept, name, self.weights.shards[name]))
        return sorted(jobs, key=lambda job: str(job.shard or ""))

    def stream(self, jobs: Sequence[Job]) -> Iterator["Stream"]:
        """Each tensor to write, with one shard open at a time: write it before taking the next."""
        for shard, group in groupby(jobs, key=lambda job: job.shard):
            with open_shard(shard) if shard else nullcontext() as opened:
                for job in group:
                    rows = job.values if opened is None else opened.get_slice(job.name)
                    assert rows is not None
                    yield Stream(job, rows, self.adapter)

    def adapter_tensors(self) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
        """The tensors of a GGUF adapter, by name: for each layer `(rank, in)` and `(out, rank)`.

        Raises InputError for what llama.cpp cannot add to a model that is loaded.
        """
        adapter = self.adapter
        assert adapter is not None
        by_source = {tensor.source: tensor for tensor in self.network.tensors(untied=self.untied)}
        tied = self.network.sizes.tie_word_embeddings
        more = [*adapter.whole, *adapter.rows]
        more += [n for n, p in adapter.pairs.items() if p.flipped or (n == HEAD and tied)]
        if more or not adapter.pairs:
            what = more[0].removesuffix(".weight") if more else "no layer by low-rank pairs"
            raise InputError(
                f"The adapter {adapter.folder} trained {what}; beside its base llama.cpp can add "
                "low-rank pairs of linear layers alone.",
                next_step="Export the merged model.",
            )
        for name, pair in adapter.pairs.items():
            tensor = by_source[name]
            rank = pair.a.shape[0]
            b = tensor.convert(pair.b) * (pair.scale * rank / adapter.alpha)
            for part, values in (("lora_a", pair.a), ("lora_b", b)):
                _check_finite(values, name, "F32")
                yield f"{tensor.target}.{part}", values.contiguous().numpy()


@dataclass
class Stream:
    """A tensor that is converted while it is written; to gguf it looks like a numpy array."""

    job: Job
    rows: Rows | torch.Tensor
    adapter: Adapter | None

    @property
    def nbytes(self) -> int:
        """How many bytes it will write."""
        return self.job.nbytes

    def tofile(self, file: BinaryIO) -> None:
        """Write it, a block of rows at a time. Raises InputError for values that are no numbers."""
        tensor = self.job.tensor
        source = tensor.source
        for start, values in iterate_blocks(self.rows, tensor.shape, whole=tensor.whole_rows):
            block = values
            if self.adapter is not None:
                block = self.adapter.merge(source, start, block)
            block = tensor.convert(block)
            _check_finite(block, source, self.job.precision)
            block = block.to(_TYPES[self.job.precision]).contiguous()
            file.write(block.view(torch.uint8).numpy().data)


def _check_finite(block: torch.Tensor, name: str, precision: Precision) -> None:
    low, high = torch.aminmax(block)
    largest = max(abs(float(low)), abs(float(high)))
    if not math.isfinite(largest):
        raise InputError(f"{name} has values that are no finite numbers.")
    if precision == "F16" and largest > LARGEST_F16:
        raise InputError(
            f"{name} has the value {largest:g}, and F16 ends at {LARGEST_F16:g}.",
            next_step="Export it in BF16.",
        )


def open_merged(base: Path, network: Network, adapter: Adapter | None) -> MergedModel:
    """Check that a folder holds just the network's tensors and that the adapter is one for it.

    Raises InputError for tensors that lack or have another shape, EngineError for ones that
    llama.cpp has no place for.
    """
    weights = find_weights(base)
    names = {canonical_name(name): name for name in weights.shapes}
    tied = network.sizes.tie_word_embeddings
    full = replace(network, layers=network.sizes.num_hidden_layers)
    wanted = {tensor.source: tensor.shape for tensor in full.tensors(untied=not tied)}
    for name, shape in wanted.items():
        got = weights.shapes[names[name]] if name in names else None
        if got != shape:
            raise InputError(
                f"{base} has no {name}." if got is None
                else f"{name} in {base} is {got}, expected {shape} by its config.json."
            )  # fmt: skip
    for name in names:
        ignored = not name or name.endswith("rotary_emb.inv_freq") or (tied and name == HEAD)
        if name not in wanted and not ignored:
            kind = network.architecture.name
            raise EngineError(f"llama.cpp's {kind} has no place for the tensor {name}.")
    if adapter is None:
        return MergedModel(network, weights, names, None, not tied)
    adapter.check_fits({HEAD: wanted[EMBEDDINGS], **wanted})
    grown = _grow(network, adapter)
    untied = not tied or _unties(adapter)
    if untied and network.architecture.always_tied:
        raise EngineError(
            f"The adapter {adapter.folder} parts the output matrix from the embeddings; "
            f"llama.cpp's {network.architecture.name} has one for both."
        )
    return MergedModel(grown, weights, names, adapter, untied)


def _unties(adapter: Adapter) -> bool:
    """Whether an output matrix that was the embeddings is so no longer.

    Rows trained alone, and embeddings that peft saves because they grew, stay one with it.
    """
    if (
        EMBEDDINGS in adapter.whole
        and "embed_tokens" in adapter.saved
        and HEAD not in adapter.whole
    ):
        raise InputError(
            f"The adapter {adapter.folder} trained the embeddings apart from the output matrix, "
            "which are one in its base.",
            next_step="Train both (modules_to_save embed_tokens and lm_head), or rows of both "
            "(trainable_token_indices).",
        )
    return EMBEDDINGS in adapter.pairs or adapter.touches(HEAD)


def _grow(network: Network, adapter: Adapter) -> Network:
    """The network with as many tokens as the adapter's own embeddings have, if it brings some."""
    heights: dict[str, int] = {
        name: len(adapter.whole[name]) for name in (EMBEDDINGS, HEAD) if name in adapter.whole
    }
    size = network.sizes.vocab_size
    both = EMBEDDINGS in heights and (HEAD in heights or network.sizes.tie_word_embeddings)
    if set(heights.values()) - {size} and not (both and len(set(heights.values())) == 1):
        raise InputError(
            f"The adapter {adapter.folder} has {heights} rows, the base's vocabulary has {size}."
        )
    new: Any = heights.get(EMBEDDINGS, size)
    return replace(network, sizes=msgspec.structs.replace(network.sizes, vocab_size=new))
