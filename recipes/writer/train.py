"""Train the adapter of the built-in writer on chosen lines, with the program's own training.

Stopped, it goes on at its newest checkpoint.
"""

import argparse
from pathlib import Path

import torch

from podcaster.run import fingerprint, sha256_file
from podcaster.train.bases import describe_base, read_shape
from podcaster.train.engine import Alone
from podcaster.train.estimates import count_flops
from podcaster.train.options import TrainOptions
from podcaster.train.packing import fit_row
from podcaster.train.stage import STAGE_VERSION, Job, read_examples, work


def main() -> None:
    """Train; prints a line a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, help="the model's folder, as transformers saves it")
    parser.add_argument("lines", type=Path, help="the folder that recipes.writer.lines wrote")
    parser.add_argument("out", type=Path)
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=8e-4)
    parser.add_argument("--batch-tokens", type=int, default=3072)
    parser.add_argument("--threads", type=int, default=1)
    told = parser.parse_args()
    torch.set_num_threads(told.threads)
    base = describe_base(told.base.name, told.base)
    train = told.lines / "dialogue.train.jsonl"
    validation = told.lines / "dialogue.validation.jsonl"
    lengths = [len(e) for e in read_examples(train, base, "en", base.context_tokens).found]
    options = TrainOptions(base=base.name, epochs=1.0, checkpointing=False, patience=0)
    inputs = {"train": sha256_file(train), "validation": sha256_file(validation)}
    job = Job(
        base=base,
        options=options,
        train=str(train),
        validation=str(validation),
        folder=str(told.out),
        expected=fingerprint(
            "writer",
            STAGE_VERSION,
            {k: str(v) for k, v in vars(told).items()} | {"base": base.sha256},
            "",
            inputs,
        ),
        language="en",
        context=base.context_tokens,
        row_tokens=fit_row(lengths, told.batch_tokens),
        memory_tokens=max(lengths),
        batch_tokens=told.batch_tokens,
        learning_rate=told.learning_rate,
        rank=told.rank,
        alpha=2.0 * told.rank,
        flops_per_token=count_flops(read_shape(told.base), lengths),
        peak_flops=None,
        save_every=10,
    )

    def tell(point: object, steps: int) -> None:
        print(f"of {steps}: {point}", flush=True)

    told.out.mkdir(parents=True, exist_ok=True)
    print(work(job, Alone(), "cpu", tell).state)


if __name__ == "__main__":
    main()
