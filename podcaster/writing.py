"""The stage `write` as the pipeline sees it: what decides a script, and how it is written."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import msgspec

from podcaster.config import Settings
from podcaster.editing import SCRIPT_JSON, SCRIPT_MD, find_edit
from podcaster.engines import ENGINES, open_engine
from podcaster.errors import EngineMissing, InputError
from podcaster.mix.options import MixOptions
from podcaster.mix.timing import expected_gap_s, plan_overhead_s
from podcaster.model import Noun, Record, Script, Speaker, Voice, parse, to_json
from podcaster.pipeline import EpisodeContext, Made, Plan
from podcaster.run import (
    RECORD_NAME,
    Run,
    read_bytes,
    read_record,
    write_atomic,
)
from podcaster.setup.cache import find_adapter, find_model
from podcaster.speak.pace import estimate_s
from podcaster.speak.stage import measure_s
from podcaster.speaking import cast_run
from podcaster.voicing import speech_spec
from podcaster.write import stage as write_stage
from podcaster.write.gguf_file import sha256_model
from podcaster.write.markdown import format_script
from podcaster.write.notes import Note, read_notes
from podcaster.write.options import WriteOptions
from podcaster.write.script_file import read_script_file

GIVEN_SCRIPT = "given-script.md"
INPUTS = "inputs.json"
DRAFT = "draft.jsonl"

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
        engine = "script" if options.script else _find_writer_id(context.run, options.model)
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
        if record and find_edit(folder, record):
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
            with _open_pace(context, script.speakers) as pace:
                return call(taken, None, pace=pace)
        model, adapter = find_model(options.model), find_adapter(options.model)
        if options.model != "builtin":
            # by its place it is known what a show's model was trained on
            options = msgspec.structs.replace(options, model=str(model))
        settings = {
            "path": str(model),
            "adapter": adapter,
            "context_tokens": options.context_tokens,
        }
        with (
            closing(open_engine(self.name, WRITE_ENGINE, **settings)) as engine,
            _open_pace(context, _speakers_of(options)) as pace,
        ):
            return call(options, engine, pace=pace)


@dataclass(frozen=True)
class VoicePace:
    """What the writer must know of voices and mix to hit a length; see `write.length.Pace`."""

    casting: Mapping[str, Voice]
    language: str
    seed: int
    gap_s: float
    mix: MixOptions
    clocks: Mapping[str, Any]  # by engine: what speaks quickly, or knows how long it takes

    def turn_s(self, speaker_id: str, text: str) -> float:
        """How long the speaker's voice takes for the text."""
        return estimate_s(text, self.casting[speaker_id], self.language)

    def said_s(self, speaker_id: str, text: str) -> float:
        """How long it takes: by the clock of its engine, or spoken out; else estimated."""
        voice = self.casting[speaker_id]
        if voice.engine not in self.clocks:
            return self.turn_s(speaker_id, text)
        clock = self.clocks[voice.engine]
        return measure_s(clock, text, voice, language=self.language, seed=self.seed)

    def overhead_s(self, chapters: int) -> float:
        """What music, chapter gaps and edges add."""
        return plan_overhead_s(self.mix, chapters)


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
        notes=read_notes(
            options.notes, language=options.language, allow_private=options.private_notes
        ),
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


def _speakers_of(options: WriteOptions) -> tuple[Speaker, ...]:
    return (
        Speaker(id=write_stage.HOST, name=options.host, role="host"),
        Speaker(id=write_stage.GUEST, name=options.guest, role="guest"),
    )


@contextmanager
def _open_pace(context: EpisodeContext, speakers: Sequence[Speaker]) -> Iterator[VoicePace]:
    casting = cast_run(context, speakers)
    engines = {voice.engine for voice in casting.values()}
    with ExitStack() as opened:
        clocks = {}
        for engine in sorted(engines & ENGINES["time"].keys()):
            spec = speech_spec(engine, context.settings.speak)
            try:
                clock = open_engine("time", engine, **spec.settings)
            except EngineMissing:
                continue  # a model that keeps it to itself: then it is estimated
            clocks[engine] = opened.enter_context(closing(clock))
        yield VoicePace(
            casting=casting,
            language=context.settings.write.language,
            seed=context.settings.seed,
            gap_s=expected_gap_s(context.settings.mix),
            mix=context.settings.mix,
            clocks=clocks,
        )


def _find_writer_id(run: Run, model: str) -> str:
    """The engine that writes; where its model is gone since, the one that has written.

    So an episode whose show was exported again can still be spoken and mixed anew.
    """
    try:
        return _writer_id(model)
    except (InputError, EngineMissing):
        record = read_record(run.path / "write" / RECORD_NAME)
        if record is None:
            raise
        return record.engine


def _writer_id(model: str) -> str:
    version = installed_version(WRITE_DISTRIBUTION)
    files = [find_model(model), *map(Path, filter(None, [find_adapter(model)]))]
    return f"{WRITE_ENGINE} {version}, model {', adapter '.join(map(sha256_model, files))}"
