"""An engine that tells what was done with it, by files; the nodes of a test's cluster import it."""

import os
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

from podcaster.errors import EngineError, EngineMissing, InputError

PATIENCE_S = 120  # with a machine that is busy with other things; then it is a fault


@dataclass(frozen=True)
class Job:
    """What to do: sleep, then as `how` says; `folder` is where it is told.

    On the node `endless_on` it takes so long that only killing ends it. Jobs of the same `meeting`
    wait for each other until two workers are at it.
    """

    name: str
    folder: str
    seconds: float = 0.0
    how: str = "well"
    path: str = ""
    endless_on: str = ""
    meeting: str = ""


@dataclass(frozen=True)
class Opener:
    """Opens the engine; `how` says how that ends."""

    folder: str
    how: str = "well"
    stage: str = "transcribe"
    name: str = "counted"

    def open(self) -> "Engine":
        if self.how == "missing":
            raise EngineMissing("The model is not here.", next_step="Get it with `get it`.")
        if self.how == "missing on the first" and claim(self.folder, "first"):
            raise EngineMissing("The model is not here.", next_step="Get it with `get it`.")
        if self.how == "die":
            os._exit(7)
        tell(self.folder, "open", str(os.getpid()))
        tell(self.folder, "gpus", os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
        return Engine(self.folder)


class Engine:
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def close(self) -> None:
        tell(self.folder, "close", str(os.getpid()))


def do(engine: Engine, job: Job) -> str:
    """Work: the name of the job, or what its file says."""
    assert isinstance(engine, Engine)
    tell(job.folder, "begin", f"{job.name} {node_id()} {time.time()} {os.getpid()}")
    time.sleep(3600 if job.endless_on == node_id() else job.seconds)
    if job.meeting:
        meet(job)
    if job.how == "die" or (job.how == "die once" and claim(job.folder, f"died-{job.name}")):
        os._exit(9)
    if job.how == "bad input":
        raise InputError(f"{job.name} has no sound.", next_step="Give it some.")
    if job.how == "engine fails":
        raise EngineError(f"{job.name} did not fit.")
    if job.how == "bug":
        raise KeyError(job.name)
    if job.path:
        tell(job.folder, "read", job.path)
        return Path(job.path).read_text(encoding="utf-8")
    tell(job.folder, "done", job.name)
    return job.name


def meet(job: Job) -> None:
    tell(job.folder, job.meeting, str(os.getpid()))
    until = time.monotonic() + PATIENCE_S
    while len(set(told(job.folder, job.meeting))) < 2:
        if time.monotonic() > until:
            raise EngineError(f"Nobody came to {job.meeting}.")
        time.sleep(0.05)


def node_id() -> str:
    import ray

    return str(ray.get_runtime_context().get_node_id())


def tell(folder: str, what: str, text: str) -> None:
    name = f"{what}-{time.time():.6f}-{uuid.uuid4().hex[:8]}"
    part = Path(folder) / f"part-{name}"
    part.write_text(text, encoding="utf-8")
    part.rename(Path(folder) / name)


def told(folder: str | Path, what: str) -> list[str]:
    """What was told, in the order of time."""
    return [path.read_text(encoding="utf-8") for path in sorted(Path(folder).glob(f"{what}-*"))]


def claim(folder: str, name: str) -> bool:
    """Whether nobody has claimed it before."""
    try:
        (Path(folder) / f"claim-{name}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
