"""What this machine has, and whether a model would run on it."""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Literal

from podcaster.model import Noun
from podcaster.probe import ProbeFailed, run_probe
from podcaster.setup.catalogue import Model
from podcaster.units import format_bytes

SPARE_DISK_BYTES = 500_000_000
SPARE_MEMORY_BYTES = 2_000_000_000  # for the system and the person's other programs
# A processor with two memory channels reads some 30 GB/s: 3 GB a token is ten tokens a second,
# four times as fast as people speak.
QUICK_ACTIVE_BYTES = 3_000_000_000
QUICK_CORES = 4
# Metal lends a process about three quarters of the memory that Apple's chips share
APPLE_GPU_SHARE = 0.75
NVIDIA_TIMEOUT_S = 20

_OFFLOAD_PROBE = "import llama_cpp; print(int(llama_cpp.llama_supports_gpu_offload()))"


class Gpu(Noun, frozen=True):
    """A graphics processor and the memory that a model can use on it."""

    name: str
    memory_bytes: int


class MachineReport(Noun, frozen=True):
    """What counts for running models. `gpu_offload` is None where there is no GPU to ask about."""

    system: str
    cores: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    gpu_offload: bool | None
    cache_folder: str
    cache_free_bytes: int
    home_free_bytes: int


class Verdict(Noun, frozen=True):
    """Whether a model runs here, with the reason in figures."""

    level: Literal["runs well", "runs slowly", "will not fit"]
    reason: str


def survey(home: Path) -> MachineReport:
    """Look at the processor, memory, GPUs and disks of this machine, without importing torch."""
    cache = hub_cache_folder()
    gpus = find_gpus()
    return MachineReport(
        system=f"{platform.system()} {platform.machine()}",
        cores=_count_cores(),
        memory_bytes=total_memory_bytes(),
        gpus=gpus,
        gpu_offload=supports_gpu_offload() if gpus else None,
        cache_folder=str(cache),
        cache_free_bytes=free_bytes(cache),
        home_free_bytes=free_bytes(home),
    )


def fits(model: Model, machine: MachineReport, *, downloaded: bool = False) -> Verdict:
    """Judge whether `model` runs on `machine`; disk space matters until it is downloaded."""
    room = machine.cache_free_bytes - SPARE_DISK_BYTES
    if not downloaded and room < model.size_bytes:
        return Verdict(
            level="will not fit",
            reason=f"the file has {format_bytes(model.size_bytes)}, and {machine.cache_folder} "
            f"has {format_bytes(machine.cache_free_bytes)} free",
        )
    need = format_bytes(model.memory_bytes)
    gpu = max(machine.gpus, key=lambda g: g.memory_bytes, default=None)
    if gpu and machine.gpu_offload and gpu.memory_bytes >= model.memory_bytes:
        return Verdict(
            level="runs well",
            reason=f"needs {need}; {gpu.name} has {format_bytes(gpu.memory_bytes)}",
        )
    aside = _explain_gpu(gpu, machine)
    if machine.memory_bytes - SPARE_MEMORY_BYTES < model.memory_bytes:
        return Verdict(
            level="will not fit",
            reason=f"needs {need} of memory, and this machine has "
            f"{format_bytes(machine.memory_bytes)}{aside}",
        )
    quick = model.active_bytes <= QUICK_ACTIVE_BYTES and machine.cores >= QUICK_CORES
    return Verdict(
        level="runs well" if quick else "runs slowly",
        reason=f"needs {need} of {format_bytes(machine.memory_bytes)}; {machine.cores} cores read "
        f"{format_bytes(model.active_bytes)} a token{aside}",
    )


def find_gpus() -> tuple[Gpu, ...]:
    """NVIDIA's by asking its driver's own program, Apple's by the processor; none is no error."""
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        shared = int(total_memory_bytes() * APPLE_GPU_SHARE)
        return (Gpu(name="Apple GPU", memory_bytes=shared),)
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(  # noqa: S603 (fixed arguments, no shell)
            query, capture_output=True, timeout=NVIDIA_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_nvidia_smi(done.stdout.decode("utf-8", errors="replace"))


def parse_nvidia_smi(text: str) -> tuple[Gpu, ...]:
    """Read `name, mebibytes` lines; a line of another form (a message, "[N/A]") is passed over."""
    gpus = []
    for line in text.splitlines():
        name, _, mebibytes = line.rpartition(",")
        if name.strip() and mebibytes.strip().isdecimal():
            gpus.append(Gpu(name=name.strip(), memory_bytes=int(mebibytes) * 1024 * 1024))
    return tuple(gpus)


def supports_gpu_offload() -> bool:
    """Whether the installed llama-cpp-python was built for a GPU; asked in another process."""
    try:
        return bool(run_probe(_OFFLOAD_PROBE))
    except ProbeFailed:
        return False


def hub_cache_folder() -> Path:
    """Where models from the hub lie: HF_HUB_CACHE, else HF_HOME, else the home folder's cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def total_memory_bytes() -> int:
    """The machine's memory, or what the container that this runs in may use of it."""
    import psutil

    total = int(psutil.virtual_memory().total)
    # in a container, the kernel kills at this limit long before the machine is full
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total


def free_bytes(folder: Path) -> int:
    """Free space where `folder` is or would be made; 0 where that cannot be told."""
    for place in (folder.absolute(), *folder.absolute().parents):
        if place.exists():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return 0
    return 0


def _explain_gpu(gpu: Gpu | None, machine: MachineReport) -> str:
    if gpu is None:
        return ""
    if not machine.gpu_offload:
        return f" ({gpu.name} is idle: llama-cpp-python was built without it)"
    return f" ({gpu.name} has only {format_bytes(gpu.memory_bytes)})"


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
