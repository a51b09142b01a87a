"""What a training came to, as a file and as its card."""

import csv
import io
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from podcaster.model import Noun
from podcaster.train.checkpoints import Point

REPORT = "report.json"
PACKAGES = ("torch", "transformers", "peft")


class TrainReport(Noun, frozen=True):
    """A training in numbers. Losses are in nats a token of what the chosen roles say.

    `train_loss` is the mean of the last tenth of the steps; the held-out ones are None where the
    show holds nothing out. `best_step` is the step whose adapter was kept.
    """

    show: str
    base: str
    base_sha256: str
    dataset_sha256: str
    roles: str
    device: str
    workers: int
    steps: int
    best_step: int
    stopped_early: bool
    tokens: int
    tokens_per_s: float
    mfu: float | None
    packing: float
    train_loss: float
    validation_loss: float | None
    validation_host: float | None
    validation_guest: float | None
    base_validation_loss: float | None
    base_validation_host: float | None
    base_validation_guest: float | None
    trained_parameters: int
    parameters: int
    rank: int
    alpha: float
    learning_rate: float
    context: int
    row_tokens: int
    batch_tokens: int
    peak_memory_bytes: int
    estimated_memory_bytes: int
    seconds: float
    checkpoints: tuple[str, ...]
    versions: dict[str, str]
    trained_at: str


def format_curve(points: Sequence[Point]) -> str:
    """The curve as CSV."""
    out = io.StringIO()
    names = list(Point.__struct_fields__)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    for point in points:
        values = [getattr(point, name) for name in names]
        writer.writerow(["" if value is None else value for value in values])
    return out.getvalue()


def draw_curve(path: Path, points: Sequence[Point], base: float | None, title: str) -> None:
    """The curve as PNG: loss of the steps, what is held out, and the base's."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), dpi=120, layout="constrained")
    steps = [point.step for point in points]
    axes.plot(
        steps, [p.loss for p in points], color="#9db4c8", linewidth=1, label="training, a step"
    )
    looks = [p for p in points if p.validation is not None]
    if looks:
        axes.plot(
            [p.step for p in looks],
            [p.validation for p in looks],
            color="#b3541e",
            marker="o",
            markersize=4,
            label="held out",
        )
    if base is not None:
        axes.axhline(base, color="#555555", linestyle="--", linewidth=1, label="held out, untuned")
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats a token)")
    axes.set_title(title, parse_math=False)  # a `$` in a name is no formula
    axes.legend(frameon=False)
    axes.grid(alpha=0.25)
    figure.savefig(path, format="png")
    pyplot.close(figure)


def write_card(report: TrainReport, people: Sequence[str], settings: dict[str, object]) -> str:
    """The model card, in markdown."""
    shown = "\n".join(f"| `{name}` | {value} |" for name, value in sorted(settings.items()))
    held = "The show holds nothing out: nobody knows how well it learned."
    if report.validation_loss is not None and report.base_validation_loss is not None:
        change = 1 - report.validation_loss / report.base_validation_loss
        way = "less" if change >= 0 else "more"
        held = (
            f"Held-out loss {report.base_validation_loss:.4f} before, {report.validation_loss:.4f} "
            f"after: {abs(change):.1%} {way}, in nats a token. By role: "
            f"{_pair('host', report.base_validation_host, report.validation_host)}, "
            f"{_pair('guest', report.base_validation_guest, report.validation_guest)}. "
            f"Kept is the adapter of step {report.best_step} of {report.steps}."
        )
    versions = ", ".join(f"{name} {number}" for name, number in report.versions.items())
    return f"""# Model card: {report.show}

A LoRA adapter of rank {report.rank} on all linear layers of **{report.base}**, trained on what is
said in the show {report.show} ({report.roles} of host and guest).

- **What it is for.** Writing conversations in the manner of this show. What it says is made up: it
  must not be trusted with a fact, and nobody said it.
- **Whose words.** {", ".join(people) or "unknown"}. They spoke for their listeners. Publish what it
  writes with the disclosure that it is made by AI, and no voice without its owner's consent.
- **Licence.** The base's licence and the rights in the transcripts both bind whoever passes it on.
- **Figures.** {held} Training loss at the end {report.train_loss:.4f};
  {report.tokens:,} tokens in {report.seconds:,.0f} s on {report.device}
  ({report.workers} worker{"s" if report.workers > 1 else ""}), {report.tokens_per_s:,.0f} tokens a
  second, {report.peak_memory_bytes / 1e9:.2f} GB at the peak. `curve.png`, `curve.csv`.
- **Sizes.** {report.trained_parameters:,} of {report.parameters:,} parameters were trained.
- **Where from.** Base {report.base_sha256[:16]}…, dataset {report.dataset_sha256[:16]}…;
  {versions}; {report.trained_at}.

| setting | |
|---|---|
{shown}
"""


def _pair(who: str, before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return f"{who} not held out"
    return f"{who} {before:.3f} to {after:.3f}"


def list_versions() -> dict[str, str]:
    """The versions of the libraries that decide the result."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found
