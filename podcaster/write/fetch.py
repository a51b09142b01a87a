"""Fetch a note from the web: bounded in size and time, and never from inside this network."""

import ipaddress
import socket
import time
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import requests

from podcaster.errors import InputError

MOST_REDIRECTS = 5
CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 20.0
WHOLE_TIMEOUT_S = 90.0
CHUNK_BYTES = 65_536
REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True)
class Page:
    """What came back: the bytes, and the content type without its parameters."""

    content: bytes
    content_type: str
    encoding: str | None


def is_url(location: str) -> bool:
    """Whether a note's location is an address rather than a file."""
    return "://" in location


def fetch_page(url: str, *, largest_bytes: int, allow_private: bool = False) -> Page:
    """Get `url` over http or https, checking every redirect as the first address.

    Raises InputError for an address inside this network (unless `allow_private`), for a refusal,
    for too many redirects, bytes or seconds.
    """
    deadline = time.monotonic() + WHOLE_TIMEOUT_S
    current = url
    with requests.Session() as session:
        for _ in range(MOST_REDIRECTS + 1):
            _check_address(current, allow_private)
            try:
                with session.get(
                    current,
                    stream=True,
                    allow_redirects=False,
                    timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                    headers={"User-Agent": "podcaster", "Accept": "text/*, application/pdf"},
                ) as response:
                    if response.status_code in REDIRECTS and "location" in response.headers:
                        current = urljoin(current, response.headers["location"])
                        continue
                    if not allow_private and not requests.utils.get_environ_proxies(current):
                        _check_peer(response, current)
                    return _read(response, url, largest_bytes, deadline)
            except requests.RequestException as error:
                raise InputError(
                    f"The note {url} cannot be fetched: {_reason(error)}.",
                    next_step="Check the address, or save the page and give the file.",
                ) from error
    raise InputError(f"The note {url} redirects more than {MOST_REDIRECTS} times.")


def _read(response: requests.Response, url: str, largest_bytes: int, deadline: float) -> Page:
    if response.status_code != 200:
        raise InputError(
            f"The note {url} cannot be fetched: the server answered {response.status_code} "
            f"{response.reason or ''}".rstrip()
            + ".",
            next_step="Check the address, or save the page and give the file.",
        )
    content = bytearray()
    # chunks are counted as they are unpacked, so a compressed bomb counts in full
    for chunk in response.iter_content(CHUNK_BYTES):
        content += chunk
        if len(content) > largest_bytes:
            raise InputError(
                f"The note {url} is larger than {largest_bytes // 1_000_000} MB.",
                next_step="Save the part that matters to a file and give that.",
            )
        if time.monotonic() > deadline:
            raise InputError(f"The note {url} took longer than {WHOLE_TIMEOUT_S:.0f} s.")
    kind = response.headers.get("content-type", "text/plain")
    content_type = kind.partition(";")[0].strip().lower()
    stated = response.encoding if "charset" in kind.lower() else None
    return Page(bytes(content), content_type, stated)


def _check_address(url: str, allow_private: bool) -> None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"The note's address {url!r} is malformed: {error}.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise InputError(
            f"The note's address {url!r} is neither http nor https.",
            next_step="Give a file, or an address that begins with https://.",
        )
    if allow_private or requests.utils.get_environ_proxies(url):
        return  # a proxy resolves the name itself, by its own rules
    try:
        found = socket.getaddrinfo(host, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"The note {url} cannot be fetched: there is no host {host!r}.",
            next_step="Check the address, or save the page and give the file.",
        ) from error
    for *_, address in found:
        _check_public(str(address[0]), url)


def _check_peer(response: requests.Response, url: str) -> None:
    # the name may have been given another address between the check and the connection
    connection = getattr(response.raw, "_connection", None)
    peer = getattr(connection, "sock", None)
    if peer is not None:
        _check_public(str(peer.getpeername()[0]), url)


def _check_public(address: str, url: str) -> None:
    if not ipaddress.ip_address(address.partition("%")[0]).is_global:
        raise InputError(
            f"The note {url} lies inside this machine's network ({address}), where notes are not "
            "taken from.",
            next_step="Save it to a file, or set `write.private_notes` to true.",
        )


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "the server did not answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection could be made"
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")[:200]
