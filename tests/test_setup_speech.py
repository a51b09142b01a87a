"""Speech models from a small hub of our own on loopback, spoken to by the real huggingface_hub."""

import gc
import hashlib
import json
import random
import re
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from podcaster.errors import ConfigError, EngineError, EngineMissing
from podcaster.progress import Silence
from podcaster.setup import speech
from podcaster.setup.speech import (
    SPEECH_MODELS,
    cached_folder,
    download_speech_model,
    download_speech_models,
    find_align_models,
    find_speech_model,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = random.Random(7).randbytes(300_000)
TINY = next(model for model in SPEECH_MODELS if model.name == "whisper-tiny")


class Handler(BaseHTTPRequestHandler):
    """The endpoints of the hub that a download uses."""

    server: "Hub"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub = self.server
        hub.asked.append(self.path)
        if re.match(r"/api/models/[\w.-]+/[\w.-]+\?", self.path):
            return self.answer(200, json.dumps(hub.describe()).encode())
        name = self.path.rpartition("/")[2]
        body = hub.files.get(name)
        if body is None:
            return self.answer(404, b"")
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha256(body).hexdigest()}"'}
        return self.answer(200, hub.damaged.get(name, body), headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.files = {
            "model.bin": WEIGHTS,
            "config.json": b"{}",
            "tokenizer.json": b"{}",
            "evil.py": b"raise SystemExit",
            "optimizer.pt": b"a pickle",
        }
        self.damaged: dict[str, bytes] = {}

    def describe(self) -> dict[str, Any]:
        siblings: list[dict[str, Any]] = []
        for name, body in self.files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(body), "blobId": "0" * 40}
            if name == "model.bin":
                digest = hashlib.sha256(body).hexdigest()
                entry["lfs"] = {"sha256": digest, "size": len(body), "pointerSize": 134}
            siblings.append(entry)
        siblings.append({"rfilename": "onnx/config.json", "size": 2, "blobId": "0" * 40})
        return {"id": TINY.repo, "sha": COMMIT, "siblings": siblings}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import reset_sessions

    with Hub() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        template = url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield server
        server.shutdown()
    # the hub's library leaves sockets to the garbage collector
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        reset_sessions()
        gc.collect()


@pytest.mark.usefixtures("hub")
def test_a_model_that_is_not_here_is_told_with_the_command_that_fetches_it() -> None:
    with pytest.raises(EngineMissing, match="podcaster setup whisper-tiny"):
        find_speech_model("whisper-tiny")
    with pytest.raises(ConfigError, match="Did you mean 'whisper-tiny'"):
        find_speech_model("wisper-tiny")


def test_a_folder_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    assert find_speech_model(str(tmp_path)) == tmp_path


def test_a_model_comes_whole_without_code_and_pickles_and_only_once(hub: Hub) -> None:
    folder, fetched_bytes = download_speech_model(TINY, Silence())
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.json",
        "model.bin",
        "tokenizer.json",
    ]
    assert fetched_bytes >= len(WEIGHTS)
    assert find_speech_model("whisper-tiny") == folder
    asked = len(hub.asked)
    assert download_speech_model(TINY, Silence()) == (folder, 0)
    assert len(hub.asked) == asked


def test_a_damaged_file_is_not_kept_and_does_not_stop_the_others(hub: Hub) -> None:
    hub.damaged["model.bin"] = bytes(len(WEIGHTS))
    (failed,) = download_speech_models([TINY], Silence())
    assert isinstance(failed.error, EngineError)
    assert "damaged" in str(failed.error)
    assert cached_folder(TINY) is None


def test_a_repository_without_what_is_needed_is_told(hub: Hub) -> None:
    del hub.files["tokenizer.json"]
    (failed,) = download_speech_models([TINY], Silence())
    assert "tokenizer.json" in str(failed.error)


@pytest.mark.usefixtures("hub")
def test_models_that_time_words_are_found_by_language(tmp_path: Path) -> None:
    assert find_align_models() == {}
    model = next(one for one in SPEECH_MODELS if one.name == "align-de")
    folder = tmp_path / "hub" / f"models--{model.repo.replace('/', '--')}" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    for name in model.needed:
        (folder / name).write_bytes(b"{}")
    assert find_align_models() == {"de": str(folder)}


def test_no_name_is_taken_twice_and_none_is_a_writers() -> None:
    from podcaster.setup.catalogue import MODELS

    names = [model.name for model in (*speech.SPEECH_MODELS, *MODELS)]
    assert len(set(names)) == len(names) > 20
