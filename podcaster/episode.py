"""The stages of an episode as the pipeline sees them, and the whole of one from start to finish."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from podcaster import __version__
from podcaster.borrowing import borrow
from podcaster.config import (
    Configuration,
    Settings,
    compose_settings,
    format_configuration,
    load_configuration,
    parse_configuration,
    settings_by_key,
)
from podcaster.editing import read_spoken_script
from podcaster.errors import ConfigError, EngineMissing
from podcaster.model import Timeline, parse
from podcaster.pipeline import EpisodeContext, StageReport, run_stages
from podcaster.progress import Progress, Silence
from podcaster.publish.episodes import add_episode
from podcaster.publish.feed import read_feed
from podcaster.run import Run, create_run, open_run, read_bytes, write_atomic
from podcaster.setup.cache import find_model, find_stand_in
from podcaster.setup.catalogue import BUILTIN_NAME
from podcaster.speak.voices import choose_voice, find_voices
from podcaster.stages import EPISODE_STAGES
from podcaster.units import count_words, format_duration
from podcaster.writing import gather_inputs, write_inputs

CONFIG_NAME = "config.toml"


def start_episode(
    home: Path,
    flags: Mapping[str, Any],
    *,
    publish: bool = False,
    progress: Progress | None = None,
) -> tuple[Run, Settings]:
    """Check everything that can be checked, then make a run for a new episode.

    `flags` are settings by key, as `config.load_configuration` takes them. With `publish` there
    must be a feed. Raises ConfigError, InputError and EngineMissing before anything is made.
    """
    configuration = load_configuration(home, flags, os.environ)
    configuration = _find_writer(_complete(_borrow(home, configuration)), progress or Silence())
    settings = configuration.settings
    _check_request(home, settings)
    if publish:
        read_feed(home)
    inputs = gather_inputs(settings)
    title = settings.write.guest or Path(settings.write.script).stem
    run = create_run(home, title, kind="episode", seed=settings.seed, version=__version__)
    write_inputs(run, inputs)
    write_atomic(run.path / CONFIG_NAME, format_configuration(configuration).encode())
    return run, settings


def reopen_episode(
    home: Path,
    reference: str,
    *,
    voices: Mapping[str, str],
    quality: str | None = None,
    cluster: str | None = None,
) -> tuple[Run, Settings]:
    """Open a run again; `voices` (role or name → voice) are added to its configuration.

    Another `quality` is that of speaking: what was written stays, and so does what wrote it.
    Where the work is done is not the run's: `cluster`, or what the workspace says.
    """
    run = open_run(home, reference, "episode")
    flags = {} if cluster is None else {"cluster.address": cluster}
    here = load_configuration(home, flags, os.environ).settings
    settings = msgspec.structs.replace(read_settings(run), cluster=here.cluster)
    if voices or quality:
        values = settings_by_key(settings)
        values["speak.voices"] = {**settings.speak.voices, **voices}
        values["quality"] = quality or settings.quality
        settings = compose_settings(values)
        origins = {"speak.voices": "resume --voice"} if voices else {}
        origins |= {"quality": "resume --quality"} if quality else {}
        changed = Configuration(settings=settings, origins=origins)
        write_atomic(run.path / CONFIG_NAME, format_configuration(changed).encode())
    return run, settings


def read_settings(run: Run) -> Settings:
    """The settings that a run was made with, a person's edits included. Raises ConfigError."""
    path = run.path / CONFIG_NAME
    try:
        text = read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text: {error}.") from error
    return parse_configuration(text, str(path))


def make_episode(
    home: Path,
    run: Run,
    settings: Settings,
    *,
    until: str,
    publish: bool,
    progress: Progress,
    preview: bool = False,
) -> dict[str, Any]:
    """Bring a run up to date and say where everything is: the result of `episode` and `resume`.

    Raises RunLocked where another process works on the run, and whatever a stage raises.
    """
    if publish:
        read_feed(home)  # fails now, and not after the work, where there is no feed
    context = EpisodeContext(home, run, settings, progress, preview=preview)
    with run.lock():
        reports = run_stages(context, EPISODE_STAGES, until=until)
        published = None
        if publish and until == "publish":
            published = add_episode(home, run.path).episode.guid
    return _describe(run, reports, published)


