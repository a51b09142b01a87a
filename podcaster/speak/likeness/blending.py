"""Which blend of built-in voices sounds most like somebody, before anything is reshaped.

Each built-in voice says a sentence once. The print, the pitch and the colour of a blend lie about
where those of its parts, weighed, lie: so blends are searched for without speaking them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from podcaster.speak.engine import Samples
from podcaster.speak.likeness.measures import Array, Measures

_STEPS, _MOVED_SHARE, _MOVES = 4000, 0.4, (0.02, 0.1, 0.3)
_WORTH_WEIGHING = 0.03
# of a cosine: an octave of pitch, a decibel of colour, the logarithm of the throat's size
_PER_OCTAVE, _PER_DB, _PER_SCALE = 0.15, 0.01, 0.5


@dataclass(frozen=True)
class Heard:
    """What was heard of a voice: its measures, and its print `(256,)` where an encoder is here."""

    measures: Measures
    voiceprint: Samples | None

    def describe(self) -> Array:
        """Logarithms of pitch and size, and the colour, rounded: `(n,)`."""
        one = self.measures
        return np.round([np.log2(one.pitch_hz), np.log(one.formant_scale), *one.colour_db], 3)


def find_blend(heard: Sequence[Heard], target: Heard) -> tuple[float, ...]:
    """The share of each voice in the blend that is expected to be nearest to the target.

    With prints, by cosine and a little by pitch; else by pitch, the throat's size and the colour.
    The same arguments give the same shares; they are rounded, and make 1.
    """
    facts = np.stack([one.describe() for one in heard])
    wanted = target.describe()
    prints = [one.voiceprint for one in heard if one.voiceprint is not None]
    known = target.voiceprint is not None and len(prints) == len(heard)
    matrix = np.round(np.stack(prints), 3) if known else None

    def nearness(shares: Array) -> float:
        off = np.abs(shares @ facts - wanted)
        if matrix is not None and target.voiceprint is not None:
            mixed = shares @ matrix
            cosine = float(mixed @ np.round(target.voiceprint, 3)) / float(np.linalg.norm(mixed))
            return cosine - _PER_OCTAVE * float(off[0])
        colour_db = float(np.sqrt(np.mean(np.square(off[2:]))))
        return -float(_PER_OCTAVE * off[0] + _PER_SCALE * off[1] + _PER_DB * colour_db)

    best = max(np.eye(len(heard)), key=nearness)
    level = nearness(best)
    rng = np.random.default_rng(0)
    for _ in range(_STEPS):
        moved = rng.random(len(heard)) < _MOVED_SHARE
        shares = best + rng.standard_normal(len(heard)) * rng.choice(_MOVES) * moved
        shares = np.maximum(shares, 0.0)
        if shares.sum() <= 0.0:
            continue
        shares = shares / shares.sum()
        if (found := nearness(shares)) > level:
            best, level = shares, found
    best = np.where(best < _WORTH_WEIGHING, 0.0, best)
    best = np.round(best / best.sum(), 2)
    best[int(best.argmax())] += 1.0 - best.sum()
    return tuple(round(float(share), 2) for share in best)
