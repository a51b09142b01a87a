"""What a model is trained on: a GPU, or the processor; its memory, its peak, its price."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from podcaster.dataset.costs import Prices, is_called
from podcaster.placement import choose_device, has_bf16

UNKNOWN_GPU_BYTES = 16_000_000_000  # of a cluster's GPU that the price table does not know


@dataclass(frozen=True)
class Device:
    """Where it is trained: a GPU by its driver's name, or the processor; `bf16` in hardware."""

    name: str
    torch_name: str
    gpu: bool
    free_bytes: int
    bf16: bool

    def peak_flops(self, prices: Prices) -> float | None:
        """Its dense bf16 peak, from the price table; None where that does not know it."""
        found = self._find(prices)
        return found.tflops * 1e12 if found else None

    def price(self, prices: Prices, seconds: float) -> float | None:
        """What so many seconds of it cost."""
        found = self._find(prices)
        return found.per_hour * seconds / 3600 if found else None

    def _find(self, prices: Prices) -> Any:
        if not self.gpu:
            return None
        return next((g for g in prices.gpus.values() if is_called(g.match, self.name)), None)


def find_device() -> Device:
    """The first GPU that torch sees, or the processor."""
    import psutil
    import torch

    if choose_device("auto", "torch") == "cuda":
        free, _ = torch.cuda.mem_get_info(0)
        name = torch.cuda.get_device_name(0)
        return Device(name, "cuda:0", True, int(free), has_bf16("cuda"))
    free = int(psutil.virtual_memory().available)
    return Device("the processor", "cpu", False, free, has_bf16("cpu"))


def describe_cluster(gpus: Sequence[str], prices: Prices) -> Device:
    """A worker's device by what the cluster says: its GPU has the memory of the price table."""
    import psutil

    if not gpus:
        free = int(psutil.virtual_memory().available)
        return Device("a processor of the cluster", "cpu", False, free, False)
    kind = gpus[0]  # `H100`, where the table's driver says `NVIDIA H100`
    known = [
        g for g in prices.gpus.values() if is_called(kind, g.match) or is_called(g.match, kind)
    ]
    free = int(known[0].memory_gb * 1e9) if known else UNKNOWN_GPU_BYTES
    name = known[0].match if known else kind
    return Device(name, "cuda", True, free, True)
