"""What training changed, on one page: a tuned model beside its base and beside the show itself."""

from collections.abc import Mapping
from pathlib import Path

from podcaster.model import Noun, to_json
from podcaster.run import write_atomic
from podcaster.talk.comparison_page import (
    format_conversations,
    format_figures,
    format_runs,
    format_words,
)
from podcaster.talk.figures import Comparison
from podcaster.talk.page import format_html_table, format_page, format_section

SHOWN_CONVERSATIONS = 3
JSON_SUFFIX = ".json"

Losses = Mapping[str, Mapping[str, float]]


class Evaluation(Noun, frozen=True):
    """A show's exported model, measured: the tuned one comes first, then its base, if it is here.

    `losses` are what training itself measured on the held-out examples, in nats a token: `before`
    and `after`, each by role (`host`, `guest`, `all`); empty where nobody says.
    """

    show: str
    base: str
    quantisation: str
    comparison: Comparison
    losses: dict[str, dict[str, float]]


def list_losses(losses: Losses) -> list[tuple[str, float | None, float | None]]:
    """Held-out losses by role: before, after; the roles in a fixed order."""
    before, after = losses.get("before", {}), losses.get("after", {})
    roles = [role for role in ("host", "guest", "other", "all") if role in before or role in after]
    roles += sorted((before.keys() | after.keys()) - set(roles))
    return [(role, before.get(role), after.get(role)) for role in roles]


def format_change(before: float | None, after: float | None) -> str:
    """By how much a loss has changed, in percent; a dash where one of them is not known."""
    return f"{after / before - 1:+.1%}" if before and after is not None else "–"


def write_evaluation(path: Path, evaluation: Evaluation) -> tuple[Path, Path]:
    """Write the page, and beside it the same as JSON; returns both paths. Raises RunError."""
    data = path.with_suffix(JSON_SUFFIX)
    write_atomic(data, to_json(evaluation))
    write_atomic(path, format_evaluation_page(evaluation).encode("utf-8", "replace"))
    return path, data


def format_evaluation_page(evaluation: Evaluation) -> str:
    """The page of an evaluation."""
    comparison = evaluation.comparison
    lead = (
        f"The model of {evaluation.show} ({evaluation.quantisation}), tuned from "
        f"{evaluation.base}: {len(comparison.openings)} conversations that begin as held-out "
        f"recordings do, with the same seeds."
    )
    body = [
        _format_losses(evaluation),
        format_figures(comparison),
        format_words(comparison),
        format_runs(comparison),
        format_conversations(comparison, SHOWN_CONVERSATIONS),
    ]
    title = f"What training changed: {evaluation.show}"
    return format_page(title, lead, [part for part in body if part])


def _format_losses(evaluation: Evaluation) -> str:
    rows = [
        (
            role,
            "",
            [
                ("–" if before is None else f"{before:.3f}", False),
                ("–" if after is None else f"{after:.3f}", False),
                (format_change(before, after), False),
            ],
        )
        for role, before, after in list_losses(evaluation.losses)
    ]
    if not rows:
        return ""
    table = format_html_table("Nats a token", ("before", "after", "change"), rows)
    note = "As training measured it on the examples that it held out; less is better."
    return format_section("Held-out loss", [table], note)
