"""A comparison's figures as rows of text, for a terminal and for a page."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from podcaster.talk.copying import Copied
from podcaster.talk.figures import Comparison, ModelFigures, ShowFigures
from podcaster.talk.profile import FILLERS, Profile
from podcaster.units import format_bytes
from podcaster.write.engine import Foretold

NOTHING = "–"
MOST_FILLERS = 12


@dataclass(frozen=True)
class Row:
    """One figure: of the show itself, if it has one, and of each model. `best` are those to mark.

    `meaning` says in a sentence what it is; empty where the label does.
    """

    label: str
    show: str
    cells: tuple[str, ...]
    best: frozenset[int] = frozenset()
    meaning: str = ""


@dataclass(frozen=True)
class Section:
    """Rows under a heading."""

    title: str
    rows: tuple[Row, ...]


def list_sections(comparison: Comparison) -> tuple[Section, ...]:
    """All figures of a comparison that say something, in the order in which they are shown."""
    models, real = comparison.models, comparison.real
    sections = [
        Section("The models", tuple(_describe_files(models))),
        Section(
            f"Held-out text of {real.show}" if real else "Held-out text",
            tuple(_describe_held_out(models)),
        ),
        Section("How they talk", tuple(_describe_talk(models, real))),
        Section("Fillers in 1,000 words", tuple(_describe_fillers(models, real))),
        Section("Distance from how the show talks", tuple(_describe_distance(models, real))),
        Section("Word for word out of the training text", tuple(_describe_copied(models, real))),
    ]
    return tuple(section for section in sections if section.rows)


def _describe_files(models: Sequence[ModelFigures]) -> Iterator[Row]:
    yield Row("file", "", tuple(model.file for model in models))
    yield Row("size", "", tuple(format_bytes(model.size_bytes) for model in models))
    yield Row(
        "tokens/s",
        "",
        tuple(f"{model.tokens_per_s:,.0f}" for model in models),
        meaning="as it talked here, its prompts read in between",
    )


def _describe_held_out(models: Sequence[ModelFigures]) -> Iterator[Row]:
    roles = [r for r in ("host", "guest", "all") if any(r in m.held_out for m in models)]
    measures: tuple[tuple[str, Callable[[Foretold], float], str, str], ...] = (
        (
            "bits a character",
            lambda one: one.bits_per_character,
            ".3f",
            "how surprised a model is by what was really said; less is better, and any two compare",
        ),
        (
            "perplexity",
            lambda one: one.perplexity,
            ",.2f",
            "the same by the model's own tokens; compares only between models of one tokenizer",
        ),
    )
    for label, measure, form, meaning in measures:
        for role in roles:
            values = [
                measure(model.held_out[role]) if role in model.held_out else None
                for model in models
            ]
            cells = tuple(NOTHING if v is None else format(v, form) for v in values)
            told = meaning if role == roles[0] else ""
            yield Row(f"{label}, {role}", "", cells, _least(values, cells), told)
    if any(model.heard_before for model in models):
        yield Row(
            "trained on",
            "",
            tuple(f"{m.heard_before:,} recordings" if m.heard_before else "0" for m in models),
            meaning="held-out recordings that a model was trained on: its figures are too good",
        )


def _describe_talk(models: Sequence[ModelFigures], real: ShowFigures | None) -> Iterator[Row]:
    rows: tuple[tuple[str, Callable[[Profile], str], str], ...] = (
        ("turns", lambda p: f"{p.turns:,}", ""),
        ("words", lambda p: f"{p.words:,}", ""),
        *(
            (
                f"words a turn, {role}",
                lambda p, role=role: _lengths(p, role),
                "mean, median, and what nine in ten stay under" if role == "host" else "",
            )
            for role in ("host", "guest")
        ),
        ("words a sentence", lambda p: f"{p.sentence_words.mean:.1f}", ""),
        ("turns that ask", lambda p: f"{p.asking_turns:.0%}", ""),
        ("host ends asking", lambda p: _share(p.host_ends_asking), "share of the host's turns"),
        (
            "variety",
            lambda p: _share(p.variety),
            "different words in stretches of 200",
        ),
        ("fillers in 1,000 words", lambda p: f"{p.fillers_per_1000:.0f}", ""),
    )
    for label, spell, meaning in rows:
        yield Row(
            label,
            spell(real.profile) if real else "",
            tuple(spell(model.profile) for model in models),
            meaning=meaning,
        )


def _describe_fillers(models: Sequence[ModelFigures], real: ShowFigures | None) -> Iterator[Row]:
    profiles = [*([real.profile] if real else []), *(model.profile for model in models)]
    said = [word for word in FILLERS if any(p.fillers.get(word) for p in profiles)]
    said.sort(key=lambda word: -max(p.fillers.get(word, 0.0) for p in profiles))
    for word in said[:MOST_FILLERS]:
        yield Row(
            word,
            _filler(real.profile, word) if real else "",
            tuple(_filler(model.profile, word) for model in models),
        )


def _describe_distance(models: Sequence[ModelFigures], real: ShowFigures | None) -> Iterator[Row]:
    parts = (
        (
            "mean",
            "mean",
            "0: just like the show; 1: nothing in common. The show's own column: a part of it, as "
            "long as what the models said, from the whole: so much is chance",
        ),
        ("turn_words", "length of turns", ""),
        ("sentence_words", "length of sentences", ""),
        ("asking_turns", "questions", ""),
        ("variety", "variety", ""),
        ("fillers", "fillers", "Jensen-Shannon distance"),
        ("function_words", "function words", "Jensen-Shannon distance"),
    )
    for part, label, meaning in parts:
        values: list[float | None] = [
            getattr(model.distance, part) if model.distance else None for model in models
        ]
        if any(value is not None for value in values):
            cells = tuple(NOTHING if value is None else f"{value:.2f}" for value in values)
            own = getattr(real.distance, part) if real and real.distance else None
            show = NOTHING if own is None else f"{own:.2f}"
            yield Row(label, show if real else "", cells, _least(values, cells), meaning)


def _describe_copied(models: Sequence[ModelFigures], real: ShowFigures | None) -> Iterator[Row]:
    known = [model.copied for model in models]
    if not any(known):
        return
    rows: tuple[tuple[str, Callable[[Copied], str], str], ...] = (
        ("longest run", lambda c: f"{c.longest_words} words" if c.longest_words else "none", ""),
        ("runs of 8 words or more", lambda c: f"{c.runs:,}", ""),
        ("runs of 12 words or more", lambda c: f"{c.long_runs:,}", ""),
        (
            "share of all words",
            lambda c: f"{c.copied_words / c.words:.2%}" if c.words else NOTHING,
            "in runs of 8 or more; the show's own column: what its held-out turns share with "
            "those that were trained on",
        ),
    )
    for label, spell, meaning in rows:
        yield Row(
            label,
            spell(real.copied) if real and real.copied else "",
            tuple(spell(one) if one else NOTHING for one in known),
            meaning=meaning,
        )


def _lengths(profile: Profile, role: str) -> str:
    one = profile.turn_words.get(role)
    return f"{one.mean:.0f}, {one.median:.0f}, {one.p90:.0f}" if one else NOTHING


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.0%}"


def _filler(profile: Profile, word: str) -> str:
    return f"{profile.fillers.get(word, 0.0):.1f}"


def _least(values: Sequence[float | None], cells: Sequence[str]) -> frozenset[int]:
    """Which are the least as they are shown, if that tells any two apart."""
    known = [
        (value, cell)
        for value, cell in zip(values, cells, strict=True)
        if value is not None and math.isfinite(value)
    ]
    if len({cell for _, cell in known}) < 2:
        return frozenset()
    _, least = min(known)
    return frozenset(i for i, cell in enumerate(cells) if cell == least)
