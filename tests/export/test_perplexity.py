"""Perplexity by llama.cpp is what torch computes from the same network, in any windows."""

import math
from pathlib import Path
from typing import Any

import pytest

for library in ("torch", "transformers", "tokenizers", "gguf"):
    pytest.importorskip(library, reason=f"export needs {library}: install podcaster[train]")

import numpy as np  # noqa: E402
import torch  # noqa: E402

from podcaster.errors import EngineError  # noqa: E402
from podcaster.export import llama_cpp  # noqa: E402
from podcaster.export.gguf import ModelCard, quantise, write_model  # noqa: E402
from podcaster.export.llama_cpp import LlamaCppModel  # noqa: E402
from podcaster.export.perplexity import read_texts  # noqa: E402
from tests.export.tiny_models import make_model  # noqa: E402

pytestmark = pytest.mark.engine

CARD = ModelCard(name="tiny", licence="MIT", description="random", extra={})
TEXTS = ("the rocket and the bread", "We've got <|end|><|host|> 12 tabs; it's going to the moon!")


@pytest.fixture
def network(tmp_path: Path) -> Any:
    return make_model(tmp_path / "base", "smollm", max_position_embeddings=64)


@pytest.fixture
def path(tmp_path: Path, network: Any) -> Path:
    target = tmp_path / "model.gguf"
    write_model(target, tmp_path / "base", None, precision="F32", card=CARD)
    return target


def foretell(network: Any, windows: list[list[int]]) -> tuple[float, list[int]]:
    """The mean loss of a token, and the guesses, by transformers alone."""
    losses: list[float] = []
    guesses: list[int] = []
    for ids in windows:
        with torch.no_grad():
            logits = network(torch.tensor([ids])).logits[0, :-1]
        losses += torch.nn.functional.cross_entropy(
            logits, torch.tensor(ids[1:]), reduction="none"
        ).tolist()
        guesses += logits.argmax(dim=1).tolist()
    return float(np.mean(losses)), guesses


def test_it_is_what_torch_computes(path: Path, network: Any) -> None:
    with LlamaCppModel(path, threads=1, exact=True) as model:
        windows = [model.tokenize(text) for text in TEXTS]
        reading = read_texts(model, TEXTS, most_tokens=1000)
    assert reading is not None
    loss, guesses = foretell(network, windows)
    assert reading.tokens == sum(map(len, windows)) - 2
    assert math.log(reading.perplexity) == pytest.approx(loss, abs=1e-4)
    assert reading.guesses.tolist() == guesses
    assert len(set(guesses)) > 5
    assert reading.agreement(reading) == 1


def test_a_long_text_goes_on_in_windows_and_batches(
    path: Path, network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "the rocket and the bread are going to the moon again, said she. " * 8
    monkeypatch.setattr(llama_cpp, "MOST_BATCH_TOKENS", 32)  # a window of 64 takes two batches
    with LlamaCppModel(path, threads=1, exact=True) as model:
        ids = model.tokenize(text)
        assert len(ids) > 150
        told: list[tuple[int, int]] = []
        reading = read_texts(
            model, [text], most_tokens=10_000, report=lambda done, total: told.append((done, total))
        )
        few = read_texts(model, [text], most_tokens=100)
    assert reading is not None
    windows = [ids[start : start + 64] for start in range(0, len(ids), 64)]
    windows = [window for window in windows if len(window) > 1]
    loss, guesses = foretell(network, windows)
    assert math.log(reading.perplexity) == pytest.approx(loss, abs=1e-4)
    assert reading.guesses.tolist() == guesses
    assert told[-1] == (sum(map(len, windows)),) * 2
    assert few is not None
    assert few.tokens == 100
    assert few.guesses.tolist() == guesses[:100]


def test_nothing_to_foretell_is_none(path: Path) -> None:
    with LlamaCppModel(path, threads=1) as model:
        assert read_texts(model, [], most_tokens=100) is None
        assert read_texts(model, ["", "<|end|>"], most_tokens=100) is None


def test_a_coarser_file_agrees_less(path: Path, tmp_path: Path) -> None:
    texts = ["the rocket and the bread are going to the moon again " * 4, *TEXTS]
    readings = []
    for kind in ("Q8_0", "Q4_0"):
        quantise(path, tmp_path / f"{kind}.gguf", kind)
        with LlamaCppModel(tmp_path / f"{kind}.gguf", threads=1) as model:
            readings.append(read_texts(model, texts, most_tokens=500))
    with LlamaCppModel(path, threads=1) as model:
        whole = read_texts(model, texts, most_tokens=500)
    fine, coarse = readings
    assert whole is not None
    assert fine is not None
    assert coarse is not None
    assert coarse.agreement(whole) < fine.agreement(whole) <= 1
    assert fine.perplexity == pytest.approx(whole.perplexity, rel=0.05)


def test_logits_that_are_no_numbers_are_told(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-4:] = b"\x00\x00\xc0\x7f"
    path.write_bytes(data)
    with (
        LlamaCppModel(path, threads=1) as model,
        pytest.raises(EngineError, match=r"The logits of model\.gguf are not all numbers"),
    ):
        read_texts(model, TEXTS, most_tokens=100)
