"""`podcaster show train`: a model learns from a show's dataset how its people talk."""

from typing import Annotated, Any

import typer

from podcaster.commands.telling import Home, Json, emit, resolve_home, told

ShowName = Annotated[str, typer.Argument(metavar="NAME", help="The show's name.")]


@told
def train(
    name: ShowName,
    base: Annotated[
        str | None,
        typer.Option(
            metavar="B", help="builtin, a model's folder, or org/name. [default: builtin]"
        ),
    ] = None,
    max_steps: Annotated[int | None, typer.Option(help="Steps at most.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Times over the data. [default: 3]")] = None,
    roles: Annotated[
        str | None, typer.Option(help="Whose words it learns: both, host, guest. [default: both]")
    ] = None,
    rank: Annotated[int | None, typer.Option(help="Of the LoRA matrices.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="GPUs, or processes; more than one: over Ray. [default: 1]")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster to join, or local.")
    ] = None,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Train a model on a show's dataset; stopped, it goes on at the last checkpoint."""
    from podcaster.config import load_configuration
    from podcaster.terminal import TerminalProgress
    from podcaster.training import train_show

    place = resolve_home(home)
    given = {
        "train.base": base,
        "train.max_steps": max_steps,
        "train.epochs": epochs,
        "train.roles": roles,
        "train.rank": rank,
        "train.learning_rate": learning_rate,
        "train.workers": workers,
        "cluster.address": cluster,
    }
    flags = {key: value for key, value in given.items() if value is not None}
    settings = load_configuration(place, flags).settings
    with TerminalProgress() as progress:
        trained = train_show(place, name, settings.train, settings.cluster, progress)
    report = trained.report
    result: dict[str, Any] = {
        "show": report.show,
        "base": report.base,
        "adapter": str(trained.folder / "adapter"),
        "steps": report.steps,
        "best_step": report.best_step,
        "tokens": report.tokens,
        "tokens_per_s": report.tokens_per_s,
        "mfu": report.mfu,
        "train_loss": report.train_loss,
        "validation_loss": report.validation_loss,
        "base_validation_loss": report.base_validation_loss,
        "checkpoints": [str(trained.folder / "checkpoints" / one) for one in report.checkpoints],
        "peak_memory_bytes": report.peak_memory_bytes,
        "curve": str(trained.folder / "curve.csv"),
        "card": str(trained.folder / "card.md"),
        "packing": report.packing,
        "workers": report.workers,
        "reused": trained.reused,
        "notes": list(trained.notes),
    }
    emit(result, as_json=json_output, text=_format(result, report))


def _format(result: dict[str, Any], report: Any) -> str:
    from podcaster.units import format_duration

    again = "; nothing to do" if result["reused"] else ""
    lines = [
        f"{report.steps:,} steps over {report.tokens:,} tokens in "
        f"{format_duration(report.seconds)}, {report.tokens_per_s:,.0f} tokens/s{again}",
    ]
    if report.validation_loss is not None and report.base_validation_loss is not None:
        change = report.validation_loss / report.base_validation_loss - 1
        lines.append(
            f"held-out loss {report.base_validation_loss:.4f} before, "
            f"{report.validation_loss:.4f} after ({change:+.1%}), of step {report.best_step}"
        )
    lines += [f"adapter  {result['adapter']}", f"curve    {result['curve']}"]
    lines += [f"note: {note}" for note in result["notes"]]
    lines.append(f"Next: podcaster show export {report.show}")
    return "\n".join(lines)
