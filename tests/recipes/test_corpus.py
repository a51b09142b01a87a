"""Markdown transcripts become plain spoken turns."""

import io
import tarfile
from pathlib import Path

import pytest

from podcaster.errors import InputError
from podcaster.model import Role
from recipes.mini.corpus import (
    Line,
    build_corpus,
    clean_text,
    parse_turns,
    read_archive,
    split_of,
    split_sentences,
)
from recipes.mini.roles import assign_roles, recurring_speakers, score_dialogue


@pytest.mark.parametrize(
    ("markdown", "spoken"),
    [
        (r"\[04:33\] You tend to keep things going.", "You tend to keep things going."),
        ("See [the docs (new)](https://x.org/a_(b)) and ![i](j.png)!", "See the docs (new) and!"),
        (r"\[laughs\] Yes\! [laughter] It's \#1.", "Yes! It's #1."),
        (r"I went to \[unintelligible 00:12:03.08\] then. It was fun.", "It was fun."),
        ("It’s “fine” – really — so…", 'It\'s "fine" - really - so...'),
        ("People just -- you know, they--", "People just - you know, they..."),
        ("In general..., the thing... But I like it...?", "In general, the thing. But I like it?"),
        ("<b>Bold</b> *and* _it_ &amp; `code` <!-- no -->", "Bold and it & 'code'"),
        ("Welcome to JS Party! It's the Changelog podcast.", "Welcome to the show! It's the show."),
        ("Go to changelog.com/live now. Thanks, all.", "Thanks, all."),
        ("One  \n\nparagraph.\n\nAnother 🚀 one.", "One paragraph. Another one."),
        (r"\[music\]", ""),
    ],
)  # fmt: skip
def test_cleaning(markdown: str, spoken: str) -> None:
    assert clean_text(markdown) == spoken


def test_turns_are_labelled_merged_and_without_breaks_or_sponsors() -> None:
    markdown = r"""Nobody says this.

**Ann Host:** Hello Bob.

**Ann Host:** How are you?

**Bob Guest**: Fine.

And a second paragraph.

**Break:** \[01:44\]

**Sponsor:** Buy it.

**Ann Host:** This show is brought to you by Acme; use code SHOW for 20% off.

**Bob Guest, PhD:** More.

**Ann Host:** \[laughs\]
"""
    assert parse_turns(markdown) == [
        Line("Ann Host", "Hello Bob. How are you?"),
        Line("Bob Guest", "Fine. And a second paragraph. More."),
    ]


def test_reruns_and_excluded_shows_are_left_out() -> None:
    long_talk = " ".join(f"word{n}" for n in range(40)) + "."
    one = f"**A:** {long_talk}\n\n**B:** Yes.\n"
    again = f"**A:** {long_talk}\n\n**B:** No.\n"
    other = f"**A:** Something else. {long_talk}\n"
    raw = [("x", "1", one), ("x", "2", again), ("y", "3", other), ("founderstalk", "4", other)]
    assert [(e.show, e.name) for e in build_corpus(raw)] == [("x", "1"), ("y", "3")]
    with pytest.raises(InputError, match="holds no transcript with turns"):
        build_corpus([("x", "1", "no labels here")])


def test_the_split_depends_on_the_name_alone() -> None:
    held = [n for n in range(5_000) if split_of("x", str(n), 0.02) == "validation"]
    assert 60 < len(held) < 140
    assert held == [n for n in range(5_000) if split_of("x", str(n), 0.02) == "validation"]


def test_an_archive_is_streamed_and_a_broken_one_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.xz"
    with tarfile.open(archive, "w:xz") as out:
        for name in ("top/show/one.md", "README.md", "top/show/notes.txt"):
            member = tarfile.TarInfo(name)
            member.size = 2
            out.addfile(member, io.BytesIO(b"hi"))
        link = tarfile.TarInfo("top/show/link.md")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(link)
    assert list(read_archive(archive)) == [("show", "one", "hi")]
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(InputError, match=r"Reading a\.tar\.xz failed"):
        list(read_archive(archive))


def test_sentences_end_before_capitals() -> None:
    text = 'He said "No." Then e.g. this, v1.2 too! 3 more? yes.'
    assert split_sentences(text) == ['He said "No."', "Then e.g. this, v1.2 too!", "3 more? yes."]


def test_roles_follow_who_comes_back() -> None:
    raw = [
        ("show", str(n), f"**Host A:** Hi {n}?\n\n**G {n}:** Yes {n}.\n\n**Host A:** Bye {n}.\n")
        for n in range(6)
    ]
    hosts = recurring_speakers(build_corpus(raw))["show"]
    assert hosts == {"Host A"}
    lines = [Line("G", "I did a lot of things, and more."), Line("Host A", "Why?"), Line("X", "Oh")]
    roles: dict[str, Role] = {"G": "guest", "Host A": "host", "X": "other"}
    assert assign_roles(lines, hosts) == roles
    assert assign_roles(lines[:2], frozenset()) == {"G": "guest", "Host A": "host"}
    assert assign_roles(lines[:1], frozenset()) == {"G": "host"}
    talk = [lines[0], lines[1]] * 5
    assert score_dialogue(talk, hosts) > score_dialogue([*talk, lines[2]], hosts) > 0
    assert score_dialogue(lines[:1], hosts) == 0
