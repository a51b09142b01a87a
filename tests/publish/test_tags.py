from pathlib import Path

import pytest
from mutagen.id3 import ID3, CTOCFlags, PictureType
from mutagen.mp3 import MP3

from podcaster.errors import InputError
from podcaster.model import TimelineChapter
from podcaster.publish.cover import make_cover
from podcaster.publish.tags import Tags, check_mp3, write_tags

CHAPTERS = (
    TimelineChapter(title="Opening", start_s=0.0, end_s=6.0),
    TimelineChapter(title="Rockets", start_s=6.0, end_s=11.9),
)


def make_tags(**changes: object) -> Tags:
    fields: dict[str, object] = {
        "title": "Jane Doe on rockets",
        "artist": "Robin Hale",
        "album": "Podcaster",
        "date": "2026-11-20",
        "comment": "Made with AI.\n\nA talk.",
        "language": "en",
        "track": 7,
        "cover": make_cover("Podcaster", "Jane", seed=1),
        "chapters": CHAPTERS,
        "duration_s": 12.0,
    }
    return Tags(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def audio(mp3: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "episode.mp3"
    copy.write_bytes(mp3.read_bytes())
    return copy


def test_every_frame_is_there_in_version_2_3(audio: Path) -> None:
    write_tags(audio, make_tags())
    assert audio.read_bytes()[:4] == b"ID3\x03"
    tags = ID3(audio, translate=False)
    assert tags["TIT2"].text == ["Jane Doe on rockets"]
    assert tags["TPE1"].text == ["Robin Hale"]
    assert tags["TALB"].text == ["Podcaster"]
    assert tags["TYER"].text == ["2026"]
    assert tags["TDAT"].text == ["2011"]  # day, then month
    assert tags["TCON"].text == ["Podcast"]
    assert tags["TRCK"].text == ["7"]
    assert tags["TLAN"].text == ["eng"]
    assert tags.getall("COMM")[0].text == ["Made with AI.\n\nA talk."]
    assert tags.getall("COMM")[0].lang == "eng"
    assert ID3(audio)["TDRC"].text[0].text == "2026-11-20"


def test_the_cover_is_one_front_cover_below_300_kb(audio: Path) -> None:
    write_tags(audio, make_tags())
    pictures = ID3(audio).getall("APIC")
    assert len(pictures) == 1
    assert pictures[0].type == PictureType.COVER_FRONT
    assert pictures[0].mime == "image/jpeg"
    assert len(pictures[0].data) <= 300_000


def test_chapters_are_ordered_and_the_last_ends_where_the_audio_ends(audio: Path) -> None:
    write_tags(audio, make_tags())
    tags = ID3(audio)
    tables = tags.getall("CTOC")
    assert len(tables) == 1
    assert tables[0].flags == CTOCFlags.TOP_LEVEL | CTOCFlags.ORDERED
    chapters = [tags[f"CHAP:{name}"] for name in tables[0].child_element_ids]
    assert [(c.start_time, c.end_time) for c in chapters] == [(0, 6000), (6000, 12000)]
    assert [c.sub_frames["TIT2"].text[0] for c in chapters] == ["Opening", "Rockets"]


def test_there_is_no_id3v1_and_earlier_tags_are_gone(audio: Path) -> None:
    old = ID3()
    from mutagen.id3 import TXXX

    old.add(TXXX(encoding=3, desc="secret", text="old"))
    old.save(audio, v1=2)
    assert audio.read_bytes()[-128:-125] == b"TAG"
    write_tags(audio, make_tags())
    assert audio.read_bytes()[-128:-125] != b"TAG"
    assert not ID3(audio).getall("TXXX")


def test_tagging_leaves_every_byte_of_the_audio(audio: Path, mp3: Path) -> None:
    write_tags(audio, make_tags())
    offset = MP3(mp3).info.frame_offset
    assert audio.read_bytes().endswith(mp3.read_bytes()[offset:])
    assert MP3(audio).info.length == pytest.approx(MP3(mp3).info.length)


def test_the_same_tags_give_the_same_bytes(audio: Path, mp3: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp3"
    other.write_bytes(mp3.read_bytes())
    write_tags(audio, make_tags())
    write_tags(other, make_tags())
    write_tags(other, make_tags())
    assert audio.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("a\x00b\x07\nc", "ab c"),
        ("\u202eevil", "evil"),
        ("مقابلة مع جين", "مقابلة مع جين"),
        ("Rockets 🚀👩‍🚀", "Rockets 🚀👩‍🚀"),
        ("\x00\x01", "Untitled"),
        ("", "Untitled"),
    ],
)
def test_hostile_titles_are_shown_as_text(audio: Path, title: str, expected: str) -> None:
    chapters = (TimelineChapter(title=title or " ", start_s=0.0, end_s=12.0),)
    write_tags(audio, make_tags(title=title, chapters=chapters))
    assert ID3(audio)["TIT2"].text == [expected]
    assert ID3(audio)["CHAP:chp0"].sub_frames["TIT2"].text[0]


def test_a_title_of_ten_thousand_characters_is_shortened(audio: Path) -> None:
    write_tags(audio, make_tags(title="word " * 2000, comment="x" * 100_000))
    assert len(ID3(audio)["TIT2"].text[0]) <= 250
    assert len(ID3(audio).getall("COMM")[0].text[0]) <= 4000


def test_more_chapters_than_a_table_can_name_still_cover_the_audio(audio: Path) -> None:
    chapters = tuple(
        TimelineChapter(title=f"c{i}", start_s=i / 100, end_s=(i + 1) / 100) for i in range(300)
    )
    write_tags(audio, make_tags(chapters=chapters))
    tags = ID3(audio)
    assert len(tags.getall("CTOC")[0].child_element_ids) == 255
    assert max(c.end_time for c in tags.getall("CHAP")) == 12_000


def test_a_cover_that_is_too_large_is_refused(audio: Path) -> None:
    with pytest.raises(InputError, match="The cover has 300001 bytes, expected at most 300000"):
        write_tags(audio, make_tags(cover=b"x" * 300_001))


@pytest.mark.parametrize("data", [b"", b"hello", b"\0" * 5000, b"ID3\x03\0\0\x7f\x7f\x7f\x7f"])
def test_what_is_not_an_mp3_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "episode.mp3"
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"Reading episode\.mp3 as an MP3 failed"):
        check_mp3(path, 12.0)
    with pytest.raises(InputError, match=r"Tagging episode\.mp3 failed"):
        write_tags(path, make_tags())


def test_a_whole_mp3_passes_and_a_truncated_one_does_not(audio: Path) -> None:
    check_mp3(audio, 12.0)
    audio.write_bytes(audio.read_bytes()[:100_000])
    with pytest.raises(InputError, match=r"holds 6\.\d\d s of audio, expected 12\.00 s"):
        check_mp3(audio, 12.0)
