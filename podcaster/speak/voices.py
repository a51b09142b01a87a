"""Voices: read from `voice.toml` files, found in the workspace and in the package."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from podcaster.errors import ConsentMissing, VoiceError
from podcaster.model import Consent, Gender, Identifier, Language, Voice
from podcaster.progress import Progress, Silence
from podcaster.speak.cloning import CLONE, LIKENESSES
from podcaster.speak.espeak_voice import languages, parse_settings
from podcaster.speak.kokoro.styles import FASTEST, SLOWEST, embed_style
from podcaster.speak.kokoro.styles import parse_settings as parse_kokoro_settings
from podcaster.speak.sketching import hash_sound, sketch_settings

VOICE_FILE = "voice.toml"
KOKORO = "kokoro"
LARGEST_VOICE_FILE_BYTES = 64_000
LARGEST_REFERENCE_BYTES = 100_000_000
SLOWEST_ESPEAK_WPM, FASTEST_ESPEAK_WPM = 90, 300  # what eSpeak NG takes as its pace
# engines whose voices are made of settings; any other speaks as a person whom it was given
_SYNTHETIC_ENGINES = frozenset({"espeak", KOKORO})

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class VoiceFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `voice.toml` says.

    With no `engine`, a voice with `references` is cloned by the best engine that is here, and any
    other speaks through eSpeak NG. With no `languages`, an eSpeak voice speaks all that this
    eSpeak NG has; the first that is listed is a voice's own. `references` are audio files in the
    voice's own folder. `sketch` is how eSpeak NG imitates a voice of another engine.
    """

    name: Identifier
    description: Text
    licence: Text
    words_per_minute: Annotated[float, msgspec.Meta(ge=40, le=400)]
    engine: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]{1,40}$")] | None = None
    languages: Annotated[tuple[Language, ...], msgspec.Meta(max_length=300)] = ()
    references: Annotated[tuple[Text, ...], msgspec.Meta(max_length=50)] = ()
    consent: Consent | None = None
    gender: Gender | None = None
    settings: dict[str, str | int | float | bool] = {}
    sketch: dict[str, str | int | float | bool] = {}


def find_voices(home: Path, progress: Progress | None = None) -> dict[str, Voice]:
    """All voices that can be used, by name: the workspace's own, before built-in ones.

    A broken voice folder is reported to `progress` and left out.
    """
    listener = progress or Silence()
    voices, problems = read_voices([builtin_folder(), home / "voices"])
    for problem in problems:
        listener.note(f"{problem} This voice is left out.")
    return voices


def read_voices(folders: Iterable[Path]) -> tuple[dict[str, Voice], tuple[VoiceError, ...]]:
    """Read every `<folder>/<name>/voice.toml`; later folders win. Broken ones come as errors."""
    voices: dict[str, Voice] = {}
    problems: list[VoiceError] = []
    for folder in folders:
        for path in sorted(folder.glob(f"*/{VOICE_FILE}")):
            try:
                voice = read_voice(path)
            except VoiceError as error:
                problems.append(error)
            else:
                voices[voice.name] = voice
    return dict(sorted(voices.items())), tuple(problems)


