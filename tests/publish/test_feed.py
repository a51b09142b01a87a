import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest

from podcaster.errors import InputError, RunError, RunLocked
from podcaster.model import Episode
from podcaster.publish import feed as feed_module
from podcaster.publish.episodes import add_episode, remove_episode
from podcaster.publish.feed import (
    FILE_NAMES,
    base_url,
    check_url,
    feed_guid,
    init_feed,
    item_folder,
    lock_feed,
    read_feed,
)
from podcaster.publish.options import PublishOptions

Publisher = Callable[..., tuple[Path, Episode]]
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def test_the_guid_is_the_one_of_the_specification() -> None:
    expected = "9b024349-ccf0-5f69-a609-6b82873eab3c"
    for url in ("podnews.net/rss", "https://podnews.net/rss", "http://podnews.net/rss///"):
        assert feed_guid(url) == expected


def test_a_new_feed_says_what_it_was_told(tmp_path: Path) -> None:
    feed = init_feed(
        tmp_path, title=" A\x00 show ", url="https://pod.example.org/a/", language="pt-BR",
        category="arts > books", explicit=True, author="Me", now=NOON,
    )  # fmt: skip
    assert read_feed(tmp_path) == (feed, [])
    assert feed.title == "A show"
    assert feed.url == "https://pod.example.org/a"
    assert feed.guid == feed_guid("https://pod.example.org/a")
    assert feed.category == "Arts > Books"
    assert feed.description == "A show"
    assert feed.created_at == "2026-11-20T12:00:00Z"
    cover = tmp_path / "feed" / feed.cover.name
    assert cover.stat().st_size == feed.cover.bytes <= 512_000
    key = tmp_path / "feed" / "export.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert len(bytes.fromhex(key.read_text())) == 32


def test_an_address_that_names_the_file_is_a_feed_at_its_folder(tmp_path: Path) -> None:
    feed = init_feed(tmp_path, title="T", url="https://pod.example.org/me/feed.xml")
    assert base_url(feed) == "https://pod.example.org/me"
    assert feed.guid == feed_guid("pod.example.org/me/feed.xml")


