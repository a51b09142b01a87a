"""Downloads from a small hub of our own on loopback, spoken to by the real huggingface_hub."""

import gc
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from podcaster.errors import EngineError, RunError
from podcaster.setup.cache import cached_path
from podcaster.setup.catalogue import Model, Tier
from podcaster.setup.download import CHUNK_BYTES, download, download_model

BODY = b"GGUF" + random.Random(7).randbytes(3 * CHUNK_BYTES + 1234)
SHA256 = hashlib.sha256(BODY).hexdigest()
REVISION = "0123456789abcdef0123456789abcdef01234567"


def make_model(name: str = "tiny", **changes: Any) -> Model:
    fields = {
        "name": name,
        "tier": Tier.STANDARD,
        "kind": "write",
        "repo": f"maker/{name}-GGUF",
        "filename": f"{name}-Q4.gguf",
        "revision": REVISION,
        "sha256": SHA256,
        "size_bytes": len(BODY),
        "active_bytes": len(BODY),
        "kv_bytes_per_token": 1024,
        "licence": "MIT",
        "licence_url": "https://example.org/licence",
        "purpose": "tests",
    }
    return Model(**(fields | changes))


class Handler(BaseHTTPRequestHandler):
    """The endpoints of the hub that a download uses; large files come from another host name."""

    protocol_version = "HTTP/1.1"
    server: "Hub"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def end_headers(self) -> None:
        # connections kept alive would outlive a hub that goes down
        self.send_header("Connection", "close")
        super().end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub, sent = self.server, self.headers.get("Authorization")
        hub.requests.append((self.command, self.path, dict(self.headers)))
        if hub.token and "/cdn/" not in self.path and sent != f"Bearer {hub.token}":
            return self.answer(401, b"{}")
        if hub.status:
            return self.answer(hub.status, b"{}")
        if match := re.match(r"/api/models/(\w+/[\w.-]+)/revision/(\w+)\?", self.path):
            return self.answer(200, json.dumps(hub.describe(*match.groups())).encode())
        if match := re.match(r"/maker/[\w.-]+/resolve/(\w+)/", self.path):
            headers = {"Location": f"http://localhost:{hub.server_port}/cdn/{SHA256}"}
            headers |= {"X-Repo-Commit": match[1], "X-Linked-Size": str(len(BODY))}
            # the real hub offers Xet for large files; here nobody answers there
            headers |= {"X-Xet-Hash": "0" * 64, "X-Xet-Refresh-Route": f"{hub.url}/xet"}
            return self.answer(302, b"", headers | {"X-Linked-ETag": f'"{SHA256}"'})
        return self.send_body()

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_body(self) -> None:
        hub, first, total = self.server, 0, len(self.server.body)
        if wanted := self.headers.get("Range"):
            first = int(wanted.removeprefix("bytes=").partition("-")[0])
            if first >= total:
                return self.answer(416, b"")
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        self.send_header("Content-Length", str(total - first))
        self.end_headers()
        if self.command == "HEAD":
            return None
        rest = hub.body[first:]
        if hub.cuts:
            rest = rest[: hub.cuts.pop(0)]
        self.wfile.write(rest)
        if hub.stalls:
            self.wfile.flush()
            hub.released.wait()
        return None


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that was killed resets its connections

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.body, self.sha256, self.cuts = BODY, SHA256, list[int]()
        self.status, self.token, self.stalls = 0, "", False
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def describe(self, repo: str, revision: str) -> dict[str, Any]:
        name = repo.partition("/")[2].removesuffix("-GGUF") + "-Q4.gguf"
        lfs = {"sha256": self.sha256, "size": len(BODY), "pointerSize": 134}
        file = {"rfilename": name, "size": len(BODY), "blobId": "0" * 40, "lfs": lfs}
        return {"id": repo, "sha": revision, "siblings": [file]}

    def body_requests(self) -> list[dict[str, str]]:
        return [h for command, path, h in self.requests if command == "GET" and "/cdn/" in path]


