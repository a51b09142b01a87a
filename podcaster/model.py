"""The nouns: frozen values that stages hand to each other, checked when they are made.

Times are seconds from the start of the recording they belong to. Text is plain, in the language
that the enclosing transcript or script names. Everything is encoded with `to_json` and decoded,
strictly, with `parse`.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from podcaster.errors import InputError, PodcasterError

Role = Literal["host", "guest", "other"]
Gender = Literal["f", "m"]
ConsentKind = Literal["self", "written", "licensed", "public-domain"]

Seconds = Annotated[float, msgspec.Meta(ge=0)]
Identifier = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
Language = Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]

T = TypeVar("T")


class Noun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all nouns share: keyword-only, immutable, no unknown fields."""


class Word(Noun, frozen=True):
    """A spoken word with its times."""

    text: str
    start_s: Seconds
    end_s: Seconds
    speaker: str | None = None
    probability: float | None = None


class Segment(Noun, frozen=True):
    """A sentence or phrase with its times, as a caption shows it."""

    text: str
    start_s: Seconds
    end_s: Seconds
    speaker: str | None = None
    words: tuple[Word, ...] = ()

    def __post_init__(self) -> None:
        if self.end_s < self.start_s:
            raise ValueError(f"a segment ends at {self.end_s} s, before its start {self.start_s} s")


class Utterance(Noun, frozen=True):
    """What somebody said in one go, as a transcript has it.

    Transcripts from elsewhere may lack times (None) or speakers (None: nobody said who it was).
    `speaker` is the label that the transcript gives, not yet a person.
    """

    text: Annotated[str, msgspec.Meta(min_length=1)]
    start_s: Seconds | None = None
    end_s: Seconds | None = None
    speaker: str | None = None
    words: tuple[Word, ...] = ()

    def __post_init__(self) -> None:
        if self.start_s is not None and self.end_s is not None and self.end_s < self.start_s:
            raise ValueError(
                f"an utterance ends at {self.end_s} s, before its start {self.start_s} s"
            )


