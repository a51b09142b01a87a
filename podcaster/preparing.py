"""The stage `dataset` over a show: its words become examples that a model learns from.

Two passes over the recordings, each over processes: the first cleans and measures them, then what
needs the whole show is decided (who hosts, what is repeated, who validates), and the second spells
the examples. What is between them lies in a scratch folder, so that memory does not grow with the
show. Stopped in between, it begins again.
"""

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from podcaster import __version__
from podcaster.dataset import stage as dataset_stage
from podcaster.dataset.chapters import order_chapters, split_at_chapters
from podcaster.dataset.engine import choose_context
from podcaster.dataset.options import DatasetOptions
from podcaster.dataset.passes import (
    Entry,
    KnownPeople,
    Measured,
    Spelled,
    Task,
    count_repeats,
    decide,
    describe_entry,
    measure_turns,
    spell_recording,
)
from podcaster.dataset.report import DatasetReport, RecordingCount, Split, Totals
from podcaster.errors import InputError
from podcaster.mapping import EngineSpec, map_locally
from podcaster.model import Record, Recording, Transcript, parse, to_json
from podcaster.progress import Progress
from podcaster.recordings import (
    DATASET,
    INGEST,
    RECORD_SUFFIX,
    SPEAKERS,
    TRANSCRIBE,
    read_recordings,
    read_words,
)
from podcaster.run import (
    RECORD_NAME,
    Run,
    RunInfo,
    atomic_path,
    changed_outputs,
    fingerprint,
    make_folder,
    open_show_run,
    read_bytes,
    read_record,
    sha256_file,
    write_atomic,
    write_record,
)
from podcaster.setup.cache import find_model
from podcaster.setup.catalogue import BUILTIN_NAME
from podcaster.speakers.people import Naming, ShowSpeaker, SpeakersFile, resolve_transcript

REPORT = "report.json"
PEOPLE = "speakers.json"  # what the stage `speakers` leaves
RECORDINGS = "recordings.jsonl"
SPLITS: tuple[Split, ...] = ("train", "validation")
FORMS = ("dialogue", "chapters")
FILES = tuple(f"{form}.{split}.jsonl" for form in FORMS for split in SPLITS)
SCRATCH = ".scratch"
BUILTIN_CONTEXT_TOKENS = 1024  # by default: as much of a talk as it is told when it writes
LONGEST_SHOWN = 200  # characters of a path in an error


@dataclass(frozen=True)
class Prepared:
    """A dataset, and whether it was there already."""

    report: DatasetReport
    reused: bool
    seconds: float


def prepare_dataset(home: Path, name: str, options: DatasetOptions, progress: Progress) -> Prepared:
    """Bring a show's dataset up to date with its words.

    Raises InputError for a show that is not there or has no words, ConfigError for a context that
    its model does not have, EngineError, RunLocked where another process works on it.
    """
    started = time.monotonic()
    run = open_show_run(home, name, version=__version__)
    folder = run.path / DATASET
    spec = _tokenizer_spec(options.tokenizer)
    with run.lock():
        with closing(spec.open()) as tokenizer:
            wanted = options.context or (0 if options.tokenizer else BUILTIN_CONTEXT_TOKENS)
            engine, context = tokenizer.id, choose_context(tokenizer, wanted)
        entries = list(_list_entries(run))
        inputs = _hash_inputs(run, entries)
        shown = {k: v for k, v in msgspec.to_builtins(options).items() if k != "workers"}
        decided = {**shown, "context": context, "tokenizer": ""}
        version = dataset_stage.STAGE_VERSION
        expected = fingerprint(DATASET, version, decided, engine, inputs)
        record = read_record(folder / RECORD_NAME)
        if record and record.fingerprint == expected and not changed_outputs(record, folder):
            return Prepared(read_report(run), True, round(time.monotonic() - started, 3))
        builder = _Builder(run, options, context, engine, entries, spec, progress)
        report = builder.build()
        seconds = round(time.monotonic() - started, 3)
        write_record(
            folder / RECORD_NAME,
            Record(
                stage=DATASET,
                item=run.name,
                fingerprint=expected,
                inputs=inputs,
                options=decided,
                engine=engine,
                outputs={o: sha256_file(folder / o) for o in (*FILES, RECORDINGS, REPORT)},
                seconds=seconds,
                counts={"examples": report.examples, "tokens": report.tokens},
            ),
        )
    return Prepared(report, False, seconds)


def read_report(run: Run) -> DatasetReport:
    """The numbers of a show's dataset. Raises InputError where there is none (yet)."""
    _check_finished(run)
    where = run.path / DATASET / REPORT
    return parse(read_bytes(where), DatasetReport, where=str(where))


def read_recording_counts(run: Run) -> Iterator[RecordingCount]:
    """What became of each recording, by id. Raises InputError where there is no dataset (yet)."""
    _check_finished(run)
    where = run.path / DATASET / RECORDINGS
    with where.open("rb") as lines:
        for line in lines:
            yield parse(line, RecordingCount, where=str(where))


