"""The packaged model as a base: its GGUF file and our adapter, written as transformers saves one.

Weights are dequantised and merged with the adapter in float32; matrices are kept in float16.
Imports torch and gguf: reach this module only to train.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import torch
from safetensors.torch import save_file

from podcaster.errors import EngineError, foreign
from podcaster.run import make_folder, sha256_file

CONTROL = 3  # the kind of a token that text cannot spell
_LAYERS = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
_OUTSIDE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
}
_IN_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.weight")
_CONFIG = {  # transformers' names of what a GGUF file says of a Llama
    "vocab_size": "vocab_size",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "rope.dimension_count",
    "max_position_embeddings": "context_length",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_theta": "rope.freq_base",
}
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
_SPLITS = {  # by llama.cpp's name: how text is split before its bytes are merged
    "smollm": {
        "type": "Sequence",
        "pretokenizers": [{"type": "Digits", "individual_digits": True}, _BYTES],
    }
}


def unpack_base(model: Path, adapter: Path | None, scratch: Path) -> Path:
    """The folder under `scratch` in which a GGUF model lies as transformers saves one; made once.

    An adapter is merged. Raises EngineError for a file that is no Llama with a vocabulary that is
    known here, and for an adapter of another.
    """
    parts = [sha256_file(path) for path in (model, adapter) if path]
    folder = scratch / f"builtin-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:12]}"
    if (folder / "config.json").is_file():
        return folder
    making = scratch / f".{folder.name}"
    make_folder(making)
    with foreign(EngineError, f"Reading the model {model}"):
        file = gguf.GGUFReader(model)
        config = read_config(file)
        weights = read_weights(file, config)
    if adapter is not None:
        merge_adapter(weights, config, adapter)
    kept = {name: t.half().contiguous() if t.ndim > 1 else t for name, t in weights.items()}
    save_file(kept, making / "model.safetensors", metadata={"format": "pt"})
    _write_json(making / "config.json", config)
    write_tokenizer(file, making)
    making.replace(folder)
    return folder


def read_config(file: gguf.GGUFReader) -> dict[str, Any]:
    """What config.json says of the network. Raises EngineError for another than a Llama."""
    architecture = _read(file, "general.architecture")
    if architecture != "llama":
        raise EngineError(f"The model is a {architecture}, expected a llama.")
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float16",
        **{ours: _read(file, f"llama.{theirs}") for ours, theirs in _CONFIG.items()},
        "tie_word_embeddings": all(tensor.name != "output.weight" for tensor in file.tensors),
        "bos_token_id": _read(file, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _read(file, "tokenizer.ggml.eos_token_id"),
    }


def read_weights(file: gguf.GGUFReader, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """All tensors in float32, by transformers' names. Raises EngineError for one without a name."""
    return {
        _rename(tensor.name): _unturn(_dequantise(tensor), tensor.name, config)
        for tensor in file.tensors
    }


def merge_adapter(
    weights: Mapping[str, torch.Tensor], config: Mapping[str, Any], path: Path
) -> None:
    """Add a GGUF adapter to a network's weights. Raises EngineError where it does not fit."""
    with foreign(EngineError, f"Reading the adapter {path}"):
        file = gguf.GGUFReader(path)
        alpha = float(_read(file, "adapter.lora.alpha"))
        pairs: dict[str, dict[str, torch.Tensor]] = {}
        for tensor in file.tensors:
            name, _, half = tensor.name.rpartition(".lora_")
            pairs.setdefault(name, {})[half] = _dequantise(tensor)
    for name, pair in pairs.items():
        a, b = pair["a"], _unturn(pair["b"], name, config)
        weight = weights[_rename(name)]
        if weight.shape != (b.shape[0], a.shape[1]):
            raise EngineError(
                f"The adapter {path} is another model's: its {name} is {b.shape[0]} by "
                f"{a.shape[1]}, expected {weight.shape[0]} by {weight.shape[1]}."
            )
        weight.addmm_(b, a, alpha=alpha / len(a))


def from_interleaved_rotary(matrix: torch.Tensor, heads: int) -> torch.Tensor:
    """Reorder the rows `(heads · width, …)` of llama.cpp's queries or keys for transformers.

    llama.cpp's Llama rotates neighbouring rows, transformers the first half of a head against the
    second.
    """
    pairs = matrix.reshape(heads, len(matrix) // heads // 2, 2, *matrix.shape[1:])
    return pairs.swapaxes(1, 2).reshape(matrix.shape)


def write_tokenizer(file: gguf.GGUFReader, folder: Path) -> None:
    """Write a file's vocabulary as `tokenizer.json`, with its chat template beside it.

    Raises EngineError where it splits text in a way that is not known here.
    """
    split = _read(file, "tokenizer.ggml.pre")
    if _read(file, "tokenizer.ggml.model") != "gpt2" or split not in _SPLITS:
        raise EngineError(f"The model splits text by {split!r}, expected {', '.join(_SPLITS)}.")
    tokens = _read(file, "tokenizer.ggml.tokens")
    kinds = _read(file, "tokenizer.ggml.token_type")
    special = [_special(n, tokens[n]) for n, kind in enumerate(kinds) if kind == CONTROL]
    document = {
        "version": "1.0",
        "added_tokens": special,
        "pre_tokenizer": _SPLITS[split],
        "decoder": _BYTES,
        "model": {
            "type": "BPE",
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": _read(file, "tokenizer.ggml.merges"),
        },
    }
    settings = {
        "bos_token": tokens[_read(file, "tokenizer.ggml.bos_token_id")],
        "eos_token": tokens[_read(file, "tokenizer.ggml.eos_token_id")],
        "chat_template": _read(file, "tokenizer.chat_template"),
    }
    _write_json(folder / "tokenizer.json", document)
    _write_json(folder / "tokenizer_config.json", settings)


def _read(file: gguf.GGUFReader, key: str) -> Any:
    field = file.fields.get(key)
    if field is None:
        raise EngineError(f"The file does not say {key}.")
    return field.contents()


def _rename(name: str) -> str:
    found = _IN_BLOCK.fullmatch(name)
    if found and found[2] in _LAYERS:
        return f"model.layers.{found[1]}.{_LAYERS[found[2]]}.weight"
    if name not in _OUTSIDE:
        raise EngineError(f"The file has the tensor {name}, which a Llama does not have.")
    return _OUTSIDE[name]


def _dequantise(tensor: gguf.ReaderTensor) -> torch.Tensor:
    return torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())


def _unturn(matrix: torch.Tensor, name: str, config: Mapping[str, Any]) -> torch.Tensor:
    heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
    found = _IN_BLOCK.fullmatch(name)
    key = heads.get(found[2]) if found else None
    return from_interleaved_rotary(matrix, config[key]) if key else matrix


def _special(number: int, text: str) -> dict[str, Any]:
    no = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": text, "special": True, **no}


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