def format_result(result: Mapping[str, Any]) -> str:
    """Spell an episode's result for people."""
    lines = [f"run         {result['run']}", f"script      {result['script']}"]
    if result["mp3"]:
        lines += [
            f"transcript  {result['transcript']}",
            f"episode     {result['mp3']}",
            f"            {format_duration(result['duration_s'])}, {result['words']:,} words",
        ]
    if result["published"]:
        lines.append(f"published   {result['published']}")
    return "\n".join(lines)


def _borrow(home: Path, configuration: Configuration) -> Configuration:
    """Take from the show what nobody said otherwise."""
    show = configuration.settings.show
    if not show:
        return configuration
    values = settings_by_key(configuration.settings)
    origins = dict(configuration.origins)
    for key, value in borrow(home, show, Silence()).settings.items():
        if origins[key] == "default":
            values[key], origins[key] = value, f"show {show}"
    return Configuration(settings=compose_settings(values), origins=origins)


def _complete(configuration: Configuration) -> Configuration:
    """Draw a seed and choose the tier's model, where nobody said."""
    values = settings_by_key(configuration.settings)
    origins = dict(configuration.origins)
    if origins["seed"] == "default":
        values["seed"] = secrets.randbelow(2**31)
        origins["seed"] = "drawn"
    quality = configuration.settings.quality
    if origins["write.model"] == "default" and quality not in ("sketch", "draft"):
        values["write.model"] = quality
        origins["write.model"] = f"quality {quality}"
    return Configuration(settings=compose_settings(values), origins=origins)


def _find_writer(configuration: Configuration, progress: Progress) -> Configuration:
    """Where the built-in model is damaged or gone, take the best that was downloaded, and say so.

    Raises EngineMissing where there is none.
    """
    write = configuration.settings.write
    if write.script or write.model != BUILTIN_NAME:
        return configuration
    try:
        find_model(write.model)
    except EngineMissing as error:
        instead = find_stand_in()
        if instead is None:
            raise
        progress.note(f"{error} Until then {instead.name} writes.")
        values = {**settings_by_key(configuration.settings), "write.model": instead.name}
        origins = {**configuration.origins, "write.model": "in place of builtin"}
        return Configuration(settings=compose_settings(values), origins=origins)
    return configuration


def _check_request(home: Path, settings: Settings) -> None:
    write = settings.write
    if not write.guest.strip() and not write.script:
        raise ConfigError(
            "An episode needs a guest, and --guest is empty or missing.",
            next_step='Type for example: podcaster episode --guest "Ada Lovelace".',
        )
    if not write.script:
        find_model(write.model)
    voices = find_voices(home)
    for name in settings.speak.voices.values():
        choose_voice(name, voices)


def _describe(
    run: Run, reports: Mapping[str, StageReport], published: str | None
) -> dict[str, Any]:
    script = read_spoken_script(run)
    duration_s = 0.0
    if "mix" in reports:
        path = run.path / "mix" / "timeline.json"
        duration_s = parse(read_bytes(path), Timeline, where=str(path)).duration_s
    finished = "publish" in reports
    publish_folder = run.path / "publish"
    mp3 = publish_folder / "episode.mp3" if finished else run.path / "mix" / "episode.mp3"
    return {
        "run": run.name,
        "folder": str(run.path),
        "script": str(run.path / "write" / "script.md"),
        "mp3": str(mp3) if "mix" in reports else None,
        "transcript": str(publish_folder / "episode.vtt") if finished else None,
        "chapters": str(publish_folder / "chapters.json") if finished else None,
        "duration_s": duration_s,
        "words": sum(count_words(turn.text) for turn in script.turns()),
        "seed": script.seed,
        "stages": {name: msgspec.to_builtins(report) for name, report in reports.items()},
        "published": published,
    }