class SpeakerSpan(Noun, frozen=True):
    """When one voice is heard; spans of different speakers may overlap.

    `speaker` is a diariser's label, the same for the same voice within one recording only.
    """

    start_s: Seconds
    end_s: Seconds
    speaker: Annotated[str, msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        if self.end_s < self.start_s:
            raise ValueError(f"a span ends at {self.end_s} s, before its start {self.start_s} s")


class TranscriptChapter(Noun, frozen=True):
    """A titled part of a recording, from `start_s` to the next chapter's start."""

    title: Annotated[str, msgspec.Meta(min_length=1)]
    start_s: Seconds | None = None


class Transcript(Noun, frozen=True):
    """What was said in a recording; the language is the recording's and never patched later.

    `engine` made it and `options` are what it was told; `diariser` is None where nobody has told
    the speakers apart. `duration_s` is None where no recording is at hand.
    """

    language: Language
    utterances: tuple[Utterance, ...]
    engine: str
    duration_s: Seconds | None = None
    diariser: str | None = None
    title: str = ""
    description: str = ""
    chapters: tuple[TranscriptChapter, ...] = ()
    options: dict[str, Any] = {}


class Person(Noun, frozen=True):
    """Somebody whom a feed or a transcript names; `role` is what it says of them, or nothing."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    role: str = ""


class Recording(Noun, frozen=True):
    """One episode of a show as it came in: a file with sound, finished words, or both.

    `audio` is where the sound is: a name in the stage's folder if it was downloaded, else the
    absolute path where it was found. `transcript` names a `Transcript` in the stage's folder.
    Both are empty where there is none. `origin` is the file or address that it came from.
    """

    id: Identifier
    title: str
    origin: str
    audio: str = ""
    audio_sha256: str = ""
    transcript: str = ""
    duration_s: Seconds | None = None
    published_at: str = ""
    language: str = ""
    description: str = ""
    persons: tuple[Person, ...] = ()
    chapters: tuple[TranscriptChapter, ...] = ()


class Source(Noun, frozen=True):
    """Where something said in a script comes from: a note that the user gave."""

    id: Identifier
    title: str
    location: str
    sha256: Sha256


class Speaker(Noun, frozen=True):
    """Someone who speaks in a script; `voice` names the voice asked for, if any."""

    id: Identifier
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    role: Role
    voice: str | None = None


class Turn(Noun, frozen=True):
    """One speaker's uninterrupted say; `sources` names the notes that it quotes."""

    speaker: Identifier
    text: Annotated[str, msgspec.Meta(min_length=1)]
    sources: tuple[Identifier, ...] = ()


class Chapter(Noun, frozen=True):
    """A titled part of a script, with the keywords that its turns are to be about."""

    title: Annotated[str, msgspec.Meta(min_length=1)]
    turns: tuple[Turn, ...]
    keywords: tuple[str, ...] = ()


class Script(Noun, frozen=True):
    """A whole conversation, ready to be spoken."""

    title: Annotated[str, msgspec.Meta(min_length=1)]
    summary: str
    language: Language
    speakers: Annotated[tuple[Speaker, ...], msgspec.Meta(min_length=1)]
    chapters: Annotated[tuple[Chapter, ...], msgspec.Meta(min_length=1)]
    seed: int
    model: str
    model_sha256: Sha256 | None = None
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        ids = [speaker.id for speaker in self.speakers]
        if len(set(ids)) != len(ids):
            raise ValueError(f"two speakers of the script share an id: {', '.join(ids)}")
        known_sources = {source.id for source in self.sources}
        for turn in self.turns():
            if turn.speaker not in ids:
                raise ValueError(f"a turn is spoken by {turn.speaker!r}, who is not among {ids}")
            for source in turn.sources:
                if source not in known_sources:
                    raise ValueError(f"a turn quotes {source!r}, which is not among the sources")
        if not any(True for _ in self.turns()):
            raise ValueError("the script has no turns")

    def turns(self) -> Iterator[Turn]:
        """All turns in order, chapter after chapter."""
        for chapter in self.chapters:
            yield from chapter.turns

    def speaker(self, speaker_id: str) -> Speaker:
        """The speaker with this id; KeyError where there is none."""
        for speaker in self.speakers:
            if speaker.id == speaker_id:
                return speaker
        raise KeyError(speaker_id)


class Consent(Noun, frozen=True):
    """Who allowed this voice to be cloned, when, and where the proof lies."""

    kind: ConsentKind
    by: str
    on: str
    proof: str


class Voice(Noun, frozen=True):
    """How somebody sounds: an engine and what that engine needs to speak so.

    `engine_settings` belongs to the engine (for eSpeak NG: base voice, variant file, pitch, pace).
    `sha256` identifies everything that affects the sound; a change of it re-renders the clips.
    `sketch` is what eSpeak NG is told to imitate it.
    """

    name: Identifier
    engine: str
    description: str
    languages: tuple[Language, ...]
    words_per_minute: Annotated[float, msgspec.Meta(gt=0)]
    licence: str
    sha256: Sha256
    engine_settings: dict[str, str | int | float | bool] = {}
    references: tuple[str, ...] = ()
    consent: Consent | None = None
    gender: Gender | None = None
    sketch: dict[str, str | int | float | bool] = {}


class Clip(Noun, frozen=True):
    """One turn, spoken: a mono 16-bit WAV file inside the run folder.

    `sentences` are captions with times from the start of the clip. `take` is the number of the
    take that was kept, from 0; `faults` say what is wrong with it, where none was good.
    """

    path: str
    text: str
    voice: str
    duration_s: Seconds
    sample_rate_hz: Annotated[int, msgspec.Meta(gt=0)]
    sentences: tuple[Segment, ...]
    take: int = 0
    quality: dict[str, float] = {}
    faults: tuple[str, ...] = ()


class TimelineTurn(Noun, frozen=True):
    """A turn where it came to lie in the mixed episode."""

    speaker: Identifier
    chapter: int
    start_s: Seconds
    end_s: Seconds
    sentences: tuple[Segment, ...]


class TimelineChapter(Noun, frozen=True):
    """A chapter where it came to lie in the mixed episode."""

    title: str
    start_s: Seconds
    end_s: Seconds


class Timeline(Noun, frozen=True):
    """When what happens in the mixed episode; the chapters cover it from 0 to `duration_s`.

    `sentences` of a turn carry times from the start of the episode.
    """

    duration_s: Seconds
    chapters: tuple[TimelineChapter, ...]
    turns: tuple[TimelineTurn, ...]


class Loudness(Noun, frozen=True):
    """What was measured on the decoded MP3 (ITU-R BS.1770, EBU R 128)."""

    integrated_lufs: float
    range_lu: float
    true_peak_dbtp: float


class Episode(Noun, frozen=True):
    """A published episode: what a feed needs to know. Paths are relative to the run's folder."""

    guid: str
    run: str
    title: str
    summary: str
    show_notes_html: str
    language: Language
    published_at: str
    duration_s: Seconds
    audio: str
    audio_bytes: int
    audio_sha256: Sha256
    cover: str
    transcript_vtt: str
    transcript_srt: str
    transcript_json: str
    chapters: str
    speakers: tuple[Speaker, ...]
    ai_disclosure: bool


class Record(Noun, frozen=True):
    """The commit of one unit of work: it is written last, and without it nothing was done."""

    stage: str
    item: str
    fingerprint: Sha256
    inputs: dict[str, str]
    options: dict[str, Any]
    engine: str
    outputs: dict[str, Sha256]
    seconds: Seconds
    counts: dict[str, Any] = {}


def to_json(value: Any, *, indent: int = 1) -> bytes:
    """Encode a noun (or plain data) as JSON in a stable, readable form, ending in a newline."""
    encoded = msgspec.json.encode(value, enc_hook=_encode_foreign)
    return msgspec.json.format(encoded, indent=indent) + b"\n"


def parse(data: bytes | str, kind: type[T], *, where: str) -> T:
    """Decode JSON strictly into a noun.

    Raises InputError, naming `where` it stands and the path of the field that is wrong.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(f"{where} is not a valid {kind.__name__.lower()}: {error}.") from error


def slugify(name: str, *, fallback: str = "episode", longest: int = 40) -> str:
    """Spell a name as a folder name: ASCII letters, digits and dashes, never empty."""
    import unicodedata

    ascii_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")[:longest].strip("-")
    return slug or fallback


def check_finite(value: float, what: str) -> float:
    """Return `value` if it is a finite number, else raise a PodcasterError that names `what`."""
    if not math.isfinite(value):
        raise PodcasterError(f"{what} must be a finite number, got {value!r}.")
    return value


def _encode_foreign(value: Any) -> Any:
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"cannot encode {type(value).__name__}")
