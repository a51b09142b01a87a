"""Check a feed against what podcast apps and directories demand: our own, strict, offline lint.

It reads the XML that a listener would get, not the values that it was made from.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from uuid import UUID

from lxml import etree
from PIL import Image

from podcaster.errors import InputError
from podcaster.publish.categories import parse_category
from podcaster.publish.feed import (
    LARGEST_COVER_BYTES,
    LONGEST_DESCRIPTION_BYTES,
    Feed,
    FeedFile,
    FeedItem,
    base_url,
    feed_folder,
    item_folder,
    read_feed,
)
from podcaster.publish.languages import is_language
from podcaster.publish.listeners import list_listeners, listeners_path
from podcaster.publish.notes import sanitise_html
from podcaster.publish.rss import NAMESPACES, feed_url, format_feed
from podcaster.run import sha256_file

_TOKEN = "check-" + "0" * 26  # nobody's: it has a token's form, to be looked for in every address
_DURATION = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True)
class Finding:
    """Something wrong. `must`: apps or directories reject it; `should`: they show less."""

    severity: Literal["must", "should"]
    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.severity.upper()} {self.where}: {self.message}"


def check_feed(home: Path) -> list[Finding]:
    """Everything that is wrong with the feed of a workspace; empty if nothing is.

    Raises InputError where there is no feed, or where it cannot be read at all.
    """
    feed, items = read_feed(home)
    findings = list(_check_files(home, feed, items))
    xml = format_feed(feed, items, base_url(feed), _TOKEN)
    findings += check_xml(xml, base_url(feed), _TOKEN)
    listeners = listeners_path(home)
    if listeners.exists() and listeners.stat().st_mode & 0o077:
        message = "others on this machine may read it, expected mode 0600"
        findings.append(Finding("must", listeners.name, message))
    if not list_listeners(home):
        findings.append(
            Finding("should", "listeners", "nobody may listen yet: `podcaster feed listener add`")
        )
    return findings


def check_xml(data: bytes, base: str, token: str) -> list[Finding]:
    """Everything that is wrong with a listener's feed: `base` and `token` must be in every address.

    The XML may come from anywhere: entities are not expanded, and nothing is fetched.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        return [Finding("must", "feed", f"it is not well-formed XML: {error}")]
    if root.tag != "rss" or root.get("version") != "2.0":
        return [Finding("must", "feed", f"it is <{root.tag}>, expected <rss version='2.0'>")]
    channel = root.find("channel")
    if channel is None:
        return [Finding("must", "feed", "it has no channel")]
    findings = []
    if not data.lstrip().lower().startswith(b"<?xml version='1.0' encoding='utf-8'?>"):
        findings.append(Finding("must", "feed", "it does not declare UTF-8"))
    missing = [uri for uri in NAMESPACES.values() if uri not in root.nsmap.values()]
    findings += [Finding("must", "feed", f"the namespace {uri} is missing") for uri in missing]
    findings += _check_channel(channel)
    items = channel.findall("item")
    for number, item in enumerate(items, start=1):
        where = f"episode {number} ({(item.findtext('title') or '')[:40]})"
        findings += _check_item(item, where)
    findings += _check_unique(items)
    findings += _check_addresses(root, base, token)
    return findings


def _find(element: etree._Element, path: str) -> etree._Element | None:
    return element.find(path, NAMESPACES)


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path, "", NAMESPACES) or "").strip()


