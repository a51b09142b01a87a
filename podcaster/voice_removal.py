"""A voice leaves the library: its folder, what was derived from it, and what it has spoken.

Clips are found by their records, so that they are found after the voice itself is gone, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podcaster.errors import InputError, PodcasterError, VoiceError
from podcaster.publish.episodes import remove_episode
from podcaster.publish.feed import FEED_NAME, feed_folder, read_feed
from podcaster.publish.stage import AUDIO_NAME
from podcaster.run import RECORD_NAME, Run, list_runs, open_run, read_record, writing
from podcaster.speak.voices import VOICE_FILE, builtin_folder, choose_voice, find_voices
from podcaster.speakers.voice_folders import REFERENCE_TOML
from podcaster.voice_shelf import discard, lock_voices

_SUFFIX = f".{RECORD_NAME}"
_BUILTIN_ENGINE = "espeak"


@dataclass(frozen=True)
class VoiceUse:
    """What a run holds of a voice: paths of clips (with their records), stems, whole episodes."""

    run: str
    clips: tuple[Path, ...]
    stems: tuple[Path, ...]
    episodes: tuple[Path, ...]
    in_feed: bool


@dataclass
class Removed:
    """What was removed, and what is still there. `folder` is None where no such voice was left."""

    name: str
    folder: Path | None
    uses: tuple[VoiceUse, ...]
    from_show: bool = False
    clips_removed: int = 0
    stems_removed: int = 0
    episodes_removed: int = 0
    failures: dict[str, PodcasterError] = field(default_factory=dict)


def find_uses(home: Path, name: str) -> tuple[VoiceUse, ...]:
    """The runs that contain what a voice has spoken, oldest first."""
    in_feed = _runs_in_feed(home)
    uses = []
    for run_name in list_runs(home, "episode"):
        folder = home / "runs" / run_name
        clips = tuple(_find_clips(folder / "speak" / "clips", name))
        speakers = _find_speakers(folder, name) if clips else ()
        if clips:
            uses.append(
                VoiceUse(
                    run=run_name,
                    clips=clips,
                    stems=_existing(
                        folder / "mix" / "stems" / f"{speaker}{part}.wav"
                        for speaker in speakers
                        for part in ("", "-speaker")
                    ),
                    episodes=_existing(
                        (folder / "mix" / "episode.mp3", folder / "publish" / AUDIO_NAME)
                    ),
                    in_feed=run_name in in_feed,
                )
            )
    return tuple(uses)


def check_removable(home: Path, name: str) -> Path | None:
    """The voice's folder in the workspace; None where there is none, but clips of it are.

    Raises VoiceError for a built-in voice, and for one that nobody has ever heard of.
    """
    folder = home / "voices" / name
    own = name not in ("", ".", "..") and folder.parent == home / "voices" and "/" not in name
    builtin = {path.parent.name: path.parent for path in builtin_folder().glob(f"*/{VOICE_FILE}")}
    mine = own and (
        folder.is_symlink() or any((folder / one).is_file() for one in (VOICE_FILE, REFERENCE_TOML))
    )
    if name in builtin and (not mine or folder.resolve() == builtin[name].resolve()):
        raise VoiceError(
            f"{name!r} is a built-in voice, and cannot be removed.",
            next_step="It only speaks where it is chosen: --voice host=NAME chooses another.",
        )
    if mine:
        return folder
    if not own or not find_uses(home, name):
        choose_voice(name, {k: v for k, v in find_voices(home).items() if k not in builtin})
    return None


def remove_voice(home: Path, name: str, *, clips: bool = False, episodes: bool = False) -> Removed:
    """Remove a voice and all that was derived from it.

    `clips` removes its clips and stems from all runs, `episodes` also the mixed and published
    episodes that contain it, from runs and from the feed. A run that another process works on is
    left as it is, and told in `failures`. Raises VoiceError, RunLocked, RunError.
    """
    folder = check_removable(home, name)
    removed = Removed(name, folder, find_uses(home, name))
    if folder is not None:
        removed.from_show = (folder / REFERENCE_TOML).is_file()
        with lock_voices(home):
            discard(folder)
    for use in removed.uses if clips or episodes else ():
        try:
            run = open_run(home, use.run, "episode")
            with run.lock():
                _remove_use(home, run, use, removed, episodes=episodes)
        except PodcasterError as error:
            removed.failures[use.run] = error
    return removed


def describe_removed(removed: Removed) -> dict[str, Any]:
    """The result for scripts."""
    return {
        "name": removed.name,
        "folder": str(removed.folder) if removed.folder else None,
        "clips_removed": removed.clips_removed,
        "stems_removed": removed.stems_removed,
        "episodes_removed": removed.episodes_removed,
        "runs": [
            {
                "run": use.run,
                "clips": len(use.clips),
                "stems": len(use.stems),
                "episodes": [str(path) for path in use.episodes],
                "in_feed": use.in_feed,
            }
            for use in removed.uses
        ],
        "failures": {run: str(error) for run, error in removed.failures.items()},
    }


def _remove_use(home: Path, run: Run, use: VoiceUse, removed: Removed, *, episodes: bool) -> None:
    # records first: without them, nothing that is still there is believed
    _unlink(run.path / "speak" / RECORD_NAME)
    for record in use.clips:
        _unlink(record)
        key = record.name.removesuffix(_SUFFIX)
        for path in sorted(record.parent.glob(f"{key}*")):
            _unlink(path)
        removed.clips_removed += 1
    if use.stems or episodes:
        _unlink(run.path / "mix" / RECORD_NAME)
    for stem in use.stems:
        _unlink(stem)
        removed.stems_removed += 1
    if episodes:
        _unlink(run.path / "publish" / RECORD_NAME)
        if use.in_feed:
            remove_episode(home, run.name)
        for path in use.episodes:
            _unlink(path)
        removed.episodes_removed += bool(use.episodes)
    run.log_event("voice removed", voice=removed.name, episodes=episodes)


def _find_clips(folder: Path, name: str) -> Iterator[Path]:
    """Records of clips that the voice has spoken; not what a built-in one of its name has."""
    builtin = (builtin_folder() / name / VOICE_FILE).is_file()
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        record = read_record(path)
        if record is None or record.options.get("voice") != name:
            continue
        if not (builtin and record.engine.startswith(_BUILTIN_ENGINE)):
            yield path


def _find_speakers(folder: Path, name: str) -> Sequence[str]:
    """The ids of those for whom the voice spoke in a run."""
    record = read_record(folder / "speak" / RECORD_NAME)
    voices = record.options.get("voices") if record else None
    if not isinstance(voices, dict):
        return ()
    # ids come out of a file: nothing but names of files may become paths
    return [who for who, voice in voices.items() if voice == name and Path(who).name == who]


def _existing(paths: "Iterator[Path] | Sequence[Path]") -> tuple[Path, ...]:
    return tuple(path for path in paths if path.is_file())


def _runs_in_feed(home: Path) -> set[str]:
    if not (feed_folder(home) / FEED_NAME).is_file():
        return set()
    try:
        return {item.episode.run for item in read_feed(home)[1]}
    except InputError:
        return set()


def _unlink(path: Path) -> None:
    with writing(path):
        path.unlink(missing_ok=True)
