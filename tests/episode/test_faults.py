"""Odd guests, odd scripts, full disks and crowded runs: a result, or one sentence; nothing lost."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.episode.conftest import EPISODE, podcaster, start_podcaster
from tests.episode.test_episode import read_hash

pytestmark = [pytest.mark.episode, pytest.mark.engine]


@pytest.mark.parametrize(
    "name", ["../../etc", "🎉🎉", "محمد علي", 'Ann "The" <b>O\'Neil</b>', "--x"]
)
def test_any_name_is_a_guest(tmp_path: Path, name: str) -> None:
    arguments = ["episode", f"--guest={name}", "--minutes", "1", "--seed", "3", "--json"]
    done = podcaster(tmp_path, *arguments)
    assert done.code == 0, done.err
    script = json.loads((Path(done.json["folder"]) / "write" / "script.json").read_bytes())
    assert script["speakers"][1]["name"] == name
    assert Path(done.json["mp3"]).stat().st_size > 500_000
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    assert podcaster(tmp_path, "resume", "latest", "--json").json["stages"]["speak"]["done"] == 0


@pytest.mark.parametrize(
    ("text", "speakers"),
    [
        ("Ada: I am alone here. Nobody asks me anything.\n", 1),
        ("Ada: Good morning.\nBob: Hello.\nCy: May I come in?\nAda: Do.\n", 3),
    ],
)
def test_a_script_of_ones_own_is_spoken(tmp_path: Path, text: str, speakers: int) -> None:
    (tmp_path / "mine.md").write_text(text)
    done = podcaster(tmp_path, "episode", "--script", "mine.md", "--seed", "1", "--json")
    assert done.code == 0, done.err
    script = json.loads((Path(done.json["folder"]) / "write" / "script.json").read_bytes())
    assert len(script["speakers"]) == speakers
    clips = json.loads((Path(done.json["folder"]) / "speak" / "clips.json").read_bytes())
    assert len({clip["voice"] for clip in clips}) == speakers
    first = script["chapters"][0]["turns"][0]["text"].lower()
    assert any(word in first for word in ("artificial", " ai", "synthetic"))
    spoken = Path(done.json["transcript"]).read_text()
    assert "<v Ada>" in spoken


def test_a_script_without_speakers_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "mine.md").write_text("Once upon a time.\n")
    done = podcaster(tmp_path, "episode", "--script", "mine.md")
    assert done.code == 3
    assert "mine.md, line 1" in done.err
    assert not (tmp_path / "runs").exists()


def test_a_thousand_turns_are_spoken(tmp_path: Path) -> None:
    lines = [f"{'Ada' if i % 2 else 'Bob'}: This is line {i}." for i in range(1000)]
    (tmp_path / "long.md").write_text("\n".join(lines) + "\n")
    done = podcaster(tmp_path, "episode", "--script", "long.md", "--until", "speak", "--json")
    assert done.code == 0, done.err
    assert done.json["stages"]["speak"]["done"] >= 1000


def test_two_processes_do_not_work_on_one_run(tmp_path: Path, made: Any) -> None:
    with start_podcaster(tmp_path, *EPISODE) as first:
        while not list(tmp_path.glob("runs/*/write/draft.jsonl")):
            assert first.poll() is None
            time.sleep(0.002)
        second = podcaster(tmp_path, "resume", "latest")
        # the first may have ended while the second started
        assert second.code in (6, 0)
        if second.code == 6:
            assert "being worked on by another process" in second.err
        assert first.wait() == 0
    mp3 = next(iter(tmp_path.glob("runs/*/publish/episode.mp3")))
    assert read_hash(mp3) == read_hash(made["mp3"])


def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path, made: Any) -> None:
    # a limit on the size of files stands in for a full disk: writing fails in mid-file
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, 700_000))

    command = [sys.executable, "-m", "podcaster", *EPISODE]
    failed = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=limit
    )
    assert failed.returncode == 6, failed.stderr
    assert "Cannot write" in failed.stderr
    assert "podcaster resume" in failed.stderr
    assert "Traceback" not in failed.stderr
    run = next(iter(tmp_path.glob("runs/*/run.json"))).parent
    assert not (run / "publish" / "record.json").exists()
    done = podcaster(tmp_path, "resume", "latest", "--json")
    assert done.code == 0, done.err
    assert done.json["stages"]["write"]["reused"] == 1
    assert read_hash(done.json["mp3"]) == read_hash(made["mp3"])


def test_a_read_only_workspace_is_a_sentence(tmp_path: Path) -> None:
    place = Path("/proc")
    if not place.is_dir():
        tmp_path.chmod(0o500)
        place = tmp_path
    done = podcaster(tmp_path, "episode", "--guest", "A", "--home", str(place))
    assert done.code == 6
    assert f"Cannot write {place}/runs" in done.err


def test_notes_ground_the_guest_and_are_marked(tmp_path: Path) -> None:
    (tmp_path / "bees.txt").write_text(
        "Honeybees tell each other where flowers are by dancing. The dance is a figure of eight, "
        "and its angle is the angle to the sun. A longer waggle means a longer flight. Karl von "
        "Frisch described the dance in nineteen forty-five. A colony holds about forty thousand "
        "bees in summer. In winter they form a cluster and shiver to keep warm. The queen is at "
        "the centre of it. They eat about twenty kilograms of honey before spring comes.\n"
    )
    arguments = ["--guest", "Maria Winter", "--notes", "bees.txt", "--minutes", "2", "--seed", "4"]
    done = podcaster(tmp_path, "episode", *arguments, "--json")
    assert done.code == 0, done.err
    script = json.loads((Path(done.json["folder"]) / "write" / "script.json").read_bytes())
    quoting = [t for c in script["chapters"] for t in c["turns"] if t.get("sources")]
    assert {source["location"] for source in script["sources"]} == {"bees.txt"}
    assert "guest" in {turn["speaker"] for turn in quoting}
    assert sum("waggle" in turn["text"] or "queen" in turn["text"] for turn in quoting) >= 1
    (tmp_path / "bees.txt").unlink()
    assert podcaster(tmp_path, "resume", "latest").code == 0
