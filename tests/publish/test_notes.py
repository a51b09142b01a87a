from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from podcaster.model import Consent, Source, Speaker, Voice
from podcaster.publish.notes import (
    ALLOWED_TAGS,
    disclose,
    format_clock,
    format_notes_html,
    format_notes_markdown,
    sanitise_html,
    source_title,
    web_address,
)

PIECES = st.sampled_from(
    ["<p>", "</p>", "<a href='https://x.org'>", "</a>", "<script>", "</script>", "<li", "<!--",
     "-->", "]]>", "<img src=x onerror=y>", "&lt;", "&", "text", "<ul>", "</ol>", '"', "<a href='",
     "javascript:alert(1)", "'>", "<b>", "\x00"]
)  # fmt: skip


def make_source(title: str, location: str) -> Source:
    return Source(id="n1", title=title, location=location, sha256="0" * 64)


@given(st.lists(PIECES, max_size=30).map("".join))
def test_whatever_goes_in_only_allowed_tags_come_out(text: str) -> None:
    clean = sanitise_html(text)
    assert sanitise_html(clean) == clean
    assert "]]>" not in clean
    if clean.strip():
        for element in html.fragment_fromstring(clean, create_parent="div").iterdescendants():
            assert element.tag in ALLOWED_TAGS
            assert set(element.attrib) <= {"href"}
            assert str(element.get("href", "https:")).startswith("https:")


def test_scripts_lose_their_text_and_bad_links_their_address() -> None:
    text = "<script>steal()</script><p>Hi <a href='javascript:x()'>there</a> <b>you</b></p>"
    assert sanitise_html(text) == "<p>Hi there you</p>"


def test_open_tags_are_closed() -> None:
    assert sanitise_html("<ul><li>one") == "<ul><li>one</li></ul>"


@pytest.mark.parametrize(
    "location",
    ["javascript:alert(1)", "file:///etc/passwd", "/home/jane/notes.txt", "https://u:p@x.org/",
     "http://", "https://x.org/a b", "https://[", "https://x.org/" + "a" * 3000, "data:,x"],
)  # fmt: skip
def test_only_plain_web_addresses_are_linked(location: str) -> None:
    assert web_address(location) is None


def test_notes_hold_summary_chapters_sources_voices_and_disclosure(make: SimpleNamespace) -> None:
    voices = {"host": make.voice("alto"), "guest": make.voice("bass")}
    notes = format_notes_html(make.script(), make.timeline(), voices, disclosure=True)
    assert "<p>A talk about the sea, rockets &amp; patience.</p>" in notes
    assert "<li>00:06 Rockets</li>" in notes
    assert '<a href="https://example.org/fuel?a=1&amp;b=2">A history of fuel</a>' in notes
    assert "<li>notes.txt</li>" in notes
    assert "“alto”" in notes
    assert "made with AI" in notes
    assert sanitise_html(notes) == notes.replace("'", "&#x27;")


def test_no_folder_of_this_machine_is_published(make: SimpleNamespace) -> None:
    for text in (
        format_notes_html(make.script(), make.timeline(), {}, disclosure=True),
        format_notes_markdown(make.script(), make.timeline(), {}, disclosure=True),
    ):
        assert "/home" not in text
        assert "jane/" not in text
    assert source_title(make_source("C:\\Users\\jane\\plan.md", "x")) == "plan.md"
    assert source_title(make_source("/a b/c d.md", "x")) == "c d.md"
    assert source_title(make_source("TCP/IP and us", "x")) == "TCP/IP and us"


def test_without_disclosure_nothing_is_disclosed(make: SimpleNamespace) -> None:
    notes = format_notes_html(make.script(), make.timeline(), {}, disclosure=False)
    assert "AI" not in notes


def test_markup_in_names_titles_and_sources_is_text(make: SimpleNamespace) -> None:
    speakers = (
        Speaker(id="host", name="<b>Bo</b>", role="host"),
        Speaker(id="guest", name="[x](javascript:y)", role="guest"),
    )
    script = make.script(
        summary="<script>alert(1)</script>",
        speakers=speakers,
        sources=(make_source("<i>t</i> & co", 'https://x.org/"><script>'),),
    )
    notes = format_notes_html(script, make.timeline(), {}, disclosure=True)
    assert "<script" not in notes
    assert "<b>" not in notes
    assert 'href="https://x.org/&quot;&gt;&lt;script&gt;"' in notes
    markdown = format_notes_markdown(script, make.timeline(), {}, disclosure=True)
    assert "\\[x\\](javascript:y)" in markdown
    assert "\\<script\\>" in markdown


def test_consent_of_a_cloned_voice_is_told(make: SimpleNamespace) -> None:
    plain: Voice = make.voice("alto")
    from msgspec.structs import replace

    cloned = replace(
        plain, consent=Consent(kind="self", by="Robin", on="2026-01-01", proof="consent.wav")
    )
    notes = format_notes_html(make.script(), make.timeline(), {"host": cloned}, disclosure=True)
    assert "Its use was allowed by the speaker." in notes
    assert "consent.wav" not in notes


def test_the_disclosure_names_everybody_who_did_not_speak() -> None:
    assert "Ann, Bo and Cy did not take part" in disclose(["Ann", "Bo", "Cy"])
    assert "Ann did not take part" in disclose(["Ann"])


def test_chapter_times_are_written_as_apps_link_them() -> None:
    assert [format_clock(s) for s in (0, 65.9, 3725)] == ["00:00", "01:05", "1:02:05"]
