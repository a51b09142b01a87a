"""A show's recordings over its life: added, taken in, changed, broken, taken in again."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from podcaster.audio import write_wav
from podcaster.errors import InputError
from podcaster.ingest.sources import describe_source
from podcaster.model import Transcript, parse
from podcaster.progress import Silence
from podcaster.recordings import Tally, describe_tally, read_recordings
from podcaster.run import open_run, open_show_run
from podcaster.show import add_sources, ingest_show

SRT = "1\n00:00:00,000 --> 00:00:01,500\nAnn: Good morning.\n\n"


def tone(path: Path, *, seconds: float = 1.0, hertz: float = 220.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(int(16_000 * seconds)) / 16_000
    write_wav(path, (0.3 * np.sin(2 * np.pi * hertz * times)).astype(np.float32), 16_000)
    return path


def ingest(home: Path, name: str = "tea") -> Tally:
    return ingest_show(home, name, Silence())


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and notes what was asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served."""
    folder = tmp_path / "site"
    folder.mkdir()
    Handler.asked = []
    serve = functools.partial(Handler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def write_feed(folder: Path, address: str, names: list[str]) -> None:
    """Episodes by name; a name may stand twice, as an episode that was uploaded again."""
    items = "".join(
        f"<item><title>{name} of {number}</title><guid>id-{number}</guid>"
        f'<enclosure url="{address}/{name}.wav" type="audio/wav" length="0"/>'
        f"<pubDate>Mon, 0{number + 1} Jun 2026 10:00:00 GMT</pubDate></item>"
        for number, name in enumerate(names)
    )
    channel = f"<channel><title>Tea</title><language>en</language>{items}</channel>"
    (folder / "feed.xml").write_text(f'<rss version="2.0">{channel}</rss>')


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with a show of two recordings, one of which has its words."""
    tone(tmp_path / "in" / "one.wav")
    tone(tmp_path / "in" / "two.wav", seconds=2.0)
    (tmp_path / "in" / "two.srt").write_text(SRT)
    add_sources(tmp_path, "Tea", [describe_source(str(tmp_path / "in"))])
    return tmp_path


def test_recordings_are_taken_in_once_and_say_what_they_are(home: Path) -> None:
    first = ingest(home)
    assert (first.done, first.reused, first.failures) == (2, 0, [])
    assert first.audio_s == pytest.approx(3.0)
    again = ingest(home)
    assert (again.done, again.reused) == (0, 2)
    run = open_show_run(home, "tea", version="0")
    by_title = {recording.title: recording for recording in read_recordings(run)}
    assert set(by_title) == {"one", "two"}
    assert by_title["one"].transcript == ""
    assert Path(by_title["two"].audio) == home / "in" / "two.wav"
    path = run.path / "ingest" / by_title["two"].transcript
    words = parse(path.read_bytes(), Transcript, where=str(path))
    assert [(said.speaker, said.text) for said in words.utterances] == [("Ann", "Good morning.")]


def test_only_what_changed_is_taken_in_again(home: Path) -> None:
    ingest(home)
    (home / "in" / "two.srt").write_text(SRT.replace("Good morning", "Good evening"))
    tone(home / "in" / "three.wav", hertz=330.0)
    again = ingest(home)
    assert (again.done, again.reused) == (2, 1)


def test_a_damaged_file_of_ours_is_made_again(home: Path) -> None:
    ingest(home)
    made = next((home / "runs" / "tea" / "ingest").glob("two-*.transcript.json"))
    made.write_bytes(made.read_bytes()[:20])
    again = ingest(home)
    assert (again.done, again.reused) == (1, 1)
    parse(made.read_bytes(), Transcript, where="two")


def test_the_same_recording_under_another_name_is_left_out(home: Path) -> None:
    ingest(home)
    (home / "in" / "one again.wav").write_bytes((home / "in" / "one.wav").read_bytes())
    again = ingest(home)
    assert (again.done, again.reused) == (0, 2)
    assert [Path(item).name for item, _ in again.twins] == ["one again.wav"]
    assert again.twins[0][1].startswith("one-")


def test_what_cannot_be_used_is_told_and_the_rest_goes_on(home: Path) -> None:
    (home / "in" / "empty.mp3").write_bytes(b"")
    (home / "in" / "words.mp3").write_bytes(b"These are words, and no sound at all." * 50)
    backwards = SRT + "2\n00:00:09,000 --> 00:00:08,000\nAnn: So late.\n"
    (home / "in" / "backwards.srt").write_text(backwards)
    (home / "in" / "nobody.txt").write_text("a list of things")
    tally = ingest(home)
    assert (tally.done, len(tally.failures)) == (2, 4)
    told = {Path(failure.item).name: str(failure.error) for failure in tally.failures}
    assert "0 bytes" in told["empty.mp3"]
    assert "words.mp3" in told["words.mp3"]
    assert "nobody.txt" in told["nobody.txt"]
    assert "backwards.srt" in told["backwards.srt"]
    assert tally.exit_code == InputError.exit_code
    result = json.loads(json.dumps(describe_tally("tea", tally)))
    assert {Path(row["item"]).name for row in result["failures"]} == set(told)
    tone(home / "in" / "empty.mp3", hertz=900.0)
    assert ingest(home).done == 1


def test_a_source_that_went_away_does_not_stop_the_others(home: Path) -> None:
    gone = tone(home / "elsewhere" / "gone.wav", hertz=500.0)
    add_sources(home, "tea", [describe_source(str(gone.parent))])
    gone.unlink()
    gone.parent.rmdir()
    tally = ingest(home)
    assert tally.done == 2
    assert [failure.item for failure in tally.failures] == [str(gone.parent)]


def test_a_file_named_twice_is_one_recording_with_its_words(home: Path) -> None:
    add_sources(home, "tea", [describe_source(str(home / "in" / "two.wav"))])
    first, again = ingest(home), ingest(home)
    assert (first.done, first.reused) == (2, 0)
    assert (again.done, again.reused) == (0, 2)
    alone = add_sources(home, "alone", [describe_source(str(home / "in" / "two.srt"))])
    assert ingest(home, "alone").done == 1
    assert next(read_recordings(alone)).audio == str(home / "in" / "two.wav")


def test_a_show_is_named_and_a_source_added_once(home: Path) -> None:
    run = add_sources(home, "tea", [describe_source(str(home / "in"))])
    assert len(json.loads((run.path / "sources.json").read_bytes())["sources"]) == 1
    with pytest.raises(InputError, match=r"no show 'coffee'.*there is tea"):
        ingest(home, "coffee")
    with pytest.raises(InputError, match="no run 'latest'"):
        open_run(home, "latest", "episode")
    with pytest.raises(InputError, match="of another kind"):
        open_run(home, "tea", "episode")


def test_a_feed_is_fetched_once_and_its_twins_are_left_out(
    tmp_path: Path, site: tuple[Path, str]
) -> None:
    folder, address = site
    tone(folder / "one.wav")
    tone(folder / "two.wav", hertz=300.0)
    write_feed(folder, address, ["one", "two", "one"])
    add_sources(tmp_path, "tea", [describe_source(f"{address}/feed.xml")])
    first = ingest_show(tmp_path, "tea", Silence(), allow_private=True)
    assert (first.done, len(first.twins), first.failures) == (2, 1, [])
    run = open_show_run(tmp_path, "tea", version="0")
    recordings = list(read_recordings(run))
    assert {recording.published_at[:7] for recording in recordings} == {"2026-06"}
    audio = [run.path / "ingest" / recording.audio for recording in recordings]
    assert {path.stat().st_size for path in audio} == {(folder / "one.wav").stat().st_size}
    fetched = [path for path in Handler.asked if path.endswith(".wav")]
    assert len(fetched) == 3
    again = ingest_show(tmp_path, "tea", Silence(), allow_private=True)
    assert (again.done, again.reused, len(again.twins)) == (0, 2, 1)
    assert [path for path in Handler.asked if path.endswith(".wav")] == fetched


def test_only_the_newest_of_a_feed_are_taken(tmp_path: Path, site: tuple[Path, str]) -> None:
    folder, address = site
    for number, name in enumerate(("one", "two", "three")):
        tone(folder / f"{name}.wav", hertz=200.0 + 50 * number)
    write_feed(folder, address, ["one", "two", "three"])
    add_sources(tmp_path, "tea", [describe_source(f"{address}/feed.xml", last=2)])
    assert ingest_show(tmp_path, "tea", Silence(), allow_private=True).done == 2
    titles = {r.title for r in read_recordings(open_show_run(tmp_path, "tea", version="0"))}
    assert titles == {"two of 1", "three of 2"}


def test_an_address_inside_this_network_is_refused_unless_it_is_meant(
    tmp_path: Path, site: tuple[Path, str]
) -> None:
    _, address = site
    add_sources(tmp_path, "tea", [describe_source(f"{address}/feed.xml")])
    tally = ingest(tmp_path)
    assert tally.done == 0
    assert len(tally.failures) == 1
    assert Handler.asked == []


def test_a_page_is_read_by_yt_dlp(tmp_path: Path, site: tuple[Path, str]) -> None:
    pytest.importorskip("yt_dlp", reason="needs yt-dlp: install podcaster[pages]")
    folder, address = site
    tone(folder / "talk.wav")
    page = '<html><head><title>My talk</title></head><audio src="talk.wav"></audio></html>'
    (folder / "page.html").write_text(page)
    sources = [
        describe_source(f"{address}/page.html", kind="page"),
        describe_source(f"{address}/nothing.html", kind="page"),
    ]
    add_sources(tmp_path, "tea", sources)
    tally = ingest_show(tmp_path, "tea", Silence(), allow_private=True)
    assert tally.done == 1
    assert ["nothing.html" in failure.item for failure in tally.failures] == [True]
    run = open_show_run(tmp_path, "tea", version="0")
    recording = next(read_recordings(run))
    assert recording.title.startswith("My talk")
    assert recording.duration_s == pytest.approx(1.0)
    assert (run.path / "ingest" / recording.audio).is_file()
    again = ingest_show(tmp_path, "tea", Silence(), allow_private=True)
    assert (again.done, again.reused) == (0, 1)
