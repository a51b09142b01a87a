"""The stages of an episode as rows of the pipeline's table: what decides each, how it is run."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import msgspec

from podcaster.config import Settings
from podcaster.engines import open_engine
from podcaster.errors import EngineError, InputError
from podcaster.mapping import EngineSpec, map_locally
from podcaster.mix import stage as mix_stage
from podcaster.mix.timing import expected_gap_s, plan_overhead_s
from podcaster.model import Clip, Noun, Record, Script, Speaker, Timeline, Voice, parse, to_json
from podcaster.pipeline import EpisodeContext, Made, Plan, Stage
from podcaster.publish import stage as publish_stage
from podcaster.run import (
    RECORD_NAME,
    Run,
    changed_outputs,
    fingerprint,
    read_bytes,
    read_record,
    sha256_file,
    write_atomic,
    write_record,
)
from podcaster.setup.cache import find_model
from podcaster.speak import stage as speak_stage
from podcaster.speak.casting import cast_voices
from podcaster.speak.pace import estimate_s
from podcaster.speak.voices import find_voices
from podcaster.write import stage as write_stage
from podcaster.write.gguf_file import sha256_model
from podcaster.write.markdown import format_script, parse_script
from podcaster.write.notes import Note, read_notes
from podcaster.write.options import WriteOptions
from podcaster.write.script_file import read_script_file

SCRIPT_JSON = "script.json"
SCRIPT_MD = "script.md"
GIVEN_SCRIPT = "given-script.md"
INPUTS = "inputs.json"
DRAFT = "draft.jsonl"
CLIPS = "clips.json"
TIMELINE = "timeline.json"
MP3 = "episode.mp3"

WRITE_ENGINE = "llama_cpp"
WRITE_DISTRIBUTION = "llama-cpp-python"


class Inputs(Noun, frozen=True):
    """What a run was given from outside, as it was when the run began."""

    note_locations: tuple[str, ...]
    notes: tuple[Note, ...]
    script_location: str
    script_bytes: bytes  # base64 in JSON


class WriteStage:
    """Guest, topics and notes become a script; or a script of the user's own is taken."""

    name = "write"

    def plan(self, context: EpisodeContext) -> Plan:
        """The model, the options and the notes decide."""
        options = context.settings.write
        inputs = _keep_inputs(context)
        decided = {
            "notes": ",".join(note.sha256 for note in inputs.notes),
            "script": inputs.script_location and sha256(inputs.script_bytes).hexdigest(),
        }
        engine = "script" if options.script else _writer_id(options.model)
        return Plan(
            version=write_stage.STAGE_VERSION,
            engine=engine,
            options={
                **msgspec.structs.asdict(options),
                "seed": context.settings.seed,
                "disclosure": context.settings.disclosure,
            },
            inputs={key: value for key, value in decided.items() if value},
        )

    def count_units(self, context: EpisodeContext) -> int:
        """A script is one unit."""
        return 1

    def is_intact(self, context: EpisodeContext, record: Record) -> bool:
        """Whether there is a script; a person's edit of it is not damage."""
        folder = context.run.path / self.name
        if not (folder / SCRIPT_MD).is_file() and (folder / SCRIPT_JSON).is_file():
            script = parse(read_bytes(folder / SCRIPT_JSON), Script, where=SCRIPT_JSON)
            write_atomic(folder / SCRIPT_MD, format_script(script).encode())
        return not [name for name in record.outputs if not (folder / name).is_file()]

    def execute(self, context: EpisodeContext, plan: Plan) -> Made:
        """Write the script, unless a person has edited the one that is there."""
        folder = context.run.stage_folder(self.name)
        record = read_record(folder / RECORD_NAME)
        if record and _find_edit(folder, record):
            context.progress.note(
                f"{folder / SCRIPT_MD} was edited by hand and is kept, although "
                "what decides the script has changed; delete it to have one written anew."
            )
            return Made(tuple(record.outputs), done=0, reused=1, counts=record.counts)
        result = self._write(context, folder)
        write_atomic(folder / SCRIPT_JSON, to_json(result.script))
        write_atomic(folder / SCRIPT_MD, format_script(result.script).encode())
        return Made((SCRIPT_JSON, SCRIPT_MD), done=1, reused=0, counts=result.counts)

    def _write(self, context: EpisodeContext, folder: Path) -> write_stage.WriteResult:
        options, inputs = context.settings.write, _keep_inputs(context)
        call = partial(
            write_stage.write,
            notes=inputs.notes,
            seed=context.settings.seed,
            disclosure=context.settings.disclosure,
            draft=folder / DRAFT,
            progress=context.progress,
        )
        if options.script:
            given = folder / GIVEN_SCRIPT
            write_atomic(given, inputs.script_bytes)
            taken = msgspec.structs.replace(options, script=str(given))
            script = read_script_file(given, options=taken, seed=0, disclosure=False)
            return call(taken, None, pace=_make_pace(context, script.speakers))
        pace = _make_pace(context, _speakers_of(options))
        settings = {
            "path": str(find_model(options.model)),
            "context_tokens": options.context_tokens,
        }
        with closing(open_engine(self.name, WRITE_ENGINE, **settings)) as engine:
            return call(options, engine, pace=pace)


