"""Options of the stage `dataset`: the table `[dataset]` of the configuration."""

from typing import Annotated, Literal

import msgspec

from podcaster.model import Noun

Learn = Literal["guest", "host"]

FEWEST_CONTEXT_TOKENS = 128


class DatasetOptions(Noun, frozen=True):
    """What becomes an example, and how long it may be. `workers` does not affect the result."""

    tokenizer: Annotated[
        str,
        msgspec.Meta(
            description="whose tokens count: a .gguf, a tokenizer.json, or a model's folder; "
            "nothing: the built-in model"
        ),
    ] = ""
    context: Annotated[
        int,
        msgspec.Meta(
            ge=0,
            le=1_000_000,
            description="tokens of the longest example; 0: 1024 for the built-in model, else the "
            "model's own context, at most 4096",
        ),
    ] = 0
    hold_out: Annotated[
        float, msgspec.Meta(ge=0, le=0.5, description="share of the recordings kept to validate")
    ] = 0.05
    learn: Annotated[
        Learn, msgspec.Meta(description="whom the model is to play: the assistant in the chat")
    ] = "guest"
    most_speakers: Annotated[
        int, msgspec.Meta(ge=2, le=50, description="a recording with more is left out")
    ] = 5
    fewest_words: Annotated[
        int, msgspec.Meta(ge=0, le=100_000, description="a recording with fewer is left out")
    ] = 300
    fewest_guest_words: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=100_000, description="a guest whom the feed names must say at least so many"
        ),
    ] = 100
    workers: Annotated[
        int, msgspec.Meta(ge=0, le=256, description="processes; 0: one per core")
    ] = 0
