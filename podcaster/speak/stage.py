"""Stage `speak`: what is to be spoken is planned as jobs, each of which becomes one clip.

A clip is addressed by its content: the same words by the same voice are spoken once, and a turn
that is put in, moved or taken out touches no other turn's clip.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from podcaster import audio
from podcaster.errors import EngineError, VoiceError
from podcaster.model import Clip, Language, Noun, Script, Segment, Sha256, Voice
from podcaster.run import write_atomic
from podcaster.speak.checks.gate import Verdict
from podcaster.speak.engine import Clock, Samples, Speech, Voicer
from podcaster.speak.quality import normalise_level, score_clip
from podcaster.speak.takes import Take, choose_take
from podcaster.speak.text import prepare

STAGE_VERSION = 1
CLIPS_FOLDER = "clips"
# a turn in which nothing can be said (a lone emoji) is a beat of silence
_BEAT_S = 0.3
_BEAT_RATE_HZ = 22_050
_SILENT = 1e-3  # of full scale, -60 dB
_EDGE_S = 0.005


class JobSentence(Noun, frozen=True):
    """A sentence as captions show it and as it is spoken (empty: it is only shown)."""

    written: str
    spoken: str


class ClipJob(Noun, frozen=True):
    """One clip to make: what is said, how, and where it goes; plain data, for any process.

    `key` is the hash of all that decides the clip's content. `turns` are the numbers, from 0, of
    the script's turns that it serves. `path` is relative to the stage's folder.
    """

    key: Sha256
    path: str
    turns: tuple[int, ...]
    text: str
    sentences: tuple[JobSentence, ...]
    voice: Voice
    language: Language
    seed: int
    engine_id: str


def plan_clips(
    script: Script, casting: Mapping[str, Voice], engine_ids: Mapping[str, str]
) -> tuple[ClipJob, ...]:
    """Plan the clips of a script, in the order in which they are first heard.

    `casting` maps speaker ids to voices, `engine_ids` the names of their engines to `Voicer.id`.
    Raises VoiceError where a speaker or an engine is missing, InputError for an endless turn.
    """
    jobs: dict[str, ClipJob] = {}
    for index, turn in enumerate(script.turns()):
        voice = casting.get(turn.speaker)
        if voice is None:
            raise VoiceError(f"Nobody is cast as {turn.speaker!r}, who speaks turn {index + 1}.")
        if voice.engine not in engine_ids:
            raise VoiceError(
                f"Voice {voice.name!r} needs the engine {voice.engine!r}, which is not open."
            )
        job = _plan_one(turn.text, voice, script, engine_ids[voice.engine])
        known = jobs.get(job.key, job)
        jobs[job.key] = msgspec.structs.replace(known, turns=(*known.turns, index))
    return tuple(jobs.values())


@dataclass(frozen=True)
class Rendered:
    """A clip and the bytes of its WAV file; `tried` is how many takes it took.

    They come back to whoever asked: machines that work together need not share a disk.
    """

    clip: Clip
    wav: bytes
    tried: int


def spoken_sentences(job: ClipJob) -> tuple[str, ...]:
    """What of a job is said aloud."""
    return tuple(sentence.spoken for sentence in job.sentences if sentence.spoken)


def finish_clip(job: ClipJob, take: Take | None) -> Rendered:
    """Make a clip of the take that was kept: 16-bit mono at the engine's own rate.

    The silence around it is cut to some milliseconds, and its loudness is brought to
    quality.CLIP_LUFS. None is a beat of silence, for a turn in which nothing is said.
    """
    spoken = spoken_sentences(job)
    speech = _beat() if take is None else _tidy(take.speech, spoken, job.engine_id)
    samples, lufs = normalise_level(speech.samples, speech.sample_rate_hz)
    duration_s = len(samples) / speech.sample_rate_hz
    scores = score_clip(samples, speech.sample_rate_hz, spoken, lufs)
    if take is not None:
        scores |= take.verdict.scores
    clip = Clip(
        path=job.path,
        text=job.text,
        voice=job.voice.name,
        duration_s=duration_s,
        sample_rate_hz=speech.sample_rate_hz,
        sentences=_caption(job.sentences, speech.sentence_ends_s, duration_s),
        take=take.number if take else 0,
        quality=scores,
        faults=tuple(fault.message for fault in take.verdict.faults) if take else (),
    )
    tried = 1 if take is None else take.rejected + (1 if take.passed else 0)
    return Rendered(clip, audio.format_wav(samples, speech.sample_rate_hz), tried)


def leave_out(job: ClipJob, reason: str) -> Rendered:
    """A beat of silence in place of a clip that its engine refuses: nothing is captioned."""
    speech = _beat()
    clip = Clip(
        path=job.path,
        text=job.text,
        voice=job.voice.name,
        duration_s=len(speech.samples) / speech.sample_rate_hz,
        sample_rate_hz=speech.sample_rate_hz,
        sentences=(),
        faults=(f"Left out: {reason}",),
    )
    return Rendered(clip, audio.format_wav(speech.samples, speech.sample_rate_hz), tried=0)


def render_clip(engine: Voicer, job: ClipJob, folder: Path) -> Clip:
    """Speak one clip once, without a gate, and write it to `folder / job.path`.

    Raises EngineError and VoiceError as the engine does, RunError where it cannot be written.
    """
    spoken = spoken_sentences(job)
    take = None
    if spoken:
        take = choose_take(
            lambda seed: engine.say(spoken, job.voice, language=job.language, seed=seed),
            lambda _: Verdict({}),
            takes=1,
            seed=job.seed,
        )
    rendered = finish_clip(job, take)
    write_atomic(folder / job.path, rendered.wav)
    return rendered.clip


def measure_s(
    engine: Voicer | Clock, text: str, voice: Voice, *, language: str, seed: int
) -> float:
    """How long the clip of a text will be, in seconds: told by a clock, or found by speaking it.

    Raises EngineError and VoiceError as the engine does.
    """
    spoken = [sentence.spoken for sentence in prepare(text, language) if sentence.spoken]
    if not spoken:
        return _BEAT_S
    if isinstance(engine, Clock):
        return engine.time_s(spoken, voice, language=language, seed=seed)
    speech = _tidy(engine.say(spoken, voice, language=language, seed=seed), spoken, engine.id)
    return len(speech.samples) / speech.sample_rate_hz


def order_clips(jobs: Iterable[ClipJob], clips: Mapping[str, Clip]) -> tuple[Clip, ...]:
    """One clip per turn of the script, in order; `clips` are by the jobs' keys.

    Raises KeyError where a clip is missing.
    """
    by_turn = {turn: clips[job.key] for job in jobs for turn in job.turns}
    return tuple(by_turn[turn] for turn in sorted(by_turn))


def _plan_one(text: str, voice: Voice, script: Script, engine_id: str) -> ClipJob:
    sentences = tuple(
        JobSentence(written=sentence.written, spoken=sentence.spoken)
        for sentence in prepare(text, script.language)
    )
    decided = {
        "stage_version": STAGE_VERSION,
        "text": text,
        "sentences": sentences,
        "voice": voice.sha256,
        "engine": engine_id,
        "language": script.language,
        "seed": script.seed,
    }
    key = hashlib.sha256(msgspec.json.encode(decided, order="sorted")).hexdigest()
    return ClipJob(
        key=key,
        path=f"{CLIPS_FOLDER}/{key[:16]}.wav",
        turns=(),
        text=text,
        sentences=sentences,
        voice=voice,
        language=script.language,
        seed=script.seed,
        engine_id=engine_id,
    )


def _beat() -> Speech:
    silence = np.zeros(round(_BEAT_S * _BEAT_RATE_HZ), dtype=np.float32)
    return Speech(silence, _BEAT_RATE_HZ, ())


def _tidy(speech: Speech, spoken: Sequence[str], engine: str) -> Speech:
    """Cut the silence around what was said. Raises EngineError where its ends are not told."""
    if len(speech.sentence_ends_s) != len(spoken):
        raise EngineError(
            f"{engine} returned {len(speech.sentence_ends_s)} sentence ends, "
            f"expected {len(spoken)}."
        )
    return _trim_edges(speech)


def _trim_edges(speech: Speech) -> Speech:
    """Cut silence before and after; gaps between turns are the mix's business."""
    loud = np.flatnonzero(np.abs(speech.samples) > _SILENT)
    if len(loud) == 0:
        return speech
    edge = round(_EDGE_S * speech.sample_rate_hz)
    start = max(0, int(loud[0]) - edge)
    samples: Samples = speech.samples[start : int(loud[-1]) + 1 + edge]
    duration_s, lead_s = len(samples) / speech.sample_rate_hz, start / speech.sample_rate_hz
    ends_s = tuple(min(duration_s, max(0.0, end - lead_s)) for end in speech.sentence_ends_s)
    return Speech(samples, speech.sample_rate_hz, ends_s)


def _caption(
    sentences: Iterable[JobSentence], ends_s: Iterable[float], duration_s: float
) -> tuple[Segment, ...]:
    """Captions one after the other; what is only shown joins the sentence before it."""
    ends = iter(ends_s)
    shown: list[tuple[str, float]] = []
    pending = ""
    for sentence in sentences:
        if sentence.spoken:
            shown.append((f"{pending} {sentence.written}".strip(), next(ends)))
            pending = ""
        elif shown:
            text, end_s = shown[-1]
            shown[-1] = (f"{text} {sentence.written}", end_s)
        else:
            pending = f"{pending} {sentence.written}".strip()
    if pending:
        shown.append((pending, duration_s))
    segments: list[Segment] = []
    start_s = 0.0
    for index, (text, end_s) in enumerate(shown):
        end_s = duration_s if index == len(shown) - 1 else max(start_s, end_s)
        segments.append(Segment(text=text, start_s=start_s, end_s=end_s))
        start_s = end_s
    return tuple(segments)
