"""What one epoch costs, in time and money: floating-point operations over what a GPU does.

Training takes about `6 x parameters` operations a token (Kaplan et al., Scaling Laws for Neural
Language Models, 2020), LoRA about 4, for it needs no gradients of the frozen weights. Attention
and the loading of data are in `utilisation`. An estimate: good to a factor of two.
"""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec

from podcaster.errors import ConfigError
from podcaster.model import Noun

PRICES_PATH = Path(__file__).parent / "prices.toml"
WORKSPACE_NAME = "prices.toml"
LARGEST_BYTES = 1_000_000
BYTES_PER_PARAMETER = 2  # of frozen bf16 weights
SPARE_MEMORY = 1.25  # for adapters, optimizer and activations with checkpointing
LOOK_TIMEOUT_S = 10

# so far from nothing that no cost becomes infinite
Positive = Annotated[float, msgspec.Meta(ge=1e-6, le=1e9)]
Price = Annotated[float, msgspec.Meta(ge=0, le=1e6)]


class ModelPrice(Noun, frozen=True):
    """A base model: billions of parameters that work on a token."""

    billions: Positive


class GpuPrice(Noun, frozen=True):
    """A GPU: dense bf16 TFLOPS, memory, price an hour; `match` is in the name the driver gives."""

    tflops: Positive
    memory_gb: Positive
    per_hour: Price
    match: str = ""


class Prices(Noun, frozen=True):
    """The price table."""

    as_of: str
    currency: str
    utilisation: Annotated[float, msgspec.Meta(ge=1e-3, le=1)]
    lora_flops_per_token: Positive
    full_flops_per_token: Positive
    models: dict[str, ModelPrice]
    gpus: dict[str, GpuPrice]


@dataclass(frozen=True)
class Cost:
    """One epoch of a model on one GPU; `fits`: whether its weights do, in 16 bits, for LoRA."""

    model: str
    gpu: str
    here: bool
    fits: bool
    lora_hours: float
    lora_price: float
    full_hours: float
    full_price: float


def read_prices(home: Path) -> Prices:
    """The price table; what the workspace's `prices.toml` says replaces ours, table by table.

    Raises ConfigError where it is not a price table.
    """
    values = tomllib.loads(PRICES_PATH.read_text(encoding="utf-8"))
    own = home / WORKSPACE_NAME
    if own.is_file():
        try:
            if own.stat().st_size > LARGEST_BYTES:
                raise ConfigError(f"{own} has more than {LARGEST_BYTES} bytes.")
            values.update(tomllib.loads(own.read_text(encoding="utf-8")))
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{own} is not valid TOML: {error}.") from error
    try:
        return msgspec.convert(values, Prices)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{own} is not a price table: {error}.",
            next_step="Compare it with the one that comes with podcaster, dataset/prices.toml.",
        ) from error


def estimate_costs(tokens: int, prices: Prices, here: Sequence[str] = ()) -> list[Cost]:
    """What one epoch over `tokens` costs on each GPU, by model; `here` are the GPUs at hand."""
    return [
        _estimate(tokens, prices, model, gpu, here)
        for model in prices.models
        for gpu in prices.gpus
    ]


def describe_costs(costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """Costs for scripts."""
    return [asdict(cost) for cost in costs]


def list_gpus() -> list[str]:
    """The GPUs of this machine by the names their driver gives; none where it has none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        said = subprocess.run(  # noqa: S603 - a fixed program, nothing of the user's in it
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=LOOK_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in said.stdout.splitlines() if line.strip()]


def is_called(match: str, name: str) -> bool:
    """Whether a name has the words of `match`, whole: `NVIDIA L4` is no part of `NVIDIA L40S`."""
    return bool(match and re.search(rf"(?<!\w){re.escape(match)}(?!\w)", name))


def match_gpu(name: str, prices: Prices) -> str:
    """Which GPU of the table a driver's name means; nothing where it is not in it."""
    found = [key for key, gpu in prices.gpus.items() if is_called(gpu.match, name)]
    return max(found, key=lambda key: len(prices.gpus[key].match), default="")


def _estimate(tokens: int, prices: Prices, model: str, gpu: str, here: Sequence[str]) -> Cost:
    parameters = prices.models[model].billions * 1e9
    card = prices.gpus[gpu]
    per_hour = card.tflops * 1e12 * prices.utilisation * 3600
    lora = tokens * parameters * prices.lora_flops_per_token / per_hour
    full = tokens * parameters * prices.full_flops_per_token / per_hour
    return Cost(
        model=model,
        gpu=gpu,
        here=any(match_gpu(name, prices) == gpu for name in here),
        fits=parameters * BYTES_PER_PARAMETER * SPARE_MEMORY <= card.memory_gb * 1e9,
        lora_hours=round(lora, 6),
        lora_price=round(lora * card.per_hour, 6),
        full_hours=round(full, 6),
        full_price=round(full * card.per_hour, 6),
    )
