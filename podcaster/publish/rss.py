"""A feed as RSS 2.0 for one listener: every address in it bears that listener's token.

Specifications: RSS 2.0, Apple's podcaster guide, and the Podcasting 2.0 namespace.
"""

from collections.abc import Sequence
from email.utils import format_datetime

from lxml import etree

from podcaster import __version__
from podcaster.model import Speaker
from podcaster.publish.categories import parse_category
from podcaster.publish.feed import (
    CONTENT_TYPES,
    LONGEST_DESCRIPTION_BYTES,
    Feed,
    FeedItem,
    parse_moment,
)
from podcaster.publish.notes import sanitise_html
from podcaster.publish.text import clean_line, clean_text, shorten_bytes

ITUNES = "http://www.itunes.com/dtds/podcast-1.0.dtd"
CONTENT = "http://purl.org/rss/1.0/modules/content/"
ATOM = "http://www.w3.org/2005/Atom"
PODCAST = "https://podcastindex.org/namespace/1.0"
NAMESPACES = {"itunes": ITUNES, "content": CONTENT, "atom": ATOM, "podcast": PODCAST}
FEED_FILE = "feed.xml"

# kind of file, rel: VTT first, which most apps take
_TRANSCRIPTS = (("vtt", "captions"), ("srt", "captions"), ("json", None))


def feed_url(base: str, token: str) -> str:
    """The address of a listener's feed."""
    return f"{base}/{token}/{FEED_FILE}"


def file_url(base: str, token: str, path: str) -> str:
    """The address of a file of the feed for one listener; `path` is `item_path` or a cover."""
    return f"{base}/{token}/{path}"


def item_path(item: FeedItem, kind: str) -> str:
    """Where a file of an episode lies below a listener's token: `<guid>/<name>`."""
    return f"{item.episode.guid}/{item.files[kind].name}"


