import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podcaster.errors import ConfigError, EngineError, InputError
from podcaster.model import to_json
from podcaster.progress import Silence
from podcaster.units import count_words
from podcaster.write.disclosure import is_disclosed
from podcaster.write.llama_cpp import LlamaCppWriter
from podcaster.write.markdown import format_script, parse_script
from podcaster.write.notes import read_notes
from podcaster.write.options import WriteOptions
from podcaster.write.sentences import split_sentences
from podcaster.write.stage import CHAT_CANDIDATES, write

GUEST = "Ada Lovelace"


@pytest.fixture
def run(tmp_path: Path, pace: Any) -> Any:
    def run(
        engine: Any,
        *,
        seed: Any = 1,
        disclosure: Any = True,
        notes: Any = (),
        draft: Any = "draft.jsonl",
        **options: Any,
    ) -> Any:
        return write(
            WriteOptions(**{"guest": GUEST, "minutes": 2, **options}),
            engine,
            pace=pace,
            notes=notes,
            seed=seed,
            disclosure=disclosure,
            draft=tmp_path / draft,
            progress=Silence(),
        )

    return run


def check_episode(result: Any, minutes: float) -> None:
    """What is true of every written episode."""
    script = result.script
    turns = list(script.turns())
    host = [turn.text for turn in turns if turn.speaker == "host"]
    assert any(GUEST in text for text in host)
    assert GUEST in turns[-3].text + turns[-2].text + turns[-1].text
    assert is_disclosed(script)
    assert len(script.chapters) >= 2
    assert parse_script(format_script(script), "script.md") == script
    texts = [turn.text for turn in turns]
    for text in texts:
        assert text == " ".join(text.split())
        assert "<|" not in text
    if minutes >= 2:
        assert abs(result.estimate_s / (60 * minutes) - 1) <= 0.02


@pytest.mark.parametrize("minutes", [1, 2, 7])
def test_a_small_model_is_led_through_an_episode(
    run: Any, chat_writer: LlamaCppWriter, minutes: float
) -> None:
    result = run(chat_writer, minutes=minutes, topics=("rockets",))
    check_episode(result, minutes)
    assert result.counts["candidates"] >= CHAT_CANDIDATES
    assert result.script.title == "Ada Lovelace on rockets"
    assert result.script.model_sha256 == chat_writer.model.sha256


def test_a_host_asks_one_question_at_a_time(
    run: Any, chat_writer: LlamaCppWriter, tmp_path: Path
) -> None:
    result = run(chat_writer, minutes=4)
    steps = [json.loads(line) for line in (tmp_path / "draft.jsonl").read_text().splitlines()]
    settled = {step["value"]["text"] for step in steps if "text" in step["value"]}
    host = [turn.text for turn in result.script.turns() if turn.speaker == "host"]
    asked = [text for text in host if text in settled and text.endswith("?")]
    assert asked
    for text in asked:
        assert sum(sentence.endswith("?") for sentence in split_sentences(text)) == 1


@pytest.mark.parametrize("minutes", [2, 6])
def test_a_large_model_writes_an_episode(
    run: Any, script_writer: LlamaCppWriter, minutes: float
) -> None:
    result = run(script_writer, minutes=minutes, topics=("rockets",))
    check_episode(result, minutes)
    assert result.counts["tokens_sampled"] > 100


def test_a_long_episode_outgrows_the_context(
    run: Any, chat_gguf: Path, chat_writer: LlamaCppWriter, open_large: Any
) -> None:
    check_episode(run(chat_writer, minutes=8), 8)
    large = open_large(chat_gguf, context_tokens=1024)
    result = run(large, minutes=8, draft="other.jsonl")
    check_episode(result, 8)


