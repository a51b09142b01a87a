"""The proof passes for each family's real network, and catches each kind of fault by name."""

import json
from pathlib import Path
from typing import Any

import pytest

for library in ("torch", "transformers", "tokenizers", "peft", "gguf"):
    pytest.importorskip(library, reason=f"export needs {library}: install podcaster[train]")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from podcaster.errors import EngineError  # noqa: E402
from podcaster.export.gguf import ModelCard, write_model  # noqa: E402
from podcaster.export.parity import TableGelu, check_parity  # noqa: E402
from tests.export.tiny_models import edit_json, make_adapter, make_model  # noqa: E402

pytestmark = pytest.mark.engine

CARD = ModelCard(name="tiny", licence="MIT", description="random", extra={})


def make(folder: Path, family: str, **changes: Any) -> tuple[Path, Path]:
    """A base and an adapter for it."""
    make_adapter(folder / "adapter", make_model(folder / "base", family, **changes))
    return folder / "base", folder / "adapter"


def write(base: Path, adapter: Path | None, *, layers: int | None = None) -> Path:
    path = base.parent / "model.gguf"
    write_model(path, base, adapter, precision="F32", card=CARD, layers=layers)
    return path


@pytest.mark.parametrize(
    "family", ["llama-2", "llama-3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "smollm"]
)
def test_a_faithful_file_passes(tmp_path: Path, family: str) -> None:
    base, adapter = make(tmp_path, family)
    figures = check_parity(write(base, adapter), base, adapter, ["Ann said: 'Tea?'"], threads=2)
    assert figures.tokens > 700
    assert figures.token_ids_equal
    assert 0 < figures.max_logit_difference < 1e-3
    assert (figures.layers, figures.all_layers) == (3, 3)
    assert figures.half_precision_gelu == family.startswith("gemma")


@pytest.mark.parametrize("family", ["llama-3", "gemma3"])
def test_the_first_layers_alone_can_be_compared(tmp_path: Path, family: str) -> None:
    base, adapter = make(tmp_path, family, num_hidden_layers=4, max_shard_size="100KB")
    assert len(list(base.glob("*.safetensors"))) > 2
    figures = check_parity(write(base, adapter, layers=2), base, adapter, [], layers=2, threads=2)
    assert (figures.layers, figures.all_layers) == (2, 4)
    with pytest.raises(EngineError, match="does not compute what transformers does"):
        check_parity(write(base, adapter, layers=3), base, adapter, [], layers=2, threads=2)


def test_a_merge_that_is_off_by_little_is_caught(tmp_path: Path) -> None:
    """One that scales the adapter by 2% too much, as a wrong alpha would."""
    base, adapter = make(tmp_path, "llama-3")
    edit_json(adapter / "adapter_config.json", lora_alpha=6.12)
    path = write(base, adapter)
    edit_json(adapter / "adapter_config.json", lora_alpha=6)
    with pytest.raises(EngineError, match=r"at token \d+ \(.*\) their logits differ by 0\.\d+"):
        check_parity(path, base, adapter, [], threads=2)


def test_a_file_without_the_adapter_is_caught(tmp_path: Path) -> None:
    base, adapter = make(tmp_path, "qwen2")
    path = write(base, None)
    assert check_parity(path, base, None, [], threads=2).max_logit_difference < 1e-3
    with pytest.raises(EngineError, match=r"expected at most 0\.001\. Nothing was exported"):
        check_parity(path, base, adapter, [], threads=2)


def test_weights_that_are_no_numbers_are_caught(tmp_path: Path) -> None:
    base, adapter = make(tmp_path, "smollm")
    path = write(base, adapter)
    data = bytearray(path.read_bytes())
    data[-4:] = b"\x00\x00\xc0\x7f"  # the last tensor's last value becomes not-a-number
    path.write_bytes(data)
    with pytest.raises(EngineError, match="their logits differ by nan"):
        check_parity(path, base, adapter, [], threads=2)


def test_a_tokenizer_that_merges_otherwise_is_caught(tmp_path: Path) -> None:
    base, adapter = make(tmp_path, "smollm")
    path = write(base, adapter)
    document = json.loads((base / "tokenizer.json").read_text())
    del document["model"]["merges"][5:40]
    (base / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(
        EngineError, match=r"after \"We've \" comes \d+ \(' got'\), expected \d+ \(' '\)\."
    ):
        check_parity(path, base, adapter, [], threads=2)


def test_what_differs_in_the_shows_own_text_alone_is_caught(tmp_path: Path) -> None:
    base, adapter = make(tmp_path, "smollm")
    path = write(base, adapter)
    document = json.loads((base / "tokenizer.json").read_text())
    number = document["added_tokens"][-1]["id"]
    assert document["added_tokens"][-1]["content"] == "<plain tag>"
    document["added_tokens"].append(
        {**document["added_tokens"][-1], "id": number + 1, "content": "zyxzyx"}
    )
    (base / "tokenizer.json").write_text(json.dumps(document))
    with pytest.raises(EngineError, match="splits text otherwise"):
        check_parity(path, base, adapter, ["Ann said zyxzyx to Bob"], threads=2)


def test_a_known_flaw_of_a_tokenizer_excuses_the_hard_text_alone(tmp_path: Path) -> None:
    base, adapter = make(tmp_path, "mistral-nemo")
    path = tmp_path / "model.gguf"
    caveat = write_model(path, base, adapter, precision="F32", card=CARD).caveat
    assert "combining marks" in caveat
    with pytest.raises(EngineError, match="splits text otherwise"):
        check_parity(path, base, adapter, [], threads=2)
    figures = check_parity(path, base, adapter, ["Ann: Tea?"], threads=2, caveat=caveat)
    assert not figures.token_ids_equal
    assert figures.tokens > 400
    assert figures.max_logit_difference < 1e-3
    with pytest.raises(EngineError, match="splits text otherwise"):
        check_parity(path, base, adapter, ["नमस्ते"], threads=2, caveat=caveat)


def test_another_vocabulary_is_caught(tmp_path: Path) -> None:
    base, adapter = make(tmp_path, "smollm")
    path = write(base, adapter)
    other, _ = make(tmp_path / "other", "smollm", vocab_size=900)
    with pytest.raises(EngineError, match="tokens, the trained model has 900"):
        check_parity(path, other, None, [], threads=2)


def test_a_broken_base_or_file_is_a_sentence(tmp_path: Path) -> None:
    base, adapter = make(tmp_path, "smollm")
    path = write(base, adapter)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(EngineError, match=r"llama\.cpp cannot load model\.gguf: \S+"):
        check_parity(path, base, adapter, [], threads=2)
    write(base, adapter)
    (base / "config.json").write_text("{}")
    with pytest.raises(EngineError, match=r"Reading .*config\.json failed"):
        check_parity(path, base, adapter, [], threads=2)
    (base / "tokenizer.json").write_text("{")
    with pytest.raises(EngineError, match=r"Reading .*tokenizer\.json failed"):
        check_parity(path, base, adapter, [], threads=2)


def test_the_table_of_gelu_is_near_gelu_and_as_coarse_as_half_precision() -> None:
    values = torch.linspace(-12, 12, 4001)
    exact = torch.nn.functional.gelu(values, approximate="tanh")
    got = TableGelu()(values)
    assert np.allclose(got, exact, atol=5e-3)
    assert not np.allclose(got, exact, atol=1e-4)
    assert got[0] == 0
    assert got[-1] == 12
