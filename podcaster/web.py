"""Reach addresses on the web: every redirect and connection checked, bytes and time bounded.

What comes from outside may name any address. One that leads into this machine's own network is
refused before anything is asked of it: by its name, by what the name resolves to, and by who
answered the connection, since a name may resolve differently the second time (DNS rebinding).
"""

import ipaddress
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit, urlunsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from podcaster.errors import InputError

USER_AGENT = "podcaster"
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 20.0
WHOLE_TIMEOUT_S = 90.0
CHUNK_BYTES = 65_536
REDIRECTS = {301, 302, 303, 307, 308}
LONGEST_URL = 4000
_LONGEST_SHOWN = 300

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the address
_SECRET_NAME = re.compile(
    r"(?i)token|secret|passw|auth|signature|credential|session|api_?key|^(?:key|sig|pw|pwd|jwt)$"
)
_LOCAL_NAME = re.compile(r"(?i)(?:^|\.)(?:localhost|local|internal|home\.arpa)\.?$")


@dataclass(frozen=True)
class Purpose:
    """What is fetched, in the words of its errors, and what its addresses may be.

    `what` is a noun ("note"); the `if_` fields are next steps, whole sentences.
    """

    what: str
    if_unreachable: str
    if_private: str
    if_large: str
    allow_private: bool = False
    most_redirects: int = 5


@dataclass(frozen=True)
class Page:
    """What came back: the bytes, the content type without its parameters, the address at the end.

    `encoding` is the one that the server stated, if it did.
    """

    content: bytes
    content_type: str
    encoding: str | None
    url: str


def is_url(location: str) -> bool:
    """Whether a location is an address rather than a file."""
    return "://" in location


def shown_address(url: str) -> str:
    """An address as it may be shown and kept: no password, no secrets of its query, one line."""
    line = "".join(char if char.isprintable() else "�" for char in url)
    try:
        parts = urlsplit(line)
        _, _, host = parts.netloc.rpartition("@")
        query = parts.query
        if any(_SECRET_NAME.search(name) for name, _ in parse_qsl(query, keep_blank_values=True)):
            query = "&".join(map(_hide_secret, query.split("&")))
        line = urlunsplit((parts.scheme, host, parts.path, query, ""))
    except ValueError:
        line = re.sub(r"//[^/@]*@", "//", line)
    return line if len(line) <= _LONGEST_SHOWN else line[: _LONGEST_SHOWN - 1] + "…"


def refuse_unlike_web(url: str, purpose: Purpose) -> None:
    """Refuse what cannot be an address of the public web, by its text alone: nothing is asked.

    Raises InputError for another scheme than http and https, a malformed or overlong address, and,
    unless `allow_private`, for a name or number inside this network.
    """
    shown = shown_address(url)
    if len(url) > LONGEST_URL:
        raise InputError(
            f"The {purpose.what}'s address {shown[:80]!r} has {len(url)} characters, expected at "
            f"most {LONGEST_URL}.",
            next_step=purpose.if_unreachable,
        )
    host, _ = _host_and_port(url, purpose)
    if purpose.allow_private:
        return
    address = host.partition("%")[0]
    if _LOCAL_NAME.search(host) or (_is_number(address) and not is_public(address)):
        raise _private(purpose, url, host)


def check_address(url: str, purpose: Purpose) -> None:
    """Raise InputError unless `url` is http or https and all its host's addresses are public.

    With `allow_private`, and where a proxy will resolve the name by its own rules, only the form
    is checked.
    """
    host, port = _host_and_port(url, purpose)
    if purpose.allow_private or _proxy_for(url):
        return
    try:
        found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"The {purpose.what} {shown_address(url)} cannot be fetched: there is no host "
            f"{host!r}.",
            next_step=purpose.if_unreachable,
        ) from error
    for *_, address in found:
        if not is_public(str(address[0])):
            raise _private(purpose, url, str(address[0]))


