import re
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from podcaster.errors import EngineMissing, InputError, RunError
from podcaster.model import Episode
from podcaster.progress import Silence
from podcaster.publish.episodes import add_episode, remove_episode
from podcaster.publish.export import ExportReport, _Tree, export_feed
from podcaster.publish.feed import read_feed
from podcaster.publish.lint import check_xml
from podcaster.publish.listeners import add_listener, revoke_listener
from podcaster.publish.options import PublishOptions

Publisher = Callable[..., tuple[Path, Episode]]
BASE = "http://127.0.0.1:8080"


def export(home: Path, target: Path | str, **arguments: str) -> ExportReport:
    return export_feed(home, str(target), progress=Silence(), **arguments)


def prefix_of(url: str) -> str:
    return url.rsplit("/", 2)[1]


@pytest.fixture
def full(home: Path, publish_run: Publisher) -> Path:
    run_folder, _ = publish_run()
    add_episode(home, run_folder)
    add_listener(home, "Ana")
    add_listener(home, "Bo")
    return home


@pytest.fixture
def bucket() -> Iterator[fsspec.AbstractFileSystem]:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    yield memory
    memory.store.clear()


def test_each_listener_has_a_whole_tree_of_their_own(full: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    report = export(full, target)
    _, (item,) = read_feed(full)
    assert [each.name for each in report.listeners] == ["Ana", "Bo"]
    prefixes = [prefix_of(each.url) for each in report.listeners]
    assert len(set(prefixes)) == 2
    assert all(re.fullmatch(r"[0-9a-f]{48}", prefix) for prefix in prefixes)
    for prefix, each in zip(prefixes, report.listeners, strict=True):
        assert each.url == f"{BASE}/{prefix}/feed.xml"
        xml = (target / prefix / "feed.xml").read_bytes()
        assert check_xml(xml, BASE, prefix) == []
        addresses = re.findall(rb'(?:url|href)="(http://127[^"]+)"', xml)
        assert len(addresses) == 8
        for address in addresses:
            assert (target / address.decode().removeprefix(f"{BASE}/")).is_file(), address
        audio = item.files["audio"]
        copy = target / prefix / item.episode.guid / audio.name
        assert copy.stat().st_size == audio.bytes


def test_nothing_secret_is_exported_and_no_prefix_is_listed(full: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    _, token = add_listener(full, "Cy")
    export(full, target)
    names = {path.name for path in target.rglob("*")}
    assert not names & {"listeners.json", "export.key", "feed.json", "item.json"}
    assert (target / "index.html").read_bytes() == b""
    assert "X-Robots-Tag: noindex" in (target / "_headers").read_text()
    everything = b"".join(path.read_bytes() for path in target.rglob("*") if path.is_file())
    assert token.encode() not in everything


def test_exporting_again_keeps_addresses_and_writes_no_media(full: Path, tmp_path: Path) -> None:
    first = export(full, tmp_path / "site")
    media = {p: p.stat().st_mtime_ns for p in (tmp_path / "site").rglob("*.mp3")}
    second = export(full, tmp_path / "site")
    assert second.listeners == first.listeners
    assert second.kept == first.written - 2 - 2 * 2  # all but the index files, headers and feeds
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "site").rglob("*.mp3")} == media


def test_another_workspace_has_other_addresses(full: Path, tmp_path: Path) -> None:
    one = export(full, tmp_path / "one")
    (full / "feed" / "export.key").write_text("00" * 32)
    other = export(full, tmp_path / "two")
    assert one.listeners[0].url != other.listeners[0].url


