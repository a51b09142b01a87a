"""`podcaster show export`: a show's trained model as files that an episode is written with."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from podcaster.commands.telling import Home, Json, emit, resolve_home, told

ShowName = Annotated[str, typer.Argument(metavar="NAME", help="The show's name.")]


@told
def export(
    name: ShowName,
    quantise: Annotated[
        list[str] | None,
        typer.Option(
            metavar="Q",
            help="F16, Q8_0, Q6_K, Q5_K_M, Q4_K_M; again for more files, episodes take the first. "
            "[default: Q8_0 up to 1 GB, else Q4_K_M]",
        ),
    ] = None,
    with_base: Annotated[
        bool | None,
        typer.Option("--with-base", help="The base as GGUF, too: for the adapter, to compare."),
    ] = None,
    evaluation: Annotated[
        bool, typer.Option(help="Let it talk beside its base and the show, and measure how.")
    ] = True,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Turn a show's trained model into GGUF files, and prove that they say the same."""
    from podcaster.config import load_configuration
    from podcaster.exported import describe_report
    from podcaster.exporting import export_show
    from podcaster.terminal import TerminalProgress

    place = resolve_home(home)
    kinds = _check_kinds(quantise or ())
    given = {"export.quantise": kinds or None, "export.with_base": with_base}
    flags = {key: value for key, value in given.items() if value is not None}
    options = load_configuration(place, flags).settings.export
    with TerminalProgress() as progress:
        exported = export_show(place, name, options, progress)
        page, told = _evaluate(exported, progress) if evaluation else (None, "")
    result = describe_report(exported.run, exported.report)
    result |= {"reused": exported.reused, "seconds": exported.seconds, "evaluation": page}
    text = "\n\n".join(part for part in (told, _format_export(result)) if part)
    emit(result, as_json=json_output, text=text)


def _evaluate(exported: Any, progress: Any) -> tuple[str | None, str]:
    """The page of how it talks, and the same for a terminal; an export stands without it."""
    from podcaster.commands.telling_figures import format_evaluation
    from podcaster.errors import PodcasterError
    from podcaster.recordings import EXPORT
    from podcaster.talk.evaluating import evaluate_export
    from podcaster.talk.evaluation_page import write_evaluation
    from podcaster.trained import list_losses

    run, report = exported.run, exported.report
    page = (run.path / EXPORT / report.files[0].path).with_name("evaluation.html")
    if exported.reused and page.is_file():
        return str(page), ""
    try:
        found = evaluate_export(run, report, losses=list_losses(run), progress=progress)
        write_evaluation(page, found)
    except PodcasterError as error:
        progress.note(f"It could not be evaluated: {error}")
        return None, ""
    return str(page), format_evaluation(found)


def _check_kinds(given: Sequence[str]) -> tuple[str, ...]:
    """Spell quantisations as llama.cpp does. Raises ConfigError for one that there is not."""
    from podcaster.errors import ConfigError
    from podcaster.export.options import QUANTISATIONS

    kinds = tuple(one.upper() for one in given)
    for kind, spelled in zip(kinds, given, strict=True):
        if kind not in QUANTISATIONS:
            raise ConfigError(
                f"There is no quantisation {spelled!r}; there is {', '.join(QUANTISATIONS)}.",
                next_step="Choose one of them with `--quantise`.",
            )
    return kinds


def _format_export(result: dict[str, Any]) -> str:
    from podcaster.terminal import format_table

    rows = [
        _describe_file(what, file)
        for what, files in (
            ("model", result["files"]),
            ("adapter", [result["adapter"]]),
            ("base", [result["base_file"]]),
        )
        for file in files
        if file is not None
    ]
    parity = result["parity"]
    of = "" if parity["layers"] == parity["all_layers"] else f" of {parity['all_layers']}"
    alike = "equal" if parity["token_ids_equal"] else f"equal, but for {parity['caveat']}"
    lines = [
        format_table(("WHAT", "KIND", "SIZE", "PERPLEXITY", "SAME TOKEN", "FILE"), rows),
        f"as in transformers: {parity['tokens']:,} token ids {alike}; logits within "
        f"{parity['max_logit_difference']:.1g} ({parity['precision']}, {parity['layers']}{of} "
        "layers)",
    ]
    before = result["perplexity_before"]
    if before is not None:
        lines.append(f"perplexity of held-out text before it was quantised: {before:,.2f}")
    if result["reused"]:
        lines.append("nothing to do: it was exported before")
    if result["evaluation"]:
        lines.append(f"how it talks: {result['evaluation']}")
    lines.append(f"next: podcaster episode --show {result['show']} --guest NAME")
    return "\n".join(lines)


def _describe_file(what: str, file: dict[str, Any]) -> tuple[str, ...]:
    from podcaster.units import format_bytes

    perplexity, agreement = file["perplexity"], file["agreement"]
    return (
        what,
        file["quantisation"],
        format_bytes(file["size_bytes"]),
        "" if perplexity is None else f"{perplexity:,.2f}",
        "" if agreement is None else f"{agreement:.1%}",
        file["path"],
    )
