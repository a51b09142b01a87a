"""Stage 5: train the network on the rows, within a budget of minutes or of steps.

    python -m recipes.mini.train ROWS.npz TOKENIZER.json OUT --minutes 55

Run again with the same OUT, training goes on from the newest checkpoint. Muon moves the matrices,
AdamW the embeddings and norms. The learning rate rises, stays, and decays to zero exactly at the
end of the budget. In the last third the rows are interviews of two, kept back until then.
"""

import argparse
import json
import shutil
import sys
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from recipes.mini.muon import Muon
from recipes.mini.network import (
    IGNORED,
    label_rows,
    make_config,
    make_model,
    sum_loss,
    text_bytes_per_token,
)
from recipes.mini.windows import Rows, read_rows

KEPT_CHECKPOINTS = 2


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """All that shapes a run; exactly one of `minutes` and `steps` is the budget."""

    minutes: float | None = None
    steps: int | None = None
    layers: int = 4
    width: int = 256
    heads: int = 4
    batch_rows: int = 8
    micro_rows: int = 8
    muon_lr: float = 0.02
    adam_lr: float = 0.004
    weight_decay: float = 0.02
    warmup: float = 0.02  # the share of the budget in which the rate rises
    decay_from: float = 0.3  # the share after which it falls
    interviews: float = 0.2  # the best rows, kept back
    interviews_from: float = 2 / 3
    evaluate_every: int = 100
    evaluate_rows: int = 32
    checkpoint_every: int = 200
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
    drawn: dict[str, int] = field(default_factory=lambda: {"all": 0, "interviews": 0})

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

    def __init__(self, scores: np.ndarray[Any, Any], options: TrainOptions) -> None:
        order = np.argsort(-scores, kind="stable")
        kept_back = round(len(order) * options.interviews)
        self.pools = {"interviews": order[:kept_back], "all": order[kept_back:]}
        self.options = options

    def draw(self, progress: Progress) -> np.ndarray[Any, Any]:
        """Return the row numbers of the next batch and count them as drawn."""
        late = progress.share(self.options) >= self.options.interviews_from
        pool = "interviews" if late and len(self.pools["interviews"]) else "all"
        rows = self.pools[pool]
        start = progress.drawn[pool]
        places = range(start, start + self.options.batch_rows)
        progress.drawn[pool] += self.options.batch_rows
        salt = 1 if pool == "all" else 2
        epochs = {place // len(rows) for place in places}
        shuffled = {
            epoch: np.random.default_rng([self.options.seed, salt, epoch]).permutation(rows)
            for epoch in epochs
        }
        return np.array([shuffled[place // len(rows)][place % len(rows)] for place in places])


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


class Trainer:
    """One run: network, optimizers, rows and where it stands."""

    def __init__(
        self, rows: Rows, held_out: Rows, tokenizer: Tokenizer, out: Path, options: TrainOptions
    ) -> None:
        self.out, self.options, self.tokenizer = out, options, tokenizer
        self.progress = Progress()
        context = rows.ids.shape[1] - 1
        config = make_config(
            tokenizer,
            context=context,
            layers=options.layers,
            width=options.width,
            heads=options.heads,
        )
        self.model = make_model(config, options.seed).to(options.device)
        self.optimizers = make_optimizers(self.model, options)
        self.sampler = Sampler(rows.scores, options)
        self.rows = rows
        self.labels = label_rows(rows.ids, rows.lengths, tokenizer)
        shown = np.linspace(0, len(held_out.ids) - 1, options.evaluate_rows).astype(int)
        self.held_ids = held_out.ids[np.unique(shown)]
        self.held_labels = label_rows(self.held_ids, held_out.lengths[np.unique(shown)], tokenizer)
        self.loss_sum = sum_loss
        if options.compiled:
            self.loss_sum = torch.compile(sum_loss)
        if options.device == "cpu":
            # plain matrix products beat the fused CPU kernel here, at a kilotoken of context
            self.model.set_attn_implementation("eager")

    def run(self, *, stop_after: int | None = None) -> Progress:
        """Train until the budget is used up, or `stop_after` steps from now; save at the end."""
        self.resume()
        began = time.monotonic() - self.progress.elapsed_s
        last = None if stop_after is None else self.progress.step + stop_after
        while self.progress.share(self.options) < 1.0 and self.progress.step != last:
            loss = self.step()
            self.progress.elapsed_s = time.monotonic() - began
            done = self.progress.share(self.options) >= 1.0
            due = self.progress.step % self.options.evaluate_every == 0 or done
            self.log(loss, self.evaluate() if due else None)
            if self.progress.step % self.options.checkpoint_every == 0:
                self.save()
        self.save()
        return self.progress

    def step(self) -> float:
        """One update; returns the loss in nats a token."""
        rate = rate_at(self.progress.share(self.options), self.options)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * rate
        chosen = self.sampler.draw(self.progress)
        labels = self.labels[chosen]
        counted = int((labels != IGNORED).sum())
        total = 0.0
        self.model.train()
        for start in range(0, len(chosen), self.options.micro_rows):
            part = chosen[start : start + self.options.micro_rows]
            with mixed_precision(self.options.device):
                loss = self.loss_sum(self.model, *self.tensors(part)) / counted
            loss.backward()
            total += float(loss.detach())
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.progress.step += 1
        self.progress.tokens += labels.size
        return total

    def tensors(self, chosen: np.ndarray[Any, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and labels `(B, T)` of the chosen rows, on the device."""
        ids = torch.from_numpy(self.rows.ids[chosen][:, :-1].astype(np.int64))
        labels = torch.from_numpy(self.labels[chosen])
        return ids.to(self.options.device), labels.to(self.options.device)

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def evaluate(self) -> dict[str, float]:
        """Loss on held-out episodes: nats a token, and bits a byte of spoken text."""
        self.model.eval()
        total = 0.0
        for start in range(0, len(self.held_ids), 4):
            ids = torch.from_numpy(self.held_ids[start : start + 4, :-1].astype(np.int64))
            labels = torch.from_numpy(self.held_labels[start : start + 4])
            device = self.options.device
            with mixed_precision(device):
                total += float(sum_loss(self.model, ids.to(device), labels.to(device)))
        wanted = self.held_labels[self.held_labels != IGNORED]
        letters = int(text_bytes_per_token(self.tokenizer)[wanted].sum())
        return {
            "validation_loss": total / len(wanted),
            "bits_per_byte": total / max(1, letters) / float(np.log(2)),
        }

    def log(self, loss: float, scores: dict[str, float] | None) -> None:
        """Append one line of JSON to `log.jsonl`; tell people at each evaluation."""
        line = {
            "step": self.progress.step,
            "elapsed_s": round(self.progress.elapsed_s, 2),
            "tokens": self.progress.tokens,
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


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line; each option of `TrainOptions` is a flag."""
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
    options = TrainOptions(**chosen)
    out.mkdir(parents=True, exist_ok=True)
    (out / "options.json").write_text(json.dumps(asdict(options), indent=1) + "\n")
    trainer = Trainer(
        read_rows(rows, "train"),
        read_rows(rows, "validation"),
        Tokenizer.from_file(str(tokenizer)),
        out,
        options,
    )
    size = sum(p.numel() for p in trainer.model.parameters())
    print(f"{size} parameters, {len(trainer.rows.ids)} rows", file=sys.stderr, flush=True)
    progress = trainer.run()
    plot(out)
    print(json.dumps({"steps": progress.step, "tokens": progress.tokens}))


if __name__ == "__main__":
    main()
