"""Speech models: which there are for aligning, where they lie, and what identifies one.

Nothing heavy is imported: the driver asks this before it opens an engine, to decide whether there
is anything to do.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from podcaster.errors import EngineError, EngineMissing, RunError, foreign
from podcaster.run import sha256_file

TRANSCRIBER_PACKAGES = ("faster-whisper", "ctranslate2")
ALIGNER_PACKAGES = ("whisperx", "torch")
# without tokenizer.json, faster-whisper would fetch one of another model from the network
TRANSCRIBER_FILES = ("model.bin", "config.json", "tokenizer.json")
ALIGNER_FILES = ("config.json", "preprocessor_config.json", "vocab.json")
ALIGNER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_XLSR = "jonatasgrosman/wav2vec2-large-xlsr-53-"
# wav2vec 2.0 models on the Hugging Face hub that spell in letters: what `podcaster setup` fetches
ALIGNER_REPOSITORIES = {
    "en": "facebook/wav2vec2-base-960h",
    "ar": f"{_XLSR}arabic",
    "de": f"{_XLSR}german",
    "el": f"{_XLSR}greek",
    "es": f"{_XLSR}spanish",
    "fa": f"{_XLSR}persian",
    "fi": f"{_XLSR}finnish",
    "fr": f"{_XLSR}french",
    "hu": f"{_XLSR}hungarian",
    "it": f"{_XLSR}italian",
    "ja": f"{_XLSR}japanese",
    "nl": f"{_XLSR}dutch",
    "pl": f"{_XLSR}polish",
    "pt": f"{_XLSR}portuguese",
    "ru": f"{_XLSR}russian",
    "zh": f"{_XLSR}chinese-zh-cn",
}
_HASH_CHARACTERS = 12
_DATA_SUFFIXES = frozenset({".bin", ".safetensors", ".json", ".txt"})


def identify_transcriber(folder: Path) -> str:
    """The id of faster-whisper with the model in `folder`, without loading it.

    Raises EngineError where the folder holds no such model, EngineMissing where the libraries are
    not installed.
    """
    check_transcriber_folder(folder)
    return identify(TRANSCRIBER_PACKAGES, folder)


def check_transcriber_folder(folder: Path) -> None:
    """Raise EngineError unless all that faster-whisper needs of a model lies in `folder`."""
    missing = [name for name in TRANSCRIBER_FILES if not (folder / name).is_file()]
    if not missing:
        return
    found = f"there is no {' and no '.join(missing)} in it" if folder.is_dir() else "it is none"
    raise EngineError(
        f"{folder} is not a folder with a Whisper model for faster-whisper: {found}.",
        next_step="Name a model that `podcaster setup` lists, or a folder that "
        "ct2-transformers-converter made with `--copy_files tokenizer.json "
        "preprocessor_config.json`.",
    )


def find_aligner_folder(language: str, model: str = "") -> Path:
    """Where the alignment model for a language lies: the folder `model`, or in the hub's cache.

    Raises EngineMissing where it is not on this machine, or none is known; EngineError where
    `model` is a folder without such a model.
    """
    if model:
        folder = Path(model).expanduser()
        if not _is_aligner(folder):
            raise EngineError(
                f"{folder} is not a folder with a wav2vec 2.0 model: it must hold "
                f"{', '.join(ALIGNER_FILES)} and {' or '.join(ALIGNER_WEIGHTS)}."
            )
        return folder
    if language not in ALIGNER_REPOSITORIES:
        raise EngineMissing(
            f"No alignment model is known for the language {language!r}.",
            next_step='Set align = "none" under [transcribe]: the words keep Whisper\'s own times.',
        )
    found = _find_in_cache(ALIGNER_REPOSITORIES[language])
    if found is None:
        raise EngineMissing(
            f"The alignment model for {language!r} is not on this machine.",
            next_step=f"Download it with `podcaster setup align-{language}`, or set "
            'align = "none" under [transcribe].',
        )
    return found


def _find_in_cache(repository: str) -> Path | None:
    """The newest whole copy of an alignment model in the hub's cache; nothing is fetched."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    whole = [path for path in folder.glob("snapshots/*") if _is_aligner(path)]
    return max(whole, key=lambda path: path.stat().st_mtime, default=None)


def _is_aligner(folder: Path) -> bool:
    whole = all((folder / name).is_file() for name in ALIGNER_FILES)
    return whole and any((folder / name).is_file() for name in ALIGNER_WEIGHTS)


def identify(packages: Sequence[str], folder: Path) -> str:
    """Libraries with versions, the model's name and a hash of its files.

    Raises EngineMissing where a library is not installed, RunError where a file cannot be read.
    """
    parts = [f"{package} {_version(package)}" for package in packages]
    with foreign(RunError, f"Reading the model in {folder}", OSError):
        parts.append(f"{_name(folder)} {hash_model(folder)[:_HASH_CHARACTERS]}")
    return ", ".join(parts)


def hash_model(folder: Path) -> str:
    """SHA-256 of all data files of a model's folder; read once in a process. Raises OSError."""
    files = tuple(
        (path, path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.iterdir())
        if path.suffix in _DATA_SUFFIXES and path.is_file()
    )
    return _hash_files(files)


@lru_cache(maxsize=16)
def _hash_files(files: tuple[tuple[Path, int, int], ...]) -> str:
    total = hashlib.sha256()
    for path, _, _ in files:
        total.update(f"{path.name}\0{sha256_file(path)}\n".encode())
    return total.hexdigest()


def _name(folder: Path) -> str:
    """What to call a model: in the hub's cache its folder is a commit, below the repository's."""
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.rpartition("--")[2]
    return folder.name


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise EngineMissing(
            f"The library {package} is not installed.",
            next_step="Install it with `pip install 'podcaster[asr]'`.",
        ) from error
