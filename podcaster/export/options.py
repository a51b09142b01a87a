"""Options of the stage `export`: the table `[export]` of the configuration."""

from typing import Annotated, Literal, get_args

import msgspec

from podcaster.model import Noun

Quantisation = Literal["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M"]
QUANTISATIONS: tuple[str, ...] = get_args(Quantisation)


class ExportOptions(Noun, frozen=True):
    """Which files are made of a trained model, and how much text proves them.

    `threads` does not affect the result.
    """

    quantise: Annotated[
        tuple[Quantisation, ...],
        msgspec.Meta(
            description="F16, Q8_0, Q6_K, Q5_K_M, Q4_K_M; the first is what an episode takes; "
            "nothing: Q8_0 where it has at most 1 GB, else Q4_K_M"
        ),
    ] = ()
    with_base: Annotated[
        bool, msgspec.Meta(description="the base as GGUF, too: for the adapter, and to compare")
    ] = False
    perplexity_tokens: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=10_000_000, description="of the held-out text to read with each file; 0: none"
        ),
    ] = 20_000
    threads: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=1024, description="of llama.cpp and torch; 0: one per core, if it is not small"
        ),
    ] = 0
