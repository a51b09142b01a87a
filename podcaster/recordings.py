"""A show's recordings as units of work: each with a record of its own, in any order, anywhere.

Workers only return values; the driver writes them and, last, the record. So a worker, an actor or a
whole node that dies costs the recordings that it held, and nothing that was finished.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from podcaster.errors import PodcasterError
from podcaster.mapping import Mapper, Opener
from podcaster.model import Record, Recording, Transcript, parse
from podcaster.pipeline import Plan, find_difference
from podcaster.progress import Progress
from podcaster.run import (
    Run,
    changed_outputs,
    fingerprint,
    read_bytes,
    read_record,
    sha256_file,
    write_record,
)

INGEST = "ingest"
TRANSCRIBE = "transcribe"
SPEAKERS = "speakers"
DATASET = "dataset"
TRAIN = "train"
EXPORT = "export"
SHOW_STAGES = (INGEST, TRANSCRIBE, SPEAKERS, DATASET)  # what `show make` does
MODEL_STAGES = (TRAIN, EXPORT)  # what takes a decision, and time: each is asked for by itself
RECORD_SUFFIX = ".record.json"
TWIN = "twin_of"  # in the record of what is the same as another, so that it is not fetched again

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """An item that could not be used, and why."""

    item: str
    error: PodcasterError


@dataclass
class Tally:
    """How a stage over many recordings went."""

    done: int = 0
    reused: int = 0
    twins: list[tuple[str, str]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    audio_s: float = 0.0
    seconds: float = 0.0
    workers: int = 1

    @property
    def exit_code(self) -> int:
        """0, or the exit code of the first failure."""
        return self.failures[0].error.exit_code if self.failures else 0


@dataclass(frozen=True)
class Unit(Generic[Item]):
    """One recording's work in a stage; `size` says how long it will take, in any unit.

    `files` are the paths in `item` that the work reads: where they are not, they are sent.
    """

    name: str
    item: Item
    inputs: Mapping[str, str]
    size: float = 0.0
    audio_s: float = 0.0
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Kept:
    """What the driver wrote of a result: names of files in the stage's folder, and counts."""

    outputs: tuple[str, ...]
    counts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class UnitStage(Generic[Item, Result]):
    """A stage over many recordings: what decides its output, and how one is made and kept.

    `work(engine, item)` is a function of a module and runs where the mapper says; `keep` runs in
    the driver and writes the result into the stage's folder.
    """

    name: str
    version: int
    options: Mapping[str, Any]
    engine: str
    spec: Opener
    work: Callable[[Any, Item], Result]
    keep: Callable[[Unit[Item], Result, Path], Kept]


def run_units(
    run: Run,
    stage: UnitStage[Item, Result],
    units: Sequence[Unit[Item]],
    mapper: Mapper,
    progress: Progress,
    tally: Tally,
) -> None:
    """Bring all units up to date; those that are as they would be made now are not made again.

    The caller holds the run's lock. A unit that fails is counted in `tally`, and its old output, if
    there is one, stays. Raises what the mapper raises when it cannot go on at all; what was
    finished until then is kept.
    """
    started = time.monotonic()
    folder = run.stage_folder(stage.name)
    todo: dict[str, tuple[Unit[Item], str]] = {}
    for unit in units:
        expected = fingerprint(stage.name, stage.version, stage.options, stage.engine, unit.inputs)
        record = read_record(folder / f"{unit.name}{RECORD_SUFFIX}")
        if record and record.fingerprint == expected and not changed_outputs(record, folder):
            tally.reused += 1
        else:
            todo[unit.name] = (unit, expected)
    over = len(units) - len(todo)
    progress.report(stage.name, over, len(units), "recordings")
    work = _Named(stage.work)
    outcomes = mapper([unit for unit, _ in todo.values()], work, stage.spec, size=_size_of)
    for outcome in outcomes:
        unit, expected = todo[outcome.item.name]
        error = outcome.error
        if error is None and outcome.result is not None:
            try:
                kept = stage.keep(unit, outcome.result, folder)
                record = Record(
                    stage=stage.name,
                    item=unit.name,
                    fingerprint=expected,
                    inputs=dict(unit.inputs),
                    options=dict(stage.options),
                    engine=stage.engine,
                    outputs={name: sha256_file(folder / name) for name in kept.outputs},
                    seconds=outcome.seconds,
                    counts=dict(kept.counts),
                )
                write_record(folder / f"{unit.name}{RECORD_SUFFIX}", record)
                tally.done += 1
                tally.audio_s += unit.audio_s
            except PodcasterError as failure:
                error = failure
        if error is not None:
            tally.failures.append(Failure(unit.name, error))
        over += 1
        progress.report(stage.name, over, len(units), "recordings")
    tally.seconds = round(tally.seconds + time.monotonic() - started, 3)


def explain_units(
    run: Run, stage: UnitStage[Item, Result], units: Sequence[Unit[Item]]
) -> list[tuple[str, str]]:
    """The units that would be made again now, by name, each with the reason."""
    folder = run.path / stage.name
    explained = []
    for unit in units:
        record = read_record(folder / f"{unit.name}{RECORD_SUFFIX}")
        if record is None:
            explained.append((unit.name, "it has not been done"))
            continue
        plan = Plan(stage.version, stage.engine, stage.options, unit.inputs)
        reason = find_difference(record, plan)
        if reason is None and (changed := changed_outputs(record, folder)):
            reason = f"{', '.join(changed[:3])} is missing or was changed"
        if reason is not None:
            explained.append((unit.name, reason))
    return explained


def read_recordings(run: Run) -> Iterator[Recording]:
    """All recordings of a show that were ingested whole, by id."""
    folder = run.path / INGEST
    for path in sorted(folder.glob(f"*{RECORD_SUFFIX}")):
        name = path.name.removesuffix(RECORD_SUFFIX)
        record = read_record(path)
        if record and TWIN not in record.counts:
            where = folder / f"{name}.json"
            yield parse(read_bytes(where), Recording, where=str(where))


def locate_audio(run: Run, recording: Recording) -> Path | None:
    """Where a recording's sound lies, None where it has none."""
    return run.path / INGEST / recording.audio if recording.audio else None


def read_words(run: Run, recording_id: str) -> Transcript | None:
    """A recording's words as `transcribe` left them; None where they are not (yet) there."""
    folder = run.path / TRANSCRIBE
    if read_record(folder / f"{recording_id}{RECORD_SUFFIX}") is None:
        return None
    where = folder / f"{recording_id}.json"
    return parse(read_bytes(where), Transcript, where=str(where))


def describe_tally(run: str, tally: Tally) -> dict[str, Any]:
    """A stage's result for scripts."""
    return {
        "show": run,
        "recordings": tally.done + tally.reused + len(tally.failures),
        "done": tally.done,
        "reused": tally.reused,
        "failed": len(tally.failures),
        "failures": [{"item": f.item, "error": str(f.error)} for f in tally.failures],
        "twins": [{"item": item, "of": of} for item, of in tally.twins],
        "audio_s": round(tally.audio_s, 3),
        "seconds": tally.seconds,
        "workers": tally.workers,
    }


@dataclass(frozen=True)
class _Named(Generic[Item, Result]):
    """Does the work on a unit's item; the outcome names the unit."""

    work: Callable[[Any, Item], Result]

    def __call__(self, engine: Any, unit: Unit[Item]) -> Result:
        return self.work(engine, unit.item)


def _size_of(unit: Unit[Any]) -> float:
    return unit.size