class SpeakStage:
    """A script becomes clips; each clip is a unit with a record of its own."""

    name = "speak"

    def plan(self, context: EpisodeContext) -> Plan:
        """The words, the voices and their engines decide; the number of workers does not."""
        script = read_spoken_script(context.run)
        casting = _cast(context, script.speakers)
        jobs = _plan_jobs(script, casting)
        return Plan(
            version=speak_stage.STAGE_VERSION,
            engine=", ".join(sorted({job.engine_id for job in jobs})),
            options={"voices": {who: voice.name for who, voice in casting.items()}},
            inputs={
                "script": _hash_script(script),
                **{f"voice {who}": voice.sha256 for who, voice in casting.items()},
            },
        )

    def count_units(self, context: EpisodeContext) -> int:
        """The clips."""
        folder = context.run.path / self.name
        return len({clip.path for clip in _read_clips(folder)})

    def is_intact(self, context: EpisodeContext, record: Record) -> bool:
        """Whether every clip is what it was."""
        return not changed_outputs(record, context.run.path / self.name)

    def execute(self, context: EpisodeContext, plan: Plan) -> Made:
        """Speak what is not there; each clip counts as soon as its record is written."""
        folder = context.run.stage_folder(self.name)
        script = read_spoken_script(context.run)
        jobs = _plan_jobs(script, _cast(context, script.speakers))
        clips = {job.key: clip for job in jobs if (clip := _find_clip(folder, job)) is not None}
        reused = len(clips)
        missing = [job for job in jobs if job.key not in clips]
        context.progress.report(self.name, reused, len(jobs), "clips")
        failures: list[str] = []
        for engine in sorted({job.voice.engine for job in missing}):
            theirs = [job for job in missing if job.voice.engine == engine]
            work = _ClipWork(str(folder))
            spec = EngineSpec(self.name, engine)
            workers = context.settings.speak.workers
            for outcome in map_locally(theirs, work, spec, workers):
                if outcome.result is None:
                    failures.append(f"turn {outcome.item.turns[0] + 1}: {outcome.error}")
                    continue
                _record_clip(folder, outcome.item, outcome.result, outcome.seconds)
                clips[outcome.item.key] = outcome.result
                context.progress.report(self.name, len(clips), len(jobs), "clips")
        if failures:
            raise EngineError(
                f"{len(failures)} of {len(jobs)} clips could not be spoken: "
                f"{' '.join(failures[:3])}",
                next_step=f"Mend {context.run.path / 'write' / SCRIPT_MD} and type "
                f"`podcaster resume {context.run.name}`: the other clips are kept.",
            )
        ordered = speak_stage.order_clips(jobs, clips)
        write_atomic(folder / CLIPS, to_json(ordered))
        paths = tuple(dict.fromkeys(clip.path for clip in ordered))
        counts = {
            "clips": len(jobs),
            "speech_s": round(sum(clip.duration_s for clip in ordered), 3),
        }
        return Made((CLIPS, *paths), done=len(jobs) - reused, reused=reused, counts=counts)


class MixStage:
    """Clips become one MP3 and a timeline."""

    name = "mix"

    def plan(self, context: EpisodeContext) -> Plan:
        """The clips in their order, the chapters and the options decide."""
        clips = _read_record(context.run, "speak")
        script = read_spoken_script(context.run)
        return Plan(
            version=mix_stage.STAGE_VERSION,
            engine=f"av {installed_version('av')}, numpy {installed_version('numpy')}",
            options={
                **msgspec.structs.asdict(context.settings.mix),
                "seed": context.settings.seed,
            },
            inputs={"script": _hash_script(script), "clips": _hash_outputs(clips)},
        )

    def count_units(self, context: EpisodeContext) -> int:
        """The mix is one unit."""
        return 1

    def is_intact(self, context: EpisodeContext, record: Record) -> bool:
        """Whether the MP3, the timeline and the stems are what they were."""
        return not changed_outputs(record, context.run.path / self.name)

    def execute(self, context: EpisodeContext, plan: Plan) -> Made:
        """Mix, master, encode, measure."""
        speak_folder = context.run.path / "speak"
        result = mix_stage.mix(
            read_spoken_script(context.run),
            _read_clips(speak_folder),
            speak_folder,
            context.run.stage_folder(self.name),
            context.settings.mix,
            seed=context.settings.seed,
            progress=context.progress,
        )
        counts = {**result.counts, **msgspec.structs.asdict(result.loudness)}
        return Made(result.outputs, done=1, reused=0, counts=counts)


