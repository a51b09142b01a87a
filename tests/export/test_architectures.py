"""Each family of networks, written as GGUF, computes in llama.cpp what it does in transformers."""

import json
from pathlib import Path
from typing import Any

import pytest

for library in ("torch", "transformers", "tokenizers", "gguf", "llama_cpp", "peft"):
    pytest.importorskip(library, reason=f"export needs {library}: install podcaster[train]")

import gguf  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from podcaster.errors import EngineError, InputError  # noqa: E402
from podcaster.export.architectures import ARCHITECTURES, supported  # noqa: E402
from podcaster.export.gguf import ModelCard, write_adapter, write_model  # noqa: E402
from tests.export import tiny_models  # noqa: E402
from tests.export.tiny_models import (  # noqa: E402
    BEGIN,
    FAMILIES,
    HARD_TEXT,
    LLAMA_3_SCALING,
    compute_logits,
    edit_json,
    make_adapter,
    make_model,
    open_model,
    wanted_logits,
)

CARD = ModelCard(name="tiny", licence="MIT", description="random", extra={})
# no combining marks: these llama.cpp's tekken splits otherwise, as `caveat` says
TEKKEN_TEXT = HARD_TEXT.replace("नमस्ते", "now")
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


def export(folder: Path, adapter: Path | None = None, **options: Any) -> Path:
    path = folder.parent / "model.gguf"
    write_model(path, folder, adapter, **{"precision": "F32", "card": CARD, **options})
    return path


def read_ids(folder: Path, text: str) -> list[int]:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def compare(path: Path, model: Any, ids: list[int], **options: Any) -> float:
    """The largest difference of the logits, which must differ among themselves."""
    wanted = wanted_logits(model, ids)
    assert wanted.std() > 0.1
    return float(np.abs(compute_logits(path, ids, **options) - wanted).max())


def test_every_supported_network_is_tested() -> None:
    tested = {model_type for model_type, _, _ in FAMILIES.values()} | {"gemma3"}
    assert tested == set(ARCHITECTURES) == set(supported())


@pytest.mark.parametrize("family", FAMILIES)
def test_token_ids_and_logits_are_those_of_the_merged_model(tmp_path: Path, family: str) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    tuned = make_adapter(adapter, make_model(base, family))
    path = export(base, adapter)
    text = BEGIN + (TEKKEN_TEXT if family == "mistral-nemo" else HARD_TEXT)
    ids = read_ids(base, text)
    assert len(ids) > 40
    model = open_model(path)
    assert model.tokenize(text.encode(), add_bos=False, special=True) == ids
    model.close()
    assert compare(path, tuned, ids) < 1e-3
    with tuned.disable_adapter():
        assert compare(path, tuned, ids) > 1e-2  # the adapter says something


@pytest.mark.parametrize("family", ["llama-3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"])
def test_the_bare_adapter_beside_its_base_is_the_merged_model(tmp_path: Path, family: str) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    tuned = make_adapter(
        adapter,
        make_model(base, family),
        std=0.05 if "gemma" in family else 0.1,
        alpha_pattern={"q_proj": 9},
        rank_pattern={"layers.0.self_attn.k_proj": 2},
        use_rslora=True,
    )
    path, bare = export(base), tmp_path / "adapter.gguf"
    write_adapter(bare, base, adapter, card=CARD)
    ids = read_ids(base, BEGIN + HARD_TEXT)
    assert compare(path, tuned, ids, lora_path=str(bare)) < 1e-3
    fields = gguf.GGUFReader(bare).fields
    assert fields["general.type"].contents() == "adapter"
    assert fields["adapter.type"].contents() == "lora"
    assert fields["adapter.lora.alpha"].contents() == 6.0


