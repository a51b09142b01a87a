"""A show's words become a dataset: whole, once, the same each time, and told in numbers."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from podcaster.cli import app
from podcaster.dataset.costs import Prices, estimate_costs, match_gpu, read_prices
from podcaster.dataset.options import DatasetOptions
from podcaster.errors import ConfigError, InputError, RunLocked
from podcaster.model import Person, Record, Recording, Transcript, TranscriptChapter, Utterance
from podcaster.model import to_json as encode
from podcaster.preparing import prepare_dataset, read_recording_counts
from podcaster.progress import Silence
from podcaster.run import Run, open_show_run, sha256_file, write_record
from podcaster.speakers.people import Member, ShowSpeaker, SpeakersFile

FILES = [
    f"{form}.{split}.jsonl"
    for form in ("dialogue", "chapters")
    for split in ("train", "validation")
]
OUTRO = "That was all for today and we thank you for listening to the tea talk once again."

Turns = Sequence[tuple[str, str]]


def words(name: str, count: int) -> str:
    """So many words that nobody else says, in sentences."""
    return " ".join(
        f"{name.title()}{n} is a word of {name} number {n * 7} here." for n in range(count // 8)
    )


def interview(guest: str, number: int) -> Turns:
    turns = []
    for n in range(6):
        turns.append(("Ann Host", f"What about this? {words(f'ask{number}x{n}', 24)}"))
        turns.append((guest, words(f"say{number}x{n}", 80)))
    return [*turns, ("Ann Host", f"Thank you, {guest}. {OUTRO}")]


def keep(folder: Path, stage: str, name: str, files: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file, value in files.items():
        (folder / file).write_bytes(encode(value))
    record = Record(
        stage=stage,
        item=name,
        fingerprint="0" * 64,
        inputs={},
        options={},
        engine="test",
        outputs={file: sha256_file(folder / file) for file in files},
        seconds=0.0,
    )
    write_record(folder / f"{name}.record.json", record)


def add_recording(
    run: Run, name: str, turns: Turns | None, *, speakers: bool = True, **known: Any
) -> None:
    recording = Recording(id=name, title=name.title(), origin=f"box/{name}.txt", **known)
    keep(run.path / "ingest", "ingest", name, {f"{name}.json": recording})
    if turns is None:
        return
    utterances = tuple(
        Utterance(text=text, speaker=who if speakers else None, start_s=n * 30.0)
        for n, (who, text) in enumerate(turns)
    )
    transcript = Transcript(language="en", utterances=utterances, engine="test")
    keep(run.path / "transcribe", "transcribe", name, {f"{name}.json": transcript})


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def said_by(lines: Sequence[Mapping[str, Any]], role: str) -> set[str]:
    return {
        name
        for line in lines
        for name, its in zip(line["names"], line["roles"], strict=True)
        if its == role
    }


@pytest.fixture
def show(tmp_path: Path) -> Run:
    run = open_show_run(tmp_path, "Tea Talk", version="1", create=True)
    guests = ["Bob Lee", "Cy Fox", "Di Ray", "Ed Kim", "Flo Day", "Gus Orr", "Bob Lee"]
    for number, guest in enumerate(guests):
        add_recording(
            run,
            f"talk-{number}",
            interview(guest, number),
            published_at=f"2026-01-0{number + 1}",
            chapters=(
                TranscriptChapter(title="Beginning", start_s=0.0),
                TranscriptChapter(title="End", start_s=181.0),
            ),
        )
    return run


OPTIONS = DatasetOptions(hold_out=0.2, workers=1)


def test_a_show_becomes_files_that_trainers_read(show: Run, tmp_path: Path) -> None:
    report = prepare_dataset(tmp_path, "Tea Talk", OPTIONS, Silence()).report
    folder = show.path / "dataset"
    lines = {file: read_lines(folder / file) for file in FILES}
    train, validation = lines["dialogue.train.jsonl"], lines["dialogue.validation.jsonl"]
    assert (report.train, report.validation) == (len(train), len(validation))
    assert report.validation > 0
    assert report.examples == len(train) + len(validation)
    for line in [line for rows in lines.values() for line in rows]:
        roles = [message["role"] for message in line["messages"]]
        assert roles[:2] == ["system", "user"]
        assert all(a != b for a, b in pairwise(roles))
        assert all(isinstance(message["content"], str) for message in line["messages"])
        assert line["tokens"] <= report.context
        assert None not in line.values()
    assert {frozenset(line) for rows in lines.values() for line in rows} == {
        frozenset(train[0]),
        frozenset(lines["chapters.train.jsonl"][0]),
    }
    assert report.tokens == sum(line["tokens"] for line in train + validation)
    assert report.words == sum(line["words"] for line in train + validation)
    assert said_by(train, "host") == said_by(validation, "host") == {"Ann Host"}
    assert not said_by(train, "guest") & said_by(validation, "guest")
    recordings = [{line["recording"] for line in rows} for rows in (train, validation)]
    assert recordings[0].isdisjoint(recordings[1])
    assert {line["chapter"] for line in lines["chapters.train.jsonl"]} == {"Beginning", "End"}
    dates = [one.published_at for one in read_recording_counts(show) if not one.dropped]
    assert (report.first_published, report.last_published) == (min(dates), max(dates))


def test_what_is_repeated_is_gone_and_counted(show: Run, tmp_path: Path) -> None:
    report = prepare_dataset(tmp_path, "Tea Talk", OPTIONS, Silence()).report
    text = "".join((show.path / "dataset" / file).read_text() for file in FILES)
    assert "Thank you" in text
    assert "listening to the tea talk" not in text
    kept = report.recordings["train"] + report.recordings["validation"]
    assert report.removed["repeated"] == kept * (OUTRO.count(" ") + 1)


def test_running_again_does_nothing_until_something_changes(show: Run, tmp_path: Path) -> None:
    first = prepare_dataset(tmp_path, "Tea Talk", OPTIONS, Silence())
    record = show.path / "dataset" / "record.json"
    written = record.stat().st_mtime_ns
    again = prepare_dataset(tmp_path, "Tea Talk", OPTIONS, Silence())
    assert (first.reused, again.reused) == (False, True)
    assert again.report == first.report
    more_workers = msgspec.structs.replace(OPTIONS, workers=2)
    assert prepare_dataset(tmp_path, "Tea Talk", more_workers, Silence()).reused
    assert record.stat().st_mtime_ns == written
    for other in (
        msgspec.structs.replace(OPTIONS, context=512),
        msgspec.structs.replace(OPTIONS, learn="host"),
    ):
        assert not prepare_dataset(tmp_path, "Tea Talk", other, Silence()).reused
    add_recording(show, "talk-8", interview("Hal Poe", 8))
    assert not prepare_dataset(tmp_path, "Tea Talk", OPTIONS, Silence()).reused
    (show.path / "dataset" / FILES[0]).write_text("{}")
    assert not prepare_dataset(tmp_path, "Tea Talk", OPTIONS, Silence()).reused


def test_stopped_in_between_it_leaves_nothing_that_looks_finished(
    show: Run, tmp_path: Path
) -> None:
    class Stopper(Silence):
        def report(self, stage: str, done: float, total: float, unit: str) -> None:
            if done > 9:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(tmp_path, "Tea Talk", OPTIONS, Stopper())
    assert list((show.path / "dataset").iterdir()) == []
    with pytest.raises(InputError, match="has no dataset"):
        list(read_recording_counts(show))
    assert not prepare_dataset(tmp_path, "Tea Talk", OPTIONS, Silence()).reused


def test_processes_make_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for workers in (1, 2):
        home = tmp_path / str(workers)
        run = open_show_run(home, "Tea Talk", version="1", create=True)
        for number in range(30):
            add_recording(run, f"talk-{number}", interview(f"Guest {number}", number))
        options = msgspec.structs.replace(OPTIONS, workers=workers)
        prepare_dataset(home, "Tea Talk", options, Silence())
        contents.append([(run.path / "dataset" / file).read_bytes() for file in FILES])
    assert contents[0] == contents[1]
    assert contents[0][0]


def test_what_is_left_out_is_counted_by_reason(show: Run, tmp_path: Path) -> None:
    add_recording(show, "log", [("", words("log", 400))], speakers=False)
    add_recording(show, "monologue", [("Ann Host", words("alone", 400))])
    add_recording(show, "silent", None)
    add_recording(show, "short", interview("Ida Fay", 50)[:2])
    crowd = [(f"Person {chr(65 + n)}", words(f"crowd{n}", 80)) for n in range(7)]
    add_recording(show, "crowd", crowd)
    add_recording(show, "talk-9-again", interview("Gus Orr", 5))
    missing = (Person(name="Zed Absent", role="guest"),)
    add_recording(show, "absent", interview("Jo Moe", 60), persons=missing)
    report = prepare_dataset(tmp_path, "Tea Talk", OPTIONS, Silence()).report
    held = report.dropped.pop("held_out_guest", 0)
    assert report.dropped == {
        "guest_not_heard": 1,
        "no_speakers": 1,
        "one_speaker": 1,
        "rerun": 1,
        "too_few_words": 1,
        "too_many_speakers": 1,
        "unfinished": 1,
    }
    assert sum(report.recordings[split] for split in ("train", "validation")) == 7 - held
    reasons = {one.id: one.dropped for one in read_recording_counts(show)}
    assert (reasons["log"], reasons["talk-9-again"]) == ("no_speakers", "rerun")
    assert len(reasons) == report.recordings["found"] == 14


def test_people_are_who_the_stage_before_says(show: Run, tmp_path: Path) -> None:
    def speaker(id_: str, name: str, role: Any, labels: Sequence[str], **more: Any) -> ShowSpeaker:
        members = tuple(
            Member(recording=f"talk-{n}", label=label, words=1)
            for n in range(7)
            for label in labels
        )
        return ShowSpeaker(
            id=id_,
            name=name,
            role=role,
            named_by="person",
            share=0.1,
            words=1,
            turns=1,
            recordings=(),
            members=members,
            **more,
        )

    file = SpeakersFile(
        speakers=(
            speaker("ann", "Ann Renamed", "host", ["Ann Host"]),
            speaker("bob", "Bob Lee", "guest", ["Bob Lee", "Cy Fox", "Di Ray"]),
            speaker("ed", "Ed Kim", "guest", ["Ed Kim"], dropped=True),
            speaker("flo", "Flo Day", "guest", ["Flo Day"]),
            speaker("gus", "Gus Orr", "guest", ["Gus Orr"]),
        )
    )
    keep(show.path / "speakers", "speakers", "speakers", {"speakers.json": file})
    (show.path / "speakers" / "speakers.record.json").rename(show.path / "speakers/record.json")
    options = msgspec.structs.replace(OPTIONS, fewest_words=0)
    report = prepare_dataset(tmp_path, "Tea Talk", options, Silence()).report
    names = {s.name for one in read_recording_counts(show) for s in one.speakers}
    assert names <= {"Ann Renamed", "Bob Lee", "Flo Day", "Gus Orr"}
    assert "Ann Renamed" in names
    assert report.dropped["one_speaker"] == 1  # the guest was dropped by a person
    text = (show.path / "dataset" / FILES[0]).read_text()
    assert "Host: Ann Renamed." in text
    assert "Ed Kim" not in text


def test_a_show_without_words_or_a_lock_is_told(tmp_path: Path) -> None:
    run = open_show_run(tmp_path, "Tea", version="1", create=True)
    add_recording(run, "talk", None)
    with pytest.raises(InputError, match="show tea has no words yet"):
        prepare_dataset(tmp_path, "Tea", OPTIONS, Silence())
    with pytest.raises(InputError, match="There is no tokenizer"):
        prepare_dataset(
            tmp_path, "Tea", DatasetOptions(tokenizer=str(tmp_path / "no.gguf")), Silence()
        )
    with run.lock(), pytest.raises(RunLocked):
        prepare_dataset(tmp_path, "Tea", OPTIONS, Silence())


def test_the_commands_end_with_the_promised_keys(show: Run, tmp_path: Path) -> None:
    keys = {"train", "validation", "examples", "tokens", "words", "characters", "dropped"}
    results = []
    for command in (["dataset", "--hold-out", "0.2", "--workers", "1"], ["stats"]):
        arguments = ["show", command[0], "Tea Talk", *command[1:], "--home", str(tmp_path)]
        done = CliRunner().invoke(app, [*arguments, "--json"])
        assert done.exit_code == 0, done.output
        result = json.loads(done.stdout.splitlines()[-1])
        assert keys <= set(result)
        assert isinstance(result["dropped"], dict)
        results.append({key: result[key] for key in keys})
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 0
        assert f"{result['tokens']:,}" in shown.stdout
    assert results[0] == results[1]
    stats = json.loads(
        CliRunner()
        .invoke(app, ["show", "stats", "Tea Talk", "--json", "--home", str(tmp_path)])
        .stdout.splitlines()[-1]
    )
    assert stats["speakers"][0]["words"] >= stats["speakers"][-1]["words"]
    recordings = sum(stats["recordings"][split] for split in ("train", "validation"))
    assert stats["means"]["words_per_recording"] == round(stats["words"] / recordings, 1)
    assert len(stats["epoch"]) > 20


def test_an_unknown_option_or_context_is_refused_by_the_command(show: Run, tmp_path: Path) -> None:
    for arguments, said in (
        (["--learn", "nobody"], "dataset.learn"),
        (["--context", "9999"], "expected from 128 to 8192"),
        (["--hold-out", "2"], "dataset.hold_out"),
    ):
        call = ["show", "dataset", "Tea Talk", *arguments, "--home", str(tmp_path)]
        done = CliRunner().invoke(app, call)
        assert done.exit_code == 2
        assert said in done.stderr


def test_costs_follow_operations_and_the_workspaces_table_wins(tmp_path: Path) -> None:
    prices = read_prices(tmp_path)
    assert set(prices.models) >= {"Llama 3.1 8B"}
    (tmp_path / "prices.toml").write_text(
        'as_of = "2026-11"\nutilisation = 0.5\n[models]\nMine = { billions = 2.0 }\n'
        '[gpus]\nBox = { tflops = 100, memory_gb = 8, per_hour = 2.0, match = "Box 1" }\n'
        'Small = { tflops = 10, memory_gb = 4, per_hour = 0.0, match = "Box" }\n'
    )
    prices = read_prices(tmp_path)
    assert isinstance(prices, Prices)
    box, small = estimate_costs(9_000_000_000, prices, ["The Box 1"])
    # 9e9 tokens x 2e9 parameters x 4 / (100e12 x 0.5) = 1,440,000 s
    assert (box.lora_hours, box.lora_price) == (400.0, 800.0)
    assert (box.full_hours, box.full_price) == (600.0, 1200.0)
    assert (box.here, box.fits, small.here, small.fits) == (True, True, False, False)
    assert (small.lora_hours, small.lora_price) == (4000.0, 0.0)
    assert match_gpu("Other", prices) == ""
    for wrong, said in (
        ("as_of = ", "not valid TOML"),
        ("utilisation = 7", "not a price table.*utilisation"),
        ("wrong = 1", "not a price table.*wrong"),
    ):
        (tmp_path / "prices.toml").write_text(wrong)
        with pytest.raises(ConfigError, match=said):
            read_prices(tmp_path)
