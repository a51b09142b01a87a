"""The command line: bad input is one sentence and the right exit code, good input one JSON line."""

import json
from pathlib import Path

import pytest

from tests.episode.conftest import podcaster

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--guest", ""], 2, "An episode needs a guest"),
        (["--guest", "  "], 2, "An episode needs a guest"),
        ([], 2, "An episode needs a guest"),
        (["--guest", "x" * 300], 2, "write.guest (flag): expected str of length <= 120"),
        (["--guest", "A", "--minutes", "0"], 2, "expected float >= 1.0, got 0"),
        (["--guest", "A", "--minutes", "-1"], 2, "expected float >= 1.0, got -1"),
        (["--guest", "A", "--minutes", "nan"], 2, "expected float >= 1.0, got nan"),
        (["--guest", "A", "--minutes", "600"], 2, "expected float <= 240.0, got 600"),
        (["--guest", "A", "--minutes", "long"], 2, "Invalid value for '--minutes'"),
        (["--guest", "A", "--seed", "-1"], 2, "seed (flag): expected int >= 0, got -1"),
        (["--guest", "A", "--quality", "perfect"], 2, "'perfect' is not one of"),
        (["--guest", "A", "--quality", "standard"], 4, "podcaster setup standard"),
        (["--guest", "A", "--voice", "hugo"], 2, "--voice takes ROLE=VOICE, got 'hugo'"),
        (["--guest", "A", "--voice", "guest=nobody"], 5, "nobody"),
        (["--guest", "A", "--notes", "missing.txt"], 3, "missing.txt"),
        (["--guest", "A", "--script", "missing.md"], 3, "missing.md"),
        (["--guest", "A", "--model", "missing.gguf"], 3, "missing.gguf"),
        (["--guest", "A", "--model", "qwem3-4b"], 2, "qwen3-4b"),
        (["--guest", "A", "--language", "de"], 4, "in English only"),
        (["--guest", "A", "--language", "!!"], 2, "write.language (flag)"),
        (["--guest", "A", "--publish"], 3, "podcaster feed init"),
    ],
)
def test_bad_input_is_a_sentence_and_leaves_no_half_made_run(
    tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    done = podcaster(tmp_path, "episode", *arguments)
    assert (done.code, message in done.err) == (code, True), done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not list(tmp_path.glob("runs/*/speak"))


def test_a_failure_is_json_too_where_json_was_asked_for(tmp_path: Path) -> None:
    done = podcaster(tmp_path, "episode", "--guest", "", "--json")
    assert done.json == {
        "error": "An episode needs a guest, and --guest is empty or missing. "
        'Type for example: podcaster episode --guest "Ada Lovelace".',
        "exit_code": 2,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\x00\x01\x02" * 100, "not text"),
        (b"GGUF", "text"),
    ],
)
def test_a_note_that_says_nothing_is_refused_before_anything_is_made(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "note.txt").write_bytes(content)
    done = podcaster(tmp_path, "episode", "--guest", "A", "--notes", "note.txt")
    assert done.code == 3
    assert "note.txt" in done.err
    assert message in done.err
    assert not (tmp_path / "runs").exists()


def test_a_gigabyte_of_notes_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "note.txt").open("wb") as file:
        file.truncate(1 << 30)  # sparse: it takes no room
    done = podcaster(tmp_path, "episode", "--guest", "A", "--notes", "note.txt")
    assert done.code == 3
    assert "expected at most" in done.err


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + bytes(2000), b"not a model" * 99])
def test_a_model_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    done = podcaster(tmp_path, "episode", "--guest", "A", "--model", "model.gguf")
    assert done.code in (3, 4)
    assert "model.gguf" in done.err
    assert "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) <= 2  # the run's name, the sentence


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    from podcaster.setup.cache import find_model

    data = find_model("builtin").read_bytes()
    (tmp_path / "model.gguf").write_bytes(data[: len(data) // 2])
    done = podcaster(tmp_path, "episode", "--guest", "A", "--model", "model.gguf")
    assert done.code in (3, 4)
    assert "model.gguf" in done.err
    assert "Traceback" not in done.err


def test_a_workspace_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file in the way")
    done = podcaster(tmp_path, "episode", "--guest", "A")
    assert done.code == 6
    assert "a file is in its place" in done.err


def test_the_workspace_can_be_named_in_three_ways(tmp_path: Path) -> None:
    for arguments in (["runs", "list", "--home", "."], ["--home", ".", "runs", "list"]):
        assert podcaster(tmp_path, *arguments, "--json").json == {"runs": []}


def test_unknown_runs_and_commands_are_usage(tmp_path: Path) -> None:
    assert podcaster(tmp_path, "resume", "nothing").code == 3
    assert podcaster(tmp_path, "runs", "why", "../../etc").code == 3
    assert podcaster(tmp_path, "epsiode").code == 2
    assert podcaster(tmp_path, "--version").out.startswith("podcaster ")


def test_config_lists_values_with_their_origins(tmp_path: Path) -> None:
    (tmp_path / "podcaster.toml").write_text("[mix]\nmusic = false\n")
    rows = podcaster(tmp_path, "config", "--json").json["settings"]
    row = next(row for row in rows if row["key"] == "mix.music")
    assert (row["value"], row["origin"]) == (False, "podcaster.toml")
    assert "mix.music = false  (podcaster.toml)" in podcaster(tmp_path, "config").out


def test_a_voice_says_something(tmp_path: Path) -> None:
    voices = podcaster(tmp_path, "voice", "list", "--json").json["voices"]
    assert len(voices) >= 6
    name = voices[0]["name"]
    done = podcaster(tmp_path, "voice", "say", name, "Good morning.", "-o", "a.wav", "--json")
    assert done.code == 0, done.err
    assert done.json["duration_s"] > 0.3
    assert Path(tmp_path, "a.wav").stat().st_size > 10_000
    assert done.json["quality"]
    wrong = podcaster(tmp_path, "voice", "say", "nobody", "Hi.")
    assert wrong.code == 5


def test_setup_lists_tiers_and_doctor_finds_this_machine_fit(tmp_path: Path) -> None:
    models = podcaster(tmp_path, "setup", "--json").json["models"]
    assert {model["tier"] for model in models} == {"draft", "standard", "studio"}
    doctor = podcaster(tmp_path, "doctor", "--json")
    assert doctor.code == 0, doctor.out
    assert doctor.json["works"] is True
    assert json.dumps(doctor.json["findings"]).count('"ok"') > 5