def is_public(address: str) -> bool:
    """Whether an IP address (`1.2.3.4`, `fe80::1%eth0`) is one host on the public internet.

    Of an IPv6 address that carries an IPv4 address (NAT64, 6to4, Teredo), both must be.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    carried: ipaddress.IPv4Address | None = None
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)))
        if ip.is_site_local:
            return False
        carried = ip.teredo[1] if ip.teredo else ip.sixtofour
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    return carried is None or is_public(str(carried))


@contextmanager
def open_address(
    url: str,
    purpose: Purpose,
    *,
    headers: Mapping[str, str],
    connect_timeout_s: float = CONNECT_TIMEOUT_S,
    read_timeout_s: float = READ_TIMEOUT_S,
) -> Iterator[requests.Response]:
    """Lend the response to a GET of `url`, of any status but a redirect; its body is not read yet.

    Raises InputError for an address that may not be fetched and for too many redirects;
    requests.RequestException where there is no answer.
    """
    current = url
    with _Session() as session:
        if not purpose.allow_private:
            adapter = _CheckingAdapter()
            session.mount("http://", adapter)
            session.mount("https://", adapter)
        for _ in range(purpose.most_redirects + 1):
            check_address(current, purpose)
            try:
                response = session.get(
                    current,
                    stream=True,
                    allow_redirects=False,
                    timeout=(connect_timeout_s, read_timeout_s),
                    headers={"User-Agent": USER_AGENT, **headers},
                )
            except _PrivatePeer as error:
                raise _private(purpose, current, str(error)) from error
            with response:
                if response.status_code in REDIRECTS and "location" in response.headers:
                    current = _redirected(current, response.headers["location"], purpose)
                    continue
                yield response
                return
    raise InputError(
        f"The {purpose.what} {shown_address(url)} redirects more than {purpose.most_redirects} "
        "times.",
        next_step=purpose.if_unreachable,
    )


def read_chunks(response: requests.Response, *, decode: bool) -> Iterator[bytes]:
    """A response's body in pieces, each as soon as it is there, so that a caller can watch time.

    `decode` undoes compression that the server declared. Raises requests.RequestException.
    """
    try:
        # read1, unlike requests' own iter_content, does not wait for a chunk to be full
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=decode):
            yield chunk
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except urllib3.exceptions.HTTPError as error:
        raise requests.ConnectionError(error) from error


def fetch_page(url: str, purpose: Purpose, *, largest_bytes: int, accept: str) -> Page:
    """Get all of `url` into memory, checking every redirect as the first address.

    Raises InputError for an address that may not be fetched, for a refusal, for too many
    redirects, bytes (after decompression) or seconds.
    """
    deadline_s = time.monotonic() + WHOLE_TIMEOUT_S
    try:
        with open_address(url, purpose, headers={"Accept": accept}) as response:
            return _read_page(response, url, purpose, largest_bytes, deadline_s)
    except requests.RequestException as error:
        raise InputError(
            f"The {purpose.what} {shown_address(url)} cannot be fetched: {reason_of(error)}.",
            next_step=purpose.if_unreachable,
        ) from error


def reason_of(error: requests.RequestException) -> str:
    """Why there was no answer, as the end of a sentence, without its full stop."""
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection could be made"
    return shown_address((str(error) or type(error).__name__).splitlines()[0].rstrip(".")[:200])


def _read_page(
    response: requests.Response, url: str, purpose: Purpose, largest_bytes: int, deadline_s: float
) -> Page:
    shown = shown_address(url)
    if response.status_code != 200:
        answer = f"{response.status_code} {response.reason or ''}".rstrip()
        raise InputError(
            f"The {purpose.what} {shown} cannot be fetched: the server answered {answer}.",
            next_step=purpose.if_unreachable,
        )
    content = bytearray()
    # chunks are counted as they are unpacked, so a compressed bomb counts in full
    for chunk in read_chunks(response, decode=True):
        content += chunk
        if len(content) > largest_bytes:
            raise InputError(
                f"The {purpose.what} {shown} is larger than {largest_bytes // 1_000_000} MB.",
                next_step=purpose.if_large,
            )
        if time.monotonic() > deadline_s:
            raise InputError(
                f"The {purpose.what} {shown} took longer than {WHOLE_TIMEOUT_S:.0f} s."
            )
    kind = response.headers.get("content-type", "text/plain")
    stated = response.encoding if "charset" in kind.lower() else None
    return Page(bytes(content), kind.partition(";")[0].strip().lower(), stated, response.url)


def _host_and_port(url: str, purpose: Purpose) -> tuple[str, int | None]:
    shown = shown_address(url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(
            f"The {purpose.what}'s address {shown!r} is malformed: {error}.",
            next_step=purpose.if_unreachable,
        ) from error
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(
            f"The {purpose.what}'s address {shown!r} is neither http nor https.",
            next_step="Give a file, or an address that begins with https://.",
        )
    return host, port


def _redirected(current: str, location: str, purpose: Purpose) -> str:
    # headers are read as Latin-1, but written in UTF-8 where they are not ASCII
    with suppress(UnicodeError):
        location = location.encode("latin-1").decode("utf-8")
    try:
        return urljoin(current, location)
    except ValueError as error:
        raise InputError(
            f"The {purpose.what} {shown_address(current)} redirects to an address that is "
            f"malformed: {error}.",
            next_step=purpose.if_unreachable,
        ) from error


def _private(purpose: Purpose, url: str, address: str) -> InputError:
    return InputError(
        f"The {purpose.what} {shown_address(url)} lies inside this machine's network ({address}), "
        f"where {purpose.what}s are not taken from.",
        next_step=purpose.if_private,
    )


def _proxy_for(url: str) -> str | None:
    # one for another scheme, or a list of hosts without one, is no proxy for this address
    proxies = requests.utils.get_environ_proxies(url)
    return requests.utils.select_proxy(url, proxies)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _hide_secret(part: str) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}=…" if equals and _SECRET_NAME.search(name) else part


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests would read the whole body of a redirect, and trust where it leads."""


class _PrivatePeer(Exception):
    """The connection's other end is inside this network; the message is its address."""


class _CheckedHTTPConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _check_peer(self)


class _CheckedHTTPSConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _check_peer(self)


def _check_peer(connection: HTTPConnection) -> None:
    peer = str(connection.sock.getpeername()[0]) if connection.sock is not None else ""
    if not peer or not is_public(peer):
        connection.close()
        raise _PrivatePeer(peer)


class _CheckedHTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _CheckedHTTPConnection


class _CheckedHTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _CheckedHTTPSConnection


class _CheckingAdapter(HTTPAdapter):
    """Looks at who answered before a request is sent; connections to a proxy are its own affair."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _CheckedHTTPPool,
            "https": _CheckedHTTPSPool,
        }