@pytest.mark.parametrize(
    "url",
    ["", "pod.example.org", "ftp://x.org", "https://", "https://u:p@x.org", "https://x.org?a=1",
     "https://x.org/#f", "https://x.org/a b", "https://x.org/\n", "https://bücher.example",
     "https://x.org:99999", "https://x.org/" + "a" * 600, "https://x.org/<b>", "https://[::1"],
)  # fmt: skip
def test_an_impossible_address_is_refused(url: str) -> None:
    if url.endswith("\n"):  # white space at the ends is a slip of the hand
        assert check_url(url) == "https://x.org"
        return
    with pytest.raises(InputError, match="is not the address of a feed"):
        check_url(url)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": " \x00 "}, "The feed's title is empty"),
        ({"language": "klingon"}, "'klingon' is not a language of ISO 639"),
        ({"category": "Podcasts"}, "not one of Apple's podcast categories"),
        ({"owner_email": "me"}, "'me' is not an e-mail address"),
        ({"owner_email": "a@b\n<x>"}, "is not an e-mail address"),
    ],
)
def test_a_bad_description_of_a_feed_leaves_nothing_behind(
    tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        init_feed(tmp_path, **{"title": "T", "url": "https://x.org", **changes})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_second_feed_in_a_workspace_is_refused(home: Path) -> None:
    before = (home / "feed" / "feed.json").read_bytes()
    with pytest.raises(InputError, match="There is already a feed"):
        init_feed(home, title="Other", url="https://x.org")
    assert (home / "feed" / "feed.json").read_bytes() == before


def test_without_a_feed_the_next_step_is_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no feed") as caught:
        read_feed(tmp_path)
    assert "podcaster feed init" in str(caught.value)
    with pytest.raises(InputError, match="There is no feed"):
        add_episode(tmp_path, tmp_path)
        raise AssertionError
    with pytest.raises(InputError, match="There is no feed"):
        remove_episode(tmp_path, "x")


def test_an_added_episode_is_copied_whole(home: Path, publish_run: Publisher) -> None:
    run_folder, episode = publish_run()
    item = add_episode(home, run_folder, now=NOON)
    feed, items = read_feed(home)
    assert items == [item]
    assert feed.episodes == (episode.guid,)
    assert item.number == 1
    assert item.episode.published_at == "2026-11-20T12:00:00Z"
    assert set(item.files) == set(FILE_NAMES)
    folder = item_folder(home / "feed", episode.guid)
    for kind, file in item.files.items():
        copy = (folder / file.name).read_bytes()
        assert len(copy) == file.bytes
        assert copy == (run_folder / "publish" / FILE_NAMES[kind]).read_bytes()
        assert file.sha256[:16] in file.name


def test_adding_again_replaces_and_only_what_changed_gets_a_new_address(
    home: Path, publish_run: Publisher
) -> None:
    run_folder, _ = publish_run()
    first = add_episode(home, run_folder, now=NOON)
    publish_run(options=PublishOptions(title="A better title"))
    second = add_episode(home, run_folder, now=LATER)
    feed, items = read_feed(home)
    assert items == [second]
    assert second.episode.guid == first.episode.guid
    assert second.episode.title == "A better title"
    assert second.episode.published_at == first.episode.published_at
    assert second.number == first.number
    changed = {k for k in first.files if first.files[k] != second.files[k]}
    assert changed == {"audio", "chapters"}
    assert feed.updated_at == "2026-11-21T09:30:00Z"
    kept = {p.name for p in item_folder(home / "feed", first.episode.guid).iterdir()}
    assert kept == {"item.json", *(f.name for f in second.files.values())}


def test_adding_the_same_again_changes_no_address(home: Path, publish_run: Publisher) -> None:
    run_folder, _ = publish_run()
    first = add_episode(home, run_folder, now=NOON)
    assert add_episode(home, run_folder, now=LATER) == first


def test_a_new_cover_has_a_new_address(
    home: Path, publish_run: Publisher, make: SimpleNamespace
) -> None:
    run_folder, _ = publish_run()
    first = add_episode(home, run_folder)
    publish_run(script=make.script(seed=8))
    second = add_episode(home, run_folder)
    assert first.files["cover"].name != second.files["cover"].name


def test_episodes_are_numbered_and_the_newest_comes_first(
    home: Path, publish_run: Publisher
) -> None:
    for day, name in enumerate(["a-1", "b-2", "c-3"], start=1):
        options = PublishOptions(number=10 if name == "b-2" else 0)
        run_folder, _ = publish_run(name, options=options)
        add_episode(home, run_folder, now=datetime(2026, 1, day, tzinfo=UTC))
    _, items = read_feed(home)
    assert [(i.episode.run, i.number) for i in items] == [("c-3", 11), ("b-2", 10), ("a-1", 1)]


@pytest.mark.parametrize("by", ["run", "guid", "path", "beginning", "latest"])
def test_a_removed_episode_and_its_files_are_gone(
    home: Path, publish_run: Publisher, by: str
) -> None:
    run_folder, episode = publish_run()
    add_episode(home, run_folder)
    reference = {
        "run": episode.run,
        "guid": episode.guid,
        "path": f"runs/{episode.run}/",
        "beginning": "jane-",
        "latest": "latest",
    }[by]
    remove_episode(home, reference)
    assert read_feed(home)[1] == []
    assert not item_folder(home / "feed", episode.guid).exists()
    assert (run_folder / episode.audio).is_file()


def test_removing_what_is_not_there_names_it(home: Path) -> None:
    for reference in ("../../nobody", "nobody"):
        with pytest.raises(InputError, match="has no episode of a run 'nobody'"):
            remove_episode(home, reference)
    for reference in ("", "/", "latest"):
        with pytest.raises(InputError, match="has no episode of a run") as caught:
            remove_episode(home, reference)
    assert "podcaster feed list" in str(caught.value)


def test_a_beginning_that_two_runs_share_removes_neither(
    home: Path, publish_run: Publisher
) -> None:
    for name in ("jane-1", "jane-2"):
        add_episode(home, publish_run(name)[0])
    with pytest.raises(InputError, match="'jane' could be any of 2 episodes of the feed: jane-"):
        remove_episode(home, "jane")
    assert len(read_feed(home)[1]) == 2


def test_a_run_that_was_not_published_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "runs" / "half").mkdir(parents=True)
    with pytest.raises(InputError, match="The run half has no published episode") as caught:
        add_episode(home, tmp_path / "runs" / "half")
    assert "podcaster resume half" in str(caught.value)


