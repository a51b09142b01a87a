"""ID3v2.3 tags of an MP3: names, date, comment, cover, and chapters that apps can jump to.

Specifications: ID3v2.3.0 and the ID3v2 Chapter Frame Addendum 1.0.
"""

# mypy: disable-error-code="no-untyped-call"
# (mutagen says that it is typed, but its constructors are not)

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutagen import MutagenError
from mutagen.id3 import (
    APIC,
    CHAP,
    COMM,
    CTOC,
    ID3,
    TALB,
    TCON,
    TDRC,
    TIT2,
    TLAN,
    TPE1,
    TRCK,
    CTOCFlags,
    Encoding,
    PictureType,
)
from mutagen.mp3 import MP3, BitrateMode

from podcaster.errors import InputError, foreign
from podcaster.model import TimelineChapter
from podcaster.publish.languages import three_letters
from podcaster.publish.text import clean_line, clean_text, shorten

LONGEST_PICTURE_BYTES = 300_000
_LONGEST_COMMENT = 4000
_MOST_CHAPTERS = 255  # CTOC counts them in one byte
_NO_OFFSET = 0xFFFFFFFF  # "go by the times, not by byte offsets"
_PADDING_BYTES = 1024
_LENGTH_TOLERANCE_S = 0.5


@dataclass(frozen=True)
class Tags:
    """What an episode's tags say. `date` is YYYY-MM-DD; `language` a tag such as `en`."""

    title: str
    artist: str
    album: str
    date: str
    comment: str
    language: str
    track: int
    cover: bytes
    chapters: Sequence[TimelineChapter]
    duration_s: float


def write_tags(path: Path, tags: Tags) -> None:
    """Replace all tags of the MP3 at `path` with `tags`, as ID3v2.3 without ID3v1.

    Raises InputError where the file is not an MP3 that mutagen can tag.
    """
    if len(tags.cover) > LONGEST_PICTURE_BYTES:
        raise InputError(
            f"The cover has {len(tags.cover)} bytes, expected at most {LONGEST_PICTURE_BYTES}."
        )
    frames = _make_frames(tags)
    with foreign(InputError, f"Tagging {path.name}", MutagenError, OSError):
        old = MP3(path)
        old.delete()
        frames.update_to_v23()
        frames.save(path, v1=0, v2_version=3, padding=lambda _: _PADDING_BYTES)


def check_mp3(path: Path, duration_s: float) -> None:
    """Raise InputError unless `path` is a whole MP3, of constant bit rate, of `duration_s`.

    Its length is told by its bytes, which no header can embellish: a truncated file is noticed.
    """
    with foreign(InputError, f"Reading {path.name} as an MP3", MutagenError, OSError):
        info: Any = MP3(path).info
        audio_bytes = path.stat().st_size - int(info.frame_offset)
    if info.bitrate_mode in (BitrateMode.VBR, BitrateMode.ABR):
        raise InputError(f"{path.name} has a variable bit rate, expected a constant one.")
    length_s = audio_bytes * 8 / info.bitrate
    if abs(length_s - duration_s) > _LENGTH_TOLERANCE_S:
        raise InputError(
            f"{path.name} holds {length_s:.2f} s of audio, expected {duration_s:.2f} s.",
            next_step="Mix it again with `podcaster resume RUN`.",
        )


def _make_frames(tags: Tags) -> ID3:
    utf16 = Encoding.UTF16
    language = three_letters(tags.language)
    frames = ID3()
    frames.add(TIT2(encoding=utf16, text=clean_line(tags.title, fallback="Untitled")))
    frames.add(TPE1(encoding=utf16, text=clean_line(tags.artist, fallback="Unknown")))
    frames.add(TALB(encoding=utf16, text=clean_line(tags.album, fallback="Podcast")))
    frames.add(TDRC(encoding=Encoding.LATIN1, text=tags.date))
    frames.add(TCON(encoding=Encoding.LATIN1, text="Podcast"))
    frames.add(TRCK(encoding=Encoding.LATIN1, text=str(tags.track)))
    frames.add(TLAN(encoding=Encoding.LATIN1, text=language))
    comment = shorten(clean_text(tags.comment).strip(), _LONGEST_COMMENT)
    frames.add(COMM(encoding=utf16, lang=language, desc="", text=comment))
    frames.add(
        APIC(
            encoding=Encoding.LATIN1,
            mime="image/jpeg",
            type=PictureType.COVER_FRONT,
            desc="Cover",
            data=tags.cover,
        )
    )
    _add_chapters(frames, tags)
    return frames


def _add_chapters(frames: ID3, tags: Tags) -> None:
    chapters = list(tags.chapters)[:_MOST_CHAPTERS]
    if not chapters:
        return
    starts_ms = [round(chapter.start_s * 1000) for chapter in chapters]
    ends_ms = [*starts_ms[1:], round(tags.duration_s * 1000)]
    ids = [f"chp{index}" for index in range(len(chapters))]
    for chapter, element_id, start_ms, end_ms in zip(
        chapters, ids, starts_ms, ends_ms, strict=True
    ):
        title = TIT2(encoding=Encoding.UTF16, text=clean_line(chapter.title, fallback="…"))
        frames.add(
            CHAP(
                element_id=element_id,
                start_time=start_ms,
                end_time=end_ms,
                start_offset=_NO_OFFSET,
                end_offset=_NO_OFFSET,
                sub_frames=[title],
            )
        )
    frames.add(
        CTOC(
            element_id="toc",
            flags=CTOCFlags.TOP_LEVEL | CTOCFlags.ORDERED,
            child_element_ids=ids,
            sub_frames=[TIT2(encoding=Encoding.UTF16, text="Chapters")],
        )
    )
