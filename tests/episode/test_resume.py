"""Resuming redoes what was touched, and a killed run ends as if nothing had happened."""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.episode.conftest import EPISODE, podcaster, start_podcaster
from tests.episode.test_episode import read_hash

pytestmark = [pytest.mark.episode, pytest.mark.engine]


@pytest.fixture
def copied(tmp_path: Path, workspace: Path, made: Any) -> tuple[Path, Path]:
    """A workspace of its own with the episode in it, and the run's folder."""
    shutil.copytree(workspace / "runs" / made["run"], tmp_path / "runs" / made["run"])
    return tmp_path, tmp_path / "runs" / made["run"]


def test_an_edited_line_is_spoken_anew_and_nothing_else(copied: tuple[Path, Path]) -> None:
    home, run = copied
    clips_before = {path.name for path in (run / "speak" / "clips").glob("*.wav")}
    mp3_before = read_hash(run / "publish" / "episode.mp3")
    path = run / "write" / "script.md"
    lines = path.read_text().splitlines()
    spoken = [i for i, line in enumerate(lines) if line.startswith("**Barack Obama:**")]
    lines[spoken[0]] = "**Barack Obama:** This sentence was typed by hand, of all things."
    path.write_text("\n".join(lines) + "\n")

    why = podcaster(home, "runs", "why", "latest", "--json").json["stages"]
    assert [row["redo"] for row in why] == [False, True, True, True]
    assert "script" in why[1]["reason"]
    done = podcaster(home, "resume", "latest", "--json")
    assert done.code == 0, done.err
    stages = done.json["stages"]
    assert (stages["write"]["done"], stages["speak"]["done"]) == (0, 1)
    assert (stages["mix"]["done"], stages["publish"]["done"]) == (1, 1)
    clips_after = {path.name for path in (run / "speak" / "clips").glob("*.wav")}
    assert len(clips_after - clips_before) == 1
    assert "typed by hand" in Path(done.json["transcript"]).read_text()
    assert "typed by hand" in path.read_text()
    assert read_hash(done.json["mp3"]) != mp3_before


def test_an_edit_that_cannot_be_read_names_its_line_and_loses_nothing(
    copied: tuple[Path, Path],
) -> None:
    home, run = copied
    mp3 = read_hash(run / "publish" / "episode.mp3")
    path = run / "write" / "script.md"
    path.write_text("# A title and not one turn\n")
    done = podcaster(home, "resume", "latest", "--json")
    assert done.code == 3
    assert "script.md" in done.err
    assert "Traceback" not in done.err
    assert done.json["exit_code"] == 3
    assert read_hash(run / "publish" / "episode.mp3") == mp3
    assert path.read_text() == "# A title and not one turn\n"


def test_a_new_voice_is_heard_in_that_speakers_turns_alone(copied: tuple[Path, Path]) -> None:
    home, run = copied
    clips = json.loads((run / "speak" / "clips.json").read_bytes())
    script = json.loads((run / "write" / "script.json").read_bytes())
    turns = [turn for chapter in script["chapters"] for turn in chapter["turns"]]
    used = {clip["voice"] for clip in clips}
    listed = podcaster(home, "voice", "list", "--json").json["voices"]
    other = next(voice["name"] for voice in listed if voice["name"] not in used)
    done = podcaster(home, "resume", "latest", "--voice", f"guest={other}", "--json")
    assert done.code == 0, done.err
    guest_texts = {turn["text"] for turn in turns if turn["speaker"] == "guest"}
    assert done.json["stages"]["write"]["done"] == 0
    assert done.json["stages"]["speak"]["done"] == len(guest_texts)
    after = json.loads((run / "speak" / "clips.json").read_bytes())
    for turn, was, is_now in zip(turns, clips, after, strict=True):
        assert is_now["voice"] == (other if turn["speaker"] == "guest" else was["voice"])


def test_damage_is_noticed_and_mended(copied: tuple[Path, Path]) -> None:
    home, run = copied
    mp3 = read_hash(run / "publish" / "episode.mp3")
    clip = sorted((run / "speak" / "clips").glob("*.wav"))[0]
    clip.write_bytes(clip.read_bytes()[:1000])
    (run / "publish" / "episode.vtt").unlink()
    done = podcaster(home, "resume", "latest", "--json")
    assert done.code == 0, done.err
    assert done.json["stages"]["speak"]["done"] == 1
    assert done.json["stages"]["mix"]["reused"] == 1
    assert Path(done.json["transcript"]).is_file()
    assert read_hash(done.json["mp3"]) == mp3


def has_begun(run: Path, stage: str) -> bool:
    """Whether a stage is in the middle of its work, as far as files tell."""
    if stage == "write":
        draft = run / "write" / "draft.jsonl"
        return draft.is_file() and draft.read_bytes().count(b"\n") >= 4
    if stage == "speak":
        return len(list((run / "speak" / "clips").glob("*.record.json"))) >= 2
    events = run / "events.jsonl"
    return events.is_file() and f'"stage_started", "stage": "{stage}"' in events.read_text()


@pytest.mark.parametrize("stage", ["write", "speak", "mix", "publish"])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path, made: Any, stage: str) -> None:
    with start_podcaster(tmp_path, *EPISODE) as process:
        while process.poll() is None:
            runs = list(tmp_path.glob("runs/*/run.json"))
            if runs and has_begun(runs[0].parent, stage):
                break
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    run = next(iter(tmp_path.glob("runs/*/run.json"))).parent
    assert not (run / stage / "record.json").exists(), "it was killed too late to show anything"
    spoken = len(list((run / "speak" / "clips").glob("*.record.json")))

    done = podcaster(tmp_path, "resume", "latest", "--json")
    assert done.code == 0, done.err
    assert read_hash(done.json["script"]) == read_hash(made["script"])
    assert read_hash(done.json["mp3"]) == read_hash(made["mp3"])
    if stage == "speak":
        assert done.json["stages"]["speak"]["reused"] == spoken > 0
