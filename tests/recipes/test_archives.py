"""Three layouts of archives are told apart and read; speakers get their full names."""

import io
import tarfile
from pathlib import Path, PurePosixPath

import pytest

from podcaster.errors import InputError
from recipes.writer import archives
from recipes.writer.archives import (
    FrontMatter,
    NameResolver,
    TextFile,
    detect_layout,
    parse_changelog,
    parse_named,
    read_archive,
    read_front_matter,
)
from recipes.writer.speeches import REPORTER, parse_speech
from recipes.writer.turns import AUDIENCE, Turn

HEAD = """---
title: "Ann Smith: on bread"
transcript_by: Cy Typist via some-tool
tags:
  - bread
speakers:
  - Ann Smith
  - 'Bob van Dyke'
date: 2020-01-01
---
"""


def pack(archive: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(archive, "w:xz") as out:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("top/show/link.md")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        out.addfile(link)
    return archive


def talk(first: str, second: str, turns: int = 14, between: str = "\n\n") -> str:
    """A conversation of two whose labels are written as given."""
    gap = " " if between == "same" else between
    said = "now, of flour, water and salt."
    lines = (f"{first if n % 2 else second}{gap}We bake loaf {n} {said}" for n in range(turns))
    return "\n\n".join(lines)


def speakers(turns: tuple[Turn, ...]) -> list[str]:
    return sorted({turn.speaker for turn in turns})


def test_an_archive_is_streamed_and_only_plain_text_files_of_some_size_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LARGEST_EPISODE_BYTES", 1_000)
    spoken = b"\xef\xbb\xbf**Ann:** Hi\xff there.\r\n\r\n**Bob:** Yes.\0\n"
    files = {
        "README.md": spoken,
        "top/show/one.md": spoken,
        "top/show/notes.pdf": spoken,
        "top/show/long.md": spoken + b"x" * 1_000,
    }
    (found,) = read_archive(pack(tmp_path / "a.tar.xz", files))
    assert (found.layout, found.show, found.name) == ("changelog", "show", "one")
    assert [turn.text.strip() for turn in found.turns] == ["Hi\ufffd there.", "Yes."]


def test_broken_oversized_and_unknown_archives_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown = pack(tmp_path / "u.tar.xz", {"a/b.md": b"No labels at all."})
    with pytest.raises(InputError, match=r"u\.tar\.xz holds no transcripts"):
        read_archive(unknown)
    archive = pack(tmp_path / "a.tar.xz", {"a/b.md": b"**Ann:** Hi.", "a/c.md": b"**Ann:** Ho."})
    monkeypatch.setattr(archives, "LARGEST_ARCHIVE_BYTES", 20)
    with pytest.raises(InputError, match="more text than any archive"):
        read_archive(archive)
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(InputError, match=r"Reading a\.tar\.xz failed"):
        read_archive(archive)


def test_layouts_are_told_by_most_files() -> None:
    texts = {
        "changelog": "**Ann:** Hi.\n",
        "bitcoin": HEAD + "Text.\n",
        "presidents": "President: Ann Smith\n\nWe will.\n",
    }
    files = {k: TextFile(PurePosixPath(f"a/{k}.md"), text) for k, text in texts.items()}
    for layout, file in files.items():
        assert detect_layout([file]) == layout
    odd = TextFile(PurePosixPath("a/licence.md"), "Nothing.")
    assert detect_layout([odd, files["bitcoin"], files["changelog"], files["bitcoin"]]) == "bitcoin"


def test_bold_labels_begin_turns() -> None:
    markdown = "Intro.\n\n**Ann:** Hi.\n\nMore.\n\n**Bob**: Yes, **no:** well.\n"
    turns = [Turn(turn.speaker, turn.text.strip()) for turn in parse_changelog(markdown)]
    assert turns == [Turn("Ann", "Hi.\n\nMore."), Turn("Bob", "Yes, **no:** well.")]


def test_front_matter_is_split_off() -> None:
    matter = read_front_matter(HEAD + "Hello.\n")
    assert matter == FrontMatter(
        speakers=("Ann Smith", "Bob van Dyke"), transcriber="Cy Typist", body="\nHello.\n"
    )
    assert read_front_matter("---\nspeakers: ['A B', C]\n---\n").speakers == ("A B", "C")
    assert read_front_matter("---\ntranslation_by: X\n---\n").translated
    assert read_front_matter("---\nnever closed").body == "---\nnever closed"


@pytest.mark.parametrize(
    ("first", "second", "between"),
    [
        ("Ann Smith:", "Bob van Dyke:", "same"),
        ("Ann:", "Bob:", "same"),
        ("AS:", "BvD:", "same"),
        ("**Ann Smith:**", "**Bob van Dyke**:", "same"),
        ("Ann Smith: 00:01:02", "Bob van Dyke: 00:01:05", "\n\n"),
        ("Ann 00:01:02:", "Bob 00:01:05:", "\n\n"),
        ("Ann Smith [00:01:02]:", "Bob: (00:01:05)", "\n"),
        ("Anne Smith:", "Bob Van Dyke:", "\n\n"),
        ("annie (Ann Smith):", "Bob van Dyke (BvD):", "same"),
    ],
)
def test_labels_of_all_kinds_become_full_names(first: str, second: str, between: str) -> None:
    turns = parse_named(read_front_matter(HEAD + talk(first, second, between=between)))
    assert speakers(turns) == ["Ann Smith", "Bob van Dyke"]
    assert len(turns) == 14
    assert {turn.text.strip()[:12] for turn in turns} == {"We bake loaf"}


def test_who_comes_back_to_a_show_is_known_by_the_first_name() -> None:
    head = "---\nspeakers:\n  - Ann Smith\n---\n"
    matter = read_front_matter(head + talk("Ann:", "Bob:", between="same"))
    assert speakers(parse_named(matter, ["Bob Stone"])) == ["Ann Smith", "Bob Stone"]
    assert speakers(parse_named(matter, ["Bob Stone", "Bob Wood"])) == ["Ann Smith", "Bob"]


def test_names_are_resolved_from_the_likeliest_group_on() -> None:
    resolver = NameResolver([["Ann Smith"], ["Al Stone", "Amy Stone"]])
    resolver.learn("Cy Wood", "CW")
    resolver.learn("Bread", "see BIP 1")
    labels = ["AS", "Stone", "Al", "CW", "Q", "speaker 1", "Smiht", "Ann Smiht"]
    assert [resolver.resolve(label) for label in labels] == [
        "Ann Smith", "Stone", "Al Stone", "Cy Wood", "Q", "speaker 1", "Smiht", "Ann Smith",
    ]  # fmt: skip


def test_only_conversations_of_named_people_are_kept() -> None:
    def kept(body: str) -> bool:
        return bool(parse_named(read_front_matter(HEAD + body)))

    assert kept(talk("Ann:", "Bob:"))
    assert not kept(talk("Ann:", "Bob:", turns=8))
    assert not kept(talk("Speaker 0:", "Speaker 1:"))
    assert not kept(talk("Q:", "A:"))
    assert not kept(talk("Ann:", "Audience:"))
    assert not kept(talk("XY:", "ZW:"))
    assert not kept("Preliminary notes\n\n" + talk("Ann:", "Bob:"))
    assert not kept("A talk without labels. " * 200 + "\n\n" + talk("Ann:", "Bob:"))
    assert not kept(talk("Ann:", "Bob:").replace("now", "now and then " * 100))
    assert not kept("".join(f"N{n}x: hi\n\n" for n in range(200)) + talk("Ann:", "Bob:"))


def test_what_is_not_said_in_a_conversation_is_dropped() -> None:
    body = (
        "Slides: https://example.org\n\n## A heading\n\n"
        + talk("Ann:", "Bob:", between="same")
        + "\n\nAudience Member 2: Why (laughter) is that *inaudible* so?\n\n"
        "Bob: ((a remark)) At 00:12:13 I said no.\n\n```\ncode: x\n```\n\nhttps://example.org/a\n\n"
        "The question is this: how much flour?\n"
    )
    turns = parse_named(read_front_matter(HEAD + body))
    assert turns[-2].speaker == AUDIENCE
    assert turns[-2].text.split() == ["Why", "is", "that", "[inaudible]", "so?"]
    last = "At I said no. The question is this: how much flour?"
    assert turns[-1].text.split() == last.split()
    spoken = " ".join(turn.text for turn in turns)
    assert not any(word in spoken for word in ("Slides", "heading", "code", "example", "remark"))


def test_translations_indexes_and_talks_are_passed_over(tmp_path: Path) -> None:
    text = (HEAD + talk("Ann:", "Bob:")).encode()
    files = {
        "show/2020/one.md": text,
        "show/one.es.md": text,
        "show/one.zh-cn.md": text,
        "show/_index.md": text,
        "show/talk.md": (HEAD + "Only one speaks here. " * 50).encode(),
    }
    (found,) = read_archive(pack(tmp_path / "a.tar.xz", files))
    assert (found.layout, found.show, found.name) == ("bitcoin", "bitcoin/show", "2020/one")


def questions(asker: str, president: str, rounds: int = 8) -> str:
    lines = (
        f"{asker}Mr. President, what about road {n}?\n\n{president}We will build road {n}.\n\n"
        for n in range(rounds)
    )
    return "President: Ann Q. Smith\n\n" + "".join(lines)


@pytest.mark.parametrize(
    ("asker", "president"),
    [
        ("Q. ", "THE PRESIDENT. "),
        ("Q ", "THE PRESIDENT: "),
        ("Q    ", "THE PRESIDENT:  "),
        ("Q: ", "The President: "),
        ("QUESTION: ", "PRESIDENT SMITH: "),
        ("Jo Doe, Daily News: ", "The President. "),
    ],
)
def test_press_conferences_are_between_a_reporter_and_the_president(
    asker: str, president: str
) -> None:
    show, turns = parse_speech(questions(asker, president))
    assert show == "presidents"
    assert [turn.speaker for turn in turns] == [REPORTER, "Ann Q. Smith"] * 8
    assert turns[1].text.strip() == "We will build road 0."


def test_calls_headings_and_sounds_are_no_speech() -> None:
    text = questions("Q. ", "THE PRESIDENT. ") + (
        "THE PRESIDENT. That is all. (Laughter.) [Applause] No?\n\nMr. Doe.\n\nJo Doe?\n\n"
        "Roads in the West\n\nTHE ECONOMY\n\nAUDIENCE: Boo!\n\nTHE PRESIDENT. Thank you.\n"
    )
    _, turns = parse_speech(text)
    said = [turn.text.split() for turn in turns[-2:]]
    assert said == [["That", "is", "all.", "No?"], ["Thank", "you."]]


def test_others_are_named_in_full_where_the_text_does() -> None:
    text = questions("MR. DOE. ", "THE PRESIDENT. ").replace("road 3?", "road 3? I am Jo Doe.")
    text += "Ms. Wood. Thanks.\n\nTHE PRESIDENT. Yes.\n\nMs. Wood. Bye.\n"
    _, turns = parse_speech(text)
    assert speakers(turns) == ["Ann Q. Smith", "Jo Doe", "Ms Wood"]


def test_a_candidate_debates_with_the_president_of_the_day() -> None:
    text = questions("THE MODERATOR. ", "THE PRESIDENT. ")
    text += (
        "MR. SMITH. President Bo Wood is wrong.\n\nTHE PRESIDENT. I am not.\n\nMR. SMITH. He is.\n"
    )
    _, turns = parse_speech(text)
    assert speakers(turns) == ["Ann Q. Smith", "Bo Wood", "Moderator"]


def test_speeches_are_one_turn_and_old_ones_left_out(tmp_path: Path) -> None:
    speech = b"President: Ann Smith\n\nMy friends: we will.\n\nAUDIENCE: Yes!\n\nThank you all.\n"
    files = {
        "data/1929-01-01-old.txt": speech,
        "data/1931-01-01-new": speech,
        "data/undated.txt": speech,
    }
    (found,) = read_archive(pack(tmp_path / "a.tar.xz", files))
    assert (found.layout, found.show, found.name) == ("presidents", "speeches", "1931-01-01-new")
    assert [turn.speaker for turn in found.turns] == ["Ann Smith"]


@pytest.mark.parametrize(
    "text",
    [
        "The " + "A" * 50_000,
        "\n" * 50_000,
        "*" * 50_000,
        "[" * 50_000,
        "Ab " * 20_000,
        "1:" * 20_000,
    ],
)
def test_no_text_is_too_odd_to_read(text: str) -> None:
    assert parse_named(read_front_matter(HEAD + text)) == ()
    assert parse_speech(f"President: Ann\n{text}")[0] == "speeches"
    assert len(parse_changelog(f"**Ann:** {text}")) <= 1
