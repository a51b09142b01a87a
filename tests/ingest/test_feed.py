"""Feeds from outside: what good ones say, what bad ones do, and which items are asked for."""

from datetime import date
from pathlib import Path

import pytest

from podcaster.errors import ConfigError, InputError
from podcaster.ingest import feed as feed_module
from podcaster.ingest import feed_items, feed_xml
from podcaster.ingest.feed import Feed, FeedItem, read_feed, safe_name, select
from podcaster.model import Person

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:itunes="http://www.itunes.com/DTDs/Podcast-1.0.dtd"
  xmlns:podcast="https://github.com/Podcastindex-org/podcast-namespace/blob/main/docs/1.0.md"
  xmlns:psc="http://podlove.org/simple-chapters"
  xmlns:content="http://purl.org/rss/1.0/modules/content/"
  xmlns:atom="http://www.w3.org/2005/Atom">
<channel>
  <title>Sheds &amp; Tools</title>
  <atom:link rel="self" href="https://sheds.example/feed.xml"/>
  <link>https://sheds.example/</link>
  <language>en_us</language>
  <itunes:author>Nora Example</itunes:author>
  <podcast:person>Nora Example</podcast:person>
  <description><![CDATA[<p>About <b>sheds</b>.</p><p>Weekly.</p>]]></description>
  %s
</channel></rss>"""

ITEM = """<item>
  <title>The long winter</title>
  <guid isPermaLink="false">shed-7</guid>
  <pubDate>Tue, 02 Jan 2024 03:04:05 -0500</pubDate>
  <link>/episodes/7</link>
  <description>&lt;p&gt;It was cold.&lt;br&gt;We&amp;nbsp;built.&lt;script&gt;x()&lt;/script&gt;
  </description>
  <enclosure url="audio/7.mp3?a=1&amp;b=2" length="12345" type="audio/mpeg"/>
  <itunes:duration>1:02:05</itunes:duration>
  <itunes:season>2</itunes:season><itunes:episode>7</itunes:episode>
  <podcast:person role="Guest">Ada Ångström</podcast:person>
  <podcast:transcript url="7.vtt" type="text/vtt" language="en"/>
  <podcast:chapters url="7.json" type="application/json+chapters"/>
  <psc:chapters><psc:chapter start="0" title="Hello"/>
    <psc:chapter start="3:07.5" title="Snow"/><psc:chapter start="x" title="?"/></psc:chapters>
</item>"""


def rss(*items: str) -> bytes:
    return (RSS % "".join(items)).encode()


def item(
    guid: str = "a", *, title: str = "A title", url: str = "https://h.example/a.mp3", more: str = ""
) -> str:
    enclosure = f'<enclosure url="{url}" type="audio/mpeg" length="9"/>' if url else ""
    return f"<item><title>{title}</title><guid>{guid}</guid>{enclosure}{more}</item>"


def read(*items: str, **options: bool) -> Feed:
    return read_feed(rss(*items), **options)


def refuse(source: bytes | str | Path, match: str) -> InputError:
    with pytest.raises(InputError, match=match) as failure:
        read_feed(source)
    assert failure.value.next_step
    assert "\n" not in str(failure.value)
    return failure.value


# -- what a feed says ------------------------------------------------------------------------------


def test_everything_that_a_feed_says_of_an_episode() -> None:
    feed = read(ITEM)
    assert (feed.title, feed.author, feed.language) == ("Sheds & Tools", "Nora Example", "en-us")
    assert feed.description == "About sheds.\nWeekly."
    assert feed.persons[0] == Person(name="Nora Example", role="host")
    (found,) = feed.items
    assert (found.guid, found.title, found.season, found.episode) == (
        "shed-7", "The long winter", 2, 7,
    )  # fmt: skip
    assert found.published_at == "2024-01-02T08:04:05Z"
    assert found.audio_url == "https://sheds.example/audio/7.mp3?a=1&b=2"
    assert (found.audio_type, found.audio_bytes, found.duration_s) == ("audio/mpeg", 12345, 3725.0)
    assert found.summary == "It was cold.\nWe built."
    assert found.link == "https://sheds.example/episodes/7"
    assert found.persons == (Person(name="Ada Ångström", role="guest"),)
    assert [(t.url, t.type, t.language) for t in found.transcripts] == [
        ("https://sheds.example/7.vtt", "text/vtt", "en")
    ]
    assert found.chapters_url == "https://sheds.example/7.json"
    assert [(c.start_s, c.title) for c in found.chapters] == [(0.0, "Hello"), (187.5, "Snow")]
    assert feed.remarks == ()


def test_an_atom_feed() -> None:
    feed = read_feed(
        b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>Sheds</title>
        <author><name>Nora</name></author><entry><id>urn:1</id><title>One</title>
        <link rel="enclosure" type="audio/ogg" href="a.ogg" length="5"/><link href="one.html"/>
        <published>2024-01-02T03:04:05+01:00</published><summary>Hello.</summary></entry></feed>""",
        base="https://h.example/feeds/atom",
    )
    (found,) = feed.items
    assert (feed.author, found.guid, found.summary) == ("Nora", "urn:1", "Hello.")
    assert found.audio_url == "https://h.example/feeds/a.ogg"
    assert found.link == "https://h.example/feeds/one.html"
    assert found.published_at == "2024-01-02T02:04:05Z"


