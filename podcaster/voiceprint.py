"""The speaker encoder: a unit vector that is near another one where the voice is the same.

The weights are those that the package `resemblyzer` carries (Apache-2.0): a three-layer LSTM over
mel spectra, trained with the generalised end-to-end loss (Wan et al., "Generalized end-to-end loss
for speaker verification", ICASSP 2018). The package is looked for and never imported: its code
needs a compiled voice-activity detector and a `typing` from before Python 3.5.

Sound is float32 mono `(n_samples,)` at 16 kHz.
"""

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from podcaster.errors import EngineError, EngineMissing, InputError, foreign
from podcaster.placement import choose_device

SAMPLE_RATE_HZ = 16_000
DIMENSIONS = 256
WINDOW_S = 1.6  # what the encoder was trained on

_HOP = 160  # samples; 10 ms
_FFT = 400  # samples; 25 ms
_MELS = 40
_BLOCK_FRAMES = 6000  # a minute of spectra at once
_BATCH_FRAMES = 16_000  # of windows through the network at once
_STEP_FRAMES = 77  # between the windows of `embed`: 1.3 a second
_LEAST_COVERED = 0.75  # a last window with less sound in it is left out
_QUIETEST_DBFS = -30.0  # what is quieter is amplified: the network hears power, not its logarithm

Samples = NDArray[np.float32]
Vectors = NDArray[np.float32]


