"""The pipeline: a stage is done again when what decides it changed, and only then."""

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from podcaster.config import Settings
from podcaster.errors import InputError, RunError
from podcaster.model import Record
from podcaster.pipeline import EpisodeContext, Made, Plan, explain_run, run_stages
from podcaster.progress import Silence
from podcaster.run import changed_outputs, create_run, write_atomic


@dataclass
class Copying:
    """A stage that writes what it was told to; `fails` makes it raise."""

    name: str
    says: str = "hello"
    version: int = 1
    engine: str = "pen"
    fails: bool = False
    made: list[str] = field(default_factory=list)

    def plan(self, context: EpisodeContext) -> Plan:
        return Plan(self.version, self.engine, {"says": (self.says, 1)}, {"paper": "white"})

    def count_units(self, context: EpisodeContext) -> int:
        return 1

    def is_intact(self, context: EpisodeContext, record: Record) -> bool:
        return not changed_outputs(record, context.run.path / self.name)

    def execute(self, context: EpisodeContext, plan: Plan) -> Made:
        if self.fails:
            raise InputError("The pen is dry.")
        self.made.append(self.says)
        write_atomic(context.run.stage_folder(self.name) / "out.txt", self.says.encode())
        return Made(("out.txt",), done=1, reused=0, counts={"letters": len(self.says)})


@pytest.fixture
def context(tmp_path: Path) -> EpisodeContext:
    run = create_run(tmp_path, "x", kind="episode", seed=0, version="0")
    return EpisodeContext(tmp_path, run, Settings(), Silence())


def test_running_again_does_nothing(context: EpisodeContext) -> None:
    stages = [Copying("write"), Copying("speak")]
    first = run_stages(context, stages)
    assert [(r.done, r.reused) for r in first.values()] == [(1, 0), (1, 0)]
    second = run_stages(context, stages)
    assert [(r.done, r.reused) for r in second.values()] == [(0, 1), (0, 1)]
    assert [stage.made for stage in stages] == [["hello"], ["hello"]]


def test_it_stops_where_it_is_told_to(context: EpisodeContext) -> None:
    stages = [Copying("write"), Copying("speak")]
    assert list(run_stages(context, stages, until="write")) == ["write"]
    assert stages[1].made == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"says": "bye"}, "the option says is ['bye', 1], was ['hello', 1]"),
        ({"engine": "quill"}, "the engine is quill, was pen"),
        ({"version": 2}, "this version of podcaster does the stage differently"),
    ],
)
def test_what_changed_is_named_and_redone(
    context: EpisodeContext, change: dict[str, object], reason: str
) -> None:
    stages = [Copying("write"), Copying("speak")]
    run_stages(context, stages)
    for key, value in change.items():
        setattr(stages[0], key, value)
    rows = explain_run(context, stages)
    assert (rows[0].redo, rows[0].reason) == (True, reason)
    assert (rows[1].redo, rows[1].reason) == (True, "write would be redone")
    run_stages(context, stages)
    assert len(stages[0].made) == 2
    assert len(stages[1].made) == 1  # its own inputs are what they were


def test_a_damaged_or_missing_output_is_made_again(context: EpisodeContext) -> None:
    stages = [Copying("write")]
    run_stages(context, stages)
    (context.run.path / "write" / "out.txt").write_text("tampered")
    assert "out.txt is missing or was changed" in explain_run(context, stages)[0].reason
    run_stages(context, stages)
    assert (context.run.path / "write" / "out.txt").read_text() == "hello"


def test_a_failure_keeps_what_came_before(context: EpisodeContext) -> None:
    stages = [Copying("write"), Copying("speak", fails=True)]
    with pytest.raises(InputError, match="The pen is dry"):
        run_stages(context, stages)
    rows = explain_run(context, stages)
    assert [row.redo for row in rows] == [False, True]
    assert rows[1].reason == "it has not been done"


def test_a_stage_that_leaves_nothing_is_not_believed(context: EpisodeContext) -> None:
    class Lying(Copying):
        def execute(self, context: EpisodeContext, plan: Plan) -> Made:
            return Made(("out.txt",), done=1, reused=0, counts={})

    with pytest.raises(RunError, match=r"did not leave out\.txt"):
        run_stages(context, [Lying("write")])
    assert not (context.run.path / "write" / "record.json").exists()


def test_the_record_says_what_it_was_made_from(context: EpisodeContext) -> None:
    run_stages(context, [Copying("write")])
    record = msgspec.json.decode(
        (context.run.path / "write" / "record.json").read_bytes(), type=Record
    )
    assert record.engine == "pen"
    assert record.inputs == {"paper": "white"}
    assert record.counts == {"letters": 5}
    assert list(record.outputs) == ["out.txt"]