def _check_channel(channel: etree._Element) -> Iterator[Finding]:
    def must(message: str) -> Finding:
        return Finding("must", "channel", message)

    for tag in ("title", "description", "language", "link"):
        if not _text(channel, tag):
            yield must(f"{tag} is missing")
    if len(_text(channel, "description").encode()) > LONGEST_DESCRIPTION_BYTES:
        yield must(f"description has more than {LONGEST_DESCRIPTION_BYTES} bytes")
    if (language := _text(channel, "language")) and not is_language(language):
        yield must(f"language {language!r} is not of ISO 639")
    yield from _check_explicit(channel, "channel", required=True)
    image = _find(channel, "itunes:image")
    if image is None or not image.get("href"):
        yield must("itunes:image is missing")
    yield from _check_category(channel)
    if _text(channel, "itunes:block") != "Yes":
        yield must("itunes:block is not 'Yes', so directories may list a private feed")
    try:
        UUID(_text(channel, "podcast:guid"))
    except ValueError:
        yield Finding("should", "channel", "podcast:guid is not a UUID")
    for path in ("itunes:author", "itunes:owner/itunes:email", "itunes:type", "lastBuildDate",
                 "podcast:locked", "podcast:block", "podcast:medium"):  # fmt: skip
        if not _text(channel, path):
            yield Finding("should", "channel", f"{path} is missing")
    own = _find(channel, "atom:link[@rel='self']")
    if own is None:
        yield Finding("should", "channel", "atom:link rel='self' is missing")


def _check_category(channel: etree._Element) -> Iterator[Finding]:
    category = _find(channel, "itunes:category")
    if category is None:
        yield Finding("must", "channel", "itunes:category is missing")
        return
    sub = _find(category, "itunes:category")
    parts = [category.get("text") or "", *([sub.get("text") or ""] if sub is not None else [])]
    try:
        main, sub_name = parse_category(" > ".join(parts))
        if [main, *([sub_name] if sub_name else [])] != parts:
            raise InputError(f"{parts} is not spelt as Apple spells it.")
    except InputError as error:
        yield Finding("must", "channel", f"itunes:category: {error.message}")


def _check_explicit(element: etree._Element, where: str, *, required: bool) -> Iterator[Finding]:
    value = _text(element, "itunes:explicit")
    if (value or required) and value not in ("true", "false"):
        yield Finding("must", where, f"itunes:explicit is {value!r}, expected true or false")


def _check_item(item: etree._Element, where: str) -> Iterator[Finding]:
    def must(message: str) -> Finding:
        return Finding("must", where, message)

    if not _text(item, "title"):
        yield must("title is missing")
    yield from _check_enclosure(item, where)
    guid = _find(item, "guid")
    try:
        UUID(_text(item, "guid"))
    except ValueError:
        yield must("guid is not a UUID")
    if guid is None or guid.get("isPermaLink") != "false":
        yield must("guid does not say isPermaLink='false'")
    yield from _check_date(_text(item, "pubDate"), where)
    yield from _check_explicit(item, where, required=False)
    if len(_text(item, "description").encode()) > LONGEST_DESCRIPTION_BYTES:
        yield must(f"description has more than {LONGEST_DESCRIPTION_BYTES} bytes")
    notes = _text(item, "content:encoded")
    if sanitise_html(notes) != notes:
        yield Finding("should", where, "content:encoded has more than p, ol, ul, li and a")
    if not _DURATION.fullmatch(_text(item, "itunes:duration")):
        yield Finding("should", where, "itunes:duration is not a number of whole seconds")
    for path in ("description", "itunes:title", "itunes:episode", "itunes:episodeType"):
        if not _text(item, path):
            yield Finding("should", where, f"{path} is missing")
    kinds = {e.get("type") for e in item.findall("podcast:transcript", NAMESPACES)}
    for kind in sorted({"text/vtt", "application/x-subrip", "application/json"} - kinds):
        yield Finding("should", where, f"a podcast:transcript of type {kind} is missing")
    chapters = _find(item, "podcast:chapters")
    if chapters is None or chapters.get("type") != "application/json+chapters":
        yield Finding("should", where, "podcast:chapters is missing or of another type")
    roles = {e.get("role") for e in item.findall("podcast:person", NAMESPACES)}
    if "host" not in roles:
        yield Finding("should", where, "podcast:person does not name the host")


