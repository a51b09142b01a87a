"""Which of many pieces of speech are of one voice, and how many voices there are.

Pieces come with a vector each (`podcaster.voiceprint`), with the seconds of speech that it was
made of, and with what the segmentation knows: pieces that it heard as different voices within
five seconds. They are merged bottom-up by average linkage, with two changes.

Short pieces give noisy vectors: between two of them the cosine is small even where the voice is the
same. Measured over all our voices, the cosine between a piece of L seconds and its own speaker's
mean is √(L / (L + 0.47)), whoever speaks and however noisy the room is. Similarities are divided
by what the lengths allow (Spearman's correction for attenuation, "The proof and measurement of
association between two things", 1904), so that one threshold serves short pieces and long ones.

And voices that the segmentation tells apart are pushed apart: by the share of the smaller one's
speech in which both are heard within one window.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podcaster.errors import ConfigError

SAME_VOICE = 0.18  # corrected cosine distance up to which two clusters are one voice
APART_WEIGHT = 0.35  # of being heard side by side
LEAST_VOICE_S = 2.0  # of speech; who says less in all is given to the voice that is nearest
MOST_PIECES = 2000  # merged; of more, pieces spread evenly over the recording

_NOISE_S = 0.47  # the length of speech at which a vector is half voice, half noise
_LONGEST_S = 3.0  # longer pieces weigh no more than this

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Pieces:
    """Pieces of speech by one voice each.

    `vectors` `(n, 256)` of length 1; `lengths_s` `(n,)`; `seconds` `(n,)`: how much of the
    recording each stands for, where pieces overlap; `windows` and `voices` `(n,)`: the window in
    which the segmentation heard it, and as which of the window's voices.
    """

    vectors: Vectors
    lengths_s: NDArray[np.float64]
    seconds: NDArray[np.float64]
    windows: NDArray[np.int64]
    voices: NDArray[np.int64]

    def take(self, which: NDArray[Any]) -> "Pieces":
        """Only these."""
        return Pieces(
            self.vectors[which],
            self.lengths_s[which],
            self.seconds[which],
            self.windows[which],
            self.voices[which],
        )


def check_bounds(fewest: int | None, most: int | None) -> None:
    """Refuse numbers of speakers that cannot be. Raises ConfigError."""
    for name, value in (("fewest", fewest), ("most", most)):
        if value is not None and value < 1:
            raise ConfigError(f"The {name} speakers must be 1 or more, got {value}.")
    if fewest is not None and most is not None and fewest > most:
        raise ConfigError(
            f"At least {fewest} speakers and at most {most} cannot both be.",
            next_step="Give fewest_speakers and most_speakers in order, or 0 for what is found.",
        )


def find_voices(pieces: Pieces, *, fewest: int | None = None, most: int | None = None) -> Vectors:
    """The voices that are there: one mean `(n_voices, 256)` of length 1 for each.

    Their number is found by listening, within `fewest` and `most`; fewer than `fewest` come out
    where there are fewer pieces. Raises ConfigError where no number can be within the two.
    """
    check_bounds(fewest, most)
    count = len(pieces.vectors)
    if count == 0:
        return np.zeros((0, pieces.vectors.shape[1]), dtype=np.float32)
    if count > MOST_PIECES:
        chosen = np.linspace(0, count - 1, MOST_PIECES).astype(np.int64)
        spread = pieces.take(chosen)
        share = pieces.seconds.sum() / max(spread.seconds.sum(), 1e-9)
        pieces = Pieces(
            spread.vectors, spread.lengths_s, spread.seconds * share, spread.windows, spread.voices
        )
    merges = merge_all(pieces)
    labels = choose_level(merges, pieces.seconds, fewest=fewest or 1, most=most)
    return _means(pieces, labels)


def merge_all(pieces: Pieces) -> list[tuple[int, int, float]]:
    """All merges down to one cluster, in order: (kept, merged into it, distance)."""
    weights = np.minimum(pieces.lengths_s, _LONGEST_S)
    weighted = pieces.vectors * weights[:, None]
    similar = (weighted @ weighted.T).astype(np.float64)  # sums over pairs of pieces
    size = weights * np.sqrt(pieces.lengths_s / (pieces.lengths_s + _NOISE_S))
    apart = _seconds_side_by_side(pieces)
    length = pieces.lengths_s.astype(np.float64).copy()

    def distances(row: int) -> NDArray[np.float64]:
        found: NDArray[np.float64] = 1.0 - similar[row] / np.maximum(size[row] * size, 1e-12)
        found += APART_WEIGHT * apart[row] / np.maximum(np.minimum(length[row], length), 1e-6)
        found[gone] = np.inf
        found[row] = np.inf
        return found

    count = len(weights)
    gone = np.zeros(count, dtype=bool)
    table = np.stack([distances(row) for row in range(count)])
    nearest = table.argmin(axis=1)
    distance = table[np.arange(count), nearest]
    merges = []
    for _ in range(count - 1):
        one = int(distance.argmin())
        kept, merged = sorted((one, int(nearest[one])))
        merges.append((kept, merged, float(distance[one])))
        for sums in (similar, apart):
            sums[kept] += sums[merged]
            sums[:, kept] += sums[:, merged]
        size[kept] += size[merged]
        length[kept] += length[merged]
        gone[merged] = True
        table[merged] = table[:, merged] = np.inf
        table[kept] = table[:, kept] = distances(kept)
        distance[merged] = np.inf
        stale = ~gone & ((nearest == kept) | (nearest == merged))
        stale[kept] = True
        closer = ~gone & ~stale & (table[kept] < distance)
        nearest[closer], distance[closer] = kept, table[kept][closer]
        rows = np.flatnonzero(stale)
        nearest[rows] = table[rows].argmin(axis=1)
        distance[rows] = table[rows, nearest[rows]]
    return merges


def choose_level(
    merges: Sequence[tuple[int, int, float]],
    seconds: NDArray[np.float64],
    *,
    fewest: int,
    most: int | None,
) -> NDArray[np.int64]:
    """How far to merge; the label of each piece `(n,)`, -1 where its cluster is too small.

    Merging stops at the first distance beyond `SAME_VOICE`. Only clusters with enough speech are
    counted as voices, and the level is moved until they are within the bounds.
    """
    total = seconds.astype(np.float64).copy()
    # in a short recording nobody says much
    enough = min(LEAST_VOICE_S, 0.5 * _largest(merges, total))
    counts = [int((total >= enough).sum())]
    for kept, merged, _ in merges:
        total[kept] += total[merged]
        total[merged] = 0.0
        counts.append(int((total >= enough).sum()))
    level = next((at for at, merge in enumerate(merges) if merge[2] > SAME_VOICE), len(merges))
    while most is not None and counts[level] > most and level < len(merges):
        level += 1
    if counts[level] < fewest:
        earlier = [at for at in range(level + 1) if counts[at] >= fewest]
        level = earlier[-1] if earlier else int(np.argmax(counts))
    return _labels(merges[:level], seconds, enough, most)


def _largest(merges: Sequence[tuple[int, int, float]], seconds: NDArray[np.float64]) -> float:
    """The speech of the largest cluster where merging stops by itself."""
    total = seconds.copy()
    for kept, merged, distance in merges:
        if distance > SAME_VOICE:
            break
        total[kept] += total[merged]
        total[merged] = 0.0
    return float(total.max())


def _labels(
    merges: Sequence[tuple[int, int, float]],
    seconds: NDArray[np.float64],
    enough: float,
    most: int | None,
) -> NDArray[np.int64]:
    owner = np.arange(len(seconds))
    for kept, merged, _ in merges:
        owner[owner == merged] = kept
    total = np.bincount(owner, weights=seconds, minlength=len(seconds))
    voices = [int(at) for at in np.argsort(-total, kind="stable") if total[at] >= enough]
    number = {voice: label for label, voice in enumerate(voices[:most] or [int(total.argmax())])}
    return np.array([number.get(int(at), -1) for at in owner], dtype=np.int64)


def _means(pieces: Pieces, labels: NDArray[np.int64]) -> Vectors:
    """The clusters' means `(n_voices, 256)`, of length 1."""
    weights = np.minimum(pieces.lengths_s, _LONGEST_S)[:, None]
    means = np.zeros((int(labels.max()) + 1, pieces.vectors.shape[1]), dtype=np.float32)
    for label in range(len(means)):
        own = labels == label
        mean = (pieces.vectors[own] * weights[own]).sum(axis=0)
        means[label] = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return means


def _seconds_side_by_side(pieces: Pieces) -> NDArray[np.float64]:
    """For each pair, the shorter one's seconds if one window has them as two voices: `(n, n)`."""
    together = pieces.windows[:, None] == pieces.windows[None]
    other = pieces.voices[:, None] != pieces.voices[None]
    return np.where(
        together & other, np.minimum.outer(pieces.lengths_s, pieces.lengths_s), 0.0
    ).astype(np.float64)
