"""Write the feed as a static tree for any host: a folder, or a bucket that fsspec can reach.

Each listener has an unguessable prefix of their own, derived from the listener's token hash with a
key that only this workspace has, so that the same listener keeps the same address from export to
export, and the prefix of a revoked one is known and can be deleted.
"""

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from podcaster.errors import EngineMissing, InputError, RunError, foreign
from podcaster.model import Noun
from podcaster.progress import Progress
from podcaster.publish.feed import (
    CONTENT_TYPES,
    Feed,
    FeedItem,
    base_url,
    check_url,
    feed_folder,
    item_folder,
    lock_feed,
    read_feed,
)
from podcaster.publish.listeners import Listener, list_listeners
from podcaster.publish.rss import FEED_FILE, feed_url, format_feed, item_path
from podcaster.run import atomic_path, make_folder, read_bytes

KEY_NAME = "export.key"
# hosts that read this file send these headers; the others ignore it
_HEADERS_FILE = b"/*\n  X-Robots-Tag: noindex\n  Referrer-Policy: no-referrer\n"
# how fsspec's file systems call the argument that says what an object is
_CONTENT_TYPE_ARGUMENTS = {
    "s3": "ContentType",
    "s3a": "ContentType",
    "gs": "content_type",
    "gcs": "content_type",
}


class ExportedListener(Noun, frozen=True):
    """A listener's address in an exported tree; whoever has it can listen."""

    name: str
    url: str


class ExportReport(Noun, frozen=True):
    """What an export did. `written` and `kept` count files."""

    listeners: tuple[ExportedListener, ...]
    written: int
    kept: int
    removed: int


def export_feed(home: Path, destination: str, *, url: str = "", progress: Progress) -> ExportReport:
    """Write every listener's feed and files below `destination`, and delete what is revoked.

    `destination` is a folder or an address of fsspec (`s3://bucket/path`); `url` is where the tree
    will be reached, by default the feed's own address. Files come first and `feed.xml` last, so an
    export that is cut off leaves the earlier feed whole; a file that is already there is not
    written again, as its name holds its hash.

    Raises InputError without a feed or for an unknown kind of destination, EngineMissing where the
    library for it is not installed, RunError where it cannot be written.
    """
    with lock_feed(home):
        feed, items = read_feed(home)
        everybody = list_listeners(home, revoked=True)
    # not held while uploading: a listener must be revocable at any time
    base = check_url(url) if url else base_url(feed)
    key = read_bytes(feed_folder(home) / KEY_NAME).strip()
    tree = _open_tree(destination, home)
    return _Exporter(home, feed, items, base, key, tree, progress).run(everybody)


def export_prefix(key: bytes, listener: Listener) -> str:
    """The listener's folder in an exported tree: 192 bits that nobody can guess without `key`."""
    return hmac.new(key, listener.token_sha256.encode(), hashlib.sha256).hexdigest()[:48]


