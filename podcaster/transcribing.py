"""The stage `transcribe` over a show's recordings: words, their times, and who says them.

A recording that came with finished words keeps them: its cut-off words go back to whoever was
saying the sentence, and, where it has sound and times but nobody told the speakers apart, they are
told apart. All others are listened to.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podcaster import __version__
from podcaster.captions import CAPTION_WRITERS, segments_of
from podcaster.config import Settings
from podcaster.errors import InputError
from podcaster.listening import (
    EarsSpec,
    Job,
    Listened,
    NoEars,
    choose_diariser,
    listen,
    note_limits,
    plan_ears,
    take_given,
)
from podcaster.mapping import Mapper, map_locally
from podcaster.model import Recording, Transcript, parse, to_json
from podcaster.progress import Progress
from podcaster.recordings import (
    INGEST,
    RECORD_SUFFIX,
    TRANSCRIBE,
    Kept,
    Tally,
    Unit,
    UnitStage,
    locate_audio,
    read_recordings,
    read_words,
    run_units,
)
from podcaster.run import (
    Run,
    open_show_run,
    read_bytes,
    read_record,
    sha256_file,
    write_atomic,
)
from podcaster.setup.speech import find_speech_model
from podcaster.transcribe import stage as transcribe_stage
from podcaster.transcribe.hotwords import hotwords_of
from podcaster.transcribe.options import TranscribeOptions

MOVES_SUFFIX = ".moves.json"
UNNAMED_MORE = 3  # voices that a feed does not name: callers, clips, the one who reads the credits


def transcribe_show(
    home: Path, name: str, settings: Settings, progress: Progress, mapper: Mapper
) -> Tally:
    """Bring the words of a show's recordings up to date.

    Raises InputError for a show that is not there or has no recordings yet, EngineMissing where a
    model is not on this machine, RunLocked where another process works on it.
    """
    run = open_show_run(home, name, version=__version__)
    with run.lock():
        recordings = list(read_recordings(run))
        if not recordings:
            raise InputError(
                f"The show {run.name} has no recordings yet.",
                next_step=f"Type `podcaster show ingest {run.name}`.",
            )
        tally = Tally()
        for stage, units in plan_show(run, recordings, settings.transcribe):
            if isinstance(stage.spec, EarsSpec):
                note_limits(stage.spec, progress)
            over = map_in_this_process if isinstance(stage.spec, NoEars) else mapper
            run_units(run, stage, units, over, progress, tally)
    return tally


def plan_show(
    run: Run, recordings: Sequence[Recording], options: TranscribeOptions
) -> Iterator[tuple[UnitStage[Job, Listened], list[Unit[Job]]]]:
    """What is to be done with which recordings, one kind of work after the other.

    Raises EngineMissing at the kind whose model is not here: those before it need none.
    """
    plan = _plan(run, recordings, options)
    if plan.given:
        yield _stage_of_given(), plan.given
    if plan.diarised:
        spec = EarsSpec(None, diarise=choose_diariser(options))
        yield _stage_of_ears(spec, {}), plan.diarised
    if plan.heard:
        yield _stage_of_listening(options), plan.heard


def map_in_this_process(
    items: Sequence[Any],
    work: Callable[[Any, Any], Any],
    spec: Any,
    *,
    size: Callable[[Any], float] | None = None,
) -> Iterator[Any]:
    """A mapper that stays in this process: for work that takes less than handing it out."""
    return map_locally(items, work, spec, workers=1, size=size)


def write_captions(transcript: Transcript, path: Path) -> None:
    """Write a transcript as what the path's suffix says: .srt, .vtt, .txt, .tsv, or our .json.

    Raises InputError for a transcript without times.
    """
    if path.suffix == ".json":
        write_atomic(path, to_json(transcript))
        return
    write_atomic(path, CAPTION_WRITERS[path.suffix](segments_of(transcript)))


def export_captions(run: Run, formats: Sequence[str], out: Path | None) -> list[Path]:
    """Write every recording's captions in the formats (suffixes without points) to `out`.

    None: beside the words. Recordings whose words have no times have no captions.
    """
    written: list[Path] = []
    for recording in read_recordings(run) if formats else ():
        transcript = read_words(run, recording.id)
        if transcript is None or any(u.start_s is None for u in transcript.utterances):
            continue
        for suffix in formats:
            folder = out or run.path / TRANSCRIBE / "captions"
            written.append(folder / f"{recording.id}.{suffix}")
            write_captions(transcript, written[-1])
    return written


@dataclass
class _Plan:
    """Recordings with finished words, with words to be told apart, and to be listened to."""

    given: list[Unit[Job]] = field(default_factory=list)
    diarised: list[Unit[Job]] = field(default_factory=list)
    heard: list[Unit[Job]] = field(default_factory=list)


def _plan(run: Run, recordings: Sequence[Recording], options: TranscribeOptions) -> _Plan:
    plan = _Plan()
    for recording in recordings:
        audio = locate_audio(run, recording)
        words = run.path / INGEST / recording.transcript if recording.transcript else None
        transcript = None
        if words is not None:
            transcript = parse(read_bytes(words), Transcript, where=str(words))
        if audio is None or not _lacks_speakers(transcript, options):
            if words is not None:
                unit = Unit(recording.id, Job("", str(words)), {"words": sha256_file(words)})
                plan.given.append(unit)
        elif words is not None and transcript is not None and transcript.utterances:
            plan.diarised.append(_unit_to_hear(recording, audio, words, options))
        else:
            plan.heard.append(_unit_to_hear(recording, audio, None, options))
    return plan


def _lacks_speakers(transcript: Transcript | None, options: TranscribeOptions) -> bool:
    """Whether words are missing, or are there with times, but without speakers."""
    if transcript is None or not transcript.utterances:
        return True
    timed = any(utterance.start_s is not None for utterance in transcript.utterances)
    named = any(utterance.speaker is not None for utterance in transcript.utterances)
    return timed and not named and options.diarise != "none"


def _unit_to_hear(
    recording: Recording, audio: Path, words: Path | None, options: TranscribeOptions
) -> Unit[Job]:
    """`words` are kept where they are given, and only told apart."""
    names = hotwords_of(recording) if options.hotwords and words is None else ()
    fewest, most = _bound_speakers(recording, options)
    job = Job(
        audio=str(audio),
        given=str(words) if words is not None else "",
        language=recording.language.partition("-")[0].lower(),
        hotwords=names,
        fewest=fewest,
        most=most,
        title=recording.title,
    )
    told = {"language": job.language, "hotwords": names, "fewest": fewest, "most": most}
    inputs = {"audio": recording.audio_sha256, "told": _digest(told)}
    if words is not None:
        inputs["words"] = sha256_file(words)
    duration_s = recording.duration_s or 0.0
    files = tuple(file for file in (job.audio, job.given) if file)
    return Unit(recording.id, job, inputs, size=duration_s, audio_s=duration_s, files=files)


def _bound_speakers(
    recording: Recording, options: TranscribeOptions
) -> tuple[int | None, int | None]:
    """How many voices to look for: what was asked for, else what the feed's persons suggest."""
    named = len({person.name.casefold() for person in recording.persons})
    fewest = options.fewest_speakers or (2 if named > 1 else None)
    most = options.most_speakers or (named + UNNAMED_MORE if named > 1 else None)
    return fewest, most


