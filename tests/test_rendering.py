"""Clips of an episode: judged, spoken again, batched, recorded one by one, marked, heard early."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from podcaster import episode as episodes
from podcaster.engines import ENGINES, EngineEntry
from podcaster.errors import EngineError
from podcaster.model import Clip, Record, parse
from podcaster.progress import Silence
from podcaster.run import Run, open_run
from tests.faulty_engine import ENTRY, FIRST_SEED, FaultyVoicer

pytestmark = pytest.mark.engine

VOICE = """
name = "{name}"
engine = "faulty"
description = "For a test."
licence = "Ours."
words_per_minute = 166.0
languages = ["en"]

[settings]
pace_wpm = 148

[consent]
kind = "self"
by = "the test"
on = "2026-11-21"
proof = "none needed"
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("fay", "fred"):
        folder = tmp_path / "voices" / name
        folder.mkdir(parents=True)
        (folder / "voice.toml").write_text(VOICE.format(name=name))
    monkeypatch.setitem(ENGINES["speak"], "faulty", EngineEntry(ENTRY, None, batch=3))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    FaultyVoicer.calls.clear()
    FaultyVoicer.batches.clear()
    return tmp_path


class Notes(Silence):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.told: list[str] = []
        self.heard: bytes = b""

    def note(self, text: str) -> None:
        self.notes.append(text)

    def report(self, stage: str, done: float, total: float, unit: str) -> None:
        self.told.append(f"{stage} {done:g} of {total:g} {unit}")


def make(home: Path, lines: list[str], progress: Notes | None = None, **more: Any) -> Run:
    """Speak a script by Fay and Fred."""
    script = home / "script.md"
    script.write_text("\n".join(lines))
    flags = {
        "write.script": str(script),
        "speak.voices": {"Fay": "fay", "Fred": "fred"},
        "seed": FIRST_SEED,
        "disclosure": False,
        "speak.whisper": "none",  # faults are planted; what a small ear mishears is none of them
        **more.pop("flags", {}),
    }
    run, settings = episodes.start_episode(home, flags)
    how = {"until": "speak", "publish": False, "progress": progress or Notes(), **more}
    episodes.make_episode(home, run, settings, **how)
    return run


def clips_of(run: Run) -> tuple[Clip, ...]:
    return parse((run.path / "speak" / "clips.json").read_bytes(), tuple[Clip, ...], where="clips")


def counts_of(run: Run) -> dict[str, Any]:
    return dict(json.loads((run.path / "speak" / "record.json").read_bytes())["counts"])


GOOD = "The lighthouse keeper wrote a letter to his sister about the storm."
STUTTER = "We found a stutter in the old recording and threw it out again."
SILENT = "Everybody in the hall fell silent when the old clock began to strike."


def test_a_take_with_a_fault_is_spoken_again(home: Path) -> None:
    progress = Notes()
    run = make(home, [f"Fay: {GOOD}", f"Fred: {STUTTER}"], progress)
    good, again = clips_of(run)
    assert (good.take, good.faults) == (0, ())
    assert (again.take, again.faults) == (1, ())
    assert again.duration_s < 1.5 * good.duration_s
    assert counts_of(run) | {"speech_s": 0} == {
        **{"clips": 2, "speech_s": 0, "takes": 3, "rejected": 1, "faulty": 0},
    }
    assert "speak 2 of 2 clips, 1 of 3 takes rejected" in progress.told


def test_a_clip_that_never_comes_out_is_marked_and_the_episode_is_made(home: Path) -> None:
    progress = Notes()
    run = make(home, [f"Fay: {GOOD}", f"Fred: {SILENT}"], progress, flags={"speak.takes": 2})
    assert any("did not come out well: 1." in note for note in progress.notes)
    faulty = clips_of(run)[1]
    assert any("silence of 3" in fault for fault in faulty.faults)
    assert counts_of(run)["faulty"] == 1
    script = run.path / "write" / "script.md"
    lines = script.read_text().split("\n")
    mark = next(number for number, line in enumerate(lines) if line.startswith("<!-- look:"))
    assert "silence of 3" in lines[mark]
    assert SILENT in lines[mark + 1]
    # nothing is redone for the mark's sake, and more takes are made only where they are allowed
    calls = len(FaultyVoicer.calls)
    again(home, run)
    assert len(FaultyVoicer.calls) == calls
    change(run, "takes = 2", "takes = 4")
    again(home, run)
    assert len(FaultyVoicer.calls) == calls + 4
    # a person mends the line: the mark goes
    script.write_text(script.read_text().replace("fell silent", "grew quiet"))
    again(home, run)
    assert "<!-- look:" not in script.read_text()
    assert clips_of(run)[1].faults == ()


