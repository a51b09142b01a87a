"""Which voices of different recordings are the same: by name where labels are names, else by sound.

Average-linkage clustering of voiceprints by cosine. The mean cosine between two clusters is the
product of their mean vectors, so the sums of vectors are all that is kept. In each round all pairs
that are each other's nearest are joined: average linkage is reducible (Bruynooghe 1978), so the
order does not matter, and a cluster whose nearest is too far away is finished. Two voices of one
recording are never the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from podcaster.speakers.engine import Vector

# Cosines of the encoder's voiceprints, measured (`docs/decisions/0013-speakers.md`): one person in
# one room 0.90 and more; different people 0.70 and less, 0.82 if all are on the telephone.
SAME = 0.80
DIFFERENT = 0.62  # one name with voices further apart than this: two people
_MOST_RIVAL = 0.88  # voices of a recording that are nearer than this: one voice, diarised as two
_RIVAL_MARGIN = 0.02
_MOST_WEIGHT_S = 30.0
_BLOCK = 1024


@dataclass(frozen=True)
class Sample:
    """A label of a recording: `key` is its name's, "" if nobody knows; no print without sound."""

    recording: str
    label: str
    key: str = ""
    print: Vector | None = None
    voiced_s: float = 0.0


@dataclass
class _Cluster:
    members: list[int]
    recordings: frozenset[str]
    keyed: bool
    total: Vector
    mass: float
    limit: float  # the least mean cosine at which it is joined with another


@dataclass
class _Prepared:
    """Samples in an order of their own, so that the one in which they came does not matter."""

    samples: Sequence[Sample]
    prints: Vector
    weights: Vector
    limits: list[float] = field(default_factory=list)


def match_voices(samples: Sequence[Sample]) -> list[list[int]]:
    """Group the samples' indices by voice; the groups do not depend on the samples' order.

    Samples of one name are one voice, unless their sounds differ clearly. Samples with neither name
    nor print stay alone.
    """
    order = sorted(range(len(samples)), key=lambda i: (samples[i].recording, samples[i].label))
    prepared = _prepare([samples[i] for i in order])
    printed = prepared.weights > 0
    clusters: list[_Cluster] = []
    done: list[list[int]] = []
    for members in _group_names(prepared):
        heard = [i for i in members if printed[i]]
        if heard:
            clusters.append(_make_cluster(prepared, members, keyed=True))
        else:
            done.append(members)
    for i, sample in enumerate(prepared.samples):
        if sample.key:
            continue
        if printed[i]:
            clusters.append(_make_cluster(prepared, [i], keyed=False))
        else:
            done.append([i])
    clusters.sort(key=lambda cluster: cluster.members[0])
    done += [cluster.members for cluster in _agglomerate(clusters, exclusive=True)]
    return sorted(sorted(order[i] for i in members) for members in done)


def _prepare(samples: Sequence[Sample]) -> _Prepared:
    dimensions = next((len(sample.print) for sample in samples if sample.print is not None), 1)
    prints = np.zeros((len(samples), dimensions), dtype=np.float32)
    weights = np.zeros(len(samples), dtype=np.float32)
    for i, sample in enumerate(samples):
        if sample.print is not None:
            prints[i] = sample.print
            weights[i] = min(max(sample.voiced_s, 1.0), _MOST_WEIGHT_S)
    prepared = _Prepared(samples, prints, weights)
    prepared.limits = _find_limits(prepared)
    return prepared


def _find_limits(prepared: _Prepared) -> list[float]:
    """How near others must be: nearer than the voices beside which a voice is heard."""
    limits = [SAME] * len(prepared.samples)
    together: dict[str, list[int]] = {}
    for i, sample in enumerate(prepared.samples):
        if prepared.weights[i] > 0:
            together.setdefault(sample.recording, []).append(i)
    for members in together.values():
        vectors = prepared.prints[members]
        cosines = vectors @ vectors.T
        np.fill_diagonal(cosines, -1.0)
        for i, nearest in zip(members, cosines.max(axis=1), strict=True):
            rival = float(nearest) + _RIVAL_MARGIN
            limits[i] = max(SAME, rival if rival <= _MOST_RIVAL else SAME)
    return limits


def _group_names(prepared: _Prepared) -> list[list[int]]:
    """Samples by name; where a name's voices differ clearly, by voice, too."""
    named: dict[str, list[int]] = {}
    for i, sample in enumerate(prepared.samples):
        if sample.key:
            named.setdefault(sample.key, []).append(i)
    groups: list[list[int]] = []
    for members in named.values():
        heard = [i for i in members if prepared.weights[i] > 0]
        single = [_make_cluster(prepared, [i], keyed=False) for i in heard]
        for cluster in single:
            cluster.limit = DIFFERENT
        voices = [cluster.members for cluster in _agglomerate(single, exclusive=False)]
        voices.sort(key=lambda voice: (-float(prepared.weights[voice].sum()), voice[0]))
        silent = [i for i in members if prepared.weights[i] == 0]
        # who is named without being heard is taken for the one most heard under that name
        groups += [[*voices[0], *silent], *voices[1:]] if voices else [silent]
    return groups


