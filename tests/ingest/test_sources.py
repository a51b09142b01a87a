"""What is found in a source: files that belong together, archives, and what is neither."""

import io
import tarfile
from pathlib import Path

import pytest

from podcaster.errors import ConfigError, InputError
from podcaster.ingest import sources
from podcaster.ingest.sources import describe_source, find_files, find_in_archive


def write(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def make_archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:xz") as out:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    return path


def test_a_recording_and_its_transcript_are_one_item(tmp_path: Path) -> None:
    write(tmp_path / "two" / "pilot_episode.mp3")
    write(tmp_path / "two" / "pilot_episode.srt")
    write(tmp_path / "one.VTT")
    for beside in ("README.md", ".hidden.mp3", ".git/words.txt", "cover.png"):
        write(tmp_path / beside)
    found = list(find_files(tmp_path))
    assert [item.title for item in found] == ["one", "pilot episode"]
    assert found[0].media is None
    assert found[1].media == tmp_path / "two" / "pilot_episode.mp3"
    assert found[1].transcript == tmp_path / "two" / "pilot_episode.srt"


def test_one_file_is_a_recording_unless_it_ends_like_a_transcript(tmp_path: Path) -> None:
    odd = write(tmp_path / "memo.dat")
    words = write(tmp_path / "memo.txt")
    assert next(find_files(odd)).media == odd
    assert next(find_files(words)).transcript == words


def test_a_folder_with_nothing_to_hear_or_read_says_what_is_looked_for(tmp_path: Path) -> None:
    write(tmp_path / "cover.png")
    with pytest.raises(InputError, match=r"holds no recording and no transcript\. .*\.mp3"):
        list(find_files(tmp_path))


def test_an_archive_is_read_without_unpacking(tmp_path: Path) -> None:
    members = {
        "all/show/one.md": b"**Ann:** Hi.",
        "all/LICENSE": b"free",
        "all/.git/config.txt": b"no",
        "/etc/escape.md": b"**Bob:** Still only text.",
        "../up.md": b"no",
        "all/picture.png": b"no",
    }
    archive = make_archive(tmp_path / "words.tar.xz", members)
    found = list(find_in_archive(archive))
    assert [item.text for item in found] == [b"**Ann:** Hi.", b"**Bob:** Still only text."]
    assert found[0].identity == "words.tar.xz/all/show/one.md"
    assert list(tmp_path.iterdir()) == [archive]


def test_a_broken_or_boundless_archive_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(tmp_path / "words.tar.xz", {"a.md": b"**Ann:** Hi. " * 500})
    content = archive.read_bytes()
    (tmp_path / "cut.tar.xz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"Reading cut\.tar\.xz failed"):
        list(find_in_archive(tmp_path / "cut.tar.xz"))
    monkeypatch.setattr(sources, "LARGEST_ARCHIVE_BYTES", 1000)
    with pytest.raises(InputError, match="unpacks to more than"):
        list(find_in_archive(archive))


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("https://example.org/feed.xml", "feed"),
        ("https://example.org/podcast", "feed"),
        ("https://www.youtube.com/watch?v=1", "page"),
        ("https://example.org/one.mp3", "page"),
    ],
)
def test_an_address_is_a_feed_unless_it_looks_like_something_else(location: str, kind: str) -> None:
    assert describe_source(location).kind == kind


def test_a_path_becomes_absolute_and_tells_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.mp3")
    write(tmp_path / "b.tar.xz")
    write(tmp_path / "c.rss")
    given = [describe_source(name) for name in (".", "a.mp3", "b.tar.xz", "c.rss")]
    assert [source.kind for source in given] == ["files", "files", "archive", "feed"]
    assert all(Path(source.location).is_absolute() for source in given)
    with pytest.raises(InputError, match="no file or folder"):
        describe_source("missing.mp3")
    with pytest.raises(ConfigError, match="is not a date"):
        describe_source("a.mp3", since="last week")
