"""Models' figures and conversations as text for a terminal."""

import io
import shutil
from collections.abc import Sequence

from podcaster.talk.evaluation_page import (
    SHOWN_CONVERSATIONS,
    Evaluation,
    format_change,
    list_losses,
)
from podcaster.talk.figure_rows import list_sections
from podcaster.talk.figures import Comparison, SaidTurn
from podcaster.terminal import format_table

BEST = " *"
NARROWEST = 60
WIDEST = 200


def format_comparison(comparison: Comparison, conversations: int) -> str:
    """All figures in a table, and so many conversations side by side."""
    parts = [format_figures(comparison)]
    parts += [_format_conversation(comparison, n) for n in range(conversations)]
    return "\n\n".join(parts)


def format_evaluation(evaluation: Evaluation) -> str:
    """One page: losses, figures, a conversation."""
    parts = []
    losses = list_losses(evaluation.losses)
    if losses:
        rows = [
            (
                role,
                "–" if before is None else f"{before:.3f}",
                "–" if after is None else f"{after:.3f}",
                format_change(before, after),
            )
            for role, before, after in losses
        ]
        parts.append(format_table(("HELD-OUT LOSS", "BEFORE", "AFTER", "CHANGE"), rows))
    shown = min(1, SHOWN_CONVERSATIONS, len(evaluation.comparison.openings))
    parts.append(format_comparison(evaluation.comparison, shown))
    return "\n\n".join(parts)


def format_figures(comparison: Comparison) -> str:
    """The figures, a column each for the show itself and for the models; `*`: the best."""
    labels = [model.label.upper() for model in comparison.models]
    real = comparison.real
    headers = ["", *([real.show.upper() + " ITSELF"] if real else []), *labels]
    rows: list[list[str]] = []
    for section in list_sections(comparison):
        rows += [["" for _ in headers]] if rows else []
        rows.append([section.title.upper(), *("" for _ in headers[1:])])
        for row in section.rows:
            cells = [f"{c}{BEST}" if i in row.best else c for i, c in enumerate(row.cells)]
            rows.append([f"  {row.label}", *([row.show] if real else []), *cells])
    return format_table(headers, rows)


def _format_conversation(comparison: Comparison, number: int) -> str:
    """One opening, and what each model made of it, in columns as wide as the terminal allows."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    opening = comparison.openings[number]
    width = min(WIDEST, max(NARROWEST, shutil.get_terminal_size().columns))
    table = Table(box=box.SIMPLE_HEAD, expand=True, pad_edge=False)
    for model in comparison.models:
        table.add_column(Text(model.label), ratio=1, overflow="fold")
    # Text, for what models say is no markup
    table.add_row(
        *(
            Text(_spell(conversations[number].turns[len(opening.turns) :]))
            for conversations in comparison.conversations
        )
    )
    out = io.StringIO()
    console = Console(file=out, width=width, no_color=True, highlight=False, force_terminal=False)
    console.print(Text(f"{number + 1}. {_spell(opening.turns)}"))
    console.print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).rstrip()


def _spell(turns: Sequence[SaidTurn]) -> str:
    return "\n\n".join(f"{turn.name}: {turn.text}" for turn in turns)
