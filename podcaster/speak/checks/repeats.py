"""Whether the end of a clip says again what came just before it, as engines do that lose the end.

The clip's end is aligned with what lies before it, frame by frame from the end backwards, by
dynamic time warping that may run at half to double pace (Sakoe & Chiba, "Dynamic programming
algorithm optimization for spoken word recognition", 1978, step pattern with slope 1).
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from podcaster.speak.checks.sound import FRAMES_PER_S, Frames

SHORTEST_S = 0.3
_LONGEST_FRAMES = 250  # what is longer makes the whole clip too long
_GAP_FRAMES = 70  # between what is said and its repetition
_SHORTEST_FRAMES = round(SHORTEST_S * FRAMES_PER_S)
_LEAST_LAG_FRAMES = 25
# of cepstra; no more of a clip's end is looked at
SEEN_S = (2 * _LONGEST_FRAMES + _GAP_FRAMES) / FRAMES_PER_S
_ALIKE = 0.5  # of the distance between frames that have nothing to do with each other


# between what ends of good clips and repetitions that were planted came to
_LEAST_STRENGTH, _LEAST_STRENGTH_PER_S = 10.5, 24.0
_SAME_STRENGTH_PER_S = 30.0
_WORDS_IN_GAP = 2
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


@dataclass(frozen=True)
class Repeat:
    """How far the end of a clip repeats what is before it.

    `strength` is the sum over its frames of how much nearer than `_ALIKE` they are, in units of a
    chance distance; `length_s` is how long the repetition is.
    """

    strength: float
    length_s: float
    lag_s: float


def find_repeat(frames: Frames) -> Repeat:
    """The likeliest repetition at the end of cepstra `(n_frames, n)` without silence around."""
    longest = min(_LONGEST_FRAMES, len(frames) // 2)
    if longest < _SHORTEST_FRAMES:
        return Repeat(0.0, 0.0, 0.0)
    tail = frames[: -longest - 1 : -1]  # (longest, n), from the end backwards
    before = frames[: -(2 * longest + _GAP_FRAMES) - 1 : -1]
    distances = _distances(tail, before)
    # chance: frames that lie far apart
    chance = float(np.median(distances))
    gains = np.float32(_ALIKE) - distances / np.float32(max(chance, 1e-6))
    # not with itself
    lags = np.arange(gains.shape[1])[None] - np.arange(len(gains))[:, None]
    gains[lags < _LEAST_LAG_FRAMES] = -np.inf
    return _align(gains)


def _align(gains: NDArray[np.float32]) -> Repeat:
    """The path of the highest sum that begins in row 0; row i is i frames from the end."""
    width = gains.shape[1]
    starts = np.arange(width)
    minus = np.full(width + 2, -np.inf, dtype=np.float32)
    before, before_starts = minus.copy(), np.zeros(width + 2, dtype=np.int64)
    last, last_starts = minus.copy(), np.zeros(width + 2, dtype=np.int64)
    last[2:], last_starts[2:] = gains[0], starts
    best = Repeat(0.0, 0.0, 0.0)
    for row in range(1, len(gains)):
        # one frame each; two of the tail for one; one of the tail for two
        options = np.stack((last[1:-1], before[1:-1] + gains[row - 1], last[:-2]))
        sources = np.stack((last_starts[1:-1], before_starts[1:-1], last_starts[:-2]))
        choice = options.argmax(axis=0)
        now, now_starts = minus.copy(), np.zeros(width + 2, dtype=np.int64)
        now[2:] = np.take_along_axis(options, choice[None], 0)[0] + gains[row]
        now_starts[2:] = np.take_along_axis(sources, choice[None], 0)[0]
        if row + 1 >= _SHORTEST_FRAMES:
            begun = now_starts[2:]
            fits = (begun > row) & (begun <= row + 1 + _GAP_FRAMES)
            scores = np.where(fits, now[2:], -np.inf)
            place = int(scores.argmax())
            if scores[place] > best.strength:
                best = Repeat(
                    float(scores[place]),
                    (row + 1) / FRAMES_PER_S,
                    float(begun[place]) / FRAMES_PER_S,
                )
        before, before_starts, last, last_starts = last, last_starts, now, now_starts
    return best


def _distances(one: Frames, other: Frames) -> NDArray[np.float32]:
    """Euclidean distances between rows `(n_one, n_other)`."""
    squares = np.square(one).sum(1)[:, None] + np.square(other).sum(1)[None] - 2.0 * (one @ other.T)
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)), dtype=np.float32)


def is_repetition(repeat: Repeat) -> bool:
    """Whether it is so long and so near that nothing but the same words can be meant."""
    return (
        repeat.strength >= _LEAST_STRENGTH
        and repeat.strength / repeat.length_s >= _LEAST_STRENGTH_PER_S
    )


def repeats_itself(text: str, repeat: Repeat, share: float) -> bool:
    """Whether the text says its end twice; `share` of it is the end that is meant.

    "No, no, no" is not a fault, and neither is "more and more". What is alike but not the same
    ("that the lamp is on, that the lamp is lit") explains a likeness, but not a repetition.
    """
    words = _WORD.findall(text.casefold())
    count = max(1, round(share * len(words)))
    last, before = words[-count:], words[:-count][-count - _WORDS_IN_GAP :]
    # the last word must be heard in both
    if last[-1:] and last[-1] in words[-2 * count - _WORDS_IN_GAP : -1]:
        return True
    alike = sum(word in before for word in last) >= 0.5 * len(last)
    return alike and repeat.strength < _SAME_STRENGTH_PER_S * repeat.length_s
