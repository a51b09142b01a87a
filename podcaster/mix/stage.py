"""The stage `mix`: spoken clips become an episode, mastered, with a timeline.

Three walks over the episode, each in blocks: the clips are scanned, the programme is rendered
into a file of its own and measured on the way, and that file is mastered and encoded.
"""

import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podcaster.audio import LoudnessMeter, Samples, to_pcm16
from podcaster.errors import RunError
from podcaster.mix.clips import ClipScan, level_gain, scan_clip
from podcaster.mix.master import Programme, master, target_lufs
from podcaster.mix.options import MixOptions
from podcaster.mix.render import (
    MUSIC,
    PlacedClip,
    Plan,
    plan_layers,
    plan_places,
    plan_room,
    render_blocks,
)
from podcaster.mix.timeline import describe_timeline
from podcaster.mix.timing import (
    Placement,
    Utterance,
    head_and_tail_s,
    place_turns,
    summarise_gaps,
)
from podcaster.model import Clip, Loudness, Script, Timeline, to_json
from podcaster.progress import Progress
from podcaster.run import atomic_path, make_folder, write_atomic, writing
from podcaster.units import SAMPLE_RATE_HZ

STAGE_VERSION = 1
EPISODE_NAME = "episode.mp3"
TIMELINE_NAME = "timeline.json"
PROGRAMME_NAME = ".programme.tmp.f32"

_HEADROOM_DB = 4.0  # voices are mixed so much under the final loudness
_RENDERED = 0.25  # share of the work
_WIDE_MISS_LU = 0.5


@dataclass(frozen=True)
class MixResult:
    """What was made: `outputs` are names in the stage's folder."""

    timeline: Timeline
    loudness: Loudness
    outputs: tuple[str, ...]
    counts: dict[str, float | int]


def mix(
    script: Script,
    clips: tuple[Clip, ...],
    clips_folder: Path,
    folder: Path,
    options: MixOptions,
    *,
    seed: int,
    progress: Progress,
    mark: Callable[[Samples], Samples] | None = None,
) -> MixResult:
    """Mix `clips`, one for each of the script's turns in order, into `folder`/episode.mp3.

    Writes the timeline beside it, and stems where the options ask for them. Memory does not grow
    with the episode's length. The same arguments give the same bytes. `mark` is put on each block
    of the programme, music included, before it is mastered.
    Raises RunError where a clip is missing or broken, or where `folder` cannot be written.
    """
    channels = 2 if options.stereo else 1
    scans = _scan_clips(script, clips, clips_folder)
    placed = _place(script, scans, options, seed)
    duration = round((max(p.end_s for p in placed) + head_and_tail_s(options)[1]) * SAMPLE_RATE_HZ)
    plan = _plan(script, scans, placed, duration, options, seed)
    timeline = describe_timeline(script, clips, scans, placed, duration)

    furthest = 0.0

    def report(share: float) -> None:
        nonlocal furthest
        furthest = max(furthest, share)  # a second encoding does not take anything back
        progress.report("mix", furthest * timeline.duration_s, timeline.duration_s, "s")

    make_folder(folder)
    raw = folder / PROGRAMME_NAME
    stems = _stem_names(plan) if options.stems else {}
    try:
        with _stem_writer(folder, stems, channels) as stem:
            lufs = _render(plan, raw, stem, lambda share: report(_RENDERED * share), mark)
        programme = Programme(raw, channels, plan.samples, lufs)
        with atomic_path(folder / EPISODE_NAME) as temporary:
            loudness, encoded = master(
                programme,
                temporary,
                options.bitrate_kbps,
                lambda share: report(_RENDERED + (1 - _RENDERED) * share),
            )
    finally:
        raw.unlink(missing_ok=True)
    write_atomic(folder / TIMELINE_NAME, to_json(timeline))
    if abs(loudness.integrated_lufs - target_lufs(channels)) > _WIDE_MISS_LU:
        progress.note(
            f"The episode's loudness is {loudness.integrated_lufs:.1f} LUFS, expected "
            f"{target_lufs(channels):.0f}: its clips are nearly silent."
        )
    return MixResult(
        timeline=timeline,
        loudness=loudness,
        outputs=(EPISODE_NAME, TIMELINE_NAME, *stems.values()),
        counts={**summarise_gaps(placed), "encoded": encoded},
    )


