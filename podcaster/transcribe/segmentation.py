"""Local segmentation: which of up to three voices is heard when, within five seconds.

The weights are those of pyannote/segmentation (MIT; Bredin & Laurent, "End-to-end speaker
segmentation for overlap-aware resegmentation", Interspeech 2021), which the package `whisperx`
carries to find speech with. It knows more than that: it has one output for each voice in a window,
so that it hears changes of voice and voices at once. The package is looked for and never imported.

The network is PyanNet: band-pass filters that were learnt (Ravanelli & Bengio, "Speaker
recognition from raw waveform with SincNet", SLT 2018), convolutions, LSTMs in both directions.
"""

import hashlib
import importlib.util
import math
from collections import defaultdict
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from podcaster.audio import Samples
from podcaster.errors import EngineError, EngineMissing, foreign
from podcaster.placement import choose_device
from podcaster.transcribe.engine import SAMPLE_RATE_HZ

CHUNK_S = 5.0  # what the network was trained on
VOICES = 3  # in a chunk, at most
FRAME_STEP = 270  # samples between two frames of what comes out
FRAME_WIDTH = 991  # samples that a frame hears of
CHUNK_FRAMES = 293

_BATCH = 32
_LEAST_HZ = 50.0  # of a filter's lower edge, and of its width
_LSTM = {"num_layers": 4, "bidirectional": True, "batch_first": True}

Activity = NDArray[np.float32]


class Segmenter:
    """The segmentation network, opened."""

    def __init__(self, *, device: str = "auto") -> None:
        """Load the weights onto `device` (cpu, cuda or auto).

        Raises EngineMissing where the package that carries them is not installed, EngineError
        where they are not what is expected.
        """
        device = choose_device(device, "torch")
        path, version = _find_weights()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        self._id = f"pyannote/segmentation of whisperx {version} {digest}"
        with foreign(EngineError, f"Reading the segmentation network {path}"):
            self._weights = {key: value.to(device) for key, value in _read_weights(path).items()}
            self._lstm: Any = torch.nn.LSTM(60, 128, **_LSTM).to(device).eval()
            self._lstm.load_state_dict(_below(self._weights, "lstm."))
            self._filters = _make_filters(
                self._weights["sincnet.conv1d.0.filterbank.low_hz_"],
                self._weights["sincnet.conv1d.0.filterbank.band_hz_"],
            )
        self._device = device

    @property
    def id(self) -> str:
        """The package with version, and a hash of the weights."""
        return self._id

    def segment(self, samples: Samples, starts: NDArray[np.int64]) -> Activity:
        """How surely each voice is heard: `(n_chunks, 293, 3)` in [0, 1], from 5 s at each start.

        `starts` are samples. Within a chunk, a column is one voice; the columns of two chunks have
        nothing to do with each other. Frame k is centred on sample 495 + 270 k of its chunk.
        """
        length = round(CHUNK_S * SAMPLE_RATE_HZ)
        activity = np.zeros((len(starts), CHUNK_FRAMES, VOICES), dtype=np.float32)
        for first in range(0, len(starts), _BATCH):
            batch = np.zeros((len(starts[first : first + _BATCH]), length), dtype=np.float32)
            for row, start in enumerate(starts[first : first + _BATCH]):
                chunk = samples[start : start + length]
                batch[row, : len(chunk)] = chunk
            with torch.inference_mode():
                outputs = self._run(torch.from_numpy(batch).to(self._device))
            activity[first : first + _BATCH] = outputs.cpu().numpy()
        return activity

    def close(self) -> None:
        """Give the weights' memory back."""
        self._weights, self._lstm, self._filters = {}, None, None

    def _run(self, sound: Any) -> Any:
        """Waveforms `(n, 80000)` to probabilities `(n, 293, 3)`."""
        weights = self._weights
        values = functional.instance_norm(
            sound[:, None],
            weight=weights["sincnet.wav_norm1d.weight"],
            bias=weights["sincnet.wav_norm1d.bias"],
        )  # (n, 1, n_samples)
        for layer in range(3):
            name = f"sincnet.conv1d.{layer}."
            if layer == 0:
                values = functional.conv1d(values, self._filters, stride=10).abs()
            else:
                values = functional.conv1d(values, weights[name + "weight"], weights[name + "bias"])
            norm = f"sincnet.norm1d.{layer}."
            values = functional.max_pool1d(values, 3, stride=3)
            values = functional.instance_norm(
                values, weight=weights[norm + "weight"], bias=weights[norm + "bias"]
            )
            values = functional.leaky_relu(values)
        values, _ = self._lstm(values.transpose(1, 2))  # (n, n_frames, 256)
        for layer in range(2):
            name = f"linear.{layer}."
            values = functional.linear(values, weights[name + "weight"], weights[name + "bias"])
            values = functional.leaky_relu(values)
        return torch.sigmoid(
            functional.linear(values, weights["classifier.weight"], weights["classifier.bias"])
        )


def _make_filters(low_hz: Any, band_hz: Any) -> Any:
    """Windowed band-pass filters `(80, 1, 251)`: forty even ones, and forty odd ones.

    (Pariente et al., "Filterbank design for end-to-end speech separation", ICASSP 2020.)
    """
    half = 125
    low = _LEAST_HZ + low_hz.abs()  # (40, 1)
    high = (low + _LEAST_HZ + band_hz.abs()).clamp(_LEAST_HZ, SAMPLE_RATE_HZ / 2)
    times = 2 * math.pi * (torch.arange(-half, 0.0, device=low.device)[None] / SAMPLE_RATE_HZ)
    window = torch.from_numpy(np.hamming(2 * half + 1)[:half]).float().to(low.device)
    even = (torch.sin(high @ times) - torch.sin(low @ times)) / (times / 2) * window
    odd = (torch.cos(low @ times) - torch.cos(high @ times)) / (times / 2) * window
    middle = 2 * (high - low)
    filters = torch.cat(
        (
            torch.cat((even, middle, even.flip(1)), dim=1),
            torch.cat((odd, torch.zeros_like(middle), -odd.flip(1)), dim=1),
        )
    )
    return (filters / middle.repeat(2, 1))[:, None]


class _Inert:
    """Stands in for every foreign class in the file: it keeps nothing and does nothing."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


# what the file holds beside its weights: a training's settings and bookkeeping
_FOREIGN = (
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    "omegaconf.nodes.AnyNode",
    "pyannote.audio.core.model.Introspection",
    "pyannote.audio.core.task.Problem",
    "pyannote.audio.core.task.Resolution",
    "pyannote.audio.core.task.Specifications",
    "torch.torch_version.TorchVersion",
    "typing.Any",
)


def _read_weights(path: Path) -> dict[str, Any]:
    """The tensors of a checkpoint; its other objects are not made."""
    allowed = [(_Inert, name) for name in _FOREIGN]
    plain: list[Any] = [(defaultdict, "collections.defaultdict"), dict, int, list]
    with torch.serialization.safe_globals([*allowed, *plain]):
        weights = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    if not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise EngineError(f"{path} holds something else than weights.")
    return dict(weights)


def _below(weights: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def _find_weights() -> tuple[Path, str]:
    """Where the package keeps its weights, and its version; nothing of it is imported."""
    spec = importlib.util.find_spec("whisperx")
    places = spec.submodule_search_locations if spec is not None else None
    path = Path(places[0]) / "assets" / "pytorch_model.bin" if places else None
    if path is None or not path.is_file():
        raise EngineMissing(
            "The segmentation network is not installed: it lies in the package whisperx.",
            next_step="Install it with `pip install 'podcaster[asr]'`.",
        )
    return path, metadata.version("whisperx")