def test_a_large_model_is_told_of_the_notes(
    run: Any, script_writer: LlamaCppWriter, tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("The rocket engine burned fuel in the tank for nine minutes. " * 3)
    check_episode(run(script_writer, notes=read_notes([str(path)])), 2)


def test_the_same_seed_writes_the_same_bytes(run: Any, chat_gguf: Path) -> None:
    scripts = []
    for draft in "ab":
        writer = LlamaCppWriter(str(chat_gguf))
        scripts.append(to_json(run(writer, minutes=3, draft=draft).script))
        writer.close()
    assert scripts[0] == scripts[1]


def test_another_seed_writes_another_script(run: Any, chat_writer: LlamaCppWriter) -> None:
    first = run(chat_writer, draft="a")
    assert first.script.chapters != run(chat_writer, seed=2, draft="b").script.chapters


@pytest.mark.parametrize("share", [0.1, 0.5, 0.93])
@pytest.mark.parametrize("form", ["chat", "script"])
def test_a_torn_draft_ends_in_the_same_bytes(
    run: Any, chat_gguf: Path, open_large: Any, tmp_path: Path, share: float, form: str
) -> None:
    def write_once() -> Any:
        writer = LlamaCppWriter(str(chat_gguf)) if form == "chat" else open_large(chat_gguf)
        return run(writer, minutes=4)

    whole = to_json(write_once().script)
    draft = tmp_path / "draft.jsonl"
    data = draft.read_bytes()
    draft.write_bytes(data[: int(len(data) * share)])
    result = write_once()
    assert to_json(result.script) == whole
    assert draft.read_bytes() == data
    assert result.counts["reused"] > 0 or share == 0.1


KILLED = """
import sys
from pathlib import Path
from podcaster.progress import Silence
from podcaster.write.llama_cpp import LlamaCppWriter
from podcaster.write.options import WriteOptions
from podcaster.write.stage import write

class Pace:
    gap_s = 0.25
    def turn_s(self, speaker_id, text):
        return len(text.split()) * 60 / 160
    def said_s(self, speaker_id, text):
        return self.turn_s(speaker_id, text)
    def overhead_s(self, chapters):
        return 8.0 + chapters

class Watched(Silence):
    def report(self, stage, done, total, unit):
        print(done, flush=True)
        if done > float(sys.argv[3]):
            sys.stdin.readline()  # until the kill comes

result = write(
    WriteOptions(guest="Ada", minutes=4), LlamaCppWriter(sys.argv[1]), pace=Pace(), notes=(),
    seed=1, disclosure=True, draft=Path(sys.argv[2]), progress=Watched(),
)
print(result.script)
"""


def test_a_killed_run_goes_on_and_ends_in_the_same_script(chat_gguf: Path, tmp_path: Path) -> Any:
    def start(draft: Any, stop_s: Any) -> Any:
        return subprocess.Popen(
            [sys.executable, "-c", KILLED, str(chat_gguf), str(tmp_path / draft), str(stop_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    killed = start("draft.jsonl", 60)
    for line in killed.stdout:
        if float(line) > 60:
            os.kill(killed.pid, signal.SIGKILL)
            break
    killed.communicate()
    lines = (tmp_path / "draft.jsonl").read_text().splitlines()
    assert len(lines) > 2
    resumed = start("draft.jsonl", 1e9).communicate()[0].splitlines()[-1]
    whole = start("other.jsonl", 1e9).communicate()[0].splitlines()[-1]
    assert resumed == whole
    assert resumed.startswith("Script(")


def test_a_finished_draft_needs_no_sampling(run: Any, chat_writer: LlamaCppWriter) -> None:
    first = run(chat_writer)
    again = run(chat_writer)
    assert again.script == first.script
    assert again.counts["tokens_sampled"] == 0


def test_a_draft_for_other_wishes_is_started_anew(run: Any, chat_writer: LlamaCppWriter) -> None:
    run(chat_writer)
    other = run(chat_writer, topics=("bread",))
    assert other.counts["reused"] == 0


# -- names and scripts of one's own ----------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../../etc", "\N{GRINNING FACE}\N{ROCKET}", "محمد بن موسى", "x" * 120, "Ada: {host} **"],
)
def test_any_name_can_be_a_guest(run: Any, chat_writer: LlamaCppWriter, name: str) -> None:
    result = run(chat_writer, guest=f" {name}\n")
    assert result.script.speakers[1].name == name
    assert parse_script(format_script(result.script), "script.md") == result.script
    assert is_disclosed(result.script)


@pytest.mark.parametrize("name", ["", "  ", "\n\t", "\u202e"])
def test_nobody_cannot_be_a_guest(run: Any, chat_writer: LlamaCppWriter, name: str) -> None:
    with pytest.raises(ConfigError, match="The guest has no name"):
        run(chat_writer, guest=name)


def test_a_giant_name_is_refused(run: Any, chat_writer: LlamaCppWriter) -> None:
    from podcaster.write.stage import check_name

    with pytest.raises(ConfigError, match="has 300 characters, expected at most 120"):
        check_name("x" * 300, "guest")


def test_a_model_is_needed_without_a_script(run: Any) -> None:
    with pytest.raises(EngineError, match="No model was opened"):
        run(None)


def test_a_script_of_ones_own_is_spoken_as_it_is(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.md"
    path.write_text("Ada: This is made by AI. Hello.\nBob: Hello, Ada.\n")
    result = run(None, script=str(path), guest="Bob")
    assert [turn.text for turn in result.script.turns()] == [
        "This is made by AI. Hello.",
        "Hello, Ada.",
    ]
    assert {s.name: s.role for s in result.script.speakers} == {"Ada": "host", "Bob": "guest"}
    assert result.script.title == "A conversation with Bob"
    words = sum(count_words(turn.text) for turn in result.script.turns())
    assert result.estimate_s == pytest.approx(words * 60 / 160 + 2 * 0.25 + 9)


def test_a_script_of_ones_own_discloses_unless_told_not_to(run: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("Ada: Hello.\nBob: Hello, Ada.\n")
    assert is_disclosed(run(None, script=str(path)).script)
    assert not is_disclosed(run(None, script=str(path), disclosure=False).script)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "cannot be read: No such file"),
        (b"", "line 1: nobody speaks"),
        (bytes(range(256)) * 9, "is not text"),
    ],
)
def test_a_script_that_cannot_be_used(
    run: Any, tmp_path: Path, content: bytes | None, match: str
) -> None:
    path = tmp_path / "mine.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=match):
        run(None, script=str(path))


def test_counts_are_plain_data(run: Any, chat_writer: LlamaCppWriter) -> None:
    counts = run(chat_writer).counts
    assert json.loads(json.dumps(counts)) == counts
    assert counts["turns"] > 0
    assert any(name.startswith("found.") for name in counts)
    assert 0 < counts["inspected"] <= counts["candidates"]
    assert counts["inspected_words"] > counts["inspected"]
