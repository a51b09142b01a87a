"""How long a whole archive takes to become a dataset, and in how much memory.

    python bench/dataset.py [ARCHIVE] [HOME]

ARCHIVE holds finished transcripts; `changelog-transcripts.tar.xz` beside the repository is taken
where none is given. All of it is imported, passed through `transcribe`, cleaned, split and
tokenised for the built-in model, in a workspace that is thrown away unless HOME is given. Prints
one JSON line: wall time and processor time by stage, the largest memory of the process and its
workers together, and the counts by series. Without the archive it says so and ends.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from podcaster.config import load_configuration
from podcaster.ingest.sources import describe_source
from podcaster.preparing import prepare_dataset
from podcaster.progress import Silence
from podcaster.show import add_sources, ingest_show
from podcaster.transcribing import transcribe_show
from podcaster.workers import open_workers

DATA = Path(__file__).parents[2] / "shared" / "data"
NAME = "Archive"
EVERY_S = 0.1
MOST_S = 180
MOST_BYTES = 2_000_000_000


class PeakMemory:
    """The largest resident memory of this process and all below it, looked at now and then."""

    def __init__(self) -> None:
        self.bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        me = psutil.Process()
        while not self._over.wait(EVERY_S):
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.bytes = max(self.bytes, total)


def cpu_s() -> float:
    """Processor time of this process and of the workers that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@contextmanager
def timed(stage: str, seconds: dict[str, dict[str, float]]) -> Iterator[None]:
    """Add a stage's wall and processor time to `seconds`."""
    wall, processor = time.monotonic(), cpu_s()
    yield
    seconds[stage] = {
        "wall_s": round(time.monotonic() - wall, 1),
        "cpu_s": round(cpu_s() - processor, 1),
    }


def build(archive: Path, home: Path) -> dict[str, Any]:
    """Make the dataset of an archive in a workspace, and measure."""
    settings = load_configuration(home, {}).settings
    seconds: dict[str, dict[str, float]] = {}
    progress = Silence()

    def transcribe() -> None:
        with open_workers(settings.cluster, settings.transcribe.workers, progress) as workers:
            transcribe_show(home, NAME, settings, progress, workers.mapper)

    add_sources(home, NAME, [describe_source(str(archive))])
    stages: dict[str, Callable[[], object]] = {
        "ingest": lambda: ingest_show(home, NAME, progress),
        "transcribe": transcribe,
        "dataset": lambda: prepare_dataset(home, NAME, settings.dataset, progress),
    }
    started = time.monotonic()
    with PeakMemory() as memory:
        for stage, work in stages.items():
            with timed(stage, seconds):
                work()
        wall_s = round(time.monotonic() - started, 1)
    with timed("again", seconds):
        prepared = prepare_dataset(home, NAME, settings.dataset, progress)
    report = prepared.report
    return {
        "bench": "dataset",
        "wall_s": wall_s,
        "within_time": wall_s <= MOST_S,
        "peak_bytes": memory.bytes,
        "within_memory": memory.bytes <= MOST_BYTES,
        "cores": os.cpu_count(),
        "load_before": round(LOAD, 2),
        "stages": seconds,
        "reused": prepared.reused,
        "train": report.train,
        "validation": report.validation,
        "tokens": report.tokens,
        "words": report.words,
        "recordings": report.recordings,
        "dropped": report.dropped,
        "removed": report.removed,
        "series": {
            name: {
                "recordings": one.recordings,
                "dropped": one.dropped,
                "examples": one.examples,
                "tokens": one.tokens,
            }
            for name, one in report.series.items()
        },
    }


LOAD = os.getloadavg()[0]


def main() -> None:
    """Print the line."""
    archive = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA / "changelog-transcripts.tar.xz"
    if not archive.is_file():
        print(f"no archive of transcripts at {archive}: nothing was measured", file=sys.stderr)
        return
    if len(sys.argv) > 2:
        print(json.dumps(build(archive, Path(sys.argv[2]))))
        return
    with tempfile.TemporaryDirectory() as home:
        print(json.dumps(build(archive, Path(home))))


if __name__ == "__main__":
    main()
