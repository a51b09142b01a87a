"""A comparison as one page of HTML: figures in tables, conversations side by side."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from podcaster.run import write_atomic
from podcaster.talk.figure_rows import Section, list_sections
from podcaster.talk.figures import Comparison, Conversation, ModelFigures, Opening, SaidTurn
from podcaster.talk.page import format_html_table, format_page, format_section
from podcaster.talk.vocabulary import Marked


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the page, all or nothing. Raises RunError."""
    write_atomic(path, format_comparison_page(comparison).encode("utf-8", "replace"))


def format_comparison_page(comparison: Comparison) -> str:
    """The page of a comparison."""
    labels = [model.label for model in comparison.models]
    lead = (
        f"The same openings and seeds: {len(comparison.openings)} conversations of "
        f"{comparison.turns} turns, seed {comparison.seed}, temperature {comparison.temperature:g}."
    )
    body = [
        format_figures(comparison),
        format_words(comparison),
        format_runs(comparison),
        format_conversations(comparison, len(comparison.openings)),
    ]
    title = f"{', '.join(labels[:-1])} and {labels[-1]}"
    return format_page(title, lead, [part for part in body if part])


def format_figures(comparison: Comparison) -> str:
    """All figures in tables; the show's own column comes first."""
    sections = list_sections(comparison)
    return format_section("Figures", [_format_table(part, comparison) for part in sections])


def _format_table(section: Section, comparison: Comparison) -> str:
    has_show = comparison.real is not None  # an empty column, too, so that tables line up
    columns = [model.label for model in comparison.models]
    if has_show and comparison.real is not None:
        columns = [f"{comparison.real.show} itself", *columns]
    rows = [
        (
            row.label,
            row.meaning,
            [
                *([(row.show, False)] if has_show else []),
                *((cell, place in row.best) for place, cell in enumerate(row.cells)),
            ],
        )
        for row in section.rows
    ]
    return format_html_table(section.title, columns, rows)


def format_words(comparison: Comparison) -> str:
    """The words by which each model differs from the show; nothing where none are evident."""
    if not any(model.says_more or model.says_less for model in comparison.models):
        return ""
    cards = [
        f'<div class="card"><h4>{escape(model.label)}</h4>'
        f"{_format_marked('says more than the show', model.says_more)}"
        f"{_format_marked('says less', model.says_less, swapped=True)}</div>"
        for model in comparison.models
    ]
    note = (
        "Words and pairs whose share differs from the show's by more than chance (log-odds with an "
        "informative prior), in 1,000 words: the model's, the show's."
    )
    return format_section("Words", [_side_by_side(cards)], note)


def _format_marked(heading: str, marked: Sequence[Marked], *, swapped: bool = False) -> str:
    if not marked:
        return ""
    items = []
    for one in marked:
        own, show = one.here_per_1000, one.there_per_1000
        if swapped:
            own, show = show, own
        items.append(
            f'<li>{escape(one.words)} <span class="soft">{own:.1f}, {show:.1f}</span></li>'
        )
    return f'<p class="soft">{escape(heading)}</p><ul class="words">{"".join(items)}</ul>'


def format_runs(comparison: Comparison) -> str:
    """What models said word for word as it was said in the training text; nothing if nothing."""
    cards = [_format_copied(model) for model in comparison.models if _copies(model)]
    if not cards:
        return ""
    note = "The longest runs of words that stand in the training text just so."
    return format_section("Learned by heart", [_side_by_side(cards)], note)


def _copies(model: ModelFigures) -> bool:
    return model.copied is not None and bool(model.copied.longest)


def _format_copied(model: ModelFigures) -> str:
    assert model.copied is not None
    quotes = "".join(
        f'<blockquote>{escape(run.text)} <span class="soft">({run.words} words)</span></blockquote>'
        for run in model.copied.longest
    )
    return f'<div class="card"><h4>{escape(model.label)}</h4>{quotes}</div>'


def format_conversations(comparison: Comparison, most: int) -> str:
    """The first conversations, the models' side by side, each after its opening."""
    pieces = []
    for number, opening in enumerate(comparison.openings[:most]):
        cards = [
            f'<div class="card"><h4>{escape(model.label)}</h4>'
            f"{_format_turns(_added(conversations[number], opening))}</div>"
            for model, conversations in zip(
                comparison.models, comparison.conversations, strict=True
            )
        ]
        about = "; ".join(
            part
            for part in (
                f"opening of “{opening.source}”" if opening.source else "",
                f"topics: {', '.join(opening.keywords)}" if opening.keywords else "",
            )
            if part
        )
        pieces.append(
            f"<h3>{number + 1}. {escape(opening.host)} and {escape(opening.guest)}</h3>"
            f'<p class="soft">{escape(about)}</p>'
            f'<div class="given">{_format_turns(opening.turns)}</div>'
            f"{_side_by_side(cards)}"
        )
    return format_section("Conversations", pieces)


def _added(conversation: Conversation, opening: Opening) -> tuple[SaidTurn, ...]:
    return conversation.turns[len(opening.turns) :]


def _format_turns(turns: Sequence[SaidTurn]) -> str:
    return "".join(
        f'<p class="turn {turn.speaker}"><b>{escape(turn.name)}:</b> {escape(turn.text)}</p>'
        for turn in turns
    )


def _side_by_side(cards: Sequence[str]) -> str:
    return f'<div class="side" style="--n: {len(cards)}">{"".join(cards)}</div>'
