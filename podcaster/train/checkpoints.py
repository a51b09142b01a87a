"""Checkpoints: the adapter, the optimizer's state and where training stood; data, never pickles.

    checkpoints/step-00000120/adapter.safetensors  optimizer.safetensors  state.json

`state.json` is written last and holds the hashes of the others. A checkpoint that was cut in half
is passed over for the one before it.
"""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from safetensors.torch import load_file, save_file

from podcaster.model import Noun
from podcaster.run import make_folder, sha256_file, write_atomic, writing

STATE = "state.json"
ADAPTER = "adapter.safetensors"
OPTIMIZER = "optimizer.safetensors"
BEST = "best.safetensors"
KEPT = 2  # the newest, and one in case it is damaged

_NAME = re.compile(r"^step-(\d{8})$")


class Point(Noun, frozen=True):
    """A point of the curve. `validation` is None where nothing is held out or looked at.

    `loss` is the mean of the step in nats a token, `tokens` those learned from since the start;
    `mfu` is None where the device's peak is unknown.
    """

    step: int
    tokens: int
    loss: float
    learning_rate: float
    tokens_per_s: float
    mfu: float | None = None
    validation: float | None = None
    validation_host: float | None = None
    validation_guest: float | None = None


class State(Noun, frozen=True):
    """Where training stands after `step` steps; `expected` says of which training it is.

    `best_step` is the step of the least held-out loss, whose adapter is kept beside; `worse` counts
    looks since then.
    """

    expected: str
    step: int
    tokens: int
    points: tuple[Point, ...]
    best_step: int
    best_loss: float | None
    worse: int
    stopped: bool
    seconds: float
    hashes: dict[str, str]
    base_host: float | None = None
    base_guest: float | None = None
    base_loss: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint, read."""

    state: State
    adapter: dict[str, torch.Tensor]
    best: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]


def save_checkpoint(
    folder: Path,
    state: State,
    *,
    adapter: Mapping[str, torch.Tensor],
    best: Mapping[str, torch.Tensor],
    optimizer: Mapping[str, torch.Tensor],
) -> Path:
    """Write a checkpoint, then remove all but the newest of this training.

    Raises RunError where it cannot.
    """
    path = folder / f"step-{state.step:08d}"
    shutil.rmtree(path, ignore_errors=True)
    make_folder(path)
    hashes: dict[str, str] = {}
    with writing(path):
        for name, tensors in ((ADAPTER, adapter), (BEST, best), (OPTIMIZER, optimizer)):
            save_file(dict(tensors), path / name)
            hashes[name] = sha256_file(path / name)
    whole = msgspec.structs.replace(state, hashes=hashes)
    write_atomic(path / STATE, msgspec.json.encode(whole))
    # what another training left, or a damaged one of a later step, would pass for newer than ours
    own = [p for p in _list(folder) if p.name <= path.name and _belongs(p, state.expected)]
    for old in _list(folder):
        if old not in own[:KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return path


def load_checkpoint(folder: Path, expected: str) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint of a training, and the names of those that are damaged."""
    damaged: list[str] = []
    for path in _list(folder):
        try:
            state = msgspec.json.decode((path / STATE).read_bytes(), type=State)
            if state.expected != expected:
                continue
            for name, wanted in state.hashes.items():
                if sha256_file(path / name) != wanted:
                    raise ValueError(name)
            tensors = [load_file(path / name) for name in (ADAPTER, BEST, OPTIMIZER)]
        except Exception:  # noqa: BLE001 (whatever half a file does to its reader)
            damaged.append(path.name)
            continue
        return Checkpoint(state, *tensors), damaged
    return None, damaged


def _belongs(path: Path, expected: str) -> bool:
    try:
        return msgspec.json.decode((path / STATE).read_bytes(), type=State).expected == expected
    except (OSError, msgspec.MsgspecError):
        return False


def _list(folder: Path) -> list[Path]:
    """Checkpoints, the newest first."""
    found = folder.glob("step-*") if folder.is_dir() else ()
    return sorted((p for p in found if _NAME.match(p.name)), reverse=True)
