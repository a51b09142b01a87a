"""Recordings as units of work: done once, redone for a reason, counted when they fail."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from podcaster.errors import EngineError, InputError, RunError
from podcaster.mapping import Outcome, map_locally
from podcaster.progress import Silence
from podcaster.recordings import (
    RECORD_SUFFIX,
    Kept,
    Tally,
    Unit,
    UnitStage,
    describe_tally,
    run_units,
)
from podcaster.run import Run, open_show_run, read_record, write_atomic

here = partial(map_locally, workers=1)


@dataclass(frozen=True)
class Counter:
    """Opens what counts its openings; the work is counted in `done`."""

    stage: str = "transcribe"
    name: str = "counter"
    opened: list[int] = field(default_factory=list)

    def open(self) -> "Counter":
        self.opened.append(1)
        return self

    def close(self) -> None:
        self.opened.append(-1)


@dataclass
class Bench:
    """A stage that spells its items in capitals, and what it did."""

    run: Run
    options: dict[str, Any] = field(default_factory=dict)
    version: int = 1
    engine: str = "counter 1"
    spec: Counter = field(default_factory=Counter)
    worked: list[str] = field(default_factory=list)
    keeping: Callable[[str], None] = lambda name: None

    def bring_up_to_date(self, items: Mapping[str, str], mapper: Any = here) -> Tally:
        """Items by name; the tally of this time."""
        units = [Unit(name, item, {"audio": item}, audio_s=60.0) for name, item in items.items()]
        self.worked.clear()
        tally = Tally()
        stage = UnitStage(
            name="transcribe",
            version=self.version,
            options=self.options,
            engine=self.engine,
            spec=self.spec,
            work=self.work,
            keep=self.keep,
        )
        with self.run.lock():
            run_units(self.run, stage, units, mapper, Silence(), tally)
        return tally

    def work(self, engine: Counter, item: str) -> str:
        self.worked.append(item)
        if item.startswith("broken"):
            raise InputError(f"{item} has no sound.")
        return item.upper()

    def keep(self, unit: Unit[str], result: str, folder: Path) -> Kept:
        self.keeping(unit.name)
        write_atomic(folder / f"{unit.name}.txt", result.encode())
        return Kept((f"{unit.name}.txt",), {"letters": len(result)})

    def path(self, name: str) -> Path:
        return self.run.path / "transcribe" / name

    def records(self) -> list[str]:
        names = (path.name for path in self.path(".").glob(f"*{RECORD_SUFFIX}"))
        return sorted(name.removesuffix(RECORD_SUFFIX) for name in names)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(open_show_run(tmp_path, "Tea Talk", version="0", create=True))


THREE = {"one": "first", "two": "second", "three": "third"}


def test_what_is_done_is_not_done_again(bench: Bench) -> None:
    first = bench.bring_up_to_date(THREE)
    assert (first.done, first.reused, first.failures, first.audio_s) == (3, 0, [], 180.0)
    assert bench.path("two.txt").read_text() == "SECOND"
    assert bench.records() == ["one", "three", "two"]
    record = read_record(bench.path("two.record.json"))
    assert record is not None
    assert (record.item, record.engine, record.counts) == ("two", "counter 1", {"letters": 6})
    again = bench.bring_up_to_date(THREE)
    assert (again.done, again.reused, again.audio_s) == (0, 3, 0.0)
    assert bench.worked == []
    assert bench.spec.opened == [1, -1]  # and the engine is not opened for nothing


def test_what_is_new_is_all_that_is_done(bench: Bench) -> None:
    bench.bring_up_to_date(THREE)
    tally = bench.bring_up_to_date({**THREE, "four": "fourth"})
    assert (tally.done, tally.reused) == (1, 3)
    assert bench.worked == ["fourth"]


def change_option(bench: Bench) -> None:
    bench.options = {"beam_size": 1}


def change_engine(bench: Bench) -> None:
    bench.engine = "counter 2"


def change_version(bench: Bench) -> None:
    bench.version = 2


@pytest.mark.parametrize("change", [change_option, change_engine, change_version])
def test_what_decides_the_output_redoes_everything(
    bench: Bench, change: Callable[[Bench], None]
) -> None:
    bench.bring_up_to_date(THREE)
    change(bench)
    assert bench.bring_up_to_date(THREE).done == 3
    assert bench.bring_up_to_date(THREE).reused == 3


def test_a_changed_input_redoes_its_unit(bench: Bench) -> None:
    bench.bring_up_to_date(THREE)
    tally = bench.bring_up_to_date({**THREE, "two": "another"})
    assert (tally.done, tally.reused, bench.worked) == (1, 2, ["another"])


@pytest.mark.parametrize("damage", ["changed", "gone", "record torn", "record gone"])
def test_what_was_meddled_with_is_done_again(bench: Bench, damage: str) -> None:
    bench.bring_up_to_date(THREE)
    if damage == "changed":
        bench.path("two.txt").write_text("SECONd")
    elif damage == "gone":
        bench.path("two.txt").unlink()
    elif damage == "record torn":
        record = bench.path("two.record.json")
        record.write_bytes(record.read_bytes()[:40])
    else:
        bench.path("two.record.json").unlink()
    tally = bench.bring_up_to_date(THREE)
    assert (tally.done, tally.reused, bench.worked) == (1, 2, ["second"])
    assert bench.path("two.txt").read_text() == "SECOND"


def test_a_unit_that_fails_is_counted_and_tried_again(bench: Bench) -> None:
    items = {**THREE, "two": "broken"}
    tally = bench.bring_up_to_date(items)
    assert (tally.done, [failure.item for failure in tally.failures]) == (2, ["two"])
    assert tally.exit_code == 3
    assert describe_tally("tea-talk", tally)["failures"] == [
        {"item": "two", "error": "broken has no sound."}
    ]
    assert bench.records() == ["one", "three"]
    again = bench.bring_up_to_date(items)
    assert (again.done, again.reused, len(again.failures)) == (0, 2, 1)
    mended = bench.bring_up_to_date(THREE)
    assert (mended.done, mended.reused, mended.failures, mended.exit_code) == (1, 2, [], 0)


def test_what_was_there_stays_where_its_successor_fails(bench: Bench) -> None:
    bench.bring_up_to_date(THREE)
    tally = bench.bring_up_to_date({**THREE, "two": "broken"})
    assert len(tally.failures) == 1
    assert bench.path("two.txt").read_text() == "SECOND"
    assert bench.bring_up_to_date(THREE).reused == 3  # the old input is back: nothing was lost


def test_the_record_comes_after_the_payload(bench: Bench) -> None:
    """A payload that cannot be written leaves no record, and the others go on."""

    def refuse(name: str) -> None:
        if name == "two":
            raise RunError("The disk is full.")

    bench.keeping = refuse
    tally = bench.bring_up_to_date(THREE)
    assert (tally.done, [str(failure.error) for failure in tally.failures]) == (
        2,
        ["The disk is full."],
    )
    assert bench.records() == ["one", "three"]


def test_what_was_finished_before_the_mapper_ended_is_kept(bench: Bench) -> None:
    def die_after_two(
        items: Any, work: Any, spec: Any, *, size: Any
    ) -> Iterator[Outcome[Any, Any]]:
        for number, outcome in enumerate(here(items, work, spec, size=size)):
            if number == 2:
                raise EngineError("All workers died.")
            yield outcome

    with pytest.raises(EngineError, match="All workers died"):
        bench.bring_up_to_date(THREE, die_after_two)
    assert len(bench.records()) == 2
    tally = bench.bring_up_to_date(THREE)
    assert (tally.done, tally.reused) == (1, 2)


def test_units_that_finish_in_another_order_are_kept_under_their_names(bench: Bench) -> None:
    def backwards(items: Any, work: Any, spec: Any, *, size: Any) -> Iterator[Outcome[Any, Any]]:
        yield from reversed(list(here(items, work, spec, size=size)))

    bench.bring_up_to_date(THREE, backwards)
    for name, item in THREE.items():
        assert bench.path(f"{name}.txt").read_text() == item.upper()


def test_the_longest_is_begun_first(bench: Bench) -> None:
    units = [Unit(f"{size}", f"{size}", {}, size=size) for size in (2.0, 9.0, 4.0)]
    stage = UnitStage("transcribe", 1, {}, "counter 1", bench.spec, bench.work, bench.keep)
    run_units(bench.run, stage, units, here, Silence(), Tally())
    assert bench.worked == ["9.0", "4.0", "2.0"]
