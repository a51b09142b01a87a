"""A feed's elements as nouns: its episodes, and what of it cannot be used, with the reason.

Whatever a feed says is text. It is bounded, and its addresses are checked.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urljoin, urlsplit

from podcaster.errors import InputError
from podcaster.ingest.feed_values import (
    parse_count,
    parse_duration,
    parse_language,
    parse_moment,
    plain_line,
    plain_text,
)
from podcaster.ingest.feed_xml import Node
from podcaster.model import Noun, Person, TranscriptChapter
from podcaster.web import Purpose, is_url, refuse_unlike_web

MOST_ITEMS = 10_000
MOST_PARTS = 200  # persons, chapters or transcripts of one item
LONGEST_TITLE = 300
LONGEST_NAME = 120
LONGEST_GUID = 1000
LONGEST_SUMMARY = 20_000
_AUDIO_SUFFIX = re.compile(r"\.(?:mp3|m4a|m4b|aac|ogg|oga|opus|flac|wav|aiff?|wma)$", re.IGNORECASE)
_VIDEO_SUFFIX = re.compile(r"\.(?:mp4|m4v|mov|webm|mkv)$", re.IGNORECASE)
_NOT_AUDIO = 9


class FeedTranscript(Noun, frozen=True):
    """Where a transcript lies; `type` is a media type (`text/vtt`), "" where none is stated."""

    url: str
    type: str
    language: str | None


class FeedItem(Noun, frozen=True):
    """An episode of a feed. `guid` is unique in it; `published_at` is ISO 8601 in UTC.

    `audio_bytes` and `duration_s` are what the feed states, which is often wrong. `audio_url` is
    complete, with any password in it. `summary` is plain text.
    """

    guid: str
    title: str
    published_at: str | None
    audio_url: str
    audio_type: str
    audio_bytes: int | None
    duration_s: float | None
    summary: str
    link: str
    season: int | None
    episode: int | None
    persons: tuple[Person, ...]
    chapters: tuple[TranscriptChapter, ...]
    chapters_url: str | None
    transcripts: tuple[FeedTranscript, ...]


class ItemWithoutAudio(Noun, frozen=True):
    """An item that has no recording that can be fetched; `reason` is a sentence."""

    guid: str
    title: str
    reason: str


class Feed(Noun, frozen=True):
    """A podcast as its feed tells it, items in the feed's order.

    `persons` are those of the whole podcast. `remarks` are sentences on what was odd, for people.
    """

    title: str
    link: str
    language: str | None
    description: str
    author: str
    persons: tuple[Person, ...]
    items: tuple[FeedItem, ...]
    without_audio: tuple[ItemWithoutAudio, ...]
    remarks: tuple[str, ...]


class FeedReader:
    """Makes a feed's nouns of its elements, and collects remarks.

    `where` begins the sentences ("The feed x"), `base` is the address it came from ("" if unknown),
    `purpose` says which addresses recordings may have.
    """

    def __init__(self, where: str, base: str, purpose: Purpose, remarks: list[str]) -> None:
        self.where = where
        self.base = base
        self.purpose = purpose
        self.remarks = remarks
        self.guids: dict[str, str] = {}
        self.repeated = self.renamed = 0

    def read(self, root: Node) -> Feed:
        """The feed under `root`. Raises InputError where that is no feed, or has no recordings."""
        channel = next(root.all("channel"), root)
        # in RSS 1.0 the items stand beside the channel
        nodes = [*channel.all("item", "atom:entry"), *(root.all("item") if channel != root else ())]
        if root.name not in ("rss", "atom:feed") and not root.name.endswith(":RDF"):
            raise InputError(
                f"{self.where} is XML but not a feed: its first element is <{root.name[:40]}>.",
                next_step="Give the address of an RSS or Atom feed, or a file that holds one.",
            )
        own = next((n.get("href") for n in _links(channel) if n.get("rel") == "self"), "")
        link = self._link(channel)
        self.base = self.base or (own if is_url(own) else link)
        if len(nodes) > MOST_ITEMS:
            self.remarks.append(f"{self.where} has {len(nodes)} items; {MOST_ITEMS} were read.")
        items, without_audio = self._sort_out(nodes[:MOST_ITEMS])
        if any(node.get("rel") == "next" for node in _links(channel)):
            self.remarks.append(f"{self.where} goes on on another page, which was not read.")
        description = channel.text("description", "itunes:summary", "atom:subtitle")
        return Feed(
            title=_title(channel),
            link=link,
            language=parse_language(channel.text("language", "dc:language")),
            description=plain_text(description, longest=LONGEST_SUMMARY),
            author=_author(channel),
            persons=_persons(channel),
            items=items,
            without_audio=without_audio,
            remarks=tuple(self.remarks),
        )

    def _sort_out(
        self, nodes: Sequence[Node]
    ) -> tuple[tuple[FeedItem, ...], tuple[ItemWithoutAudio, ...]]:
        items, others = [], []
        for node in nodes:
            item = self._item(node)
            if isinstance(item, FeedItem):
                items.append(item)
            elif item is not None:
                others.append(item)
        if not items:
            raise InputError(
                f"{self.where} has no recordings: it has {len(nodes)} items, none with audio that "
                "can be fetched." + (f" The first of them: {others[0].reason}" if others else ""),
                next_step="Check that it is the feed of a podcast and not of its blog.",
            )
        for count, what in (
            (self.repeated, "items twice; one of each was taken"),
            (self.renamed, "items with the guid of another; theirs was changed"),
            (len(others), "items without audio that can be fetched"),
        ):
            if count:
                self.remarks.append(f"{self.where} has {count} {what}.")
        return tuple(items), tuple(others)

    def _item(self, node: Node) -> FeedItem | ItemWithoutAudio | None:
        title = _title(node)
        link = self._link(node)
        url, kind, length, reason = self._enclosure(node)
        guid = node.text("guid", "atom:id").strip() or url or link or title
        guid = plain_line(guid, longest=LONGEST_GUID)
        if self.guids.get(guid) == url:
            self.repeated += 1
            return None
        if guid in self.guids:
            self.renamed += 1
            number = 2
            while f"{guid}#{number}" in self.guids:
                number += 1
            guid = f"{guid}#{number}"
        self.guids[guid] = url
        if reason:
            return ItemWithoutAudio(guid=guid, title=title, reason=reason)
        summary = node.text(
            "description", "itunes:summary", "content:encoded", "atom:content", "atom:summary"
        )
        chapters_url = next((self._resolve(n.get("url")) for n in node.all("podcast:chapters")), "")
        return FeedItem(
            guid=guid,
            title=title,
            published_at=parse_moment(
                node.text("pubDate", "atom:published", "dc:date", "atom:updated")
            ),
            audio_url=url,
            audio_type=kind,
            audio_bytes=parse_count(length),
            duration_s=parse_duration(node.text("itunes:duration")),
            summary=plain_text(summary, longest=LONGEST_SUMMARY),
            link=link,
            season=parse_count(node.text("itunes:season", "podcast:season").strip()),
            episode=parse_count(node.text("itunes:episode", "podcast:episode").strip()),
            persons=_persons(node),
            chapters=tuple(_chapters(node)),
            chapters_url=chapters_url or None,
            transcripts=tuple(self._transcripts(node)),
        )

    def _enclosure(self, node: Node) -> tuple[str, str, str, str]:
        """The best enclosure's address, type and length, and why there is none ("" if there is)."""
        offered = [
            (
                n.get("url") or n.get("href"),
                n.get("type").partition(";")[0].strip().lower(),
                n.get("length") or n.get("fileSize"),
            )
            for n in _enclosures(node)
        ]
        reasons = []
        for url, kind, length in sorted(offered, key=lambda o: _rank(o[0], o[1])):
            kind = plain_line(kind, longest=80)
            if _rank(url, kind) == _NOT_AUDIO:
                reasons.append(f"Its enclosure is of type {kind}, not audio.")
                continue
            address = self._resolve(url)
            try:
                refuse_unlike_web(address, self.purpose)
            except InputError as error:
                reasons.append(error.message)
                continue
            return address, kind, length, ""
        return "", "", "", next(iter(reasons), "It has no enclosure.")

    def _transcripts(self, node: Node) -> Iterator[FeedTranscript]:
        for found in [*node.all("podcast:transcript")][:MOST_PARTS]:
            if url := self._resolve(found.get("url")):
                yield FeedTranscript(
                    url=url,
                    type=plain_line(found.get("type").partition(";")[0].lower(), longest=80),
                    language=parse_language(found.get("language")),
                )

    def _link(self, node: Node) -> str:
        alternate = (
            n.get("href")
            for n in _links(node)
            if n.get("rel") in ("", "alternate") and n.get("href")
        )
        return self._resolve(node.text("link") or next(alternate, ""))

    def _resolve(self, url: str) -> str:
        """`url` as a whole address; as it stands where it is none."""
        # browsers, too, drop line ends and spell out spaces
        url = re.sub(r"[\x00-\x1f\x7f]", "", url).strip().replace(" ", "%20")
        try:
            return urljoin(self.base, url) if url else ""
        except ValueError:
            return url


