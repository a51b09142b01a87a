"""The catalogue: every model that `podcaster setup` can fetch, and the tiers they belong to.

This table is the only home of repositories, file names and checksums; `docs/models.md` says where
each figure was read. Revisions are commits and the checksums are ours, so that what arrives is
what was meant, whatever becomes of the repository.
"""

import difflib
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from podcaster.errors import ConfigError
from podcaster.model import Identifier, Noun, Sha256
from podcaster.setup.packaged import SMOLLM2

BUILTIN_NAME = "builtin"
CONTEXT_TOKENS = 8192  # what the writer uses at most, unless told otherwise
# llama.cpp's compute buffers, the tokenizer and the process around them
OVERHEAD_BYTES = 800_000_000


class Tier(StrEnum):
    """How good, how large: `--quality` chooses one."""

    DRAFT = "draft"
    STANDARD = "standard"
    STUDIO = "studio"


# what comes as a package: by its names it is opened with our adapter, by its own as it is
BUILTIN_NAMES = (BUILTIN_NAME, Tier.DRAFT, SMOLLM2.name)


class Model(Noun, frozen=True):
    """One file on the Hugging Face hub, and what it takes to run it.

    `size_bytes` and `sha256` are exact. `kv_bytes_per_token` is layers × key-value heads × head
    width × 2 (keys and values) × 2 bytes. `active_bytes` is what is read to make one token: the
    whole file, but for a mixture of experts only its active share.
    """

    name: Identifier
    tier: Tier
    kind: Literal["write"]
    repo: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+/[\w.-]+$")]
    filename: Annotated[str, msgspec.Meta(pattern=r"^[\w.-]+\.gguf$")]
    revision: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}$")]
    sha256: Sha256
    size_bytes: Annotated[int, msgspec.Meta(gt=0)]
    active_bytes: Annotated[int, msgspec.Meta(gt=0)]
    kv_bytes_per_token: Annotated[int, msgspec.Meta(ge=0)]
    licence: str
    licence_url: str
    purpose: str

    @property
    def memory_bytes(self) -> int:
        """What it needs to run, about: weights, the cache of a full context, buffers."""
        return self.size_bytes + self.kv_bytes_per_token * CONTEXT_TOKENS + OVERHEAD_BYTES


# within a tier the first is the one that the tier's name stands for
MODELS: tuple[Model, ...] = (
    Model(
        name="qwen3-4b",
        tier=Tier.STANDARD,
        kind="write",
        repo="bartowski/Qwen_Qwen3-4B-Instruct-2507-GGUF",
        filename="Qwen_Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
        revision="ae44f08e1392f39c0e474af10c3ff8355c8b6688",
        sha256="2fde00ce69dd4899c70d020845e2638353015bba0fdf161b3eb965f2bca4464e",
        size_bytes=2_497_280_736,
        active_bytes=2_497_280_736,
        kv_bytes_per_token=36 * 8 * 128 * 2 * 2,
        licence="Apache-2.0",
        licence_url="https://huggingface.co/Qwen/Qwen3-4B-Instruct-2507/blob/main/LICENSE",
        purpose="scripts that follow a thread, on a laptop",
    ),
    Model(
        name="ministral-8b",
        tier=Tier.STANDARD,
        kind="write",
        repo="mistralai/Ministral-3-8B-Instruct-2512-GGUF",
        filename="Ministral-3-8B-Instruct-2512-Q4_K_M.gguf",
        revision="0102285ad796bd99af90f58de616092e5630e970",
        sha256="33e7a72cf5e6e2cfc2f2847075acc013d68bba023e35310cef86b5cf8fdca761",
        size_bytes=5_198_911_904,
        active_bytes=5_198_911_904,
        kv_bytes_per_token=34 * 8 * 128 * 2 * 2,
        licence="Apache-2.0",
        licence_url="https://huggingface.co/mistralai/Ministral-3-8B-Instruct-2512-GGUF",
        purpose="better talk in more languages, from its makers, on a laptop with 16 GB",
    ),
    Model(
        name="mistral-small-24b",
        tier=Tier.STUDIO,
        kind="write",
        repo="unsloth/Mistral-Small-3.2-24B-Instruct-2506-GGUF",
        filename="Mistral-Small-3.2-24B-Instruct-2506-Q4_K_M.gguf",
        revision="b750ec2299225e492f1bd27cab88a0a595fa848f",
        sha256="a3cc56310807ed0d145eaf9f018ccda9ae7ad8edb41ec870aa2454b0d4700b3c",
        size_bytes=14_333_922_848,
        active_bytes=14_333_922_848,
        kv_bytes_per_token=40 * 8 * 128 * 2 * 2,
        licence="Apache-2.0",
        licence_url="https://huggingface.co/mistralai/Mistral-Small-3.2-24B-Instruct-2506",
        purpose="the most natural prose, on a GPU",
    ),
    Model(
        name="qwen3-30b-a3b",
        tier=Tier.STUDIO,
        kind="write",
        repo="unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF",
        filename="Qwen3-30B-A3B-Instruct-2507-Q4_K_M.gguf",
        revision="eea7b2be5805a5f151f8847ede8e5f9a9284bf77",
        sha256="6c997b8af17debdfb01d890214400ccbab00db6acc0ba8da5de1cc906c4774d0",
        size_bytes=18_556_686_752,
        active_bytes=18_556_686_752 * 33 // 305,  # 3.3 of 30.5 billion parameters
        kv_bytes_per_token=48 * 4 * 128 * 2 * 2,
        licence="Apache-2.0",
        licence_url="https://huggingface.co/Qwen/Qwen3-30B-A3B-Instruct-2507/blob/main/LICENSE",
        purpose="a mixture of experts: large, yet quick even without a GPU if 24 GB are there",
    ),
)


def tier_models(tier: Tier) -> tuple[Model, ...]:
    """The models of a tier, the one it stands for first; none for draft, which is packaged."""
    return tuple(model for model in MODELS if model.tier == tier)


def choose_models(names: Sequence[str]) -> tuple[Model, ...]:
    """The models meant by names of models and tiers, in order, none twice.

    A tier stands for its first model; what is packaged (`draft`, `builtin`, `smollm2`) adds
    nothing. Raises ConfigError for a name that is neither.
    """
    chosen: dict[str, Model] = {}
    for name in names:
        for model in lookup_models(name)[:1]:
            chosen[model.name] = model
    return tuple(chosen.values())


def lookup_models(name: str) -> tuple[Model, ...]:
    """The model of this name or all of a tier's. Raises ConfigError with what was perhaps meant."""
    if name in BUILTIN_NAMES:
        return ()
    if name in tuple(Tier):
        return tier_models(Tier(name))
    for model in MODELS:
        if model.name == name:
            return (model,)
    known = [BUILTIN_NAME, *(tier.value for tier in Tier), *(model.name for model in MODELS)]
    close = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise ConfigError(
        f"There is no model {_shorten(name)!r}; there is {', '.join(known)}, "
        "or the path of a .gguf file.",
        next_step=f"{hint}See them all with `podcaster setup`.",
    )


def _shorten(name: str) -> str:
    return name if len(name) <= 80 else name[:79] + "…"
