"""The adapter of pyannote's pipeline: real pipeline, tiny random weights; real answers of a hub."""

import importlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("whisperx", reason="the extra asr is not installed")

from podcaster import engines
from podcaster.errors import ConfigError, EngineError, EngineMissing, PodcasterError
from podcaster.transcribe import pyannote

pytestmark = pytest.mark.engine

CONFIG = """
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    segmentation: $model/segmentation
    embedding: $model/embedding
    plda: $model/plda
    clustering: VBxClustering
    segmentation_step: 0.2
params:
  clustering: {threshold: 0.6, Fa: 0.07, Fb: 0.8}
  segmentation: {min_duration_off: 0.0}
"""


def save_model(model: Any, folder: Path, extra: dict[str, Any] | None = None) -> None:
    import torch
    from pyannote.audio import __version__

    folder.mkdir()
    about = {
        "versions": {"torch": torch.__version__, "pyannote.audio": __version__},
        "architecture": {"module": type(model).__module__, "class": type(model).__name__},
        "specifications": model.specifications,
    }
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.5.0",
        "epoch": 0,
        "global_step": 0,
        "pyannote.audio": about,
        **(extra or {}),
    }
    torch.save(checkpoint, folder / "pytorch_model.bin")


def make_pipeline(folder: Path, extra: dict[str, Any] | None = None) -> Path:
    """A pipeline as community-1 is laid out, with tiny random networks of the same kinds."""
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import XVectorSincNet
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(0)
    network = PyanNet(
        lstm={"hidden_size": 8, "num_layers": 1}, linear={"hidden_size": 8, "num_layers": 1}
    )
    network.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=5.0,
        classes=["one", "two", "three"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    network.build()
    encoder = XVectorSincNet(dimension=16)
    encoder.specifications = Specifications(
        problem=Problem.REPRESENTATION,
        resolution=Resolution.CHUNK,
        duration=5.0,
        classes=["one", "two"],
    )
    save_model(network, folder / "segmentation", extra)
    save_model(encoder, folder / "embedding")
    (folder / "plda").mkdir()
    nothing, same = np.zeros(16), np.eye(16)
    np.savez(folder / "plda" / "xvec_transform.npz", mean1=nothing, mean2=nothing, lda=same)
    np.savez(folder / "plda" / "plda.npz", mu=nothing, tr=same, psi=np.linspace(2, 1, 16))
    (folder / "config.yaml").write_text(CONFIG)
    return folder


@pytest.fixture(scope="module")
def diariser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pyannote.PyannoteDiariser]:
    folder = make_pipeline(tmp_path_factory.mktemp("tiny"))
    opened = engines.open_engine("transcribe", "pyannote", model=str(folder))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    generator = np.random.default_rng(1)
    loudness = np.repeat(generator.uniform(0.0, 0.3, 24), 8000)
    return (generator.standard_normal(24 * 8000) * loudness).astype(np.float32)


def test_the_real_pipeline_gives_spans_in_order_and_within_the_recording(
    diariser: pyannote.PyannoteDiariser, sound: np.ndarray
) -> None:
    spans = diariser.diarise(sound)
    assert spans
    assert [span.start_s for span in spans] == sorted(span.start_s for span in spans)
    assert spans[0].speaker == "S1"
    assert all(0.0 <= span.start_s < span.end_s <= len(sound) / 16_000 for span in spans)


def test_the_number_of_speakers_is_handed_on(
    diariser: pyannote.PyannoteDiariser, sound: np.ndarray
) -> None:
    for wanted in (1, 2, 3):
        spans = diariser.diarise(sound, fewest=wanted, most=wanted)
        assert {span.speaker for span in spans} <= {f"S{n + 1}" for n in range(wanted)}
    two = diariser.diarise(sound, fewest=2, most=2)
    assert {span.speaker for span in two} == {"S1", "S2"}


def test_fewer_at_least_than_at_most_is_refused(
    diariser: pyannote.PyannoteDiariser, sound: np.ndarray
) -> None:
    with pytest.raises(ConfigError, match="At least 3 speakers and at most 2 cannot both be"):
        diariser.diarise(sound, fewest=3, most=2)


