"""Find models that are on this machine already; the network is never touched."""

from pathlib import Path

from podcaster.builtin import ADAPTER_PATH
from podcaster.errors import EngineMissing, InputError
from podcaster.model import Noun
from podcaster.setup.catalogue import (
    BUILTIN_NAME,
    BUILTIN_NAMES,
    MODELS,
    Model,
    Tier,
    lookup_models,
    tier_models,
)
from podcaster.setup.machine import MachineReport, Verdict, fits
from podcaster.setup.packaged import SMOLLM2, find_packaged
from podcaster.units import format_bytes


class Offer(Noun, frozen=True):
    """One line of what `podcaster setup` lists; `path` is where the model lies, if it is here."""

    tier: Tier
    name: str
    purpose: str
    size_bytes: int
    licence: str
    licence_url: str
    verdict: Verdict
    path: str | None


def find_model(name_or_path: str) -> Path:
    """The GGUF file meant by `builtin`, a model's or tier's name, or a path.

    Of a tier, the first model that is on this machine. Raises EngineMissing where it is not
    downloaded, InputError where a path leads to no file, ConfigError for an unknown name.
    """
    if name_or_path in BUILTIN_NAMES:
        return find_packaged(SMOLLM2.name).paths[0]
    if _looks_like_path(name_or_path):
        return _find_file(name_or_path)
    models = lookup_models(name_or_path)
    for model in models:
        path = cached_path(model)
        if path is not None:
            return path
    raise EngineMissing(
        f"The model {name_or_path} ({format_bytes(models[0].size_bytes)}, {models[0].licence}) is "
        "not on this machine.",
        next_step=f"Download it with `podcaster setup {name_or_path}`.",
    )


def find_adapter(name_or_path: str) -> str:
    """The LoRA adapter that belongs to a model: ours to the built-in one, none to any other."""
    builtin = name_or_path in (BUILTIN_NAME, Tier.DRAFT)
    return str(ADAPTER_PATH) if builtin and ADAPTER_PATH.is_file() else ""


def find_stand_in() -> Model | None:
    """The best downloaded model that can write where the packaged one is damaged or gone."""
    return next((model for model in MODELS if cached_path(model) is not None), None)


def cached_path(model: Model) -> Path | None:
    """Where a downloaded model lies in the hub's cache, at its revision and of its full size."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(model.repo, model.filename, revision=model.revision)
    if not isinstance(found, str):
        return None
    path = Path(found)
    return path if path.stat().st_size == model.size_bytes else None


def list_offers(machine: MachineReport) -> tuple[Offer, ...]:
    """Every model, tier by tier, with what this machine makes of it and whether it is here."""
    offers = [_offer_builtin()]
    for model in (model for tier in Tier for model in tier_models(tier)):
        path = cached_path(model)
        offers.append(
            Offer(
                tier=model.tier,
                name=model.name,
                purpose=model.purpose,
                size_bytes=model.size_bytes,
                licence=model.licence,
                licence_url=model.licence_url,
                verdict=fits(model, machine, downloaded=path is not None),
                path=str(path) if path else None,
            )
        )
    return tuple(offers)


def _offer_builtin() -> Offer:
    try:
        path: Path | None = find_model(BUILTIN_NAME)
    except EngineMissing:
        path = None
    return Offer(
        tier=Tier.DRAFT,
        name=BUILTIN_NAME,
        purpose=SMOLLM2.purpose,
        size_bytes=SMOLLM2.size_bytes,
        licence=SMOLLM2.licence,
        licence_url=SMOLLM2.licence_url,
        verdict=Verdict(level="runs well", reason="made for two cores and no GPU"),
        path=str(path) if path else None,
    )


def _looks_like_path(text: str) -> bool:
    return text.lower().endswith(".gguf") or "/" in text or "\\" in text or text.startswith("~")


def _find_file(text: str) -> Path:
    try:
        path = Path(text).expanduser()
        if path.is_file():
            return path
        found = "that is a folder" if path.is_dir() else "no file is there"
    except (OSError, ValueError, RuntimeError) as error:
        found = str(error)
    raise InputError(
        f"The model {text[:200]!r} cannot be opened: {found}.",
        next_step="Name a .gguf file that exists, `builtin`, or a model of `podcaster setup`.",
    )
