"""Work over processes: every item has an outcome, a failure stops no other, a death is told."""

import os
from collections.abc import Iterator
from functools import partial
from operator import itemgetter, methodcaller
from pathlib import Path

import pytest

from podcaster.errors import ConfigError, EngineError, PodcasterError
from podcaster.mapping import EngineSpec, Outcome, map_locally
from podcaster.model import Chapter, Script, Speaker, Turn
from podcaster.speak.casting import cast_voices
from podcaster.speak.sketching import sketch
from podcaster.speak.stage import ClipJob, plan_clips, render_clip
from podcaster.speak.voices import find_voices

pytestmark = pytest.mark.engine
ESPEAK = EngineSpec("speak", "espeak")


def plan_jobs(tmp_path: Path, count: int) -> tuple[ClipJob, ...]:
    speaker = Speaker(id="host", name="Ada", role="host")
    turns = tuple(Turn(speaker="host", text=f"The right story {i} is true.") for i in range(count))
    script = Script(
        title="t",
        summary="",
        language="en",
        speakers=(speaker,),
        chapters=(Chapter(title="c", turns=turns),),
        seed=0,
        model="none",
    )
    casting = cast_voices((speaker,), find_voices(tmp_path), {"host": "maeve"}, language="en")
    casting = {who: sketch(voice) for who, voice in casting.items()}
    return plan_clips(script, casting, {"espeak": "espeak"})


def collect(outcomes: Iterator[Outcome[ClipJob, object]]) -> dict[str, Outcome[ClipJob, object]]:
    return {outcome.item.key: outcome for outcome in outcomes}


def test_processes_and_this_one_make_the_same_clips(tmp_path: Path) -> None:
    jobs = plan_jobs(tmp_path, 60)
    alone, together = tmp_path / "alone", tmp_path / "together"
    one = collect(map_locally(jobs, partial(render_clip, folder=alone), ESPEAK, workers=1))
    two = collect(map_locally(jobs, partial(render_clip, folder=together), ESPEAK, workers=2))
    assert set(one) == set(two) == {job.key for job in jobs}
    for job in jobs:
        assert one[job.key].result == two[job.key].result is not None
        assert (alone / job.path).read_bytes() == (together / job.path).read_bytes()


def test_an_item_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    jobs = plan_jobs(tmp_path, 3)
    folder = tmp_path / "out"
    (folder / jobs[1].path).mkdir(parents=True)  # a folder where the clip should be
    outcomes = collect(map_locally(jobs, partial(render_clip, folder=folder), ESPEAK))
    failed = [outcome for outcome in outcomes.values() if outcome.error]
    assert [outcome.item.key for outcome in failed] == [jobs[1].key]
    assert isinstance(failed[0].error, PodcasterError)
    assert sum(outcome.result is not None for outcome in outcomes.values()) == 2


def test_a_worker_that_is_killed_is_told_in_a_sentence(tmp_path: Path) -> None:
    jobs = plan_jobs(tmp_path, 60)
    with pytest.raises(EngineError, match=r"engine 'espeak' died.*workers = 1"):
        list(map_locally(jobs, _Kill(), ESPEAK, workers=2))


def test_an_engine_that_cannot_be_opened_fails_every_item_with_its_reason(tmp_path: Path) -> None:
    jobs = plan_jobs(tmp_path, 60)
    outcomes = list(map_locally(jobs, itemgetter(0), EngineSpec("speak", "espeek"), workers=2))
    assert len(outcomes) == 60
    assert all("Did you mean 'espeak'?" in str(outcome.error) for outcome in outcomes)
    with pytest.raises(ConfigError, match="no engine 'espeek'"):
        list(map_locally(jobs[:1], itemgetter(0), EngineSpec("speak", "espeek")))


def test_nothing_to_do_opens_nothing() -> None:
    assert list(map_locally((), methodcaller("x"), EngineSpec("speak", "no such engine"))) == []


class _Kill:
    """Work whose arrival ends the worker: unpickling it there calls `os._exit`."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (os._exit, (9,))

    def __call__(self, engine: object, job: ClipJob) -> None:
        raise AssertionError("it never gets here")
