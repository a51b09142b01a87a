"""What a show's training came to: read from `runs/<show>/train/`, once its record is there."""

from podcaster.errors import InputError
from podcaster.model import parse
from podcaster.recordings import TRAIN
from podcaster.run import RECORD_NAME, Run, read_bytes, read_record
from podcaster.train.report import REPORT, TrainReport


def read_train_report(run: Run) -> TrainReport:
    """What a show's training came to. Raises InputError where there is none."""
    where = run.path / TRAIN / REPORT
    if read_record(run.path / TRAIN / RECORD_NAME) is None:
        raise InputError(
            f"The show {run.name} has no trained model.",
            next_step=f"Train one with `podcaster show train {run.name}`.",
        )
    return parse(read_bytes(where), TrainReport, where=str(where))


def list_losses(run: Run) -> dict[str, dict[str, float]]:
    """The held-out losses of a show's training `before` and `after`, by role; what is known."""
    report = read_train_report(run)
    found = {
        "before": {
            "all": report.base_validation_loss,
            "host": report.base_validation_host,
            "guest": report.base_validation_guest,
        },
        "after": {
            "all": report.validation_loss,
            "host": report.validation_host,
            "guest": report.validation_guest,
        },
    }
    return {
        when: {role: loss for role, loss in losses.items() if loss is not None}
        for when, losses in found.items()
    }
