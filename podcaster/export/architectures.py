"""The networks that can be written as GGUF: for each, its tensors' names and shapes, its metadata.

What llama.cpp computes was read in its `src/models/` and checked against transformers by the tests,
one tiny random network a family. Imports gguf, torch and transformers' configurations.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import gguf
import msgspec
import torch
from transformers import CONFIG_MAPPING

from podcaster.errors import EngineError, InputError, foreign
from podcaster.export.weights import Shape, read_json

Count = Annotated[int, msgspec.Meta(gt=0, lt=2**31)]

EMBEDDINGS = "model.embed_tokens.weight"
HEAD = "lm_head.weight"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How llama.cpp runs one `model_type` of transformers.

    `interleaved`: its rotary positions turn neighbouring rows, not halves. `sandwiched`: norms
    after attention and feed-forward too, stored less one. `limits_window`: it attends to all that
    came before, so that a sliding window bounds the context that it may be given.
    """

    name: str
    spoken: str
    activation: str = "silu"
    interleaved: bool = False
    query_key_norms: bool = False
    sandwiched: bool = False
    always_tied: bool = False
    biases: tuple[str, ...] = ()
    scalings: tuple[str, ...] = ("linear", "yarn")
    limits_window: bool = True


_LLAMA: dict[str, Any] = {
    "name": "llama",
    "interleaved": True,
    "scalings": ("linear", "yarn", "llama3"),
}
_GEMMA: dict[str, Any] = {
    "activation": "gelu_pytorch_tanh",
    "sandwiched": True,
    "limits_window": False,
    "scalings": ("linear",),
}
_GEMMA_3: dict[str, Any] = {**_GEMMA, "name": "gemma3", "query_key_norms": True}
ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "llama": Architecture(**_LLAMA, spoken="Llama 2, 3, 3.1, 3.2"),
        "mistral": Architecture(**_LLAMA, spoken="Mistral"),
        "qwen2": Architecture(name="qwen2", spoken="Qwen 2, 2.5", biases=("q", "k", "v")),
        "qwen3": Architecture(name="qwen3", spoken="Qwen 3", query_key_norms=True),
        "gemma2": Architecture(name="gemma2", spoken="Gemma 2", always_tied=True, **_GEMMA),
        "gemma3_text": Architecture(spoken="Gemma 3 (text)", **_GEMMA_3),
        "gemma3": Architecture(spoken="Gemma 3 (its text part)", **_GEMMA_3),
    }
)


def supported() -> Mapping[str, str]:
    """The networks that can be exported: `model_type` of config.json → what people call them."""
    return {kind: architecture.spoken for kind, architecture in ARCHITECTURES.items()}


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """What of a network's configuration decides its file."""

    vocab_size: Count
    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Count
    num_attention_heads: Count
    num_key_value_heads: Count
    max_position_embeddings: Count
    rms_norm_eps: float
    rope_theta: float
    head_dim: Count | None = None
    rope_scaling: dict[str, Any] | None = None
    rope_local_base_freq: float | None = None
    hidden_act: str | None = None
    hidden_activation: str | None = None
    tie_word_embeddings: bool = True
    sliding_window: Count | None = None
    use_sliding_window: bool = True
    layer_types: list[str] | None = None
    attn_logit_softcapping: float | None = None
    final_logit_softcapping: float | None = None
    query_pre_attn_scalar: float | None = None
    attention_bias: bool = False
    mlp_bias: bool = False
    use_bidirectional_attention: bool | None = None

    @property
    def head_width(self) -> int:
        """How many numbers a head has."""
        return self.head_dim or self.hidden_size // self.num_attention_heads


