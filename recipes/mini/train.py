"""Stage 5: train the network on the rows, within a budget of minutes or of steps.

    python -m recipes.mini.train ROWS.npz TOKENIZER.json OUT --minutes 55

Run again with the same OUT, training goes on from the newest checkpoint. Muon moves the matrices,
AdamW the embeddings and norms. The learning rate rises, stays, and decays to zero exactly at the
end of the budget. In the final phase the rows are long ones, of interviews of two alone. Beside the
weights their running average is kept; what OUT/final holds in the end is whichever of the last,
the averaged and the best of all evaluations does best on held-out rows.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from podcaster.errors import InputError
from recipes.mini.muon import Muon
from recipes.mini.network import (
    BLOCK_ATTENTION,
    IGNORED,
    add_dropout,
    label_rows,
    make_config,
    make_model,
    sum_loss,
    text_bytes_per_token,
)
from recipes.mini.windows import Rows, read_rows

KEPT_CHECKPOINTS = 2
FINAL = "final"
BEST = "best"

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """All that shapes a run; exactly one of `minutes` and `steps` is the budget."""

    minutes: float | None = None
    steps: int | None = None
    layers: int = 4
    width: int = 256
    heads: int = 4
    batch_tokens: int = 8192
    micro_tokens: int = 8192  # at a time, as memory allows
    muon_lr: float = 0.02
    adam_lr: float = 0.004
    weight_decay: float = 0.02
    warmup: float = 0.02  # the share of the budget in which the rate rises
    decay_from: float = 0.3  # the share after which it falls
    interviews_from: float = 2 / 3  # the share after which rows are interviews alone
    dropout: float = 0.0  # of what each block adds; wanted once epochs repeat
    average_share: float = 0.04  # of the steps after `decay_from` that the average looks back on
    patience: int = 0  # evaluations without a gain after which training ends; 0: never
    evaluate_every: int = 100
    evaluate_rows: int = 32
    checkpoint_every: int = 300
    seed: int = 0
    device: str = "cpu"
    compiled: bool = True  # by torch.compile: a third faster on a CPU, where it needs a compiler

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise ValueError("give a budget in minutes or in steps, one of them")


@dataclass(kw_only=True)
class Progress:
    """Where a run stands; all of it is in every checkpoint."""

    step: int = 0
    elapsed_s: float = 0.0
    tokens: int = 0
    drawn: dict[str, int] = field(default_factory=lambda: {"broad": 0, "interviews": 0})
    best_loss: float = float("inf")
    since_best: int = 0  # evaluations

    def share(self, options: TrainOptions) -> float:
        """How much of the budget is used up, from 0 to 1."""
        if options.steps is not None:
            return min(1.0, self.step / options.steps)
        assert options.minutes is not None
        return min(1.0, self.elapsed_s / (60 * options.minutes))


def rate_at(share: float, options: TrainOptions) -> float:
    """The factor on both learning rates at a share of the budget: up, level, down to zero."""
    rising = (share + 1e-3) / options.warmup
    falling = (1 - share) / (1 - options.decay_from)
    return max(0.0, min(1.0, rising, falling))


class Sampler:
    """Draws rows without repeats within an epoch; what comes next depends only on `drawn`."""

    def __init__(self, pools: Mapping[str, Rows], options: TrainOptions) -> None:
        self.pools = pools
        self.options = options

    def draw(self, progress: Progress) -> tuple[str, npt.NDArray[np.int64]]:
        """Return the pool and the row numbers of the next batch, and count them as drawn."""
        late = progress.share(self.options) >= self.options.interviews_from
        pool = "interviews" if late and len(self.pools["interviews"].ids) else "broad"
        rows, width = self.pools[pool].ids.shape
        start = progress.drawn[pool]
        places = range(start, start + max(1, self.options.batch_tokens // (width - 1)))
        progress.drawn[pool] = places.stop
        salt = 1 if pool == "broad" else 2
        shuffled = {
            epoch: np.random.default_rng([self.options.seed, salt, epoch]).permutation(rows)
            for epoch in {place // rows for place in places}
        }
        return pool, np.array([shuffled[place // rows][place % rows] for place in places])


def make_optimizers(model: LlamaForCausalLM, options: TrainOptions) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the layers' matrices, AdamW for the rest."""
    named = dict(model.named_parameters())
    matrices = [p for n, p in named.items() if p.ndim == 2 and "layers." in n]
    rest = [p for n, p in named.items() if not (p.ndim == 2 and "layers." in n)]
    muon = Muon(matrices, lr=options.muon_lr, weight_decay=options.weight_decay)
    adam = torch.optim.AdamW(rest, lr=options.adam_lr, betas=(0.9, 0.95), weight_decay=0.0)
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return [muon, adam]


