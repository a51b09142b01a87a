"""What a training will need: memory against what is there, and time. Estimates, said beforehand.

Operations by Kaplan et al. (Scaling Laws for Neural Language Models, 2020), with attention's own;
memory as frozen weights, LoRA with its gradients and AdamW's two moments in float32, and the
activations of the rows that are in memory at a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from podcaster.errors import InputError
from podcaster.train.bases import Shape
from podcaster.train.options import TrainOptions
from podcaster.units import format_bytes, format_duration

LOSS_POSITIONS = 1024
SPARE = 1.1  # for what allocators waste
FIXED_BYTES = 600_000_000  # the libraries themselves, and a GPU's context
SMALL_PARAMETERS = 50_000_000  # below, a processor computes in float32
BYTES_4BIT = 0.55  # of a weight in NF4 with its scales


@dataclass(frozen=True)
class Memory:
    """Bytes by what they are for."""

    weights: int
    adapter: int
    activations: int
    loss: int

    @property
    def total(self) -> int:
        """All of it, with what is lost on the way."""
        return int((self.weights + self.adapter + self.activations + self.loss) * SPARE) + (
            FIXED_BYTES
        )


def estimate_memory(
    shape: Shape, options: TrainOptions, *, rank: int, row_tokens: int, bytes_per_value: int
) -> Memory:
    """The memory of one worker; `bytes_per_value` 2 for bf16, 4 for float32."""
    per_weight = BYTES_4BIT if options.quantise_base == "4bit" else bytes_per_value
    embedded = shape.parameters - shape.linear_parameters
    weights = int(shape.linear_parameters * per_weight + embedded * bytes_per_value)
    adapter = shape.lora_parameters(rank) * 16
    attention = (2 * shape.heads + 2 * shape.key_heads) * shape.head_width
    # what a block keeps for its backward pass: inputs of norms, of linear layers and of LoRA
    block = row_tokens * (6 * shape.width + attention + 4 * shape.inner + 7 * rank)
    if options.checkpointing == "on":
        kept = shape.layers * row_tokens * shape.width + block
    else:
        kept = shape.layers * block
    loss = 3 * LOSS_POSITIONS * shape.vocabulary * 4
    return Memory(weights, adapter, kept * bytes_per_value, loss)


def choose_bf16(precision: str, parameters: int, *, gpu: bool, able: bool) -> bool:
    """Whether a model computes in bfloat16, on a device that is `able` to or not.

    A tiny model on a processor stays in float32: it takes minutes anyhow, and nothing is rounded.
    """
    if precision != "auto":
        return precision == "bf16"
    return able and (gpu or parameters >= SMALL_PARAMETERS)


@dataclass(frozen=True)
class Fitted:
    """What fits into a device's memory: options with checkpointing decided, tokens at a time."""

    options: TrainOptions
    row_tokens: int
    memory: Memory
    free_bytes: int
    gpu: bool

    def check(self, base: str, device: str) -> None:
        """Raise InputError that says what to change where even this does not fit."""
        if self.memory.total > self.free_bytes:
            raise InputError(
                f"Training {base} needs about {format_bytes(self.memory.total)}, and {device} has "
                f"{format_bytes(self.free_bytes)} free.",
                next_step=suggest(self.memory, self.free_bytes, self.options, gpu=self.gpu),
            )


def fit_memory(
    shape: Shape,
    options: TrainOptions,
    *,
    rank: int,
    context: int,
    longest: int,
    free_bytes: int,
    gpu: bool,
    bf16: bool,
) -> Fitted:
    """Choose how much is in memory at a time, and whether activations are kept, where nobody says.

    They are kept where the longest example fits with them. A GPU takes four, two or one context at
    a time; a processor gains nothing from more than one example.
    """
    half = choose_bf16(options.precision, shape.parameters, gpu=gpu, able=bf16)

    def measure(told: TrainOptions, tokens: int) -> Memory:
        values = 2 if half else 4
        return estimate_memory(shape, told, rank=rank, row_tokens=tokens, bytes_per_value=values)

    if options.checkpointing == "auto":
        kept = msgspec.structs.replace(options, checkpointing="off")
        fits = measure(kept, options.row_tokens or longest).total <= free_bytes
        options = kept if fits else msgspec.structs.replace(options, checkpointing="on")
    tried = [times * context for times in (4, 2, 1)] if gpu else []
    fitting = (tokens for tokens in tried if measure(options, tokens).total <= free_bytes)
    tokens = max(options.row_tokens or next(fitting, 0), longest)
    return Fitted(options, tokens, measure(options, tokens), free_bytes, gpu)


def count_flops(shape: Shape, lengths: Sequence[int], *, checkpointing: bool = False) -> float:
    """Operations a token: forwards 2, backwards 2 of each frozen weight, and causal attention's.

    What checkpointing computes twice is not counted: it is no progress. `lengths` of sequences.
    """
    head = shape.vocabulary * shape.width
    mean_span = sum(n * n for n in lengths) / max(1, sum(lengths)) / 2
    attention = 12 * shape.layers * shape.heads * shape.head_width * mean_span
    again = 2 * shape.linear_parameters if checkpointing else 0
    return 4.0 * (shape.linear_parameters + head) + attention + again


def suggest(memory: Memory, free_bytes: int, options: TrainOptions, *, gpu: bool) -> str:
    """What to change when it will not fit."""
    if memory.weights > free_bytes:
        if gpu and options.quantise_base == "no":
            return 'Set quantise_base = "4bit" under [train], or choose a smaller `--base`.'
        return "Choose a smaller `--base`, or a machine with more memory."
    if options.checkpointing == "off":
        return 'Set checkpointing = "on" under [train].'
    return "Make the dataset with a smaller `--context`, or lower rank or row_tokens under [train]."


@dataclass(frozen=True)
class Forecast:
    """What a training will need, said before it begins."""

    device: str
    memory: Memory
    free_bytes: int
    steps: int
    tokens: int
    seconds: float | None
    price: float | None
    currency: str

    def format(self) -> str:
        """For people, in two lines."""
        # what a processor does in a second is seen at the first steps
        took = "" if self.seconds is None else f": about {format_duration(self.seconds)}"
        price = "" if self.price is None else f", some {self.price:.2f} {self.currency}"
        return (
            f"memory: about {format_bytes(self.memory.total)} of {format_bytes(self.free_bytes)} "
            f"free on {self.device} (weights {format_bytes(self.memory.weights)}, adapter and "
            f"optimizer {format_bytes(self.memory.adapter)}, activations "
            f"{format_bytes(self.memory.activations)})\n"
            f"at most {self.steps:,} steps over {self.tokens:,} tokens{took}{price}"
        )

    def format_time(self, tokens_per_s: float) -> str:
        """For people, in a line: how long it takes at the speed of the first sequences."""
        took = format_duration(self.tokens / tokens_per_s)
        return f"about {took}, as the first sequences go: {tokens_per_s:,.0f} tokens/s"


def choose_rate(parameters: int) -> float:
    """AdamW's highest rate for LoRA, by the size of the base.

    Ten times what all weights would take, and less for larger models (Schulman et al., LoRA Without
    Regret, 2025): 3e-3 at 5 million parameters, 2e-4 from 7 billion on.
    """
    return float(min(3e-3, max(2e-4, 3e-3 * (5e6 / max(1, parameters)) ** 0.37)))
