"""Muon: momentum whose matrix steps are made orthogonal (Jordan et al. 2024).

https://kellerjordan.github.io/posts/muon/. The same steps as torch.optim.Muon, which PyTorch
has since 2.9 only.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the post: steep at zero, near one for all singulars
_ITERATIONS = 5
_TINY = 1e-7


def orthogonalise(matrix: torch.Tensor) -> torch.Tensor:
    """Bring all singular values of a matrix near 1, by Newton-Schulz in bfloat16."""
    a, b, c = _COEFFICIENTS
    wide = matrix.bfloat16()
    if matrix.shape[0] > matrix.shape[1]:
        wide = wide.T
    wide = wide / wide.norm().clamp(min=_TINY)
    for _ in range(_ITERATIONS):
        gram = wide @ wide.T
        change = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        wide = torch.addmm(wide, change, wide, beta=a)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide


class Muon(torch.optim.Optimizer):  # type: ignore[misc, unused-ignore]
    """Moves matrices by the orthogonal part of their Nesterov momentum; decay is decoupled."""

    def __init__(
        self,
        matrices: Iterable[torch.nn.Parameter],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
    ) -> None:
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum}
        super().__init__(matrices, defaults)

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]
    def step(  # type: ignore[override, unused-ignore]
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """Move all matrices that have gradients."""
        loss = closure() if closure is not None else None
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._move(matrix, matrix.grad, group)
        return loss

    def _move(self, matrix: torch.Tensor, slope: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(slope)
        momentum = state["momentum_buffer"]
        momentum.lerp_(slope, 1 - group["momentum"])
        step = orthogonalise(slope.lerp(momentum, group["momentum"]))
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(step.to(matrix.dtype), alpha=-group["lr"] * scale)