@dataclass(frozen=True)
class Tensor:
    """One tensor to write: under which name, from which, of which shape.

    `turned_heads`: reorder the rows of so many heads. `plus`, `times`: what llama.cpp leaves to the
    file. `whole_rows`: how many rows belong together.
    """

    target: str
    source: str
    shape: Shape
    turned_heads: int = 0
    plus: float = 0.0
    times: float = 1.0
    whole_rows: int = 1

    def convert(self, block: torch.Tensor) -> torch.Tensor:
        """Some whole rows as llama.cpp wants them, float32."""
        if self.turned_heads:
            block = to_interleaved_rotary(block, len(block) // self.whole_rows)
        if self.plus:
            block = block + self.plus
        return block * self.times if self.times != 1.0 else block


@dataclass(frozen=True)
class Network:
    """A network to write: its family, its sizes, how many of its blocks."""

    kind: str
    architecture: Architecture
    sizes: Sizes
    layers: int

    def tensors(self, *, untied: bool = False) -> Iterator[Tensor]:
        """All tensors of the file; `untied` adds an output matrix of its own."""
        sizes = self.sizes
        plus = 1.0 if self.architecture.sandwiched else 0.0
        yield Tensor("token_embd.weight", EMBEDDINGS, (sizes.vocab_size, sizes.hidden_size))
        for number in range(self.layers):
            yield from self._block(number)
        yield Tensor("output_norm.weight", "model.norm.weight", (sizes.hidden_size,), plus=plus)
        if untied:
            yield Tensor("output.weight", HEAD, (sizes.vocab_size, sizes.hidden_size))

    def _block(self, number: int) -> Iterator[Tensor]:
        source, target = f"model.layers.{number}", f"blk.{number}"
        plus = 1.0 if self.architecture.sandwiched else 0.0
        width = self.sizes.hidden_size
        for theirs, ours in self._norms().items():
            yield Tensor(
                f"{target}.{ours}.weight", f"{source}.{theirs}.weight", (width,), plus=plus
            )
        yield from self._attention(source, target)
        hidden = self.sizes.intermediate_size
        for part, rows, columns in (
            ("gate", hidden, width), ("up", hidden, width), ("down", width, hidden)
        ):  # fmt: skip
            names = f"{target}.ffn_{part}", f"{source}.mlp.{part}_proj"
            yield Tensor(f"{names[0]}.weight", f"{names[1]}.weight", (rows, columns))
            if self.sizes.mlp_bias:
                yield Tensor(f"{names[0]}.bias", f"{names[1]}.bias", (rows,))

    def _norms(self) -> dict[str, str]:
        if not self.architecture.sandwiched:
            return {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
        return {
            "input_layernorm": "attn_norm",
            "post_attention_layernorm": "post_attention_norm",
            "pre_feedforward_layernorm": "ffn_norm",
            "post_feedforward_layernorm": "post_ffw_norm",
        }

    def _attention(self, source: str, target: str) -> Iterator[Tensor]:
        sizes, head = self.sizes, self.sizes.head_width
        queries, keys = sizes.num_attention_heads, sizes.num_key_value_heads
        biases = "qkvo" if sizes.attention_bias else self.architecture.biases
        scale = self.query_scale()
        normed = self.architecture.query_key_norms
        for part, ours, heads in (("q", "attn_q", queries), ("k", "attn_k", keys),
                                  ("v", "attn_v", keys), ("o", "attn_output", 0)):  # fmt: skip
            rows = heads * head or sizes.hidden_size
            columns = sizes.hidden_size if heads else queries * head
            turned = heads if self.architecture.interleaved and part in "qk" else 0
            options: dict[str, Any] = {
                "turned_heads": turned,
                "whole_rows": head if turned else 1,
                "times": scale if part == "q" and not normed else 1.0,
            }
            module = f"{source}.self_attn.{part}_proj"
            yield Tensor(f"{target}.{ours}.weight", f"{module}.weight", (rows, columns), **options)
            if part in biases:
                yield Tensor(f"{target}.{ours}.bias", f"{module}.bias", (rows,), **options)
        if normed:
            plus = 1.0 if self.architecture.sandwiched else 0.0
            for part, times in (("q", scale), ("k", 1.0)):
                names = (
                    f"{target}.attn_{part}_norm.weight",
                    f"{source}.self_attn.{part}_norm.weight",
                )
                yield Tensor(*names, (head,), plus=plus, times=times)

    def query_scale(self) -> float:
        """By what queries are multiplied in the file, so that scores are what they were.

        llama.cpp takes Gemma's `query_pre_attn_scalar` for the head's width, or for 27B, which it
        knows by the number of blocks, for the width of the network by its heads.
        """
        wanted = self.sizes.query_pre_attn_scalar
        if not self.architecture.sandwiched or wanted is None:
            return 1.0
        largest = {"gemma2": 46, "gemma3": 62}[self.architecture.name]
        by_heads = self.sizes.hidden_size // self.sizes.num_attention_heads
        taken = by_heads if self.layers == largest else self.sizes.head_width
        return math.sqrt(taken / wanted)

    def rope_factors(self) -> torch.Tensor | None:
        """By what each rotary frequency is divided, `(head width / 2,)`; None where by nothing."""
        scaling = self.sizes.rope_scaling or {}
        if _scaling_type(scaling) != "llama3":
            return None
        factor, low, high, original = (
            _number(scaling, key)
            for key in (
                "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"
            )
        )  # fmt: skip
        width = self.sizes.head_width
        exponents = torch.arange(0, width, 2, dtype=torch.float32) / width
        turns = original / (2 * math.pi) * self.sizes.rope_theta**-exponents  # in the old context
        smooth = ((turns - low) / (high - low)).clamp(0, 1)
        return 1 / ((1 - smooth) / factor + smooth)

    def add_metadata(self, writer: gguf.GGUFWriter) -> None:
        """Write what llama.cpp must know of the network."""
        sizes = self.sizes
        writer.add_vocab_size(sizes.vocab_size)
        writer.add_context_length(self.context())
        writer.add_embedding_length(sizes.hidden_size)
        writer.add_block_count(self.layers)
        writer.add_feed_forward_length(sizes.intermediate_size)
        writer.add_head_count(sizes.num_attention_heads)
        writer.add_head_count_kv(sizes.num_key_value_heads)
        writer.add_key_length(sizes.head_width)
        writer.add_value_length(sizes.head_width)
        writer.add_rope_dimension_count(sizes.head_width)
        writer.add_rope_freq_base(sizes.rope_theta)
        writer.add_layer_norm_rms_eps(sizes.rms_norm_eps)
        self._add_rope_scaling(writer)
        if not self.architecture.limits_window:
            self._add_window(writer)

    def context(self) -> int:
        """The longest text that llama.cpp reads as transformers does, in tokens."""
        sizes = self.sizes
        slides = self.architecture.limits_window and sizes.use_sliding_window
        if slides and sizes.sliding_window:
            return min(sizes.max_position_embeddings, sizes.sliding_window)
        return sizes.max_position_embeddings

    def _add_window(self, writer: gguf.GGUFWriter) -> None:
        sizes = self.sizes
        if sizes.attn_logit_softcapping is not None:
            writer.add_attn_logit_softcapping(sizes.attn_logit_softcapping)
        if sizes.final_logit_softcapping is not None:
            writer.add_final_logit_softcapping(sizes.final_logit_softcapping)
        kinds = (sizes.layer_types or [])[: self.layers]
        if sizes.sliding_window is None or len(kinds) < self.layers:
            raise EngineError(f"{self.kind} needs sliding_window and layer_types in config.json.")
        writer.add_sliding_window(sizes.sliding_window)
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in kinds])
        if sizes.rope_local_base_freq is not None:
            writer.add_rope_freq_base_swa(sizes.rope_local_base_freq)

    def _add_rope_scaling(self, writer: gguf.GGUFWriter) -> None:
        scaling = self.sizes.rope_scaling or {}
        kind = _scaling_type(scaling)
        if kind == "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(_number(scaling, "factor"))
        if kind == "yarn":
            factor = _number(scaling, "factor")
            original = scaling.get("original_max_position_embeddings")
            writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
            writer.add_rope_scaling_factor(factor)
            writer.add_rope_scaling_orig_ctx_len(
                int(_number(scaling, "original_max_position_embeddings"))
                if original
                else self.sizes.max_position_embeddings
            )
            for key, add in (("beta_fast", writer.add_rope_scaling_yarn_beta_fast),
                             ("beta_slow", writer.add_rope_scaling_yarn_beta_slow)):  # fmt: skip
                if scaling.get(key) is not None:
                    add(_number(scaling, key))
            if scaling.get("attention_factor") is not None:  # llama.cpp multiplies by its own
                own = 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0
                writer.add_rope_scaling_attn_factors(_number(scaling, "attention_factor") / own)


