"""The folders `voices/<name>/` that references are written to, without a consent.

Beside the sound and `voice.toml`, `reference.toml` says where they come from, with their hashes: so
what a person changed, or consented to, is told from what the program wrote, and left alone.
"""

import hashlib
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tomlkit

from podcaster.audio import Samples, write_wav
from podcaster.model import slugify
from podcaster.run import atomic_path, make_folder, sha256_file, write_atomic, writing
from podcaster.speakers.references import Passage

REFERENCE_WAV = "reference.wav"
REFERENCE_TOML = "reference.toml"
VOICE_TOML = "voice.toml"
# whoever records a consent has the voice cloned by the best engine that is there
CLONING_ENGINE = "clone"

_LONGEST_NAME = 64


@dataclass(frozen=True)
class VoiceNote:
    """Whose voice it is, and how it speaks."""

    show: str
    speaker: str
    name: str
    languages: tuple[str, ...]
    words_per_minute: float


@dataclass(frozen=True)
class Place:
    """A voice's folder: `mine` may be written; if not, it is this speaker's, changed by a person.

    `source` is what its sound was cut from, "" if there is none.
    """

    folder: Path
    mine: bool
    source: str


def hash_passages(passages: Sequence[Passage], audio_sha256: dict[str, str]) -> str:
    """What decides a reference's sound."""
    parts = [
        f"{audio_sha256.get(one.recording, '')} {one.start_s:.3f} {one.end_s:.3f}"
        for one in passages
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def find_place(voices: Path, note: VoiceNote, taken: Collection[str]) -> Place | None:
    """Where a speaker's reference goes; None where every fitting folder is somebody else's.

    `taken` are names of voices that must not be replaced, such as built-in ones.
    """
    with_show = slugify(f"{note.speaker}-{note.show}", longest=_LONGEST_NAME)
    for name in (note.speaker, with_show) if note.name else (with_show,):
        folder = voices / name
        wrote = _read(folder)
        if wrote is None:
            if name not in taken and not folder.exists():
                return Place(folder, mine=True, source="")
        elif (wrote.get("show"), wrote.get("speaker")) == (note.show, note.speaker):
            mine = _is_untouched(folder, wrote)
            return Place(folder, mine=mine, source=str(wrote.get("source", "")))
    return None


def write_voice(
    place: Place,
    note: VoiceNote,
    passages: Sequence[Passage],
    source: str,
    samples: Samples,
    rate_hz: int,
) -> None:
    """Write sound, `voice.toml` without consent, and what they come from. Raises RunError."""
    make_folder(place.folder)
    with atomic_path(place.folder / REFERENCE_WAV) as temporary:
        write_wav(temporary, samples, rate_hz)
    voice = place.folder / VOICE_TOML
    write_atomic(voice, _format_voice(place.folder.name, note).encode())
    document = tomlkit.document()
    document.add(tomlkit.comment("where reference.wav was cut from; written by the program"))
    document.update(
        {
            "show": note.show,
            "speaker": note.speaker,
            "source": source,
            "consent": "none",
            "duration_s": round(len(samples) / rate_hz, 3),
            "sample_rate_hz": rate_hz,
            "sha256": {
                REFERENCE_WAV: sha256_file(place.folder / REFERENCE_WAV),
                VOICE_TOML: sha256_file(voice),
            },
        }
    )
    table = tomlkit.aot()
    for one in passages:
        table.append(
            tomlkit.item(
                {
                    "recording": one.recording,
                    "start_s": round(one.start_s, 3),
                    "end_s": round(one.end_s, 3),
                    "snr_db": one.snr_db,
                }
            )
        )
    document.add("passages", table)
    write_atomic(place.folder / REFERENCE_TOML, tomlkit.dumps(document).encode())


def find_voice(voices: Path, show: str, speaker: str) -> Path | None:
    """The folder of a show's speaker, whether a person changed what is in it or not."""
    for path in sorted(voices.glob(f"*/{REFERENCE_TOML}")):
        wrote = _read(path.parent) or {}
        if (wrote.get("show"), wrote.get("speaker")) == (show, speaker):
            return path.parent
    return None


def remove_stale(voices: Path, show: str, speakers: Collection[str]) -> Iterator[str]:
    """Remove a show's references whose speaker is no more, unless a person changed them.

    Yields the names of the folders that went.
    """
    for path in sorted(voices.glob(f"*/{REFERENCE_TOML}")):
        folder = path.parent
        wrote = _read(folder)
        if wrote is None or wrote.get("show") != show or wrote.get("speaker") in speakers:
            continue
        others = {one.name for one in folder.iterdir()}
        if _is_untouched(folder, wrote) and others <= {REFERENCE_WAV, REFERENCE_TOML, VOICE_TOML}:
            with writing(folder):
                # what says that it is ours goes last
                for name in (REFERENCE_WAV, VOICE_TOML, REFERENCE_TOML):
                    (folder / name).unlink(missing_ok=True)
                folder.rmdir()
            yield folder.name


def _format_voice(name: str, note: VoiceNote) -> str:
    document = tomlkit.document()
    document.add(tomlkit.comment("Cut from a show. Nobody has consented to its use yet, so it is"))
    document.add(tomlkit.comment("not cloned: `podcaster voice add --show` records a consent."))
    who = note.name or note.speaker
    document.update(
        {
            "name": name,
            "description": f"{who}, as heard in the show {note.show}",
            "licence": "none: no consent yet",
            "words_per_minute": note.words_per_minute,
            "engine": CLONING_ENGINE,
            "languages": list(note.languages),
            "references": [REFERENCE_WAV],
        }
    )
    return tomlkit.dumps(document)


def _read(folder: Path) -> dict[str, object] | None:
    try:
        with (folder / REFERENCE_TOML).open("rb") as file:
            return tomllib.load(file)
    except (OSError, ValueError):
        return None


def _is_untouched(folder: Path, wrote: dict[str, object]) -> bool:
    hashes = wrote.get("sha256")
    return isinstance(hashes, dict) and all(
        (folder / name).is_file() and sha256_file(folder / name) == hashes.get(name)
        for name in (REFERENCE_WAV, VOICE_TOML)
    )