def _check_finished(run: Run) -> None:
    if read_record(run.path / DATASET / RECORD_NAME) is None:
        raise InputError(
            f"The show {run.name} has no dataset.",
            next_step=f"Make it with `podcaster show dataset {run.name}`.",
        )


@dataclass(frozen=True)
class Named:
    """Who speaks in a show, by the stage `speakers`: looks up ids, and says their names.

    Two people of one name are told apart by a number.
    """

    naming: Naming
    names: Mapping[str, str]
    people: KnownPeople

    @classmethod
    def of(cls, file: SpeakersFile) -> "Named":
        """Read it out of the stage's file; whom a person dropped, and tiny voices, are nobody."""
        names: dict[str, str] = {}
        taken: Counter[str] = Counter()
        for one in file.speakers:
            if one.dropped:
                continue
            name = one.name or one.id
            taken[name] += 1
            names[one.id] = name if taken[name] == 1 else f"{name} {taken[name]}"
        by_role = {
            role: frozenset(names[one.id] for one in file.speakers if _has_role(one, role, names))
            for role in ("host", "other")
        }
        people = KnownPeople(hosts=by_role["host"], others=by_role["other"])
        return cls(Naming(file), names, people)

    def resolve(self, transcript: Transcript, recording: str) -> Transcript:
        """The transcript with people's names for labels; nobody's turns have none."""
        resolved = resolve_transcript(transcript, recording, self.naming)
        utterances = tuple(
            msgspec.structs.replace(u, speaker=self.names.get(u.speaker) if u.speaker else None)
            for u in resolved.utterances
        )
        return msgspec.structs.replace(resolved, utterances=utterances)


def _has_role(one: ShowSpeaker, role: str, names: Mapping[str, str]) -> bool:
    return one.id in names and ("other" if one.tiny else one.role) == role


