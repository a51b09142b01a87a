"""What the server may send: the feed, its files and its listeners, as they are on disk now."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from podcaster.model import parse
from podcaster.publish.feed import (
    CONTENT_TYPES,
    FEED_NAME,
    Feed,
    FeedFile,
    FeedItem,
    base_url,
    feed_folder,
    item_folder,
    parse_moment,
    read_feed,
)
from podcaster.publish.listeners import Listener, Listeners, find_listener, listeners_path
from podcaster.publish.rss import FEED_FILE, format_feed, item_path
from podcaster.run import read_bytes

_MOST_RENDERED = 256

Signature = tuple[int, int, int, int]


@dataclass(frozen=True)
class Resource:
    """Something to send: `body`, or the `size_bytes` of the file at `path`."""

    content_type: str
    etag: str
    modified: datetime
    size_bytes: int
    cache: str
    body: bytes = b""
    path: Path | None = None


class FeedState:
    """The feed and its listeners as they are on disk now."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._feed_signature: Signature | None = None
        self._listeners_signature: Signature | None = None
        self._listeners: tuple[Listener, ...] = ()
        self._feed: Feed | None = None
        self._items: list[FeedItem] = []
        self._files: dict[str, Resource] = {}
        self._rendered: dict[str, Resource] = {}
        self._modified = datetime.fromtimestamp(0, UTC)
        self._base_path = ""

    def find_listener(self, token: str) -> Listener | None:
        """Who has this token. A list that is missing or broken lets nobody in."""
        path = listeners_path(self._home)
        signature = _sign(path)
        if signature != self._listeners_signature:
            self._listeners = ()
            self._rendered.clear()
            if signature is not None:
                self._listeners = parse(read_bytes(path), Listeners, where=str(path)).listeners
            self._listeners_signature = signature
        return find_listener(self._listeners, token)

    def strip_base(self, path: str) -> str:
        """Drop the path of the feed's address, for proxies that pass it on."""
        self._refresh()
        if self._base_path and path.startswith(f"{self._base_path}/"):
            return path[len(self._base_path) :]
        return path

    def find_resource(self, listener: Listener, token: str, name: str) -> Resource | None:
        """What lies at `name` below the listener's token, if anything."""
        self._refresh()
        return self._render(listener, token) if name == FEED_FILE else self._files.get(name)

    def _refresh(self) -> None:
        path = feed_folder(self._home) / FEED_NAME
        signature = _sign(path)
        if signature == self._feed_signature and self._feed is not None:
            return
        feed, items = read_feed(self._home)
        self._files = _list_files(self._home, feed, items)
        self._feed, self._items = feed, items
        self._rendered.clear()
        self._base_path = urlsplit(base_url(feed)).path
        # a feed.json that was edited by hand has a newer date than it says
        written_ns = signature[0] if signature else 0
        written = datetime.fromtimestamp(written_ns // 1_000_000_000, UTC)
        self._modified = max(parse_moment(feed.updated_at), written)
        self._feed_signature = signature

    def _render(self, listener: Listener, token: str) -> Resource:
        assert self._feed is not None  # _refresh read it
        known = self._rendered.get(listener.token_sha256)
        if known is not None:
            return known
        body = format_feed(self._feed, self._items, base_url(self._feed), token)
        resource = Resource(
            content_type=CONTENT_TYPES["feed"],
            etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            modified=self._modified,
            size_bytes=len(body),
            cache="private, no-cache",
            body=body,
        )
        if len(self._rendered) >= _MOST_RENDERED:
            self._rendered.pop(next(iter(self._rendered)))
        self._rendered[listener.token_sha256] = resource
        return resource


def _list_files(home: Path, feed: Feed, items: list[FeedItem]) -> dict[str, Resource]:
    folder = feed_folder(home)
    files = {feed.cover.name: _file_resource(folder, feed.cover, "cover")}
    for item in items:
        below = item_folder(folder, item.episode.guid)
        for kind, file in item.files.items():
            files[item_path(item, kind)] = _file_resource(below, file, kind)
    return files


def _file_resource(folder: Path, file: FeedFile, kind: str) -> Resource:
    return Resource(
        content_type=CONTENT_TYPES[kind],
        etag=f'"{file.sha256[:32]}"',
        modified=parse_moment(file.added_at),
        size_bytes=file.bytes,
        cache="private, max-age=31536000, immutable",  # a changed file has another name
        path=folder / file.name,
    )


def _sign(path: Path) -> Signature | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_size
