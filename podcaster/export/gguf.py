"""Write a Llama network and its tokenizer as GGUF, and quantise it with llama.cpp's own code.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Imports torch, gguf and
llama_cpp: reach this module only when a model is to be exported.
"""

import ctypes
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gguf
import llama_cpp
import numpy as np
import numpy.typing as npt
import torch

from podcaster.errors import EngineError

Precision = Literal["F32", "F16"]

QUANTISATIONS: dict[str, int] = {
    "F16": llama_cpp.LLAMA_FTYPE_MOSTLY_F16,
    "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0,
    "Q6_K": llama_cpp.LLAMA_FTYPE_MOSTLY_Q6_K,
    "Q5_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q5_K_M,
    "Q4_K_M": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
    "Q4_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
}

# The split patterns of the tokenizers library → the names under which llama.cpp has built them in.
_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN_2 = _LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
_KNOWN_PATTERNS = {_LLAMA_3: "llama-bpe", _QWEN_2: "qwen2"}
_IGNORES_MERGES = {"llama-bpe"}  # llama.cpp takes a word that is a token whole


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """A byte-level BPE vocabulary: tokens by id, merges in order, which ids are control tokens."""

    tokens: tuple[str, ...]
    merges: tuple[str, ...]
    control: frozenset[int]
    pre: str


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a GGUF file says about itself; `extra` holds string metadata of our own."""

    name: str
    licence: str
    description: str
    extra: Mapping[str, str]


def read_vocabulary(tokenizer_json: Path, *, size: int) -> Vocabulary:
    """Read a byte-level BPE `tokenizer.json`; ids without a token up to `size` become unused ones.

    Raises EngineError if llama.cpp could not split text as this tokenizer does.
    """
    document = json.loads(tokenizer_json.read_text(encoding="utf-8"))
    model = document["model"]
    if model["type"] != "BPE":
        raise EngineError(f"{tokenizer_json.name} is a {model['type']} tokenizer, expected BPE.")
    by_id = {number: token for token, number in model["vocab"].items()}
    added = document.get("added_tokens") or []
    by_id.update({entry["id"]: entry["content"] for entry in added})
    if by_id and max(by_id) >= size:
        raise EngineError(
            f"{tokenizer_json.name} has the token id {max(by_id)}, the network knows {size} ids."
        )
    pre = _name_pre_tokenizer(document.get("pre_tokenizer") or {}, tokenizer_json.name)
    if bool(model.get("ignore_merges")) != (pre in _IGNORES_MERGES):
        raise EngineError(f"{tokenizer_json.name}: llama.cpp merges otherwise than ignore_merges.")
    merges = (m if isinstance(m, str) else " ".join(m) for m in model["merges"])
    return Vocabulary(
        tokens=tuple(by_id.get(number, f"[PAD{number}]") for number in range(size)),
        merges=tuple(merges),
        control=frozenset(entry["id"] for entry in added if entry.get("special")),
        pre=pre,
    )


def _name_pre_tokenizer(pre_tokenizer: Mapping[str, Any], where: str) -> str:
    steps: Sequence[Mapping[str, Any]] = pre_tokenizer.get("pretokenizers", [pre_tokenizer])
    last = steps[-1]
    if last.get("type") == "ByteLevel" and not last.get("add_prefix_space"):
        if len(steps) == 1 and last.get("use_regex", True):
            return "gpt-2"
        if len(steps) == 2 and not last.get("use_regex", True):
            pattern = (steps[0].get("pattern") or {}).get("Regex", "")
            if pattern in _KNOWN_PATTERNS and steps[0].get("behavior") == "Isolated":
                return _KNOWN_PATTERNS[pattern]
    raise EngineError(
        f"{where} splits text in a way that llama.cpp has no name for; known are GPT-2's, "
        "Llama 3's and Qwen 2's."
    )


def write_llama_gguf(
    path: Path,
    *,
    config: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    vocabulary: Vocabulary,
    begin: str,
    end: str,
    card: ModelCard,
    precision: Precision = "F32",
) -> None:
    """Write a transformers Llama (`config.to_dict()`, `state_dict()`) as one GGUF file, atomically.

    `begin` and `end` are the tokens that open a text and end a turn; nothing is added to a prompt
    by itself. Norms stay float32. Raises EngineError for a network llama.cpp's `llama` does not
    cover: scaled rotary positions, biases, unknown tensors.
    """
    if config.get("model_type") != "llama" or config.get("rope_scaling"):
        raise EngineError(
            f"Only plain Llama networks can be written, got {config.get('model_type')!r} with "
            f"rope_scaling {config.get('rope_scaling')!r}."
        )
    partial = path.with_name(f"{path.name}.tmp")
    writer = gguf.GGUFWriter(partial, "llama")
    try:
        _add_card(writer, card)
        _add_shape(writer, config, precision)
        _add_vocabulary(writer, vocabulary, begin, end)
        _add_weights(writer, config, weights, precision)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        _commit(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _add_card(writer: gguf.GGUFWriter, card: ModelCard) -> None:
    writer.add_name(card.name)
    writer.add_license(card.licence)
    writer.add_description(card.description)
    for key, value in card.extra.items():
        writer.add_string(key, value)


def _add_shape(writer: gguf.GGUFWriter, config: Mapping[str, Any], precision: Precision) -> None:
    head_width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_width)
    writer.add_value_length(head_width)
    writer.add_rope_dimension_count(head_width)
    writer.add_rope_freq_base(float(config["rope_theta"]))
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    kinds = {"F32": gguf.LlamaFileType.ALL_F32, "F16": gguf.LlamaFileType.MOSTLY_F16}
    writer.add_file_type(kinds[precision])


def _add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary, begin: str, end: str) -> None:
    def kind(number: int, token: str) -> int:
        if number in vocabulary.control:
            return int(gguf.TokenType.CONTROL)
        unused = token == f"[PAD{number}]"
        return int(gguf.TokenType.UNUSED if unused else gguf.TokenType.NORMAL)

    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types([kind(n, token) for n, token in enumerate(vocabulary.tokens)])
    writer.add_token_merges(vocabulary.merges)
    for name, token in (("begin", begin), ("end", end)):
        if token not in vocabulary.tokens:
            raise EngineError(f"The {name} token {token!r} is not in the vocabulary.")
    writer.add_bos_token_id(vocabulary.tokens.index(begin))
    writer.add_eos_token_id(vocabulary.tokens.index(end))
    writer.add_eot_token_id(vocabulary.tokens.index(end))
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)


def _add_weights(
    writer: gguf.GGUFWriter,
    config: Mapping[str, Any],
    weights: Mapping[str, torch.Tensor],
    precision: Precision,
) -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    written = 0
    for name, tensor in weights.items():
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue  # llama.cpp takes the embeddings where there is no output matrix
        target = names.get_name(name, try_suffixes=(".weight",))
        if target is None:
            raise EngineError(f"llama.cpp's Llama has no place for the tensor {name}.")
        values = tensor.detach().to("cpu", torch.float32).numpy()
        for part, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
            if name.endswith(f"{part}.weight"):
                values = to_interleaved_rotary(values, config[heads])
        if precision == "F16" and values.ndim > 1:
            values = values.astype(np.float16)
        writer.add_tensor(target, np.ascontiguousarray(values))
        written += 1
    if written == 0:
        raise EngineError("The network to write has no tensors.")


def to_interleaved_rotary(matrix: npt.NDArray[np.float32], heads: int) -> npt.NDArray[np.float32]:
    """Reorder the rows of a query or key matrix `(heads · width, in)` for llama.cpp.

    transformers rotates the first half of a head against the second; llama.cpp's Llama rotates
    neighbouring rows.
    """
    rows, columns = matrix.shape
    halves = matrix.reshape(heads, 2, rows // heads // 2, columns)
    return halves.swapaxes(1, 2).reshape(rows, columns)


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
