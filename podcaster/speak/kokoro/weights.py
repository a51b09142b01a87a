"""Kokoro's weights: a folder as its releases are, or packaged parts; found, hashed, opened."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from podcaster.errors import EngineError, EngineMissing

LARGEST_MODEL_BYTES = 2_000_000_000
LARGEST_VOICES_BYTES = 500_000_000
_HOW_TO_GET = "Get it with `podcaster setup kokoro`, or see docs/kokoro.md."


@dataclass(frozen=True)
class Weights:
    """Where a model's graph lies, joined of `parts`, its SHA-256, and stock voices if any."""

    parts: tuple[Path, ...]
    sha256: str
    stock: Path | None = None

    def read(self) -> bytes:
        """The graph as bytes. Raises EngineError where it cannot be read or has changed."""
        try:
            data = b"".join(part.read_bytes() for part in self.parts)
        except OSError as error:
            raise EngineError(f"Kokoro's model cannot be read: {error}.") from error
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise EngineError(f"{self.parts[0]} changed while it was read.")
        return data


def find_weights(model: str | Sequence[str], sha256: str = "") -> Weights:
    """The weights in a folder with one `*.onnx` (and one `voices*.bin`), or in parts to be joined.

    `sha256` is what the graph must have. Raises EngineMissing where something is not there or is
    another than was meant, EngineError where it is too large.
    """
    if not model:
        raise EngineMissing("Kokoro needs a model, and none was named.", next_step=_HOW_TO_GET)
    if isinstance(model, str):
        graph = _find_one(model, "*.onnx", "model", LARGEST_MODEL_BYTES)
        parts: tuple[Path, ...] = (graph,)
        stock = None
        if any(Path(model).glob("voices*.bin")):
            stock = _find_one(model, "voices*.bin", "stock voices", LARGEST_VOICES_BYTES)
    else:
        parts, stock = tuple(Path(part) for part in model), None
    try:
        stats = [part.stat() for part in parts]
        found = _hash_joined(parts, tuple((one.st_size, one.st_mtime_ns) for one in stats))
    except OSError as error:
        raise EngineMissing(
            f"Kokoro's model cannot be read: {error}.", next_step=_HOW_TO_GET
        ) from error
    if sha256 and found != sha256:
        raise EngineMissing(
            f"Kokoro's model in {parts[0].parent} is not the one that was meant: its SHA-256 is "
            f"{found}, expected was {sha256}.",
            next_step=_HOW_TO_GET,
        )
    return Weights(parts, found, stock)


def _find_one(folder: str, pattern: str, what: str, largest_bytes: int) -> Path:
    paths = sorted(path for path in Path(folder).glob(pattern) if path.is_file())
    if len(paths) != 1:
        raise EngineMissing(
            f"{folder} has {len(paths)} files {pattern}, expected one: Kokoro's {what}.",
            next_step=_HOW_TO_GET,
        )
    size_bytes = paths[0].stat().st_size
    if not 0 < size_bytes <= largest_bytes:
        raise EngineError(
            f"{paths[0]} has {size_bytes:,} bytes, expected at most {largest_bytes:,}."
        )
    return paths[0]


@cache
def _hash_joined(parts: tuple[Path, ...], _sizes_and_times: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
