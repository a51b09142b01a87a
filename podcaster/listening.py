"""What a worker does with one recording: hear its words, time them, tell who says them.

The engines are opened once in each worker; jobs and what comes out of them are plain values.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from podcaster.engines import describe_engine
from podcaster.mapping import EngineSpec
from podcaster.model import Transcript, Utterance, parse
from podcaster.recordings import TRANSCRIBE
from podcaster.run import read_bytes
from podcaster.setup.speech import find_speech_model
from podcaster.transcribe.assign import assign_speakers
from podcaster.transcribe.engine import Aligner, Diariser, Transcriber
from podcaster.transcribe.options import TranscribeOptions
from podcaster.transcribe.realign import Move, realign
from podcaster.transcribe.stage import load_samples, transcribe_recording


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

    `model` is the Whisper model's name or folder, found where the worker is.
    """

    words: EngineSpec | None
    align: EngineSpec | None = None
    diarise: EngineSpec | None = None
    model: str = ""
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
            self.aligner: Aligner | None = _enter(stack, spec.align)
            self.diariser: Diariser | None = _enter(stack, spec.diarise)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close them."""
        self._stack.close()


def _enter(stack: ExitStack, spec: EngineSpec | None) -> Any:
    return stack.enter_context(closing(spec.open())) if spec is not None else None


def transcribe_file(
    path: Path,
    options: TranscribeOptions,
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
    with closing(plan_ears(options).open()) as ears:
        return listen(ears, samples_job, on_utterance=on_utterance)


def listen(
    ears: Ears, job: Job, *, on_utterance: Callable[[Utterance], None] | None = None
) -> Listened:
    """Hear a recording's words, time them, and tell who says them: a worker's work."""
    samples = load_samples(Path(job.audio))
    if ears.transcriber is None:
        transcript = parse(read_bytes(Path(job.given)), Transcript, where=job.given)
    else:
        transcript = transcribe_recording(
            samples,
            ears.transcriber,
            ears.aligner,
            language=job.language or None,
            hotwords=job.hotwords,
            on_utterance=on_utterance,
        )
        transcript = msgspec.structs.replace(transcript, title=job.title)
    if ears.diariser is None or not transcript.utterances:
        return Listened(transcript)
    spans = ears.diariser.diarise(samples, fewest=job.fewest, most=job.most)
    told = assign_speakers(transcript.utterances, spans)
    utterances, moves = realign(told)
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
        align = EngineSpec(TRANSCRIBE, options.align, {"device": options.device})
    diarise = choose_diariser(options, environment)
    return EarsSpec(words, align, diarise, model=options.model)


def choose_diariser(
    options: TranscribeOptions, environment: Mapping[str, str] = os.environ
) -> EngineSpec | None:
    """The diariser asked for; of itself pyannote's where there is a token, else our own."""
    name = options.diarise
    if name == "auto":
        name = "pyannote" if environment.get("HF_TOKEN") else "builtin"
    if name == "none":
        return None
    settings = {"device": options.device} if name == "pyannote" else {}
    return EngineSpec(TRANSCRIBE, name, settings)


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