class PublishStage:
    """The mix becomes what a podcast app needs: tags, cover, transcripts, chapters, notes."""

    name = "publish"

    def plan(self, context: EpisodeContext) -> Plan:
        """The mix, the script, the voices and the options decide, and the run's name and day."""
        mixed = _read_record(context.run, "mix")
        script = read_spoken_script(context.run)
        casting = _cast(context, script.speakers)
        return Plan(
            version=publish_stage.STAGE_VERSION,
            engine=f"mutagen {installed_version('mutagen')}, pillow {installed_version('pillow')}",
            options={
                **msgspec.structs.asdict(context.settings.publish),
                "disclosure": context.settings.disclosure,
                "run": context.run.name,
                "day": context.run.info.created_at[:10],
            },
            inputs={
                "script": _hash_script(script),
                "mp3": mixed.outputs[MP3],
                "timeline": mixed.outputs[TIMELINE],
                **{f"voice {who}": voice.sha256 for who, voice in casting.items()},
            },
        )

    def count_units(self, context: EpisodeContext) -> int:
        """An episode is one unit."""
        return 1

    def is_intact(self, context: EpisodeContext, record: Record) -> bool:
        """Whether every file is what it was."""
        return not changed_outputs(record, context.run.path / self.name)

    def execute(self, context: EpisodeContext, plan: Plan) -> Made:
        """Write everything that a feed needs."""
        mix_folder = context.run.path / "mix"
        folder = context.run.stage_folder(self.name)
        script = read_spoken_script(context.run)
        timeline_path = mix_folder / TIMELINE
        episode = publish_stage.publish(
            script,
            parse(read_bytes(timeline_path), Timeline, where=str(timeline_path)),
            _cast(context, script.speakers),
            mix_folder / MP3,
            folder,
            context.settings.publish,
            run_name=context.run.name,
            run_date=context.run.info.created_at[:10],
            disclosure=context.settings.disclosure,
            progress=context.progress,
        )
        names = sorted(
            path.name
            for path in folder.iterdir()
            if path.is_file() and path.name != RECORD_NAME and not path.name.startswith(".")
        )
        return Made(tuple(names), done=1, reused=0, counts={"audio_bytes": episode.audio_bytes})


EPISODE_STAGES: tuple[Stage, ...] = (WriteStage(), SpeakStage(), MixStage(), PublishStage())


def read_spoken_script(run: Run) -> Script:
    """The script that is to be spoken: the machine's, or a person's edit of it.

    Raises InputError, with the line, for an edit that cannot be understood; RunError where nothing
    was written yet.
    """
    folder = run.path / "write"
    record = _read_record(run, "write")
    written = parse(read_bytes(folder / SCRIPT_JSON), Script, where=str(folder / SCRIPT_JSON))
    edited = _find_edit(folder, record)
    if edited != SCRIPT_MD:
        return written
    text = read_bytes(folder / SCRIPT_MD).decode("utf-8", "replace")
    return parse_script(text, str(folder / SCRIPT_MD))


def _find_edit(folder: Path, record: Record) -> str | None:
    """Which of the script's two files a person has edited; `script.md` where it is both."""
    for name in (SCRIPT_MD, SCRIPT_JSON):
        path = folder / name
        if path.is_file() and sha256_file(path) != record.outputs.get(name):
            return name
    return None


@dataclass(frozen=True)
class _ClipWork:
    """`render_clip` into a folder; a value that can be sent to another process."""

    folder: str

    def __call__(self, engine: Any, job: speak_stage.ClipJob) -> Clip:
        return speak_stage.render_clip(engine, job, Path(self.folder))


@dataclass(frozen=True)
class VoicePace:
    """What the writer must know of voices and mix to hit a length; see `write.length.Pace`."""

    casting: Mapping[str, Voice]
    language: str
    gap_s: float
    mix: Any

    def turn_s(self, speaker_id: str, text: str) -> float:
        """How long the speaker's voice takes for the text."""
        return estimate_s(text, self.casting[speaker_id], self.language)

    def overhead_s(self, chapters: int) -> float:
        """What music, chapter gaps and edges add."""
        return plan_overhead_s(self.mix, chapters)


def _speakers_of(options: WriteOptions) -> tuple[Speaker, ...]:
    return (
        Speaker(id=write_stage.HOST, name=options.host, role="host"),
        Speaker(id=write_stage.GUEST, name=options.guest, role="guest"),
    )


