"""The feed of a workspace: `feed/feed.json` and a folder of files for each of its episodes.

    feed/
      feed.json           what the feed is, and the guids of its episodes: what is not listed there
                          is not published
      cover-<hash>.jpg
      episodes/<guid>/    item.json, episode-<hash>.mp3, cover-<hash>.jpg, transcripts, chapters …
      listeners.json      see `listeners`
      export.key          see `export`

A file's name holds the hash of its content, so that a file with a name never changes, and a changed
one has a new address. Files are written first, then `item.json`, then `feed.json`.
"""

import hashlib
import re
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from podcaster.errors import InputError, RunLocked
from podcaster.model import Episode, Language, Noun, Sha256, parse, to_json
from podcaster.publish.categories import parse_category
from podcaster.publish.languages import is_language
from podcaster.publish.text import clean_line, clean_text, shorten_bytes
from podcaster.run import atomic_path, make_folder, read_bytes, write_atomic, writing

LONGEST_DESCRIPTION_BYTES = 4000
LARGEST_COVER_BYTES = 512_000
GUID_NAMESPACE = uuid.UUID("ead4c236-bf58-58c6-a2c6-a6b28d128cb6")  # of Podcasting 2.0's guid
FEED_NAME = "feed.json"
ITEM_NAME = "item.json"

CONTENT_TYPES: dict[str, str] = {
    "feed": "application/rss+xml; charset=utf-8",
    "audio": "audio/mpeg",
    "cover": "image/jpeg",
    "vtt": "text/vtt; charset=utf-8",
    "srt": "application/x-subrip",
    "json": "application/json",
    "chapters": "application/json+chapters",
    "notes": "text/html; charset=utf-8",
}
# what a kind of file is called, before the hash of its content is added
FILE_NAMES: dict[str, str] = {
    "audio": "episode.mp3",
    "cover": "cover.jpg",
    "vtt": "episode.vtt",
    "srt": "episode.srt",
    "json": "transcript.json",
    "chapters": "chapters.json",
    "notes": "notes.html",
}
_LONGEST_URL = 500
_LARGEST_JSON_BYTES = 20_000_000
_LOCK_TIMEOUT_S = 10.0


class FeedFile(Noun, frozen=True):
    """A file of the feed. It lies, and is served, under `name`."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+-[0-9a-f]{16}\.[a-z0-9]{2,4}$")]
    bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Sha256
    added_at: str


class FeedItem(Noun, frozen=True):
    """An episode in a feed. `files` has every kind of `FILE_NAMES`; `number` counts from 1."""

    episode: Episode
    author: str
    number: int
    explicit: bool
    files: dict[str, FeedFile]

    def __post_init__(self) -> None:
        if set(self.files) != set(FILE_NAMES):
            raise ValueError(f"files are of {sorted(self.files)}, expected {sorted(FILE_NAMES)}")


class Feed(Noun, frozen=True):
    """What a feed says of itself. `url` is its address without any token; `guid` never changes."""

    title: str
    url: str
    guid: str
    description: str
    author: str
    owner_email: str
    language: Language
    category: str
    explicit: bool
    cover: FeedFile
    created_at: str
    updated_at: str
    episodes: tuple[str, ...] = ()


def feed_folder(home: Path) -> Path:
    """Where the feed of the workspace `home` lies."""
    return home / "feed"


def feed_guid(url: str) -> str:
    """The `podcast:guid` of a feed: a UUIDv5 over its address without scheme and trailing slashes.

    Source: `guid.md` of the Podcasting 2.0 namespace.
    """
    return str(uuid.uuid5(GUID_NAMESPACE, re.sub(r"^[a-z]+://", "", url.strip()).rstrip("/")))


def base_url(feed: Feed) -> str:
    """The address that tokens and file names are appended to: the feed's, without `/feed.xml`."""
    return feed.url.removesuffix("/feed.xml").rstrip("/")


def init_feed(
    home: Path,
    *,
    title: str,
    url: str,
    description: str = "",
    author: str = "",
    owner_email: str = "",
    language: str = "en",
    category: str = "Society & Culture",
    explicit: bool = False,
    image: Path | None = None,
    now: datetime | None = None,
) -> Feed:
    """Make the feed of a workspace. `url` is where listeners' apps will reach it, without a token.

    Raises InputError for a feed that is already there, an empty title, an impossible address,
    language, category or image.
    """
    from podcaster.publish.pictures import make_feed_cover

    folder = feed_folder(home)
    title = clean_line(title)
    if not title:
        raise InputError("The feed's title is empty.", next_step="Say it with --title.")
    if not is_language(language) or not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", language):
        raise InputError(f"{language!r} is not a language of ISO 639, such as `en` or `pt-BR`.")
    url = check_url(url)
    category = " > ".join(filter(None, parse_category(category)))
    email = _check_email(owner_email)
    picture = make_feed_cover(title, image)
    moment = format_moment(now)
    with lock_feed(home, make=True):
        if (folder / FEED_NAME).exists():
            raise InputError(
                f"There is already a feed in {folder}.",
                next_step=f"Change {folder / FEED_NAME}, or use another workspace with --home.",
            )
        cover = store_bytes(folder, "cover.jpg", picture, moment)
        write_secret(folder / "export.key", secrets.token_hex(32).encode() + b"\n")
        feed = Feed(
            title=title,
            url=url,
            guid=feed_guid(url),
            description=shorten_bytes(
                clean_text(description).strip() or title, LONGEST_DESCRIPTION_BYTES
            ),
            author=clean_line(author, fallback=title),
            owner_email=email,
            language=language,
            category=category,
            explicit=explicit,
            cover=cover,
            created_at=moment,
            updated_at=moment,
        )
        write_atomic(folder / FEED_NAME, to_json(feed))
    return feed


