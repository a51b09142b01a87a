"""What all commands share: their options, how they print, how they fail.

Nothing heavy is imported before a command needs it, so that `--help` is instant.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ParamSpec

import typer

from podcaster.errors import PodcasterError

P = ParamSpec("P")

INTERRUPTED = 130  # what a shell reports for a program stopped by Ctrl-C

# rich markup would import rich for --help, which costs more than everything else together
PLAIN: dict[str, Any] = {
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
    "no_args_is_help": True,
}

Home = Annotated[
    Path | None,
    typer.Option("--home", envvar="PODCASTER_HOME", help="The workspace. [default: this folder]"),
]
Json = Annotated[bool, typer.Option("--json", help="End stdout with one JSON object.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's name, its beginning, or `latest`.")
]


def told(command: Callable[P, None]) -> Callable[P, None]:
    """Wrap a command so that every failure is a sentence on stderr and the right exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except PodcasterError as error:
            typer.echo(f"error: {error}", err=True)
            if kwargs.get("json_output"):
                typer.echo(json.dumps({"error": str(error), "exit_code": error.exit_code}))
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as interrupt:
            typer.echo(
                "stopped: what was finished is kept. Type the same command again to go on with a "
                "show, or `podcaster resume latest` with an episode.",
                err=True,
            )
            raise typer.Exit(INTERRUPTED) from interrupt

    return wrapped


def emit(result: dict[str, Any], *, as_json: bool, text: str) -> None:
    """Print a command's result on stdout: one JSON line for scripts, or text for people."""
    typer.echo(json.dumps(result, ensure_ascii=False) if as_json else text)


def resolve_home(home: Path | None) -> Path:
    """The workspace: what was asked for, or the folder that we stand in."""
    from podcaster.run import check_workspace

    place = (home or Path.cwd()).expanduser().resolve()
    check_workspace(place)
    return place
