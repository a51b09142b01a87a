"""What a show is made from: the sources that a person names, and what is found in each.

A source is a podcast's feed, a page that yt-dlp knows, a file or folder of recordings and finished
transcripts, or a tar archive of transcripts. Finding items is quick and asks nothing of them; only
a feed is fetched. A recording and a transcript of the same name in one folder belong together.
"""

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from podcaster.errors import ConfigError, InputError, foreign
from podcaster.ingest.engine import PageItem, Pages
from podcaster.ingest.feed import FeedItem, read_feed, select
from podcaster.model import Noun

SourceKind = Literal["feed", "page", "files", "archive"]

MEDIA_SUFFIXES = frozenset(
    {".mp3", ".m4a", ".m4b", ".mp4", ".m4v", ".aac", ".wav", ".flac", ".ogg", ".oga", ".opus"}
    | {".webm", ".mkv", ".mka", ".mov", ".avi", ".wma", ".aiff", ".aif", ".ac3", ".amr"}
)
TRANSCRIPT_SUFFIXES = frozenset({".md", ".markdown", ".txt", ".srt", ".vtt", ".json", ".log"})
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
FEED_SUFFIXES = frozenset({".xml", ".rss", ".atom"})
LARGEST_TRANSCRIPT_BYTES = 64_000_000
LARGEST_ARCHIVE_BYTES = 4_000_000_000  # unpacked: a few thousand years of talk
MOST_ITEMS = 100_000

# what lies beside transcripts and is none
_NOT_TRANSCRIPTS = frozenset(
    {"readme", "license", "licence", "contributing", "changelog", "_index"}
)


class ShowSource(Noun, frozen=True):
    """A source as it was named: where it is, what kind it is, which part of it is wanted."""

    kind: SourceKind
    location: Annotated[str, msgspec.Meta(min_length=1)]
    last: Annotated[int, msgspec.Meta(ge=1)] | None = None
    since: str = ""
    match: str = ""
    format: str = ""


@dataclass(frozen=True)
class Item:
    """Something to ingest. `identity` stays the same when the source is read again.

    `media` and `transcript` are files that are there already; `text` is a transcript out of an
    archive, whose name is `text_name`; `published` is an item of a feed, in the feed's `language`;
    `page` is what a page holds.
    """

    identity: str
    title: str
    media: Path | None = None
    transcript: Path | None = None
    text: bytes | None = None
    text_name: str = ""
    published: FeedItem | None = None
    page: PageItem | None = None
    language: str = ""


def describe_source(
    location: str,
    *,
    kind: SourceKind | None = None,
    last: int | None = None,
    since: str = "",
    match: str = "",
    transcript_format: str = "",
) -> ShowSource:
    """Say what kind of source a file, a folder or an address is; paths become absolute.

    Raises ConfigError for a date that is none, InputError for a file that is not there or that no
    kind of source fits.
    """
    if since:
        try:
            date.fromisoformat(since)
        except ValueError as error:
            raise ConfigError(
                f"--since {since!r} is not a date.", next_step="Type it as 2026-01-31."
            ) from error
    if "://" in location:
        found = kind or _kind_of_address(location)
    else:
        path = Path(location).expanduser().absolute()
        if not path.exists():
            raise InputError(
                f"There is no file or folder {path}.",
                next_step="Name a feed's address, or files or folders that are there.",
            )
        location = str(path)
        found = kind or _kind_of_path(path)
    return ShowSource(
        kind=found,
        location=location,
        last=last,
        since=since,
        match=match,
        format=transcript_format,
    )


def _kind_of_address(location: str) -> SourceKind:
    suffix = PurePosixPath(urlsplit(location).path).suffix.lower()
    host = (urlsplit(location).hostname or "").removeprefix("www.")
    if suffix in FEED_SUFFIXES or suffix in MEDIA_SUFFIXES:
        return "feed" if suffix in FEED_SUFFIXES else "page"
    # a feed's address seldom says that it is one, and pages of videos are on few hosts
    return "page" if host in {"youtube.com", "youtu.be", "vimeo.com", "soundcloud.com"} else "feed"


def _kind_of_path(path: Path) -> SourceKind:
    name = path.name.lower()
    if path.is_file() and name.endswith(ARCHIVE_SUFFIXES):
        return "archive"
    if path.is_file() and path.suffix.lower() in FEED_SUFFIXES:
        return "feed"
    return "files"


