"""What speaks clips in a worker: a speech engine, and the gate that every clip has to pass.

A clip is spoken until a take passes, or as often as is allowed; the best take is kept, with what
is wrong with it.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from podcaster.audio import Samples, decode
from podcaster.engines import open_engine
from podcaster.errors import EngineMissing, InputError, PodcasterError
from podcaster.mapping import Opener
from podcaster.model import Voice
from podcaster.speak.checks.gate import RULE_ENGINES, Gate, GateOptions, Verdict
from podcaster.speak.checks.pace import Habits
from podcaster.speak.checks.voice import LISTENING_RATE_HZ, Vectors, take_print
from podcaster.speak.cloning import LIKENESSES
from podcaster.speak.engine import BatchVoicer, Request, Speech
from podcaster.speak.stage import ClipJob, Rendered, finish_clip, spoken_sentences
from podcaster.speak.takes import choose_take

_LONGEST_REFERENCE_S = 60.0
_REFERENCE_WINDOWS = 24

# a clip, or why there is none
Spoken = Rendered | PodcasterError


@dataclass(frozen=True)
class Session:
    """Clips to speak side by side, and how: plain values, for any process.

    `takes` is how often each may be spoken; `others` are the voices that it must not sound like;
    `habits` what is usual for the voice, where that is known.
    """

    jobs: tuple[ClipJob, ...]
    takes: int = 1
    others: tuple[Voice, ...] = ()
    habits: Habits | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The recordings that the work reads."""
        voices = (*(job.voice for job in self.jobs), *self.others)
        return tuple(dict.fromkeys(path for voice in voices for path in voice.references))

    @property
    def letters(self) -> int:
        """How much there is to say."""
        return sum(len(job.text) for job in self.jobs)


@dataclass(frozen=True)
class BoothSpec:
    """How to open a booth: the speech engine, and what hears whether a clip is good.

    `whisper` is the folder of a Whisper model that writes down what is said, "" for none.
    """

    voicer: Opener
    check: bool = True
    whisper: str = ""
    device: str = "auto"

    @property
    def stage(self) -> str:
        """The stage that it works for."""
        return "speak"

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.voicer.name

    def open(self) -> "Booth":
        """Open engine and ears. Raises PodcasterError."""
        return Booth(self)


class Booth:
    """An engine, a gate, and what they know of voices. Used from one thread of one process."""

    def __init__(self, spec: BoothSpec) -> None:
        self._stack = ExitStack()
        self.voicer = spec.voicer.open()
        self._stack.callback(self.voicer.close)
        # an engine that follows rules neither babbles nor changes its voice
        self.thorough = spec.check and spec.name not in RULE_ENGINES
        self.listener = self._open_listener(spec.device) if self.thorough else None
        self.gate = Gate(
            GateOptions(thorough=self.thorough),
            listener=self.listener,
            transcriber=self._open_ear(spec) if self.thorough and spec.whisper else None,
        )
        self.check = spec.check
        self._prints: dict[str, Vectors | None] = {}

    def close(self) -> None:
        """Free all of it."""
        self._stack.close()

    def say(self, job: ClipJob, seed: int) -> Speech:
        """Speak a clip once. Raises EngineError, VoiceError."""
        sentences = spoken_sentences(job)
        speech: Speech = self.voicer.say(sentences, job.voice, language=job.language, seed=seed)
        return speech

    def judge(self, job: ClipJob, speech: Speech, session: Session) -> Verdict:
        """What the gate says of a take. Raises EngineError, InputError."""
        if not self.check:
            return Verdict({})
        prints = (self.reference_print(v) for v in session.others if v != job.voice)
        return self.gate.judge(
            speech.samples,
            speech.sample_rate_hz,
            spoken_sentences(job),
            speech.sentence_ends_s,
            job.voice,
            job.language,
            reference=self.reference_print(job.voice),
            others=[one for one in prints if one is not None],
            habits=session.habits,
        )

    def reference_print(self, voice: Voice) -> Vectors | None:
        """The voiceprint of a voice's recordings, found once; None without any, or without ears.

        A likeness is not held to it: it is near to the recordings, and nobody's clone.

        Raises InputError where a recording cannot be read.
        """
        if self.listener is None or not voice.references or voice.engine in LIKENESSES:
            return None
        if voice.sha256 not in self._prints:
            samples = np.concatenate(list(_read_references(voice)))
            self._prints[voice.sha256] = take_print(
                self.listener, samples, LISTENING_RATE_HZ, windows=_REFERENCE_WINDOWS
            )
        return self._prints[voice.sha256]

    def _open_listener(self, device: str) -> Any:
        try:
            listener = open_engine("voiceprint", "resemblyzer", device=device)
        except EngineMissing:
            return None  # the other checks do without
        self._stack.callback(listener.close)
        return listener

    def _open_ear(self, spec: BoothSpec) -> "Ear":
        # one thread: there may be a booth on each core
        settings = {"model": spec.whisper, "device": spec.device, "cpu_threads": 1}
        ear = Ear(open_engine("transcribe", "faster_whisper", **settings))
        self._stack.callback(ear.close)
        return ear


