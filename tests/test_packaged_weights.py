"""The packaged models through the real paths, with default settings, in an empty workspace.

Nothing here names a model, a device or an engine: what a user gets who types the command is what
is tested. Connections to other machines are refused.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcaster import audio
from podcaster.booth import Ear
from podcaster.engines import open_engine
from podcaster.progress import Silence
from podcaster.rendering import find_whisper
from podcaster.setup.packaged import locate_packaged
from podcaster.speak.casting import contrast
from podcaster.speak.checks.words import compare_words
from podcaster.speak.text import prepare
from podcaster.speak.voices import find_voices
from podcaster.speaking import say_text

SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "audio"
DIALOGUE = SHARED / "katie-steve-dialogue.wav"
PODCAST = SHARED / "tea-brew.mp3"
TURNS = (
    "Good morning, Steve.",
    "Good morning, Katie.",
    "Have you heard about the new conversation transcription capability?",
    "No, tell me more.",
    "It's the new feature that transcribes our discussion and lets us know who said what.",
    "That sounds interesting. I'm going to give this a try.",
)
LISTENS = "needs the extra asr"

pytestmark = [
    pytest.mark.weights,
    pytest.mark.skipif(locate_packaged("whisper-tiny.en") is None, reason=LISTENS),
    pytest.mark.skipif(importlib.util.find_spec("faster_whisper") is None, reason=LISTENS),
]

# a command of ours in a process that may talk to nobody else
ALONE = """
import socket, sys
def refuse(self, address, *rest, connect=socket.socket.connect):
    if self.family in (socket.AF_INET, socket.AF_INET6):
        raise OSError(f"the network was asked for: {address}")
    return connect(self, address, *rest)
socket.socket.connect = socket.socket.connect_ex = refuse
def unknown(*name, **_): raise socket.gaierror(f"the network was asked for: {name}")
socket.getaddrinfo = unknown
from podcaster.cli import main
main()
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub's cache in which nothing is."""
    return tmp_path_factory.mktemp("hub")


