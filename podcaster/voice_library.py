"""The voice library: somebody's voice comes into `voices/`, with a consent and checked references.

A folder is made under another name and renamed when it is whole, so that a half-made voice never
appears. `podcaster.voice_removal` takes voices out again.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import tomlkit

from podcaster import __version__
from podcaster.audio import write_wav
from podcaster.engines import open_engine
from podcaster.errors import ConfigError, EngineMissing, InputError, VoiceError
from podcaster.identifying import read_speakers
from podcaster.model import Noun, Voice, to_json
from podcaster.progress import Progress
from podcaster.run import atomic_path, open_show_run, write_atomic
from podcaster.speak.cloning import CLONE
from podcaster.speak.derived import derived_path
from podcaster.speak.options import SpeakOptions
from podcaster.speak.references.checks import (
    ReferenceCheck,
    VoiceCheck,
    check_references,
    refuse_source,
)
from podcaster.speak.references.sound import ReferenceSound, read_reference
from podcaster.speak.voices import VOICE_FILE, builtin_folder, find_voices, read_voice
from podcaster.speakers.names import name_key
from podcaster.speakers.people import ShowSpeaker
from podcaster.speakers.voice_folders import find_voice
from podcaster.voice_requests import LEAST_WPM, MOST_WPM, Request, check_request
from podcaster.voice_shelf import clear_workbench, lock_voices, make_workplace, put_in_place
from podcaster.voicing import choose_cloning_engine

MOST_FILES = 50

_CHECKS = "reference checks 1"
_LICENCES = {
    "self": "the speaker's own voice",
    "written": "as agreed in the written consent",
    "licensed": "as the licence named in the consent's proof",
    "public-domain": "public domain",
}


class KeptCheck(Noun, frozen=True):
    """What is kept of the checks beside the voice, and how its pace was found."""

    check: VoiceCheck
    pace_source: str


@dataclass(frozen=True)
class Added:
    """A voice as it lies in the library now."""

    voice: Voice
    check: VoiceCheck
    pace_source: str

    @property
    def refused(self) -> tuple[ReferenceCheck, ...]:
        """The recordings that were left out."""
        return tuple(one for one in self.check.references if one.verdict == "refused")


def add_voice(home: Path, request: Request, files: Sequence[Path], progress: Progress) -> Added:
    """Make a voice of recordings. They are copied, converted, and themselves left alone.

    What is refused is left out, if the rest is enough. Raises ConfigError and InputError for what
    was typed, VoiceError where another voice has the name or the recordings are not fit,
    RunError; then nothing was written.
    """
    check_request(request)
    _check_files(files, request.name)
    _check_free(home, request)
    sounds, check = _check_sounds(files, progress)
    kept = [
        sound
        for one, sound in zip(check.references, sounds, strict=True)
        if one.verdict != "refused" and sound is not None
    ]
    pace, source = _choose_pace(request, check)
    filled = replace(request, words_per_minute=pace)
    with lock_voices(home):
        _check_free(home, request)
        voice = _build(home, filled, kept, KeptCheck(check=check, pace_source=source))
    return Added(voice, check, source)


def add_show_voice(
    home: Path, request: Request, show: str, speaker: str, progress: Progress
) -> Added:
    """Make a voice of what the show pipeline has cut of a speaker, who is named or known by id.

    Where the request has the folder's own name, the consent is recorded there; else it is copied.
    Raises as `add_voice` does, InputError for a show or a speaker that is not there.
    """
    check_request(request)
    run = open_show_run(home, show, version=__version__)
    person = _find_speaker(run.name, read_speakers(run).speakers, speaker)
    folder = _find_cut(home, run.name, person, request)
    cut = read_voice(folder / VOICE_FILE)
    who = person.name or person.id
    filled = replace(
        request,
        languages=request.languages or cut.languages,
        description=request.description or f"{who}, as heard in the show {run.name}",
        words_per_minute=request.words_per_minute or cut.words_per_minute,
        pace_source="given" if request.words_per_minute else f"measured in the show {run.name}",
    )
    files = [Path(reference) for reference in cut.references]
    if folder.name != request.name:
        return add_voice(home, filled, files, progress)
    if cut.consent is not None and not request.replace:
        raise VoiceError(
            f"Voice {request.name!r} has a consent already: {cut.consent.kind}, by "
            f"{cut.consent.by}, on {cut.consent.on}.",
            next_step="Type --replace to record another one in its place.",
        )
    _, check = _check_sounds(files, progress)
    with lock_voices(home):
        names = [Path(reference).relative_to(folder.resolve()).as_posix() for reference in files]
        text = _format_voice(filled, names, filled.pace_source)
        write_atomic(folder / VOICE_FILE, text.encode())
        voice = read_voice(folder / VOICE_FILE)
        _keep_checks(voice, KeptCheck(check=check, pace_source=filled.pace_source))
    return Added(voice, check, filled.pace_source)


def list_voice_rows(
    home: Path, progress: Progress, options: SpeakOptions | None = None
) -> list[dict[str, Any]]:
    """One row a voice. `quality` is None where nobody has checked.

    `engine` is what speaks now; None where `options` ask for a cloning engine that is not here.
    """
    rows = []
    for voice in find_voices(home, progress).values():
        kept = read_checks(voice)
        rows.append(
            {
                "name": voice.name,
                "engine": _choose_engine(voice, options or SpeakOptions()),
                "configured_engine": voice.engine,
                "languages": list(voice.languages),
                "words_per_minute": voice.words_per_minute,
                "pace_source": kept.pace_source if kept else None,
                "quality": kept.check.verdict if kept else None,
                "consent": voice.consent.kind if voice.consent else None,
                "consent_needed": bool(voice.references),
                "licence": voice.licence,
                "description": voice.description,
            }
        )
    return rows


def _choose_engine(voice: Voice, options: SpeakOptions) -> str | None:
    if voice.engine != CLONE:
        return voice.engine
    try:
        return choose_cloning_engine(options, voice.languages[0])
    except EngineMissing:
        return None


def read_checks(voice: Voice) -> KeptCheck | None:
    """What was found out about a voice's references; None where they are others now, or none."""
    if not voice.references:
        return None
    try:
        return msgspec.json.decode(
            derived_path(voice, _CHECKS, ".json").read_bytes(), type=KeptCheck
        )
    except (OSError, msgspec.MsgspecError, ValueError, VoiceError):
        return None


