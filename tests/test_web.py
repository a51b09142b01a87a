"""Addresses on the web: which are fetched, which are refused, and what of them is shown."""

import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from podcaster import web
from podcaster.errors import InputError

PURPOSE = web.Purpose(
    what="thing", if_unreachable="Look again.", if_private="Do not.", if_large="Take less."
)
HERE = web.Purpose(
    what="thing",
    if_unreachable="Look again.",
    if_private="Do not.",
    if_large="Take less.",
    allow_private=True,
)


class Handler(BaseHTTPRequestHandler):
    server: "Site"

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        with suppress(OSError):
            if self.path == "/elsewhere":
                self.answer(302, Location=f"http://127.0.0.2:{self.server.server_port}/secret")
            elif self.path == "/endless-redirect":
                self.answer(302, Location="/page")
                while True:
                    self.wfile.write(bytes(1_000_000))
            elif self.path == "/nowhere":
                self.answer(302, Location="http://[::1/")
            elif self.path == "/bomb":
                self.answer(200, Content_Encoding="deflate")
                self.wfile.write(zlib.compress(bytes(20_000_000)))
            elif self.path == "/drips":
                self.answer(200)
                while not self.server.stopped.wait(0.05):
                    self.wfile.write(b"x")
            else:
                self.answer(200, Content_Type="text/html; charset=latin-1")
                self.wfile.write(b"Hello")

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


class Site(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.paths: list[str] = []
        self.stopped = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def site() -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.stopped.set()
    server.shutdown()
    server.server_close()
    thread.join()


def fetch(url: str, purpose: web.Purpose = HERE, largest_bytes: int = 1_000_000) -> web.Page:
    return web.fetch_page(url, purpose, largest_bytes=largest_bytes, accept="*/*")


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name resolve to these addresses, one after the other, the last for ever."""
    left = list(addresses)

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        address = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


# -- who may be asked ------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses(address: str) -> None:
    assert web.is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254"),
        *("0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1%eth0"),
        *("fc00::1", "fec0::1", "ff02::1", "::ffff:127.0.0.1", "::7f00:1", "64:ff9b::7f00:1"),
        *("2002:7f00:1::", "2001:0:a00:1::1"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not web.is_public(address)


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "localhost"])
def test_other_spellings_of_this_machine_are_refused(site: Site, host: str) -> None:
    with pytest.raises(InputError, match=r"inside this machine's network|there is no host"):
        fetch(site.url.replace("127.0.0.1", host), PURPOSE)
    assert site.paths == []


def test_a_name_that_resolves_otherwise_the_second_time(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(InputError, match=r"rebinds\.example:.*network \(127\.0\.0\.1\)"):
        fetch(f"http://rebinds.example:{site.server_port}/page", PURPOSE)
    assert site.paths == []  # it was not even asked


def test_a_redirect_into_this_network(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # as if the first server were a public one
    monkeypatch.setattr(web, "is_public", lambda address: address == "127.0.0.1")
    with pytest.raises(InputError, match=r"/secret lies inside .* \(127\.0\.0\.2\)"):
        fetch(f"{site.url}/elsewhere", PURPOSE)
    assert site.paths == ["/elsewhere"]


@pytest.mark.parametrize("name", ["no_proxy", "https_proxy", "ftp_proxy"])
def test_a_proxy_for_something_else_changes_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    with pytest.raises(InputError, match="inside this machine's network"):
        fetch(f"{site.url}/page", PURPOSE)
    assert site.paths == []


def test_behind_a_proxy_the_proxy_decides(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    assert fetch("http://any.example/page", PURPOSE).content == b"Hello"
    assert site.paths == ["http://any.example/page"]


# -- what comes back -------------------------------------------------------------------------------


def test_a_page(site: Site) -> None:
    page = fetch(f"{site.url}/page")
    assert page == web.Page(b"Hello", "text/html", "latin-1", f"{site.url}/page")


def test_the_body_of_a_redirect_is_not_read(site: Site) -> None:
    assert fetch(f"{site.url}/endless-redirect").url == f"{site.url}/page"


def test_a_redirect_to_nowhere(site: Site) -> None:
    with pytest.raises(InputError, match="redirects to an address that is malformed"):
        fetch(f"{site.url}/nowhere")


def test_a_compressed_bomb_counts_in_full(site: Site) -> None:
    with pytest.raises(InputError, match=r"is larger than 1 MB\. Take less\."):
        fetch(f"{site.url}/bomb")


def test_a_page_that_drips_does_not_last_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "WHOLE_TIMEOUT_S", 0.5)
    with pytest.raises(InputError, match="took longer than"):
        fetch(f"{site.url}/drips")


# -- what is shown ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h.example/a?id=7#part", "https://h.example/a?id=7"),
        ("https://me:pw@h.example/a", "https://h.example/a"),
        ("http://me:pw@[::1/a", "http://[::1/a"),
        ("https://h.example/a?id=7&access_token=x&key=y", "https://h.example/a?id=7&access_token=…&key=…"),
        ("https://h.example/\x1b[31m\n", "https://h.example/�[31m�"),
        ("file:///etc/passwd", "file:///etc/passwd"),
    ],
)  # fmt: skip
def test_what_is_shown_of_an_address(url: str, shown: str) -> None:
    assert web.shown_address(url) == shown
    assert len(web.shown_address(url + "x" * 999)) <= 300
