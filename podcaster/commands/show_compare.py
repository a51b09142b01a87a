"""`podcaster show compare`: models side by side, with their figures."""

from pathlib import Path
from typing import Annotated

import typer

from podcaster.commands.telling import Home, Json, emit, resolve_home, told


@told
def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME",
            help="Two or more of SHOW, SHOW:Q4_K_M, SHOW:base, builtin, a .gguf.",
        ),
    ],
    question: Annotated[
        list[str] | None,
        typer.Option(
            help="What the host asks; repeatable. [default: as held-out recordings begin]"
        ),
    ] = None,
    turns: Annotated[int, typer.Option(help="Turns of a conversation, the first among them.")] = 6,
    seed: Annotated[int, typer.Option(help="The same for all models.")] = 0,
    temperature: Annotated[float, typer.Option(help="From 0, always the likeliest, to 3.")] = 0.8,
    output: Annotated[
        Path | None, typer.Option(help="The page. [default: ./compare-NAME-NAME.html]")
    ] = None,
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Let models talk from the same openings; show what they said, and their figures."""
    from podcaster.commands.telling_figures import format_comparison
    from podcaster.talk import comparing
    from podcaster.talk.comparison_page import write_comparison
    from podcaster.talk.measuring import page_name
    from podcaster.terminal import TerminalProgress

    options = comparing.CompareOptions(
        questions=tuple(question or ()), turns=turns, seed=seed, temperature=temperature
    )
    with TerminalProgress() as progress:
        comparison = comparing.compare(resolve_home(home), names, options, progress)
    page = output or Path(page_name([model.label for model in comparison.models]))
    write_comparison(page, comparison)
    result = comparing.describe_comparison(comparison) | {"page": str(page)}
    text = format_comparison(comparison, len(comparison.openings))
    emit(result, as_json=json_output, text=f"{text}\n\n{page}")
