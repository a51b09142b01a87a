"""XTTS's GPT over many rows at a time: text and a voice in, audio tokens and their latents out.

coqui-tts decodes one text at a time, through transformers' `generate`, and then runs the network
a second time for the latents that the vocoder needs. Here each row of a batch has its own text,
voice, length and seed; a row that ends gives its place to the next text; and the latents are those
that the decoding itself computes, which are the same. The weights are those of the model:
GPT-2's blocks, with positions added outside of them.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from podcaster.errors import EngineError

# `generate` sees a filler token in place of the text, and penalises it as if it had been said
_FILLER_TOKEN = 1


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen; a temperature of 0 takes the likeliest. `top_k` 0: of all tokens."""

    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float


@dataclass(frozen=True)
class Row:
    """One text to decode: its tokens, its voice's latents `(1, n, width)`, and its limits.

    `seed` alone decides what is drawn, wherever in a batch the row lies.
    """

    text_tokens: tuple[int, ...]
    conditioning: Any
    longest_tokens: int
    seed: int


@dataclass(frozen=True)
class Decoded:
    """What became of a row: audio tokens, one latent `(n, width)` each, and whether it ended.

    `stopped` is false for a row that was still speaking at its limit.
    """

    tokens: tuple[int, ...]
    latents: Any
    stopped: bool


@dataclass
class _Speaking:
    """A row in the batch: its number, its prefix's length, and what it has said so far."""

    number: int
    row: Row
    prefix: int = 0
    tokens: list[int] = field(default_factory=list)
    latents: list[Any] = field(default_factory=list)


