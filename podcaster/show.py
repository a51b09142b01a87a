"""A show: where it comes from, and its stages over many recordings, each its own unit of work.

A show is one run, `runs/<name>/`, for all time. Running a stage again does what is new, changed or
was not finished. One recording that fails does not stop the others: its error is kept in the
result, and the next run tries it again.
"""

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from podcaster import __version__
from podcaster.engines import open_engine
from podcaster.errors import ConfigError, InputError, PodcasterError
from podcaster.ingest import stage as ingest_stage
from podcaster.ingest.engine import Pages
from podcaster.ingest.sources import (
    Item,
    ShowSource,
    find_files,
    find_in_archive,
    find_in_feed,
    find_in_page,
)
from podcaster.model import Noun, Record, parse, to_json
from podcaster.progress import Progress
from podcaster.recordings import (
    INGEST,
    RECORD_SUFFIX,
    TWIN,
    Failure,
    Tally,
    read_recordings,
)
from podcaster.run import (
    Run,
    changed_outputs,
    fingerprint,
    open_show_run,
    read_bytes,
    read_record,
    sha256_file,
    write_atomic,
    write_record,
)

SOURCES = "sources.json"


class ShowSources(Noun, frozen=True):
    """What `sources.json` says: everything that the show is made from, in the order of adding."""

    sources: tuple[ShowSource, ...] = ()
    language: str = ""  # nothing: the feed says it, or it is found by listening


def add_sources(
    home: Path, name: str, sources: Sequence[ShowSource], *, language: str | None = None
) -> Run:
    """Add sources to a show, which is made if it is not there; one that it has is not added again.

    Raises InputError where the name belongs to an episode's run, ConfigError for a `language` that
    is no code such as `en`.
    """
    if language is not None and not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", language):
        raise ConfigError(
            f"--language {language!r} is no code of a language.", next_step="Type en, de or pt-BR."
        )
    run = open_show_run(home, name, version=__version__, create=True)
    with run.lock():
        known = read_sources(run)
        added = tuple(source for source in sources if source not in known.sources)
        merged = ShowSources(sources=(*known.sources, *added), language=language or known.language)
        write_atomic(run.path / SOURCES, to_json(merged))
    return run


def read_sources(run: Run) -> ShowSources:
    """What a show is made from; nothing, as long as nothing was added."""
    path = run.path / SOURCES
    if not path.is_file():
        return ShowSources()
    return parse(read_bytes(path), ShowSources, where=str(path))


def ingest_show(home: Path, name: str, progress: Progress, *, allow_private: bool = False) -> Tally:
    """Bring a show's recordings up to date with its sources.

    `allow_private` takes feeds and recordings inside this machine's own network, too.

    Raises InputError for a show that is not there or has no sources, RunLocked where another
    process works on it.
    """
    run = open_show_run(home, name, version=__version__)
    sources = read_sources(run)
    if not sources.sources:
        raise InputError(
            f"The show {run.name} has no sources.",
            next_step=f"Add one with `podcaster show add {run.name} SOURCE`.",
        )
    tally = Tally()
    started = time.monotonic()
    with run.lock():
        ingester = _Ingester(run, sources.language, tally, progress, allow_private=allow_private)
        for source in sources.sources:
            try:
                ingester.ingest_all(source)
            except PodcasterError as error:  # the source itself cannot be read
                tally.failures.append(Failure(source.location, error))
    tally.seconds = round(time.monotonic() - started, 3)
    return tally


class _Ingester:
    """Brings one recording after the other up to date, and counts."""

    def __init__(
        self, run: Run, language: str, tally: Tally, progress: Progress, *, allow_private: bool
    ) -> None:
        self.folder = run.stage_folder(INGEST)
        self.language, self.tally, self.progress = language, tally, progress
        self.allow_private = allow_private
        self.pages: Pages | None = None
        self.seen: set[str] = set()
        self.expected = 0  # items, as far as sources say before they are read
        self.known = {r.audio_sha256: r.id for r in read_recordings(run) if r.audio_sha256}

    def find_items(self, source: ShowSource) -> Iterator[Item]:
        """What a source holds. Raises InputError, and EngineMissing for pages without yt-dlp."""
        if source.kind == "feed":
            return find_in_feed(source, allow_private=self.allow_private)
        if source.kind == "page":
            if self.pages is None:
                self.pages = open_engine(INGEST, "ytdlp", allow_private=self.allow_private)
            return find_in_page(source, self.pages)
        if source.kind == "archive":
            return find_in_archive(Path(source.location))
        return find_files(Path(source.location))

    def ingest_all(self, source: ShowSource) -> None:
        """Take in what a source holds, but for what is there as it is, or was in another source.

        An item that fails is counted and does not stop the others; a source that cannot be read
        raises.
        """
        items = self.find_items(source)
        if source.kind != "archive":  # whose items come one by one, and hold their text
            items = iter(listed := list(items))
            self.expected += len(listed)
        for item in items:
            name = ingest_stage.recording_id(item)
            if name in self.seen:
                self.expected -= source.kind != "archive"
                continue
            self.seen.add(name)
            try:
                self._ingest(name, item, source)
            except PodcasterError as error:
                self.tally.failures.append(Failure(item.identity, error))
            count = len(self.seen)
            self.progress.report(INGEST, count, max(count, self.expected), "recordings")
        self.expected = max(self.expected, len(self.seen))

    def _ingest(self, name: str, item: Item, source: ShowSource) -> None:
        record_path = self.folder / f"{name}{RECORD_SUFFIX}"
        started = time.monotonic()
        inputs = ingest_stage.hash_inputs(item)
        options = {"language": self.language, "format": source.format}
        engine = ingest_stage.describe_engine()
        expected = fingerprint(INGEST, ingest_stage.STAGE_VERSION, options, engine, inputs)
        record = read_record(record_path)
        if record and record.fingerprint == expected and not changed_outputs(record, self.folder):
            self._count_reused(item, record)
            return
        twin = self.known.get(inputs.get("media", ""), name)
        made = ingest_stage.Ingested()
        if twin == name:
            made = ingest_stage.ingest_item(
                item,
                source,
                self.folder,
                language=self.language,
                inputs=inputs,
                progress=self.progress,
                pages=self.pages,
                allow_private=self.allow_private,
            )
            twin = self.known.get(made.twin, name)
        outputs = made.outputs if twin == name else ()
        write_record(
            record_path,
            Record(
                stage=INGEST,
                item=name,
                fingerprint=expected,
                inputs=inputs,
                options=options,
                engine=engine,
                outputs={output: sha256_file(self.folder / output) for output in outputs},
                seconds=round(time.monotonic() - started, 3),
                counts={TWIN: twin} if twin != name else {},
            ),
        )
        if twin != name:
            self.tally.twins.append((item.identity, twin))
            return
        self.tally.done += 1
        if made.recording and made.recording.audio_sha256:
            self.known[made.recording.audio_sha256] = name
            self.tally.audio_s += made.recording.duration_s or 0.0

    def _count_reused(self, item: Item, record: Record) -> None:
        if TWIN in record.counts:
            self.tally.twins.append((item.identity, record.counts[TWIN]))
        else:
            self.tally.reused += 1