def test_the_recording_is_chosen_among_enclosures() -> None:
    more = (
        '<enclosure url="https://h.example/a.mp4" type="video/mp4"/>'
        '<enclosure url="https://h.example/cover.jpg" type="image/jpeg"/>'
        '<enclosure url="https://h.example/a.m4a" type=""/>'
    )
    (found,) = read(item(url="", more=more)).items
    assert found.audio_url == "https://h.example/a.m4a"


def test_a_feed_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(rss(ITEM))
    assert read_feed(path) == read_feed(str(path)) == read_feed(rss(ITEM))


def test_a_feed_of_our_own_is_read_back() -> None:
    feed = read_feed(Path(__file__).parent.parent / "golden" / "feed.xml")
    (found,) = feed.items
    assert (feed.title, found.episode, found.duration_s) == ("Talks that never were", 3, 312.0)
    assert [(person.name, person.role) for person in found.persons[:2]] == [
        ("Robin Hale", "host"),
        ("Jane Doe", "guest"),
    ]
    assert [t.type for t in found.transcripts] == [
        "text/vtt",
        "application/x-subrip",
        "application/json",
    ]


# -- what is odd is said ---------------------------------------------------------------------------


def test_an_item_without_audio_is_listed() -> None:
    pdf = '<enclosure url="https://h.example/a.pdf" type="application/pdf"/>'
    feed = read(ITEM, item("b", url=""), item("c", url="", more=pdf))
    assert len(feed.items) == 1
    assert [(i.guid, i.reason) for i in feed.without_audio] == [
        ("b", "It has no enclosure."),
        ("c", "Its enclosure is of type application/pdf, not audio."),
    ]
    assert feed.remarks == ("The feed has 2 items without audio that can be fetched.",)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "neither http nor https"),
        ("ftp://h.example/a.mp3", "neither http nor https"),
        ("data:audio/mpeg;base64,AAAA", "neither http nor https"),
        ("http://127.0.0.1/a.mp3", "inside this machine's network"),
        ("http://[::1]/a.mp3", "inside this machine's network"),
        ("http://169.254.169.254/a.mp3", "inside this machine's network"),
        ("http://localhost:8000/a.mp3", "inside this machine's network"),
        ("http://[::1/a.mp3", "malformed"),
        ("https://h.example/" + "a" * 5000, "has 5018 characters"),
    ],
)
def test_enclosures_that_are_refused(url: str, reason: str) -> None:
    feed = read(ITEM, item("b", url=url))
    (other,) = feed.without_audio
    assert other.guid == "b"
    assert reason in other.reason


def test_private_enclosures_are_taken_where_that_is_allowed() -> None:
    (found,) = read(item(url="http://127.0.0.1/a.mp3"), allow_private=True).items
    assert found.audio_url == "http://127.0.0.1/a.mp3"