class Decoder:
    """Decodes rows with an `Xtts`'s GPT, `batch_size` at a time.

    Matrices are multiplied in `dtype`; what runs past them, and the norms, stay in float32, so that
    half precision cannot overflow.
    """

    def __init__(self, gpt: Any, sampling: Sampling, *, batch_size: int, dtype: Any) -> None:
        self._sampling, self._batch_size, self._dtype = sampling, batch_size, dtype
        self._width, self._heads = gpt.model_dim, gpt.heads
        self._start, self._stop = gpt.start_audio_token, gpt.stop_audio_token
        self._text_edges = (gpt.start_text_token, gpt.stop_text_token)
        self.longest_tokens = int(gpt.max_gen_mel_tokens)
        self.longest_text_tokens = int(gpt.max_text_tokens) - 2
        self._text, self._text_places = gpt.text_embedding, gpt.text_pos_embedding.emb
        self._audio, self._audio_places = gpt.mel_embedding, gpt.mel_pos_embedding.emb
        self._blocks = [_Block(block, dtype) for block in gpt.gpt.h]
        self._norms = (gpt.gpt.ln_f, gpt.final_norm)
        self._head = _Linear(gpt.mel_head.weight, gpt.mel_head.bias, dtype)
        self._device = gpt.mel_embedding.weight.device

    def decode(self, rows: Sequence[Row]) -> list[Decoded]:
        """Decode every row, in the order in which they were handed in.

        The longest begin first; a place in the batch that becomes free is taken by the next.
        Raises EngineError where the network does not answer with numbers.
        """
        if not rows:
            return []
        order = sorted(range(len(rows)), key=lambda i: -rows[i].longest_tokens)
        waiting = deque(_Speaking(number, rows[number]) for number in order)
        done: dict[int, Decoded] = {}
        with torch.inference_mode():
            batch = self._open_batch(rows)
            while waiting or batch.speaking:
                coming = min(batch.free_places(), len(waiting))
                if coming:
                    self._admit(batch, [waiting.popleft() for _ in range(coming)])
                else:
                    self._step(batch)
                for speaking in batch.leave(self._stop):
                    done[speaking.number] = self._finish(speaking)
        return [done[number] for number in range(len(rows))]

    def _open_batch(self, rows: Sequence[Row]) -> "_Batch":
        prefix = max(len(row.text_tokens) + 2 + row.conditioning.shape[1] for row in rows)
        longest = max(row.longest_tokens for row in rows)
        places = min(self._batch_size, len(rows))
        head = self._width // self._heads
        cache = torch.zeros(
            (len(self._blocks), 2, places, self._heads, prefix + 1 + longest, head),
            dtype=self._dtype,
            device=self._device,
        )
        return _Batch(cache, longest, self._head.outputs)

    def _admit(self, batch: "_Batch", coming: list[_Speaking]) -> None:
        """Run the prefixes of the next rows, and choose the first token of each."""
        prefixes = [self._embed_prefix(speaking.row) for speaking in coming]
        places = batch.enter(coming, [len(one) for one in prefixes], (_FILLER_TOKEN, self._start))
        # what is behind the end of a shorter row is seen by nothing before it, and overwritten
        x = torch.nn.utils.rnn.pad_sequence(prefixes, batch_first=True)  # (rows, length, width)
        count, length = x.shape[:2]
        for index, block in enumerate(self._blocks):
            q, k, v = self._split(block.project(x))
            batch.cache[index, 0, places, :, :length] = k
            batch.cache[index, 1, places, :, :length] = v
            heard = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = block.finish(x, heard.transpose(1, 2).reshape(count, length, self._width))
        last = batch.positions[places] - 1
        self._choose(batch, x[torch.arange(count, device=self._device), last], places)

    def _step(self, batch: "_Batch") -> None:
        """Run the last token of every row, and choose the next."""
        count = len(batch.speaking)
        places, longest = slice(count), batch.longest()
        positions = batch.positions[places]
        rows = torch.arange(count, device=self._device)
        seen = torch.arange(longest, device=self._device)[None] <= positions[:, None]
        x = self._audio(batch.last[places]) + self._audio_places(batch.said[places])
        for index, block in enumerate(self._blocks):
            q, k, v = self._split(block.project(x[:, None]))
            keys, values = batch.cache[index, 0], batch.cache[index, 1]
            keys[rows, :, positions], values[rows, :, positions] = k[:, :, 0], v[:, :, 0]
            heard = functional.scaled_dot_product_attention(
                q,
                keys[places, :, :longest],
                values[places, :, :longest],
                attn_mask=seen[:, None, None],
            )
            x = block.finish(x, heard.reshape(count, self._width))
        positions += 1  # in the batch
        self._choose(batch, x, places)

    def _choose(self, batch: "_Batch", x: Any, places: slice) -> None:
        """Choose the next token of some rows from what the last block says, `(rows, width)`."""
        for norm in self._norms:
            x = norm(x)
        scores = self._head(x).float()
        draws = batch.draw(places)
        chosen = choose_tokens(scores, batch.penalised[places], draws, self._sampling)
        batch.take(places, chosen)
        speaking = batch.speaking[places]
        for one, token, latent in zip(speaking, chosen.tolist(), x, strict=True):
            one.tokens.append(token)
            one.latents.append(latent)

    def _embed_prefix(self, row: Row) -> Any:
        """A row's voice, text and first audio token, `(length, width)`."""
        start, stop = self._text_edges
        text = torch.tensor([start, *row.text_tokens, stop], device=self._device)
        first = self._audio.weight[self._start] + self._audio_places.weight[0]
        places = self._text_places.weight[: len(text)]
        voice = row.conditioning[0].to(device=self._device, dtype=torch.float32)
        return torch.cat((voice, self._text(text) + places, first[None]))

    def _split(self, projected: Any) -> tuple[Any, ...]:
        """`(rows, length, 3 × width)` as queries, keys and values `(rows, heads, length, head)`."""
        count, length, _ = projected.shape
        shape = (count, length, 3, self._heads, self._width // self._heads)
        return tuple(projected.view(shape).permute(2, 0, 3, 1, 4))

    def _finish(self, speaking: _Speaking) -> Decoded:
        latents = torch.stack(speaking.latents)
        if not bool(torch.isfinite(latents).all()):
            raise EngineError(
                f"XTTS answered with something other than numbers, in {self._dtype}.",
                next_step="Open the engine with precision = 'float32'; if that does not help, the "
                "model's files are damaged.",
            )
        return Decoded(tuple(speaking.tokens), latents, speaking.tokens[-1] == self._stop)


def choose_tokens(scores: Any, said: Any, draws: Any, sampling: Sampling) -> Any:
    """Choose a token for each row of `scores` `(rows, tokens)`, by its number in [0, 1).

    `said` `(rows, tokens)` marks what the penalty falls on. The order is that of transformers:
    penalty, temperature, the `top_k` likeliest, those of them that make up `top_p`.
    """
    penalty = sampling.repetition_penalty
    scores = torch.where(said, torch.where(scores < 0, scores * penalty, scores / penalty), scores)
    if sampling.temperature == 0:
        return scores.argmax(dim=-1)
    kept = min(sampling.top_k or scores.shape[-1], scores.shape[-1])
    likeliest, tokens = torch.topk(scores / sampling.temperature, kept, dim=-1)
    shares = torch.softmax(likeliest, dim=-1)
    before = shares.cumsum(dim=-1) - shares
    shares = shares.masked_fill(before >= sampling.top_p, 0.0)
    reached = shares.cumsum(dim=-1)
    wanted = draws[:, None] * reached[:, -1:]
    # rounding may leave the last one that is allowed just out of reach
    last = ((shares > 0).sum(dim=-1, keepdim=True) - 1).clamp(min=0)
    place = torch.minimum((reached <= wanted).sum(dim=-1, keepdim=True), last)
    return tokens.gather(-1, place)[:, 0]


class _Linear:
    """A matrix `(outputs, inputs)` and what is added, in the precision of multiplication.

    It is laid out by outputs: for a few rows, processors are quicker so.
    """

    def __init__(self, weight: Any, bias: Any, dtype: Any) -> None:
        self._weight, self._bias = weight.to(dtype).contiguous(), bias.to(dtype)
        self.outputs = int(weight.shape[0])

    def __call__(self, x: Any) -> Any:
        return functional.linear(x.to(self._weight.dtype), self._weight, self._bias)


class _Block:
    """One of GPT-2's blocks, in two halves with the attention between them."""

    def __init__(self, block: Any, dtype: Any) -> None:
        self._norms = (block.ln_1, block.ln_2)
        self._in = _Linear(block.attn.c_attn.weight.T, block.attn.c_attn.bias, dtype)
        self._out = _Linear(block.attn.c_proj.weight.T, block.attn.c_proj.bias, dtype)
        self._wide = _Linear(block.mlp.c_fc.weight.T, block.mlp.c_fc.bias, dtype)
        self._narrow = _Linear(block.mlp.c_proj.weight.T, block.mlp.c_proj.bias, dtype)

    def project(self, x: Any) -> Any:
        """Queries, keys and values side by side, of the float32 stream `x`."""
        return self._in(self._norms[0](x))

    def finish(self, x: Any, heard: Any) -> Any:
        """The stream behind the block, given what its attention heard."""
        x = x + self._out(heard).float()
        hidden = functional.gelu(self._wide(self._norms[1](x)), approximate="tanh")
        return x + self._narrow(hidden).float()


class _Batch:
    """Rows side by side, and what is remembered for each: keys and values, positions, tokens said.

    The rows stand at the first places, without a gap.
    """

    def __init__(self, cache: Any, longest_tokens: int, vocabulary: int) -> None:
        device, places = cache.device, cache.shape[2]
        self.cache = cache  # (blocks, 2, places, heads, length, head)
        self.speaking: list[_Speaking] = []
        # where the next key goes; which audio position its token has; the token
        self.positions = torch.zeros(places, dtype=torch.long, device=device)
        self.said = torch.zeros(places, dtype=torch.long, device=device)
        self.last = torch.zeros(places, dtype=torch.long, device=device)
        self.penalised = torch.zeros((places, vocabulary), dtype=torch.bool, device=device)
        self._draws = torch.zeros((places, longest_tokens), device=device)

    def free_places(self) -> int:
        """How many more rows there is a place for."""
        return len(self.positions) - len(self.speaking)

    def enter(
        self, coming: Sequence[_Speaking], lengths: Sequence[int], penalised: Iterable[int]
    ) -> slice:
        """Take rows in, whose prefixes are so long: their places."""
        places = slice(len(self.speaking), len(self.speaking) + len(coming))
        device = self.positions.device
        self.positions[places] = torch.tensor(lengths, device=device)
        self.said[places] = 0
        self.penalised[places] = False
        for token in penalised:
            if token < self.penalised.shape[1]:
                self.penalised[places, token] = True
        for place, one, length in zip(
            range(places.start, places.stop), coming, lengths, strict=True
        ):
            drawn = np.random.default_rng(one.row.seed).random(one.row.longest_tokens, np.float32)
            self._draws[place, : len(drawn)] = torch.from_numpy(drawn).to(device)
            one.prefix = length
        self.speaking += coming
        return places

    def longest(self) -> int:
        """How much of the cache is used, with the keys that are about to come."""
        return max(one.prefix + len(one.tokens) for one in self.speaking)

    def draw(self, places: slice) -> Any:
        """For each row, the number in [0, 1) that decides its next token."""
        return self._draws[places].gather(1, self.said[places, None])[:, 0]

    def take(self, places: slice, chosen: Any) -> None:
        """Each row's next token is chosen."""
        self.last[places] = chosen
        self.said[places] += 1
        self.penalised[places].scatter_(1, chosen[:, None], True)

    def leave(self, stop: int) -> list[_Speaking]:
        """Let go of the rows that have said the end or reached their limit; the last fill up."""
        gone = []
        for place in reversed(range(len(self.speaking))):
            one = self.speaking[place]
            if one.tokens[-1] != stop and len(one.tokens) < one.row.longest_tokens:
                continue
            gone.append(one)
            filler = self.speaking.pop()
            if filler is not one:
                self._move(len(self.speaking), place)
                self.speaking[place] = filler
        return gone

    def _move(self, source: int, target: int) -> None:
        for tensor in (self.positions, self.said, self.last, self.penalised, self._draws):
            tensor[target] = tensor[source]
        self.cache[:, :, target] = self.cache[:, :, source]
