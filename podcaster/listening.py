"""What a worker does with one recording: hear its words, time them, tell who says them.

The engines are opened once in each worker; jobs and what comes out of them are plain values.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from podcaster.audio import Samples
from podcaster.engines import describe_engine
from podcaster.errors import EngineMissing
from podcaster.mapping import EngineSpec
from podcaster.model import Transcript, Utterance, parse
from podcaster.progress import Progress, Silence
from podcaster.recordings import TRANSCRIBE
from podcaster.run import read_bytes
from podcaster.setup.speech import (
    choose_whisper,
    describe_limits,
    find_align_models,
    find_speech_model,
)
from podcaster.transcribe.assign import assign_speakers
from podcaster.transcribe.engine import SAMPLE_RATE_HZ, Aligner, Diariser, Transcriber
from podcaster.transcribe.options import TranscribeOptions
from podcaster.transcribe.realign import Move, realign
from podcaster.transcribe.stage import load_samples, transcribe_recording

_SOUND = "s of sound"


@dataclass(frozen=True)
class Job:
    """What a worker needs to know of a recording; `given` are words that it came with."""

    audio: str
    given: str = ""
    language: str = ""
    hotwords: tuple[str, ...] = ()
    fewest: int | None = None
    most: int | None = None
    title: str = ""


@dataclass(frozen=True)
class Listened:
    """A recording's words, and those that changed speakers after diarisation."""

    transcript: Transcript
    moves: tuple[Move, ...] = ()


@dataclass(frozen=True)
class EarsSpec:
    """Which engines listen; all are opened once in each worker. None: that work is not wanted.

    `model` is the Whisper model's name or folder, found where the worker is; `align_if_here`:
    words keep Whisper's own times where there is no alignment model for their language.
    """

    words: EngineSpec | None
    align: EngineSpec | None = None
    diarise: EngineSpec | None = None
    model: str = ""
    align_if_here: bool = False
    stage: str = TRANSCRIBE

    @property
    def name(self) -> str:
        """The engines by name."""
        return " + ".join(spec.name for spec in self._specs())

    @property
    def engine_id(self) -> str:
        """All of them with versions, for the fingerprint; nothing is opened."""
        return ", ".join(describe_engine(spec.stage, spec.name) for spec in self._specs())

    def open(self) -> "Ears":
        """Open them. Raises EngineMissing, EngineError."""
        return Ears(self)

    def _specs(self) -> list[EngineSpec]:
        return [spec for spec in (self.words, self.align, self.diarise) if spec is not None]


class Ears:
    """The open engines of a worker."""

    def __init__(self, spec: EarsSpec) -> None:
        with ExitStack() as stack:
            words = spec.words
            if words is not None:
                found = {"model": str(find_speech_model(spec.model)), **words.settings}
                words = replace(words, settings=found)
            self.transcriber: Transcriber | None = _enter(stack, words)
            self.aligner: Aligner | None = _open_aligner(stack, spec)
            self.diariser: Diariser | None = _enter(stack, spec.diarise)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close them."""
        self._stack.close()


def _enter(stack: ExitStack, spec: EngineSpec | None) -> Any:
    return stack.enter_context(closing(spec.open())) if spec is not None else None


def _open_aligner(stack: ExitStack, spec: EarsSpec) -> Aligner | None:
    named = spec.align is not None and bool(spec.align.settings.get("model"))
    if spec.align_if_here and not named and not find_align_models():
        return None  # whisperX takes ten seconds to import
    aligner: Aligner | None = _enter(stack, spec.align)
    return _AlignerIfHere(aligner) if aligner is not None and spec.align_if_here else aligner


class _AlignerIfHere:
    """Times words where it has a model for the language, and leaves Whisper's times elsewhere."""

    def __init__(self, aligner: Aligner) -> None:
        self._aligner = aligner
        self._aligned = False

    @property
    def id(self) -> str:
        """What timed the words last."""
        return self._aligner.id if self._aligned else "none for the language"

    def align(
        self, samples: Samples, utterances: Sequence[Utterance], *, language: str
    ) -> tuple[Utterance, ...]:
        try:
            aligned = self._aligner.align(samples, utterances, language=language)
        except EngineMissing:
            self._aligned = False
            return tuple(utterances)
        self._aligned = True
        return aligned

    def close(self) -> None:
        self._aligner.close()


