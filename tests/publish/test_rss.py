import os
from pathlib import Path

import feedparser
import pytest
from lxml import etree

from podcaster.model import Episode, Speaker
from podcaster.publish.feed import FILE_NAMES, Feed, FeedFile, FeedItem, hashed_name
from podcaster.publish.lint import check_xml
from podcaster.publish.rss import NAMESPACES, feed_url, format_feed

GOLDEN = Path(__file__).parent.parent / "golden" / "feed.xml"
BASE = "https://pod.example.org"
TOKEN = "T" * 32


def make_file(kind: str, number: int) -> FeedFile:
    digest = f"{number:x}" * 64
    name = hashed_name(FILE_NAMES[kind], digest)
    return FeedFile(name=name, bytes=1234, sha256=digest, added_at="2026-11-20T12:00:00Z")


def make_item(**changes: object) -> FeedItem:
    fields: dict[str, object] = {
        "guid": "8d00c2f3-8861-5955-8fe3-c2afe0ac8f0f",
        "run": "jane-doe-20261120-3f9a",
        "title": "Jane Doe on rockets & the sea",
        "summary": "A talk <about> rockets & patience.\n\nThis episode was made with AI.",
        "show_notes_html": '<p>A talk &amp; more</p><a href="https://example.org/">x</a>\n',
        "language": "en",
        "published_at": "2026-11-20T12:00:00Z",
        "duration_s": 311.6,
        "audio": "publish/episode.mp3",
        "audio_bytes": 1234,
        "audio_sha256": "0" * 64,
        "cover": "publish/cover.jpg",
        "transcript_vtt": "publish/episode.vtt",
        "transcript_srt": "publish/episode.srt",
        "transcript_json": "publish/transcript.json",
        "chapters": "publish/chapters.json",
        "speakers": (
            Speaker(id="host", name="Robin Hale", role="host"),
            Speaker(id="guest", name="Jane Doe", role="guest"),
        ),
        "ai_disclosure": True,
    }
    episode = Episode(**{**fields, **changes})  # type: ignore[arg-type]
    files = {kind: make_file(kind, n) for n, kind in enumerate(FILE_NAMES, start=1)}
    return FeedItem(episode=episode, author="Robin Hale", number=3, explicit=False, files=files)


def make_feed(**changes: object) -> Feed:
    fields: dict[str, object] = {
        "title": "Talks that never were",
        "url": BASE,
        "guid": "9b024349-ccf0-5f69-a609-6b82873eab3c",
        "description": "Conversations & more.",
        "author": "Me",
        "owner_email": "me@example.org",
        "language": "en",
        "category": "Society & Culture > Philosophy",
        "explicit": False,
        "cover": make_file("cover", 15),
        "created_at": "2026-11-20T12:00:00Z",
        "updated_at": "2026-11-21T09:30:00Z",
    }
    return Feed(**{**fields, **changes})  # type: ignore[arg-type]


def parse_channel(data: bytes) -> etree._Element:
    channel = etree.fromstring(data).find("channel")
    assert channel is not None
    return channel


def text(element: etree._Element, path: str) -> str | None:
    return element.findtext(path, None, NAMESPACES)


def test_the_feed_of_the_example_is_the_golden_one() -> None:
    xml = format_feed(make_feed(), [make_item()], BASE, TOKEN)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_bytes(xml)
    assert xml == GOLDEN.read_bytes()


def test_our_lint_and_another_parser_find_nothing_wrong() -> None:
    xml = format_feed(make_feed(), [make_item()], BASE, TOKEN)
    assert check_xml(xml, BASE, TOKEN) == []
    parsed = feedparser.parse(xml)
    assert parsed.bozo is False
    assert parsed.feed.title == "Talks that never were"
    assert parsed.entries[0].enclosures[0].length == "1234"
    assert parsed.entries[0].id == "8d00c2f3-8861-5955-8fe3-c2afe0ac8f0f"
    assert parsed.entries[0].published_parsed[:5] == (2026, 11, 20, 12, 0)


def test_every_address_of_ours_bears_the_token() -> None:
    xml = format_feed(make_feed(), [make_item()], BASE, TOKEN).decode()
    assert xml.count(BASE) == xml.count(f"{BASE}/{TOKEN}/")
    assert xml.count(BASE) >= 12
    assert feed_url(BASE, TOKEN) in xml


