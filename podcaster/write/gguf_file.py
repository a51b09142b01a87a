"""Look at a GGUF file before llama.cpp does: is it one, of which version, and which exactly."""

import hashlib
import os
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

from podcaster.errors import EngineError, InputError

NEWEST_VERSION = 3
_HEADER = struct.Struct("<4sIQQ")  # magic, version, tensors, metadata entries

_hashes: dict[tuple[str, int, int], str] = {}


def check_gguf(path: Path) -> None:
    """Raise InputError where there is no such file, EngineError where it is not a GGUF model."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(
                f"The model {path} is not a file.", next_step="Name a .gguf file with --model."
            )
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
    except OSError as error:
        raise InputError(
            f"The model {path} cannot be read: {error.strerror or error}.",
            next_step="Name a .gguf file with --model, or leave it out for the built-in model.",
        ) from error
    if header[:4] != b"GGUF":
        raise EngineError(
            f"{path} is not a GGUF model: it begins with {header[:4]!r}, expected b'GGUF'.",
            next_step="Convert it with llama.cpp, or choose another with `podcaster setup`.",
        )
    if len(header) < _HEADER.size:
        raise EngineError(f"The model {path} is cut off after {status.st_size} bytes.")
    version = _HEADER.unpack(header)[1]
    if not 2 <= version <= NEWEST_VERSION:
        raise EngineError(
            f"The model {path} has GGUF version {version}, expected 2 or {NEWEST_VERSION}.",
            next_step="Upgrade podcaster, or convert the model again.",
        )


def sha256_model(path: Path) -> str:
    """Hash a model file once in this process, for as long as its size and time stay the same."""
    status = path.stat()
    key = (os.fspath(path.resolve()), status.st_size, status.st_mtime_ns)
    if key not in _hashes:
        with path.open("rb") as file:
            _hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashes[key]


def hash_together(digests: Sequence[str]) -> str:
    """One hash for files that make a model together, in order."""
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()