def transcribe_file(
    path: Path,
    options: TranscribeOptions,
    progress: Progress,
    *,
    language: str | None = None,
    on_utterance: Callable[[Utterance], None] | None = None,
) -> Listened:
    """Transcribe one recording here and now, without a show; utterances are told as they come.

    Raises InputError where it has no sound that can be read, EngineMissing, EngineError.
    """
    samples_job = Job(
        audio=str(path),
        language=language or "",
        fewest=options.fewest_speakers or None,
        most=options.most_speakers or None,
        title=path.stem,
    )
    spec = plan_ears(options)
    note_limits(spec, progress)
    with closing(spec.open()) as ears:
        return listen(ears, samples_job, progress, on_utterance=on_utterance)


def note_limits(spec: EarsSpec, progress: Progress) -> None:
    """Say what to know of the model that hears the words, where there is something to know."""
    limits = describe_limits(spec.model) if spec.words is not None else ""
    if limits:
        progress.note(limits)


def listen(
    ears: Ears,
    job: Job,
    progress: Progress | None = None,
    *,
    on_utterance: Callable[[Utterance], None] | None = None,
) -> Listened:
    """Hear a recording's words, time them, and tell who says them: a worker's work."""
    samples = load_samples(Path(job.audio))
    told = progress or Silence()
    length_s = len(samples) / SAMPLE_RATE_HZ

    def hear(utterance: Utterance) -> None:
        told.report("words", min(utterance.end_s or 0.0, 0.99 * length_s), length_s, _SOUND)
        if on_utterance is not None:
            on_utterance(utterance)

    if ears.transcriber is None:
        transcript = parse(read_bytes(Path(job.given)), Transcript, where=job.given)
    else:
        transcript = transcribe_recording(
            samples,
            ears.transcriber,
            ears.aligner,
            language=job.language or None,
            hotwords=job.hotwords,
            on_utterance=hear,
        )
        transcript = msgspec.structs.replace(transcript, title=job.title)
        told.report("words", length_s, length_s, _SOUND)
    if ears.diariser is None or not transcript.utterances:
        return Listened(transcript)
    told.report("voices", 0, length_s, _SOUND)
    spans = ears.diariser.diarise(samples, fewest=job.fewest, most=job.most)
    utterances, moves = realign(assign_speakers(transcript.utterances, spans))
    told.report("voices", length_s, length_s, _SOUND)
    changed = msgspec.structs.replace(transcript, utterances=utterances, diariser=ears.diariser.id)
    return Listened(changed, moves)


def plan_ears(options: TranscribeOptions, environment: Mapping[str, str] = os.environ) -> EarsSpec:
    """Which engines the options ask for; whether they are there is seen when they are opened."""
    cores = os.cpu_count() or 1
    words = EngineSpec(
        TRANSCRIBE,
        "faster_whisper",
        {
            "compute_type": options.compute_type,
            "device": options.device,
            "batch_size": options.batch_size,
            "beam_size": options.beam_size,
            "cpu_threads": max(1, cores // max(1, options.workers)),
        },
    )
    align = None
    if options.align != "none":
        settings = {"device": options.device, "model": options.align_model}
        align = EngineSpec(TRANSCRIBE, "whisperx", settings)
    diarise = choose_diariser(options, environment)
    return EarsSpec(
        words, align, diarise, choose_whisper(options.model), align_if_here=options.align == "auto"
    )


def choose_diariser(
    options: TranscribeOptions, environment: Mapping[str, str] = os.environ
) -> EngineSpec | None:
    """The diariser asked for; of itself pyannote's where there is a token, else our own."""
    name = options.diarise
    if name == "auto":
        name = "pyannote" if environment.get("HF_TOKEN") else "builtin"
    if name == "none":
        return None
    return EngineSpec(TRANSCRIBE, name, {"device": options.device})


@dataclass(frozen=True)
class NoEars:
    """Finished words need nothing opened."""

    stage: str = TRANSCRIBE
    name: str = "finished words"

    def open(self) -> "NoEars":
        """Nothing is opened."""
        return self

    def close(self) -> None:
        """Nothing was opened."""
        return


def take_given(_: Any, job: Job) -> Listened:
    """Finished words: those that were cut off go back to whoever was saying the sentence."""
    transcript = parse(read_bytes(Path(job.given)), Transcript, where=job.given)
    utterances, moves = realign(transcript.utterances)
    return Listened(msgspec.structs.replace(transcript, utterances=utterances), moves)