def test_a_clip_unlike_all_others_of_its_voice_is_spoken_again(home: Path) -> None:
    lines = [f"{'Fay' if n % 2 else 'Fred'}: {GOOD} Number {n}." for n in range(20)]
    hasty = "This one was hasty, and half of what it had to say was lost on the way to the hall."
    run = make(home, [*lines, f"Fay: {hasty}"])
    assert clips_of(run)[-1].take == 1
    assert [clip.take for clip in clips_of(run)[:-1]] == [0] * 20


def test_without_the_gate_the_first_take_is_believed(home: Path) -> None:
    run = make(home, [f"Fay: {GOOD}", f"Fred: {STUTTER}"], flags={"speak.check": False})
    assert [clip.take for clip in clips_of(run)] == [0, 0]
    assert counts_of(run)["rejected"] == 0


def test_engines_that_can_get_several_clips_at_a_time(home: Path) -> None:
    lines = [f"{'Fay' if n % 2 else 'Fred'}: {GOOD} Number {n}." for n in range(7)]
    run = make(home, lines)
    assert sorted(FaultyVoicer.batches) == [3, 3]  # and one alone
    records = [
        parse(path.read_bytes(), Record, where=str(path))
        for path in (run.path / "speak" / "clips").glob("*.record.json")
    ]
    assert len(records) == 7
    assert all(record.counts["tried"] == 1 for record in records)


def test_a_clip_that_cannot_be_spoken_costs_no_other(home: Path) -> None:
    lines = [f"Fay: {GOOD}", "Fred: The engine breaks at this.", f"Fay: {STUTTER}"]
    with pytest.raises(EngineError, match=r"1 of 3 clips .* turn 2: The engine broke"):
        make(home, lines)
    run = open_run(home, "latest", "episode")
    assert len(list((run.path / "speak" / "clips").glob("*.wav"))) == 2
    script = run.path / "write" / "script.md"
    script.write_text(script.read_text().replace("breaks", "bends"))
    FaultyVoicer.calls.clear()
    again(home, run)
    assert [text for text, _ in FaultyVoicer.calls] == ["The engine bends at this."]


def test_a_few_clips_that_are_refused_are_left_out_and_marked(home: Path) -> None:
    lines = [f"{'Fay' if n % 2 else 'Fred'}: {GOOD} Number {n}." for n in range(12)]
    lines[5] = "Fay: The engine breaks at this."
    run = make(home, lines, until="publish")
    left_out = clips_of(run)[5]
    assert left_out.faults == ("Left out: The engine broke.",)
    assert left_out.sentences == ()
    assert left_out.duration_s < 0.5
    assert (run.path / "publish" / "episode.mp3").stat().st_size > 100_000
    assert "breaks" not in (run.path / "publish" / "episode.vtt").read_text()
    script = (run.path / "write" / "script.md").read_text()
    assert "<!-- look: Left out: The engine broke. -->\n**Fay:** The engine breaks" in script


def test_an_episode_can_be_heard_while_it_is_made(home: Path) -> None:
    class Listener(Notes):
        def note(self, text: str) -> None:
            super().note(text)
            if "listen while" in text:
                self.answer = urllib.request.urlopen(text.split()[-1] + "preview.mp3")

    progress = Listener()
    run = make(home, [f"Fay: {GOOD}", f"Fred: {STUTTER}"], progress, preview=True)
    with progress.answer as answer:
        heard = answer.read()
    # 96 kbit/s: both turns were heard
    assert len(heard) * 8 / 96_000 == pytest.approx(
        sum(clip.duration_s for clip in clips_of(run)) + 0.5, abs=0.2
    )


def test_a_cluster_speaks_the_same_clips(home: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    lines = [f"{'Ada' if n % 2 else 'Hugo'}: {GOOD} Number {n}." for n in range(6)]
    voices = {"Ada": "ada", "Hugo": "hugo"}
    here = make(home, lines, flags={"speak.voices": voices})
    there = make(home, lines, flags={"speak.voices": voices, "cluster.address": "local"})
    assert here.path != there.path
    assert clips_of(here) == clips_of(there)
    for clip in clips_of(here):
        one, other = ((run.path / "speak" / clip.path).read_bytes() for run in (here, there))
        assert one == other


def change(run: Run, before: str, after: str) -> None:
    path = run.path / "config.toml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def again(home: Path, run: Run) -> None:
    opened, settings = episodes.reopen_episode(home, run.name, voices={})
    episodes.make_episode(home, opened, settings, until="speak", publish=False, progress=Notes())
