"""The stages of an episode, as rows of the pipeline's table."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import sha256
from importlib.metadata import version as installed_version
from pathlib import Path

import msgspec

from podcaster.audio import Samples
from podcaster.editing import hash_script, read_spoken_script, read_stage_record
from podcaster.engines import describe_engine, open_engine
from podcaster.mix import stage as mix_stage
from podcaster.model import Record, Timeline, parse, to_json
from podcaster.pipeline import EpisodeContext, Made, Plan, Stage
from podcaster.publish import stage as publish_stage
from podcaster.run import (
    RECORD_NAME,
    changed_outputs,
    read_bytes,
)
from podcaster.speaking import SpeakStage, cast_run, read_clips
from podcaster.units import SAMPLE_RATE_HZ
from podcaster.writing import WriteStage

TIMELINE = "timeline.json"
MP3 = "episode.mp3"
MARKER = "audioseal"


class MixStage:
    """Clips become one MP3 and a timeline."""

    name = "mix"

    def plan(self, context: EpisodeContext) -> Plan:
        """The clips in their order, the chapters and the options decide."""
        clips = read_stage_record(context.run, "speak")
        script = read_spoken_script(context.run)
        engine = f"av {installed_version('av')}, numpy {installed_version('numpy')}"
        options = {
            **msgspec.structs.asdict(context.settings.mix),
            "seed": context.settings.seed,
        }
        if context.settings.mix.watermark:
            engine += f", {describe_engine('mark', MARKER)}"
        else:
            del options["watermark"]  # episodes from before there were any stay as they are
        return Plan(
            version=mix_stage.STAGE_VERSION,
            engine=engine,
            options=options,
            inputs={"script": hash_script(script), "clips": _hash_outputs(clips)},
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
        with _open_mark(context) as mark:
            result = mix_stage.mix(
                read_spoken_script(context.run),
                read_clips(speak_folder),
                speak_folder,
                context.run.stage_folder(self.name),
                context.settings.mix,
                seed=context.settings.seed,
                progress=context.progress,
                mark=mark,
            )
        counts = {**result.counts, **msgspec.structs.asdict(result.loudness)}
        return Made(result.outputs, done=1, reused=0, counts=counts)


class PublishStage:
    """The mix becomes what a podcast app needs: tags, cover, transcripts, chapters, notes."""

    name = "publish"

    def plan(self, context: EpisodeContext) -> Plan:
        """The mix, the script, the voices and the options decide, and the run's name and day."""
        mixed = read_stage_record(context.run, "mix")
        script = read_spoken_script(context.run)
        casting = cast_run(context, script.speakers)
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
                "script": hash_script(script),
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
            cast_run(context, script.speakers),
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


@contextmanager
def _open_mark(context: EpisodeContext) -> Iterator[Callable[[Samples], Samples] | None]:
    """Lend what marks the sound, if that is asked for. Raises EngineMissing."""
    folder = context.settings.mix.watermark
    if not folder:
        yield None
        return
    place = str((context.home / Path(folder).expanduser()).resolve())
    with closing(open_engine("mark", MARKER, model=place)) as marker:
        yield lambda samples: marker.mark(samples, SAMPLE_RATE_HZ)


def _hash_outputs(record: Record) -> str:
    return sha256(to_json(record.outputs)).hexdigest()