def test_an_mp3_that_changed_since_is_refused_and_the_feed_stays(
    home: Path, publish_run: Publisher
) -> None:
    run_folder, episode = publish_run()
    (run_folder / episode.audio).write_bytes(b"other")
    with pytest.raises(RunError, match="is not the file that was published"):
        add_episode(home, run_folder)
    assert read_feed(home)[1] == []


def test_a_missing_file_is_named(home: Path, publish_run: Publisher) -> None:
    run_folder, episode = publish_run()
    (run_folder / episode.transcript_vtt).unlink()
    with pytest.raises(RunError, match=r"'publish/episode\.vtt' of the run .* is missing"):
        add_episode(home, run_folder)


@pytest.mark.parametrize("name", ["../../../secret", "/etc/passwd"])
def test_an_episode_cannot_bring_in_files_from_elsewhere(
    home: Path, publish_run: Publisher, name: str
) -> None:
    (home / "secret").write_text("secret")
    run_folder, _ = publish_run()
    path = run_folder / "publish" / "episode.json"
    data = json.loads(path.read_bytes())
    path.write_text(json.dumps({**data, "transcript_json": name}))
    with pytest.raises(InputError, match="lies outside its run's folder"):
        add_episode(home, run_folder)


def test_an_episode_cannot_choose_where_it_is_kept(home: Path, publish_run: Publisher) -> None:
    run_folder, _ = publish_run()
    path = run_folder / "publish" / "episode.json"
    data = json.loads(path.read_bytes())
    for guid in ("../../x", "", data["guid"].upper()):
        path.write_text(json.dumps({**data, "guid": guid}))
        with pytest.raises(InputError, match="is not the guid of an episode"):
            add_episode(home, run_folder)


def test_hostile_notes_are_cleaned_when_they_come_in(home: Path, publish_run: Publisher) -> None:
    run_folder, _ = publish_run()
    path = run_folder / "publish" / "episode.json"
    data = json.loads(path.read_bytes())
    hostile = "<p>Hi</p><script>x()</script>]]><img src=x>"
    path.write_text(json.dumps({**data, "show_notes_html": hostile}))
    item = add_episode(home, run_folder)
    assert item.episode.show_notes_html == "<p>Hi</p>]]&gt;"


def test_a_broken_feed_file_is_named(home: Path) -> None:
    (home / "feed" / "feed.json").write_text("{")
    with pytest.raises(InputError, match=r"feed\.json is not a valid feed"):
        read_feed(home)


def test_a_lock_that_is_held_is_one_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_LOCK_TIMEOUT_S", 0)
    with (
        filelock.FileLock(home / "feed" / ".lock"),
        pytest.raises(RunLocked, match="is being changed by another process"),
        lock_feed(home),
    ):
        raise AssertionError


def test_an_add_that_dies_before_its_commit_leaves_the_feed_as_it_was(
    home: Path, publish_run: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_folder, episode = publish_run()
    from podcaster.publish import episodes

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(episodes, "_commit", die)
        with pytest.raises(KeyboardInterrupt):
            add_episode(home, run_folder)
    assert read_feed(home)[1] == []
    add_episode(home, run_folder)
    assert [i.episode.guid for i in read_feed(home)[1]] == [episode.guid]
