"""A LoRA adapter as peft saves it: read, checked against its base, merged block by block.

What is merged: low-rank pairs of linear layers and embeddings, modules trained whole
(`modules_to_save`), rows of the embeddings trained alone (`trainable_token_indices`). Anything else
is refused by name. Source: https://huggingface.co/docs/peft/package_reference/lora.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import torch

from podcaster.errors import InputError
from podcaster.export.weights import Shape, check_floats, open_shard, read_json

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PREFIX = "base_model.model."
_PAIR = re.compile(r"(.+)\.lora_(embedding_)?([AB])(?:\.weight)?")
_TOKENS = ".token_adapter.trainable_tokens_delta"
_PLAIN_PATTERN = re.compile(r"\^?[\w.]{1,200}\$?")
_STARTS_THAT_KEEP_THE_BASE = {"true", "false", "gaussian", "orthogonal", "eva"}


class AdapterConfig(msgspec.Struct, frozen=True):
    """What of `adapter_config.json` decides how an adapter is merged.

    `fan_in_fan_out` is not read: it is for Conv1D layers, and peft ignores it for linear ones, of
    which all supported networks are made.
    """

    peft_type: str = ""
    r: int = 8
    lora_alpha: float = 8
    alpha_pattern: dict[str, float] = {}
    use_rslora: bool = False
    use_dora: bool = False
    lora_bias: bool = False
    bias: str = "none"
    init_lora_weights: bool | str = True
    layer_replication: Any = None
    alora_invocation_tokens: Any = None
    megatron_config: Any = None
    use_qalora: bool = False
    target_parameters: Any = None
    modules_to_save: list[str] | None = None
    trainable_token_indices: list[int] | dict[str, list[int]] | None = None


@dataclass(frozen=True)
class Pair:
    """Two low-rank matrices: what a layer's weight gains is `scale · B A`.

    a: (rank, in), b: (out, rank). Of an embedding (`flipped`): a: (rank, tokens), b: (width, rank),
    and the gain is transposed.
    """

    a: torch.Tensor
    b: torch.Tensor
    scale: float
    flipped: bool = False

    @property
    def shape(self) -> Shape:
        """The shape of the weight that it fits."""
        sides = (self.b.shape[0], self.a.shape[1])
        return sides[::-1] if self.flipped else sides

    def add_to(self, block: torch.Tensor, start: int) -> torch.Tensor:
        """The rows of the weight from `start` on, `(height, in)`, with what they gain."""
        rows = slice(start, start + len(block))
        left, right = (self.a[:, rows].T, self.b.T) if self.flipped else (self.b[rows], self.a)
        return torch.addmm(block, left, right, alpha=self.scale)


@dataclass(frozen=True)
class Adapter:
    """An adapter by the names of the base's tensors (`model.layers.0.self_attn.q_proj.weight`).

    `saved` are the last names of the modules that were trained whole on purpose.
    """

    folder: Path
    alpha: float
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    whole: Mapping[str, torch.Tensor] = field(default_factory=dict)
    rows: Mapping[str, tuple[tuple[int, ...], torch.Tensor]] = field(default_factory=dict)
    saved: frozenset[str] = frozenset()

    def touches(self, name: str) -> bool:
        """Whether the adapter changes the tensor of this name."""
        return name in self.pairs or name in self.whole or name in self.rows

    def merge(self, name: str, start: int, block: torch.Tensor) -> torch.Tensor:
        """The block of rows that begins at `start` with the adapter merged in, float32."""
        if name in self.pairs:
            block = self.pairs[name].add_to(block, start)
        if name in self.rows:
            numbers, values = self.rows[name]
            inside = [
                (n - start, at) for at, n in enumerate(numbers) if 0 <= n - start < len(block)
            ]
            if inside:
                block = block.clone()
                block[[row for row, _ in inside]] = values[[at for _, at in inside]]
        return block

    def check_fits(self, shapes: Mapping[str, Shape]) -> None:
        """Compare with the base's shapes, by name. Raises InputError that names the module."""
        for name, pair in self.pairs.items():
            self._check(name, shapes, pair.shape)
        for name, tensor in self.whole.items():
            grown = name in {"model.embed_tokens.weight", "lm_head.weight"}
            self._check(name, shapes, tuple(tensor.shape), rows_may_differ=grown)
        for name, (numbers, values) in self.rows.items():
            height, *_ = self.whole[name].shape if name in self.whole else shapes.get(name, (0,))
            self._check(name, shapes, tuple(values.shape), rows_may_differ=True)
            if len(numbers) != len(values) or min(numbers) < 0 or max(numbers) >= height:
                raise InputError(
                    f"The adapter {self.folder} trained {len(values)} rows of {name} for "
                    f"{len(numbers)} token ids up to {max(numbers)}; the base has {height} rows."
                )

    def _check(
        self, name: str, shapes: Mapping[str, Shape], got: Shape, *, rows_may_differ: bool = False
    ) -> None:
        module = name.removesuffix(".weight")
        wanted = shapes.get(name)
        advice = "Name the base that the adapter was trained on."
        if wanted is None:
            raise InputError(
                f"The adapter {self.folder} changes {module}, which the base does not have.",
                next_step=advice,
            )
        start = 1 if rows_may_differ else 0
        if len(got) != len(wanted) or got[start:] != wanted[start:]:
            raise InputError(
                f"The adapter {self.folder} is for another base: its {module} is {got}, "
                f"expected {wanted}.",
                next_step=advice,
            )