def mixed_precision(device: str) -> AbstractContextManager[Any]:
    """Matrix products in bfloat16 where the processor has it, else plain float32."""
    cast: AbstractContextManager[Any] = torch.autocast(
        torch.device(device).type, dtype=torch.bfloat16
    )
    return cast


class HeldOut:
    """Rows that are never trained on, and how to count bits on them."""

    def __init__(self, rows: Rows, count: int, tokenizer: Tokenizer) -> None:
        shown = np.unique(np.linspace(0, len(rows.ids) - 1, count).astype(int))
        self.ids = rows.ids[shown].astype(np.int64)
        self.labels = label_rows(rows.ids[shown], rows.lengths[shown], tokenizer)
        self.letters = text_bytes_per_token(tokenizer)

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def measure(self, model: LlamaForCausalLM, context: int, device: str) -> dict[str, float]:
        """Loss on the first `context` predictions of each row: nats a token, bits a byte."""
        model.eval()
        labels = self.labels[:, :context]
        total = 0.0
        for start in range(0, len(self.ids), 4):
            ids = torch.from_numpy(self.ids[start : start + 4, :context])
            wanted = torch.from_numpy(labels[start : start + 4])
            with mixed_precision(device):
                total += float(sum_loss(model, ids.to(device), wanted.to(device)))
        counted = labels[labels != IGNORED]
        spoken = int(self.letters[counted].sum())
        return {
            "validation_loss": total / len(counted),
            "bits_per_byte": total / max(1, spoken) / float(np.log(2)),
        }


class Average:
    """A running mean of the weights that looks back on a share of the steps so far."""

    def __init__(self, model: LlamaForCausalLM, share: float) -> None:
        self.share = share
        self.steps = 0
        self.weights: Weights = {n: p.detach().clone() for n, p in model.named_parameters()}

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def update(self, model: LlamaForCausalLM) -> None:
        """Take the weights of one more step in."""
        self.steps += 1
        part = 1 / max(1.0, self.share * self.steps)
        torch._foreach_lerp_(list(self.weights.values()), list(model.parameters()), part)


