"""Evaluate a show's exported model: beside its base, and beside how the show really talks."""

from podcaster.errors import InputError
from podcaster.exported import BASE, ExportReport, NamedModel
from podcaster.progress import Progress, Silence
from podcaster.recordings import EXPORT
from podcaster.run import Run
from podcaster.setup.cache import find_adapter, find_model
from podcaster.talk.asking import GENERIC_QUESTIONS, open_with_questions
from podcaster.talk.evaluation_page import Evaluation, Losses
from podcaster.talk.figures import Comparison, Opening
from podcaster.talk.held_out import choose_openings, find_report
from podcaster.talk.measuring import TalkOptions, measure_models, prepare_yardstick

OPENINGS = 6
TURNS = 6
SEED = 0
TEMPERATURE = 0.8
BUILTIN = "builtin"


def evaluate_export(
    run: Run,
    report: ExportReport,
    *,
    losses: Losses | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Let the exported model and its base talk as held-out recordings begin, and measure both.

    The base is measured where there is a GGUF file of it. `losses` are what training measured; see
    `Evaluation`. Raises InputError where the export's file is gone, EngineError.
    """
    models = list_models(run, report)
    yardstick = prepare_yardstick(run, _choose_openings(run))
    options = TalkOptions(TURNS, SEED, TEMPERATURE)
    measured = measure_models(models, yardstick, options, progress or Silence())
    return Evaluation(
        show=run.name,
        base=report.base,
        quantisation=report.quantisation,
        comparison=Comparison(
            models=measured.models,
            openings=yardstick.openings,
            conversations=measured.conversations,
            real=measured.real,
            turns=TURNS,
            seed=SEED,
            temperature=TEMPERATURE,
        ),
        losses={when: dict(by_role) for when, by_role in (losses or {}).items()},
    )


def list_models(run: Run, report: ExportReport) -> list[NamedModel]:
    """The tuned model and, if there is a file of it, its base. Raises InputError."""
    file = report.find(report.quantisation)
    path = run.path / EXPORT / file.path if file else run.path / EXPORT
    if not path.is_file():
        raise InputError(
            f"The export of {run.name} lacks its {report.quantisation} file.",
            next_step=f"Export it again with `podcaster show export {run.name}`.",
        )
    models = [NamedModel(run.name, path, run, report)]
    base = _find_base(run, report)
    if base is not None:
        models.append(base)
    return models


def _find_base(run: Run, report: ExportReport) -> NamedModel | None:
    label = f"{run.name}:{BASE}"
    if report.base_file is not None:
        path = run.path / EXPORT / report.base_file.path
        return NamedModel(label, path, run, report) if path.is_file() else None
    if report.base != BUILTIN:
        return None
    return NamedModel(label, find_model(BUILTIN), run, report, find_adapter(BUILTIN))


def _choose_openings(run: Run) -> tuple[Opening, ...]:
    """From held-out recordings; where there are none, questions of ours."""
    if find_report(run) is not None and (openings := choose_openings(run, OPENINGS)):
        return openings
    return open_with_questions(run, GENERIC_QUESTIONS)
