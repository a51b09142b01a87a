"""GGUF files: what they say of themselves, in which precision, written whole or not at all."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

for library in ("torch", "transformers", "tokenizers", "gguf", "llama_cpp"):
    pytest.importorskip(library, reason=f"export needs {library}: install podcaster[train]")

import gguf as library  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from podcaster.errors import EngineError, InputError, RunError  # noqa: E402
from podcaster.export.architectures import to_interleaved_rotary  # noqa: E402
from podcaster.export.gguf import ModelCard, WrittenModel, quantise, write_model  # noqa: E402
from tests.export.tiny_models import (  # noqa: E402
    BEGIN,
    HARD_TEXT,
    compute_logits,
    make_model,
    open_model,
    wanted_logits,
)

CARD = ModelCard(name="tiny", licence="MIT", description="random", extra={"podcaster.note": "é"})


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    make_model(folder, "llama-3")
    return folder


def write(base: Path, **changes: Any) -> WrittenModel:
    given = {"precision": "F32", "card": CARD, **changes}
    return write_model(base.parent / "model.gguf", base, None, **given)


def read_ids(base: Path) -> list[int]:
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    ids: list[int] = tokenizer.encode(BEGIN + HARD_TEXT, add_special_tokens=False).ids
    return ids


def change_tensor(base: Path, name: str, value: float) -> None:
    weights = load_file(base / "model.safetensors")
    weights[name][0] = value
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})


def test_the_file_says_what_it_is(base: Path) -> None:
    written = write(base)
    assert written.size_bytes == written.path.stat().st_size
    assert (written.architecture, written.precision) == ("llama", "F32")
    assert (written.layers, written.all_layers) == (3, 3)
    model = open_model(written.path)
    assert model.metadata["general.name"] == "tiny"
    assert model.metadata["general.license"] == "MIT"
    assert model.metadata["podcaster.note"] == "é"
    assert model.metadata["llama.context_length"] == "512"
    plain = model.tokenize(b"<|end|>", add_bos=False, special=False)
    assert len(plain) > 1  # text from outside cannot spell a control token
    model.close()


def test_a_name_by_which_llama_cpp_knows_another_model_is_spelled_otherwise(base: Path) -> None:
    model = open_model(write(base, card=ModelCard(
        name="Phi3 Talk, phi-3, ModernBert, modern-bert", licence="MIT", description="", extra={}
    )).path)  # fmt: skip
    assert model.metadata["general.name"] == "Phi 3 Talk, phi 3, Modern Bert, modern bert"
    model.close()


@pytest.mark.parametrize("precision", ["F16", "BF16"])
def test_half_precision_keeps_vectors_whole_and_is_near(base: Path, precision: str) -> None:
    written = write(base, precision=precision)
    tensors = {tensor.name: tensor for tensor in library.GGUFReader(written.path).tensors}
    assert len(tensors) == written.tensors
    assert tensors["blk.0.attn_q.weight"].tensor_type.name == precision
    assert tensors["token_embd.weight"].tensor_type.name == precision
    assert tensors["blk.1.attn_norm.weight"].tensor_type.name == "F32"
    assert tensors["rope_freqs.weight"].tensor_type.name == "F32"
    ids = read_ids(base)
    exact = compute_logits(write(base).path, ids)
    half = compute_logits(write(base, precision=precision).path, ids)
    assert np.corrcoef(exact.ravel(), half.ravel())[0, 1] > 0.999
    assert np.abs(exact - half).max() > 0


def test_half_precision_is_what_transformers_computes_with_it(tmp_path: Path) -> None:
    base = tmp_path / "base"
    make_model(base, "qwen2").to(torch.bfloat16).save_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    ids = read_ids(base)
    wanted = wanted_logits(model, ids)
    weights = {t.name: t for t in library.GGUFReader(write(base, precision="BF16").path).tensors}
    stored = weights["blk.2.ffn_up.weight"].data.view(np.uint16).astype(np.uint32) << 16
    theirs = model.model.layers[2].mlp.up_proj.weight.detach().numpy()
    np.testing.assert_array_equal(stored.view(np.float32), theirs)
    assert np.abs(compute_logits(write(base).path, ids) - wanted).max() < 1e-3


def test_values_beyond_half_precision_are_refused(base: Path) -> None:
    change_tensor(base, "model.layers.1.mlp.up_proj.weight", 70_000.0)
    with pytest.raises(InputError, match=r"up_proj.weight has the value 70000.*Export it in BF16"):
        write(base, precision="F16")
    assert [path.name for path in base.parent.iterdir()] == ["base"]
    assert write(base, precision="BF16").path.is_file()
    change_tensor(base, "model.layers.1.mlp.up_proj.weight", float("inf"))
    with pytest.raises(InputError, match=r"up_proj\.weight has values that are no finite numbers"):
        write(base, precision="BF16")


def test_progress_is_told_in_bytes(base: Path) -> None:
    told: list[tuple[int, int]] = []
    written = write(base, progress=lambda done, whole: told.append((done, whole)))
    assert len(told) == written.tensors
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] == told[0][1]
    assert 0.8 * written.size_bytes < told[-1][1] < written.size_bytes


def test_too_little_space_is_said_before_anything_is_written(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=400_000))
    with pytest.raises(RunError, match=r"model\.gguf needs 0\.00 GB, and .* 0\.00 GB free"):
        write(base)
    assert [path.name for path in base.parent.iterdir()] == ["base"]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
    assert write(base).size_bytes > 400_000


def test_a_disk_that_fills_up_leaves_what_was_there(base: Path) -> None:
    before = write(base).path.read_bytes()
    partial = base.parent / "model.gguf.tmp"
    partial.symlink_to("/dev/full")  # each write to it fails as on a full disk
    with pytest.raises(RunError, match=r"could not be written: No space left.* The disk is full"):
        write(base)
    assert not os.path.lexists(partial)
    assert (base.parent / "model.gguf").read_bytes() == before
    with pytest.raises(RunError, match="Cannot write to"):
        write_model(base / "no" / "m.gguf", base, None, precision="F32", card=CARD)


def test_quantised_files_are_smaller_and_near(base: Path) -> None:
    full = write(base).path
    small = full.with_name("small.gguf")
    quantise(full, small, "Q8_0")
    assert small.stat().st_size < 0.5 * full.stat().st_size
    ids = read_ids(base)
    logits = [compute_logits(path, ids) for path in (full, small)]
    assert np.corrcoef(logits[0].ravel(), logits[1].ravel())[0, 1] > 0.99
    with pytest.raises(EngineError, match="There is no quantisation 'Q9'; known are F16, Q8_0"):
        quantise(full, small, "Q9")


def test_rotary_rows_are_interleaved() -> None:
    rows = torch.arange(8, dtype=torch.float32).reshape(8, 1)
    assert to_interleaved_rotary(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
