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
# wav2vec 2.0 models on the Hugging Face hub that spell in characters, by language
ALIGNER_REPOSITORIES = {
    "ar": "jonatasgrosman/wav2vec2-large-xlsr-53-arabic",
    "ca": "softcatala/wav2vec2-large-xlsr-catala",
    "cs": "comodoro/wav2vec2-xls-r-300m-cs-250",
    "da": "saattrupdan/wav2vec2-xls-r-300m-ftspeech",
    "de": "jonatasgrosman/wav2vec2-large-xlsr-53-german",
    "el": "jonatasgrosman/wav2vec2-large-xlsr-53-greek",
    "en": "facebook/wav2vec2-base-960h",
    "es": "jonatasgrosman/wav2vec2-large-xlsr-53-spanish",
    "fa": "jonatasgrosman/wav2vec2-large-xlsr-53-persian",
    "fi": "jonatasgrosman/wav2vec2-large-xlsr-53-finnish",
    "fr": "jonatasgrosman/wav2vec2-large-xlsr-53-french",
    "he": "imvladikon/wav2vec2-xls-r-300m-hebrew",
    "hi": "theainerd/Wav2Vec2-large-xlsr-hindi",
    "hu": "jonatasgrosman/wav2vec2-large-xlsr-53-hungarian",
    "it": "jonatasgrosman/wav2vec2-large-xlsr-53-italian",
    "ja": "jonatasgrosman/wav2vec2-large-xlsr-53-japanese",
    "ko": "kresnik/wav2vec2-large-xlsr-korean",
    "nl": "jonatasgrosman/wav2vec2-large-xlsr-53-dutch",
    "no": "NbAiLab/nb-wav2vec2-1b-bokmaal-v2",
    "pl": "jonatasgrosman/wav2vec2-large-xlsr-53-polish",
    "pt": "jonatasgrosman/wav2vec2-large-xlsr-53-portuguese",
    "ro": "gigant/romanian-wav2vec2",
    "ru": "jonatasgrosman/wav2vec2-large-xlsr-53-russian",
    "sv": "KBLab/wav2vec2-large-voxrex-swedish",
    "tr": "mpoyraz/wav2vec2-xls-r-300m-cv7-turkish",
    "uk": "Yehor/wav2vec2-xls-r-300m-uk-with-small-lm",
    "vi": "nguyenvulebinh/wav2vec2-base-vi-vlsp2020",
    "zh": "jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn",
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
    found = find_snapshot(ALIGNER_REPOSITORIES[language], ALIGNER_FILES)
    if found is None or not _is_aligner(found):
        raise EngineMissing(
            f"The alignment model for {language!r} is not on this machine.",
            next_step=f"Download it with `podcaster setup align-{language}`, or set "
            'align = "none" under [transcribe].',
        )
    return found


def find_snapshot(repository: str, needed: Sequence[str]) -> Path | None:
    """The folder of a repository in the hub's cache that has all `needed` files, or None."""
    from huggingface_hub import try_to_load_from_cache

    found = [try_to_load_from_cache(repository, name) for name in needed]
    paths = [Path(path) for path in found if isinstance(path, str)]
    return paths[0].parent if len(paths) == len(needed) else None


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