def _rank(url: str, kind: str) -> int:
    """How likely an enclosure is the recording: 0 is best, `_NOT_AUDIO` is none."""
    try:
        path = urlsplit(url).path
    except ValueError:
        path = ""
    if kind.startswith("audio/") or kind == "application/ogg" or _AUDIO_SUFFIX.search(path):
        return 0
    if kind.startswith("video/") or _VIDEO_SUFFIX.search(path):
        return 1
    return 2 if kind in ("", "application/octet-stream", "binary/octet-stream") else _NOT_AUDIO


def _links(node: Node) -> Iterator[Node]:
    return node.all("atom:link", "link")


def _enclosures(node: Node) -> Iterator[Node]:
    yield from node.all("enclosure")
    yield from (n for n in _links(node) if n.get("rel") == "enclosure")
    for holder in (node, *node.all("media:group")):
        yield from holder.all("media:content")


def _title(node: Node) -> str:
    title = node.text("title", "itunes:title", "atom:title")
    return plain_line(title, longest=LONGEST_TITLE) or "Untitled"


def _author(node: Node) -> str:
    names = [n.text("atom:name") for n in node.all("atom:author")]
    name = node.text("itunes:author", "dc:creator", "author", "managingEditor") or "".join(
        names[:1]
    )
    # RSS wants `mail@example.com (Name)`
    bracketed = re.fullmatch(r"\S+@\S+\s*\((.+)\)", name.strip())
    return plain_line(bracketed[1] if bracketed else name, longest=LONGEST_NAME)


def _persons(node: Node) -> tuple[Person, ...]:
    named: Iterable[tuple[str, str]] = (
        (n.content, n.get("role") or "host") for n in node.all("podcast:person")
    )
    found: dict[tuple[str, str], Person] = {}
    for name, role in (*named, (_author(node), "author")):
        name = plain_line(name, longest=LONGEST_NAME)
        if name and len(found) < MOST_PARTS:
            role = plain_line(role.lower(), longest=LONGEST_NAME)
            found[name, role] = Person(name=name, role=role)
    return tuple(found.values())


def _chapters(node: Node) -> Iterator[TranscriptChapter]:
    for holder in node.all("psc:chapters"):
        for chapter in [*holder.all("psc:chapter")][:MOST_PARTS]:
            title = plain_line(chapter.get("title"), longest=LONGEST_TITLE)
            start_s = parse_duration(chapter.get("start"))
            if title and start_s is not None:
                yield TranscriptChapter(title=title, start_s=start_s)