def test_a_model_in_many_shards_is_the_same_file(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    make_model(whole, "llama-3.2")
    make_model(parts, "llama-3.2", max_shard_size="100KB")
    assert len(list(parts.glob("*.safetensors"))) > 2
    tensors = [
        {tensor.name: tensor.data.copy() for tensor in gguf.GGUFReader(export(folder)).tensors}
        for folder in (whole, parts)
    ]
    assert tensors[0].keys() == tensors[1].keys()
    for name, values in tensors[0].items():
        np.testing.assert_array_equal(values, tensors[1][name], err_msg=name)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("llama-2", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
        ("llama-2", {"rope_scaling": {"type": "linear", "factor": 2.0}}),
        ("llama-2", {"attention_bias": True, "mlp_bias": True}),
        ("llama-2", {"num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1}),
        ("mistral", {"sliding_window": 100}),
        ("qwen2", {"rope_scaling": YARN}),
        ("qwen3", {"rope_scaling": {**YARN, "attention_factor": 1.3, "beta_fast": 20}}),
        ("gemma2", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
        ("gemma3", {"rope_scaling": {"rope_type": "linear", "factor": 8.0}}),
        ("gemma3", {"query_pre_attn_scalar": 60, "final_logit_softcapping": 2.0}),
        ("gemma3", {"tie_word_embeddings": False}),
    ],
    ids=str,
)
def test_variants_of_a_configuration_are_carried(
    tmp_path: Path, family: str, changes: dict[str, Any]
) -> None:
    base = tmp_path / "base"
    model = make_model(base, family, **changes)
    ids = read_ids(base, BEGIN + HARD_TEXT)
    assert compare(export(base), model, ids) < 1e-3


def test_the_context_ends_where_llama_cpp_would_look_too_far_back(tmp_path: Path) -> None:
    base = tmp_path / "base"
    make_model(base, "mistral", sliding_window=100)
    model = open_model(export(base))
    assert model.metadata["llama.context_length"] == "100"
    model.close()


def test_gemma_differs_by_llama_cpps_table_of_gelu_alone(tmp_path: Path) -> None:
    base = tmp_path / "base"
    model = make_model(base, "gemma2", initializer_range=0.15)
    ids = read_ids(base, BEGIN + HARD_TEXT)
    path = export(base)
    assert compare(path, model, ids) < 1e-2

    class HalfGelu(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            looked_up = torch.nn.functional.gelu(x.half().float(), approximate="tanh")
            return looked_up.half().float()

    for module in model.modules():
        if hasattr(module, "act_fn"):
            module.act_fn = HalfGelu()
    assert compare(path, model, ids) < 1e-3


def test_the_text_part_of_a_gemma_that_sees_is_exported(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    model = tiny_models.make_seeing_model(base)
    ids = read_ids(base, BEGIN + HARD_TEXT)
    assert compare(export(base), model, ids) < 1e-3
    tuned = make_adapter(
        adapter, model, target_modules=r".*language_model.*\.(q_proj|v_proj|down_proj)"
    )
    assert compare(export(base, adapter), tuned, ids) < 1e-3


@pytest.mark.parametrize("family", ["llama-3", "gemma3"])
def test_the_first_blocks_alone_are_a_model(tmp_path: Path, family: str) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    tuned = make_adapter(adapter, make_model(base, family))
    written = write_model(
        tmp_path / "model.gguf", base, adapter, precision="F32", card=CARD, layers=2
    )
    assert (written.layers, written.all_layers) == (2, 3)
    inner = tuned.base_model.model.model
    inner.layers = inner.layers[:2]
    ids = read_ids(base, BEGIN + HARD_TEXT)
    assert compare(tmp_path / "model.gguf", tuned, ids) < 1e-3
    with pytest.raises(InputError, match="The network has 3 blocks, 4 asked for"):
        export(base, layers=4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mamba"}, r"A mamba network cannot be exported; supported are llama \("),
        ({"model_type": ["llama"]}, "supported are llama"),
        ({"model_type": "mixtral"}, r"gemma3_text \(Gemma 3 \(text\)\)"),
        ({"hidden_act": "relu"}, "the activation relu, expected silu"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "of the type 'dynamic'"),
        ({"rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0}}, "with mscale"),
        ({"rope_scaling": {**LLAMA_3_SCALING, "factor": "x"}}, "has factor 'x', expected a number"),
        ({"rope_scaling": {**LLAMA_3_SCALING, "factor": -1}}, "has factor -1, expected a number"),
        ({"rope_scaling": {**LLAMA_3_SCALING, "high_freq_factor": 1.0}}, "not above"),
        ({"rope_scaling": [1]}, "config.json"),
        ({"hidden_size": "64"}, "config.json"),
        ({"hidden_size": -64}, "config.json"),
        ({"num_key_value_heads": 3}, "4 heads on 3 keys"),
        ({"num_hidden_layers": 10**12}, "config.json"),
        ({"num_hidden_layers": 4}, r"has no model\.layers\.3\."),
        ({"num_hidden_layers": 2}, r"llama has no place for the tensor model\.layers\.2\."),
        ({"intermediate_size": 97}, r"gate_proj.weight in .* is \(96, 64\), expected \(97, 64\)"),
        ({"quantization_config": {"bits": 4}}, "describes a quantised model"),
    ],
    ids=str,
)
def test_what_llama_cpp_cannot_run_is_refused_and_leaves_no_file(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    base = tmp_path / "base"
    make_model(base, "llama-3")
    edit_json(base / "config.json", **changes)
    with pytest.raises((InputError, EngineError), match=message):
        export(base)
    assert [path.name for path in tmp_path.iterdir()] == ["base"]


def test_gemma_2_with_an_output_matrix_of_its_own_is_refused(tmp_path: Path) -> None:
    make_model(tmp_path / "base", "gemma2", tie_word_embeddings=False)
    with pytest.raises(EngineError, match="an output matrix apart from the embeddings"):
        export(tmp_path / "base")


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00", "[" * 100_000, '{"a": NaN'])
def test_a_configuration_that_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    make_model(tmp_path / "base", "llama-3")
    (tmp_path / "base" / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json"):
        export(tmp_path / "base")


def test_shards_are_found_inside_the_folder_only_and_never_unpickled(tmp_path: Path) -> None:
    base = tmp_path / "base"
    make_model(base, "llama-3", max_shard_size="100KB")
    index = base / "model.safetensors.index.json"
    placed = json.loads(index.read_text())["weight_map"]
    first = next(iter(placed))
    for name in ("../out.safetensors", "/etc/passwd", "..", ""):
        edit_json(index, weight_map={**placed, first: name})
        with pytest.raises(InputError, match="is outside the folder"):
            export(base)
    edit_json(index, weight_map={**placed, first: "gone.safetensors"})
    with pytest.raises(InputError, match=r"lacks the shard gone\.safetensors"):
        export(base)
    edit_json(index, weight_map=[1])
    with pytest.raises(InputError, match="has no weight_map"):
        export(base)
    edit_json(index, weight_map=placed)
    shard = base / placed[first]
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(InputError, match="is not a safetensors file"):
        export(base)
    for path in [index, *base.glob("*.safetensors")]:
        path.unlink()
    with pytest.raises(InputError, match="holds neither"):
        export(base)
    (base / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match="has its weights pickled"):
        export(base)
