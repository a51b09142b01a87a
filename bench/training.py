"""How many tokens a second training learns from, beside transformers' own Trainer with peft.

    python bench/training.py [ROUNDS] [STEPS]
    python bench/training.py precision

The same sequences, as many of them a batch, the same LoRA on the same random weights and the same
device, in one run, by turns: our rows packed without padding, and `transformers.Trainer` on batches
padded to their longest. Only real tokens count, and the first step of each turn does not. Without a
GPU a small Llama (4 layers of 256, sequences of at most 1,024 tokens); with one a model of the
shape of Mistral 7B in bf16, sequences of at most 4,096, gradients checkpointed in both, and MFU:
tokens a second times the operations of a token (what checkpointing computes twice left out) over
the peak of the price table. `precision` measures what a processor learns from in float32, in
bfloat16, and in bfloat16 with activations computed twice, by turns, of a model of the tiny shape
and of SmolLM2-135M's: the shortest of some goes at one window. Prints one JSON line.
"""

import json
import math
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

from podcaster.dataset.costs import read_prices
from podcaster.devices import find_device
from podcaster.placement import has_bf16
from podcaster.train.bases import read_shape
from podcaster.train.checkpoints import Point
from podcaster.train.engine import Alone
from podcaster.train.estimates import count_flops
from podcaster.train.loop import Plan, Trainer
from podcaster.train.network import Network
from podcaster.train.options import TrainOptions
from podcaster.train.packing import count_efficiency, pack
from podcaster.train.spelling import HOST, Example

ROUNDS, STEPS = 2, 4
ROW_CONTEXTS = 4
MEAN, SPREAD = 0.45, 0.5  # of a window in contexts, and of its logarithm
LEARNING_RATE = 1e-4
GPU = torch.cuda.is_available()
CONTEXT, RANK, COUNT = (4096, 16, 800) if GPU else (1024, 64, 800)


@dataclass
class Measured:
    """Real tokens and seconds of steps."""

    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    slots: int = 0

    @property
    def tokens_per_s(self) -> float:
        """Of all steps together."""
        return sum(self.tokens) / sum(self.seconds)


TINY = LlamaConfig(
    vocab_size=8192, hidden_size=256, intermediate_size=672, num_hidden_layers=4,
    num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=CONTEXT,
    tie_word_embeddings=True,
)  # fmt: skip
SMOLLM2 = LlamaConfig(
    vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
    num_attention_heads=9, num_key_value_heads=3, max_position_embeddings=8192,
    tie_word_embeddings=True,
)  # fmt: skip
MISTRAL = MistralConfig(vocab_size=32768, sliding_window=None, num_key_value_heads=8)
WAYS = {
    "fp32": TrainOptions(precision="fp32", checkpointing="off"),
    "bf16": TrainOptions(precision="bf16", checkpointing="off"),
    "bf16_checkpointed": TrainOptions(precision="bf16", checkpointing="on"),
}
WINDOW_TOKENS, GOES = 512, 3


def make_model(folder: Path, config: Any) -> None:
    """Save a model of random weights."""
    torch.manual_seed(0)
    with torch.device("cuda" if GPU else "cpu"):
        model: Any = AutoModelForCausalLM.from_config(
            config, dtype=torch.bfloat16 if GPU else torch.float32
        )
    model.save_pretrained(folder)


def draw_examples(vocabulary: int, tokens: int = 0) -> list[Example]:
    """Windows of a show: lognormal lengths, cut at the context; `tokens`: one of so many.

    Somebody says all of it.
    """
    draw = np.random.default_rng(0)
    if tokens:
        ids = draw.integers(0, vocabulary, tokens).astype(np.int32)
        return [Example(ids, np.full(tokens, HOST, np.int8))]
    lengths = draw.lognormal(np.log(MEAN) - SPREAD**2 / 2, SPREAD, COUNT) * CONTEXT
    return [
        Example(draw.integers(0, vocabulary, n).astype(np.int32), np.full(n, HOST, np.int8))
        for n in np.clip(lengths, 16, CONTEXT).astype(int)
    ]


def choose_options() -> TrainOptions:
    """LoRA, and checkpointing where the model is large."""
    return TrainOptions(checkpointing="on" if GPU else "off", epochs=1000)


def measure_ours(folder: Path, examples: Sequence[Example], steps: int, into: Measured) -> None:
    """Our loop over packed rows."""
    import msgspec

    options = msgspec.structs.replace(choose_options(), max_steps=steps)
    device = "cuda:0" if GPU else "cpu"
    network = Network(folder, options, rank=RANK, alpha=2 * RANK, device=device)
    row_tokens = ROW_CONTEXTS * CONTEXT
    plan = Plan(
        options=options, expected="", train=examples, validation=(), row_tokens=row_tokens,
        batch_tokens=row_tokens, learning_rate=LEARNING_RATE, flops_per_token=1, peak_flops=None,
        save_every=10**9,
    )  # fmt: skip
    before = [0, time.perf_counter()]

    def tell(point: Point, _steps: int) -> None:
        if GPU:
            torch.cuda.synchronize()
        now = time.perf_counter()
        if point.step > 1:
            into.tokens.append(point.tokens - int(before[0]))
            into.seconds.append(now - before[1])
            into.slots += row_tokens
        before[:] = [point.tokens, time.perf_counter()]

    with tempfile.TemporaryDirectory() as scratch:
        Trainer(network, plan, Alone(), Path(scratch), tell).run()