def _make_cluster(prepared: _Prepared, members: list[int], *, keyed: bool) -> _Cluster:
    weights = prepared.weights[members]
    mass = float(weights.sum())
    limits = np.array([prepared.limits[i] for i in members], dtype=np.float32)
    return _Cluster(
        members=sorted(members),
        recordings=frozenset(prepared.samples[i].recording for i in members),
        keyed=keyed,
        total=(prepared.prints[members] * weights[:, None]).sum(axis=0),
        mass=mass,
        limit=float((limits * weights).sum() / mass),
    )


def _agglomerate(clusters: Sequence[_Cluster], *, exclusive: bool) -> list[_Cluster]:
    """Join clusters until none is near enough to another.

    `exclusive`: not two that share a recording, and not two that have names.
    """
    active, finished = list(clusters), []
    while len(active) > 1:
        nearest, cosines = _find_nearest(active, exclusive=exclusive)
        finished += [one for one, other in zip(active, nearest, strict=True) if other < 0]
        pairs = [(i, j) for i, j in enumerate(nearest) if i < j and nearest[j] == i]
        if not pairs:
            if max(nearest) < 0:
                return finished
            # equal cosines in a ring: begin with the nearest of all
            i = int(np.argmax(np.where(np.array(nearest) >= 0, cosines, -1.0)))
            pairs = [(min(i, nearest[i]), max(i, nearest[i]))]
        joined = {i for pair in pairs for i in pair}
        rest = [one for i, one in enumerate(active) if nearest[i] >= 0 and i not in joined]
        active = rest + [_join(active[i], active[j]) for i, j in pairs]
        active.sort(key=lambda cluster: cluster.members[0])
    return finished + active


def _find_nearest(clusters: Sequence[_Cluster], *, exclusive: bool) -> tuple[list[int], Vector]:
    """For each cluster the nearest that it may be joined with (-1: none), and the mean cosine."""
    count = len(clusters)
    means = np.stack([cluster.total / cluster.mass for cluster in clusters])
    limits = np.array([cluster.limit for cluster in clusters], dtype=np.float32)
    # a number for those of one recording, so that most of what may not be is ruled out at once
    numbers: dict[str, int] = {}
    only = np.array(
        [
            numbers.setdefault(next(iter(one.recordings)), len(numbers))
            if len(one.recordings) == 1
            else -1 - i
            for i, one in enumerate(clusters)
        ]
    )
    keyed = np.array([cluster.keyed for cluster in clusters])
    nearest = [-1] * count
    best = np.full(count, -1.0, dtype=np.float32)
    for first in range(0, count, _BLOCK):
        rows = slice(first, min(count, first + _BLOCK))
        cosines = means[rows] @ means.T
        least = np.maximum(limits[rows, None], limits[None, :])
        cosines[cosines < least] = -1.0
        cosines[np.arange(rows.stop - first), np.arange(first, rows.stop)] = -1.0
        if exclusive:
            cosines[only[rows, None] == only[None, :]] = -1.0
            cosines[keyed[rows, None] & keyed[None, :]] = -1.0
        for row in np.flatnonzero(cosines.max(axis=1) > -1.0):
            i = first + int(row)
            nearest[i] = _choose(i, cosines[row], clusters, exclusive=exclusive)
            best[i] = cosines[row][nearest[i]] if nearest[i] >= 0 else -1.0
    return nearest, best


def _choose(i: int, cosines: Vector, clusters: Sequence[_Cluster], *, exclusive: bool) -> int:
    """The nearest that shares no recording; `cosines` of those that do become -1."""
    while True:
        j = int(np.argmax(cosines))
        if cosines[j] <= -1.0:
            return -1
        if not exclusive or clusters[i].recordings.isdisjoint(clusters[j].recordings):
            return j
        cosines[j] = -1.0


def _join(one: _Cluster, other: _Cluster) -> _Cluster:
    mass = one.mass + other.mass
    return _Cluster(
        members=sorted([*one.members, *other.members]),
        recordings=one.recordings | other.recordings,
        keyed=one.keyed or other.keyed,
        total=one.total + other.total,
        mass=mass,
        limit=(one.limit * one.mass + other.limit * other.mass) / mass,
    )
