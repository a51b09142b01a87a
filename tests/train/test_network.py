"""What is packed into one row is computed as if each sequence were alone, in every family."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
import pytest

for library in ("torch", "transformers", "peft"):
    pytest.importorskip(library, reason=f"training needs {library}: install podcaster[train]")

import torch  # noqa: E402

from podcaster.train.attention import PACKED  # noqa: E402
from podcaster.train.network import Network  # noqa: E402
from podcaster.train.options import TrainOptions  # noqa: E402
from podcaster.train.spelling import GIVEN, GUEST, HOST, Example  # noqa: E402


def load_tiny_models() -> ModuleType:
    name = "podcaster_tiny_language_models"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "export" / "tiny_models.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


WINDOWED = "mistral, each token sees 16"
FAMILIES = ("llama-3", "mistral", WINDOWED, "qwen2", "qwen3", "gemma2", "gemma3")


def make_model(folder: Path, family: str) -> Any:
    if family == WINDOWED:
        return load_tiny_models().make_model(folder, "mistral", sliding_window=16)
    return load_tiny_models().make_model(folder, family)


def make_examples(vocabulary: int, lengths: tuple[int, ...]) -> list[Example]:
    draw = np.random.default_rng(5)
    return [
        Example(
            draw.integers(0, vocabulary, n).astype(np.int32),
            draw.integers(GIVEN, GUEST + 1, n).astype(np.int8),
        )
        for n in lengths
    ]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("checkpointing", ["off", "on"])
def test_a_packed_row_costs_what_its_sequences_cost_alone(
    tmp_path: Path, family: str, checkpointing: Literal["off", "on"]
) -> None:
    model = make_model(tmp_path, family)
    options = TrainOptions(checkpointing=checkpointing, precision="fp32")
    network = Network(tmp_path, options, rank=4, alpha=8, device="cpu")
    network.model.eval()
    # longer than the sliding windows of these models
    examples = make_examples(model.config.vocab_size, (40, 23, 57, 2))
    together = network.compute_loss(examples)
    apart = [network.compute_loss([example]) for example in examples]
    assert together.nats[HOST] == pytest.approx(sum(a.nats[HOST] for a in apart), rel=1e-5)
    assert together.nats[GUEST] == pytest.approx(sum(a.nats[GUEST] for a in apart), rel=1e-5)
    assert together.tokens == {
        who: sum(int((e.owners[1:] == who).sum()) for e in examples) for who in (HOST, GUEST)
    }
    # what comes before in the row changes nothing of what comes after
    other = make_examples(model.config.vocab_size, (40,))[0]
    other = Example(other.ids[::-1].copy(), other.owners)
    changed = network.compute_loss([other, *examples[1:]])
    rest = network.compute_loss(examples[1:])
    first = network.compute_loss([other])
    assert changed.nats[HOST] - first.nats[HOST] == pytest.approx(rest.nats[HOST], rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_transformers_own(tmp_path: Path, family: str) -> None:
    model = make_model(tmp_path, family)
    network = Network(tmp_path, TrainOptions(precision="fp32"), rank=4, alpha=8, device="cpu")
    (example,) = make_examples(model.config.vocab_size, (60,))
    found = network.compute_loss([example])
    from transformers import AutoModelForCausalLM

    plain: Any = AutoModelForCausalLM.from_pretrained(
        tmp_path, attn_implementation="eager", dtype=torch.float32
    ).eval()
    assert plain.config._attn_implementation != PACKED
    ids = torch.from_numpy(example.ids.astype(np.int64))
    labels = torch.where(torch.from_numpy(example.owners) > GIVEN, ids, -100)
    with torch.no_grad():
        wanted = plain(input_ids=ids[None], labels=labels[None]).loss
    # LoRA's second matrix is nothing before the first step
    count = sum(found.tokens.values())
    assert float(found.total.detach()) / count == pytest.approx(float(wanted), rel=1e-4)


def test_only_the_chosen_roles_are_learned(tmp_path: Path) -> None:
    model = make_model(tmp_path, "llama-3")
    (example,) = make_examples(model.config.vocab_size, (50,))
    losses = {}
    for roles in ("both", "host", "guest"):
        options = TrainOptions(roles=roles, precision="fp32")  # type: ignore[arg-type]
        network = Network(tmp_path, options, rank=4, alpha=8, device="cpu")
        losses[roles] = float(network.compute_loss([example]).total.detach())
        measured = network.measure([example])
        assert set(measured.nats) == {HOST, GUEST}
    assert losses["both"] == pytest.approx(losses["host"] + losses["guest"], rel=1e-5)
    assert min(losses.values()) > 0


def test_lora_is_on_every_linear_layer_of_the_blocks_and_nowhere_else(tmp_path: Path) -> None:
    make_model(tmp_path, "qwen2")
    network = Network(tmp_path, TrainOptions(), rank=4, alpha=8, device="cpu")
    places = {name.split(".lora_")[0].split(".")[-1] for name in network.state()}
    assert places == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    assert all("lora_" in n for n, p in network.model.named_parameters() if p.requires_grad)
