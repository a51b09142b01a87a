"""From a show's transcripts to an episode in its manner: every stage, the real libraries."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

for library in ("torch", "transformers", "peft", "gguf"):
    pytest.importorskip(library, reason=f"training needs {library}: install podcaster[train]")

from podcaster.audio import probe  # noqa: E402
from podcaster.run import sha256_file  # noqa: E402
from tests.exported_show import say  # noqa: E402

# short steps, and one look at what is held out: a real model learns here, on a processor
FEW = {
    "OMP_NUM_THREADS": "2",
    "PODCASTER_TRAIN_BATCH_TOKENS": "2048",
    "PODCASTER_TRAIN_EVALUATIONS": "1",
}

pytestmark = [
    pytest.mark.engine,
    pytest.mark.episode,
    pytest.mark.skipif(
        not os.environ.get("PODCASTER_LONG_TESTS"),
        reason="it takes ten minutes: `just test-long`, which sets PODCASTER_LONG_TESTS",
    ),
]


def talk(draw: random.Random, guest: str) -> str:
    """A conversation that nobody had, as a page of `Name (HH:MM:SS):` turns."""
    lines = []
    for number in range(30):
        asked, told = say(draw, 2, asking=True), say(draw, 5, asking=False)
        for who, said in (("Ann Host", asked), (guest, told)):
            lines.append(f"{who} (00:{number:02d}:{len(lines) % 60:02d}):\n{said}\n")
    return "\n".join(lines)


def podcaster(home: Path, *arguments: str) -> dict[str, Any]:
    """Run a command as a person does, and read what it says to scripts."""
    command = [sys.executable, "-m", "podcaster", *arguments, "--json", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **FEW})
    assert done.returncode == 0, done.stderr + done.stdout
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_shows_transcripts_become_an_episode_in_its_manner(tmp_path: Path) -> None:
    draw = random.Random(7)
    folder = tmp_path / "talks"
    folder.mkdir()
    for number in range(4):
        name = f"Guest {'ABCD'[number]}. Example"
        (folder / f"talk-{number}.txt").write_text(talk(draw, name))
    home = tmp_path / "home"
    home.mkdir()
    podcaster(home, "show", "add", "Tea Talk", str(folder))
    podcaster(home, "show", "make", "Tea Talk")
    dataset = podcaster(home, "show", "dataset", "Tea Talk", "--hold-out", "0.2")
    assert dataset["validation"] > 0
    trained = podcaster(home, "show", "train", "Tea Talk", "--max-steps", "8")
    # what it says is made of few phrases: eight steps are enough to learn many of them
    assert trained["validation_loss"] < 0.95 * trained["base_validation_loss"]
    assert Path(trained["adapter"], "adapter_model.safetensors").is_file()
    exported = podcaster(home, "show", "export", "Tea Talk")
    assert exported["token_ids_equal"]
    assert exported["max_logit_difference"] <= 1e-3
    assert exported["perplexity"] == pytest.approx(exported["perplexity_before"], rel=0.02)
    made = podcaster(
        home, "episode", "--show", "Tea Talk", "--guest", "Ada Lovelace", "--minutes", "1",
        "--seed", "3",
    )  # fmt: skip
    assert probe(Path(made["mp3"])).duration_s == pytest.approx(60, abs=12)
    script = json.loads((home / "runs" / made["run"] / "write" / "script.json").read_text())
    assert {one["name"] for one in script["speakers"]} == {"Ann Host", "Ada Lovelace"}
    assert script["model_sha256"] == sha256_file(Path(exported["gguf"]))
    again = podcaster(home, "show", "train", "Tea Talk", "--max-steps", "8")
    assert again["reused"]
    answer = podcaster(home, "show", "ask", "Tea Talk", "Why the kettle?", "--turns", "2")
    assert answer["turns"][0] == {"speaker": "host", "name": "Ann Host", "text": "Why the kettle?"}
