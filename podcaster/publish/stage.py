"""The stage `publish`: a mixed MP3 becomes an episode with tags, cover, transcripts and notes."""

import shutil
import uuid
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from podcaster.errors import ConfigError
from podcaster.model import Episode, Noun, Script, Timeline, TimelineChapter, Voice, to_json
from podcaster.progress import Progress
from podcaster.publish.cover import make_cover
from podcaster.publish.notes import (
    disclose,
    format_notes_html,
    format_notes_markdown,
    guests_of,
)
from podcaster.publish.options import PublishOptions
from podcaster.publish.provenance import Making, describe_making, sign_mp3
from podcaster.publish.tags import Tags, check_mp3, write_tags
from podcaster.publish.text import clean_line, clean_text, shorten
from podcaster.publish.transcripts import TRANSCRIPT_WRITERS, make_sentences
from podcaster.run import atomic_path, make_folder, sha256_file, write_atomic

STAGE_VERSION = 1

AUDIO_NAME = "episode.mp3"
COVER_NAME = "cover.jpg"
CHAPTERS_NAME = "chapters.json"
NOTES_NAME = "notes.html"
EPISODE_NAME = "episode.json"
DETAILS_NAME = "details.json"

# chosen once at random; an episode's guid is the UUIDv5 of its run's name in it
EPISODE_NAMESPACE = uuid.UUID("6f0c8f0e-2f2b-4b7e-9c0b-6d5f3c9d7a41")


class Details(Noun, frozen=True):
    """What a feed says of an episode beyond `Episode`; `number` 0: the feed gives one."""

    author: str
    number: int
    explicit: bool


def publish(
    script: Script,
    timeline: Timeline,
    voices: Mapping[str, Voice],
    mp3: Path,
    folder: Path,
    options: PublishOptions,
    *,
    run_name: str,
    run_date: str,
    disclosure: bool,
    progress: Progress,
) -> Episode:
    """Write into `folder` all that a feed needs of an episode, and return what was written.

    `voices` are by speaker id; `mp3` is the untagged mix, of constant bit rate, as long as
    `timeline`; `run_date` is YYYY-MM-DD. The same arguments give the same bytes (unless signed),
    and nothing in the MP3 depends on `run_name`. `published_at` is the date's midnight in UTC
    until a feed knows better.

    Raises InputError for an MP3 that is not one or not whole, ConfigError for an impossible date,
    RunError where the folder cannot be written, and what `sign_mp3` raises.
    """
    day = _parse_date(options.date or run_date)
    check_mp3(mp3, timeline.duration_s)
    make_folder(folder)
    total = 4
    progress.report("publish", 0, total, "files")
    cover = make_cover(options.show, " & ".join(guests_of(script)[:2]), seed=script.seed)
    write_atomic(folder / COVER_NAME, cover)
    progress.report("publish", 1, total, "files")
    making = None
    if options.sign:
        making = describe_making(script, voices, disclosure=disclose(guests_of(script)))
    _write_audio(script, timeline, mp3, folder, options, day, cover, disclosure, making)
    progress.report("publish", 2, total, "files")
    sentences = make_sentences(script, timeline)
    for name, write in TRANSCRIPT_WRITERS.items():
        write_atomic(folder / name, write(sentences))
    title = _title(script, options)
    write_atomic(folder / CHAPTERS_NAME, format_chapters(title, timeline.chapters))
    progress.report("publish", 3, total, "files")
    notes = format_notes_html(script, timeline, voices, disclosure=disclosure)
    write_atomic(folder / NOTES_NAME, notes.encode())
    markdown = format_notes_markdown(script, timeline, voices, disclosure=disclosure)
    write_atomic(folder / "notes.md", markdown.encode())
    details = Details(
        author=_author(script, options), number=options.number, explicit=options.explicit
    )
    write_atomic(folder / DETAILS_NAME, to_json(details))
    episode = Episode(
        guid=str(uuid.uuid5(EPISODE_NAMESPACE, run_name)),
        run=run_name,
        title=title,
        summary=_describe(script, disclosure),
        show_notes_html=notes,
        language=script.language,
        published_at=f"{day.isoformat()}T00:00:00Z",
        duration_s=timeline.duration_s,
        audio=f"{folder.name}/{AUDIO_NAME}",
        audio_bytes=(folder / AUDIO_NAME).stat().st_size,
        audio_sha256=sha256_file(folder / AUDIO_NAME),
        cover=f"{folder.name}/{COVER_NAME}",
        transcript_vtt=f"{folder.name}/episode.vtt",
        transcript_srt=f"{folder.name}/episode.srt",
        transcript_json=f"{folder.name}/transcript.json",
        chapters=f"{folder.name}/{CHAPTERS_NAME}",
        speakers=script.speakers,
        ai_disclosure=disclosure,
    )
    write_atomic(folder / EPISODE_NAME, to_json(episode))
    progress.report("publish", total, total, "files")
    return episode


def format_chapters(title: str, chapters: tuple[TimelineChapter, ...]) -> bytes:
    """Chapters as Podcasting 2.0 has them (`jsonChapters.md`, version 1.2.0), times in seconds."""
    marks = [
        {
            "startTime": round(chapter.start_s, 3),
            "endTime": round(chapter.end_s, 3),
            "title": clean_line(chapter.title, fallback="…"),
        }
        for chapter in chapters
    ]
    return to_json({"version": "1.2.0", "title": title, "chapters": marks})


def _write_audio(
    script: Script,
    timeline: Timeline,
    mp3: Path,
    folder: Path,
    options: PublishOptions,
    day: date,
    cover: bytes,
    disclosure: bool,
    making: Making | None,
) -> None:
    tags = Tags(
        title=_title(script, options),
        artist=_author(script, options),
        album=options.show,
        date=day.isoformat(),
        comment=_describe(script, disclosure, disclosure_first=True),
        language=script.language,
        track=options.number or 1,  # an episode without a number is the first of one
        cover=cover,
        chapters=timeline.chapters,
        duration_s=timeline.duration_s,
    )
    with atomic_path(folder / AUDIO_NAME) as temporary:
        shutil.copyfile(mp3, temporary)
        write_tags(temporary, tags)
        if making is not None:
            sign_mp3(temporary, title=tags.title, making=making)


def _describe(script: Script, disclosure: bool, *, disclosure_first: bool = False) -> str:
    summary = shorten(clean_text(script.summary).strip(), 3000)
    parts = [summary] if summary else []
    if disclosure:
        parts.insert(0 if disclosure_first else len(parts), disclose(guests_of(script)))
    return "\n\n".join(parts)


def _title(script: Script, options: PublishOptions) -> str:
    return clean_line(options.title) or clean_line(script.title, fallback="Untitled")


def _author(script: Script, options: PublishOptions) -> str:
    hosts = [s.name for s in script.speakers if s.role == "host"]
    host = (hosts or [script.speakers[0].name])[0]
    return clean_line(options.author) or clean_line(host, fallback="Unknown")


def _parse_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(
            f"The date {text!r} of [publish] is not a day of the calendar: {error}.",
            next_step="Write it as YYYY-MM-DD.",
        ) from error