class Watch(transformers.TrainerCallback):  # type: ignore[misc, unused-ignore]
    """Times the steps of transformers' Trainer."""

    def __init__(self, batches: list[tuple[int, int]], into: Measured) -> None:
        self.batches, self.into, self.began, self.step = batches, into, 0.0, 0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """A step begins."""
        self.began = time.perf_counter()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """A step ended, the optimizer's part included."""
        if GPU:
            torch.cuda.synchronize()
        if self.step:
            tokens, slots = self.batches[self.step]
            self.into.tokens.append(tokens)
            self.into.slots += slots
            self.into.seconds.append(time.perf_counter() - self.began)
        self.step += 1


def measure_plain(
    folder: Path, examples: Sequence[Example], batch: int, steps: int, into: Measured
) -> None:
    """The Trainer of transformers over batches padded to their longest."""
    batches: list[tuple[int, int]] = []

    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        longest = max(len(row["ids"]) for row in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.long)
        mask = torch.zeros(len(rows), longest, dtype=torch.long)
        for i, row in enumerate(rows):
            ids[i, : len(row["ids"])] = torch.from_numpy(row["ids"].astype(np.int64))
            mask[i, : len(row["ids"])] = 1
        batches.append((int(mask.sum()), mask.numel()))
        labels = ids.masked_fill(mask == 0, -100)
        return {"input_ids": ids, "attention_mask": mask, "labels": labels}

    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16 if GPU else torch.float32, attn_implementation="sdpa"
    )
    model.config.use_cache = False
    settings = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    model = get_peft_model(model, settings)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = transformers.TrainingArguments(
            scratch, per_device_train_batch_size=batch, max_steps=steps, use_cpu=not GPU, bf16=GPU,
            gradient_checkpointing=GPU, gradient_checkpointing_kwargs={"use_reentrant": False},
            learning_rate=LEARNING_RATE, save_strategy="no", logging_strategy="no", report_to=[],
            disable_tqdm=True, remove_unused_columns=False, dataloader_pin_memory=GPU,
        )  # fmt: skip
        rows: Any = [{"ids": example.ids} for example in examples]
        watch = Watch(batches, into)
        trainer = transformers.Trainer(
            model, arguments, data_collator=collate, train_dataset=rows, callbacks=[watch]
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()


def compare_precisions() -> dict[str, Any]:
    """Tokens a second of each way and shape, on the processor."""
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "bf16": has_bf16("cpu")}
    for name, config in (("tiny", TINY), ("smollm2_135m", SMOLLM2)):
        with tempfile.TemporaryDirectory() as scratch:
            make_model(Path(scratch), config)
            networks = {
                way: Network(Path(scratch), options, rank=16, alpha=32, device="cpu")
                for way, options in WAYS.items()
            }
        window = draw_examples(config.vocab_size, WINDOW_TOKENS)[0]
        best = dict.fromkeys(WAYS, math.inf)
        for _ in range(GOES):
            for way, network in networks.items():
                began = time.perf_counter()
                network.compute_loss([window]).total.backward()
                best[way] = min(best[way], time.perf_counter() - began)
        found[name] = {way: round(len(window) / seconds, 1) for way, seconds in best.items()}
    return found


def main() -> None:
    """Measure, and print one JSON line."""
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    if sys.argv[1:] == ["precision"]:
        print(json.dumps({"bench": "training", **compare_precisions()}))
        return
    given = [int(number) for number in sys.argv[1:]]
    rounds, steps = [*given, *(ROUNDS, STEPS)[len(given) :]]
    device = find_device()
    ours, plain = Measured(), Measured()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_model(folder, MISTRAL if GPU else TINY)
        shape = read_shape(folder)
        examples = draw_examples(shape.vocabulary)
        lengths = [len(example) for example in examples]
        rows = pack(lengths, ROW_CONTEXTS * CONTEXT, 0)
        batch = round(statistics.mean(map(len, rows)))
        for _ in range(rounds):
            measure_ours(folder, examples, steps, ours)
            measure_plain(folder, examples, batch, steps, plain)
    peak = device.peak_flops(read_prices(Path()))
    flops = count_flops(shape, lengths)
    result: dict[str, Any] = {
        "device": device.name,
        "threads": torch.get_num_threads(),
        "parameters": shape.parameters,
        "context": CONTEXT,
        "sequences_a_batch": batch,
        "steps_timed": len(ours.seconds),
        "tokens_per_s": round(ours.tokens_per_s),
        "plain_tokens_per_s": round(plain.tokens_per_s),
        "times_as_fast": round(ours.tokens_per_s / plain.tokens_per_s, 2),
        "packing": round(count_efficiency(lengths, rows, ROW_CONTEXTS * CONTEXT), 4),
        "plain_real_share": round(sum(plain.tokens) / plain.slots, 4),
    }
    if peak:
        result["mfu"] = round(ours.tokens_per_s * flops / peak, 4)
        result["plain_mfu"] = round(plain.tokens_per_s * flops / peak, 4)
    if GPU:
        result["peak_memory_bytes"] = torch.cuda.max_memory_allocated()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
