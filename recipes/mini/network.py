"""The network of the built-in model: a small Llama, its size, its start values, its loss."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from transformers import AttentionInterface, LlamaConfig, LlamaForCausalLM

from podcaster.dialogue import DialogueTemplate

IGNORED = -100
BLOCK_ATTENTION = "causal_blocks"
_BLOCK_TOKENS = 256
_LOSS_TOKENS = 2048  # at a time: their logits are the largest thing in memory


def make_config(
    tokenizer: Tokenizer, *, context: int, layers: int, width: int, heads: int
) -> LlamaConfig:
    """Describe the network; the feed-forward part is 8/3 as wide, in multiples of 32."""
    template = DialogueTemplate()
    return LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=width,
        intermediate_size=round(width * 8 / 3 / 32) * 32,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
        rope_theta=10_000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.token_to_id(template.begin),
        eos_token_id=tokenizer.token_to_id(template.end),
        attn_implementation="sdpa",
    )


def make_model(config: LlamaConfig, seed: int) -> LlamaForCausalLM:
    """Make a fresh float32 network; what writes into the residual stream starts at zero."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    for name, parameter in model.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            torch.nn.init.zeros_(parameter)
    return model


def add_dropout(model: LlamaForCausalLM, share: float) -> None:
    """Drop a share of what attention and feed-forward parts add to the residual stream.

    The Llama architecture has no such dropout of its own; it works in training mode alone.
    """

    def drop(module: torch.nn.Module, _inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (torch.nn.functional.dropout(output[0], share, module.training), *output[1:])
        return torch.nn.functional.dropout(output, share, module.training)

    for layer in model.model.layers:
        layer.self_attn.register_forward_hook(drop)
        layer.mlp.register_forward_hook(drop)


def block_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    **_others: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention by blocks of queries, each over the keys up to its own end.

    For training on a processor: plain products, without the half that a causal mask throws away.
    query, key, value: (B, heads, T, d), with as many heads for keys; no mask but the causal one.
    Returns (B, T, heads, d).
    """
    length = query.shape[2]
    parts = []
    for start in range(0, length, _BLOCK_TOKENS):
        stop = min(start + _BLOCK_TOKENS, length)
        scores = query[:, :, start:stop] @ key[:, :, :stop].transpose(2, 3) * scaling
        above = torch.ones(stop - start, stop, dtype=torch.bool, device=query.device)
        scores = scores.masked_fill(above.triu(start + 1), float("-inf"))
        parts.append(scores.softmax(dim=-1) @ value[:, :, :stop])
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(BLOCK_ATTENTION, block_attention)


def load_model(folder: Path) -> LlamaForCausalLM:
    """Load a network that training saved, in float32, ready to evaluate."""
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


def label_rows(
    ids: npt.NDArray[np.uint16], lengths: npt.NDArray[np.int32], tokenizer: Tokenizer
) -> npt.NDArray[np.int64]:
    """Labels `(n, context)` for ids `(n, context + 1)`: the next ids, headers and padding ignored.

    Headers are given, never generated, so learning to predict them would waste the network.
    """
    template = DialogueTemplate()
    opens = [tokenizer.token_to_id(t) for t in (template.begin, template.names, template.topic)]
    closes = [tokenizer.token_to_id(t) for t in (template.host, template.guest, template.other)]
    places = np.arange(ids.shape[1])[None, :]
    last_open = np.maximum.accumulate(np.where(np.isin(ids, opens), places, -1), axis=1)
    last_close = np.maximum.accumulate(np.where(np.isin(ids, closes), places, -1), axis=1)
    ignored = (last_open > last_close) | (places >= lengths[:, None])
    labels = np.where(ignored, IGNORED, ids.astype(np.int64))
    return labels[:, 1:]


def sum_loss(model: LlamaForCausalLM, ids: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in nats, summed over the labels that count. ids and labels: (B, T)."""
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state  # (B, T, width)
    total = hidden.new_zeros((), dtype=torch.float32)
    chunks = zip(
        hidden.flatten(0, 1).split(_LOSS_TOKENS), labels.flatten().split(_LOSS_TOKENS), strict=True
    )
    for part, wanted in chunks:
        logits = model.lm_head(part).float()  # (tokens, vocabulary)
        total = total + torch.nn.functional.cross_entropy(
            logits, wanted, ignore_index=IGNORED, reduction="sum"
        )
    return total


def text_bytes_per_token(tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """How many bytes of text each id spells, 0 for the special ones.

    A byte-level vocabulary spells each byte with one character.
    """
    special = set(DialogueTemplate().special_tokens())
    tokens = [tokenizer.id_to_token(i) or "" for i in range(tokenizer.get_vocab_size())]
    return np.array([0 if token in special else len(token) for token in tokens])