class Ear:
    """A transcriber of recordings, as the gate wants one."""

    def __init__(self, transcriber: Any) -> None:
        self._transcriber = transcriber

    def transcribe(self, samples: Samples, rate_hz: int, language: str) -> str | None:
        """The words in sound at any rate, as plain text; None: the model knows no such language.

        Raises EngineError.
        """
        heard = np.asarray(soxr.resample(samples, rate_hz, LISTENING_RATE_HZ), dtype=np.float32)
        try:
            found = self._transcriber.listen(heard, language=language, hotwords=())
        except InputError:
            return None
        return " ".join(said.text for said in found.utterances)

    def close(self) -> None:
        """Give the model's memory back."""
        self._transcriber.close()


def render(booth: Booth, session: Session) -> tuple[Spoken, ...]:
    """Speak the clips of a session, each as often as it takes; one that fails stops no other."""
    first = _speak_first(booth.voicer, session.jobs)
    return tuple(
        _render_one(booth, session, job, speech)
        for job, speech in zip(session.jobs, first, strict=True)
    )


def _speak_first(voicer: Any, jobs: Sequence[ClipJob]) -> list[Speech | None]:
    """The first take of each, side by side where the engine can; None: it is still to be spoken."""
    speeches: list[Speech | None] = [None] * len(jobs)
    asked = [number for number, job in enumerate(jobs) if spoken_sentences(job)]
    if len(asked) < 2 or not isinstance(voicer, BatchVoicer):
        return speeches
    try:
        said = voicer.say_many([_request(jobs[number]) for number in asked])
    except PodcasterError:
        return speeches  # one by one, it shows whose fault it is
    for number, speech in zip(asked, said, strict=True):
        speeches[number] = speech
    return speeches


def _render_one(booth: Booth, session: Session, job: ClipJob, first: Speech | None) -> Spoken:
    sentences = spoken_sentences(job)
    if not sentences:
        return finish_clip(job, None)

    def say(seed: int) -> Speech:
        if first is not None and seed == job.seed:
            return first
        return booth.say(job, seed)

    try:
        take = choose_take(
            say, lambda speech: booth.judge(job, speech, session), session.takes, job.seed
        )
        return finish_clip(job, take)
    except PodcasterError as error:
        return error


def _request(job: ClipJob) -> Request:
    return Request(spoken_sentences(job), job.voice, job.language, job.seed)


def _read_references(voice: Voice) -> Iterator[Samples]:
    """A voice's recordings at 16 kHz, a minute of all of them at most."""
    left = round(_LONGEST_REFERENCE_S * LISTENING_RATE_HZ)
    for path in voice.references:
        for block in decode(Path(path), sample_rate_hz=LISTENING_RATE_HZ, channels=1):
            yield block.reshape(-1)[:left]
            left -= len(block)
            if left <= 0:
                return
    if left == round(_LONGEST_REFERENCE_S * LISTENING_RATE_HZ):
        raise InputError(f"The references of voice {voice.name!r} hold no sound.")