def test_no_sound_has_no_spans(diariser: pyannote.PyannoteDiariser) -> None:
    assert diariser.diarise(np.zeros(0, dtype=np.float32)) == ()


def test_the_id_names_the_libraries_and_the_weights(
    diariser: pyannote.PyannoteDiariser, tmp_path: Path
) -> None:
    assert diariser.id.startswith("pyannote-audio 4.")
    folder = make_pipeline(tmp_path)
    weights = folder / "segmentation" / "pytorch_model.bin"
    first = pyannote._identify(str(folder))
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert pyannote._identify(str(folder)) != first


class Mischief:
    """Unpickled carelessly, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_checkpoint_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    folder = tmp_path / "pipeline"
    folder.mkdir()
    make_pipeline(folder, extra={"callbacks": Mischief(trace)})
    with pytest.raises(EngineError, match="Opening the diariser"):
        pyannote.PyannoteDiariser(model=str(folder))
    assert not trace.exists()
    # the guard of this test: read without care, it does run
    import torch

    torch.load(folder / "segmentation" / "pytorch_model.bin", weights_only=False)
    assert trace.exists()


def test_without_a_token_the_way_to_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(ConfigError, match="HF_TOKEN is not set") as caught:
        pyannote.PyannoteDiariser()
    assert "export HF_TOKEN" in str(caught.value)
    assert 'diarise = "builtin" needs no account' in str(caught.value)


def test_a_token_of_somebody_else_is_told_before_anything_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "sk-not-from-there")
    with pytest.raises(ConfigError, match="one begins with hf_") as caught:
        pyannote.PyannoteDiariser()
    assert "sk-not-from-there" not in str(caught.value)


class Hub(BaseHTTPRequestHandler):
    """Answers every request with one status, as the hub does."""

    status = 401
    code = ""
    message = ""
    asked: list[str]

    def do_HEAD(self) -> None:
        self.asked.append(self.headers.get("Authorization", ""))
        self.send_response(self.status)
        if self.code:
            self.send_header("X-Error-Code", self.code)
        self.send_header("X-Error-Message", self.message)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    """A hub on this machine; the real client asks it with the token of the environment."""
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import reset_sessions

    handler = type("Answer", (Hub,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    reset_sessions()
    yield handler
    reset_sessions()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "sentence"),
    [
        (401, "", "Invalid credentials in Authorization header", ConfigError, "not accept the tok"),
        (401, "GatedRepo", "Access is restricted", ConfigError, "terms of .* are not accepted"),
        (403, "GatedRepo", "You are not in the list", ConfigError, "terms of .* are not accepted"),
        (403, "", "Forbidden", ConfigError, "terms of .* are not accepted"),
        (404, "RepoNotFound", "Not found", ConfigError, "There is no model"),
    ],
)
def test_what_the_hub_answers_becomes_a_sentence(
    hub: type[Hub],
    capsys: pytest.CaptureFixture[str],
    status: int,
    code: str,
    message: str,
    kind: type[PodcasterError],
    sentence: str,
) -> None:
    hub.status, hub.code, hub.message = status, code, message
    with pytest.raises(kind, match=sentence) as caught:
        pyannote.PyannoteDiariser()
    assert hub.asked[0] == "Bearer hf_secret"
    assert "hf_secret" not in str(caught.value)
    assert 'diarise = "builtin" needs no account' in str(caught.value)
    assert capsys.readouterr().out == ""


def test_no_network_and_no_weights_is_told(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import reset_sessions

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    reset_sessions()
    with pytest.raises(EngineMissing, match="is not on this machine") as caught:
        pyannote.PyannoteDiariser()
    assert 'diarise = "builtin" needs no account' in str(caught.value)
    assert hub.asked == []


def test_a_hub_that_nobody_answers_at_is_told(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import file_download

    nowhere = "http://127.0.0.1:9/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", nowhere)
    with pytest.raises(EngineMissing, match="cannot be reached"):
        pyannote.PyannoteDiariser()


def test_usage_reports_are_off() -> None:
    metrics = importlib.import_module("pyannote.audio.telemetry.metrics")
    assert metrics.is_metrics_enabled() is False
