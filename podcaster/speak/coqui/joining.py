"""Pieces of speech joined to a turn: the noise around each cut away, pauses as people make them."""

import hashlib
import random
from collections.abc import Sequence

import numpy as np

from podcaster.speak.coqui.text import Piece
from podcaster.speak.engine import Samples
from podcaster.speak.pauses import draw_pause_s

_FRAME_S = 0.01
# XTTS breathes and hums around its words, this far under them
_QUIET_DB = -40.0
_LEAD_S, _TAIL_S = 0.02, 0.08
_FADE_S = 0.008
# behind a part that ends with no mark: hardly a breath
_CUT_PAUSE_S = 0.05
_MARKS = ".!?;:,。！？；：，、؟؛،।"


def trim(samples: Samples, rate_hz: int) -> Samples:
    """Cut what is far under the loudest 10 ms, before and after, and fade the ends.

    Something is left of everything: a piece that never gets loud stays as it is.
    """
    frame = max(1, round(_FRAME_S * rate_hz))
    count = len(samples) // frame
    if count < 2:
        return samples
    power = np.square(samples[: count * frame], dtype=np.float64).reshape(count, frame).mean(axis=1)
    loudest = float(power.max())
    if loudest <= 0.0:
        return samples
    loud = np.flatnonzero(power > loudest * 10.0 ** (_QUIET_DB / 10.0))
    start = max(0, int(loud[0]) * frame - round(_LEAD_S * rate_hz))
    end = min(len(samples), (int(loud[-1]) + 1) * frame + round(_TAIL_S * rate_hz))
    return _fade(samples[start:end], rate_hz)


def draw_piece_pause_s(pieces: Sequence[Piece], index: int, pace_wpm: float, seed: int) -> float:
    """The pause after a piece; none after the last. The same seed and words draw the same."""
    if index + 1 >= len(pieces):
        return 0.0
    piece = pieces[index]
    if piece.text[-1:] not in _MARKS and pieces[index + 1].sentence == piece.sentence:
        return _CUT_PAUSE_S
    return draw_pause_s(piece.text, pace_wpm, random.Random(hash_text(f"{seed}/{index}/{piece}")))


def sentence_ends_s(
    pieces: Sequence[Piece], lengths: Sequence[int], pauses: Sequence[int], rate_hz: int
) -> tuple[float, ...]:
    """When each sentence ends: the voice of its last piece, in seconds from the start.

    `lengths` and `pauses` are samples, of each piece and of the silence after it.
    """
    ends: dict[int, float] = {}
    count = 0
    for piece, length, pause in zip(pieces, lengths, pauses, strict=True):
        ends[piece.sentence] = (count + length) / rate_hz
        count += length + pause
    return tuple(ends[sentence] for sentence in sorted(ends))


def hash_text(text: str) -> int:
    """A number of 64 bits that the same text always has."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def _fade(samples: Samples, rate_hz: int) -> Samples:
    """Raise and lower the ends with half cosines, so that joins do not click."""
    faded = samples.copy()
    count = min(round(_FADE_S * rate_hz), len(faded) // 2)
    ramp = (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / max(count, 1))).astype(np.float32)
    faded[:count] *= ramp
    faded[len(faded) - count :] *= ramp[::-1]
    return faded