class _Builder:
    """Makes a dataset's files anew."""

    def __init__(
        self,
        run: Run,
        options: DatasetOptions,
        context: int,
        engine: str,
        entries: Sequence[Entry],
        spec: EngineSpec,
        progress: Progress,
    ) -> None:
        self.run, self.options, self.context, self.engine = run, options, context, engine
        self.entries, self.spec, self.progress = entries, spec, progress
        self.folder = run.stage_folder(DATASET)
        self.scratch = self.folder / SCRATCH

    def build(self) -> DatasetReport:
        """Clean, decide, spell, write."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        make_folder(self.scratch)
        try:
            measured = self._measure()
            if all(one.dropped == dataset_stage.UNFINISHED for one in measured):
                raise InputError(
                    f"The show {self.run.name} has no words yet.",
                    next_step=f"Get them with `podcaster show transcribe {self.run.name}`.",
                )
            named = read_people(self.run)
            tasks = decide(self.entries, measured, self.options, named.people if named else None)
            count_repeats(self.scratch, measured)
            return self._spell(measured, tasks)
        finally:
            shutil.rmtree(self.scratch, ignore_errors=True)

    def _measure(self) -> list[Measured]:
        work = partial(_measure_recording, self.run.path, self.run.info, str(self.scratch))
        found = [Measured(dropped=dataset_stage.UNFINISHED)] * len(self.entries)
        outcomes = map_locally(self.entries, work, NoEngine(), self.options.workers)
        for done, outcome in enumerate(outcomes, 1):
            if outcome.error is not None:
                raise outcome.error  # our own file is broken; without it this is another dataset
            assert outcome.result is not None
            found[outcome.item.number] = outcome.result
            self.progress.report(DATASET, done, 2 * len(self.entries), "steps")
        return found

    def _spell(self, measured: Sequence[Measured], tasks: Sequence[Task]) -> DatasetReport:
        work = partial(
            spell_recording,
            str(self.scratch),
            self.run.name.replace("-", " ").title(),
            self.context,
            self.options,
        )
        spelled: dict[int, Spelled] = {}
        done = len(self.entries)
        for outcome in map_locally(tasks, work, self.spec, self.options.workers):
            if outcome.error is not None:
                raise outcome.error
            assert outcome.result is not None
            spelled[outcome.item.entry.number] = outcome.result
            done += 1
            self.progress.report(DATASET, done, len(self.entries) + len(tasks), "steps")
        return self._write(measured, spelled)

    def _write(self, measured: Sequence[Measured], spelled: Mapping[int, Spelled]) -> DatasetReport:
        (self.folder / RECORD_NAME).unlink(missing_ok=True)  # from here on it is not what it says
        totals = Totals()
        with ExitStack() as files:
            outs: dict[str, BinaryIO] = {}
            for name in (*FILES, RECORDINGS):
                path = files.enter_context(atomic_path(self.folder / name))
                outs[name] = files.enter_context(path.open("wb"))
            for entry, one in zip(self.entries, measured, strict=True):
                made = spelled.get(entry.number) or Spelled(
                    count=describe_entry(entry, one.dropped)
                )
                count = made.count
                outs[RECORDINGS].write(msgspec.json.encode(count) + b"\n")
                totals.add(
                    count,
                    train_tokens=count.tokens if count.split == "train" else 0,
                    conversation_tokens=made.conversation_tokens,
                )
                for form in FORMS if count.split else ():
                    source = self.scratch / f"{entry.number}.{form}"
                    if source.is_file():
                        with source.open("rb") as lines:
                            shutil.copyfileobj(lines, outs[f"{form}.{count.split}.jsonl"])
        report = totals.report(self.run.name, self.engine, self.context, self.options.learn)
        write_atomic(self.folder / REPORT, to_json(report))
        return report


@dataclass(frozen=True)
class NoEngine:
    """An `Opener` for work that needs no engine."""

    stage = DATASET
    name = "none"

    def open(self) -> "NoEngine":
        """Itself."""
        return self

    def close(self) -> None:
        """Do nothing."""


def _measure_recording(
    path: Path, info: RunInfo, scratch: str, _engine: object, entry: Entry
) -> Measured:
    """The first pass over one recording: read it, clean it, measure it."""
    run = Run(path, info)
    transcript = read_words(run, entry.id)
    if transcript is None:
        return Measured(dropped=dataset_stage.UNFINISHED)
    said_words = sum(len(u.text.split()) for u in transcript.utterances)
    named = read_people(run)
    if named is not None:
        transcript = named.resolve(transcript, entry.id)
    where = run.path / INGEST / f"{entry.id}.json"
    recording = parse(read_bytes(where), Recording, where=str(where))
    chapters = order_chapters(transcript.chapters, recording.chapters)
    removed: Counter[str] = Counter()
    utterances = [u for u in transcript.utterances if u.speaker]
    if not utterances:
        return Measured(dropped=dataset_stage.NO_SPEAKERS)
    removed["nobody"] = said_words - sum(len(u.text.split()) for u in utterances)
    turns = dataset_stage.clean_turns(split_at_chapters(utterances, chapters), removed)
    measured = measure_turns(Path(scratch), entry.number, turns)
    measured.chapters = tuple(chapter.title for chapter in chapters)
    measured.language = transcript.language
    measured.removed = dict(removed)
    return measured


class _Kept:
    """What a process keeps between recordings: who speaks, and the record that it was read by."""

    people: tuple[str, Named | None] = ("", None)


def read_people(run: Run) -> Named | None:
    """Who speaks, where the stage `speakers` has found out."""
    folder = run.path / SPEAKERS
    record = read_record(folder / RECORD_NAME)
    if record is None:
        return None
    stamp = f"{folder} {record.outputs.get(PEOPLE, '')}"
    if _Kept.people[0] != stamp:
        where = folder / PEOPLE
        file = parse(read_bytes(where), SpeakersFile, where=str(where))
        _Kept.people = (stamp, Named.of(file))
    return _Kept.people[1]


def _tokenizer_spec(given: str) -> EngineSpec:
    """Whose tokenizer is meant. Raises InputError where nothing is there."""
    try:
        path = Path(given).expanduser().resolve() if given else find_model(BUILTIN_NAME)
        there = path.exists()
    # nobody's home (~nobody), links in a circle, a name that is too long or holds a null
    except (OSError, RuntimeError, ValueError):
        path, there = Path(given), False
    if not there:
        raise InputError(
            f"There is no tokenizer {str(path)[:LONGEST_SHOWN]!r}.",
            next_step="Name a .gguf, a tokenizer.json or a model's folder with `--tokenizer`.",
        )
    name = "llama_cpp" if path.suffix == ".gguf" else "tokenizers"
    return EngineSpec(DATASET, name, {"path": str(path)})


def _list_entries(run: Run) -> Iterator[Entry]:
    for number, recording in enumerate(read_recordings(run)):
        yield Entry(
            number=number,
            id=recording.id,
            title=recording.title,
            series=_series_of(recording.origin),
            published_at=recording.published_at,
            persons=recording.persons,
        )


def _series_of(origin: str) -> str:
    """The folder in which a recording was found: its own show, in an archive of several."""
    return "" if "://" in origin else PurePosixPath(origin).parent.name


def _hash_inputs(run: Run, entries: Sequence[Entry]) -> dict[str, str]:
    """Hash what the stages before have left, by their records, without reading it all again."""
    hashes: dict[str, str] = {}
    for stage in (INGEST, TRANSCRIBE):
        digest = hashlib.sha256()
        for entry in entries:
            record = read_record(run.path / stage / f"{entry.id}{RECORD_SUFFIX}")
            outputs = sorted(record.outputs.items()) if record else []
            digest.update(f"{entry.id} {outputs}\n".encode())
        hashes[stage] = digest.hexdigest()
    people = read_record(run.path / SPEAKERS / RECORD_NAME)
    if people is not None:
        hashes[SPEAKERS] = people.outputs.get(PEOPLE, "")
    return hashes
