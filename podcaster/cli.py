"""The command line, put together: `commands/` has what each command does.

Importing it brings in typer and nothing heavier; a command imports what it needs when it is called.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from podcaster import __version__
from podcaster.commands.episode import episode, resume
from podcaster.commands.feed import feed_app
from podcaster.commands.machine import doctor, setup
from podcaster.commands.runs import config, runs_app
from podcaster.commands.show import show_app
from podcaster.commands.telling import PLAIN
from podcaster.commands.verify import verify
from podcaster.commands.voice import voice_app

app = typer.Typer(help="Turn a podcast that exists into one that does not.", **PLAIN)
app.command()(episode)
app.command()(resume)
app.add_typer(show_app, name="show")
app.add_typer(runs_app, name="runs")
app.add_typer(voice_app, name="voice")
app.add_typer(feed_app, name="feed")
app.command()(verify)
app.command()(setup)
app.command()(doctor)
app.command()(config)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    home: Annotated[
        Path | None, typer.Option("--home", help="The workspace, for any command.")
    ] = None,
) -> None:
    """Turn a podcast that exists into one that does not."""
    if home is not None:
        os.environ["PODCASTER_HOME"] = str(home)
    if version:
        typer.echo(f"podcaster {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    # names of guests are in any script, whatever the terminal's encoding says
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    # libraries' bars between our own lines; tqdm asks once, when it is imported
    os.environ.setdefault("TQDM_DISABLE", "1")
    app()