def read_network(folder: Path, *, layers: int | None = None) -> Network:
    """Read a folder's config.json; `layers` keeps the first so many blocks.

    Raises EngineError for a network that llama.cpp would compute otherwise, InputError for a
    configuration that makes no sense.
    """
    path = folder / "config.json"
    document = read_json(path)
    kind = document.get("model_type")
    architecture = ARCHITECTURES.get(kind) if isinstance(kind, str) else None
    if architecture is None:
        known = ", ".join(f"{name} ({spoken})" for name, spoken in supported().items())
        raise EngineError(f"A {kind} network cannot be exported; supported are {known}.")
    if document.get("quantization_config"):
        raise InputError(
            f"{path} describes a quantised model.",
            next_step="Take the model as it was before it was quantised.",
        )
    text = document.get("text_config", {}) if kind == "gemma3" else document
    if not isinstance(text, dict):
        raise InputError(f"{path} has a text_config that is no object.")
    tied = document.get("tie_word_embeddings")
    with foreign(InputError, f"Reading {path}"):
        full = CONFIG_MAPPING["gemma3_text" if kind == "gemma3" else kind].from_dict(text).to_dict()
    if kind == "gemma3" and isinstance(tied, bool):
        full["tie_word_embeddings"] = tied
    try:
        sizes = msgspec.convert(full, Sizes)
    except msgspec.ValidationError as error:
        raise InputError(f"{path} cannot be used: {error}.") from error
    _check(sizes, architecture, path)
    if layers is not None and not 1 <= layers <= sizes.num_hidden_layers:
        raise InputError(f"The network has {sizes.num_hidden_layers} blocks, {layers} asked for.")
    assert isinstance(kind, str)
    return Network(kind, architecture, sizes, layers or sizes.num_hidden_layers)


