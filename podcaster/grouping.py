"""Train one model with many workers of a Ray cluster, by Ray Train: who they are, and how they add.

Beside `cluster` the only module that imports Ray. The workers share the folder of the training:
through it the first of them tells what comes, leaves checkpoints and, at the end, the adapter. When
a worker or its node dies, Ray Train starts the group again, and it goes on at the last checkpoint.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from podcaster.cluster import connect, import_ray, measure_room
from podcaster.errors import EngineError, EngineMissing, InputError, PodcasterError
from podcaster.model import Noun
from podcaster.run import read_bytes

POINTS, ERROR, STORAGE = ".points.jsonl", ".error.json", ".ray"
MOST_FAILURES = 8  # deaths in a training, after which it is given up
LISTEN_S = 0.5
CPUS_PER_WORKER = 1

Tell = Callable[[Any, int], None]


class _Said(Noun, frozen=True):
    """A point, and how many steps there will be."""

    point: msgspec.Raw
    steps: int


class _Failure(Noun, frozen=True):
    """A failure of a worker's own, which another try would only repeat."""

    kind: str
    message: str
    next_step: str | None


@contextmanager
def open_cluster(address: str) -> Iterator[list[str]]:
    """Join or start the cluster; yields the kinds of GPU that it has, as Ray names them: `H100`.

    A cluster without GPUs yields nothing. Raises what `cluster.connect` raises.
    """
    with connect(address or None):
        ray = import_ray()
        resources = [name for node in ray.nodes() if node["Alive"] for name in node["Resources"]]
        kinds = {n.partition(":")[2] for n in resources if n.startswith("accelerator_type:")}
        has_gpus = any(name == "GPU" for name in resources)
        yield sorted(kinds) or ["GPU"] if has_gpus else []


def train_in_group(
    job: Any, workers: int, gpus_per_worker: float, cpus_per_worker: int, tell: Tell
) -> Any:
    """Train on `workers` of the connected cluster (0: all GPUs, or two without), and wait.

    `job` is a `train.stage.Job`; returns its `Result`. Raises what a worker raised, EngineError
    where workers died too often or the folder is not shared.
    """
    stage = _load_stage()
    ray_train = _import_train()
    folder = Path(job.folder)
    for name in (POINTS, ERROR, stage.RESULT):
        (folder / name).unlink(missing_ok=True)
    room = measure_room(gpus_per_worker or None, cpus_per_worker or CPUS_PER_WORKER)
    use_gpu = room.share.gpus > 0
    count = workers or (room.places if use_gpu else 2)
    each: dict[str, float] = {"CPU": float(cpus_per_worker or CPUS_PER_WORKER)}
    if use_gpu:
        each["GPU"] = room.share.gpus
    trainer = ray_train.torch.TorchTrainer(
        _work,
        train_loop_config={"job": msgspec.json.encode(job).decode()},
        scaling_config=ray_train.ScalingConfig(
            num_workers=count, use_gpu=use_gpu, resources_per_worker=each
        ),
        run_config=ray_train.RunConfig(
            name="train",
            storage_path=str(folder / STORAGE),
            failure_config=ray_train.FailureConfig(max_failures=MOST_FAILURES),
        ),
    )
    with _listening(folder / POINTS, tell):
        try:
            trainer.fit()
        except Exception as error:
            _raise_failure(folder / ERROR)
            raise EngineError(f"The training group failed: {_telling(error)}") from error
        finally:
            shutil.rmtree(folder / STORAGE, ignore_errors=True)
    _raise_failure(folder / ERROR)
    if not (folder / stage.RESULT).is_file():
        raise EngineError(
            f"The training ended and left nothing in {folder}.",
            next_step="Put the workspace where all machines of the cluster reach it by that path.",
        )
    where = folder / stage.RESULT
    return msgspec.json.decode(read_bytes(where), type=stage.Result)


def _work(config: dict[str, str]) -> None:
    """One worker, in a process of the cluster."""
    import ray.train
    import ray.train.torch

    stage = _load_stage()
    job = msgspec.json.decode(config["job"], type=stage.Job)
    folder = Path(job.folder)
    if (folder / ERROR).exists():
        return  # what failed would fail again
    group = TorchGroup()
    device = str(ray.train.torch.get_device())

    def tell(point: Any, steps: int) -> None:
        if group.rank == 0:
            line = msgspec.json.encode({"point": point, "steps": steps})
            with (folder / POINTS).open("ab") as out:
                out.write(line + b"\n")

    try:
        stage.work(job, group, device, tell)
    except PodcasterError as error:
        failure = _Failure(
            kind=type(error).__name__, message=error.message, next_step=error.next_step
        )
        partial = folder / f"{ERROR}.{os.getpid()}"
        partial.write_bytes(msgspec.json.encode(failure))
        partial.replace(folder / ERROR)
        raise


class TorchGroup:
    """A `train.engine.Group` over torch.distributed, which Ray Train has set up."""

    def __init__(self) -> None:
        import torch
        import torch.distributed

        self._torch = torch
        self._all = torch.distributed
        self.rank: int = self._all.get_rank()
        self.size: int = self._all.get_world_size()

    def add(self, tensors: list[Any]) -> None:
        """Sum each over all workers, in one go."""
        flat = self._torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._all.all_reduce(flat)
        start = 0
        for tensor in tensors:
            size = tensor.numel()
            tensor.copy_(flat[start : start + size].view_as(tensor))
            start += size

    def add_numbers(self, numbers: list[float]) -> list[float]:
        """The sums over all workers."""
        device = "cuda" if self._all.get_backend() == "nccl" else "cpu"
        values = self._torch.tensor(numbers, dtype=self._torch.float64, device=device)
        self._all.all_reduce(values)
        return [float(value) for value in values.tolist()]


@contextmanager
def _listening(path: Path, tell: Tell) -> Iterator[None]:
    """Tell the lines that the first worker writes, while it does."""
    ended = threading.Event()
    from podcaster.train.checkpoints import Point

    def listen() -> None:
        at = 0
        while True:
            last = ended.wait(LISTEN_S)
            if path.is_file():
                with path.open("rb") as lines:
                    lines.seek(at)
                    for line in lines:
                        if not line.endswith(b"\n"):
                            break
                        at += len(line)
                        said = msgspec.json.decode(line, type=_Said)
                        tell(msgspec.json.decode(said.point, type=Point), said.steps)
            if last:
                return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        path.unlink(missing_ok=True)


def _raise_failure(path: Path) -> None:
    """Raise what a worker left, as it was."""
    if not path.is_file():
        return
    failure = msgspec.json.decode(read_bytes(path), type=_Failure)
    path.unlink()
    kinds = {kind.__name__: kind for kind in (EngineError, EngineMissing, InputError)}
    raise kinds.get(failure.kind, PodcasterError)(failure.message, next_step=failure.next_step)


def _load_stage() -> Any:
    import podcaster.train.stage

    return podcaster.train.stage


def _import_train() -> Any:
    import_ray()
    try:
        import ray.train
        import ray.train.torch
    except ImportError as error:
        raise EngineMissing(
            f"Training over a cluster needs Ray Train, which cannot be loaded: {error}.",
            next_step="Install it with `pip install 'podcaster[cluster]'`.",
        ) from error
    return ray.train


def _telling(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line]
    return (telling[-1] if telling else lines[0] if lines else type(error).__name__)[:300]
