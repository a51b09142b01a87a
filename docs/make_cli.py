"""Print docs/cli.md: the help of every command, as `--help` gives it."""

import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ["COLUMNS"] = "100"
os.environ.pop("PODCASTER_HOME", None)

import typer
from typer.testing import CliRunner

from podcaster.cli import app

HEAD = """# The command line

Made from `--help` by `just docs`; a check holds it to that.

With `--json`, the last line of stdout is one JSON object. People read stderr. Exit codes: 0 done,
1 a fault of ours, 2 usage or configuration, 3 input, 4 engine, 5 voice, 6 run, 130 stopped.
"""


def walk_commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups before what is in them."""
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk_commands(inner, (*path, name))


def main() -> None:
    """Print the page."""
    lines = [HEAD]
    runner = CliRunner()
    for path in walk_commands(typer.main.get_command(app), ()):
        result = runner.invoke(app, [*path, "--help"], prog_name="podcaster")
        if result.exit_code != 0:
            sys.exit(f"podcaster {' '.join(path)} --help failed: {result.output}")
        title = " ".join(("podcaster", *path))
        lines.append(f"\n## `{title}`\n\n```text\n{result.output.strip()}\n```\n")
    print("".join(lines), end="")


if __name__ == "__main__":
    main()
