"""`podcaster show ask`: ask a show a question, and hear host and guest talk about it."""

import json
import sys
from typing import Annotated

import typer

from podcaster.commands.telling import Home, Json, resolve_home, told


@told
def ask(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The show; or SHOW:Q4_K_M, SHOW:base, builtin, a .gguf."
        ),
    ],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What the host asks.")],
    turns: Annotated[int, typer.Option(help="Turns in all, the question among them.")] = 6,
    seed: Annotated[int, typer.Option(help="The same seed, the same answer.")] = 0,
    temperature: Annotated[float, typer.Option(help="From 0, always the likeliest, to 3.")] = 0.8,
    host: Annotated[str, typer.Option(help="Who asks. [default: the show's host]")] = "",
    guest: Annotated[str, typer.Option(help="Who answers. [default: its most heard guest]")] = "",
    model: Annotated[
        str, typer.Option(help="Another model to speak for the show. [default: its own]")
    ] = "",
    json_output: Json = False,
    home: Home = None,
) -> None:
    """Ask a show a question: its host and its guest talk about it."""
    from podcaster.talk import asking

    options = asking.AskOptions(
        turns=turns, seed=seed, temperature=temperature, host=host, guest=guest, model=model
    )
    answer = asking.ask(resolve_home(home), name, question, options, _say)
    if json_output:
        typer.echo(json.dumps(asking.describe_answer(answer), ensure_ascii=False))
    if len(answer.turns) < turns:
        typer.echo(f"{answer.model} had no more to say after this.", err=True)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