class Trainer:
    """One run: network, optimizers, rows and where it stands."""

    def __init__(
        self, rows: Mapping[str, Rows], tokenizer: Tokenizer, out: Path, options: TrainOptions
    ) -> None:
        self.out, self.options, self.tokenizer = out, options, tokenizer
        self.progress = Progress()
        self.rows = {pool: rows[pool] for pool in ("broad", "interviews")}
        self.context = max(part.ids.shape[1] - 1 for part in rows.values())
        self.short_context = min(part.ids.shape[1] - 1 for part in rows.values())
        config = make_config(
            tokenizer,
            context=self.context,
            layers=options.layers,
            width=options.width,
            heads=options.heads,
        )
        self.model = make_model(config, options.seed).to(options.device)
        if options.dropout:
            add_dropout(self.model, options.dropout)
        self.optimizers = make_optimizers(self.model, options)
        self.average = Average(self.model, options.average_share)
        self.sampler = Sampler(self.rows, options)
        self.labels = {
            pool: label_rows(part.ids, part.lengths, tokenizer) for pool, part in self.rows.items()
        }
        self.held_out = HeldOut(rows["validation"], options.evaluate_rows, tokenizer)
        self.loss_sum = sum_loss
        if options.compiled:
            self.loss_sum = torch.compile(sum_loss, dynamic=False)
        if options.device == "cpu":
            self.model.set_attn_implementation(BLOCK_ATTENTION)

    def run(self, *, stop_after: int | None = None) -> Progress:
        """Train until the budget is used up, or `stop_after` steps from now; save at the end."""
        self.resume()
        began = time.monotonic() - self.progress.elapsed_s
        last = None if stop_after is None else self.progress.step + stop_after
        while not self.is_done() and self.progress.step != last:
            loss = self.step()
            self.progress.elapsed_s = time.monotonic() - began
            due = self.progress.step % self.options.evaluate_every == 0 or self.is_done()
            self.log(loss, self.evaluate() if due else None)
            if self.progress.step % self.options.checkpoint_every == 0:
                self.save()
        self.save()
        if self.is_done():
            self.choose()
        return self.progress

    def is_done(self) -> bool:
        """Whether the budget or the patience is used up."""
        tired = 0 < self.options.patience <= self.progress.since_best
        return tired or self.progress.share(self.options) >= 1.0

    def step(self) -> float:
        """One update; returns the loss in nats a token."""
        share = self.progress.share(self.options)
        rate = rate_at(share, self.options)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * rate
        pool, chosen = self.sampler.draw(self.progress)
        labels = self.labels[pool][chosen]
        counted = int((labels != IGNORED).sum())
        total = 0.0
        self.model.train()
        at_once = max(1, self.options.micro_tokens // labels.shape[1])
        for start in range(0, len(chosen), at_once):
            part = chosen[start : start + at_once]
            with mixed_precision(self.options.device):
                loss = self.loss_sum(self.model, *self.tensors(pool, part)) / counted
            loss.backward()
            total += float(loss.detach())
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        if share >= self.options.decay_from:
            self.average.update(self.model)
        self.progress.step += 1
        self.progress.tokens += labels.size
        return total

    def tensors(
        self, pool: str, chosen: npt.NDArray[np.int64]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels `(B, T)` of the chosen rows, on the device."""
        ids = torch.from_numpy(self.rows[pool].ids[chosen][:, :-1].astype(np.int64))
        labels = torch.from_numpy(self.labels[pool][chosen])
        return ids.to(self.options.device), labels.to(self.options.device)

    def evaluate(self) -> dict[str, float]:
        """Measure on held-out rows at the short context; keep the weights if none were better."""
        scores: dict[str, float] = self.held_out.measure(
            self.model, self.short_context, self.options.device
        )
        if scores["validation_loss"] < self.progress.best_loss:
            self.progress.best_loss, self.progress.since_best = scores["validation_loss"], 0
            if self.options.patience:
                self.write_model(self.out / BEST)
        else:
            self.progress.since_best += 1
        return scores

    def choose(self) -> None:
        """Write the best of last, averaged and best weights as OUT/final, with their figures."""
        candidates: dict[str, Weights] = {
            "last": {n: p.detach().clone() for n, p in self.model.named_parameters()},
        }
        if self.average.steps:
            candidates["averaged"] = self.average.weights
        if (self.out / BEST).exists():
            best = LlamaForCausalLM.from_pretrained(self.out / BEST, dtype=torch.float32)
            candidates["best"] = dict(best.to(self.options.device).named_parameters())
        figures = {}
        for name, weights in candidates.items():
            self.model.load_state_dict(weights, strict=False)  # tied weights have one name
            figures[name] = self.held_out.measure(self.model, self.context, self.options.device)
        chosen = min(figures, key=lambda name: figures[name]["validation_loss"])
        self.model.load_state_dict(candidates[chosen], strict=False)
        self.write_model(self.out / FINAL)
        line = json.dumps({"chosen": chosen, "figures": figures})
        (self.out / FINAL / "chosen.json").write_text(line + "\n")
        print(line, file=sys.stderr, flush=True)

    def write_model(self, folder: Path) -> None:
        """Write network and tokenizer as a folder that transformers loads; whole or not at all."""
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        self.model.save_pretrained(partial)
        self.tokenizer.save(str(partial / "tokenizer.json"))
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)

    def log(self, loss: float, scores: dict[str, float] | None) -> None:
        """Append one line of JSON to `log.jsonl`; tell people at each evaluation."""
        line = {
            "step": self.progress.step,
            "elapsed_s": round(self.progress.elapsed_s, 2),
            "tokens": self.progress.tokens,
            "tokens_per_s": round(self.progress.tokens / max(1e-9, self.progress.elapsed_s)),
            "rate": round(rate_at(self.progress.share(self.options), self.options), 4),
            "loss": round(loss, 4),
            **{name: round(value, 4) for name, value in (scores or {}).items()},
        }
        with (self.out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        if scores is not None or self.progress.step <= 5:
            print(json.dumps(line), file=sys.stderr, flush=True)

    def save(self) -> None:
        """Write a checkpoint folder whole, then forget all but the newest ones."""
        final = self.out / f"step-{self.progress.step:06d}"
        if final.exists():
            return
        partial = final.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        self.model.save_pretrained(partial)
        self.tokenizer.save(str(partial / "tokenizer.json"))
        state = {
            "progress": asdict(self.progress),
            "average": {"steps": self.average.steps, "weights": self.average.weights},
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        torch.save(state, partial / "state.pt")
        partial.replace(final)
        for old in checkpoints(self.out)[:-KEPT_CHECKPOINTS]:
            shutil.rmtree(old)

    def resume(self) -> None:
        """Go on from the newest checkpoint, if there is one."""
        saved = checkpoints(self.out)
        if not saved:
            return
        weights = LlamaForCausalLM.from_pretrained(saved[-1], dtype=torch.float32).state_dict()
        self.model.load_state_dict(weights)
        state = torch.load(
            saved[-1] / "state.pt", weights_only=True, map_location=self.options.device
        )
        self.progress = Progress(**state["progress"])
        self.average.steps = state["average"]["steps"]
        self.average.weights = state["average"]["weights"]
        for optimizer, values in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(values)


def checkpoints(out: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted(p for p in out.glob("step-*") if p.is_dir() and p.suffix != ".partial")


def plot(out: Path) -> None:
    """Draw the loss curve of `log.jsonl` as `curve.png`."""
    import matplotlib.pyplot as plt

    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    figure, axes = plt.subplots(figsize=(8, 4.5))
    axes.plot([x["tokens"] for x in lines], [x["loss"] for x in lines], lw=0.5, label="training")
    held = [x for x in lines if "validation_loss" in x]
    axes.plot([x["tokens"] for x in held], [x["validation_loss"] for x in held], label="held out")
    axes.set(xlabel="tokens seen", ylabel="nats a token", ylim=(3, 7))
    axes.legend()
    figure.savefig(out / "curve.png", dpi=120, bbox_inches="tight")
    plt.close(figure)


def read_options(arguments: list[str] | None) -> tuple[Path, Path, Path, TrainOptions]:
    """Read the command line: rows, tokenizer, the folder of the run, and its options.

    Each option of `TrainOptions` is a flag. A number of steps counts before minutes.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("rows", "tokenizer", "out"):
        parser.add_argument(name, type=Path)
    for name, value in asdict(TrainOptions(steps=1)).items():
        kind = {"minutes": float, "steps": int}.get(name, type(value))
        default = None if name in ("minutes", "steps") else value
        flag = f"--{name.replace('_', '-')}"
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=value)
        else:
            parser.add_argument(flag, type=kind, default=default)
    chosen = vars(parser.parse_args(arguments))
    rows, tokenizer, out = (chosen.pop(name) for name in ("rows", "tokenizer", "out"))
    if chosen["steps"] is not None:
        chosen["minutes"] = None
    return rows, tokenizer, out, TrainOptions(**chosen)


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line."""
    rows, tokenizer, out, options = read_options(arguments)
    out.mkdir(parents=True, exist_ok=True)
    (out / "options.json").write_text(json.dumps(asdict(options), indent=1) + "\n")
    splits = {name: read_rows(rows, name) for name in ("broad", "interviews", "validation")}
    for name in ("broad", "validation"):
        if not len(splits[name].ids):
            raise InputError(
                f"{rows.name} has no {name} rows.",
                next_step="Give recipes.mini.windows more episodes, or a shorter context.",
            )
    trainer = Trainer(splits, Tokenizer.from_file(str(tokenizer)), out, options)
    size = sum(p.numel() for p in trainer.model.parameters())
    counts = {name: len(part.ids) for name, part in splits.items()}
    print(f"{size} parameters, rows: {counts}", file=sys.stderr, flush=True)
    progress = trainer.run()
    plot(out)
    print(json.dumps({"steps": progress.step, "tokens": progress.tokens}))


if __name__ == "__main__":
    main()