def test_a_password_is_kept_for_fetching_and_not_shown() -> None:
    (found,) = read(item(url="https://me:pw@h.example/a.mp3")).items
    assert found.audio_url == "https://me:pw@h.example/a.mp3"
    failure = refuse(rss(item(url="ftp://me:pw@h.example/a.mp3?token=s3cret")), "no recordings")
    assert "pw" not in str(failure)
    assert "s3cret" not in str(failure)


def test_guids_are_unique() -> None:
    feed = read(
        item("a"), item("a"), item("a", url="https://h.example/b.mp3"), item("", title="No guid")
    )
    assert [i.guid for i in feed.items] == ["a", "a#2", "https://h.example/a.mp3"]
    assert feed.remarks == (
        "The feed has 1 items twice; one of each was taken.",
        "The feed has 1 items with the guid of another; theirs was changed.",
    )


def test_values_that_cannot_be_read_are_left_out() -> None:
    more = (
        "<pubDate>yesterday</pubDate><itunes:duration>long</itunes:duration>"
        "<itunes:episode>3.5</itunes:episode>"
    )
    (found,) = read(item(more=more)).items
    assert (found.published_at, found.duration_s, found.episode) == (None, None, None)
    seconds = rss(item()).replace(b'length="9"', b'length="1231.08"')
    assert read_feed(seconds).items[0].audio_bytes is None


def test_too_many_items_and_too_long_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_items, "MOST_ITEMS", 2)
    feed = read(
        *(item(str(n), url=f"https://h.example/{n}.mp3", title="t" * 999) for n in range(3))
    )
    assert [len(i.title) for i in feed.items] == [300, 300]
    assert feed.remarks == ("The feed has 3 items; 2 were read.",)


# -- bytes that are not what they claim ------------------------------------------------------------


@pytest.mark.parametrize(
    ("claimed", "encoding"),
    [
        ("UTF-8", "utf-8"),
        ("ISO-8859-1", "utf-8"),
        ("UTF-8", "cp1252"),
        ("windows-1251", "utf-8"),
        ("UTF-16", "utf-16"),
        ("UTF-8", "utf-8-sig"),
        ("unicode_escape", "utf-8"),
        ("no-such-thing", "cp1252"),
    ],
)
def test_encodings_lie(claimed: str, encoding: str) -> None:
    text = (RSS % item(title="Ångström’s shed")).replace('"UTF-8"', f'"{claimed}"')
    assert read_feed(text.encode(encoding)).items[0].title == "Ångström’s shed"


def test_an_encoding_that_tells_the_truth() -> None:
    text = (RSS % item(title="小屋")).replace('"UTF-8"', '"iso-2022-jp"')
    assert read_feed(text.encode("iso-2022-jp")).items[0].title == "小屋"


def test_control_characters_and_names_of_html() -> None:
    feed = read(item(title="A\x01&#2; b&nbsp;&ouml; \u202etxt &amp;lt;3 \x85"))
    assert feed.items[0].title == "A b ö txt <3"


def test_what_is_not_well_formed_is_mended() -> None:
    feed = read(item(title="Tea & toast", url="https://h.example/a.mp3?x=1&y=2"))
    assert (feed.items[0].title, feed.remarks) == ("Tea & toast", ())
    assert feed.items[0].audio_url == "https://h.example/a.mp3?x=1&y=2"
    torn = rss(ITEM, item("b"))[:-60]
    assert "not well-formed at line" in read_feed(torn).remarks[0]


def test_a_billion_laughs() -> None:
    entities = '<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    bomb = (RSS % item(title="&j;")).replace("<rss", f"<!DOCTYPE rss [{entities}]>\n<rss", 1)
    refuse(bomb.encode(), "declares entities of its own")


def test_an_entity_does_not_read_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret")
    entity = f'<!DOCTYPE rss [<!ENTITY x SYSTEM "{secret.as_uri()}">]>\n<rss'
    failure = refuse((RSS % item(title="&x;")).replace("<rss", entity, 1).encode(), "entities")
    assert "s3cret" not in str(failure)


