"""LoRA adapters as the real peft saves them: merged as it merges, refused where they do not fit."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

for library in ("torch", "transformers", "tokenizers", "gguf", "llama_cpp", "peft"):
    pytest.importorskip(library, reason=f"export needs {library}: install podcaster[train]")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from peft import LoHaConfig, get_peft_model  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from podcaster.errors import EngineError, InputError  # noqa: E402
from podcaster.export.adapters import read_adapter  # noqa: E402
from podcaster.export.gguf import ModelCard, write_adapter, write_model  # noqa: E402
from tests.export.tiny_models import (  # noqa: E402
    BEGIN,
    HARD_TEXT,
    compute_logits,
    edit_json,
    make_adapter,
    make_model,
    wanted_logits,
)

CARD = ModelCard(name="tiny", licence="MIT", description="random", extra={})
ATTENTION = ["q_proj", "v_proj"]


def export(base: Path, adapter: Path) -> Path:
    path = base.parent / "model.gguf"
    write_model(path, base, adapter, precision="F32", card=CARD)
    return path


def difference(base: Path, adapter: Path, tuned: Any) -> float:
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    ids = tokenizer.encode(BEGIN + HARD_TEXT, add_special_tokens=False).ids
    with tuned.disable_adapter():
        before = wanted_logits(tuned, ids)
    wanted = wanted_logits(tuned, ids)
    assert np.abs(wanted - before).max() > 1e-2  # the adapter says something
    return float(np.abs(compute_logits(export(base, adapter), ids) - wanted).max())


@pytest.mark.parametrize("family", ["llama-3", "llama-3.2"], ids=["untied", "tied"])
@pytest.mark.parametrize(
    "options",
    [
        {"use_rslora": True, "lora_alpha": 2},
        {"alpha_pattern": {"q_proj": 1, "layers.1.mlp.up_proj": 20}, "rank_pattern": {"k_proj": 7}},
        {"fan_in_fan_out": True},
        {"target_modules": ATTENTION, "modules_to_save": ["lm_head", "embed_tokens"]},
        {"target_modules": ATTENTION, "modules_to_save": ["input_layernorm", "o_proj"]},
        {"target_modules": ATTENTION, "trainable_token_indices": [3, 400, 4]},
        {"target_modules": ATTENTION, "trainable_token_indices": {"embed_tokens": [0, 460]}},
        {"target_modules": [*ATTENTION, "lm_head"]},
        {"target_modules": [*ATTENTION, "embed_tokens"]},
        {"target_modules": ATTENTION, "layers_to_transform": [1]},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")  # peft warns of tied embeddings and of fan_in_fan_out
def test_what_peft_computes_with_an_adapter_is_merged(
    tmp_path: Path, family: str, options: dict[str, Any]
) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    tuned = make_adapter(adapter, make_model(base, family), **options)
    assert difference(base, adapter, tuned) < 1e-3


@pytest.mark.parametrize("family", ["llama-3", "llama-3.2"], ids=["untied", "tied"])
@pytest.mark.filterwarnings("ignore")
def test_embeddings_that_grew_are_taken_from_the_adapter(tmp_path: Path, family: str) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    model = make_model(base, family)
    size = model.config.vocab_size
    model.resize_token_embeddings(size + 8, mean_resizing=False)
    tuned = make_adapter(adapter, model, target_modules=ATTENTION)
    tuned.save_pretrained(adapter, save_embedding_layers=True)
    assert difference(base, adapter, tuned) < 1e-3
    logits = compute_logits(base.parent / "model.gguf", [1, 2])
    assert logits.shape == (2, size + 8)


def test_the_tokenizer_beside_an_adapter_is_taken(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    make_adapter(adapter, make_model(base, "llama-3"))
    (base / "tokenizer.json").rename(adapter / "tokenizer.json")
    assert export(base, adapter).is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"use_dora": True}, "uses DoRA; only a plain LoRA can be exported"),
        ({"peft_type": "LOKR"}, "is of the method LOKR"),
        ({"bias": "all"}, "trains biases"),
        ({"lora_bias": True}, "trains biases"),
        ({"init_lora_weights": "pissa"}, "began with pissa, which changes the base itself"),
        ({"alpha_pattern": {"(a+)+$": 2}}, "has the alpha_pattern"),
        ({"lora_alpha": float("nan")}, "has the alpha nan"),
        ({"lora_alpha": "6"}, r"adapter_config.json cannot be used: Expected `float`"),
        ({"modules_to_save": {"a": 1}}, "cannot be used: Expected `array"),
    ],
    ids=str,
)
def test_what_cannot_be_merged_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    adapter = tmp_path / "adapter"
    make_adapter(adapter, make_model(tmp_path / "base", "llama-3"))
    edit_json(adapter / "adapter_config.json", **changes)
    with pytest.raises(InputError, match=message):
        export(tmp_path / "base", adapter)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]


def test_another_method_of_peft_is_refused(tmp_path: Path) -> None:
    model = make_model(tmp_path / "base", "llama-3")
    get_peft_model(model, LoHaConfig(target_modules=ATTENTION)).save_pretrained(
        tmp_path / "adapter"
    )
    with pytest.raises(InputError, match="is of the method LOHA; only a plain LoRA"):
        read_adapter(tmp_path / "adapter")


def test_an_adapter_for_another_base_is_refused_with_both_shapes(tmp_path: Path) -> None:
    make_adapter(tmp_path / "adapter", make_model(tmp_path / "wide", "llama-3", hidden_size=96))
    make_model(tmp_path / "base", "llama-3")
    expected = r"its model\.layers\.0\.\S+ is \(96, 96\), expected \(64, \d+\)\. Name the base"
    with pytest.raises(InputError, match=f"is for another base: {expected}"):
        export(tmp_path / "base", tmp_path / "adapter")
    make_adapter(tmp_path / "deep", make_model(tmp_path / "deeper", "llama-3", num_hidden_layers=5))
    with pytest.raises(InputError, match=r"changes model\.layers\.3\.\w+.* the base does not have"):
        export(tmp_path / "base", tmp_path / "deep")


Change = Callable[[dict[str, torch.Tensor]], None]
Q_PROJ = "base_model.model.model.layers.0.self_attn.q_proj"


def drop_half(tensors: dict[str, torch.Tensor]) -> None:
    del tensors[f"{Q_PROJ}.lora_B.weight"]


def break_rank(tensors: dict[str, torch.Tensor]) -> None:
    tensors[f"{Q_PROJ}.lora_B.weight"] = torch.zeros(64, 3)


def add_magnitude(tensors: dict[str, torch.Tensor]) -> None:
    tensors[f"{Q_PROJ}.lora_magnitude_vector"] = torch.zeros(64)


def spoil_value(tensors: dict[str, torch.Tensor]) -> None:
    tensors[f"{Q_PROJ}.lora_A.weight"][0, 0] = math.nan


def make_whole_numbers(tensors: dict[str, torch.Tensor]) -> None:
    tensors[f"{Q_PROJ}.lora_A.weight"] = torch.zeros(4, 64, dtype=torch.int8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_half, r"has only half of the pair of model\.layers\.0\.self_attn\.q_proj"),
        (break_rank, r"matrices of \(4, 64\) and \(64, 3\) .* do not go together"),
        (add_magnitude, "lora_magnitude_vector, which cannot be merged"),
        (spoil_value, r"q_proj\.weight has values that are no finite numbers"),
        (make_whole_numbers, "is of type I8, expected F32, F16 or BF16"),
        (dict.clear, "holds no tensors"),
    ],
    ids=["half", "rank", "magnitude", "nan", "integers", "none"],
)
def test_broken_weights_are_refused_and_leave_no_file(
    tmp_path: Path, change: Change, message: str
) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    make_adapter(adapter, make_model(base, "llama-3"))
    weights = adapter / "adapter_model.safetensors"
    tensors = load_file(weights)
    change(tensors)
    save_file(tensors, weights)
    with pytest.raises(InputError, match=message):
        export(base, adapter)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]


def test_an_adapter_cut_off_or_pickled_is_refused(tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    make_adapter(adapter, make_model(tmp_path / "base", "llama-3"))
    weights = adapter / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(InputError, match="is not a safetensors file"):
        read_adapter(adapter)
    weights.rename(adapter / "adapter_model.bin")
    with pytest.raises(InputError, match=r"lacks adapter_model\.safetensors"):
        read_adapter(adapter)
    with pytest.raises(InputError, match="Cannot read"):
        read_adapter(tmp_path / "nowhere")


@pytest.mark.filterwarnings("ignore")
def test_token_rows_beyond_the_vocabulary_are_refused(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    options = {"target_modules": ATTENTION, "trainable_token_indices": [3, 5]}
    make_adapter(adapter, make_model(base, "llama-3"), **options)
    config = adapter / "adapter_config.json"
    for numbers in ([3, 10**6], [-1, 3], [3]):
        edit_json(config, trainable_token_indices=numbers)
        with pytest.raises(InputError, match=r"trained 2 rows of model\.embed_tokens\.weight"):
            export(base, adapter)
    edit_json(config, trainable_token_indices=None)
    with pytest.raises(InputError, match="does not say which tokens"):
        export(base, adapter)
    assert json.loads(config.read_text())["peft_type"] == "LORA"


@pytest.mark.filterwarnings("ignore")
def test_embeddings_apart_from_an_output_matrix_that_is_one_with_them(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    options = {"target_modules": ATTENTION, "modules_to_save": ["embed_tokens"]}
    make_adapter(adapter, make_model(base, "llama-3.2"), **options)
    with pytest.raises(InputError, match=r"apart from the output matrix.*Train both"):
        export(base, adapter)
    make_adapter(
        tmp_path / "head", make_model(tmp_path / "gemma", "gemma2"), target_modules=["lm_head"]
    )
    with pytest.raises(EngineError, match="parts the output matrix from the embeddings"):
        export(tmp_path / "gemma", tmp_path / "head")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ATTENTION, "modules_to_save": ["o_proj"]},
        {"target_modules": ATTENTION, "trainable_token_indices": [3]},
        {"target_modules": [*ATTENTION, "embed_tokens"]},
    ],
    ids=str,
)
def test_more_than_pairs_of_linear_layers_is_no_bare_adapter(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    make_adapter(adapter, make_model(base, "llama-3"), **options)
    with pytest.raises(InputError, match=r"low-rank pairs of linear layers alone. Export the merg"):
        write_adapter(tmp_path / "bare.gguf", base, adapter, card=CARD)
    assert not (tmp_path / "bare.gguf").exists()
