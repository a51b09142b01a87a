"""Compare models: the same prompts and seeds, side by side, with their figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from podcaster.errors import ConfigError
from podcaster.exported import NamedModel, find_named_model
from podcaster.progress import Progress
from podcaster.run import Run
from podcaster.talk.asking import GENERIC_QUESTIONS, MOST_TURNS, open_with_questions
from podcaster.talk.figures import Comparison, Opening, describe_foretold
from podcaster.talk.held_out import choose_openings, find_report
from podcaster.talk.measuring import TalkOptions, label_models, measure_models, prepare_yardstick

MOST_MODELS = 8
OPENINGS = 3
FEWEST_TURNS = 2


@dataclass(frozen=True)
class CompareOptions:
    """What models are asked, and how they talk; no questions: openings of held-out recordings."""

    questions: tuple[str, ...] = ()
    turns: int = 6
    seed: int = 0
    temperature: float = 0.8

    def __post_init__(self) -> None:
        """Raise ConfigError for what cannot be."""
        if not FEWEST_TURNS <= self.turns <= MOST_TURNS:
            raise ConfigError(f"--turns is {self.turns}, expected {FEWEST_TURNS} to {MOST_TURNS}.")
        if not 0 <= self.temperature <= 3:
            raise ConfigError(f"--temperature is {self.temperature}, expected 0 to 3.")


def compare(
    home: Path, names: Sequence[str], options: CompareOptions, progress: Progress
) -> Comparison:
    """Let models talk from the same openings, and measure them by the same held-out text.

    That is the text of the first of their shows that holds something out. Raises ConfigError for
    fewer than two models or the same twice, and what finding and opening a model raises.
    """
    if not 2 <= len(names) <= MOST_MODELS or len(set(names)) < len(names):
        raise ConfigError(
            f"Asked to compare {', '.join(names)}; expected 2 to {MOST_MODELS} different models.",
            next_step="podcaster show compare SHOW SHOW:base",
        )
    models = label_models([find_named_model(home, name) for name in names])
    run = find_yardstick_run(models)
    openings = _choose_openings(run, models, options.questions)
    yardstick = prepare_yardstick(run, openings)
    talk = TalkOptions(options.turns, options.seed, options.temperature)
    measured = measure_models(models, yardstick, talk, progress)
    return Comparison(
        models=measured.models,
        openings=yardstick.openings,
        conversations=measured.conversations,
        real=measured.real,
        turns=options.turns,
        seed=options.seed,
        temperature=options.temperature,
    )


def find_yardstick_run(models: Sequence[NamedModel]) -> Run | None:
    """The first show that holds something out, else the first with a dataset, else none."""
    runs = [(model.run, find_report(model.run)) for model in models]
    for run, report in runs:
        if report is not None and report.validation:
            return run
    return next((run for run, report in runs if report is not None), None)


def _choose_openings(
    run: Run | None, models: Sequence[NamedModel], questions: Sequence[str]
) -> tuple[Opening, ...]:
    """From the questions, else from held-out recordings, else from questions of ours."""
    if not questions and run is not None and (openings := choose_openings(run, OPENINGS)):
        return openings
    show = run or next((model.run for model in models if model.run), None)
    return open_with_questions(show, questions or GENERIC_QUESTIONS)


def describe_comparison(comparison: Comparison) -> dict[str, Any]:
    """Everything of a comparison for scripts."""
    described: dict[str, Any] = msgspec.to_builtins(comparison)
    for shown, model in zip(described["models"], comparison.models, strict=True):
        shown["held_out"] = describe_foretold(model.held_out)
    return described