def _make_pace(context: EpisodeContext, speakers: tuple[Speaker, ...]) -> VoicePace:
    return VoicePace(
        casting=_cast(context, speakers),
        language=context.settings.write.language,
        gap_s=expected_gap_s(context.settings.mix),
        mix=context.settings.mix,
    )


def _cast(context: EpisodeContext, speakers: Sequence[Speaker]) -> dict[str, Voice]:
    """Choose the voices; who has spoken in this run keeps the voice, unless another is asked for.

    Without that, a new voice for one speaker could push another into a different one.
    """
    settings = context.settings
    voices = find_voices(context.home, context.progress)
    record = read_record(context.run.path / "speak" / RECORD_NAME)
    before = record.options.get("voices", {}) if record else {}
    kept = [
        msgspec.structs.replace(speaker, voice=before[speaker.id])
        if speaker.voice is None and before.get(speaker.id) in voices
        else speaker
        for speaker in speakers
    ]
    return cast_voices(
        kept,
        voices,
        settings.speak.voices,
        language=settings.write.language,
        progress=context.progress,
    )


def gather_inputs(settings: Settings) -> Inputs:
    """Read notes and scripts from outside. Raises InputError that names the one that is wrong."""
    options = settings.write
    script = b""
    if options.script:
        path = Path(options.script)
        read_script_file(path, options=options, seed=settings.seed, disclosure=settings.disclosure)
        script = read_bytes(path)
    return Inputs(
        note_locations=options.notes,
        notes=read_notes(options.notes, language=options.language),
        script_location=options.script,
        script_bytes=script,
    )


def write_inputs(run: Run, inputs: Inputs) -> None:
    """Keep what came from outside in the run, so that it can be resumed without it."""
    write_atomic(run.stage_folder("write") / INPUTS, to_json(inputs))


def _keep_inputs(context: EpisodeContext) -> Inputs:
    options = context.settings.write
    path = context.run.path / "write" / INPUTS
    if path.is_file():
        kept = parse(read_bytes(path), Inputs, where=str(path))
        if kept.note_locations == options.notes and kept.script_location == options.script:
            return kept
    inputs = gather_inputs(context.settings)
    write_inputs(context.run, inputs)
    return inputs


def _writer_id(model: str) -> str:
    version = installed_version(WRITE_DISTRIBUTION)
    return f"{WRITE_ENGINE} {version}, model {sha256_model(find_model(model))}"


@cache
def _voicer_id(engine: str) -> str:
    with closing(open_engine("speak", engine)) as voicer:
        return str(voicer.id)


def _plan_jobs(script: Script, casting: Mapping[str, Voice]) -> tuple[speak_stage.ClipJob, ...]:
    engine_ids = {engine: _voicer_id(engine) for engine in {v.engine for v in casting.values()}}
    return speak_stage.plan_clips(script, casting, engine_ids)


def _clip_record_path(folder: Path, job: speak_stage.ClipJob) -> Path:
    return (folder / job.path).with_suffix(".record.json")


def _find_clip(folder: Path, job: speak_stage.ClipJob) -> Clip | None:
    record = read_record(_clip_record_path(folder, job))
    if record is None or record.item != job.key or changed_outputs(record, folder):
        return None
    try:
        return msgspec.convert(record.counts["clip"], Clip)
    except (KeyError, msgspec.ValidationError):
        return None


def _record_clip(folder: Path, job: speak_stage.ClipJob, clip: Clip, seconds: float) -> None:
    version = speak_stage.STAGE_VERSION
    record = Record(
        stage="speak",
        item=job.key,
        fingerprint=fingerprint("speak", version, {}, job.engine_id, {"clip": job.key}),
        inputs={"clip": job.key, "voice": job.voice.sha256},
        options={"voice": job.voice.name, "language": job.language, "seed": job.seed},
        engine=job.engine_id,
        outputs={clip.path: sha256_file(folder / clip.path)},
        seconds=seconds,
        counts={"clip": msgspec.to_builtins(clip)},
    )
    write_record(_clip_record_path(folder, job), record)


def _read_clips(folder: Path) -> tuple[Clip, ...]:
    return parse(read_bytes(folder / CLIPS), tuple[Clip, ...], where=str(folder / CLIPS))


def _read_record(run: Run, stage: str) -> Record:
    record = read_record(run.path / stage / RECORD_NAME)
    if record is None:
        raise InputError(
            f"The stage {stage} of run {run.name} is not done.",
            next_step=f"Type `podcaster resume {run.name}`.",
        )
    return record


def _hash_script(script: Script) -> str:
    return sha256(to_json(script)).hexdigest()


def _hash_outputs(record: Record) -> str:
    return sha256(to_json(record.outputs)).hexdigest()
