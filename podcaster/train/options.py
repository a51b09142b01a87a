"""Options of the stage `train`: the table `[train]` of the configuration."""

from typing import Annotated, Literal

import msgspec

from podcaster.model import Noun

Roles = Literal["both", "host", "guest"]
Schedule = Literal["cosine", "trapezoidal"]
Precision = Literal["auto", "bf16", "fp32"]
Quantised = Literal["no", "4bit"]
Checkpointing = Literal["auto", "on", "off"]

MOST_STEPS = 1_000_000


class TrainOptions(Noun, frozen=True):
    """What is trained on what, and for how long. `workers` and `row_tokens` do not affect it."""

    base: Annotated[
        str,
        msgspec.Meta(
            description="the model to start from: `builtin`, a folder, or a model of the hub's "
            "cache (org/name)"
        ),
    ] = "builtin"
    roles: Annotated[Roles, msgspec.Meta(description="whose words it learns")] = "both"
    epochs: Annotated[
        float, msgspec.Meta(gt=0, le=1000, description="how often it reads the dataset, at most")
    ] = 3.0
    max_steps: Annotated[
        int, msgspec.Meta(ge=0, le=MOST_STEPS, description="steps at most; 0: as epochs say")
    ] = 0
    batch_tokens: Annotated[
        int,
        msgspec.Meta(ge=0, le=100_000_000, description="tokens of a step; 0: eight contexts"),
    ] = 0
    row_tokens: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=10_000_000, description="tokens in memory at a time; 0: what fits, at most "
            "four contexts on a GPU, one example on a processor"
        ),
    ] = 0  # fmt: skip
    learning_rate: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="AdamW's highest; 0: by the model's size")
    ] = 0.0  # fmt: skip
    schedule: Annotated[
        Schedule, msgspec.Meta(description="how the learning rate falls: cosine, trapezoidal")
    ] = "cosine"
    warmup: Annotated[
        float, msgspec.Meta(ge=0, le=0.5, description="share of the steps in which it rises")
    ] = 0.03
    rank: Annotated[
        int, msgspec.Meta(ge=0, le=1024, description="of the LoRA matrices; 0: by the model's size")
    ] = 0
    alpha: Annotated[
        float, msgspec.Meta(ge=0, le=4096, description="LoRA's scale; 0: twice the rank")
    ] = 0.0  # fmt: skip
    dropout: Annotated[float, msgspec.Meta(ge=0, le=0.9, description="before LoRA")] = 0.0
    weight_decay: Annotated[float, msgspec.Meta(ge=0, le=1, description="of AdamW")] = 0.0
    quantise_base: Annotated[
        Quantised, msgspec.Meta(description="4bit: QLoRA, with bitsandbytes on a GPU")
    ] = "no"
    precision: Annotated[
        Precision, msgspec.Meta(description="of the arithmetic; auto: bf16 where it is quick")
    ] = "auto"
    checkpointing: Annotated[
        Checkpointing,
        msgspec.Meta(
            description="compute activations twice instead of keeping them: on, off; auto: off "
            "where memory suffices"
        ),
    ] = "auto"
    evaluations: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="looks at the held-out loss per epoch")
    ] = 4
    patience: Annotated[
        int,
        msgspec.Meta(ge=0, le=1000, description="looks without a better loss at most; 0: any"),
    ] = 4  # fmt: skip
    seed: Annotated[
        int, msgspec.Meta(ge=0, le=2**31 - 1, description="of the order and the LoRA matrices")
    ] = 0
    workers: Annotated[
        int, msgspec.Meta(ge=0, le=4096, description="GPUs, or processes without GPU; 0 and 1: one")
    ] = 0