def _check(sizes: Sizes, architecture: Architecture, path: Path) -> None:
    scaling = sizes.rope_scaling or {}
    kind = _scaling_type(scaling)
    activation = sizes.hidden_activation or sizes.hidden_act
    reasons = {
        f"the activation {activation}, expected {architecture.activation}": activation
        != architecture.activation,
        f"rope_scaling of the type {kind!r}, expected one of "
        f"{', '.join(architecture.scalings)}": kind not in {"default", *architecture.scalings},
        "rope_scaling with mscale": bool(scaling.get("mscale") or scaling.get("mscale_all_dim")),
        "rope_scaling with truncate off": scaling.get("truncate") is False,
        "biases of attention": sizes.attention_bias and not architecture.interleaved,
        "biases of the feed-forward part": sizes.mlp_bias and not architecture.interleaved,
        "an output matrix apart from the embeddings": architecture.always_tied
        and not sizes.tie_word_embeddings,
        "no cap on its final logits": architecture.always_tied
        and sizes.final_logit_softcapping is None,
        "no cap on its attention": architecture.always_tied and not sizes.attn_logit_softcapping,
        "attention in both directions": bool(sizes.use_bidirectional_attention),
        f"{sizes.num_attention_heads} heads on {sizes.num_key_value_heads} keys": bool(
            sizes.num_attention_heads % sizes.num_key_value_heads
        ),
        f"heads of the odd width {sizes.head_width}": bool(sizes.head_width % 2),
    }
    found = next((reason for reason, holds in reasons.items() if holds), None)
    if found:
        raise EngineError(f"{path} asks for {found}: llama.cpp cannot run that.")
    if kind == "llama3" and _number(scaling, "high_freq_factor") <= _number(
        scaling, "low_freq_factor"
    ):
        raise InputError(f"{path} has a high_freq_factor that is not above low_freq_factor.")


def _scaling_type(scaling: Mapping[str, Any]) -> str:
    return str(scaling.get("rope_type", scaling.get("type", "default")))


def _number(scaling: Mapping[str, Any], key: str) -> float:
    value = scaling.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise InputError(f"rope_scaling has {key} {value!r}, expected a number above 0.")
    return float(value)


def to_interleaved_rotary(matrix: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder the rows of a query or key matrix `(heads · width, …)` for llama.cpp.

    transformers rotates the first half of a head against the second; llama.cpp's Llama rotates
    neighbouring rows.
    """
    halves = matrix.reshape(heads, 2, len(matrix) // heads // 2, *matrix.shape[1:])
    return halves.swapaxes(1, 2).reshape(matrix.shape)