def test_two_listeners_feeds_differ_in_the_token_only() -> None:
    one = format_feed(make_feed(), [make_item()], BASE, TOKEN)
    other = format_feed(make_feed(), [make_item()], BASE, "U" * 32)
    assert one != other
    assert one.replace(b"T" * 32, b"U" * 32) == other


def test_the_channel_says_what_directories_ask_for() -> None:
    channel = parse_channel(format_feed(make_feed(), [make_item()], BASE, TOKEN))
    assert text(channel, "language") == "en"
    assert text(channel, "itunes:explicit") == "false"
    assert text(channel, "itunes:block") == "Yes"
    assert text(channel, "itunes:type") == "episodic"
    assert text(channel, "itunes:owner/itunes:email") == "me@example.org"
    assert text(channel, "podcast:guid") == "9b024349-ccf0-5f69-a609-6b82873eab3c"
    assert text(channel, "podcast:locked") == "yes"
    assert text(channel, "podcast:block") == "yes"
    assert text(channel, "podcast:medium") == "podcast"
    assert text(channel, "podcast:txt[@purpose='ai-content']") == "true"
    assert text(channel, "lastBuildDate") == "Sat, 21 Nov 2026 09:30:00 +0000"
    category = channel.find("itunes:category", NAMESPACES)
    assert category is not None
    assert category.get("text") == "Society & Culture"
    assert category[0].get("text") == "Philosophy"


def test_the_item_says_what_apps_show() -> None:
    item = parse_channel(format_feed(make_feed(), [make_item()], BASE, TOKEN)).find("item")
    assert item is not None
    assert text(item, "pubDate") == "Fri, 20 Nov 2026 12:00:00 +0000"
    assert text(item, "itunes:duration") == "312"
    assert text(item, "itunes:episode") == "3"
    assert text(item, "itunes:episodeType") == "full"
    assert item.find("guid").get("isPermaLink") == "false"  # type: ignore[union-attr]
    transcripts = item.findall("podcast:transcript", NAMESPACES)
    assert [t.get("type") for t in transcripts] == [
        "text/vtt",
        "application/x-subrip",
        "application/json",
    ]
    people = item.findall("podcast:person", NAMESPACES)
    assert [(p.text, p.get("role")) for p in people] == [
        ("Robin Hale", "host"),
        ("Jane Doe", "guest"),
    ]


def test_notes_stand_in_a_cdata_section() -> None:
    xml = format_feed(make_feed(), [make_item()], BASE, TOKEN)
    assert b"<content:encoded><![CDATA[<p>A talk &amp; more</p>" in xml


def test_without_disclosure_the_feed_does_not_speak_of_ai() -> None:
    xml = format_feed(make_feed(), [make_item(ai_disclosure=False)], BASE, TOKEN)
    assert b"ai-content" not in xml


def test_an_empty_feed_is_a_feed() -> None:
    xml = format_feed(make_feed(), [], BASE, TOKEN)
    assert check_xml(xml, BASE, TOKEN) == []
    assert parse_channel(xml).findall("item") == []


@pytest.mark.parametrize(
    "value",
    ["a\x00\x08b", "]]>", "<script>alert(1)</script>", "&amp;&lt;", "x" * 10_000, "مرحبا \u202e",
     "🎙️👩‍🚀", "\ud800", "<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>&y;"],
)  # fmt: skip
def test_hostile_text_is_text(value: str) -> None:
    speakers = (Speaker(id="host", name=value[:120], role="host"),)
    item = make_item(title=value, summary=value, show_notes_html=value, speakers=speakers)
    xml = format_feed(
        make_feed(title=value, description=value * 9, author=value), [item], BASE, TOKEN
    )
    assert check_xml(xml, BASE, TOKEN) == []
    assert feedparser.parse(xml).bozo is False


def test_a_description_has_at_most_4000_bytes() -> None:
    xml = format_feed(
        make_feed(description="é" * 5000), [make_item(summary="漢" * 5000)], BASE, TOKEN
    )
    channel = parse_channel(xml)
    for path in ("description", "item/description"):
        described = text(channel, path) or ""
        assert 3900 < len(described.encode()) <= 4000