def builtin_folder() -> Path:
    """Where the built-in voices lie: in the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "builtin" / "voices"
    return installed if installed.is_dir() else package.parent / "voices"


def read_voice(path: Path) -> Voice:
    """Read one `voice.toml`, strictly.

    Raises VoiceError that names the file and the field: unreadable, too large, no TOML, unknown or
    wrong fields, another name than its folder's, references that are missing or outside of it.
    """
    file = _parse_voice_file(path)
    if file.name != path.parent.name:
        raise VoiceError(
            f"{path} says name = {file.name!r}, expected {path.parent.name!r}, as its folder.",
            next_step="Rename the one or the other.",
        )
    references = tuple(_find_reference(path, name) for name in file.references)
    engine = file.engine or (CLONE if references else "espeak")
    settings = embed_style(path.parent, file.settings) if engine == KOKORO else file.settings
    spoken = file.languages or (languages() if engine == "espeak" else ())
    if not spoken:
        raise VoiceError(
            f"{path} lists no languages, expected those that the voice speaks.",
            next_step='Add a line such as languages = ["en"].',
        )
    voice = Voice(
        name=file.name,
        engine=engine,
        description=file.description,
        languages=spoken,
        words_per_minute=file.words_per_minute,
        licence=file.licence,
        sha256=hash_sound(engine, settings, references),
        engine_settings=settings,
        references=tuple(str(reference) for reference in references),
        consent=file.consent,
        gender=file.gender,
        sketch=file.sketch,
    )
    check = {"espeak": parse_settings, KOKORO: parse_kokoro_settings}.get(voice.engine)
    try:
        if check is not None:
            check(voice)
        sketch_settings(voice)
    except VoiceError as error:
        raise VoiceError(f"{path}: {error.message}", next_step=error.next_step) from error
    return voice


def set_pace(voice: Voice, words_per_minute: float | None) -> Voice:
    """The voice at another pace, as far as its engine can: another sound, so another hash.

    None, or a pace that it has already, leaves it as it is; so do engines that go at the pace of
    the recordings. eSpeak NG's own pace and Kokoro's speed grow with it; the built-in clone goes by
    the words a minute themselves.
    """
    if words_per_minute is None:
        return voice
    factor = words_per_minute / voice.words_per_minute
    settings = dict(voice.engine_settings)
    if voice.engine == "espeak":
        before = parse_settings(voice).pace_wpm
        pace = min(FASTEST_ESPEAK_WPM, max(SLOWEST_ESPEAK_WPM, round(before * factor)))
        factor, settings["pace_wpm"] = pace / before, pace
    elif voice.engine == KOKORO:
        speed = float(settings.get("speed", 1.0))
        faster = round(min(FASTEST, max(SLOWEST, speed * factor)), 3)
        factor, settings["speed"] = faster / speed, faster
    elif voice.engine not in LIKENESSES:
        return voice
    if factor == 1.0:
        return voice
    references = tuple(Path(reference) for reference in voice.references)
    pace_wpm = round(voice.words_per_minute * factor, 1)
    decides = {**settings, "words_per_minute": pace_wpm} if voice.engine in LIKENESSES else settings
    return msgspec.structs.replace(
        voice,
        words_per_minute=pace_wpm,
        engine_settings=settings,
        sha256=hash_sound(voice.engine, decides, references),
    )


def check_consent(voice: Voice) -> None:
    """Let a voice speak if it belongs to nobody, or if whose it is has allowed it.

    Raises ConsentMissing otherwise.
    """
    if is_nobodys(voice):
        return
    consent = voice.consent
    missing = [
        field for field in ("by", "on", "proof") if consent and not getattr(consent, field).strip()
    ]
    if consent is None or missing:
        lacks = f"a consent without {missing[0]!r}" if missing else "no consent"
        raise ConsentMissing(
            f"Voice {voice.name!r} is somebody's own and has {lacks}, so it is not cloned.",
            next_step=f"Record whose it is and who allowed it in [consent] of "
            f"voices/{voice.name}/{VOICE_FILE}: kind (self, written, licensed, public-domain), by, "
            "on, proof.",
        )


def is_nobodys(voice: Voice) -> bool:
    """Whether a voice is made of settings alone, and no person's."""
    return not voice.references and voice.engine in _SYNTHETIC_ENGINES


def choose_voice(name: str, voices: Mapping[str, Voice]) -> Voice:
    """The voice of that name. Raises VoiceError with what it may have meant and all there are."""
    found = voices.get(name) or voices.get(name.strip().lower())
    if found is not None:
        return found
    close = difflib.get_close_matches(name.strip().lower(), voices, n=1)
    raise VoiceError(
        f"There is no voice {name[:60]!r}; there is {', '.join(sorted(voices)) or 'none'}.",
        next_step=f"Did you mean {close[0]!r}?" if close else "List them: `podcaster voice list`.",
    )


def speaks(voice: Voice, language: str) -> bool:
    """Whether a voice speaks `language`, or another kind of the same tongue."""
    tongue = language.lower().partition("-")[0]
    return any(spoken.lower().partition("-")[0] == tongue for spoken in voice.languages)


def _parse_voice_file(path: Path) -> VoiceFile:
    if not path.is_file():
        raise VoiceError(f"{path} is not a file, expected the description of a voice.")
    try:
        with path.open("rb") as opened:
            data = opened.read(LARGEST_VOICE_FILE_BYTES + 1)
    except OSError as error:
        raise VoiceError(f"{path} cannot be read: {error.strerror or error}.") from error
    if len(data) > LARGEST_VOICE_FILE_BYTES:
        raise VoiceError(
            f"{path} is larger than {LARGEST_VOICE_FILE_BYTES:,} bytes, which no voice.toml needs."
        )
    try:
        return msgspec.convert(tomllib.loads(data.decode("utf-8")), VoiceFile)
    except (ValueError, RecursionError) as error:
        # msgspec's and tomllib's errors are ValueErrors: they name the field, or the line
        reason = re.sub(r"\s+", " ", str(error)) or type(error).__name__
        raise VoiceError(
            f"{path} is not a valid voice: {reason.rstrip('.')}.",
            next_step="See docs/voices.md for what it may say.",
        ) from error


def _find_reference(path: Path, name: str) -> Path:
    folder = path.parent.resolve()
    reference = (folder / name).resolve()
    if not reference.is_relative_to(folder):
        raise VoiceError(f"{path} refers to {name[:80]!r}, which is outside of its folder.")
    try:
        size_bytes = reference.stat().st_size if reference.is_file() else -1
    except (OSError, ValueError):
        size_bytes = -1
    if not 0 < size_bytes <= LARGEST_REFERENCE_BYTES:
        raise VoiceError(
            f"{path} refers to {name[:80]!r}, expected an audio file of at most "
            f"{LARGEST_REFERENCE_BYTES:,} bytes, got {'none' if size_bytes < 0 else size_bytes}.",
            next_step="Put the recording into the voice's folder, or drop it from references.",
        )
    return reference