class _Tree:
    """A place that fsspec can write: a root, and whether its files appear all at once."""

    def __init__(self, fs: Any, root: str, name: str) -> None:
        self.fs, self.root, self.name = fs, root.rstrip("/"), name
        protocols = (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
        self.is_local = "file" in protocols or "local" in protocols
        self._type_argument = next(
            (_CONTENT_TYPE_ARGUMENTS[p] for p in protocols if p in _CONTENT_TYPE_ARGUMENTS), None
        )

    def has(self, path: str, size_bytes: int) -> bool:
        try:
            return bool(self.fs.info(f"{self.root}/{path}")["size"] == size_bytes)
        except FileNotFoundError:
            return False

    def write(self, path: str, data: bytes, content_type: str) -> None:
        target = f"{self.root}/{path}"
        if self.is_local:
            with atomic_path(Path(target)) as temporary:
                temporary.write_bytes(data)
            return
        arguments = {self._type_argument: content_type} if self._type_argument else {}
        self.fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        self.fs.pipe_file(target, data, **arguments)

    def list(self, prefix: str) -> list[str]:
        """Names of the files below `prefix`."""
        top = f"{self.root}/{prefix}"
        if not self.fs.exists(top):
            return []
        found = [str(path) for path in self.fs.find(top)]
        return [path[path.index(f"/{prefix}/") + len(prefix) + 2 :] for path in found]

    def remove(self, path: str) -> None:
        self.fs.rm_file(f"{self.root}/{path}")

    def remove_folder(self, path: str) -> None:
        if self.fs.exists(f"{self.root}/{path}"):
            self.fs.rm(f"{self.root}/{path}", recursive=True)


class _Exporter:
    def __init__(
        self,
        home: Path,
        feed: Feed,
        items: list[FeedItem],
        base: str,
        key: bytes,
        tree: _Tree,
        progress: Progress,
    ) -> None:
        self.feed, self.items, self.base, self.key = feed, items, base, key
        self.tree, self.progress = tree, progress
        self.sources = _list_sources(home, feed, items)
        self.written = self.kept = self.removed = 0

    def run(self, everybody: Iterable[Listener]) -> ExportReport:
        with foreign(RunError, f"Writing to {self.tree.name}"):
            current = []
            for listener in everybody:
                if listener.revoked_at is None:
                    current.append(listener)
                else:
                    self._forget(export_prefix(self.key, listener))
            # an empty index keeps a host from listing the prefixes
            self._put("index.html", b"", "text/html")
            self._put("_headers", _HEADERS_FILE, "text/plain")
            total = len(current) * (len(self.sources) + 1)
            exported = [self._export(listener, total) for listener in current]
        return ExportReport(
            listeners=tuple(exported),
            written=self.written,
            kept=self.kept,
            removed=self.removed,
        )

    def _export(self, listener: Listener, total: int) -> ExportedListener:
        prefix = export_prefix(self.key, listener)
        for name, (source, size_bytes, content_type) in self.sources.items():
            if self.tree.has(f"{prefix}/{name}", size_bytes):
                self.kept += 1
            else:
                self._put(f"{prefix}/{name}", read_bytes(source), content_type)
            self.progress.report("export", self.written + self.kept, total + 2, "files")
        self._put(f"{prefix}/index.html", b"", "text/html")
        xml = format_feed(self.feed, self.items, self.base, prefix)
        self._put(f"{prefix}/{FEED_FILE}", xml, CONTENT_TYPES["feed"])
        wanted = {*self.sources, "index.html", FEED_FILE}
        for name in self.tree.list(prefix):
            if name not in wanted:
                self.tree.remove(f"{prefix}/{name}")
                self.removed += 1
        return ExportedListener(name=listener.name, url=feed_url(self.base, prefix))

    def _forget(self, prefix: str) -> None:
        names = self.tree.list(prefix)
        if FEED_FILE in names:
            self.tree.remove(f"{prefix}/{FEED_FILE}")
        self.tree.remove_folder(prefix)
        self.removed += len(names)

    def _put(self, path: str, data: bytes, content_type: str) -> None:
        self.tree.write(path, data, content_type)
        self.written += 1


def _list_sources(
    home: Path, feed: Feed, items: list[FeedItem]
) -> dict[str, tuple[Path, int, str]]:
    folder = feed_folder(home)
    sources = {
        feed.cover.name: (folder / feed.cover.name, feed.cover.bytes, CONTENT_TYPES["cover"])
    }
    for item in items:
        for kind, file in item.files.items():
            path = item_folder(folder, item.episode.guid) / file.name
            sources[item_path(item, kind)] = (path, file.bytes, CONTENT_TYPES[kind])
    return sources


def _open_tree(destination: str, home: Path) -> _Tree:
    import fsspec

    try:
        fs, root = fsspec.core.url_to_fs(destination)
    except ImportError as error:
        raise EngineMissing(
            f"Writing to {destination.split('://')[0]}:// needs a library that is not installed: "
            f"{error}.",
            next_step="Install the one that the message names with `pip install`.",
        ) from error
    except ValueError as error:
        raise InputError(
            f"{destination[:100]!r} is not a folder or an address that fsspec knows: {error}.",
            next_step="Give a folder, or an address such as s3://bucket/path.",
        ) from error
    tree = _Tree(fs, root, destination.split("?")[0][:100])
    if tree.is_local:
        inside = Path(root).resolve()
        own = feed_folder(home).resolve()
        if inside == own or inside.is_relative_to(own):
            raise InputError(
                f"The feed cannot be exported into its own folder {own}.",
                next_step="Give another folder.",
            )
        make_folder(Path(root))
    return tree