class Encoder:
    """The speaker encoder, opened. It is used from one thread of one process."""

    def __init__(self, *, device: str = "auto") -> None:
        """Load the weights onto `device`: cpu, cuda or auto.

        Raises EngineMissing where the package that carries them is not installed, EngineError
        where they are not what is expected.
        """
        path, version = _find_weights()
        device = choose_device(device, "torch")
        data = path.read_bytes()
        self._id = f"resemblyzer {version} {hashlib.sha256(data).hexdigest()[:12]}"
        with foreign(EngineError, f"Reading the speaker encoder {path}"):
            # weights only: a pickle from elsewhere is data
            state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
            network = _make_network()
            network.load_state_dict(
                {key: value for key, value in state.items() if not key.startswith("similarity")}
            )
            self._network: Any = network.eval().to(device)
        self._device = device
        self._filters = torch.from_numpy(mel_filters())

    @property
    def id(self) -> str:
        """The package with version, and a hash of the weights: what decides the vectors."""
        return self._id

    def embed(self, samples: Samples) -> Vectors:
        """One voice's print `(256,)`, of length 1: the mean over windows of 1.6 s.

        Leave pauses out before: a window of silence is a voice, too. Two seconds are enough to
        begin with, and more are better. Raises InputError where there are no samples.
        """
        if not len(samples):
            raise InputError("There is no sound to take a voiceprint from.")
        gain = _gain(float(np.mean(np.square(samples, dtype=np.float64))))
        frames = len(samples) // _HOP + 1
        window = round(WINDOW_S * SAMPLE_RATE_HZ) // _HOP
        starts = list(range(0, max(1, frames - window + _STEP_FRAMES + 1), _STEP_FRAMES))
        covered = (len(samples) - starts[-1] * _HOP) / (window * _HOP)
        if covered < _LEAST_COVERED and len(starts) > 1:
            starts.pop()
        mels = self._mels(samples, starts[-1] + window) * gain
        vectors = self._embed(mels, np.array(starts), window, None)
        return _unit(vectors.mean(axis=0))

    def embed_windows(
        self, samples: Samples, starts_s: Sequence[float] | NDArray[Any], window_s: float = WINDOW_S
    ) -> Vectors:
        """The voices in windows of `window_s` that begin at `starts_s`: `(n, 256)`, of length 1.

        Each window is brought to one loudness for itself. What lies beyond the end is silence.
        """
        starts = np.round(np.asarray(starts_s, dtype=np.float64) * SAMPLE_RATE_HZ / _HOP)
        window = max(1, round(window_s * SAMPLE_RATE_HZ / _HOP))
        if not len(starts):
            return np.zeros((0, DIMENSIONS), dtype=np.float32)
        frames = np.clip(starts.astype(np.int64), 0, len(samples) // _HOP)
        gains = _gain(_window_powers(samples, frames * _HOP, window * _HOP))
        mels = self._mels(samples, int(frames.max()) + window)
        return self._embed(mels, frames, window, gains)

    def embed_parts(self, samples: Samples, parts: Sequence[NDArray[np.int64]]) -> Vectors:
        """The voices in parts of a recording `(n, 256)`, of length 1; zeros for an empty part.

        A part is the 10 ms frames to listen to, in order and with holes where it has any. What is
        shorter than 1.6 s is heard several times over, what is longer in windows, by their mean.
        """
        vectors = np.zeros((len(parts), DIMENSIONS), dtype=np.float32)
        window = round(WINDOW_S * SAMPLE_RATE_HZ) // _HOP
        mels = self._mels(samples, len(samples) // _HOP + 1)
        powers = _frame_powers(samples, len(mels))
        owners: list[int] = []
        inputs: list[Vectors] = []
        for number, part in enumerate(parts):
            frames = part[(part >= 0) & (part < len(mels))]
            if not len(frames):
                continue
            spectra = mels[frames] * np.float32(_gain(powers[frames].mean()))
            for piece in _windows(spectra, window):
                owners.append(number)
                inputs.append(piece)
            if len(inputs) * window >= _BATCH_FRAMES:
                np.add.at(vectors, owners, self._forward(np.stack(inputs)))
                owners, inputs = [], []
        if inputs:
            np.add.at(vectors, owners, self._forward(np.stack(inputs)))
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)

    def close(self) -> None:
        """Give the weights' memory back."""
        self._network = None

    def _mels(self, samples: Samples, count: int) -> Vectors:
        """Mel power spectra `(count, 40)`, frame k centred on sample 160 k; silence at the end."""
        after = max(0, (count - 1) * _HOP + _FFT // 2 - len(samples))
        padded = np.pad(samples.astype(np.float32, copy=False), (_FFT // 2, after))
        mels = np.empty((count, _MELS), dtype=np.float32)
        hann = torch.hann_window(_FFT)
        for first in range(0, count, _BLOCK_FRAMES):
            last = min(count, first + _BLOCK_FRAMES)
            block = torch.from_numpy(padded[first * _HOP : (last - 1) * _HOP + _FFT])
            spectra = torch.stft(
                block, _FFT, _HOP, window=hann, center=False, return_complex=True
            )  # (n_fft / 2 + 1, n_frames)
            mels[first:last] = (self._filters @ spectra.abs().square()).T.numpy()
        return mels

    def _embed(
        self, mels: Vectors, starts: NDArray[Any], window: int, gains: NDArray[Any] | None
    ) -> Vectors:
        """Run windows of `window` frames from `starts` through the network."""
        vectors = np.empty((len(starts), DIMENSIONS), dtype=np.float32)
        size = max(1, _BATCH_FRAMES // window)
        for first in range(0, len(starts), size):
            batch = starts[first : first + size]
            inputs = mels[batch[:, None] + np.arange(window)]  # (n, n_frames, 40)
            if gains is not None:
                inputs = inputs * gains[first : first + size, None, None]
            vectors[first : first + size] = self._forward(inputs)
        return vectors

    def _forward(self, inputs: NDArray[Any]) -> Vectors:
        """Spectra `(n, n_frames, 40)` to unit vectors `(n, 256)`."""
        if self._network is None:
            raise EngineError("The speaker encoder is closed.")
        tensor = torch.from_numpy(inputs.astype(np.float32, copy=False)).to(self._device)
        with torch.inference_mode():
            return np.asarray(_run(self._network, tensor).cpu().numpy(), dtype=np.float32)


def _windows(spectra: Vectors, window: int) -> Iterator[Vectors]:
    """Windows of `window` frames that cover all of `(n_frames, 40)`; a short one is repeated."""
    if len(spectra) <= window:
        yield np.tile(spectra, (window // len(spectra) + 1, 1))[:window]
        return
    starts = np.linspace(0, len(spectra) - window, -(-len(spectra) // window))
    for start in np.round(starts).astype(np.int64):
        yield spectra[start : start + window]


def _make_network() -> Any:
    """The layers, named as in the file of weights."""
    return torch.nn.ModuleDict(
        {
            "lstm": torch.nn.LSTM(_MELS, DIMENSIONS, num_layers=3, batch_first=True),
            "linear": torch.nn.Linear(DIMENSIONS, DIMENSIONS),
        }
    )


def _run(network: Any, mels: Any) -> Any:
    """Mel spectra `(n, n_frames, 40)` to unit vectors `(n, 256)` without negative numbers."""
    _, (hidden, _) = network["lstm"](mels)
    return torch.nn.functional.normalize(torch.relu(network["linear"](hidden[-1])), dim=1)


def mel_filters() -> Vectors:
    """Triangular filters `(40, 201)` from 0 to 8 kHz, each of area 1, as librosa's defaults are.

    The scale is linear below 1 kHz and logarithmic above (Slaney, "Auditory Toolbox", 1998).
    """
    top = _to_mel(np.array(SAMPLE_RATE_HZ / 2))
    edges_hz = _to_hz(np.linspace(0.0, top, _MELS + 2))
    bins_hz = np.linspace(0.0, SAMPLE_RATE_HZ / 2, _FFT // 2 + 1)
    rises = (bins_hz - edges_hz[:-2, None]) / np.diff(edges_hz)[:-1, None]
    falls = (edges_hz[2:, None] - bins_hz) / np.diff(edges_hz)[1:, None]
    areas = 2.0 / (edges_hz[2:] - edges_hz[:-2])
    return np.asarray(np.maximum(0.0, np.minimum(rises, falls)) * areas[:, None], dtype=np.float32)


def _to_mel(hertz: NDArray[Any]) -> NDArray[Any]:
    above = 15.0 + 27.0 * np.log(np.maximum(hertz, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(hertz < 1000.0, hertz * 3.0 / 200.0, above)


def _to_hz(mels: NDArray[Any]) -> NDArray[Any]:
    above = 1000.0 * np.exp(np.log(6.4) / 27.0 * (np.maximum(mels, 15.0) - 15.0))
    return np.where(mels < 15.0, mels * 200.0 / 3.0, above)


def _gain(power: Any) -> Any:
    """What brings a mean square up to -30 dB; nothing is made quieter."""
    return np.maximum(1.0, 10.0 ** (_QUIETEST_DBFS / 10.0) / np.maximum(power, 1e-9))


def _window_powers(samples: Samples, starts: NDArray[Any], length: int) -> NDArray[Any]:
    """Mean squares of windows that begin at `starts` (samples)."""
    sums = np.concatenate(([0.0], np.cumsum(np.square(samples, dtype=np.float64))))
    ends = np.minimum(starts + length, len(samples))
    return np.asarray((sums[ends] - sums[starts]) / np.maximum(1, ends - starts))


def _frame_powers(samples: Samples, count: int) -> NDArray[np.float32]:
    """Mean squares of `count` hops from the start `(count,)`."""
    whole = np.zeros(count * _HOP, dtype=np.float32)
    whole[: min(len(samples), len(whole))] = samples[: len(whole)]
    return np.asarray(np.square(whole).reshape(count, _HOP).mean(axis=1), dtype=np.float32)


def _unit(vector: Vectors) -> Vectors:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)


def _find_weights() -> tuple[Path, str]:
    """Where the package keeps its weights, and its version; nothing of it is imported."""
    spec = importlib.util.find_spec("resemblyzer")
    places = spec.submodule_search_locations if spec is not None else None
    path = Path(places[0]) / "pretrained.pt" if places else None
    if path is None or not path.is_file():
        raise EngineMissing(
            "The speaker encoder is not installed: it lies in the package resemblyzer.",
            next_step="Install it with `pip install 'podcaster[asr]'`.",
        )
    return path, metadata.version("resemblyzer")
