from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from podcaster.errors import InputError
from podcaster.model import Episode
from podcaster.publish.episodes import add_episode
from podcaster.publish.feed import item_folder, read_feed
from podcaster.publish.lint import Finding, check_feed, check_xml
from podcaster.publish.listeners import add_listener, listeners_path

Publisher = Callable[..., tuple[Path, Episode]]
GOLDEN = Path(__file__).parent.parent / "golden" / "feed.xml"
BASE = "https://pod.example.org"
TOKEN = "T" * 32


def musts(findings: list[Finding]) -> list[str]:
    return [f.message for f in findings if f.severity == "must"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<title>Talks that never were</title>\n    <link>", "<link>", "title is missing"),
        ("Conversations &amp; more.", "x" * 4001, "description has more than 4000 bytes"),
        ("<language>en", "<language>english", "language 'english' is not of ISO 639"),
        ("<itunes:image href", "<itunes:img href", "itunes:image is missing"),
        ("<itunes:image href", "<itunes:Image href", "itunes:image is missing"),
        ('text="Society &amp; Culture"', 'text="Society"', "not one of Apple's"),
        ('text="Philosophy"', 'text="philosophy"', "is not spelt as Apple spells it"),
        ("<itunes:explicit>false", "<itunes:explicit>no", "itunes:explicit is 'no'"),
        ("<itunes:block>Yes", "<itunes:block>true", "itunes:block is not 'Yes'"),
        ('isPermaLink="false"', 'isPermaLink="true"', "guid does not say isPermaLink"),
        (">8d00c2f3-8861", ">episode-1", "guid is not a UUID"),
        ("Fri, 20 Nov", "Sat, 20 Nov", "has the wrong weekday, it is a Fri"),
        ("Fri, 20 Nov 2026 12:00:00 +0000", "2026-11-20", "is not a date of RFC 2822"),
        ('length="1234"', 'length="0"', "length '0' is not a count of bytes"),
        ('type="audio/mpeg"', 'type="audio/mp3"', "type is not audio/mpeg"),
        (".mp3", ".m4a", "not ASCII ending in .mp3"),
        ("<enclosure", "<enclosed", "enclosure is missing"),
        (f"{TOKEN}/cover", "cover", "lacks the listener's token"),
        (f"{BASE}/{TOKEN}/8d", "https://other.example/8d", "lacks the listener's token"),
        ('xmlns:podcast="https', 'xmlns:podcast="http', "namespace/1.0 is missing"),
        ("</rss>", "", "not well-formed XML"),
        ("<rss ", "<RSS ", "not well-formed XML"),
        ('version="2.0"', 'version="0.91"', "expected <rss version='2.0'>"),
    ],
)  # fmt: skip
def test_each_broken_rule_is_found(old: str, new: str, message: str) -> None:
    golden = GOLDEN.read_text()
    assert old in golden
    found = musts(check_xml(golden.replace(old, new).encode(), BASE, TOKEN))
    assert any(message in each for each in found), found


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<itunes:owner>", "<itunes:own><itunes:owner>", None),
        ("<itunes:type>episodic</itunes:type>", "", "itunes:type is missing"),
        ("<itunes:duration>312", "<itunes:duration>5:12", "not a number of whole seconds"),
        ('type="application/x-subrip"', 'type="text/srt"', "application/x-subrip is missing"),
        ("application/json+chapters", "application/json", "podcast:chapters is missing"),
        ('role="host"', 'role="guest"', "podcast:person does not name the host"),
        ("<p>A talk", "<h1>A talk", "content:encoded has more than"),
    ],
)
def test_what_apps_would_show_less_is_found(old: str, new: str, message: str | None) -> None:
    golden = GOLDEN.read_text()
    assert old in golden
    findings = check_xml(golden.replace(old, new, 1).encode(), BASE, TOKEN)
    if message is None:
        assert musts(findings)
    else:
        assert any(message in f.message and f.severity == "should" for f in findings), findings


def test_two_episodes_with_one_guid_are_found() -> None:
    golden = GOLDEN.read_text()
    item = golden[golden.index("    <item>") : golden.index("</item>") + len("</item>\n")]
    doubled = golden.replace(item, item + item).encode()
    found = musts(check_xml(doubled, BASE, TOKEN))
    assert any("two episodes have the guid" in each for each in found)
    assert any("two episodes have the enclosure url" in each for each in found)


def test_entities_are_not_expanded() -> None:
    bomb = b"<?xml version='1.0' encoding='UTF-8'?><!DOCTYPE r [<!ENTITY a 'AAAA'>]><rss>&a;</rss>"
    assert musts(check_xml(bomb, BASE, TOKEN))


@pytest.fixture
def full(home: Path, publish_run: Publisher) -> Path:
    run_folder, _ = publish_run()
    add_episode(home, run_folder)
    add_listener(home, "Ana")
    return home


def test_a_feed_as_we_make_it_has_no_findings(full: Path) -> None:
    assert check_feed(full) == []


def test_a_feed_nobody_may_listen_to_is_only_a_hint(home: Path) -> None:
    findings = check_feed(home)
    assert [f.severity for f in findings] == ["should"]
    assert str(findings[0]).startswith("SHOULD listeners: nobody may listen yet")


def test_a_file_that_is_missing_or_changed_is_found(full: Path) -> None:
    _, (item,) = read_feed(full)
    folder = item_folder(full / "feed", item.episode.guid)
    audio = folder / item.files["audio"].name
    audio.write_bytes(audio.read_bytes()[:-1])
    (folder / item.files["vtt"].name).unlink()
    found = musts(check_feed(full))
    assert f"{audio.name} is not the file that was added" in found
    assert f"{item.files['vtt'].name} is missing" in found


def test_a_cover_that_apps_reject_is_found(full: Path) -> None:
    feed, _ = read_feed(full)
    path = full / "feed" / feed.cover.name
    Image.new("L", (1000, 900)).save(path, "JPEG")
    assert any("the cover is 1000 × 900 L, expected a square" in m for m in musts(check_feed(full)))
    path.write_bytes(b"\x89PNG")
    assert "the cover is not a JPEG" in musts(check_feed(full))
    path.write_bytes(b"x" * 600_000)
    assert any("more than 512 kB" in m for m in musts(check_feed(full)))


def test_a_list_of_listeners_that_others_can_read_is_found(full: Path) -> None:
    listeners_path(full).chmod(0o644)
    assert any("others on this machine may read it" in m for m in musts(check_feed(full)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"vtt": {', '"other": {', "expected .*'vtt'"),
        ('"name": "episode-', '"name": "../episode-', "does not match|matching regex"),
    ],
)
def test_an_episode_whose_files_are_not_ours_is_refused(
    full: Path, old: str, new: str, message: str
) -> None:
    _, (item,) = read_feed(full)
    path = item_folder(full / "feed", item.episode.guid) / "item.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        check_feed(full)


def test_without_a_feed_there_is_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no feed"):
        check_feed(tmp_path)
