"""What is foretold of a training: more of anything needs more, and what helps is suggested."""

import pytest

from podcaster.errors import InputError
from podcaster.train.bases import Shape
from podcaster.train.estimates import (
    Fitted,
    choose_bf16,
    count_flops,
    estimate_memory,
    fit_memory,
    suggest,
)
from podcaster.train.options import TrainOptions

LLAMA_8B = Shape(
    layers=32, width=4096, inner=14336, heads=32, key_heads=8, head_width=128, vocabulary=128256,
    tied=False,
)  # fmt: skip
LLAMA_1B = Shape(
    layers=16, width=2048, inner=8192, heads=32, key_heads=8, head_width=64, vocabulary=128256,
    tied=True,
)  # fmt: skip
QWEN_05B = Shape(
    layers=24, width=896, inner=4864, heads=14, key_heads=2, head_width=64, vocabulary=151936,
    tied=True,
)  # fmt: skip


def estimate(shape: Shape = LLAMA_8B, **changes: object) -> int:
    rank, row = int(changes.pop("rank", 16)), int(changes.pop("row", 8192))  # type: ignore[call-overload]
    per_value = int(changes.pop("bytes_per_value", 2))  # type: ignore[call-overload]
    options = TrainOptions(**{"checkpointing": "on", **changes})  # type: ignore[arg-type]
    return estimate_memory(
        shape, options, rank=rank, row_tokens=row, bytes_per_value=per_value
    ).total


@pytest.mark.parametrize(
    ("shape", "millions"), [(LLAMA_8B, 8030), (LLAMA_1B, 1236), (QWEN_05B, 494)]
)
def test_parameters_are_those_that_their_makers_state(shape: Shape, millions: int) -> None:
    assert shape.parameters / 1e6 == pytest.approx(millions, rel=0.001)


def test_lora_has_the_parameters_that_peft_counts() -> None:
    # 16 on all linear layers of Llama 3.1 8B: 41,943,040 (peft's print_trainable_parameters)
    assert LLAMA_8B.lora_parameters(16) == 41_943_040
    assert LLAMA_8B.lora_parameters(32) == 2 * LLAMA_8B.lora_parameters(16)


def test_more_needs_more() -> None:
    rows = [estimate(row=n) for n in (512, 1024, 4096, 16384)]
    assert rows == sorted(set(rows))
    ranks = [estimate(rank=n) for n in (4, 16, 64, 256)]
    assert ranks == sorted(set(ranks))
    shapes = [estimate(shape) for shape in (QWEN_05B, LLAMA_1B, LLAMA_8B)]
    assert shapes == sorted(set(shapes))
    assert estimate(bytes_per_value=4) > estimate(bytes_per_value=2)
    assert estimate(checkpointing="off") > estimate(checkpointing="on")
    assert estimate(quantise_base="4bit") < estimate(quantise_base="no") - 8_000_000_000


def test_what_people_train_on_their_cards_is_foretold_to_fit() -> None:
    assert 16e9 < estimate(row=4096) < 24e9
    assert estimate(row=4096, quantise_base="4bit") < 12e9
    assert estimate(LLAMA_1B, row=4096) < 8e9


def fit(free: float, shape: Shape = LLAMA_8B, *, gpu: bool = True, **told: object) -> Fitted:
    return fit_memory(
        shape, TrainOptions(**told), rank=16, context=4096, longest=1500,  # type: ignore[arg-type]
        free_bytes=int(free), gpu=gpu, bf16=True,
    )  # fmt: skip


def test_a_row_is_as_long_as_memory_allows() -> None:
    free = [5e9, 20e9, 22e9, 26e9, 80e9]
    fitted = [fit(one, checkpointing="on") for one in free]
    chosen = [one.row_tokens for one in fitted]
    assert chosen == sorted(chosen)
    assert chosen[0] == 1500
    assert chosen[-1] == 4 * 4096
    assert {4096, 8192} & set(chosen)
    for memory, one in zip(free[1:], fitted[1:], strict=True):
        assert one.memory.total <= memory or one.row_tokens == 1500
    with pytest.raises(
        InputError, match=r"Training x needs about .*, and the GPU has 5\.0 GB free"
    ):
        fitted[0].check("x", "the GPU")
    fitted[-1].check("x", "the GPU")


def test_activations_are_kept_where_memory_suffices() -> None:
    found = [fit(free).options.checkpointing for free in (5e9, 20e9, 40e9, 80e9)]
    assert found == ["on", "on", "off", "off"]
    assert fit(5e9, checkpointing="off").options.checkpointing == "off"
    assert fit(80e9, checkpointing="on").options.checkpointing == "on"


def test_a_processor_takes_one_example_at_a_time() -> None:
    assert fit(80e9, gpu=False).row_tokens == 1500
    assert fit(80e9, gpu=False, row_tokens=3000).row_tokens == 3000


def test_a_tiny_model_on_a_processor_stays_in_float32() -> None:
    for able in (False, True):
        assert choose_bf16("auto", 135_000_000, gpu=False, able=able) == able
        assert not choose_bf16("auto", 5_000_000, gpu=False, able=able)
        assert choose_bf16("auto", 5_000_000, gpu=True, able=able) == able
        assert choose_bf16("bf16", 5_000_000, gpu=False, able=able)
        assert not choose_bf16("fp32", 135_000_000, gpu=True, able=able)


def test_operations_are_four_a_parameter_and_what_attention_takes() -> None:
    weights = 4 * (LLAMA_8B.linear_parameters + LLAMA_8B.vocabulary * LLAMA_8B.width)
    assert count_flops(LLAMA_8B, [1]) == pytest.approx(weights, rel=1e-4)
    # causal: a token of a sequence of n sees n / 2; forwards 4 a value and layer, backwards 8
    assert count_flops(LLAMA_8B, [4096]) - weights == pytest.approx(12 * 32 * 4096 * 2048, rel=1e-6)
    assert count_flops(LLAMA_8B, [4096]) > count_flops(LLAMA_8B, [2048, 2048])
    again = count_flops(LLAMA_8B, [4096], checkpointing=True) - count_flops(LLAMA_8B, [4096])
    assert again == 2 * LLAMA_8B.linear_parameters
    assert count_flops(LLAMA_8B, []) == weights


@pytest.mark.parametrize(
    ("free", "told", "gpu", "expected"),
    [
        (10e9, {}, True, 'quantise_base = "4bit"'),
        (10e9, {}, False, "smaller `--base`, or a machine"),
        (3e9, {"quantise_base": "4bit"}, True, "smaller `--base`, or a machine"),
        (19e9, {"checkpointing": "off"}, True, 'checkpointing = "on"'),
        (17e9, {}, True, "smaller `--context`"),
    ],
)
def test_what_helps_is_suggested(
    free: float, told: dict[str, object], gpu: bool, expected: str
) -> None:
    options = TrainOptions(**{"checkpointing": "on", **told})  # type: ignore[arg-type]
    memory = estimate_memory(LLAMA_8B, options, rank=16, row_tokens=4096, bytes_per_value=2)
    assert expected in suggest(memory, int(free), options, gpu=gpu)
