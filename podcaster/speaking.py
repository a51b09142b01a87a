"""The stage `speak` as the pipeline sees it: who has which voice, and a record for every clip."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from podcaster.editing import SCRIPT_MD, hash_script, read_spoken_script
from podcaster.engines import open_engine
from podcaster.errors import EngineError, InputError, RunError
from podcaster.mapping import EngineSpec, map_locally
from podcaster.model import (
    Chapter,
    Clip,
    Record,
    Script,
    Speaker,
    Turn,
    Voice,
    parse,
    to_json,
)
from podcaster.pipeline import EpisodeContext, Made, Plan
from podcaster.run import (
    RECORD_NAME,
    atomic_path,
    changed_outputs,
    fingerprint,
    make_folder,
    read_bytes,
    read_record,
    sha256_file,
    write_atomic,
    write_record,
)
from podcaster.speak import stage as speak_stage
from podcaster.speak.casting import cast_voices
from podcaster.speak.stage import plan_clips, render_clip
from podcaster.speak.voices import find_voices, set_pace

CLIPS = "clips.json"


class SpeakStage:
    """A script becomes clips; each clip is a unit with a record of its own."""

    name = "speak"

    def plan(self, context: EpisodeContext) -> Plan:
        """The words, the voices and their engines decide; the number of workers does not."""
        script = read_spoken_script(context.run)
        casting = cast_run(context, script.speakers)
        jobs = _plan_jobs(script, casting)
        return Plan(
            version=speak_stage.STAGE_VERSION,
            engine=", ".join(sorted({job.engine_id for job in jobs})),
            options={"voices": {who: voice.name for who, voice in casting.items()}},
            inputs={
                "script": hash_script(script),
                **{f"voice {who}": voice.sha256 for who, voice in casting.items()},
            },
        )

    def count_units(self, context: EpisodeContext) -> int:
        """The clips."""
        folder = context.run.path / self.name
        return len({clip.path for clip in read_clips(folder)})

    def is_intact(self, context: EpisodeContext, record: Record) -> bool:
        """Whether every clip is what it was."""
        return not changed_outputs(record, context.run.path / self.name)

    def execute(self, context: EpisodeContext, plan: Plan) -> Made:
        """Speak what is not there; each clip counts as soon as its record is written."""
        folder = context.run.stage_folder(self.name)
        script = read_spoken_script(context.run)
        jobs = _plan_jobs(script, cast_run(context, script.speakers))
        clips = {job.key: clip for job in jobs if (clip := _find_clip(folder, job)) is not None}
        reused = len(clips)
        missing = [job for job in jobs if job.key not in clips]
        context.progress.report(self.name, reused, len(jobs), "clips")
        failures: list[str] = []
        for engine in sorted({job.voice.engine for job in missing}):
            theirs = [job for job in missing if job.voice.engine == engine]
            work = ClipWork(str(folder))
            spec = EngineSpec(self.name, engine)
            workers = context.settings.speak.workers
            for outcome in map_locally(theirs, work, spec, workers):
                if isinstance(outcome.error, RunError):
                    raise outcome.error  # the disk: no other clip would fare better
                if outcome.result is None:
                    message = outcome.error.message if outcome.error else ""
                    failures.append(f"turn {outcome.item.turns[0] + 1}: {message}")
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


def cast_run(context: EpisodeContext, speakers: Sequence[Speaker]) -> dict[str, Voice]:
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
    casting = cast_voices(
        kept,
        voices,
        settings.speak.voices,
        language=settings.write.language,
        progress=context.progress,
    )
    paces = settings.speak.paces
    wanted = {who.id: paces.get(who.name, paces.get(who.role)) for who in speakers}
    return {who: set_pace(voice, wanted[who]) for who, voice in casting.items()}


def say_text(
    home: Path, voice_name: str, text: str, path: Path, *, language: str = "en", seed: int = 0
) -> Clip:
    """Speak `text` into the WAV file `path` as an episode would.

    Raises InputError for an empty text, VoiceError for an unknown voice, EngineError, RunError.
    """
    if not text.strip():
        raise InputError("There is nothing to say: the text is empty.")
    speaker = Speaker(id="speaker", name="Speaker", role="host", voice=voice_name)
    script = Script(
        title="A text",
        summary="",
        language=language,
        speakers=(speaker,),
        chapters=(Chapter(title="A text", turns=(Turn(speaker="speaker", text=text),)),),
        seed=seed,
        model="none",
    )
    casting = cast_voices((speaker,), find_voices(home), {}, language=language)
    make_folder(path.parent)
    with closing(open_engine("speak", casting["speaker"].engine)) as engine:
        job = plan_clips(script, casting, {casting["speaker"].engine: engine.id})[0]
        with atomic_path(path) as temporary:
            clip = render_clip(engine, replace(job, path=temporary.name), path.parent)
    return clip


@dataclass(frozen=True)
class ClipWork:
    """`render_clip` into a folder; a value that can be sent to another process."""

    folder: str

    def __call__(self, engine: Any, job: speak_stage.ClipJob) -> Clip:
        """Speak one clip with an opened `Voicer`."""
        return speak_stage.render_clip(engine, job, Path(self.folder))


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


def read_clips(folder: Path) -> tuple[Clip, ...]:
    """The clips of a run's turns, in order; `folder` is the stage's. Raises RunError."""
    return parse(read_bytes(folder / CLIPS), tuple[Clip, ...], where=str(folder / CLIPS))