def find_in_feed(source: ShowSource, *, allow_private: bool = False) -> Iterator[Item]:
    """The recordings that a feed offers, those of them that are wanted.

    Raises InputError for a feed that cannot be reached or read, or that offers no recording.
    """
    address = source.location
    feed = read_feed(address if "://" in address else Path(address), allow_private=allow_private)
    since = date.fromisoformat(source.since) if source.since else None
    for item in select(feed.items, last=source.last, since=since, match=source.match or None):
        yield Item(
            identity=item.guid, title=item.title, published=item, language=feed.language or ""
        )


def find_in_page(source: ShowSource, pages: Pages) -> Iterator[Item]:
    """The recordings behind a page, as an engine finds them. Raises InputError."""
    for item in pages.find(source.location, last=source.last):
        wanted = source.match.casefold() in item.title.casefold()
        if wanted and item.published_at >= source.since:
            yield Item(identity=item.identity, title=item.title, page=item)


def find_files(location: Path) -> Iterator[Item]:
    """The recordings and transcripts of a folder and its folders, by name, or the one file.

    A file brings along what stands beside it under the same name: a recording its transcript, and
    a transcript its recording. Raises InputError where there is nothing that could be either.
    """
    media: dict[Path, Path] = {}
    transcripts: dict[Path, Path] = {}
    with foreign(InputError, f"Looking through {location}", OSError):
        for path in _walk(location):
            stem, suffix = path.with_suffix(""), path.suffix.lower()
            named_alone = path == location
            if suffix in TRANSCRIPT_SUFFIXES:
                if named_alone or path.stem.lower() not in _NOT_TRANSCRIPTS:
                    transcripts.setdefault(stem, path)
            elif suffix in MEDIA_SUFFIXES or named_alone:
                media.setdefault(stem, path)
    if not media and not transcripts:
        raise InputError(
            f"{location} holds no recording and no transcript.",
            next_step=f"Recordings end in {_listing(MEDIA_SUFFIXES)}, transcripts in "
            f"{_listing(TRANSCRIPT_SUFFIXES)}.",
        )
    for stem in sorted(media.keys() | transcripts.keys()):
        yield Item(
            identity=str(media.get(stem) or transcripts[stem]),
            title=title_of(stem.name),
            media=media.get(stem),
            transcript=transcripts.get(stem),
        )


def _walk(location: Path) -> Iterator[Path]:
    """A folder's files but for hidden ones, or a file and those beside it of the same name."""
    if location.is_file():
        yield location
        for path in sorted(location.parent.iterdir()):
            same_name = path.with_suffix("") == location.with_suffix("")
            if same_name and path != location and path.is_file():
                yield path
        return
    for path in sorted(location.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(location).parts)
        if not hidden and path.is_file():
            yield path


def find_in_archive(archive: Path) -> Iterator[Item]:
    """The transcripts of a tar archive, one at a time: nothing is unpacked to the disk.

    Raises InputError where the archive cannot be read, or unpacks to more than anybody has said.
    """
    broken = (OSError, tarfile.TarError, EOFError, ValueError, lzma.LZMAError, zlib.error)
    seen_bytes = 0
    doing = f"Reading {archive.name}"
    with foreign(InputError, doing, *broken), tarfile.open(archive, mode="r|*") as stream:
        for member in stream:
            path = PurePosixPath(member.name)
            seen_bytes += member.size
            if seen_bytes > LARGEST_ARCHIVE_BYTES:
                raise InputError(
                    f"{archive.name} unpacks to more than {LARGEST_ARCHIVE_BYTES // 10**9} GB."
                )
            content = stream.extractfile(member) if _may_be_transcript(member, path) else None
            if content is not None:
                yield Item(
                    identity=f"{archive.name}/{member.name}",
                    title=title_of(path.stem),
                    text=content.read(),
                    text_name=member.name,
                )


def _may_be_transcript(member: tarfile.TarInfo, path: PurePosixPath) -> bool:
    named_so = path.suffix.lower() in TRANSCRIPT_SUFFIXES | {""}
    hidden = any(part.startswith(".") for part in path.parts)
    small = member.size <= LARGEST_TRANSCRIPT_BYTES
    known = path.stem.lower() in _NOT_TRANSCRIPTS
    return member.isfile() and named_so and small and not hidden and not known


def title_of(stem: str) -> str:
    """A file's name as a title: dashes and underscores are spaces."""
    return " ".join(stem.replace("_", " ").replace("-", " ").split()) or "untitled"


def _listing(suffixes: frozenset[str]) -> str:
    return " ".join(sorted(suffixes))
