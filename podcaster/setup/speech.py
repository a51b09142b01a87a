"""Models that listen: Whisper for faster-whisper, and what times words; fetched, found, listed.

These are folders of several files. One small Whisper for English comes as a package
(`packaged.py`); the rest is on the hub. What that has at the time of the download is taken, at one
commit; large files are checked against the hashes that the hub states. Files that hold code or
pickled objects are never fetched.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from podcaster.errors import ConfigError, EngineError, EngineMissing, PodcasterError
from podcaster.progress import Progress
from podcaster.setup.download import TIMEOUT_S, download_file, explaining, open_hub
from podcaster.setup.machine import hub_cache_folder
from podcaster.setup.packaged import WHISPER_TINY_EN, find_packaged
from podcaster.transcribe.models import ALIGNER_REPOSITORIES

SpeechKind = Literal["transcribe", "align", "speak"]
AUTO = "auto"


@dataclass(frozen=True)
class SpeechModel:
    """A model's folder on the hub; `about` is its size in words, for nobody checked it.

    `needed` are the files without which it does not work, `wanted` patterns of all that are taken.
    """

    name: str
    kind: SpeechKind
    repo: str
    about: str
    licence: str
    purpose: str
    needed: tuple[str, ...]
    wanted: tuple[str, ...]

    # what messages about a download need to know of it
    filename: str = "model"
    revision: str = "main"
    sha256: str = ""
    size_bytes: int = 0


@dataclass(frozen=True)
class SpeechOffer:
    """A speech model, and where it lies if it is here."""

    model: SpeechModel
    path: Path | None


@dataclass(frozen=True)
class SpeechDownload:
    """What became of a speech model that was asked for."""

    model: SpeechModel
    path: Path | None
    fetched_bytes: int
    error: PodcasterError | None


@dataclass(frozen=True)
class _File:
    """A large file of a model, as the hub describes it."""

    name: str
    repo: str
    filename: str
    revision: str
    sha256: str
    size_bytes: int


def _whisper(size: str, about: str, purpose: str, repo: str = "") -> SpeechModel:
    return SpeechModel(
        name=f"whisper-{size}",
        kind="transcribe",
        repo=repo or f"Systran/faster-whisper-{size}",
        about=about,
        licence="MIT",
        purpose=purpose,
        needed=("model.bin", "config.json", "tokenizer.json"),
        wanted=("model.bin", "*.json", "vocabulary.txt"),
    )


def _wav2vec2(language: str, repo: str) -> SpeechModel:
    return SpeechModel(
        name=f"align-{language}",
        kind="align",
        repo=repo,
        about="0.4 GB" if language == "en" else "1.3 GB",
        licence="Apache-2.0",
        purpose=f"exact times of words ({language})",
        needed=("model.safetensors", "config.json", "vocab.json", "preprocessor_config.json"),
        wanted=("model.safetensors", "*.json"),
    )


SPEECH_MODELS: tuple[SpeechModel, ...] = (
    _whisper(
        "large-v3-turbo",
        "1.6 GB",
        "the best for its time, on a GPU or a patient laptop",
        "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    ),
    _whisper("large-v3", "3.1 GB", "the most exact, on a GPU"),
    _whisper("medium", "1.5 GB", "between"),
    _whisper("small", "0.5 GB", "good enough on a laptop"),
    _whisper("base", "0.15 GB", "quick"),
    _whisper("tiny", "0.08 GB", "a first try"),
    *(_wav2vec2(language, repo) for language, repo in ALIGNER_REPOSITORIES.items()),
)


def choose_whisper(name_or_folder: str) -> str:
    """What `auto` means on this machine: the best Whisper that was downloaded, else the packaged
    one; any other name is meant as it is. Nothing is opened.
    """
    if name_or_folder != AUTO:
        return name_or_folder
    listening = (model for model in SPEECH_MODELS if model.kind == "transcribe")
    here = (model.name for model in listening if cached_folder(model) is not None)
    return next(here, WHISPER_TINY_EN.name)


def describe_limits(name: str) -> str:
    """What to know before one listens with this model, and what to type for a better; "" if nothing
    need be said.
    """
    if name != WHISPER_TINY_EN.name:
        return ""
    return (
        f"Listening with {name}, which comes along: it is small, and knows English only. For other "
        "languages, or more exact words: `podcaster setup whisper-small`."
    )


def find_speech_model(name_or_folder: str) -> Path:
    """The folder of a Whisper model: by name if it is here, or a folder; `auto`: the best here.

    Raises EngineMissing where it is not on this machine, or is another than was meant, ConfigError
    for what is neither.
    """
    name_or_folder = choose_whisper(name_or_folder)
    if name_or_folder == WHISPER_TINY_EN.name:
        return find_packaged(name_or_folder).folder
    model = _lookup(name_or_folder)
    if model is not None:
        path = cached_folder(model)
        if path is None:
            raise EngineMissing(
                f"The model {model.name} (about {model.about}, {model.licence}) is not on this "
                "machine.",
                next_step=f"Download it with `podcaster setup {model.name}`.",
            )
        return path
    folder = Path(name_or_folder).expanduser()
    if folder.is_dir():
        return folder.absolute()
    names = [one.name for one in SPEECH_MODELS if one.kind == "transcribe"]
    names.append(WHISPER_TINY_EN.name)
    close = difflib.get_close_matches(name_or_folder, names, n=1)
    raise ConfigError(
        f"There is no Whisper model {name_or_folder[:200]!r}; there is {', '.join(names)}, or a "
        "folder with one for faster-whisper.",
        next_step=f"Did you mean {close[0]!r}?" if close else "See `podcaster setup`.",
    )


def find_align_models() -> dict[str, str]:
    """The folders of the models that time words and are on this machine, by language code."""
    found = {}
    for model in SPEECH_MODELS:
        path = cached_folder(model) if model.kind == "align" else None
        if path is not None:
            found[model.name.removeprefix("align-")] = str(path)
    return found


def list_speech_offers() -> tuple[SpeechOffer, ...]:
    """All speech models that can be downloaded, and which are here."""
    return tuple(SpeechOffer(model, cached_folder(model)) for model in SPEECH_MODELS)


def choose_speech_models(names: Sequence[str]) -> tuple[SpeechModel, ...]:
    """Those of `names` that are speech models, in order."""
    return tuple(model for name in names if (model := _lookup(name)) is not None)


def cached_folder(model: SpeechModel) -> Path | None:
    """Where a downloaded model lies in the hub's cache, with all files that it needs; the newest.

    The network is never touched.
    """
    snapshots = hub_cache_folder() / f"models--{model.repo.replace('/', '--')}" / "snapshots"
    if not snapshots.is_dir():
        return None
    whole = [
        folder
        for folder in snapshots.iterdir()
        if all((folder / name).is_file() for name in model.needed)
    ]
    return max(whole, key=lambda folder: folder.stat().st_mtime, default=None)


def download_speech_models(
    models: Sequence[SpeechModel], progress: Progress
) -> tuple[SpeechDownload, ...]:
    """Fetch models one after the other; one that fails does not stop the rest."""
    results = []
    for model in models:
        try:
            path, fetched_bytes = download_speech_model(model, progress)
            results.append(SpeechDownload(model, path, fetched_bytes, None))
        except PodcasterError as error:
            results.append(SpeechDownload(model, None, 0, error))
    return tuple(results)


def download_speech_model(model: SpeechModel, progress: Progress) -> tuple[Path, int]:
    """Bring a model's files into the hub's cache: its folder, and the bytes that came now.

    A download that was cut off goes on where it stopped. Raises EngineError, RunError as
    `download.download_model` does.
    """
    here = cached_folder(model)
    if here is not None:
        return here, 0
    fetched_bytes = 0
    with explaining(model):
        info = open_hub().HfApi().model_info(model.repo, files_metadata=True, timeout=TIMEOUT_S)
    for sibling in _choose_files(model, info.siblings or ()):
        if sibling.lfs is not None:
            file = _File(
                model.name, model.repo, sibling.rfilename, info.sha, sibling.lfs.sha256,
                sibling.size,
            )  # fmt: skip
            fetched_bytes += download_file(file, progress)[1]
            continue
        with explaining(model):
            open_hub().hf_hub_download(
                model.repo, sibling.rfilename, revision=info.sha, etag_timeout=TIMEOUT_S
            )
        fetched_bytes += sibling.size or 0
    folder = cached_folder(model)
    if folder is None:
        raise EngineError(
            f"{model.repo} on the hub lacks one of {', '.join(model.needed)}.",
            next_step="Choose another model of `podcaster setup`.",
        )
    return folder, fetched_bytes


def _choose_files(model: SpeechModel, siblings: Sequence[Any]) -> Iterator[Any]:
    # files in subfolders are other formats' (ONNX, TensorFlow), which nobody asked for
    for sibling in siblings:
        name = sibling.rfilename
        if "/" not in name and any(fnmatchcase(name, pattern) for pattern in model.wanted):
            yield sibling


def _lookup(name: str) -> SpeechModel | None:
    return next((model for model in SPEECH_MODELS if model.name == name), None)
