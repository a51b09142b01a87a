"""Measure the feed server on loopback: conditional requests a second, and 100 downloads at once.

    python bench/feed_server.py [--requests 6000] [--clients 16] [--listeners 100]

The server and the load run in processes of their own. The load speaks plain HTTP over sockets, so
that what is measured is the server and not a client library. Prints one JSON line.
"""

import argparse
import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AUDIO_BYTES = 5_000_000  # five minutes at 128 kbit/s
_TIMEOUT_S = 120.0


def make_home(home: Path, port: int, listeners: int) -> list[str]:
    """Make a feed with one episode of `AUDIO_BYTES`; returns the listeners' tokens."""
    from podcaster.model import Episode, Speaker, to_json
    from podcaster.publish.cover import make_cover
    from podcaster.publish.episodes import add_episode
    from podcaster.publish.feed import FILE_NAMES, init_feed
    from podcaster.publish.listeners import add_listener
    from podcaster.publish.stage import EPISODE_NAME, Details

    folder = home / "runs" / "bench" / "publish"
    folder.mkdir(parents=True)
    # the server never looks into what it sends, so its bytes need not be music
    audio = os.urandom(AUDIO_BYTES)
    files = dict.fromkeys(FILE_NAMES, b"{}")
    files |= {"audio": audio, "cover": make_cover("Bench", "Load", seed=1)}
    for kind, data in files.items():
        (folder / FILE_NAMES[kind]).write_bytes(data)
    episode = Episode(
        guid="7d6f0c6e-54a1-5d4b-8a55-0f6b8c1f3a01",
        run="bench",
        title="Bench",
        summary="A measurement.",
        show_notes_html="<p>A measurement.</p>",
        language="en",
        published_at="2026-01-01T00:00:00Z",
        duration_s=312.0,
        audio="publish/episode.mp3",
        audio_bytes=AUDIO_BYTES,
        audio_sha256=hashlib.sha256(audio).hexdigest(),
        cover="publish/cover.jpg",
        transcript_vtt="publish/episode.vtt",
        transcript_srt="publish/episode.srt",
        transcript_json="publish/transcript.json",
        chapters="publish/chapters.json",
        speakers=(Speaker(id="host", name="Robin", role="host"),),
        ai_disclosure=True,
    )
    (folder / EPISODE_NAME).write_bytes(to_json(episode))
    details = Details(author="Robin", number=1, explicit=False)
    (folder / "details.json").write_bytes(to_json(details))
    init_feed(home, title="Bench", url=f"http://127.0.0.1:{port}")
    add_episode(home, folder.parent)
    return [add_listener(home, f"listener {n}")[1] for n in range(listeners)]


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start this file again in a role of its own."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def run_server(home: Path) -> None:
    """Serve until SIGTERM; prints a line when ready."""
    from podcaster.publish.server import serve

    class Printed:
        def report(self, stage: str, done: float, total: float, unit: str) -> None:
            pass

        def note(self, text: str) -> None:
            print(text, flush=True)

    serve(home, progress=Printed())


async def fetch(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: str
) -> tuple[int, dict[str, str]]:
    """Send a request on an open connection and read the head of the answer."""
    writer.write(f"{lines}\r\nHost: 127.0.0.1\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    return int(head[0].split()[1]), headers


async def ask_often(port: int, token: str, etag: str, count: int) -> int:
    """Ask `count` times on one connection whether the feed changed; returns the 304 answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    unchanged = 0
    request = f"GET /{token}/feed.xml HTTP/1.1\r\nIf-None-Match: {etag}"
    for _ in range(count):
        status, _headers = await fetch(reader, writer, request)
        unchanged += status == 304
    writer.close()
    return unchanged


async def download(port: int, path: str) -> str:
    """Download a file and return its SHA-256."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    status, headers = await fetch(reader, writer, f"GET {path} HTTP/1.1")
    left, digest = int(headers["content-length"]), hashlib.sha256()
    if status != 200:
        raise OSError(f"status {status}")
    while left:
        data = await reader.read(min(left, 1 << 18))
        if not data:
            raise OSError(f"{left} bytes are missing")
        digest.update(data)
        left -= len(data)
    writer.close()
    return digest.hexdigest()


async def load(
    port: int, tokens: list[str], paths: list[str], expected: str, requests: int, clients: int
) -> dict[str, object]:
    """Both measurements; a download counts as failed unless its bytes are the right ones."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    _, headers = await fetch(reader, writer, f"HEAD /{tokens[0]}/feed.xml HTTP/1.1")
    writer.close()
    each = requests // clients
    began = time.perf_counter()
    asked = [ask_often(port, tokens[0], headers["etag"], each) for _ in range(clients)]
    unchanged = sum(await asyncio.gather(*asked))
    conditional_s = time.perf_counter() - began
    began = time.perf_counter()
    results = await asyncio.gather(*(download(port, p) for p in paths), return_exceptions=True)
    download_s = time.perf_counter() - began
    failed = sum(result != expected for result in results)
    return {
        "conditional_requests": each * clients,
        "conditional_unchanged": unchanged,
        "conditional_per_s": round(each * clients / conditional_s),
        "downloads": len(paths),
        "downloads_failed": failed,
        "download_s": round(download_s, 2),
        "download_mb_per_s": round(len(paths) * AUDIO_BYTES / download_s / 1e6),
    }


def main() -> None:
    """Run the benchmark, or, with a role, one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--listeners", type=int, default=100)
    parser.add_argument("--role", choices=("server", "load"), help=argparse.SUPPRESS)
    parser.add_argument("--plan", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "server":
        run_server(options.plan)
    elif options.role == "load":
        plan = json.loads(options.plan.read_text())
        print(json.dumps(asyncio.run(asyncio.wait_for(load(**plan), _TIMEOUT_S))))
    else:
        measure(options)


def measure(options: argparse.Namespace) -> None:
    """Make a feed, start the server and the load, and print what the load measured."""
    from podcaster.publish.feed import read_feed
    from podcaster.publish.rss import item_path

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        tokens = make_home(home, port, options.listeners)
        _, items = read_feed(home)
        audio = items[0].files["audio"]
        plan = {
            "port": port,
            "tokens": tokens,
            "paths": [f"/{token}/{item_path(items[0], 'audio')}" for token in tokens],
            "expected": audio.sha256,
            "requests": options.requests,
            "clients": options.clients,
        }
        (home / "plan.json").write_text(json.dumps(plan))
        server = start("--role", "server", "--plan", str(home))
        try:
            assert server.stdout is not None
            server.stdout.readline()
            loaded = start("--role", "load", "--plan", str(home / "plan.json"))
            printed, _ = loaded.communicate(timeout=2 * _TIMEOUT_S)
            peak_bytes = read_peak_bytes(server.pid)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
        result = json.loads(printed.splitlines()[-1])
        print(json.dumps({"bench": "feed_server", **result, "server_peak_bytes": peak_bytes}))


def read_peak_bytes(pid: int) -> int | None:
    """The most memory that a process had, where the system tells (Linux)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024


if __name__ == "__main__":
    main()
