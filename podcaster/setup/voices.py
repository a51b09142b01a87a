"""Models that speak: XTTS and Kokoro; fetched, found, listed, and their licences accepted.

They are folders on the hub, as those of `speech`. Where a licence binds who uses a model, only that
person can accept it: by naming it to `podcaster setup`. What was accepted, and when, is written
beside the model; without that, the model is neither fetched nor found.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from podcaster.errors import ConfigError, EngineMissing, PodcasterError
from podcaster.model import Noun
from podcaster.progress import Progress
from podcaster.run import write_atomic
from podcaster.setup.speech import SpeechModel, cached_folder, download_speech_model

ACCEPTANCE = "licence-accepted.json"
_LARGEST_ACCEPTANCE_BYTES = 10_000


@dataclass(frozen=True)
class Terms:
    """A licence that the user has to accept: its short name, what it is, and where to read it.

    `file` is its text, which comes with the model.
    """

    name: str
    description: str
    url: str
    file: str


@dataclass(frozen=True)
class VoiceModel:
    """A model that speaks: its folder on the hub, the engine it is for, and its terms if any."""

    files: SpeechModel
    engine: str
    terms: Terms | None = None

    @property
    def name(self) -> str:
        """What `podcaster setup` calls it."""
        return self.files.name


class Acceptance(Noun, frozen=True):
    """What the user accepted: the licence by its name and its text's hash, when, and how."""

    licence: str
    url: str
    licence_sha256: str
    accepted_at: Annotated[str, msgspec.Meta(max_length=40)]
    by_typing: str


@dataclass(frozen=True)
class VoiceOffer:
    """A model that speaks; where it lies if it is here; whether its terms, if any, are accepted."""

    model: VoiceModel
    path: Path | None
    accepted: bool


@dataclass(frozen=True)
class VoiceDownload:
    """What became of a model that was asked for."""

    model: VoiceModel
    path: Path | None
    fetched_bytes: int
    error: PodcasterError | None

    @property
    def name(self) -> str:
        """What `podcaster setup` calls the model."""
        return self.model.name


CPML = Terms(
    name="CPML",
    description="the Coqui Public Model License, which allows non-commercial use only",
    url="https://huggingface.co/coqui/XTTS-v2/blob/main/LICENSE.txt",
    file="LICENSE.txt",
)

VOICE_MODELS: tuple[VoiceModel, ...] = (
    VoiceModel(
        SpeechModel(
            name="xtts-v2",
            kind="speak",
            repo="coqui/XTTS-v2",
            about="1.9 GB",
            licence="CPML",
            purpose="cloned voices in 17 languages, best on a GPU",
            needed=("model.pth", "config.json", "vocab.json", CPML.file),
            wanted=("model.pth", "config.json", "vocab.json", CPML.file),
        ),
        engine="coqui",
        terms=CPML,
    ),
    VoiceModel(
        SpeechModel(
            name="kokoro",
            kind="speak",
            repo="fastrtc/kokoro-onnx",
            about="0.35 GB",
            licence="Apache-2.0",
            purpose="stock voices, quick without a GPU",
            needed=("kokoro-v1.0.onnx", "voices-v1.0.bin"),
            wanted=("kokoro-v1.0.onnx", "voices-v1.0.bin"),
        ),
        engine="kokoro",
    ),
)


def find_voice_model(name: str) -> Path:
    """The folder of a model that speaks, by its name in `podcaster setup`; the network is left be.

    Raises EngineMissing where it is not on this machine, or its licence has not been accepted;
    ConfigError for an unknown name.
    """
    model = _lookup(name)
    if model is None:
        known = ", ".join(one.name for one in VOICE_MODELS)
        raise ConfigError(f"There is no model {name[:80]!r} that speaks; there is {known}.")
    path = cached_folder(model.files)
    if path is None:
        raise EngineMissing(
            f"The model {model.name} (about {model.files.about}, {model.files.licence}) is not on "
            "this machine.",
            next_step=f"Download it with `{_command(model)}`"
            + (f", if you accept {model.terms.url}." if model.terms else "."),
        )
    if not is_accepted(model, path):
        assert model.terms is not None
        raise EngineMissing(
            f"The model {model.name} is here, but nobody has accepted its licence, "
            f"{model.terms.description}.",
            next_step=_how_to_accept(model),
        )
    return path