class Watcher:
    def __init__(self) -> None:
        self.reports, self.notes = list[tuple[str, float, float, str]](), list[str]()

    def report(self, stage: str, done: float, total: float, unit: str) -> None:
        self.reports.append((stage, done, total, unit))

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache; what the user has does not matter and is not touched."""
    from huggingface_hub import constants

    folder = tmp_path / "hf" / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def hub(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import reset_sessions

    with Hub() as hub:
        threading.Thread(target=hub.serve_forever, args=(0.05,), daemon=True).start()
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub
        hub.released.set()
        hub.shutdown()
    # the hub's library leaves the sockets of broken connections to the garbage collector
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        reset_sessions()
        gc.collect()


def half_download(folder: Path, model: Model) -> Path:
    return folder / f"models--maker--{model.name}-GGUF" / "blobs" / f"{model.sha256}.incomplete"


def test_a_download_arrives_whole_and_says_how_far_it_is(hub: Hub) -> None:
    watcher = Watcher()
    path, fetched_bytes = download_model(make_model(), watcher)
    assert path.read_bytes() == BODY
    assert fetched_bytes == len(BODY)
    stages = {stage for stage, *_ in watcher.reports}
    assert stages == {"download tiny", "check tiny"}
    assert all(done <= total and unit == "MB" for _, done, total, unit in watcher.reports)
    assert ("check tiny", len(BODY) / 1e6, len(BODY) / 1e6, "MB") in watcher.reports


def test_what_is_there_is_checked_but_not_fetched_again(hub: Hub) -> None:
    first, _ = download_model(make_model(), Watcher())
    hub.requests.clear()
    again, fetched_bytes = download_model(make_model(), Watcher())
    assert (again, fetched_bytes) == (first, 0)
    assert hub.requests == []


def test_a_cut_connection_costs_only_the_rest(hub: Hub) -> None:
    hub.cuts = [CHUNK_BYTES + CHUNK_BYTES // 2]
    watcher = Watcher()
    path, _ = download_model(make_model(), watcher)
    assert path.read_bytes() == BODY
    ranges = [headers.get("Range") for headers in hub.body_requests()]
    assert ranges == [None, f"bytes={CHUNK_BYTES}-"]
    assert watcher.notes == ["tiny: the connection broke at 1.0 MB of 3.1 MB; going on from there."]


def test_a_connection_that_brings_nothing_is_given_up_and_what_came_is_kept(
    hub: Hub, cache_folder: Path
) -> None:
    hub.cuts = [2 * CHUNK_BYTES, 0, 0, 0]
    with pytest.raises(EngineError) as caught:
        download_model(make_model(), Watcher())
    assert caught.value.message == (
        "The download of tiny was cut off again and again, at 2.1 MB of 3.1 MB."
    )
    assert "podcaster setup tiny" in str(caught.value.next_step)
    assert half_download(cache_folder, make_model()).stat().st_size == 2 * CHUNK_BYTES
    hub.requests.clear()
    path, fetched_bytes = download_model(make_model(), Watcher())
    assert path.read_bytes() == BODY
    assert fetched_bytes == len(BODY) - 2 * CHUNK_BYTES
    assert [h.get("Range") for h in hub.body_requests()] == [f"bytes={2 * CHUNK_BYTES}-"]


def run_setup(hub: Hub, hf_home: Path) -> "subprocess.Popen[str]":
    """The same download in a process of its own, told where the hub is by the environment."""
    text = msgspec.json.encode(make_model()).decode()
    code = (
        "import sys, msgspec\n"
        "from podcaster.progress import Silence\n"
        "from podcaster.setup.catalogue import Model\n"
        "from podcaster.setup.download import download_model\n"
        "model = msgspec.json.decode(sys.argv[1], type=Model)\n"
        "print(*download_model(model, Silence()))\n"
    )
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(hf_home)}
    environment.pop("HF_HUB_CACHE", None)
    return subprocess.Popen(
        [sys.executable, "-c", code, text],
        env=environment | {"NO_PROXY": "127.0.0.1,localhost"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_after_kill_9_the_next_run_asks_for_the_missing_range_only(
    hub: Hub, tmp_path: Path
) -> None:
    hub.stalls, hub.cuts = True, [2 * CHUNK_BYTES + 10]
    half = half_download(tmp_path / "home" / "hub", make_model())
    process = run_setup(hub, tmp_path / "home")
    while process.poll() is None and not (half.exists() and half.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    arrived = half.stat().st_size
    assert 0 < arrived < len(BODY)

    hub.stalls = False
    hub.released.set()
    hub.requests.clear()
    process = run_setup(hub, tmp_path / "home")
    output, errors = process.communicate()
    assert errors == ""
    path, fetched_bytes = output.split()
    assert Path(path).read_bytes() == BODY
    assert int(fetched_bytes) == len(BODY) - arrived
    assert [h.get("Range") for h in hub.body_requests()] == [f"bytes={arrived}-"]


def test_a_damaged_file_is_removed_and_not_believed(hub: Hub, cache_folder: Path) -> None:
    hub.body = BODY[:-1] + bytes([BODY[-1] ^ 1])
    with pytest.raises(EngineError) as caught:
        download_model(make_model(), Watcher())
    damaged = hashlib.sha256(hub.body).hexdigest()
    assert caught.value.message == (
        f"The file of tiny is damaged and was removed: its SHA-256 is {damaged[:16]}…, "
        f"expected {SHA256[:16]}…."
    )
    assert caught.value.next_step == "Fetch it anew with `podcaster setup tiny`."
    assert cached_path(make_model()) is None
    assert not any(path.stat().st_size for path in cache_folder.rglob("blobs/*"))
    hub.body = BODY
    assert download_model(make_model(), Watcher())[0].read_bytes() == BODY


def test_a_file_that_rots_on_disk_is_found_out_and_removed(hub: Hub) -> None:
    path, _ = download_model(make_model(), Watcher())
    path.resolve().write_bytes(BODY[:-1] + b"x")
    with pytest.raises(EngineError, match="damaged and was removed"):
        download_model(make_model(), Watcher())
    assert not path.exists()


def test_leftovers_longer_than_the_file_are_thrown_away(hub: Hub, cache_folder: Path) -> None:
    half = half_download(cache_folder, make_model())
    half.parent.mkdir(parents=True)
    half.write_bytes(BODY + b"more")
    assert download_model(make_model(), Watcher())[0].read_bytes() == BODY


def test_another_file_under_the_same_name_is_refused_before_anything_is_fetched(hub: Hub) -> None:
    hub.sha256 = "f" * 64
    with pytest.raises(EngineError, match=r"The hub offers another tiny-Q4\.gguf than this"):
        download_model(make_model(), Watcher())
    assert hub.body_requests() == []


def test_a_gated_model_needs_a_token_which_the_file_host_never_sees(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.token = "hf_secret"
    with pytest.raises(EngineError) as caught:
        download_model(make_model(), Watcher())
    assert caught.value.message == "The hub does not let you read maker/tiny-GGUF (HTTP 401)."
    assert caught.value.next_step == (
        f"Accept the terms at {hub.url}/maker/tiny-GGUF, put a token of yours in HF_TOKEN, and "
        "type `podcaster setup tiny` again: what has arrived is kept."
    )
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert download_model(make_model(), Watcher())[0].read_bytes() == BODY
    assert all("authorization" not in map(str.lower, h) for h in hub.body_requests())


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, "has no tiny-Q4.gguf in maker/tiny-GGUF at revision 0123456789ab."),
        (503, "answered HTTP 503 for maker/tiny-GGUF."),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(hub: Hub, status: int, sentence: str) -> None:
    hub.status = status
    with pytest.raises(EngineError) as caught:
        download_model(make_model(), Watcher())
    assert caught.value.message == f"The hub at {hub.url} {sentence}"
    assert caught.value.next_step


def test_a_file_the_repository_lacks_is_said_so(hub: Hub) -> None:
    with pytest.raises(EngineError, match=r"has no other\.gguf in maker/tiny-GGUF"):
        download_model(make_model(filename="other.gguf"), Watcher())


def test_a_hub_that_is_down_is_said_so_and_does_not_stop_the_other_models(hub: Hub) -> None:
    there = make_model("there")
    download_model(there, Watcher())
    hub.shutdown()
    hub.server_close()
    failed, fine = download([make_model(), there], Watcher())
    assert isinstance(failed.error, EngineError)
    assert failed.error.message == (
        f"The hub at {hub.url} cannot be reached for tiny (ConnectionError)."
    )
    assert failed.path is None
    assert fine.error is None
    assert fine.path is not None


def test_offline_mode_is_respected_and_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EngineError, match="cannot be downloaded: HF_HUB_OFFLINE forbids it"):
        download_model(make_model(), Watcher())
    assert hub.requests == []


def test_a_model_larger_than_the_disk_is_not_begun(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podcaster.setup.download.free_bytes", lambda folder: 2_000_000)
    with pytest.raises(RunError, match=r"no room for tiny .*: 2.0 MB are free, 503.1 MB needed"):
        download_model(make_model(), Watcher())
    assert hub.body_requests() == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the always full /dev/full")
def test_a_disk_that_fills_up_on_the_way_is_said_so(hub: Hub, cache_folder: Path) -> None:
    half = half_download(cache_folder, make_model())
    half.parent.mkdir(parents=True)
    half.symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"no room for tiny .*: the disk is full\."):
        download_model(make_model(), Watcher())
