"""Mark sound with AudioSeal, and look for its mark (San Roman et al. 2024, arXiv:2401.17264).

The models work at 16 kHz, so the mark lies below 8 kHz; it is added to sound of any rate. Their
published files are pickles that name classes of omegaconf: those become inert here, everything
else that is not a tensor is refused, and the architecture comes from the library's own cards.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from audioseal.builder import (
    AudioSealDetectorConfig,
    AudioSealWMConfig,
    create_detector,
    create_generator,
)
from audioseal.libs.moshi.utils.compile import no_compile
from audioseal.loader import (
    AudioSeal,
    convert_state_dict_for_scriptable_model,
    load_local_model_config,
    load_state_dict,
)
from numpy.typing import NDArray
from omegaconf import OmegaConf

from podcaster.errors import EngineError, EngineMissing, foreign
from podcaster.mark.engine import MESSAGE_BITS, Detection, Samples
from podcaster.placement import choose_device

RATE_HZ = 16_000
GENERATOR, DETECTOR = "generator_base.pth", "detector_base.pth"  # as the hub's folder names them
LARGEST_FILE_BYTES = 1_000_000_000
SHORTEST_S = 0.5  # less is left unmarked
# the same in everything that podcaster marks: it says which program, not whose
MESSAGE = tuple(
    int(bit)
    for bit in np.unpackbits(np.frombuffer(hashlib.sha256(b"podcaster").digest()[:2], "u1"))
)
_INERT = ("omegaconf.", "typing.", "collections.")
_INERT_BUILTINS = frozenset(
    f"builtins.{kind.__name__}" for kind in (bool, dict, float, int, list, set, str, tuple)
)


class AudioSealMarker:
    """A `Marker`. `model` is a folder with the two files; each is read when it is first needed.

    Raises EngineMissing where a file is not there, EngineError where it is not AudioSeal's.
    """

    def __init__(self, *, model: str = "", device: str = "auto") -> None:
        self._folder = Path(model)
        for name in (GENERATOR, DETECTOR):
            path = self._folder / name
            if not model or not path.is_file():
                raise EngineMissing(
                    f"{model or 'No folder'} has no {name}, one of AudioSeal's two files.",
                    next_step="See docs/provenance.md for where they come from.",
                )
            if not 0 < path.stat().st_size <= LARGEST_FILE_BYTES:
                raise EngineError(f"{path} has {path.stat().st_size:,} bytes.")
        self._device = torch.device(choose_device(device, "torch"))
        self._generator: Any = None
        self._detector: Any = None

    @property
    def id(self) -> str:
        """The library's version."""
        return f"audioseal {version('audioseal')}"

    def mark(self, samples: Samples, sample_rate_hz: int) -> Samples:
        """Add the mark to all channels alike. Raises EngineError."""
        if len(samples) < SHORTEST_S * sample_rate_hz:
            return samples
        if self._generator is None:
            self._generator = self._load(GENERATOR)
        mono = samples if samples.ndim == 1 else samples.mean(axis=1)
        with foreign(EngineError, "Marking sound with AudioSeal"), _eagerly():
            sound = torch.from_numpy(_resample(mono, sample_rate_hz, RATE_HZ)).to(self._device)
            message = torch.tensor([MESSAGE], device=self._device)
            quiet = self._generator.get_watermark(sound[None, None], message=message)[0, 0]
        added = np.zeros(len(samples), dtype=np.float32)
        mark = _resample(quiet.float().cpu().numpy(), RATE_HZ, sample_rate_hz)[: len(samples)]
        added[: len(mark)] = mark
        if not np.isfinite(added).all():
            raise EngineError("AudioSeal made a mark that is no number: its file is damaged.")
        marked: Samples = samples + (added if samples.ndim == 1 else added[:, None])
        return marked

    def detect(self, blocks: Iterable[Samples], sample_rate_hz: int) -> Detection:
        """Look for the mark in mono sound, block by block. Raises EngineError."""
        if self._detector is None:
            self._detector = self._load(DETECTOR)
        marked, count = 0, 0
        votes = np.zeros(MESSAGE_BITS)
        for block in blocks:
            if len(block) < SHORTEST_S * sample_rate_hz:
                continue
            with foreign(EngineError, "Looking for AudioSeal's mark"), _eagerly():
                sound = torch.from_numpy(_resample(block, sample_rate_hz, RATE_HZ))
                result, message = self._detector(sound[None, None].to(self._device))
                here = int((result[0, 1] > 0.5).sum())
                # a message is meant only where a mark is
                votes += here * (message[0].float().cpu().numpy() - 0.5)
            marked, count = marked + here, count + result.shape[-1]
        bits = sum(int(vote > 0) == bit for vote, bit in zip(votes, MESSAGE, strict=True))
        return Detection(share=marked / count if count else 0.0, matching_bits=bits)

    def close(self) -> None:
        """Free the models."""
        self._generator = self._detector = None

    def _load(self, name: str) -> Any:
        path = self._folder / name
        generator = name == GENERATOR
        card = "audioseal_wm_16bits" if generator else "audioseal_detector_16bits"
        kind = AudioSealWMConfig if generator else AudioSealDetectorConfig
        with foreign(EngineError, f"Reading {path} as AudioSeal's weights"):
            values: Any = OmegaConf.to_container(load_local_model_config(card))
            config = AudioSeal.parse_config(values, config_type=kind)
            model = (create_generator if generator else create_detector)(config)
            state = convert_state_dict_for_scriptable_model(read_weights(path))
            load_state_dict(model, state_dict=state)
        return model.to(self._device).eval()


def read_weights(path: Path) -> dict[str, Any]:
    """Read the tensors of a checkpoint; nothing that it names is run.

    Raises ValueError for a file that names more than tensors and omegaconf's classes.
    """
    names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    strange = [n for n in names if not n.startswith(_INERT) and n not in _INERT_BUILTINS]
    if strange:
        raise ValueError(f"it names {', '.join(strange)[:200]}, expected nothing but tensors")
    inert = [(type("Inert", (_Inert,), {}), name) for name in names]
    with torch.serialization.safe_globals(inert):
        found = torch.load(path, map_location="cpu", weights_only=True)
    found = found.get("best_state", found)
    state = found.get("model", found)
    if not state or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError("it holds no weights")
    return dict(state)


class _Inert(dict):  # type: ignore[type-arg]
    """What stands for a class that a checkpoint names: it takes anything and does nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__()

    def __setstate__(self, _: object) -> None:
        pass


@contextmanager
def _eagerly() -> Iterator[None]:
    """Compute without gradients, and without the compiler that the library asks for.

    It takes minutes and a C++ compiler, for each new length.
    """
    with torch.inference_mode(), no_compile():
        yield


def _resample(samples: NDArray[np.float32], from_hz: int, to_hz: int) -> NDArray[np.float32]:
    result: NDArray[np.float32] = soxr.resample(samples, from_hz, to_hz).astype(np.float32)
    return result