def list_voice_offers() -> tuple[VoiceOffer, ...]:
    """All models that speak, which are here, and whose licences are accepted."""
    offers = []
    for model in VOICE_MODELS:
        path = cached_folder(model.files)
        accepted = model.terms is None or (path is not None and is_accepted(model, path))
        offers.append(VoiceOffer(model, path, accepted))
    return tuple(offers)


def choose_voice_models(names: Sequence[str]) -> tuple[VoiceModel, ...]:
    """Those of `names` that are models that speak, in order, none twice."""
    return tuple(model for name in dict.fromkeys(names) if (model := _lookup(name)) is not None)


def check_accepting(licences: Sequence[str], models: Sequence[VoiceModel]) -> None:
    """Raise ConfigError for a licence that none of the models asked for has."""
    for licence in licences:
        if any(one.terms and _is_named(licence, one.terms) for one in models):
            continue
        having = [one for one in VOICE_MODELS if one.terms and _is_named(licence, one.terms)]
        if having:
            raise ConfigError(
                f"Nothing was accepted: {licence[:40]} is the licence of {having[0].name}, which "
                "was not asked for.",
                next_step=f"Type `{_command(having[0])}`.",
            )
        known = {one.terms.name for one in VOICE_MODELS if one.terms}
        raise ConfigError(
            f"There is no licence {licence[:40]!r} to accept; there is {', '.join(sorted(known))}."
        )


def download_voice_models(
    models: Sequence[VoiceModel], licences: Sequence[str], progress: Progress
) -> tuple[VoiceDownload, ...]:
    """Fetch models one after the other; one that fails does not stop the rest.

    `licences` are those that the user accepts now, by name.
    """
    results = []
    for model in models:
        try:
            path, fetched_bytes = download_voice_model(model, licences, progress)
            results.append(VoiceDownload(model, path, fetched_bytes, None))
        except PodcasterError as error:
            results.append(VoiceDownload(model, None, 0, error))
    return tuple(results)


def download_voice_model(
    model: VoiceModel, licences: Sequence[str], progress: Progress
) -> tuple[Path, int]:
    """Bring a model's files into the hub's cache: its folder, and the bytes that came now.

    A licence that is accepted now is recorded beside the model once that is there. Raises
    ConfigError, before anything is fetched, where its licence is not accepted; EngineError and
    RunError as `download_speech_model` does.
    """
    here = cached_folder(model.files)
    accepting = model.terms is not None and any(_is_named(one, model.terms) for one in licences)
    if model.terms and not accepting and not (here and is_accepted(model, here)):
        raise ConfigError(
            f"{model.name} was not downloaded: its licence, {model.terms.description}, is yours "
            "to accept or not.",
            next_step=_how_to_accept(model),
        )
    folder, fetched_bytes = download_speech_model(model.files, progress)
    if model.terms and accepting and not is_accepted(model, folder):
        _record_acceptance(model, model.terms, folder)
    return folder, fetched_bytes


def is_accepted(model: VoiceModel, folder: Path) -> bool:
    """Whether the licence that lies in a model's folder, as it reads now, has been accepted."""
    if model.terms is None:
        return True
    try:
        with (folder / ACCEPTANCE).open("rb") as file:
            said = msgspec.json.decode(file.read(_LARGEST_ACCEPTANCE_BYTES), type=Acceptance)
        text = (folder / model.terms.file).read_bytes()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return (
        said.licence == model.terms.name and said.licence_sha256 == hashlib.sha256(text).hexdigest()
    )


def _record_acceptance(model: VoiceModel, terms: Terms, folder: Path) -> None:
    acceptance = Acceptance(
        licence=terms.name,
        url=terms.url,
        licence_sha256=hashlib.sha256((folder / terms.file).read_bytes()).hexdigest(),
        accepted_at=datetime.now(UTC).isoformat(timespec="seconds"),
        by_typing=_command(model),
    )
    data = msgspec.json.format(msgspec.json.encode(acceptance), indent=2)
    write_atomic(folder / ACCEPTANCE, data + b"\n")


def _command(model: VoiceModel) -> str:
    accept = f" --accept-licence {model.terms.name.lower()}" if model.terms else ""
    return f"podcaster setup {model.name}{accept}"


def _how_to_accept(model: VoiceModel) -> str:
    assert model.terms is not None
    return f"Read it at {model.terms.url}; if you accept it, type `{_command(model)}`."


def _is_named(licence: str, terms: Terms) -> bool:
    return licence.strip().casefold() == terms.name.casefold()


def _lookup(name: str) -> VoiceModel | None:
    return next((model for model in VOICE_MODELS if model.name == name), None)