def test_a_revoked_listeners_tree_is_deleted(full: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    report = export(full, target)
    revoke_listener(full, "Ana")
    after = export(full, target)
    assert [each.name for each in after.listeners] == ["Bo"]
    assert not (target / prefix_of(report.listeners[0].url)).exists()
    assert (target / prefix_of(report.listeners[1].url) / "feed.xml").is_file()
    assert after.removed > 5


def test_files_of_removed_and_replaced_episodes_are_deleted(
    full: Path, tmp_path: Path, publish_run: Publisher
) -> None:
    target = tmp_path / "site"
    export(full, target)
    run_folder, episode = publish_run(options=PublishOptions(title="Other"))
    add_episode(full, run_folder)
    export(full, target)
    assert len(list(target.rglob("*.mp3"))) == 2
    remove_episode(full, episode.run)
    export(full, target)
    assert list(target.rglob("*.mp3")) == []
    assert len(list(target.rglob("feed.xml"))) == 2


def test_what_else_lies_at_the_destination_stays(full: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    target.mkdir()
    (target / "blog.html").write_text("mine")
    export(full, target)
    revoke_listener(full, "Ana")
    export(full, target)
    assert (target / "blog.html").read_text() == "mine"


def test_another_address_can_be_given(full: Path, tmp_path: Path) -> None:
    report = export(full, tmp_path / "site", url="https://cdn.example.org/pod/")
    assert report.listeners[0].url.startswith("https://cdn.example.org/pod/")
    with pytest.raises(InputError, match="is not the address of a feed"):
        export(full, tmp_path / "site", url="cdn.example.org")


def test_a_bucket_gets_the_same_tree(
    full: Path, tmp_path: Path, bucket: fsspec.AbstractFileSystem
) -> None:
    local = export(full, tmp_path / "site")
    remote = export(full, "memory://shows/mine")
    assert remote == local
    files = {p.relative_to(tmp_path / "site").as_posix(): p.read_bytes()
             for p in (tmp_path / "site").rglob("*") if p.is_file()}  # fmt: skip
    found = {str(p).removeprefix("/shows/mine/"): bucket.cat(p) for p in bucket.find("/shows/mine")}
    assert found == files
    revoke_listener(full, "Ana")
    export(full, "memory://shows/mine")
    prefix = prefix_of(local.listeners[0].url)
    assert not any(prefix in str(path) for path in bucket.find("/shows/mine"))


def test_the_feed_is_written_after_the_files_that_it_names(
    full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    real = _Tree.write

    def watch(self: _Tree, path: str, data: bytes, content_type: str) -> None:
        written.append(path)
        real(self, path, data, content_type)

    monkeypatch.setattr(_Tree, "write", watch)
    report = export(full, tmp_path / "site")
    for each in report.listeners:
        own = [path for path in written if path.startswith(prefix_of(each.url))]
        assert own[-1].endswith("/feed.xml")
        assert len(own) > 8


def test_an_export_that_is_cut_off_leaves_the_earlier_feed_whole(
    full: Path, tmp_path: Path, publish_run: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "site"
    report = export(full, target)
    feeds = {p: p.read_bytes() for p in target.rglob("feed.xml")}
    run_folder, _ = publish_run("second-run")
    add_episode(full, run_folder)
    real = _Tree.write

    def fill_disk(self: _Tree, path: str, data: bytes, content_type: str) -> None:
        if path.endswith(".vtt"):
            raise OSError(28, "No space left on device")
        real(self, path, data, content_type)

    with monkeypatch.context() as patch:
        patch.setattr(_Tree, "write", fill_disk)
        with pytest.raises(RunError, match=r"Writing to .* failed: .*No space left"):
            export(full, target)
    assert {p: p.read_bytes() for p in target.rglob("feed.xml")} == feeds
    assert list(target.rglob("*.tmp*")) == []
    assert export(full, target).listeners == report.listeners


def test_a_destination_of_an_unknown_kind_is_refused(full: Path) -> None:
    with pytest.raises(InputError, match="is not a folder or an address that fsspec knows"):
        export(full, "teleport://somewhere")


def test_a_bucket_whose_library_is_missing_names_it(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(EngineMissing, match="s3://") as caught:
        export(full, "s3://bucket/path")
    assert "pip install" in str(caught.value)


def test_the_feeds_own_folder_is_no_destination(full: Path) -> None:
    for target in (full / "feed", full / "feed" / "site"):
        with pytest.raises(InputError, match="cannot be exported into its own folder"):
            export(full, target)


def test_a_file_in_the_destinations_place_is_one_sentence(full: Path, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("x")
    with pytest.raises(RunError, match="site"):
        export(full, tmp_path / "site")


def test_without_a_feed_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no feed"):
        export(tmp_path, tmp_path / "site")


def test_an_object_store_is_told_what_each_object_is() -> None:
    told: dict[str, str] = {}

    class Store(MemoryFileSystem):  # type: ignore[misc]
        protocol = ("s3", "s3a")

        def pipe_file(self, path: str, value: bytes, **arguments: str) -> None:
            told[path] = arguments["ContentType"]

    tree = _Tree(Store(skip_instance_cache=True), "bucket/pod/", "s3://bucket/pod")
    tree.write("p/feed.xml", b"x", "application/rss+xml")
    assert told == {"bucket/pod/p/feed.xml": "application/rss+xml"}
