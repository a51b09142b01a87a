"""One command makes an episode: complete, of the length asked for, and the same every time."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from podcaster.audio import measure_loudness, probe
from tests.episode.conftest import EPISODE, podcaster

pytestmark = [pytest.mark.episode, pytest.mark.engine]

KEYS = {
    *("run", "script", "mp3", "transcript", "chapters"),
    *("duration_s", "words", "stages", "published"),
}


def read_hash(path: str | Path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_the_result_has_what_scripts_rely_on(made: Any) -> None:
    assert set(made) >= KEYS
    assert list(made["stages"]) == ["write", "speak", "mix", "publish"]
    for stage in made["stages"].values():
        assert set(stage) == {"seconds", "done", "reused"}
        assert stage["done"] > 0
        assert stage["reused"] == 0
    for key in ("script", "mp3", "transcript", "chapters"):
        assert Path(made[key]).stat().st_size > 0
    assert made["published"] is None


def test_the_episode_is_as_long_and_as_loud_as_promised(made: Any) -> None:
    decoded = probe(Path(made["mp3"]))
    assert decoded.duration_s == pytest.approx(120, rel=0.05)
    assert made["duration_s"] == pytest.approx(decoded.duration_s, abs=0.06)
    loudness = measure_loudness(Path(made["mp3"]))
    assert loudness.integrated_lufs == pytest.approx(-16, abs=0.5)
    assert loudness.true_peak_dbtp <= -1.0
    assert loudness.range_lu <= 8


def test_two_people_talk_with_two_voices_and_say_what_they_are(made: Any) -> None:
    folder = Path(made["folder"])
    script = json.loads((folder / "write" / "script.json").read_bytes())
    assert {speaker["role"] for speaker in script["speakers"]} == {"host", "guest"}
    turns = [turn for chapter in script["chapters"] for turn in chapter["turns"]]
    assert {turn["speaker"] for turn in turns} == {speaker["id"] for speaker in script["speakers"]}
    clips = json.loads((folder / "speak" / "clips.json").read_bytes())
    assert len({clip["voice"] for clip in clips}) == 2
    assert "Obama" in " ".join(turn["text"] for turn in turns)

    timeline = json.loads((folder / "mix" / "timeline.json").read_bytes())
    early = " ".join(
        sentence["text"]
        for turn in timeline["turns"]
        for sentence in turn["sentences"]
        if sentence["start_s"] < 15
    ).lower()
    assert any(word in early for word in ("artificial", " ai", "computer", "synthetic"))
    chapters = json.loads(Path(made["chapters"]).read_bytes())["chapters"]
    assert len(chapters) >= 3
    assert chapters[0]["startTime"] == 0


def test_running_again_does_nothing(workspace: Path, made: Any) -> None:
    before = read_hash(made["mp3"])
    again = podcaster(workspace, "resume", made["run"], "--json")
    assert again.code == 0, again.err
    assert all(stage["done"] == 0 for stage in again.json["stages"].values())
    assert again.json["stages"]["speak"]["reused"] == made["stages"]["speak"]["done"]
    assert read_hash(again.json["mp3"]) == before
    why = podcaster(workspace, "runs", "why", made["run"], "--json").json
    assert [row["redo"] for row in why["stages"]] == [False] * 4


def test_the_same_seed_makes_the_same_bytes_elsewhere(tmp_path: Path, made: Any) -> None:
    done = podcaster(tmp_path, *EPISODE)
    assert done.code == 0, done.err
    assert done.json["run"] != made["run"]
    assert read_hash(done.json["script"]) == read_hash(made["script"])
    assert read_hash(done.json["mp3"]) == read_hash(made["mp3"])


def test_another_seed_makes_another_episode(tmp_path: Path, made: Any) -> None:
    other = [*EPISODE[:-2], "12", "--until", "write", "--json"]
    done = podcaster(tmp_path, *other)
    assert done.code == 0, done.err
    assert list(done.json["stages"]) == ["write"]
    assert done.json["mp3"] is None
    assert read_hash(done.json["script"]) != read_hash(made["script"])
