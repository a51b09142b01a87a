"""Serve the feed: each listener's own address, byte ranges, conditions, and nothing else.

A path is looked up among the names that the feed has; it is never joined to a folder. The files
that say who may listen and what is published are looked at for every request, so that a change
counts at once.
"""

import asyncio
import errno
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from aiohttp import web

from podcaster.errors import ConfigError, InputError, PodcasterError, RunError
from podcaster.progress import Progress
from podcaster.publish.conditions import (
    Unsatisfiable,
    format_date,
    is_unchanged,
    may_continue,
    parse_range,
)
from podcaster.publish.feed import Feed, base_url, read_feed
from podcaster.publish.listeners import TOKEN_PATTERN, Listener
from podcaster.publish.served import FeedState, Resource

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080

_LOG = logging.getLogger(__name__)
_CHUNK_BYTES = 256 * 1024
_STALL_S = 120.0  # a client that takes nothing for so long comes back with a range
_SHUTDOWN_S = 3.0
_IDLE_S = 75.0
_EVERY_ANSWER = {
    "Server": "podcaster",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # show notes are HTML: they may link, and do nothing else
    "Content-Security-Policy": "default-src 'none'",
}


def serve(
    home: Path,
    *,
    host: str = DEFAULT_HOST,
    port: int | None = None,
    progress: Progress,
) -> None:
    """Serve the workspace's feed until SIGINT or SIGTERM; `port` None: the feed's own, or 8080.

    The addresses in the feed begin with the feed's own; a request's `Host` is never believed.

    Raises InputError where there is no feed or the host is not this machine's, RunError where the
    port is in use or not allowed.
    """
    feed, _ = read_feed(home)
    asyncio.run(_serve(home, feed, host, default_port(feed) if port is None else port, progress))


def default_port(feed: Feed) -> int:
    """The port in the feed's address, where that is this machine's; else 8080."""
    parts = urlsplit(feed.url)
    is_local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    return parts.port if is_local and parts.port else DEFAULT_PORT


@asynccontextmanager
async def open_server(home: Path, host: str, port: int) -> AsyncIterator[int]:
    """Serve while the context lasts; yields the port (port 0 takes any that is free).

    Raises InputError, RunError.
    """
    state = FeedState(home)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await _answer(state, request)

    server = web.Server(handle, access_log=None, logger=_http_logger(), keepalive_timeout=_IDLE_S)
    runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, backlog=512).start()
        except (OSError, OverflowError, UnicodeError) as error:
            raise _explain_bind(error, host, port) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def _serve(home: Path, feed: Feed, host: str, port: int, progress: Progress) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_server(home, host, port) as bound_port:
        shown = f"[{host}]" if ":" in host else host
        progress.note(f"Serving “{feed.title}” on http://{shown}:{bound_port}; Ctrl-C stops it.")
        progress.note(f"Listeners' apps must reach it at {base_url(feed)}.")
        await stop.wait()


async def _answer(state: FeedState, request: web.BaseRequest) -> web.StreamResponse:
    """Answer one request; what is logged names the listener, never the token."""
    listener: Listener | None = None
    name = ""
    try:
        if request.method not in ("GET", "HEAD"):
            return _refuse(405, Allow="GET, HEAD")
        path = state.strip_base(request.raw_path.partition("?")[0])
        _, _, rest = path.partition("/")
        token, _, name = rest.partition("/")
        listener = state.find_listener(token)
        if listener is None or not TOKEN_PATTERN.fullmatch(token):
            return _refuse(404)
        resource = state.find_resource(listener, token, unquote(name, errors="replace"))
        if resource is None:
            return _refuse(404)
        _LOG.info("%s %s %s", listener.name, request.method, name)
        return await _send(state, token, request, resource)
    except PodcasterError as error:
        _LOG.error("%s", error)
        return _refuse(503, **{"Retry-After": "60"})