def _digest(value: Any) -> str:
    return hashlib.sha256(to_json(value)).hexdigest()


def _stage_of_given() -> UnitStage[Job, Listened]:
    return UnitStage(
        name=TRANSCRIBE,
        version=transcribe_stage.STAGE_VERSION,
        options={},
        engine="podcaster realign",
        spec=NoEars(),
        work=take_given,
        keep=_keep,
    )


def _stage_of_listening(options: TranscribeOptions) -> UnitStage[Job, Listened]:
    spec = plan_ears(options)
    decided = {
        "model": sha256_file(find_speech_model(spec.model) / "model.bin"),
        "align": [options.align, options.align_model],
        "compute_type": options.compute_type,
        "beam_size": options.beam_size,
    }
    return _stage_of_ears(spec, decided)


def _stage_of_ears(spec: EarsSpec, options: Mapping[str, Any]) -> UnitStage[Job, Listened]:
    return UnitStage(
        name=TRANSCRIBE,
        version=transcribe_stage.STAGE_VERSION,
        options=options,
        engine=spec.engine_id,
        spec=spec,
        work=listen,
        keep=_keep,
    )


def _keep(unit: Unit[Job], result: Listened, folder: Path) -> Kept:
    outputs = [f"{unit.name}.json"]
    write_atomic(folder / outputs[0], to_json(result.transcript, indent=0))
    if result.moves:
        outputs.append(f"{unit.name}{MOVES_SUFFIX}")
        write_atomic(folder / outputs[-1], to_json(list(result.moves)))
    utterances = result.transcript.utterances
    speakers = {u.speaker for u in utterances if u.speaker is not None}
    counts = {"utterances": len(utterances), "speakers": len(speakers), "moved": len(result.moves)}
    return Kept(tuple(outputs), counts)


def describe_words(run: Run) -> dict[str, Any]:
    """What the words of a show lack and what was mended, out of the records."""
    silent, unnamed = [], []
    moved = 0
    for recording in read_recordings(run):
        record = read_record(run.path / TRANSCRIBE / f"{recording.id}{RECORD_SUFFIX}")
        if record is None:
            continue
        moved += record.counts.get("moved", 0)
        if not record.counts.get("utterances"):
            silent.append(recording.id)
        elif not record.counts.get("speakers"):
            unnamed.append(recording.id)
    return {"without_words": silent, "without_speakers": unnamed, "moved": moved}
