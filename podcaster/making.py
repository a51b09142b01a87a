"""`show make`: bring all stages of a show up to date, one after the other."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podcaster import __version__
from podcaster.config import Settings
from podcaster.errors import PodcasterError
from podcaster.identifying import identify_show
from podcaster.preparing import prepare_dataset
from podcaster.progress import Progress
from podcaster.recordings import DATASET, INGEST, SHOW_STAGES, SPEAKERS, TRANSCRIBE, Failure, Tally
from podcaster.run import open_show_run
from podcaster.show import ingest_show
from podcaster.transcribing import describe_words, transcribe_show
from podcaster.workers import open_workers


@dataclass
class Making:
    """How a show was made: seconds by stage, the recordings' tallies, what could not be used.

    `words` says what the words lack, as `transcribing.describe_words` does.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    words: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0, or the exit code of the first failure."""
        return self.failures[0].error.exit_code if self.failures else 0


def make_show(
    home: Path,
    name: str,
    settings: Settings,
    progress: Progress,
    *,
    until: str = DATASET,
    allow_private: bool = False,
) -> Making:
    """Run a show's stages in order up to `until`; what is done is not done again.

    A recording that fails is left out by the stages that follow, and told in the result. A stage
    that cannot work at all ends it: what was finished before stays.

    Raises InputError for a show that is not there, RunLocked where another process works on it.
    """
    making = Making()
    for stage in SHOW_STAGES[: SHOW_STAGES.index(until) + 1]:
        started = time.monotonic()
        try:
            _run_stage(stage, making, home, name, settings, progress, allow_private)
        except PodcasterError as error:
            if stage == INGEST:  # no show, or nothing to make it from
                raise
            making.failures.append(Failure(f"stage {stage}", error))
            break
        finally:
            making.seconds[stage] = round(time.monotonic() - started, 3)
    return making


def describe_making(name: str, making: Making) -> dict[str, Any]:
    """The result for scripts: every stage's seconds and counts, and what failed."""
    stages: dict[str, dict[str, Any]] = {}
    for stage, seconds in making.seconds.items():
        tally = making.tallies.get(stage)
        stages[stage] = {"seconds": seconds}
        if tally is not None:
            stages[stage] |= {"done": tally.done, "reused": tally.reused}
    failures = [{"item": one.item, "error": str(one.error)} for one in making.failures]
    told = {"show": name, "stages": stages, "failed": len(failures), "failures": failures}
    return told | making.words


def _run_stage(
    stage: str,
    making: Making,
    home: Path,
    name: str,
    settings: Settings,
    progress: Progress,
    allow_private: bool,
) -> None:
    if stage == INGEST:
        _count(making, stage, ingest_show(home, name, progress, allow_private=allow_private))
    elif stage == DATASET:
        prepare_dataset(home, name, settings.dataset, progress)
    else:
        with open_workers(settings.cluster, settings.transcribe.workers, progress) as workers:
            if stage == TRANSCRIBE:
                tally = transcribe_show(home, name, settings, progress, workers.mapper)
                tally.workers = workers.count
                _count(making, stage, tally)
                making.words = describe_words(open_show_run(home, name, version=__version__))
            elif stage == SPEAKERS:
                identified = identify_show(home, name, progress, mapper=workers.mapper)
                _count(making, stage, identified.tally)


def _count(making: Making, stage: str, tally: Tally) -> None:
    making.tallies[stage] = tally
    making.failures += tally.failures
