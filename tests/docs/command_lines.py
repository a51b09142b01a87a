"""The command lines of the documents: found, sorted into what is run and what is not."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# what a document says at the end of a line that does not run anywhere
MARKS = ("downloads ", "downloaded before", "needs the network", "needs a GPU", "on a cluster")
COMMANDS = ("podcaster ", "pip install ", "python3 ", "hf ", "ray ", "export ", "$EDITOR ")
INSTALL = re.compile(
    r"pip install (?:-c (\S+) )?(?:-e )?'?(podcaster|\.)(?:\[([a-z,]+)\])?'?(?=$|\s)"
)


@dataclass(frozen=True)
class CommandLine:
    """One line of a ```sh block: the document, the line's number, the text as it is typed."""

    document: str
    number: int
    text: str

    @property
    def mark(self) -> str:
        """Why it is not run, in the document's own words; nothing if it is."""
        _, _, comment = self.text.partition("  # ")
        return next((mark for mark in MARKS if mark in comment), "")

    @property
    def command(self) -> str:
        return self.text.partition("  # ")[0].strip()

    def __str__(self) -> str:
        return f"{self.document}:{self.number}: {self.command}"


def documents() -> list[str]:
    """README.md and docs/*.md; the generated one and the log of what was tried tell no reader
    what to type."""
    found = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
    return ["README.md", *(one for one in found if one not in ("docs/cli.md", "docs/log.md"))]


def read_blocks(document: str) -> Iterator[tuple[str, int, str]]:
    """Each line inside of fences, as (the fence's language, line number, line)."""
    language: str | None = None
    for number, line in enumerate((ROOT / document).read_text("utf-8").splitlines(), 1):
        if line.startswith("```"):
            language = line[3:].strip() if language is None else None
        elif language is not None:
            yield language, number, line
    assert language is None, f"{document}: a fence is not closed"


def read_commands(document: str) -> list[CommandLine]:
    return [
        CommandLine(document, number, line)
        for language, number, line in read_blocks(document)
        if language == "sh" and line.strip()
    ]


def read_extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return set(project["optional-dependencies"])


def check_install(command: str) -> None:
    """A line with `pip install` names this package, extras that it has, files that are here."""
    found = INSTALL.search(command)
    assert found, f"not an install of this package: {command}"
    constraints, what, extras = found.groups()
    assert (what == ".") == ("-e ." in command or "-e '." in command), command
    assert constraints is None or (ROOT / constraints).is_file(), command
    assert set((extras or "").split(",")) - {""} <= read_extras(), command