@pytest.fixture(scope="module")
def dialogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six turns of two people, or of two of our own voices."""
    path = tmp_path_factory.mktemp("sound") / "dialogue.wav"
    if DIALOGUE.is_file():
        shutil.copyfile(DIALOGUE, path)
        return path
    voices = list(find_voices(path.parent).values())
    pair = [voices[0], max(voices, key=lambda voice: contrast(voices[0], voice))]
    pieces: list[Any] = []
    for number, text in enumerate(TURNS):
        clip = path.with_name(f"{number}.wav")
        say_text(path.parent, pair[number % 2].name, text, clip)
        pieces += [*audio.decode(clip, 16_000, 1), np.zeros(4000, dtype=np.float32)]
    audio.write_wav(path, np.concatenate([piece.reshape(-1) for piece in pieces]), 16_000)
    return path


def podcaster(home: Path, hub: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_HOME": str(hub), "PODCASTER_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-c", ALONE, *arguments],
        capture_output=True,
        text=True,
        cwd=home,
        env=environment,
        check=False,
    )


def test_a_file_is_heard_and_its_voices_are_told_apart(
    tmp_path: Path, hub: Path, dialogue: Path
) -> None:
    done = podcaster(tmp_path, hub, "show", "transcribe", str(dialogue))
    assert done.returncode == 0, done.stderr
    assert "knows English only" in done.stderr
    assert "podcaster setup whisper-small" in done.stderr
    said = [line.partition("]  ")[2] for line in done.stdout.splitlines() if line[0] == "["]
    voices = [line.partition(": ")[0] for line in said]
    heard = " ".join(line.partition(": ")[2] for line in said)
    assert compare_words(" ".join(TURNS), heard, "en").rate <= 0.05
    changes = [voices[0], *(b for a, b in pairwise(voices) if a != b)]
    assert changes == ["S1", "S2"] * 3


def test_a_language_that_it_does_not_know_is_a_sentence(
    tmp_path: Path, hub: Path, dialogue: Path
) -> None:
    done = podcaster(tmp_path, hub, "show", "transcribe", str(dialogue), "--language", "de")
    assert done.returncode == 3
    assert "does not know the language 'de'; it knows en." in done.stderr
    assert "podcaster setup whisper-small" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not PODCAST.is_file(), reason="needs ../shared/data/audio/tea-brew.mp3")
def test_a_folder_with_sound_becomes_a_dataset_with_every_turn_its_speakers(
    tmp_path: Path, hub: Path
) -> None:
    folder = tmp_path / "sound"
    folder.mkdir()
    shutil.copyfile(PODCAST, folder / "tea-brew.mp3")
    added = podcaster(tmp_path, hub, "show", "add", "Tea Brew", str(folder))
    assert added.returncode == 0, added.stderr
    made = podcaster(tmp_path, hub, "show", "make", "Tea Brew")
    assert made.returncode == 0, made.stderr
    run = tmp_path / "runs" / "tea-brew"
    (words,) = [p for p in (run / "transcribe").glob("*.json") if p.name.count(".") == 1]
    heard = json.loads(words.read_text())["utterances"]
    assert {one["speaker"] for one in heard} == {"S1", "S2", "S3"}
    turns = json.loads(PODCAST.with_suffix(".json").read_text())["segments"]
    assert len(turns) == 10
    owners = {}
    for turn in turns:
        inside = [
            u for u in heard if turn["start"] <= (u["start_s"] + u["end_s"]) / 2 < turn["end"]
        ]
        assert inside, turn
        said_s: dict[str, float] = {}
        for one in inside:
            said_s[one["speaker"]] = said_s.get(one["speaker"], 0) + one["end_s"] - one["start_s"]
        owner = max(said_s, key=lambda name: said_s[name])
        assert said_s[owner] >= 0.95 * sum(said_s.values()), turn
        assert owners.setdefault(turn["speaker"], owner) == owner
    assert len(set(owners.values())) == 3
    text = " ".join(turn["text"] for turn in turns)
    assert compare_words(text, " ".join(one["text"] for one in heard), "en").rate <= 0.08
    stats = podcaster(tmp_path, hub, "show", "stats", "Tea Brew", "--json")
    assert stats.returncode == 0, stats.stderr
    assert list((run / "dataset").glob("*.jsonl"))


@pytest.fixture(scope="module")
def ear() -> Iterator[Ear]:
    model = find_whisper("auto", Silence())
    with closing(open_engine("transcribe", "faster_whisper", model=model)) as transcriber:
        yield Ear(transcriber)


def test_the_gate_leaves_words_alone_in_a_language_that_its_ear_does_not_know(ear: Ear) -> None:
    second = np.zeros(16_000, dtype=np.float32)
    assert ear.transcribe(second, 16_000, "pt-BR") is None
    assert ear.transcribe(second, 16_000, "en-GB") == ""


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/audio")
def test_good_clips_of_a_reader_pass_the_gates_word_check(ear: Ear) -> None:
    lines = (SHARED / "ljspeech" / "metadata.csv").read_text("utf-8").splitlines()
    rates = []
    for line in lines:
        name, _, text = line.split("|")
        samples = np.concatenate(
            [*audio.decode(SHARED / "ljspeech" / f"{name}.flac", 22_050, 1)], dtype=np.float32
        ).reshape(-1)
        spoken = " ".join(one.spoken for one in prepare(text, "en"))
        rates.append(compare_words(spoken, ear.transcribe(samples, 22_050, "en") or "", "en").rate)
    assert len(rates) >= 8
    assert max(rates) <= 0.25
    assert np.mean(rates) <= 0.1


def test_clips_of_the_packaged_voices_pass_the_whole_gate(tmp_path: Path) -> None:
    voices = [voice for voice in find_voices(tmp_path).values() if voice.engine == "kokoro"]
    if not voices:
        pytest.skip("no built-in voice is Kokoro's")
    clips = [
        say_text(tmp_path, voices[number % len(voices)].name, text, tmp_path / f"{number}.wav")
        for number, text in enumerate(TURNS)
    ]
    assert len(clips) == len(TURNS)
    assert all("word_error_rate" in clip.quality for clip in clips)
    assert [clip.faults for clip in clips if clip.faults] == []
    assert {clip.take for clip in clips} == {0}
