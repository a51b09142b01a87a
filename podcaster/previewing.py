"""Hear an episode while it is still being spoken: its clips in order, as one MP3 that grows.

A page on loopback plays it. Only this machine can reach it, and it ends with the command.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr

from podcaster.audio import Samples, read_wav
from podcaster.errors import EngineError
from podcaster.units import SAMPLE_RATE_HZ

GAP_S = 0.25  # between turns; the mix has its own timing
_BITRATE = 96_000
_LOOPBACK = "127.0.0.1"
_PATIENCE_S = 5.0  # with listeners, when all is spoken
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Preview</title>
<body style="font:16px system-ui;margin:3em auto;max-width:36em">
<h1>Preview</h1><p>The turns in order, as they are spoken: no music, no mix yet.</p>
<audio controls autoplay src="preview.mp3" style="width:100%"></audio>
"""


class Preview:
    """Turns as they are spoken, in any order; what is complete from the start can be heard.

    `turns` are the script's turns, each by the key of its clip. Used from one thread; read from
    any.
    """

    def __init__(self, turns: Sequence[str]) -> None:
        self._turns = tuple(turns)
        self._clips: dict[str, Path] = {}
        self._next = 0
        self._encoder = _open_encoder()
        self._data = bytearray()
        self._ended = False
        self._listeners = 0
        self._changed = threading.Condition()

    @property
    def turns_ready(self) -> int:
        """How many turns can be heard."""
        return self._next

    def add(self, key: str, path: Path) -> None:
        """A clip lies at `path`. Raises RunError where it cannot be read."""
        self._clips[key] = path
        while self._next < len(self._turns) and self._turns[self._next] in self._clips:
            samples, rate_hz = read_wav(self._clips[self._turns[self._next]])
            speech = soxr.resample(samples.reshape(-1), rate_hz, SAMPLE_RATE_HZ)
            gap = np.zeros(round(GAP_S * SAMPLE_RATE_HZ), dtype=np.float32)
            self._append(self._encode(np.concatenate((speech, gap))))
            self._next += 1

    def end(self) -> None:
        """No more will come; who listens hears what there is to its end."""
        if not self._ended:
            self._append(b"".join(bytes(packet) for packet in self._encoder.encode(None)))
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def read(self) -> Iterator[bytes]:
        """The MP3 from its beginning, each piece as soon as it is there, to the end."""
        sent = 0
        self._count_listener(1)
        try:
            while piece := self._wait_for_more(sent):
                sent += len(piece)
                yield piece
        finally:
            self._count_listener(-1)

    def wait_for_listeners(self, longest_s: float) -> None:
        """Give who is listening time to fetch what there is."""
        with self._changed:
            self._changed.wait_for(lambda: not self._listeners, longest_s)

    def _count_listener(self, more: int) -> None:
        with self._changed:
            self._listeners += more
            self._changed.notify_all()

    def _wait_for_more(self, sent: int) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: len(self._data) > sent or self._ended)
            return bytes(self._data[sent:])

    def _encode(self, samples: Samples) -> bytes:
        pcm = (np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(pcm[None, :], format="s16p", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))

    def _append(self, data: bytes) -> None:
        with self._changed:
            self._data += data
            self._changed.notify_all()


@contextmanager
def serve_preview(preview: Preview, port: int = 0) -> Iterator[str]:
    """Serve a preview on loopback, and lend its address; port 0 is any that is free.

    At the end, whoever is listening has some seconds to fetch what there is; a player that holds
    enough for now does not hold up the work, and is served on until the process ends. Raises
    EngineError where the port is taken.
    """
    handler = type("Handler", (_Handler,), {"preview": preview})
    try:
        server = ThreadingHTTPServer((_LOOPBACK, port), handler)
    except OSError as error:
        raise EngineError(
            f"The preview cannot be served on port {port}: {error.strerror or error}.",
            next_step="Choose another port, or leave --preview out.",
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="preview", daemon=True)
    thread.start()
    try:
        yield f"http://{_LOOPBACK}:{server.server_address[1]}/"
    finally:
        preview.end()
        preview.wait_for_listeners(_PATIENCE_S)
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """The page, and the stream."""

    preview: Preview
    timeout = 600  # seconds in which a listener takes nothing: it is gone, and not only paused

    def do_GET(self) -> None:
        """Answer `/` and `/preview.mp3`."""
        host = (self.headers.get("Host") or "").rpartition(":")[0]
        if host not in (_LOOPBACK, "localhost"):
            # a page of the web whose name was pointed at this machine
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
        elif self.path == "/":
            self._begin("text/html; charset=utf-8")
            self.wfile.write(_PAGE.encode())
        elif self.path == "/preview.mp3":
            self._begin("audio/mpeg")
            try:
                for piece in self.preview.read():
                    self.wfile.write(piece)
            except OSError:
                return  # the listener went
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _begin(self, media_type: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", media_type)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal shows the episode's progress."""


def _open_encoder() -> Any:
    encoder: Any = av.CodecContext.create("libmp3lame", "w")
    encoder.sample_rate = SAMPLE_RATE_HZ
    encoder.layout = "mono"
    encoder.format = "s16p"
    encoder.bit_rate = _BITRATE
    encoder.open()
    return encoder
