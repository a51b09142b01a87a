"""`podcaster voice` as it is typed: add, list, say, remove."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from podcaster.audio import decode, read_wav, write_wav
from tests.episode.conftest import podcaster
from tests.speakers.spoken_show import RATE_HZ, speak

pytestmark = pytest.mark.engine

TEXT = (
    "The harbour was quiet that morning, and the gulls had left. Nobody had told the keeper that "
    "the lamp was out. When the storm came in from the west they went up to the light and waited."
)
WRITTEN = ("--consent", "written", "--by", "Kim Example", "--proof", "consent.pdf")


@pytest.fixture
def recording(tmp_path: Path) -> str:
    write_wav(tmp_path / "kim.wav", np.tile(speak("ada", TEXT), 2), RATE_HZ)
    return "kim.wav"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["kim", "kim.wav"], 2, "--consent is missing"),
        (["Kim K", "kim.wav", *WRITTEN], 2, "Type for example kim-k."),
        (["kim", "kim.wav", "--show", "tea", *WRITTEN], 2, "--speaker"),
        (["ada", "kim.wav", *WRITTEN], 5, "built-in voice"),
    ],
)
def test_what_is_missing_is_a_sentence_and_nothing_is_made(
    tmp_path: Path, recording: str, arguments: list[str], code: int, says: str
) -> None:
    done = podcaster(tmp_path, "voice", "add", *arguments)
    assert (done.code, says in done.err) == (code, True), done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "voices").exists()


def test_a_voice_is_added_listed_and_removed(tmp_path: Path, recording: str) -> None:
    added = podcaster(tmp_path, "voice", "add", "kim", recording, *WRITTEN, "--json").json
    assert added["consent"]["by"] == "Kim Example"
    assert added["quality"] in ("good", "usable")
    (reference,) = added["references"]
    assert {one["check"] for one in reference["findings"]} == {
        "length",
        "noise",
        "clipping",
        "music",
        "bandwidth",
        "voices",
    }
    rows = podcaster(tmp_path, "voice", "list", "--json").json["voices"]
    (kim,) = [row for row in rows if row["name"] == "kim"]
    assert (kim["consent"], kim["languages"]) == ("written", ["en"])
    removed = podcaster(tmp_path, "voice", "remove", "kim", "--json").json
    assert removed["folder"].endswith("kim")
    assert podcaster(tmp_path, "voice", "remove", "kim").code == 5


def test_a_text_is_piped_to_a_player_while_it_is_spoken(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "podcaster", "voice", "say", "ada", TEXT]
    done = subprocess.run([*command, "-o", "-"], cwd=tmp_path, capture_output=True, check=True)
    piped = tmp_path / "piped.wav"
    piped.write_bytes(done.stdout)
    seconds = sum(len(block) for block in decode(piped, RATE_HZ, 1)) / RATE_HZ
    podcaster(tmp_path, "voice", "say", "ada", TEXT, "-o", "whole.wav")
    whole, rate_hz = read_wav(tmp_path / "whole.wav")
    assert seconds == pytest.approx(len(whole) / rate_hz, abs=0.2)  # its edges are not trimmed
    # a player that is closed is no failure
    with subprocess.Popen(
        [*command, "-o", "-"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(44).startswith(b"RIFF")
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_who_has_not_consented_is_not_heard(tmp_path: Path, recording: str) -> None:
    folder = tmp_path / "voices" / "kim"
    folder.mkdir(parents=True)
    (tmp_path / recording).rename(folder / recording)
    (folder / "voice.toml").write_text(
        'name = "kim"\ndescription = "Kim"\nlicence = "none"\nwords_per_minute = 160.0\n'
        'languages = ["en"]\nreferences = ["kim.wav"]\n'
    )
    done = podcaster(tmp_path, "voice", "say", "kim", "Good morning.", "-o", "a.wav")
    assert (done.code, "no consent" in done.err) == (5, True)
    assert not (tmp_path / "a.wav").exists()
    assert "missing" in podcaster(tmp_path, "voice", "list").out