def test_what_is_no_feed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refuse(b" ", "The feed is empty")
    refuse(b'{"version": 1}', "is not XML: it begins with")
    refuse(b"<opml><body/></opml>", "its first element is <opml>")
    refuse(b"<!DOCTYPE html><html><body>Hello</body></html>", "is a web page, not a feed")
    refuse(rss(), "has no recordings: it has 0 items")
    refuse(rss(item(url="")), "it has 1 items, none with audio that can be fetched")
    refuse(tmp_path, "is not a file")
    refuse(tmp_path / "none.xml", "cannot be read: No such file")
    monkeypatch.setattr(feed_xml, "MOST_TAGS", 10)
    refuse(rss(ITEM), "has more than 10 tags")
    monkeypatch.setattr(feed_module, "LARGEST_FEED_BYTES", 100)
    refuse(rss(ITEM), "has more than 0 MB")


def test_a_page_that_names_its_feed() -> None:
    page = b'<html><head><link rel=alternate type="application/rss+xml" href="/rss?a=1&amp;b=2">'
    with pytest.raises(InputError, match=r"names a feed: https://h\.example/rss\?a=1&b=2\."):
        read_feed(page, base="https://h.example/blog/")


def test_feeds_in_this_network_are_refused() -> None:
    refuse("feed://127.0.0.1/feed.xml", "inside this machine's network")
    refuse("feed:http://me:pw@[::1]/feed.xml", r"http://\[::1\]/feed\.xml lies inside")


# -- which items -----------------------------------------------------------------------------------


def make_items() -> tuple[FeedItem, ...]:
    def dated(guid: str, day: str, title: str, person: str = "") -> str:
        more = f"<pubDate>{day}</pubDate>" if day else ""
        more += f"<podcast:person>{person}</podcast:person>" if person else ""
        return item(guid, title=title, url=f"https://h.example/{guid}.mp3", more=more)

    return read(
        dated("old", "2023-05-01", "Said in winter"),
        dated("none", "", "AI without a date", "Ada Lovelace"),
        dated("new", "2024-02-01", "What AI is"),
        dated("cjk", "2024-01-01", "人工知能の話"),
    ).items


@pytest.mark.parametrize(
    ("options", "guids"),
    [
        ({}, ["new", "cjk", "old", "none"]),
        ({"last": 2}, ["new", "cjk"]),
        ({"since": date(2024, 1, 1)}, ["new", "cjk"]),
        ({"match": "ai"}, ["new", "none"]),
        ({"match": "ai", "last": 1}, ["new"]),
        ({"match": "LOVELACE ada"}, ["none"]),
        ({"match": "ai."}, []),
        ({"match": "知能"}, ["cjk"]),
        ({"match": "/^said|is$/"}, ["new", "old"]),
    ],
)
def test_select(options: dict[str, object], guids: list[str]) -> None:
    assert [i.guid for i in select(make_items(), **options)] == guids  # type: ignore[arg-type]


def test_selections_that_make_no_sense() -> None:
    for options, match in (
        ({"last": 0}, "expected at least 1"),
        ({"match": "/(/"}, "is not a regular expression"),
        ({"match": " "}, "Nothing to match"),
    ):
        with pytest.raises(ConfigError, match=match):
            select((), **options)  # type: ignore[arg-type]


# -- names of files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "title",
    ["../../etc/passwd", "a/b\\c:d*?", "CON", "🎧", "", "x" * 300, "-rf", ".hidden", "小屋"],
)
def test_names_are_safe(title: str) -> None:
    name = safe_name(title, "guid")
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 0 < len(name) < 90
    assert name[0] != "-"
    assert name.lower() not in {"con", "nul", "aux", "prn"}


def test_names_are_unique_and_lasting() -> None:
    assert safe_name("A title", "a") == safe_name("A title", "a") == "a-title-ca978112ca1b"
    assert safe_name("A title", "a") != safe_name("A title", "b")
