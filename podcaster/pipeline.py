"""The stages of an episode, in order: plan them, run them, explain what would be redone.

A stage is done when its record has the fingerprint that the stage would have now and its outputs
are there with the recorded content. So resuming is running again.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from podcaster.config import Settings
from podcaster.errors import RunError
from podcaster.model import Record
from podcaster.progress import Progress
from podcaster.run import (
    RECORD_NAME,
    Run,
    changed_outputs,
    fingerprint,
    read_record,
    write_record,
)


@dataclass(frozen=True)
class Plan:
    """Everything that decides what a stage would make now."""

    version: int
    engine: str
    options: Mapping[str, Any]
    inputs: Mapping[str, str]


@dataclass(frozen=True)
class Made:
    """What a stage made: names of its files, units done and reused, counts for the record."""

    outputs: tuple[str, ...]
    done: int
    reused: int
    counts: Mapping[str, Any]


@dataclass(frozen=True)
class StageReport:
    """How a stage went: units made now, units that were there already."""

    seconds: float
    done: int
    reused: int


@dataclass
class EpisodeContext:
    """What the stages of one episode share while they run.

    With `preview` it can be heard while it is spoken.
    """

    home: Path
    run: Run
    settings: Settings
    progress: Progress
    preview: bool = False
    reports: dict[str, StageReport] = field(default_factory=dict)


class Stage(Protocol):
    """One row of the stage table."""

    @property
    def name(self) -> str:
        """The stage's word."""

    def plan(self, context: EpisodeContext) -> Plan:
        """Gather what decides the output; earlier stages are done."""

    def count_units(self, context: EpisodeContext) -> int:
        """How many units of work the stage has, once it is done."""

    def is_intact(self, context: EpisodeContext, record: Record) -> bool:
        """Whether what the record promises is there (a person's edits do not count as damage)."""

    def execute(self, context: EpisodeContext, plan: Plan) -> Made:
        """Make the payload files in the stage's folder."""


@dataclass(frozen=True)
class Explanation:
    """Whether a stage would be redone, and because of what."""

    stage: str
    redo: bool
    reason: str


STAGE_NAMES = ("write", "speak", "mix", "publish")


def run_stages(
    context: EpisodeContext, stages: Sequence[Stage], *, until: str = "publish"
) -> dict[str, StageReport]:
    """Bring a run's stages up to date, in order, up to `until`; what is done is not done again.

    The caller holds the run's lock. Raises PodcasterError; what was finished before stays.
    """
    for stage in stages:
        started = time.monotonic()
        record_path = context.run.stage_folder(stage.name) / RECORD_NAME
        plan = stage.plan(context)
        expected = _fingerprint(stage.name, plan)
        record = read_record(record_path)
        if record and record.fingerprint == expected and stage.is_intact(context, record):
            units = stage.count_units(context)
            report = StageReport(round(time.monotonic() - started, 3), done=0, reused=units)
        else:
            report = _execute(context, stage, plan, expected, record_path, started)
        context.reports[stage.name] = report
        if stage.name == until:
            break
    return context.reports


def explain_run(context: EpisodeContext, stages: Sequence[Stage]) -> list[Explanation]:
    """Say for every stage whether it would be redone now, and because of which field."""
    explanations: list[Explanation] = []
    redone: str | None = None
    for stage in stages:
        record = read_record(context.run.path / stage.name / RECORD_NAME)
        if record is None:
            reason: str | None = "it has not been done"
        elif redone:
            reason = f"{redone} would be redone"
        else:
            plan = stage.plan(context)
            reason = find_difference(record, plan)
            if reason is None and not stage.is_intact(context, record):
                changed = changed_outputs(record, context.run.path / stage.name)
                reason = f"{', '.join(changed[:3])} is missing or was changed"
        if reason:
            redone = stage.name
        explanations.append(
            Explanation(stage.name, redo=reason is not None, reason=reason or "nothing changed")
        )
    return explanations


def _execute(
    context: EpisodeContext,
    stage: Stage,
    plan: Plan,
    expected: str,
    record_path: Path,
    started: float,
) -> StageReport:
    context.run.log_event("stage_started", stage=stage.name, fingerprint=expected)
    made = stage.execute(context, plan)
    seconds = round(time.monotonic() - started, 3)
    folder = record_path.parent
    hashes = _hash_outputs(folder, made.outputs)
    write_record(
        record_path,
        Record(
            stage=stage.name,
            item=context.run.name,
            fingerprint=expected,
            inputs=dict(plan.inputs),
            options=dict(plan.options),
            engine=plan.engine,
            outputs=hashes,
            seconds=seconds,
            counts=dict(made.counts),
        ),
    )
    context.run.log_event(
        "stage_finished", stage=stage.name, seconds=seconds, done=made.done, reused=made.reused
    )
    return StageReport(seconds, done=made.done, reused=made.reused)


def _hash_outputs(folder: Path, names: tuple[str, ...]) -> dict[str, str]:
    from podcaster.run import sha256_file

    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise RunError(f"The stage did not leave {', '.join(missing)} in {folder}.")
    return {name: sha256_file(folder / name) for name in names}


def _fingerprint(stage: str, plan: Plan) -> str:
    return fingerprint(stage, plan.version, plan.options, plan.engine, plan.inputs)


def find_difference(record: Record, plan: Plan) -> str | None:
    """Name the first thing that differs between what a record was made from and a plan."""
    if record.engine != plan.engine:
        return f"the engine is {plan.engine}, was {record.engine}"
    options = msgspec.json.decode(msgspec.json.encode(plan.options))  # tuples became lists there
    for word, now, before in (
        ("option", options, record.options),
        ("input", plan.inputs, record.inputs),
    ):
        for key in [*now, *(key for key in before if key not in now)]:
            if now.get(key) != before.get(key):
                return (
                    f"the {word} {key} is {_shorten(now.get(key))}, was {_shorten(before.get(key))}"
                )
    if _fingerprint(record.stage, plan) != record.fingerprint:
        return "this version of podcaster does the stage differently"
    return None


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "…"