def _check_enclosure(item: etree._Element, where: str) -> Iterator[Finding]:
    enclosure = item.find("enclosure")
    if enclosure is None:
        yield Finding("must", where, "enclosure is missing")
        return
    url, length = enclosure.get("url") or "", enclosure.get("length") or ""
    if not url.isascii() or not urlsplit(url).path.endswith(".mp3"):
        yield Finding("must", where, "the enclosure's url is not ASCII ending in .mp3")
    if enclosure.get("type") != "audio/mpeg":
        yield Finding("must", where, "the enclosure's type is not audio/mpeg")
    if not re.fullmatch(r"[1-9][0-9]{0,14}", length):
        yield Finding("must", where, f"the enclosure's length {length!r} is not a count of bytes")


def _check_date(text: str, where: str) -> Iterator[Finding]:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        yield Finding("must", where, f"pubDate {text!r} is not a date of RFC 2822")
        return
    weekday = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    if not text.startswith(f"{weekday}, "):
        yield Finding("must", where, f"pubDate {text!r} has the wrong weekday, it is a {weekday}")
    if moment.tzinfo is None:
        yield Finding("must", where, f"pubDate {text!r} has no time zone")


def _check_unique(items: list[etree._Element]) -> Iterator[Finding]:
    for what, values in (
        ("guid", [_text(item, "guid") for item in items]),
        ("enclosure url", [e.get("url") for item in items for e in item.findall("enclosure")]),
    ):
        for value in sorted({v for v in values if v and values.count(v) > 1}):
            yield Finding("must", "feed", f"two episodes have the {what} {value}")


def _check_addresses(root: etree._Element, base: str, token: str) -> Iterator[Finding]:
    """Each address of ours must bear the listener's token, or revoking would not close it."""
    prefix = f"{base}/{token}/"
    seen = 0
    for element in root.iter(etree.Element):
        values = [element.get("url"), element.get("href")]
        if element.tag in ("link", "url"):
            values.append(element.text)
        for value in filter(None, values):
            seen += 1
            if not value.startswith(prefix):
                tag = etree.QName(element).localname
                yield Finding("must", "feed", f"an address of <{tag}> lacks the listener's token")
    if feed_url(base, token) not in {e.get("href") for e in root.iter("{*}link")} or not seen:
        yield Finding("should", "feed", "it does not name its own address")


def _check_files(home: Path, feed: Feed, items: list[FeedItem]) -> Iterator[Finding]:
    folder = feed_folder(home)
    yield from _check_file(folder, feed.cover, "feed")
    yield from _check_cover(folder / feed.cover.name, "feed")
    for item in items:
        below = item_folder(folder, item.episode.guid)
        for file in item.files.values():
            yield from _check_file(below, file, item.episode.title[:40])
        yield from _check_cover(below / item.files["cover"].name, item.episode.title[:40])


def _check_file(folder: Path, file: FeedFile, where: str) -> Iterator[Finding]:
    path = folder / file.name
    if not path.is_file():
        yield Finding("must", where, f"{file.name} is missing")
    elif path.stat().st_size != file.bytes or sha256_file(path) != file.sha256:
        yield Finding("must", where, f"{file.name} is not the file that was added")


def _check_cover(path: Path, where: str) -> Iterator[Finding]:
    if not path.is_file():
        return
    data = path.read_bytes()
    if len(data) > LARGEST_COVER_BYTES:
        yield Finding("must", where, f"the cover has {len(data)} bytes, more than 512 kB")
        return
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            (width_px, height_px), mode = picture.size, picture.mode
    except (OSError, SyntaxError, Image.DecompressionBombError):
        yield Finding("must", where, "the cover is not a JPEG")
        return
    if mode != "RGB" or width_px != height_px or not 1400 <= width_px <= 3000:
        yield Finding(
            "must",
            where,
            f"the cover is {width_px} × {height_px} {mode}, expected a square of 1400–3000 px, RGB",
        )
