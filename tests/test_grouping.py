"""Training by many workers of a real Ray cluster: the same curve, and the same end after a kill."""

import importlib.util
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

for library in ("torch", "transformers", "peft"):
    pytest.importorskip(library, reason=f"training needs {library}: install podcaster[train]")
pytest.importorskip("ray", reason="a cluster needs Ray: install podcaster[cluster]")
pytest.importorskip("pyarrow", reason="Ray Train needs it: install podcaster[cluster]")

import psutil  # noqa: E402

from podcaster.errors import EngineError  # noqa: E402
from podcaster.grouping import open_cluster, train_in_group  # noqa: E402
from podcaster.train.bases import describe_base  # noqa: E402
from podcaster.train.engine import Alone  # noqa: E402
from podcaster.train.options import TrainOptions  # noqa: E402
from podcaster.train.stage import Job, Result, work  # noqa: E402

pytestmark = [
    pytest.mark.engine,
    pytest.mark.filterwarnings("ignore"),  # Ray's own, in its processes and in ours
]


def load_module(name: str, *parts: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent.joinpath(*parts))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


STEPS = 25
tiny_models = load_module("podcaster_tiny_language_models", "export", "tiny_models.py")
shows = load_module("podcaster_tiny_shows", "train", "shows.py")


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with open_cluster("local") as gpus:
        assert gpus == [] or os.environ.get("CUDA_VISIBLE_DEVICES")
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("group")
    tiny_models.make_model(folder / "base", "llama-3")
    shows.write_lines(folder / "train.jsonl", range(48))
    shows.write_lines(folder / "validation.jsonl", range(100, 108))
    return folder


def make_job(place: Path, folder: Path, **changes: Any) -> Job:
    folder.mkdir()
    options = TrainOptions(
        max_steps=STEPS, epochs=50, precision="fp32", checkpointing="off", patience=0
    )
    given: dict[str, Any] = {
        "base": describe_base("tiny", place / "base"), "options": options,
        "train": str(place / "train.jsonl"), "validation": str(place / "validation.jsonl"),
        "folder": str(folder), "expected": "test", "language": "en", "context": 512,
        "row_tokens": 600, "batch_tokens": 2400, "learning_rate": 3e-3, "rank": 4, "alpha": 8.0,
        "flops_per_token": 1.0, "peak_flops": None, "save_every": 5,
    }  # fmt: skip
    return Job(**{**given, **changes})


def losses(result: Result) -> list[float]:
    return [point.loss for point in result.state.points]


def nothing(_point: Any, _steps: int) -> None:
    return


def test_two_workers_of_which_one_is_killed_come_to_where_one_does(
    cluster: None, place: Path, tmp_path: Path
) -> None:
    alone = work(make_job(place, tmp_path / "one"), Alone(), "cpu", nothing)
    job = make_job(place, tmp_path / "two")
    checkpoints = tmp_path / "two" / "checkpoints"
    killed: list[int] = []  # the step of the newest checkpoint then

    def kill_one() -> None:
        until = time.monotonic() + 300
        while not killed and time.monotonic() < until:
            states = sorted(checkpoints.glob("step-*/state.json"))
            workers = [p for p in psutil.process_iter() if is_worker(p)]
            if states and len(workers) == 2:
                killed.append(int(states[-1].parent.name.removeprefix("step-")))
                os.kill(workers[-1].pid, signal.SIGKILL)
            time.sleep(0.01)

    thread = threading.Thread(target=kill_one)
    thread.start()
    seen: list[int] = []
    group = train_in_group(job, 2, 0, 1, lambda point, steps: seen.append(point.step))
    thread.join()
    assert killed
    assert killed[0] < STEPS
    assert set(seen) == set(range(1, STEPS + 1))
    assert [point.step for point in group.state.points] == list(range(1, STEPS + 1))
    assert losses(group) == pytest.approx(losses(alone), abs=1e-3)
    assert group.state.best_loss == pytest.approx(alone.state.best_loss, abs=1e-3)
    assert losses(alone)[-1] < losses(alone)[0] - 0.1
    assert (tmp_path / "two" / ".adapter" / "adapter_model.safetensors").is_file()
    # as if both had been killed before the end: one goes on alone
    (checkpoints / f"step-{STEPS:08d}" / "state.json").unlink()
    heard: list[int] = []
    again = work(job, Alone(), "cpu", lambda point, steps: heard.append(point.step))
    assert heard == list(range(STEPS - 4, STEPS + 1))
    assert losses(again) == pytest.approx(losses(alone), abs=1e-3)


def is_worker(process: psutil.Process) -> bool:
    try:
        return "RayTrainWorker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def test_a_failure_of_the_work_is_told_once_as_it_was(
    cluster: None, place: Path, tmp_path: Path
) -> None:
    job = make_job(place, tmp_path / "fails", learning_rate=1e30)
    with pytest.raises(EngineError, match=r"^The loss of step \d+ is (nan|inf)"):
        train_in_group(job, 2, 0, 1, nothing)
