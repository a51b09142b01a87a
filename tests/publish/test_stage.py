import hashlib
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from mutagen.id3 import ID3

from podcaster.errors import ConfigError, InputError, RunError
from podcaster.model import Episode, Speaker, parse
from podcaster.publish.options import PublishOptions
from podcaster.publish.stage import Details

Publisher = Callable[..., tuple[Path, Episode]]
FILES = {
    "episode.mp3", "cover.jpg", "episode.vtt", "episode.srt", "transcript.json", "chapters.json",
    "notes.html", "notes.md", "details.json", "episode.json",
}  # fmt: skip


def read_all(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_everything_a_feed_needs_is_written_and_described(publish_run: Publisher) -> None:
    run_folder, episode = publish_run(fresh=True)
    files = read_all(run_folder / "publish")
    assert set(files) == FILES
    assert parse(files["episode.json"], Episode, where="x") == episode
    for path in (
        episode.audio, episode.cover, episode.transcript_vtt, episode.transcript_srt,
        episode.transcript_json, episode.chapters,
    ):  # fmt: skip
        assert (run_folder / path).is_file()
    assert episode.audio_bytes == len(files["episode.mp3"])
    assert episode.audio_sha256 == hashlib.sha256(files["episode.mp3"]).hexdigest()
    assert episode.published_at == "2026-11-20T00:00:00Z"
    assert uuid.UUID(episode.guid).version == 5
    assert episode.show_notes_html.encode() == files["notes.html"]
    assert parse(files["details.json"], Details, where="x") == Details(
        author="Robin Hale", number=0, explicit=False
    )


def test_the_same_run_gives_the_same_bytes(publish_run: Publisher) -> None:
    run_folder, _ = publish_run()
    first = read_all(run_folder / "publish")
    publish_run(fresh=True)
    assert read_all(run_folder / "publish") == first


def test_another_run_gives_the_same_mp3_and_another_guid(publish_run: Publisher) -> None:
    first_folder, first = publish_run("jane-20261120-aaaa")
    second_folder, second = publish_run("jane-20261120-bbbb")
    assert first.guid != second.guid
    assert first.audio_sha256 == second.audio_sha256
    differing = [
        name
        for name, data in read_all(first_folder / "publish").items()
        if data != read_all(second_folder / "publish")[name]
    ]
    assert differing == ["episode.json"]


def test_chapters_are_of_version_1_2_0(publish_run: Publisher) -> None:
    run_folder, _ = publish_run()
    data = json.loads((run_folder / "publish" / "chapters.json").read_bytes())
    assert data["version"] == "1.2.0"
    assert [(c["startTime"], c["title"]) for c in data["chapters"]] == [
        (0.0, "Opening"),
        (6.0, "Rockets"),
    ]


def test_ai_is_disclosed_in_tag_description_and_notes(publish_run: Publisher) -> None:
    run_folder, episode = publish_run()
    comment = ID3(run_folder / "publish" / "episode.mp3").getall("COMM")[0].text[0]
    assert comment.startswith("This episode was made with AI")
    assert "made with AI" in episode.summary
    assert "made with AI" in episode.show_notes_html
    assert episode.ai_disclosure


def test_without_disclosure_it_is_nowhere(publish_run: Publisher) -> None:
    run_folder, episode = publish_run(disclosure=False)
    comment = ID3(run_folder / "publish" / "episode.mp3").getall("COMM")[0].text[0]
    assert "made with AI" not in comment + episode.summary + episode.show_notes_html
    assert not episode.ai_disclosure


def test_options_are_what_the_tags_say(publish_run: Publisher) -> None:
    options = PublishOptions(
        show="My show", author="Me", title="Other title", date="2024-02-29", number=12,
        explicit=True,
    )  # fmt: skip
    run_folder, episode = publish_run(options=options)
    tags = ID3(run_folder / "publish" / "episode.mp3")
    assert episode.title == "Other title"
    assert tags["TIT2"].text == ["Other title"]
    assert tags["TALB"].text == ["My show"]
    assert tags["TPE1"].text == ["Me"]
    assert tags["TRCK"].text == ["12"]
    assert tags["TDRC"].text[0].text == "2024-02-29"
    assert episode.published_at == "2024-02-29T00:00:00Z"


def test_a_date_that_no_calendar_has_is_a_config_error(publish_run: Publisher) -> None:
    with pytest.raises(ConfigError, match="'2026-02-30' of \\[publish\\] is not a day"):
        publish_run(options=PublishOptions(date="2026-02-30"))


def test_a_truncated_mix_is_refused_before_anything_is_written(
    publish_run: Publisher, mp3: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.mp3"
    short.write_bytes(mp3.read_bytes()[:90_000])
    with pytest.raises(InputError, match=r"expected 12\.00 s") as caught:
        publish_run(audio=short)
    assert "podcaster resume" in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_variable_bit_rate_is_refused(
    publish_run: Publisher, make: SimpleNamespace, tmp_path: Path
) -> None:
    vbr = make.mp3(tmp_path / "vbr.mp3", 12.0, abr="1")
    with pytest.raises(InputError, match="has a variable bit rate, expected a constant one"):
        publish_run(audio=vbr)


@pytest.mark.parametrize(
    "name", ["A", "x" * 120, "محمد", "🎙️", "../../etc/passwd", "<b>&</b>", "\x00\x07", "a\nb"]
)
def test_any_speakers_name_can_be_published(
    publish_run: Publisher, make: SimpleNamespace, name: str
) -> None:
    script = make.script(
        title=f"{name} " * 100,
        speakers=(
            Speaker(id="host", name="Robin Hale", role="host"),
            Speaker(id="guest", name=name, role="guest"),
        ),
    )
    run_folder, episode = publish_run(script=script)
    assert {path.name for path in (run_folder / "publish").iterdir()} == FILES
    assert len(episode.title) <= 250


def test_a_file_in_the_folders_place_is_one_sentence(
    publish_run: Publisher, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "taken").write_text("x")
    with pytest.raises(RunError, match="a part of its path is a file"):
        publish_run("taken")
