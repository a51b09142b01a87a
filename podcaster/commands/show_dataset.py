"""`podcaster show dataset` and `show stats`: what a model learns from, and in numbers."""

from typing import Annotated, Any

import typer

from podcaster.commands.telling import Home, Json, emit, resolve_home, told

ShowName = Annotated[str, typer.Argument(metavar="NAME", help="The show's name.")]


@told
def dataset(
    name: ShowName,
    context: Annotated[
        int | None, typer.Option(help="Tokens of the longest example. [default: the model's own]")
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="A .gguf, tokenizer.json or model's folder. [default: built in]"
        ),
    ] = None,
    hold_out: Annotated[
        float | None, typer.Option("--hold-out", help="Share kept to validate. [default: 0.05]")
    ] = None,
    learn: Annotated[
        str | None, typer.Option(help="Whom the model is to play: guest, host. [default: guest]")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. [default: one per core]")] = None,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Turn a show's words into examples to train on, and others to validate with."""
    from podcaster.config import load_configuration
    from podcaster.dataset.report import describe_report
    from podcaster.preparing import prepare_dataset
    from podcaster.terminal import TerminalProgress

    place = resolve_home(home)
    given = {
        "dataset.context": context,
        "dataset.tokenizer": tokenizer,
        "dataset.hold_out": hold_out,
        "dataset.learn": learn,
        "dataset.workers": workers,
    }
    flags = {key: value for key, value in given.items() if value is not None}
    options = load_configuration(place, flags).settings.dataset
    with TerminalProgress() as progress:
        prepared = prepare_dataset(place, name, options, progress)
    result = describe_report(prepared.report)
    result |= {"reused": prepared.reused, "seconds": prepared.seconds}
    emit(result, as_json=json_output, text=_format_dataset(result))


@told
def stats(name: ShowName, json_output: Json = False, home: Home = None) -> None:
    """Say what a show's dataset holds, by whom, and what an epoch on it costs."""
    from podcaster import __version__
    from podcaster.dataset.stats import gather_stats
    from podcaster.preparing import read_recording_counts, read_report
    from podcaster.run import open_show_run

    place = resolve_home(home)
    run = open_show_run(place, name, version=__version__)
    result = gather_stats(read_report(run), read_recording_counts(run), place)
    emit(result, as_json=json_output, text=_format_stats(result))


def _format_dataset(result: dict[str, Any]) -> str:
    from podcaster.dataset.stage import REASONS
    from podcaster.terminal import format_table

    kept = result["recordings"]
    lines = [
        f"{result['train']:,} examples to train on, {result['validation']:,} to validate with, "
        f"from {kept['train']:,} and {kept['validation']:,} of {kept['found']:,} recordings"
        f"{'; nothing to do' if result['reused'] else ''}",
        f"{result['tokens']:,} tokens, {result['words']:,} words; "
        f"no example is longer than {result['context']:,} tokens",
    ]
    chapters = result["conversations"]
    if any(chapters.values()):
        lines.append(
            f"{chapters['train']:,} and {chapters['validation']:,} conversations by chapter"
        )
    if result["dropped"]:
        rows = [(f"{n:,}", reason, REASONS[reason]) for reason, n in result["dropped"].items()]
        lines.append(format_table(("LEFT OUT", "REASON", ""), rows))
    if not result["validation"] and kept["train"]:
        lines.append("Nothing is left to validate with: the show has too few recordings.")
    return "\n".join(lines)


def _format_stats(result: dict[str, Any]) -> str:
    from podcaster.dataset.stats import cost_rows
    from podcaster.terminal import format_table

    means = result["means"]
    lines = [
        format_table(
            ("", "SUM", "MEAN OF A RECORDING"),
            [
                (what, f"{result[what]:,}", f"{means[f'{what}_per_recording']:,.0f}")
                for what in ("tokens", "words", "characters")
            ],
        )
    ]
    if result["dates"]["first"]:
        lines.append(f"published from {result['dates']['first']} to {result['dates']['last']}")
    rows = [
        (
            one["name"],
            one["role"],
            str(one["recordings"]),
            f"{one['words']:,}",
            f"{one['words_per_recording']:,.0f}",
        )
        for one in result["speakers"][:10]
    ]
    lines.append(format_table(("WHO", "ROLE", "RECORDINGS", "WORDS", "MEAN"), rows))
    prices = result["prices"]
    lines.append(
        f"one epoch over {result['train_tokens']:,} tokens, prices in {prices['currency']} as of "
        f"{prices['as_of']} (yours: prices.toml in the workspace):"
    )
    header = ("MODEL", "GPU", "LORA", "PRICE", "ALL WEIGHTS", "PRICE")
    lines.append(format_table(header, cost_rows(result)))
    names = ", ".join(one["name"] for one in result["gpus_here"])
    lines.append(f"GPUs of this machine: {names or 'none'}")
    return "\n".join(lines)
