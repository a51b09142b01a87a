"""A whole show by one command: all stages, what failed told, nothing done twice."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOUNS = "spoon slug bean kettle hedge spade apple ladder robin shed rope bucket".split()  # noqa: SIM905
VERBS = "found lost painted buried mended weighed counted carried washed traded".split()  # noqa: SIM905


def talk(number: int, guest: str) -> str:
    """A conversation long enough to be kept, unlike all others."""
    chance = random.Random(number)
    lines = []
    for index in range(40):
        who = "Ada Host" if index % 2 == 0 else guest
        said = " ".join(
            f"I {chance.choice(VERBS)} the {chance.choice(NOUNS)} by the {chance.choice(NOUNS)}."
            for _ in range(3)
        )
        lines.append(f"{who} (00:{index:02d}:00):\n{said}\n")
    return "\n".join(lines)


def podcaster(home: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "podcaster", "show", *arguments, "--home", str(home), "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PODCASTER_HOME": str(home)},
    )
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        (folder / f"talk {number}.txt").write_text(talk(number, f"Guest {'ABCD'[number]}son"))
    assert podcaster(tmp_path, "add", "garden", str(folder))[0] == 0
    return tmp_path


def test_one_command_makes_a_dataset_and_does_nothing_twice(home: Path) -> None:
    code, made, _ = podcaster(home, "make", "garden")
    assert (code, made["failed"]) == (0, 0)
    assert list(made["stages"]) == ["ingest", "transcribe", "speakers", "dataset"]
    assert {made["stages"][s]["done"] for s in ("ingest", "transcribe", "speakers")} == {4}
    _, stats, _ = podcaster(home, "stats", "garden")
    assert stats["examples"] == stats["train"] + stats["validation"] > 0
    assert stats["tokens"] > stats["words"] > 100
    assert stats["dropped"] == {}
    _, people, _ = podcaster(home, "speakers", "garden")
    roles = {one["name"]: (one["role"], len(one["recordings"])) for one in people["speakers"]}
    assert roles["Ada Host"] == ("host", 4)
    assert roles["Guest Ason"] == ("guest", 1)
    assert sum(one["share"] for one in people["speakers"]) == pytest.approx(1.0, abs=0.01)
    _, again, _ = podcaster(home, "make", "garden")
    assert {again["stages"][s]["done"] for s in ("ingest", "transcribe", "speakers")} == {0}


def test_what_cannot_be_used_is_told_and_the_rest_is_made(home: Path) -> None:
    (home / "in" / "backwards.srt").write_text("1\n00:00:05,000 --> 00:00:01,000\nAda: Hello.\n\n")
    (home / "in" / "empty.mp3").write_bytes(b"")
    code, made, _ = podcaster(home, "make", "garden")
    assert code == 3
    assert made["failed"] == 2
    told = {Path(one["item"]).name: one["error"] for one in made["failures"]}
    assert "backwards.srt" in told["backwards.srt"]
    assert "0 bytes" in told["empty.mp3"]
    assert podcaster(home, "stats", "garden")[1]["examples"] > 0


def test_it_stops_where_it_is_told_to(home: Path) -> None:
    assert list(podcaster(home, "make", "garden", "--until", "transcribe")[1]["stages"]) == [
        "ingest",
        "transcribe",
    ]
    assert not list((home / "runs" / "garden").glob("dataset/*"))
    code, told, _ = podcaster(home, "make", "garden", "--until", "train")
    assert code == 2
    assert "train" in told["error"]


def test_a_show_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    code, told, _ = podcaster(tmp_path, "make", "tea")
    assert code == 3
    assert "podcaster show add tea" in told["error"]


def test_a_stage_that_cannot_work_keeps_what_was_made_before(home: Path) -> None:
    (home / "podcaster.toml").write_text('[dataset]\ntokenizer = "nowhere/tokenizer.json"\n')
    code, made, _ = podcaster(home, "make", "garden")
    assert code != 0
    assert made["failures"][-1]["item"] == "stage dataset"
    assert made["stages"]["transcribe"]["done"] == 4
    (home / "podcaster.toml").unlink()
    code, again, _ = podcaster(home, "make", "garden")
    assert code == 0
    assert again["stages"]["transcribe"] == again["stages"]["transcribe"] | {"done": 0, "reused": 4}