def describe_added(added: Added) -> dict[str, Any]:
    """The result for scripts."""
    voice = added.voice
    return {
        "name": voice.name,
        "folder": str(Path(voice.references[0]).parent),
        "languages": list(voice.languages),
        "words_per_minute": voice.words_per_minute,
        "pace_source": added.pace_source,
        "quality": added.check.verdict,
        "consent": msgspec.to_builtins(voice.consent),
        "references": [
            {**msgspec.to_builtins(one), "reason": one.reason} for one in added.check.references
        ],
    }


def _check_files(files: Sequence[Path], name: str) -> None:
    if not files:
        raise ConfigError(
            f"There is no recording to make the voice {name!r} of.",
            next_step=f"Type `podcaster voice add {name} AUDIO...`, or --show SHOW --speaker NAME.",
        )
    if len(files) > MOST_FILES:
        raise ConfigError(
            f"{len(files)} recordings are more than a voice may have, {MOST_FILES}.",
            next_step="Choose the cleanest: half a minute of speech is enough.",
        )
    for path in files:
        if not path.is_file():
            raise InputError(f"{path} is not a file, expected a recording of the voice.")


def _check_free(home: Path, request: Request) -> None:
    folder = home / "voices" / request.name
    if request.replace:
        return
    if folder.is_symlink() or folder.exists():
        raise VoiceError(
            f"There is a voice {request.name!r} already, in {folder}.",
            next_step="Choose another name, or type --replace to put the new one in its place.",
        )
    if (builtin_folder() / request.name).exists():
        raise VoiceError(
            f"{request.name!r} is the name of a built-in voice.",
            next_step="Choose another name, or type --replace to have yours speak in its place.",
        )


