"""The clips of an episode, spoken wherever there are workers: found again, handed out, recorded.

Only this process writes into the run, so that a killed one loses what was being spoken and no more.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import msgspec
import psutil

from podcaster.booth import BoothSpec, Session, Spoken, render
from podcaster.config import Settings
from podcaster.engines import ENGINES
from podcaster.errors import EngineMissing, RunError
from podcaster.mapping import ITEMS_WORTH_A_PROCESS, Mapper, Outcome, map_locally
from podcaster.model import Clip, Record, Voice
from podcaster.pipeline import EpisodeContext
from podcaster.previewing import Preview
from podcaster.progress import Progress, Silence
from podcaster.run import (
    changed_outputs,
    fingerprint,
    read_record,
    sha256_file,
    write_atomic,
    write_record,
)
from podcaster.setup.speech import find_speech_model
from podcaster.speak import stage as speak_stage
from podcaster.speak.checks.gate import RULE_ENGINES
from podcaster.speak.checks.pace import Habits, learn_habits, pace_bounds_s
from podcaster.speak.options import SpeakOptions
from podcaster.speak.stage import ClipJob, Rendered
from podcaster.voicing import batch_size, speech_spec
from podcaster.workers import open_workers

# takes of a clip at most, by the quality that is asked for
TAKES = {"sketch": 2, "draft": 2, "standard": 3, "studio": 5}
_CLIPS_A_PROCESS = 2  # an engine with a model takes about as long to open as these to speak
# share of the clips that may be refused by their engine; beyond it, something else is wrong
_MOST_LEFT_OUT = 0.1


class Rendering:
    """The clips of one episode: those that are there, and those that are being made.

    `takes` counts what was spoken now, `rejected` what of it did not pass the gate.
    """

    def __init__(
        self, context: EpisodeContext, jobs: Sequence[ClipJob], casting: Mapping[str, Voice]
    ) -> None:
        self.folder = context.run.stage_folder("speak")
        self.jobs = tuple(jobs)
        self.takes = self.rejected = 0
        self._reasons: dict[str, str] = {}
        self._context = context
        self._allowed = choose_takes(context.settings)
        self._voices = tuple({voice.sha256: voice for voice in casting.values()}.values())
        found = {job.key: self._find(job) for job in jobs}
        self.clips = {key: clip for key, clip in found.items() if clip is not None}
        self.reused = len(self.clips)

    def speak(self, preview: Preview | None) -> list[str]:
        """Speak what is missing. Where too much could not be spoken, it comes back as sentences.

        A few clips that an engine refuses are left out: a beat of silence each, and a fault. They
        are tried again the next time. Raises RunError where the disk refuses, EngineMissing and
        EngineError where an engine cannot be opened.
        """
        for job in self.jobs if preview else ():
            if job.key in self.clips:
                self._show(preview, job)
        self._report()
        missing = [job for job in self.jobs if job.key not in self.clips]
        for engine in sorted({job.voice.engine for job in missing}):
            theirs = [job for job in missing if job.voice.engine == engine]
            self._work_off(engine, self._cut_sessions(theirs), preview)
        failed = [job for job in missing if job.key not in self.clips]
        if len(failed) > _MOST_LEFT_OUT * len(self.jobs):
            return [f"turn {job.turns[0] + 1}: {self._reasons[job.key]}" for job in failed]
        for job in failed:
            self._record(job, speak_stage.leave_out(job, self._reasons[job.key]), 0.0)
            self._show(preview, job)
        if self._context.settings.speak.check:
            for engine in sorted({job.voice.engine for job in missing} - RULE_ENGINES):
                self._work_off(engine, self._find_odd_ones(engine), None)
        return []

    def faulty(self) -> dict[int, str]:
        """What is wrong with clips of which no take was good, by the turns that they serve."""
        return {
            turn: " ".join(self.clips[job.key].faults)
            for job in self.jobs
            for turn in job.turns
            if job.key in self.clips and self.clips[job.key].faults
        }

    def _work_off(self, engine: str, sessions: Sequence[Session], preview: Preview | None) -> None:
        if not sessions:
            return
        spec = booth_spec(engine, self._context.settings.speak, self._context.progress)
        with open_mapper(self._context, engine) as mapper:
            # what is heard first is spoken first where somebody listens
            size = None if preview else _letters
            for outcome in mapper(sessions, render, spec, size=size):
                self._take(outcome, preview)

    def _find_odd_ones(self, engine: str) -> list[Session]:
        """Clips that passed, but are of a length unlike all others in their voice: once more.

        What is usual is known when all are spoken, so that the order of work changes no verdict.
        """
        sessions = []
        for voice in self._voices:
            jobs = [j for j in self.jobs if j.voice.sha256 == voice.sha256 and j.key in self.clips]
            habits = learn_habits(self.clips[job.key].quality for job in jobs)
            if voice.engine != engine or habits is None:
                continue
            odd = [job for job in jobs if _is_odd(self.clips[job.key], habits)]
            sessions += [replace(one, habits=habits) for one in self._cut_sessions(odd)]
        return sessions

    def _cut_sessions(self, jobs: Sequence[ClipJob]) -> list[Session]:
        size = batch_size(jobs[0].voice.engine) if jobs else 1
        sessions = []
        for start in range(0, len(jobs), size):
            group = tuple(jobs[start : start + size])
            own = {job.voice.sha256 for job in group}
            others = tuple(v for v in self._voices if v.references and {v.sha256} != own)
            sessions.append(Session(group, self._allowed, others))
        return sessions

    def _take(self, outcome: Outcome[Session, tuple[Spoken, ...]], preview: Preview | None) -> None:
        """Record what a session made, and why it did not make the rest."""
        session = outcome.item
        if isinstance(outcome.error, RunError):
            raise outcome.error  # the disk: no other clip would fare better
        results = outcome.result or (outcome.error,) * len(session.jobs)
        for job, spoken in zip(session.jobs, results, strict=True):
            if not isinstance(spoken, Rendered):
                self._reasons[job.key] = spoken.message if spoken else "Nothing came back."
                continue
            self._record(job, spoken, outcome.seconds / len(session.jobs))
            self._show(preview, job)
        self._report()

    def _record(self, job: ClipJob, spoken: Rendered, seconds: float) -> None:
        clip, version = spoken.clip, speak_stage.STAGE_VERSION
        write_atomic(self.folder / clip.path, spoken.wav)
        record = Record(
            stage="speak",
            item=job.key,
            fingerprint=fingerprint("speak", version, {}, job.engine_id, {"clip": job.key}),
            inputs={"clip": job.key, "voice": job.voice.sha256},
            options={"voice": job.voice.name, "language": job.language, "seed": job.seed},
            engine=job.engine_id,
            outputs={clip.path: sha256_file(self.folder / clip.path)},
            seconds=round(seconds, 4),
            counts={"clip": msgspec.to_builtins(clip), "tried": spoken.tried},
        )
        write_record(_record_path(self.folder, job), record)
        self.clips[job.key] = clip
        self.takes += spoken.tried
        self.rejected += spoken.tried if clip.faults else spoken.tried - 1

    def _find(self, job: ClipJob) -> Clip | None:
        """A clip that was made before; not one that failed and may be tried more often now."""
        record = read_record(_record_path(self.folder, job))
        if record is None or record.item != job.key or changed_outputs(record, self.folder):
            return None
        try:
            clip = msgspec.convert(record.counts["clip"], Clip)
            tried = msgspec.convert(record.counts.get("tried", 1), int)
        except (KeyError, msgspec.ValidationError):
            return None
        return None if clip.faults and tried < self._allowed else clip

    def _show(self, preview: Preview | None, job: ClipJob) -> None:
        if preview is not None:
            preview.add(job.key, self.folder / job.path)

    def _report(self) -> None:
        told = (
            f"clips, {self.rejected} of {self.takes} takes rejected" if self.rejected else "clips"
        )
        self._context.progress.report("speak", len(self.clips), len(self.jobs), told)


def choose_takes(settings: Settings) -> int:
    """How often a clip may be spoken."""
    if not settings.speak.check:
        return 1
    return settings.speak.takes or TAKES[settings.quality]


def describe_gate(settings: Settings) -> dict[str, object]:
    """The options of the gate, as far as they decide which takes are kept."""
    return {"takes": choose_takes(settings), "check": settings.speak.check}


def booth_spec(engine: str, options: SpeakOptions, progress: Progress | None = None) -> BoothSpec:
    """How to open what speaks and listens for an engine.

    Raises EngineMissing where its model, or the Whisper model asked for, is not on this machine.
    """
    listens = options.check and engine not in RULE_ENGINES
    whisper = find_whisper(options.whisper, progress or Silence()) if listens else ""
    return BoothSpec(speech_spec(engine, options), options.check, whisper, options.device)


def find_whisper(name: str, progress: Progress) -> str:
    """The folder of the model that writes down what was said; "" for none.

    Where the best that is here is damaged, that is said, and clips are judged without it.

    Raises EngineMissing for one by name that is not on this machine.
    """
    if name == "none":
        return ""
    if name == "auto" and find_spec("faster_whisper") is None:
        return ""
    try:
        return str(find_speech_model(name))
    except EngineMissing as error:
        if name != "auto":
            raise
        progress.note(f"What is said is not checked. {error}")
        return ""


@contextmanager
def open_mapper(context: EpisodeContext, engine: str) -> Iterator[Mapper]:
    """Lend what hands sessions out: a Ray cluster where one is named, else this machine."""
    settings = context.settings
    workers = settings.speak.workers
    if settings.cluster.address or os.environ.get("RAY_ADDRESS"):
        with open_workers(settings.cluster, workers, context.progress) as lent:
            yield lent.mapper
        return
    worth = ITEMS_WORTH_A_PROCESS
    if engine not in RULE_ENGINES:
        workers, worth = workers or count_processes(engine, settings.speak.device), _CLIPS_A_PROCESS
    yield partial(map_locally, workers=workers, items_worth_a_process=worth)


def count_processes(engine: str, device: str) -> int:
    """How many processes an engine with a model gets, unless a person says otherwise.

    One where it has threads or a GPU of its own; else one a core, as far as there is memory.
    """
    entry = ENGINES["speak"].get(engine)
    if entry is None or not entry.memory_bytes or device == "cuda":
        return 1
    fit = psutil.virtual_memory().available // entry.memory_bytes
    return int(max(1, min(os.cpu_count() or 1, fit)))


def order_keys(jobs: Sequence[ClipJob]) -> list[str]:
    """The key of each turn's clip, in the script's order."""
    by_turn = {turn: job.key for job in jobs for turn in job.turns}
    return [by_turn[turn] for turn in sorted(by_turn)]


def _is_odd(clip: Clip, habits: Habits) -> bool:
    took_s, pace = clip.quality.get("speech_s", 0.0), clip.quality.get("pace", 0.0)
    if clip.faults or took_s <= 0 or pace <= 0:
        return False
    least_s, most_s = pace_bounds_s(took_s / pace, habits)
    return not least_s <= took_s <= most_s


def _letters(session: Session) -> float:
    return float(session.letters)


def _record_path(folder: Path, job: ClipJob) -> Path:
    return (folder / job.path).with_suffix(".record.json")
