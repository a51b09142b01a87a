"""The stage `speakers`, recording by recording: voices counted and printed, names heard.

Each is a unit of work, wherever the mapper says.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from podcaster.engines import describe_engine
from podcaster.errors import EngineMissing
from podcaster.mapping import EngineSpec, Mapper, Opener
from podcaster.model import Person, Recording, Transcript, parse, to_json
from podcaster.progress import Progress
from podcaster.recordings import (
    RECORD_SUFFIX,
    SPEAKERS,
    TRANSCRIBE,
    Kept,
    Tally,
    Unit,
    UnitStage,
    locate_audio,
    run_units,
)
from podcaster.run import Run, read_bytes, read_record, sha256_file, write_atomic
from podcaster.speakers import stage as speakers_stage
from podcaster.speakers.engine import VoiceEncoder
from podcaster.speakers.recording import RecordingSpeakers

ENCODER = "resemblyzer"


@dataclass(frozen=True)
class Job:
    """What a worker needs to know of a recording; without `audio` there are no voiceprints."""

    recording: str
    words: str
    audio: str = ""
    title: str = ""
    description: str = ""
    persons: tuple[Person, ...] = ()


@dataclass(frozen=True)
class NoEncoder:
    """For recordings without sound nothing is opened."""

    stage: str = SPEAKERS
    name: str = "names"

    def open(self) -> "NoEncoder":
        """Itself."""
        return self

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Ears:
    """How voices are told: what opens an encoder, and what it is called in fingerprints."""

    spec: Opener = field(
        default_factory=lambda: EngineSpec("voiceprint", ENCODER, {"device": "auto"})
    )
    engine: str = field(default_factory=lambda: describe_engine("voiceprint", ENCODER))


def analyse(encoder: VoiceEncoder | NoEncoder, job: Job) -> RecordingSpeakers:
    """Find out what one recording says of its speakers: a worker's work."""
    transcript = parse(read_bytes(Path(job.words)), Transcript, where=job.words)
    return speakers_stage.analyse_recording(
        job.recording,
        transcript,
        title=job.title,
        persons=job.persons,
        description=job.description,
        audio=Path(job.audio) if job.audio else None,
        encoder=None if isinstance(encoder, NoEncoder) else encoder,
    )


def plan_recordings(run: Run, recordings: Sequence[Recording]) -> list[Unit[Job]]:
    """One unit for each recording that has its words."""
    units = []
    for recording in recordings:
        record = read_record(run.path / TRANSCRIBE / f"{recording.id}{RECORD_SUFFIX}")
        if record is None:
            continue
        words = run.path / TRANSCRIBE / f"{recording.id}.json"
        audio = locate_audio(run, recording)
        job = Job(
            recording=recording.id,
            words=str(words),
            audio=str(audio) if audio else "",
            title=recording.title,
            description=recording.description,
            persons=recording.persons,
        )
        told = to_json([job.title, job.description, list(job.persons)])
        inputs = {
            "words": record.outputs.get(words.name) or sha256_file(words),
            "told": hashlib.sha256(told).hexdigest(),
        }
        if audio:
            inputs["audio"] = recording.audio_sha256
        size = recording.duration_s or 0.0 if audio else 0.0
        files = tuple(file for file in (job.audio, job.words) if file)
        units.append(Unit(recording.id, job, inputs, size=size, audio_s=size, files=files))
    return units


def listen_to_speakers(
    run: Run,
    units: Sequence[Unit[Job]],
    ears: Ears,
    mapper: Mapper,
    progress: Progress,
    tally: Tally,
) -> None:
    """Bring each recording up to date, and count it in `tally`.

    Where no encoder is installed, names alone must do; EngineMissing where voices have none.
    """
    heard = [unit for unit in units if unit.item.audio]
    silent = [unit for unit in units if not unit.item.audio]
    if silent:
        run_units(run, _make_stage(NoEncoder(), "names"), silent, mapper, progress, tally)
    if not heard:
        return
    own = Tally()
    missing: EngineMissing | None = None
    try:
        run_units(run, _make_stage(ears.spec, ears.engine), heard, mapper, progress, own)
    except EngineMissing as error:
        missing = error
    told = [one.error for one in own.failures if isinstance(one.error, EngineMissing)]
    missing = missing or (told[0] if told else None)
    if missing is not None:
        own = Tally()
        deaf = [
            replace(unit, item=replace(unit.item, audio=""), files=(unit.item.words,))
            for unit in heard
        ]
        run_units(run, _make_stage(NoEncoder(), "names"), deaf, mapper, progress, own)
        shows = read_shows(run, heard)
        if any(not one.name for show in shows for one in show.speakers):
            raise missing
        progress.note(f"Voices are not compared, only names: {missing}")
    tally.done += own.done
    tally.reused += own.reused
    tally.failures += own.failures
    tally.audio_s += own.audio_s
    tally.seconds = round(tally.seconds + own.seconds, 3)


def _make_stage(spec: Opener, engine: str) -> UnitStage[Job, RecordingSpeakers]:
    return UnitStage(
        name=SPEAKERS,
        version=speakers_stage.STAGE_VERSION,
        options={},
        engine=engine,
        spec=spec,
        work=analyse,
        keep=_keep,
    )


def _keep(unit: Unit[Job], result: RecordingSpeakers, folder: Path) -> Kept:
    name = f"{unit.name}.json"
    write_atomic(folder / name, to_json(result, indent=0))
    printed = sum(bool(one.voiceprint) for one in result.speakers)
    return Kept((name,), {"speakers": len(result.speakers), "voiceprints": printed})


def read_shows(run: Run, units: Sequence[Unit[Job]]) -> "list[RecordingSpeakers]":
    """What was found out of each recording that could be used."""
    folder = run.path / SPEAKERS
    shows = []
    for unit in units:
        if read_record(folder / f"{unit.name}{RECORD_SUFFIX}") is not None:
            where = folder / f"{unit.name}.json"
            shows.append(parse(read_bytes(where), RecordingSpeakers, where=str(where)))
    return shows
