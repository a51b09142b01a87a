"""Attention within each sequence of a row: exact, without padding and without a mask of the row.

Registered with transformers under `PACKED`. The sequences lie side by side in one row `(1, n)`;
their lengths come as `sequence_lengths`. Each is attended to by itself with torch's own kernels, so
that nothing can leak, and a row costs what its sequences cost.
"""

import math
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface

PACKED = "podcaster_packed"


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    sequence_lengths: tuple[int, ...] | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention of `(1, heads, n, width)` to `(1, n, heads, width)`, sequence by sequence.

    `sliding_window` as in Mistral and Gemma: a token sees so many, itself counted. `softcap` as in
    Gemma 2. Raises ValueError for more than one row.
    """
    if query.shape[0] != 1 or attention_mask is not None:
        raise ValueError("packed attention takes one row and no mask")
    lengths = sequence_lengths or (query.shape[2],)
    outputs = [
        _attend_alone(q, k, v, scaling, sliding_window, softcap, dropout)
        for q, k, v in zip(
            query.split(lengths, dim=2),
            key.split(lengths, dim=2),
            value.split(lengths, dim=2),
            strict=True,
        )
    ]
    return torch.cat(outputs, dim=2).transpose(1, 2).contiguous(), None


def _attend_alone(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    window: int | None,
    softcap: float | None,
    dropout: float,
) -> torch.Tensor:
    length = query.shape[2]
    grouped = query.shape[1] != key.shape[1]
    if grouped and query.device.type == "cpu":
        # torch's quick kernel for processors knows no groups; any other takes four times as long
        times = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
        grouped = False
    banded = window is not None and window < length
    if softcap is None and not banded:
        return functional.scaled_dot_product_attention(
            query, key, value, dropout_p=dropout, is_causal=True, scale=scaling, enable_gqa=grouped
        )
    mask = torch.ones(length, length, dtype=torch.bool, device=query.device).tril()
    if banded:
        assert window is not None
        mask = mask.triu(1 - window)
    if softcap is None:
        return functional.scaled_dot_product_attention(
            query, key, value, mask, dropout_p=dropout, scale=scaling, enable_gqa=grouped
        )
    if grouped:
        times = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(times, 1), value.repeat_interleave(times, 1)
    scale = scaling if scaling is not None else 1 / math.sqrt(query.shape[-1])
    scores = torch.tanh(query @ key.transpose(2, 3) * scale / softcap) * softcap
    weights = scores.masked_fill(~mask, -math.inf).softmax(-1, dtype=torch.float32)
    return functional.dropout(weights.to(query.dtype), dropout) @ value


def _no_mask(*_: Any, **__: Any) -> None:
    return None


AttentionInterface.register(PACKED, attend)
AttentionMaskInterface.register(PACKED, _no_mask)