async def _send(
    state: FeedState, token: str, request: web.BaseRequest, resource: Resource
) -> web.StreamResponse:
    headers = {
        **_EVERY_ANSWER,
        "ETag": resource.etag,
        "Last-Modified": format_date(resource.modified),
        "Cache-Control": resource.cache,
        "Accept-Ranges": "bytes",
    }
    asked = request.headers
    if is_unchanged(
        resource.etag,
        resource.modified,
        asked.get("If-None-Match"),
        asked.get("If-Modified-Since"),
    ):
        return web.Response(status=304, headers=headers)
    headers["Content-Type"] = resource.content_type
    start, end, status = 0, resource.size_bytes, 200
    if request.method == "GET" and may_continue(
        resource.etag, resource.modified, asked.get("If-Range")
    ):
        try:
            span = parse_range(asked.get("Range"), resource.size_bytes)
        except Unsatisfiable:
            return _refuse(416, **{"Content-Range": f"bytes */{resource.size_bytes}"})
        if span is not None:
            (start, end), status = span, 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{resource.size_bytes}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return web.Response(status=status, headers=headers)
    if resource.path is None:
        return web.Response(status=status, headers=headers, body=resource.body[start:end])
    response = web.StreamResponse(status=status, headers=headers)
    try:
        file = await asyncio.to_thread(_open_whole, resource)
    except OSError as error:
        _LOG.error("A file of the feed cannot be sent: %s", error)
        return _refuse(404)
    with file:
        try:
            await response.prepare(request)
            async for chunk in _read_chunks(file, start, end):
                if state.find_listener(token) is None:  # revoked meanwhile
                    raise ConnectionAbortedError
                async with asyncio.timeout(_STALL_S):
                    await response.write(chunk)
            await response.write_eof()
        except (ConnectionError, TimeoutError, PodcasterError):
            # closing says that something is missing; a shorter answer would not
            if request.transport is not None:
                request.transport.abort()
    return response


async def _read_chunks(file: BinaryIO, start: int, end: int) -> AsyncIterator[bytes]:
    while start < end:
        count = min(_CHUNK_BYTES, end - start)
        chunk = await asyncio.to_thread(os.pread, file.fileno(), count, start)
        if not chunk:  # the file was cut meanwhile
            raise ConnectionAbortedError
        yield chunk
        start += len(chunk)


def _open_whole(resource: Resource) -> BinaryIO:
    assert resource.path is not None  # the caller has none in memory
    file = resource.path.open("rb")
    size_bytes = os.fstat(file.fileno()).st_size
    if size_bytes != resource.size_bytes:
        file.close()
        raise OSError(f"{resource.path} has {size_bytes} bytes, expected {resource.size_bytes}")
    return file


def _refuse(status: int, **headers: str) -> web.Response:
    # the same words for an unknown token and an unknown file
    text = {404: "Not found.\n", 405: "Only GET and HEAD.\n", 416: "No such bytes.\n"}
    return web.Response(
        status=status,
        text=text.get(status, "Try again later.\n"),
        headers={**_EVERY_ANSWER, "Cache-Control": "no-store", **headers},
    )


def _explain_bind(error: Exception, host: str, port: int) -> PodcasterError:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return RunError(
            f"Port {port} on {host} is in use by another program.",
            next_step=f"Choose another one: `podcaster feed serve --port {port % 65000 + 1}`.",
        )
    if number in (errno.EACCES, errno.EPERM):
        return RunError(
            f"This user may not listen on port {port} of {host}.",
            next_step="Choose a port above 1023.",
        )
    if isinstance(error, OverflowError):
        return ConfigError(f"The port {port} is out of range, expected 0 to 65535.")
    return InputError(
        f"{host[:100]!r} is not an address of this machine that can be listened on.",
        next_step="Use 127.0.0.1 for this machine only, or 0.0.0.0 for the whole network.",
    )


def _http_logger() -> logging.Logger:
    """A logger for aiohttp that cannot say a token: what it would quote is the request."""
    logger = logging.getLogger(f"{__name__}.http")
    if not logger.filters:
        logger.addFilter(_forget_request)
    return logger


def _forget_request(record: logging.LogRecord) -> bool:
    kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "error"
    record.msg, record.args = "A request could not be answered: %s", (kind,)
    record.exc_info = None
    return True