def _scan_clips(script: Script, clips: tuple[Clip, ...], folder: Path) -> list[ClipScan]:
    turns = list(script.turns())
    if len(turns) != len(clips):
        raise RunError(
            f"There are {len(clips)} clips for the script's {len(turns)} turns.",
            next_step="Type `podcaster resume RUN`: what is missing is spoken.",
        )
    scans = []
    for number, (turn, clip) in enumerate(zip(turns, clips, strict=True), start=1):
        where = f"turn {number} ({turn.speaker})"
        path = folder / clip.path
        if not path.resolve().is_relative_to(folder.resolve()):
            raise RunError(f"The clip of {where} lies outside {folder}: {clip.path}.")
        scans.append(scan_clip(path, clip, where))
    return scans


def _place(
    script: Script, scans: list[ClipScan], options: MixOptions, seed: int
) -> tuple[Placement, ...]:
    chapters = [index for index, chapter in enumerate(script.chapters) for _ in chapter.turns]
    utterances = [
        Utterance(turn.speaker, turn.text, chapter, scan.duration_s)
        for turn, chapter, scan in zip(script.turns(), chapters, scans, strict=True)
    ]
    head_s, _ = head_and_tail_s(options)
    return place_turns(utterances, options, seed=seed, first_start_s=head_s)


def _plan(
    script: Script,
    scans: list[ClipScan],
    placed: tuple[Placement, ...],
    samples: int,
    options: MixOptions,
    seed: int,
) -> Plan:
    level_lufs = target_lufs(2 if options.stereo else 1) - _HEADROOM_DB
    speakers = [turn.speaker for turn in script.turns()]
    powers: dict[str, list[float]] = {}
    for speaker, scan in zip(speakers, scans, strict=True):
        powers.setdefault(speaker, []).extend(scan.powers)
    gains = {speaker: level_gain(found, level_lufs) for speaker, found in powers.items()}
    clips = []
    for speaker, scan, placement in zip(speakers, scans, placed, strict=True):
        start = round(placement.start_s * SAMPLE_RATE_HZ)
        end = start + round(scan.duration_s * SAMPLE_RATE_HZ)
        clips.append(PlacedClip(speaker, scan, gains[speaker], start, end))
    speech = [(placement.start_s, placement.end_s) for placement in placed]
    return Plan(
        clips=clips,
        layers=plan_layers(speech, options, seed=seed, level_lufs=level_lufs),
        room=plan_room(options, seed=seed, change_db=_HEADROOM_DB),
        places=plan_places([s for s in script.speakers if s.id in powers]),
        samples=samples,
        channels=2 if options.stereo else 1,
    )


def _render(
    plan: Plan,
    raw: Path,
    stem: Callable[[str, Samples], None] | None,
    report: Callable[[float], None],
    mark: Callable[[Samples], Samples] | None,
) -> float:
    """Render into the file `raw` and return the programme's integrated loudness."""
    meter = LoudnessMeter(SAMPLE_RATE_HZ, plan.channels, true_peak=False)
    done = 0
    with writing(raw), raw.open("wb") as file:
        for block in render_blocks(plan, stem):
            if mark is not None:
                block = mark(block)
            file.write(np.ascontiguousarray(block, dtype="<f4").data)
            meter.add(block)
            done += len(block)
            report(done / plan.samples)
    return meter.result().integrated_lufs


def _stem_names(plan: Plan) -> dict[str, str]:
    # somebody's id may be "music"
    names = {s: f"stems/{s}-speaker.wav" if s == "music" else f"stems/{s}.wav" for s in plan.places}
    return {**names, MUSIC: "stems/music.wav"}


@contextmanager
def _stem_writer(
    folder: Path, names: dict[str, str], channels: int
) -> Iterator[Callable[[str, Samples], None] | None]:
    """Lend a function that appends a block to a stem; None where no stems are wanted."""
    if not names:
        yield None
        return
    with ExitStack() as stack:
        files: dict[str, wave.Wave_write] = {}
        for stem, name in names.items():
            temporary = stack.enter_context(atomic_path(folder / name))
            file = stack.enter_context(wave.open(str(temporary), "wb"))
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            files[stem] = file
        yield lambda stem, block: files[stem].writeframes(to_pcm16(block))