def _check_sounds(
    files: Sequence[Path], progress: Progress
) -> tuple[list[ReferenceSound | None], VoiceCheck]:
    """Decode and check; the sounds are as many as the check's references, in order."""
    sounds: list[ReferenceSound | None] = []
    unread: dict[int, ReferenceCheck] = {}
    for number, path in enumerate(files):
        progress.report("references", number, len(files), "files")
        try:
            sounds.append(read_reference(path))
        except InputError as error:
            reason = error.message.removeprefix(f"{path} ").rstrip(".")
            unread[number] = refuse_source(path.name, reason)
            sounds.append(None)
    heard = [(p.name, s) for p, s in zip(files, sounds, strict=True) if s is not None]
    try:
        with closing(open_engine("voiceprint", "resemblyzer", device="cpu")) as encoder:
            check = check_references(heard, encoder)
    except EngineMissing as error:
        missing = error.next_step or error.message
        check = check_references(heard, None, missing=missing[0].lower() + missing[1:])
    progress.report("references", len(files), len(files), "files")
    checked = iter(check.references)
    every = tuple(unread[i] if i in unread else next(checked) for i in range(len(files)))
    check = msgspec.structs.replace(check, references=every)
    if check.verdict == "refused":
        reasons = [f"{one.source}: {one.reason}." for one in every if one.verdict == "refused"]
        total = check.findings[0]
        if total.value or not reasons:
            reasons.insert(0, f"{total.text}.")
        raise VoiceError(
            f"No voice can be made of this. {' '.join(reasons)}",
            next_step="Record half a minute of one person, speaking alone in a quiet room.",
        )
    return sounds, check


def _choose_pace(request: Request, check: VoiceCheck) -> tuple[float, str]:
    if request.words_per_minute is not None:
        return request.words_per_minute, request.pace_source
    return min(MOST_WPM, max(LEAST_WPM, check.words_per_minute)), "estimated from the sound"


def _build(
    home: Path, request: Request, sounds: Sequence[ReferenceSound], kept: KeptCheck
) -> Voice:
    """Make the folder on the workbench, read it as any voice is read, and only then rename it."""
    voices = home / "voices"
    bench = make_workplace(voices)
    folder, final = bench / request.name, voices / request.name
    try:
        names = [f"reference-{number}.wav" for number in range(1, len(sounds) + 1)]
        for name, sound in zip(names, sounds, strict=True):
            with atomic_path(folder / name) as temporary:
                write_wav(temporary, sound.kept, sound.rate_hz)
        text = _format_voice(request, names, kept.pace_source)
        write_atomic(folder / VOICE_FILE, text.encode())
        _keep_checks(read_voice(folder / VOICE_FILE), kept)
        put_in_place(folder, final)
    finally:
        clear_workbench(voices)
    return read_voice(final / VOICE_FILE)


def _keep_checks(voice: Voice, kept: KeptCheck) -> None:
    write_atomic(derived_path(voice, _CHECKS, ".json"), to_json(kept))


def _format_voice(request: Request, references: Sequence[str], pace_source: str) -> str:
    consent = request.consent
    document = tomlkit.document()
    document.add(tomlkit.comment("Written by `podcaster voice add`; see docs/voices.md."))
    document.update(
        {
            "name": request.name,
            "description": request.description or f"The voice of {consent.by}",
            "licence": request.licence or _LICENCES[consent.kind],
        }
    )
    pace = tomlkit.item(round(request.words_per_minute or 0.0, 1))
    pace.comment(pace_source)
    document.add("words_per_minute", pace)
    document.update(
        {
            "engine": CLONE,
            "languages": list(request.languages or ("en",)),
            "references": list(references),
            "consent": msgspec.to_builtins(consent),
        }
    )
    return tomlkit.dumps(document)


def _find_cut(home: Path, show: str, person: ShowSpeaker, request: Request) -> Path:
    folder = find_voice(home / "voices", show, person.id)
    if folder is None:
        raise VoiceError(
            f"No reference of {person.name or person.id!r} has been cut from the show {show}: "
            "there is too little clean speech, or it was not asked for.",
            next_step=f"Type `podcaster show speakers {show} --references`, or add files: "
            f"`podcaster voice add {request.name} AUDIO... --consent {request.consent.kind}`.",
        )
    return folder


def _find_speaker(show: str, speakers: Sequence[ShowSpeaker], wanted: str) -> ShowSpeaker:
    found = [one for one in speakers if one.id == wanted] or [
        one for one in speakers if name_key(wanted) and name_key(one.name) == name_key(wanted)
    ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{one.id} ({one.name})" if one.name else one.id for one in speakers)
    raise InputError(
        f"{'More than one' if found else 'No'} speaker of the show {show} is called "
        f"{wanted[:60]!r}; there is {known[:500] or 'nobody'}.",
        next_step="Type --speaker with an id.",
    )
