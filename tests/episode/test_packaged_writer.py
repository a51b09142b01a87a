"""Scripts by the packaged model, as a user has them written: default settings, the real weights."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from podcaster.model import Script, parse
from podcaster.units import split_words
from podcaster.write.disclosure import is_disclosed
from podcaster.write.exchange import NEW_SHARE, content_words, share_new
from podcaster.write.notes import read_notes
from podcaster.write.phrases import PHRASES
from tests.episode.conftest import podcaster, start_podcaster

pytestmark = [pytest.mark.weights, pytest.mark.episode, pytest.mark.engine]

TOPIC = "community organising in Chicago"
WRITE = (
    *("episode", "--guest", "Barack Obama", "--topic", TOPIC, "--minutes", "1"),
    *("--seed", "5", "--until", "write", "--json"),
)

BEES = (
    "Honeybees tell each other where flowers are by dancing. The dance is a figure of eight, and "
    "its angle is the angle to the sun. A longer waggle means a longer flight. Karl von Frisch "
    "described the dance in nineteen forty-five. A colony holds about forty thousand bees in "
    "summer. In winter they form a cluster and shiver to keep warm. The queen is at the centre of "
    "it. They eat about twenty kilograms of honey before spring comes.\n"
)


def read_script(made: Any) -> Script:
    return parse(Path(made["folder"], "write", "script.json").read_bytes(), Script, where="script")


def read_bytes(made: Any) -> bytes:
    return Path(made["folder"], "write", "script.json").read_bytes()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    done = podcaster(tmp_path_factory.mktemp("written"), *WRITE)
    assert done.code == 0, done.err
    return done.json


def test_the_packaged_model_writes_a_conversation(written: Any) -> None:
    script = read_script(written)
    assert "smollm2" in script.model.lower()
    assert is_disclosed(script)
    assert script.title == f"Barack Obama on {TOPIC}"
    assert any(TOPIC.lower() in chapter.title.lower() for chapter in script.chapters)
    turns = list(script.turns())
    assert len({turn.text for turn in turns}) == len(turns)
    assert all(a.speaker != b.speaker for a, b in itertools.pairwise(turns))


def test_each_answer_of_the_packaged_model_says_something_new(written: Any) -> None:
    known: set[str] = set()
    ours = {text for texts in PHRASES.values() for text in texts}
    answers = 0
    chapters = read_script(written).chapters
    for chapter in chapters[1:-1]:
        for turn in chapter.turns:
            if turn.speaker == "guest" and turn.text not in ours:
                assert share_new(turn.text, known) >= NEW_SHARE
                answers += 1
            known |= set(content_words(turn.text))
    assert answers >= 1


def test_the_same_seed_writes_the_same_script_with_any_number_of_threads(
    tmp_path: Path, written: Any
) -> None:
    def one_core() -> None:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    command = [sys.executable, "-m", "podcaster", *WRITE]
    limit = one_core if hasattr(os, "sched_setaffinity") else None
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=limit
    )
    assert done.returncode == 0, done.stderr
    assert read_bytes(json.loads(done.stdout.splitlines()[-1])) == read_bytes(written)


def test_a_killed_writer_goes_on_to_the_same_script(tmp_path: Path, written: Any) -> None:
    with start_podcaster(tmp_path, *WRITE) as process:
        while process.poll() is None:
            drafts = list(tmp_path.glob("runs/*/write/draft.jsonl"))
            if drafts and drafts[0].read_bytes().count(b"\n") >= 2:
                break
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    run = next(iter(tmp_path.glob("runs/*/run.json"))).parent
    assert not (run / "write" / "record.json").exists(), "it was killed too late to show anything"
    done = podcaster(tmp_path, "resume", "latest", "--until", "write", "--json")
    assert done.code == 0, done.err
    assert read_bytes(done.json) == read_bytes(written)


def test_with_notes_the_facts_are_those_of_the_notes(tmp_path: Path) -> None:
    (tmp_path / "bees.txt").write_text(BEES)
    arguments = ("--guest", "Maria Winter", "--notes", "bees.txt", "--minutes", "2", "--seed", "4")
    done = podcaster(tmp_path, "episode", *arguments, "--until", "write", "--json")
    assert done.code == 0, done.err
    script = read_script(done.json)
    assert [source.location for source in script.sources] == ["bees.txt"]
    quoting = [t for t in script.turns() if t.sources and t.speaker == "guest"]
    assert len(quoting) >= 2
    sentences = [
        " ".join(split_words(sentence))
        for sentence in read_notes([str(tmp_path / "bees.txt")])[0].sentences
    ]
    said = [" ".join(split_words(turn.text)) for turn in quoting]
    assert all(any(sentence in text for sentence in sentences) for text in said)
    # what is told of numbers stands in the notes: nobody else says "kilograms"
    told = " ".join(said)
    assert "waggle" in told or "forty thousand" in told
