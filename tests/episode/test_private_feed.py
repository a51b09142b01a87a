"""From an episode to a listener's app: published, served, checked, revoked."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import feedparser
import pytest
import requests

from tests.episode.conftest import podcaster, serving
from tests.episode.test_episode import read_hash

pytestmark = [pytest.mark.episode, pytest.mark.engine]


def test_an_episode_reaches_an_app_until_its_listener_is_revoked(
    tmp_path: Path, workspace: Path, made: Any
) -> None:
    shutil.copytree(workspace / "runs" / made["run"], tmp_path / "runs" / made["run"])
    init = ("feed", "init", "--title", "Never Were", "--url", "http://127.0.0.1:1")
    assert podcaster(tmp_path, *init).code == 0
    with serving(tmp_path) as address:
        added = podcaster(tmp_path, "feed", "listener", "add", "phone", "--json").json
        assert added["listener"] == "phone"
        token = added["url"].split("/")[-2]
        assert len(token) >= 22  # 128 bits in base64
        done = podcaster(tmp_path, "resume", "latest", "--publish", "--json")
        assert done.code == 0, done.err
        assert done.json["published"]
        assert podcaster(tmp_path, "feed", "check").code == 0

        feed_url = f"{address}/{token}/feed.xml"
        answer = requests.get(feed_url, timeout=20)
        assert answer.status_code == 200
        feed = feedparser.parse(answer.content)
        assert feed.bozo is False
        (entry,) = feed.entries
        (enclosure,) = entry.enclosures
        assert token in enclosure.href
        path = enclosure.href.split("/", 3)[-1]
        audio = requests.get(f"{address}/{path}", timeout=20).content
        assert hashlib.sha256(audio).hexdigest() == read_hash(done.json["mp3"])
        assert int(enclosure.length) == len(audio)

        assert podcaster(tmp_path, "feed", "listener", "revoke", "phone").code == 0
        assert requests.get(feed_url, timeout=20).status_code == 404
        assert requests.get(f"{address}/{path}", timeout=20).status_code == 404


def test_a_tree_is_exported_for_any_host(tmp_path: Path, workspace: Path, made: Any) -> None:
    shutil.copytree(workspace / "runs" / made["run"], tmp_path / "runs" / made["run"])
    for command in (
        ("feed", "init", "--title", "T", "--url", "https://pod.example.org"),
        ("feed", "listener", "add", "ada"),
        ("feed", "add", "latest"),
    ):
        assert podcaster(tmp_path, *command).code == 0
    done = podcaster(tmp_path, "feed", "export", "tree", "--json")
    assert done.code == 0, done.err
    (listener,) = done.json["listeners"]
    assert listener["url"].startswith("https://pod.example.org/")
    feeds = list((tmp_path / "tree").rglob("feed.xml"))
    assert len(feeds) == 1
    assert feeds[0].relative_to(tmp_path / "tree").as_posix() in listener["url"]
    sizes = [path.stat().st_size for path in (tmp_path / "tree").rglob("*.mp3")]
    assert sizes == [Path(made["mp3"]).stat().st_size]