def read_feed(home: Path) -> tuple[Feed, list[FeedItem]]:
    """The feed of a workspace and its episodes, newest first.

    Raises InputError where there is none, or where a file of it is not what it should be.
    """
    folder = feed_folder(home)
    path = folder / FEED_NAME
    if not path.is_file():
        raise InputError(
            f"There is no feed in {folder}.",
            next_step='Make one with `podcaster feed init --title "My show" --url URL`.',
        )
    feed = parse(read_bounded(path), Feed, where=str(path))
    items = [read_item(folder, guid) for guid in feed.episodes]
    items.sort(key=lambda item: (item.episode.published_at, item.number), reverse=True)
    return feed, items


def read_item(folder: Path, guid: str) -> FeedItem:
    """One episode of the feed in `folder`. Raises InputError, RunError."""
    path = item_folder(folder, guid) / ITEM_NAME
    return parse(read_bounded(path), FeedItem, where=str(path))


@contextmanager
def lock_feed(home: Path, *, make: bool = False) -> Iterator[None]:
    """Hold the feed and its listeners for a change. Raises RunLocked, InputError without a feed."""
    import filelock

    folder = feed_folder(home)
    if make:
        make_folder(folder)
    elif not folder.is_dir():
        read_feed(home)  # says what is missing
    lock = filelock.FileLock(folder / ".lock", timeout=_LOCK_TIMEOUT_S)
    with writing(folder / ".lock"):
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise RunLocked(
                f"The feed in {folder} is being changed by another process.",
                next_step="Wait for it to end, then type the same command again.",
            ) from error
    try:
        yield
    finally:
        lock.release()


def write_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read (mode 0600), all or nothing."""
    with atomic_path(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.chmod(0o600)
        temporary.write_bytes(data)


def store_bytes(folder: Path, name: str, data: bytes, moment: str) -> FeedFile:
    """Keep `data` in `folder` under `name` with the hash of its content in it."""
    digest = hashlib.sha256(data).hexdigest()
    stored = hashed_name(name, digest)
    write_atomic(folder / stored, data)
    return FeedFile(name=stored, bytes=len(data), sha256=digest, added_at=moment)


def check_url(url: str) -> str:
    """Return the address of a feed or a host, without a trailing slash. Raises InputError."""
    text = url.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and not (parts.query or parts.fragment or parts.username or parts.password)
    except ValueError:
        good = False
    if not good or len(text) > _LONGEST_URL or not re.fullmatch(r"[A-Za-z0-9:/._~%\[\]-]+", text):
        raise InputError(
            f"{url[:120]!r} is not the address of a feed: expected http(s)://host[:port][/path] in "
            "ASCII, without a query or a password.",
            next_step="Say where listeners' apps will reach it, as in --url https://pod.example.org.",
        )
    return text


def parse_moment(text: str) -> datetime:
    """Read a moment as it is written in the feed's files (ISO 8601, UTC). Raises InputError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text[:40]!r} is not a moment such as 2026-11-20T00:00:00Z.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def hashed_name(name: str, digest: str) -> str:
    """`cover.jpg` with its content's hash in it: `cover-0123456789abcdef.jpg`."""
    stem, _, suffix = name.rpartition(".")
    return f"{stem}-{digest[:16]}.{suffix}"


def item_folder(folder: Path, guid: str) -> Path:
    """Where an episode's files lie. Raises InputError for a guid that is not a UUID."""
    try:
        is_canonical = str(uuid.UUID(guid)) == guid
    except ValueError:
        is_canonical = False
    if not is_canonical:
        raise InputError(f"{guid[:60]!r} is not the guid of an episode (a UUID in lower case).")
    return folder / "episodes" / guid


def read_bounded(path: Path) -> bytes:
    """Read a JSON file, unless it is larger than ours ever are. Raises InputError, RunError."""
    if path.is_file() and path.stat().st_size > _LARGEST_JSON_BYTES:
        raise InputError(f"{path} is larger than {_LARGEST_JSON_BYTES} bytes.")
    return read_bytes(path)


def format_moment(now: datetime | None) -> str:
    """Write a moment, by default this one, as it stands in the feed's files."""
    return (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_email(email: str) -> str:
    text = email.strip()
    if text and not re.fullmatch(r"[^@\s<>\x00-\x1f]{1,64}@[^@\s<>\x00-\x1f]{1,190}", text):
        raise InputError(f"{email[:80]!r} is not an e-mail address.")
    return text
