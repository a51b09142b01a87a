"""The built-in writer's own weights: trained on, exported, asked and compared as they are typed.

With default settings but for how much is done: a step, a few words.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

for library in ("torch", "transformers", "tokenizers", "peft", "gguf"):
    pytest.importorskip(library, reason=f"training needs {library}: install podcaster[train]")

import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from podcaster.cli import app  # noqa: E402
from podcaster.commission import brief_guest  # noqa: E402
from podcaster.export.llama_cpp import LlamaCppModel  # noqa: E402
from podcaster.export.parity import HARD_TEXTS  # noqa: E402
from podcaster.exported import NamedModel  # noqa: E402
from podcaster.setup.cache import find_adapter, find_model  # noqa: E402
from podcaster.talk.figures import Opening, SaidTurn  # noqa: E402
from podcaster.talk.reading import read_conversations  # noqa: E402
from podcaster.train.packaged_base import unpack_base  # noqa: E402
from tests.exported_show import GUESTS, HOST, make_show  # noqa: E402

pytestmark = [pytest.mark.engine, pytest.mark.weights]

AWKWARD = (
    "<|im_start|>user\nIn 1985 I'd 12,345 naïve users.\n\n<|im_end|>\n<|nothing|> <repo_name>",
    "٣٤٥ ⅷ ²³ ½ and 1234567890",
    "",
    "\n",
)
TALK = (
    "<|im_start|>system\n" + brief_guest("Jo Hill", "Ada Moor", ["gardens"]) + "<|im_end|>\n"
    "<|im_start|>user\nHow did you come to plant your first garden?<|im_end|>\n"
    "<|im_start|>assistant\nIt was in 1998, behind my grandmother's house. She had an old apple "
    "tree, and I wanted to know why the grass below it would not grow.<|im_end|>\n"
)
MOST_NATS = 0.02  # llama.cpp rounds what it multiplies to eight bits; transformers does not


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    adapter = find_adapter("builtin")
    scratch = tmp_path_factory.mktemp("base")
    return unpack_base(find_model("builtin"), Path(adapter) if adapter else None, scratch)


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaCppModel]:
    adapter = find_adapter("builtin")
    path = Path(adapter) if adapter else None
    with LlamaCppModel(find_model("builtin"), threads=1, exact=True, adapter=path) as opened:
        yield opened


def test_the_base_has_llama_cpps_token_ids(base: Path, model: LlamaCppModel) -> None:
    tokenizer: Tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    for text in (*HARD_TEXTS, *AWKWARD, TALK):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert ids == model.tokenize(text), text
        assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_the_base_foretells_what_llama_cpp_does(base: Path, model: LlamaCppModel) -> None:
    ids = model.tokenize(TALK)
    with model.open_reader(len(ids)) as reader:
        ours = np.concatenate([part.copy() for part in reader.read(ids)])
    network: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.inference_mode():
        theirs = network(torch.tensor([ids])).logits[0].numpy()
    ours, theirs = (
        logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True) for logits in (ours, theirs)
    )
    assert (np.exp(theirs) * (theirs - ours)).sum(-1).mean() < MOST_NATS
    assert (ours.argmax(-1) == theirs.argmax(-1)).mean() > 0.9


def test_likely_talk_is_foretold_better_than_jumbled() -> None:
    def read(*turns: str) -> float:
        said = tuple(
            SaidTurn(speaker="guest" if n % 2 else "host", name=(HOST, GUESTS[0])[n % 2], text=text)
            for n, text in enumerate(turns)
        )
        talk = Opening(host=HOST, guest=GUESTS[0], keywords=("tea",), turns=said)
        named = NamedModel("builtin", find_model("builtin"), adapter=find_adapter("builtin"))
        return read_conversations(named, [talk])["all"].bits_per_character

    plain = read("What do you think about that?", "I think it's a really good question.")
    assert plain < read("that think What about you do?", "good really I a it's question think.")


def test_a_show_is_trained_exported_asked_and_compared(tmp_path: Path) -> None:
    run = make_show(tmp_path, guests=2, hold_out=0.4)
    home = ["--home", str(tmp_path), "--json"]

    def call(*words: str) -> dict[str, Any]:
        done = CliRunner().invoke(app, ["show", *words, *home])
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    trained = call("train", "Tea Talk", "--max-steps", "1")
    assert trained["steps"] == 1
    assert trained["validation_loss"] < trained["base_validation_loss"]
    exported = call("export", "Tea Talk")
    assert exported["token_ids_equal"]
    assert exported["max_logit_difference"] < 1e-3
    assert exported["quantisation"] == "Q8_0"
    answer = call("ask", "Tea Talk", "Why do people keep a kettle?", "--turns", "2")
    assert [turn["name"] for turn in answer["turns"]] == [HOST, answer["turns"][1]["name"]]
    assert answer["turns"][1]["text"].strip()
    page = tmp_path / "page.html"
    compared = call(
        "compare", "Tea Talk", "builtin", "--turns", "2", "--question", "Why tea?",
        "--output", str(page),
    )  # fmt: skip
    tuned, builtin = compared["models"]
    assert tuned["held_out"]["all"]["nats"] < builtin["held_out"]["all"]["nats"]
    assert page.is_file()
    assert (run.path / "export" / "record.json").is_file()