def format_feed(feed: Feed, items: Sequence[FeedItem], base: str, token: str) -> bytes:
    """The feed as one listener sees it: UTF-8 XML, the newest episode first.

    The same values give the same bytes.
    """
    rss = etree.Element("rss", {"version": "2.0"}, nsmap=NAMESPACES)
    channel = etree.SubElement(rss, "channel")
    _add_channel(channel, feed, items, base, token)
    for item in items:
        _add_item(etree.SubElement(channel, "item"), item, base, token)
    return etree.tostring(rss, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def _add_channel(
    channel: etree._Element, feed: Feed, items: Sequence[FeedItem], base: str, token: str
) -> None:
    title = clean_line(feed.title, fallback="Podcast")
    own_url, cover_url = feed_url(base, token), file_url(base, token, feed.cover.name)
    _add(channel, "title", title)
    _add(channel, "link", own_url)
    _add(
        channel,
        f"{{{ATOM}}}link",
        rel="self",
        type=CONTENT_TYPES["feed"].split(";")[0],
        href=own_url,
    )
    description = clean_text(feed.description).strip() or title
    _add(channel, "description", shorten_bytes(description, LONGEST_DESCRIPTION_BYTES))
    _add(channel, "language", feed.language.lower())
    _add(channel, "lastBuildDate", format_datetime(parse_moment(feed.updated_at)))
    _add(channel, "generator", f"podcaster {__version__}")
    image = _add(channel, "image")
    _add(image, "url", cover_url)
    _add(image, "title", title)
    _add(image, "link", own_url)
    _add(channel, f"{{{ITUNES}}}image", href=cover_url)
    _add(channel, f"{{{ITUNES}}}author", clean_line(feed.author, fallback=title))
    if feed.owner_email:
        owner = _add(channel, f"{{{ITUNES}}}owner")
        _add(owner, f"{{{ITUNES}}}name", clean_line(feed.author, fallback=title))
        _add(owner, f"{{{ITUNES}}}email", clean_line(feed.owner_email))
    main, sub = parse_category(feed.category)
    category = _add(channel, f"{{{ITUNES}}}category", text=main)
    if sub:
        _add(category, f"{{{ITUNES}}}category", text=sub)
    _add(channel, f"{{{ITUNES}}}type", "episodic")
    _add(channel, f"{{{ITUNES}}}explicit", _truth(feed.explicit))
    _add(channel, f"{{{ITUNES}}}block", "Yes")  # no other value keeps directories away
    _add(channel, f"{{{PODCAST}}}guid", feed.guid)
    owner_attribute = {"owner": clean_line(feed.owner_email)} if feed.owner_email else {}
    _add(channel, f"{{{PODCAST}}}locked", "yes", **owner_attribute)
    _add(channel, f"{{{PODCAST}}}block", "yes")
    _add(channel, f"{{{PODCAST}}}medium", "podcast")
    if any(item.episode.ai_disclosure for item in items):
        _add(channel, f"{{{PODCAST}}}txt", "true", purpose="ai-content")


def _add_item(element: etree._Element, item: FeedItem, base: str, token: str) -> None:
    episode = item.episode

    def url(kind: str) -> str:
        return file_url(base, token, item_path(item, kind))

    title = clean_line(episode.title, fallback="Untitled")
    description = clean_text(episode.summary).strip() or title
    _add(element, "title", title)
    _add(element, "link", url("notes"))
    _add(element, "guid", episode.guid, isPermaLink="false")
    _add(element, "pubDate", format_datetime(parse_moment(episode.published_at)))
    _add(element, "description", shorten_bytes(description, LONGEST_DESCRIPTION_BYTES))
    # every ">" of the text is escaped, so "]]>" cannot end the section
    notes = etree.SubElement(element, f"{{{CONTENT}}}encoded")
    notes.text = etree.CDATA(sanitise_html(episode.show_notes_html))
    audio = item.files["audio"]
    _add(
        element,
        "enclosure",
        url=url("audio"),
        length=str(audio.bytes),
        type=CONTENT_TYPES["audio"],
    )
    _add(element, f"{{{ITUNES}}}title", title)
    _add(element, f"{{{ITUNES}}}author", clean_line(item.author, fallback="Unknown"))
    _add(element, f"{{{ITUNES}}}duration", str(max(1, round(episode.duration_s))))
    _add(element, f"{{{ITUNES}}}episode", str(item.number))
    _add(element, f"{{{ITUNES}}}episodeType", "full")
    _add(element, f"{{{ITUNES}}}explicit", _truth(item.explicit))
    _add(element, f"{{{ITUNES}}}block", "Yes")
    _add(element, f"{{{ITUNES}}}image", href=url("cover"))
    for kind, rel in _TRANSCRIPTS:
        attributes = {"type": CONTENT_TYPES[kind].split(";")[0], "language": episode.language}
        if rel:
            attributes["rel"] = rel
        _add(element, f"{{{PODCAST}}}transcript", url=url(kind), **attributes)
    _add(element, f"{{{PODCAST}}}chapters", url=url("chapters"), type=CONTENT_TYPES["chapters"])
    for speaker in episode.speakers:
        _add_person(element, speaker)
    if episode.ai_disclosure:
        _add(element, f"{{{PODCAST}}}txt", "true", purpose="ai-content")


def _add_person(element: etree._Element, speaker: Speaker) -> None:
    # of the taxonomy's roles, everybody who is not the host is a guest
    role = "host" if speaker.role == "host" else "guest"
    name = clean_line(speaker.name, fallback="?", longest=128)
    _add(element, f"{{{PODCAST}}}person", name, role=role, group="cast")


def _add(
    parent: etree._Element, tag: str, content: str | None = None, **attributes: str
) -> etree._Element:
    element = etree.SubElement(parent, tag, attributes)
    element.text = content
    return element


def _truth(value: bool) -> str:
    return "true" if value else "false"