def read_adapter(folder: Path) -> Adapter:
    """Read a folder as `PeftModel.save_pretrained` writes it.

    Raises InputError for what cannot be merged: another method than LoRA, DoRA, biases, a start
    that changed the base itself, weights that are pickled or incomplete.
    """
    document = read_json(folder / CONFIG)
    try:
        config = msgspec.convert(document, AdapterConfig)
    except msgspec.ValidationError as error:
        raise InputError(f"{folder / CONFIG} cannot be used: {error}.") from error
    _refuse_other_methods(config, folder)
    if not (folder / WEIGHTS).is_file():
        raise InputError(
            f"{folder} lacks {WEIGHTS}.",
            next_step="Save the adapter again with safe_serialization=True.",
        )
    with open_shard(folder / WEIGHTS) as shard:
        tensors: dict[str, torch.Tensor] = {}
        for name in shard.keys():  # noqa: SIM118 - a shard cannot be walked over
            check_floats(shard.get_slice(name), name, folder / WEIGHTS)
            tensors[name] = shard.get_tensor(name)
    if not tensors:
        raise InputError(f"{folder / WEIGHTS} holds no tensors.")
    return _sort_out(tensors, config, folder)


def _refuse_other_methods(config: AdapterConfig, folder: Path) -> None:
    start = str(config.init_lora_weights).lower()
    reasons = {
        f"is of the method {config.peft_type or 'unknown'}": config.peft_type != "LORA",
        "uses DoRA": config.use_dora,
        "uses QA-LoRA": config.use_qalora,
        "trains biases": config.lora_bias or config.bias != "none",
        "repeats layers": bool(config.layer_replication),
        "is an activated LoRA": bool(config.alora_invocation_tokens),
        "is for Megatron": bool(config.megatron_config),
        "targets bare parameters": bool(config.target_parameters),
        f"began with {config.init_lora_weights}, which changes the base itself": start
        not in _STARTS_THAT_KEEP_THE_BASE,
    }
    found = next((reason for reason, holds in reasons.items() if holds), None)
    if found:
        raise InputError(f"The adapter {folder} {found}; only a plain LoRA can be exported.")
    for alpha in (config.lora_alpha, *config.alpha_pattern.values()):
        if not 0 < alpha < 1e9:
            raise InputError(f"{folder / CONFIG} has the alpha {alpha}, expected one above 0.")
    for pattern in config.alpha_pattern:
        if not _PLAIN_PATTERN.fullmatch(pattern):
            raise InputError(
                f"{folder / CONFIG} has the alpha_pattern {pattern!r}, expected a module's name."
            )


def canonical_name(name: str) -> str:
    """A tensor's name as in a model of text alone; "" for the parts that see and their bridge."""
    name = name.removeprefix("language_model.")
    name = re.sub(r"^model\.(?=(language_model|vision_tower|multi_modal_projector)\.)", "", name)
    if name.startswith(("vision_tower.", "multi_modal_projector.")):
        return ""
    return re.sub(r"^language_model\.", "model.", name)


def _sort_out(tensors: Mapping[str, torch.Tensor], config: AdapterConfig, folder: Path) -> Adapter:
    halves: dict[tuple[str, bool], dict[str, torch.Tensor]] = {}
    whole: dict[str, torch.Tensor] = {}
    rows: dict[str, tuple[tuple[int, ...], torch.Tensor]] = {}
    for full, tensor in tensors.items():
        name = canonical_name(full.removeprefix(_PREFIX))
        pair = _PAIR.fullmatch(name)
        if pair:
            halves.setdefault((pair[1], bool(pair[2])), {})[pair[3]] = tensor
        elif name.endswith(_TOKENS):
            module = name.removesuffix(_TOKENS)
            rows[f"{module}.weight"] = (_token_ids(config, module, folder), tensor.float())
        elif name.endswith((".weight", ".bias")) and full.startswith(_PREFIX):
            whole[name.replace(".base_layer.", ".").replace(".original_module.", ".")] = tensor
        else:
            raise InputError(f"The adapter {folder} holds {full}, which cannot be merged.")
    pairs = {
        f"{module}.weight": _join(module, both, flipped, config, folder)
        for (module, flipped), both in halves.items()
    }
    saved = frozenset(name.rsplit(".", 1)[-1] for name in config.modules_to_save or ())
    return Adapter(folder, config.lora_alpha, pairs, whole, rows, saved)


def _join(
    module: str,
    both: Mapping[str, torch.Tensor],
    flipped: bool,
    config: AdapterConfig,
    folder: Path,
) -> Pair:
    a, b = both.get("A"), both.get("B")
    if a is None or b is None:
        raise InputError(f"The adapter {folder} has only half of the pair of {module}.")
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1] or 0 in (*a.shape, *b.shape):
        raise InputError(
            f"The adapter {folder} has matrices of {tuple(a.shape)} and {tuple(b.shape)} for "
            f"{module}, which do not go together."
        )
    a, b, rank = a.to(torch.float32), b.to(torch.float32), a.shape[0]
    alpha = next(
        (v for key, v in config.alpha_pattern.items() if re.match(rf"(.*\.)?({key})$", module)),
        config.lora_alpha,
    )
    return Pair(a, b, alpha / (rank**0.5 if config.use_rslora else rank), flipped)


def _token_ids(config: AdapterConfig, module: str, folder: Path) -> tuple[int, ...]:
    trained = config.trainable_token_indices
    if isinstance(trained, dict):
        last = module.rsplit(".", 1)[-1]
        trained = trained.get(module, trained.get(last))
    if not trained:
        raise InputError(f"{folder / CONFIG} does not say which tokens of {module} were trained.")
    return tuple(trained)
