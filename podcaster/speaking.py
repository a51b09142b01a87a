"""The stage `speak` as the pipeline sees it: who has which voice, and what is spoken when."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec.structs import replace

from podcaster.booth import Session, render
from podcaster.editing import SCRIPT_MD, hash_script, mark_script, read_spoken_script
from podcaster.errors import EngineError, InputError
from podcaster.model import Chapter, Clip, Record, Script, Speaker, Turn, Voice, parse, to_json
from podcaster.pipeline import EpisodeContext, Made, Plan
from podcaster.previewing import Preview, serve_preview
from podcaster.rendering import TAKES, Rendering, booth_spec, describe_gate, order_keys
from podcaster.run import (
    RECORD_NAME,
    changed_outputs,
    make_folder,
    read_bytes,
    read_record,
    write_atomic,
)
from podcaster.speak import stage as speak_stage
from podcaster.speak.casting import cast_voices
from podcaster.speak.engine import Samples, StreamingVoicer
from podcaster.speak.options import SpeakOptions
from podcaster.speak.sketching import ESPEAK, sketch
from podcaster.speak.stage import ClipJob, Rendered, plan_clips, spoken_sentences
from podcaster.speak.voices import find_voices, is_nobodys, set_pace
from podcaster.voicing import (
    engine_id,
    note_likeness,
    resolve_engine,
    speech_spec,
    stand_in,
    why_missing,
)

CLIPS = "clips.json"


class SpeakStage:
    """A script becomes clips; each clip is a unit with a record of its own."""

    name = "speak"

    def plan(self, context: EpisodeContext) -> Plan:
        """The words, the voices, their engines and the gate decide; the workers do not."""
        script = read_spoken_script(context.run)
        casting = cast_run(context, script.speakers)
        jobs = _plan_jobs(script, casting, context.settings.speak)
        return Plan(
            version=speak_stage.STAGE_VERSION,
            engine=", ".join(sorted({job.engine_id for job in jobs})),
            options={
                "voices": {who: voice.name for who, voice in casting.items()},
                **describe_gate(context.settings),
            },
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
        script = read_spoken_script(context.run)
        casting = cast_run(context, script.speakers)
        note_likeness(casting, context.settings.speak, context.progress)
        self._note_stand_ins(context, casting)
        jobs = _plan_jobs(script, casting, context.settings.speak)
        rendering = Rendering(context, jobs, casting)
        with _lend_preview(context, jobs) as preview:
            failures = rendering.speak(preview)
        faulty = rendering.faulty()
        mark_script(context.run, faulty)
        if faulty:
            context.progress.note(
                f"Turns that did not come out well: {len(faulty)}. They are marked in "
                f"{context.run.path / 'write' / SCRIPT_MD}: change them, or allow more takes "
                f"([speak] takes), and type `podcaster resume {context.run.name}`."
            )
        if failures:
            raise EngineError(
                f"{len(failures)} of {len(jobs)} clips could not be spoken: "
                f"{' '.join(failures[:3])}",
                next_step=f"Mend {context.run.path / 'write' / SCRIPT_MD} and type "
                f"`podcaster resume {context.run.name}`: the other clips are kept.",
            )
        ordered = speak_stage.order_clips(jobs, rendering.clips)
        write_atomic(rendering.folder / CLIPS, to_json(ordered))
        paths = tuple(dict.fromkeys(clip.path for clip in ordered))
        counts = {
            "clips": len(jobs),
            "speech_s": round(sum(clip.duration_s for clip in ordered), 3),
            "takes": rendering.takes,
            "rejected": rendering.rejected,
            "faulty": len(faulty),
        }
        done, reused = len(jobs) - rendering.reused, rendering.reused
        return Made((CLIPS, *paths), done=done, reused=reused, counts=counts)

    def _note_stand_ins(self, context: EpisodeContext, casting: Mapping[str, Voice]) -> None:
        """Say why eSpeak NG speaks where that was not asked for."""
        if context.settings.quality == "sketch":
            return
        voices = find_voices(context.home)
        names = {voice.name for voice in casting.values() if voice.engine == ESPEAK}
        reasons = {str(why_missing(voices[name])) for name in names if why_missing(voices[name])}
        for reason in sorted(reasons):
            context.progress.note(f"{reason} Until then eSpeak NG imitates the voices.")


def cast_run(context: EpisodeContext, speakers: Sequence[Speaker]) -> dict[str, Voice]:
    """Choose the voices; who has spoken in this run keeps the voice, unless another is asked for.

    Without that, a new voice for one speaker could push another into a different one.
    """
    settings = context.settings
    voices = find_voices(context.home, context.progress)
    record = read_record(context.run.path / "speak" / RECORD_NAME)
    before = record.options.get("voices", {}) if record else {}
    kept = [
        replace(speaker, voice=before[speaker.id])
        if speaker.voice is None and before.get(speaker.id) in voices
        else speaker
        for speaker in speakers
    ]
    language = settings.write.language
    casting = cast_voices(
        kept, voices, settings.speak.voices, language=language, progress=context.progress
    )
    quickly = settings.quality == "sketch"
    imitate = sketch if quickly else stand_in
    casting = {
        who: imitate(voice) if is_nobodys(voice) else voice for who, voice in casting.items()
    }
    paces = settings.speak.paces
    wanted = {who.id: paces.get(who.name, paces.get(who.role)) for who in speakers}
    return {
        who: set_pace(resolve_engine(voice, settings.speak, language, quickly=quickly), wanted[who])
        for who, voice in casting.items()
    }


def say_text(
    home: Path,
    voice_name: str,
    text: str,
    path: Path,
    *,
    language: str = "en",
    seed: int = 0,
    options: SpeakOptions | None = None,
) -> Clip:
    """Speak `text` into the WAV file `path` as an episode would.

    Raises InputError for an empty text, VoiceError for an unknown voice, EngineError, RunError.
    """
    options = options or SpeakOptions()
    job = _plan_text(home, voice_name, text, language, seed, options)
    make_folder(path.parent)
    takes = options.takes or TAKES["standard"]
    with closing(booth_spec(job.voice.engine, options).open()) as booth:
        spoken = render(booth, Session((job,), takes=takes))[0]
    if not isinstance(spoken, Rendered):
        raise spoken
    write_atomic(path, spoken.wav)
    return replace(spoken.clip, path=str(path))


def stream_text(
    home: Path,
    voice_name: str,
    text: str,
    *,
    language: str = "en",
    seed: int = 0,
    options: SpeakOptions | None = None,
) -> Iterator[tuple[Samples, int]]:
    """Speak `text` in pieces, each with its rate in hertz, as soon as the engine has them.

    Nothing is judged or levelled, which would need the whole. Raises as `say_text` does.
    """
    options = options or SpeakOptions()
    job = _plan_text(home, voice_name, text, language, seed, options)
    sentences, voice = spoken_sentences(job), job.voice
    with closing(speech_spec(job.voice.engine, options).open()) as voicer:
        if isinstance(voicer, StreamingVoicer):
            pieces = voicer.stream(sentences, voice, language=language, seed=seed)
            yield from ((piece, voicer.sample_rate_hz) for piece in pieces)
            return
        speech = voicer.say(sentences, voice, language=language, seed=seed)
        yield speech.samples, speech.sample_rate_hz


def _plan_text(
    home: Path, voice_name: str, text: str, language: str, seed: int, options: SpeakOptions
) -> ClipJob:
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
    casting = {who: resolve_engine(voice, options, language) for who, voice in casting.items()}
    return _plan_jobs(script, casting, options)[0]


def _plan_jobs(
    script: Script, casting: Mapping[str, Voice], options: SpeakOptions
) -> tuple[ClipJob, ...]:
    names = {voice.engine for voice in casting.values()}
    return plan_clips(script, casting, {name: engine_id(name, options) for name in names})


def read_clips(folder: Path) -> tuple[Clip, ...]:
    """The clips of a run's turns, in order; `folder` is the stage's. Raises RunError."""
    return parse(read_bytes(folder / CLIPS), tuple[Clip, ...], where=str(folder / CLIPS))


@contextmanager
def _lend_preview(context: EpisodeContext, jobs: Sequence[ClipJob]) -> Iterator[Preview | None]:
    """A preview to listen to while turns are spoken, if one is asked for."""
    if not context.preview:
        yield None
        return
    preview = Preview(order_keys(jobs))
    with serve_preview(preview) as address:
        context.progress.note(f"listen while it is made: {address}")
        yield preview
