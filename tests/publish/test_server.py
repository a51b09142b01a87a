import asyncio
import contextlib
import hashlib
import http.client
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from podcaster.errors import ConfigError, InputError, PodcasterError, RunError
from podcaster.model import Episode
from podcaster.progress import Silence
from podcaster.publish.episodes import add_episode, remove_episode
from podcaster.publish.feed import CONTENT_TYPES, FeedItem, init_feed, item_folder, read_feed
from podcaster.publish.lint import check_xml
from podcaster.publish.listeners import add_listener, listeners_path, revoke_listener
from podcaster.publish.options import PublishOptions
from podcaster.publish.rss import item_path
from podcaster.publish.server import default_port, open_server, serve

Publisher = Callable[..., tuple[Path, Episode]]
BASE = "http://127.0.0.1:8080"


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class Site:
    """A running server, its workspace, and one listener."""

    def __init__(self, home: Path, port: int, token: str, item: FeedItem) -> None:
        self.home, self.port, self.token, self.item = home, port, token, item

    def ask(
        self, path: str, *, method: str = "GET", token: str | None = None, **headers: str
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        target = f"/{self.token if token is None else token}/{path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, headers=named)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, body)

    def send(self, data: bytes) -> bytes:
        """Say anything, and hear what comes until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            if not data:
                return b""
            connection.sendall(data.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n"))
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def path(self, kind: str) -> str:
        return item_path(self.item, kind)

    def source(self, kind: str) -> bytes:
        folder = item_folder(self.home / "feed", self.item.episode.guid)
        return (folder / self.item.files[kind].name).read_bytes()


@pytest.fixture
def site(home: Path, publish_run: Publisher) -> Iterator[Site]:
    run_folder, _ = publish_run()
    item = add_episode(home, run_folder)
    _, token = add_listener(home, "Ana")
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    ready = threading.Event()
    ports: list[int] = []

    async def run() -> None:
        async with open_server(home, "127.0.0.1", 0) as port:
            ports.append(port)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    ready.wait()
    yield Site(home, ports[0], token, item)
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def test_the_feed_that_is_served_is_right(site: Site) -> None:
    answer = site.ask("feed.xml")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/rss+xml; charset=utf-8"
    assert int(answer.headers["content-length"]) == len(answer.body)
    assert check_xml(answer.body, BASE, site.token) == []


@pytest.mark.parametrize("kind", ["audio", "cover", "vtt", "srt", "json", "chapters", "notes"])
def test_every_file_comes_whole_with_its_type(site: Site, kind: str) -> None:
    answer = site.ask(site.path(kind))
    assert answer.status == 200
    assert answer.body == site.source(kind)
    assert answer.headers["content-type"] == CONTENT_TYPES[kind]
    assert answer.headers["accept-ranges"] == "bytes"


def test_the_feeds_own_cover_is_served(site: Site) -> None:
    feed, _ = read_feed(site.home)
    assert site.ask(feed.cover.name).body == (site.home / "feed" / feed.cover.name).read_bytes()


def test_head_says_the_same_without_the_body(site: Site) -> None:
    for path in ("feed.xml", site.path("audio")):
        head, whole = site.ask(path, method="HEAD"), site.ask(path)
        assert head.status == 200
        assert head.body == b""
        for name in ("content-length", "content-type", "etag", "last-modified"):
            assert head.headers[name] == whole.headers[name]


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-99", 0, 100), ("bytes=1000-", 1000, None), ("bytes=-500", -500, None),
     ("bytes=0-0", 0, 1), ("bytes=0-49,50-99", 0, 100)],
)  # fmt: skip
def test_a_range_is_a_part(site: Site, asked: str, start: int, end: int | None) -> None:
    whole = site.source("audio")
    answer = site.ask(site.path("audio"), Range=asked)
    assert answer.status == 206
    assert answer.body == whole[start:end]
    first = start % len(whole)
    last = first + len(answer.body) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(whole)}"
    assert answer.headers["content-length"] == str(len(answer.body))


def test_a_range_beyond_the_end_is_416(site: Site) -> None:
    size = len(site.source("audio"))
    answer = site.ask(site.path("audio"), Range=f"bytes={size}-")
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize("asked", ["bytes=0-1,100-101", "bytes=x-y", "pages=1-2"])
def test_other_ranges_are_answered_with_the_whole(site: Site, asked: str) -> None:
    answer = site.ask(site.path("audio"), Range=asked)
    assert answer.status == 200
    assert answer.body == site.source("audio")


def test_an_interrupted_download_goes_on_where_it_stopped(site: Site) -> None:
    head = site.ask(site.path("audio"), method="HEAD").headers
    for validator in (head["etag"], head["last-modified"]):
        answer = site.ask(site.path("audio"), Range="bytes=5000-", If_Range=validator)
        assert answer.status == 206
    answer = site.ask(site.path("audio"), Range="bytes=5000-", If_Range='"other"')
    assert answer.status == 200


@pytest.mark.parametrize("path", ["feed.xml", "audio"])
def test_what_did_not_change_is_304_both_ways(site: Site, path: str) -> None:
    target = path if path == "feed.xml" else site.path(path)
    first = site.ask(target)
    assert not first.headers["etag"].startswith("W/")
    for headers in (
        {"If_None_Match": first.headers["etag"]},
        {"If_Modified_Since": first.headers["last-modified"]},
        {"If_None_Match": f'"x", W/{first.headers["etag"]}'},
    ):
        answer = site.ask(target, **headers)
        assert answer.status == 304
        assert answer.body == b""
        assert answer.headers["etag"] == first.headers["etag"]
    assert site.ask(target, If_None_Match='"x"').status == 200
    old = {"If_Modified_Since": "Thu, 01 Jan 2015 00:00:00 GMT"}
    assert site.ask(target, **old).status == 200


def test_the_tag_is_of_the_content_and_not_of_the_files_date(site: Site) -> None:
    before = site.ask(site.path("audio"), method="HEAD").headers["etag"]
    path = item_folder(site.home / "feed", site.item.episode.guid)
    os.utime(path / site.item.files["audio"].name, (0, 0))
    assert site.ask(site.path("audio"), method="HEAD").headers["etag"] == before
    assert hashlib.sha256(site.source("audio")).hexdigest().startswith(before.strip('"'))


def test_every_answer_keeps_robots_and_referrers_away(site: Site) -> None:
    for answer in (
        site.ask("feed.xml"), site.ask(site.path("notes")), site.ask("nothing"),
        site.ask(site.path("audio"), Range="bytes=99999999-"), site.ask("feed.xml", method="POST"),
    ):  # fmt: skip
        assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["content-security-policy"] == "default-src 'none'"
        assert "aiohttp" not in answer.headers["server"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_other_methods_are_refused(site: Site, method: str) -> None:
    answer = site.ask("feed.xml", method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("guess", ["x" * 32, "", "a", "..", "%2e%2e", "T" * 5000, "listeners.json"])
def test_a_guessed_token_finds_neither_feed_nor_media(site: Site, guess: str) -> None:
    for path in ("feed.xml", site.path("audio")):
        answer = site.ask(path, token=guess)
        assert answer.status == 404
        assert answer.body == b"Not found.\n"


ELSEWHERE = (
    "", "/", ".", "..", "../", "../listeners.json", "../export.key", "../feed.json",
    "%2e%2e/listeners.json", "..%2flisteners.json", "..%2Fexport.key", "%2e%2e%2fexport.key",
    "..%252fexport.key", "..\\listeners.json", "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd",
    "listeners.json", "export.key", "feed.json", ".lock", "episodes", "episodes/", "feed.xml/",
    "./feed.xml", "FEED.XML", "feed.xml%00", "%00", "feed.xml%00.mp3", "%ff%fe",
    "file:///etc/passwd", "item.json",
)  # fmt: skip


def test_nothing_else_is_there(site: Site) -> None:
    guid = site.item.episode.guid
    for path in ELSEWHERE:
        for below in (path, f"{guid}/{path}", f"{guid}/../{guid}/{path}"):
            request = f"GET /{site.token}/{below} HTTP/1.1\r\nHost: x\r\n\r\n"
            answer = site.send(request.encode())
            assert answer.startswith(b"HTTP/1.1 404 "), (below, answer[:80])
            assert answer.endswith(b"\r\n\r\nNot found.\n")


def test_a_token_in_a_path_with_dots_does_not_lead_to_another(site: Site) -> None:
    _, other = add_listener(site.home, "Bo")
    revoke_listener(site.home, "Bo")
    for path in (f"/{other}/../{site.token}/feed.xml", f"/{site.token}/../{other}/feed.xml"):
        answer = site.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "data",
    [b"\x00\x01\x02\r\n\r\n", b"GET /\x00 HTTP/1.1\r\n\r\n", b"GET\r\n\r\n",
     b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
     b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n", b""],
)  # fmt: skip
def test_what_is_not_http_does_not_stop_the_server(site: Site, data: bytes) -> None:
    answer = site.send(data)
    assert not answer or b" 4" in answer.split(b"\r\n")[0]
    assert site.ask("feed.xml").status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80/<x>", "", "a" * 1000])
def test_a_hostile_host_header_changes_nothing(site: Site, host: str) -> None:
    expected = site.ask("feed.xml").body
    request = f"GET /{site.token}/feed.xml HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Host: evil\r\n"
    answer = site.send(f"{request}\r\n".encode())
    assert answer.endswith(expected) or answer.startswith(b"HTTP/1.1 400 ")
    assert b"evil" not in answer.partition(b"\r\n\r\n")[2]


def test_revoking_closes_feed_and_media_at_once_and_nobody_else_notices(site: Site) -> None:
    _, bo = add_listener(site.home, "Bo")
    before = site.ask("feed.xml", token=bo)
    assert before.status == 200
    assert site.ask(site.path("audio")).status == 200
    revoke_listener(site.home, "Ana")
    for path in ("feed.xml", *(site.path(kind) for kind in site.item.files)):
        assert site.ask(path).status == 404
        assert site.ask(path, method="HEAD").status == 404
    etag = before.headers["etag"]
    assert site.ask("feed.xml", token=bo, If_None_Match=etag).status == 304
    assert site.ask(site.path("audio"), token=bo).status == 200


def test_a_new_listener_is_let_in_at_once(site: Site) -> None:
    assert site.ask("feed.xml").status == 200
    _, token = add_listener(site.home, "Zoe")
    assert check_xml(site.ask("feed.xml", token=token).body, BASE, token) == []


def test_a_lost_or_broken_list_of_listeners_lets_nobody_in(site: Site) -> None:
    assert site.ask("feed.xml").status == 200
    good = listeners_path(site.home).read_bytes()
    listeners_path(site.home).write_text("{broken")
    assert site.ask("feed.xml").status == 503
    listeners_path(site.home).unlink()
    assert site.ask("feed.xml").status == 404
    listeners_path(site.home).write_bytes(good)
    assert site.ask("feed.xml").status == 200


def test_an_added_replaced_or_removed_episode_shows_at_once(
    site: Site, publish_run: Publisher
) -> None:
    first = site.ask("feed.xml")
    run_folder, episode = publish_run(options=PublishOptions(title="Quite new"))
    add_episode(site.home, run_folder)
    second = site.ask("feed.xml", If_None_Match=first.headers["etag"])
    assert second.status == 200
    assert b"Quite new" in second.body
    assert episode.guid.encode() in first.body
    assert site.ask(site.path("audio")).status == 404  # the earlier bytes had another address
    remove_episode(site.home, episode.run)
    assert b"<item>" not in site.ask("feed.xml").body


def test_a_file_that_was_cut_is_not_sent_as_if_it_were_whole(site: Site) -> None:
    folder = item_folder(site.home / "feed", site.item.episode.guid)
    path = folder / site.item.files["audio"].name
    path.write_bytes(path.read_bytes()[:1000])
    assert site.ask(site.path("audio")).status == 404


def test_no_token_is_ever_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    site.ask("feed.xml")
    site.ask(site.path("audio"), Range="bytes=0-9")
    site.ask("nothing")
    site.send(f"GET /{site.token}/feed.xml HTTP/9.9\r\n\r\n".encode())
    site.send(f"BAD /{site.token}/\x00\r\n\r\n".encode())
    listeners_path(site.home).write_text("{broken")
    site.ask("feed.xml")
    text = "\n".join(record.getMessage() + str(record.exc_info) for record in caplog.records)
    assert "Ana GET feed.xml" in text
    assert site.token not in text


def test_a_hundred_listeners_download_at_once_and_none_fails(site: Site) -> None:
    tokens = [add_listener(site.home, f"listener {n}")[1] for n in range(100)]
    expected = site.source("audio")
    with ThreadPoolExecutor(100) as pool:
        answers = pool.map(lambda token: site.ask(site.path("audio"), token=token), tokens)
        assert [answer.body == expected for answer in answers] == [True] * 100


def test_revoking_cuts_off_a_download_that_has_begun(site: Site) -> None:
    size = 40_000_000  # more than the sockets' buffers hold
    folder = item_folder(site.home / "feed", site.item.episode.guid)
    with (folder / site.item.files["audio"].name).open("r+b") as file:
        file.truncate(size)
    text = (folder / "item.json").read_text()
    old = f'"bytes": {site.item.files["audio"].bytes}'
    assert text.count(old) == 1
    (folder / "item.json").write_text(text.replace(old, f'"bytes": {size}'))
    request = f"GET /{site.token}/{site.path('audio')} HTTP/1.1\r\nHost: x\r\n\r\n"
    received = 0
    with socket.create_connection(("127.0.0.1", site.port), timeout=30) as connection:
        connection.sendall(request.encode())
        received += len(connection.recv(1000))
        revoke_listener(site.home, "Ana")
        with contextlib.suppress(ConnectionResetError):
            while data := connection.recv(1 << 20):
                received += len(data)
    assert 0 < received < size


def test_a_listener_who_hangs_up_does_no_harm(site: Site) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", site.port)) as connection:
            request = f"GET /{site.token}/{site.path('audio')} HTTP/1.1\r\nHost: x\r\n\r\n"
            connection.sendall(request.encode())
            connection.recv(100)
    assert site.ask(site.path("audio")).body == site.source("audio")


def test_a_proxy_may_pass_on_the_path_of_the_feeds_address(
    tmp_path: Path, publish_run: Publisher
) -> None:
    init_feed(tmp_path, title="T", url="https://example.org/pod")
    run_folder, _ = publish_run()
    item = add_episode(tmp_path, run_folder)
    _, token = add_listener(tmp_path, "Ana")

    async def ask() -> list[int]:
        async with open_server(tmp_path, "127.0.0.1", 0) as port:
            site = Site(tmp_path, port, token, item)
            paths = ("feed.xml", f"../pod/{token}/feed.xml")
            statuses = [(await asyncio.to_thread(site.ask, paths[0])).status]
            proxied = await asyncio.to_thread(site.ask, f"{token}/feed.xml", token="pod")
            return [*statuses, proxied.status]

    assert asyncio.run(ask()) == [200, 200]


def bind(home: Path, host: str, port: int) -> None:
    async def run() -> None:
        async with open_server(home, host, port):
            raise AssertionError

    asyncio.run(run())


def test_a_port_in_use_is_one_sentence(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=f"Port {port} on 127.0.0.1 is in use") as caught:
            serve(home, port=port, progress=Silence())
    assert caught.value.exit_code == 6
    assert f"--port {port + 1}" in str(caught.value)


@pytest.mark.parametrize(
    ("host", "port", "kind", "message"),
    [
        ("192.0.2.1", 0, InputError, "'192.0.2.1' is not an address of this machine"),
        ("no such host", 0, InputError, "is not an address of this machine"),
        ("x" * 300, 0, InputError, "is not an address of this machine"),
        ("127.0.0.1", 70_000, ConfigError, "The port 70000 is out of range"),
    ],
)
def test_a_place_that_cannot_be_listened_on(
    home: Path, host: str, port: int, kind: type[PodcasterError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        bind(home, host, port)


def test_without_a_feed_there_is_nothing_to_serve(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no feed"):
        serve(tmp_path, progress=Silence())


def test_the_port_is_the_one_of_a_local_address(tmp_path: Path) -> None:
    local = init_feed(tmp_path / "a", title="T", url="http://localhost:8123")
    public = init_feed(tmp_path / "b", title="T", url="https://pod.example.org:8443")
    assert default_port(local) == 8123
    assert default_port(public) == 8080


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_server_in_good_order(home: Path, number: signal.Signals) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from podcaster.publish.server import serve\n"
        "class Printed:\n"
        "    def note(self, text): print(text, flush=True)\n"
        "    def report(self, *_): pass\n"
        "serve(Path(sys.argv[1]), port=0, progress=Printed())\n"
        "print('stopped')\n"
    )
    command = [sys.executable, "-c", code, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Serving “Talks that never were” on http://127.0.0.1:")
        process.send_signal(number)
        rest = process.stdout.read()
    assert process.returncode == 0
    assert rest.endswith("stopped\n")
