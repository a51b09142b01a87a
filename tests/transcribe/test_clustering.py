"""Clustering of voiceprints: how many voices, and which piece is whose, on prints made here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcaster.errors import ConfigError
from podcaster.transcribe import clustering
from podcaster.transcribe.clustering import Pieces, check_bounds, find_voices, merge_all


def make_voices(count: int, seed: int, apart: float = 0.45) -> np.ndarray:
    """Unit vectors whose distances from each other are about `apart`."""
    generator = np.random.default_rng(seed)
    common = generator.standard_normal(256)
    common /= np.linalg.norm(common)
    own = generator.standard_normal((count, 256))
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    voices = np.sqrt(1 - apart) * common + np.sqrt(apart) * own
    return voices / np.linalg.norm(voices, axis=1, keepdims=True)


def say(voices: np.ndarray, who: list[int], lengths_s: np.ndarray, seed: int) -> Pieces:
    """Pieces with the noise that lengths bring: cosine √(L / (L + 0.47)) with their own voice."""
    generator = np.random.default_rng(seed)
    keep = np.sqrt(lengths_s / (lengths_s + 0.47))[:, None]
    noise = generator.standard_normal((len(who), 256))
    mine = voices[who]
    noise -= (noise * mine).sum(axis=1, keepdims=True) * mine
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    vectors = (keep * mine + np.sqrt(1 - keep**2) * noise).astype(np.float32)
    windows = np.arange(len(who), dtype=np.int64)
    return Pieces(vectors, lengths_s, lengths_s.copy(), windows, np.zeros_like(windows))


def nearest(voices: np.ndarray, means: np.ndarray) -> set[int]:
    return {int((means @ voice).argmax()) for voice in voices}


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("seed", range(4))
def test_the_number_of_voices_is_found(count: int, seed: int) -> None:
    voices = make_voices(count, seed)
    generator = np.random.default_rng(seed)
    who = [*range(count), *generator.integers(0, count, 20 * count).tolist()]
    lengths_s = np.clip(generator.exponential(2.0, len(who)), 0.6, 5.0)
    lengths_s[:count] = 4.0
    means = find_voices(say(voices, who, lengths_s, seed))
    assert len(means) == count
    assert nearest(voices, means) == set(range(count))
    assert np.linalg.norm(means, axis=1) == pytest.approx(np.ones(count), abs=1e-5)


def test_short_pieces_of_one_voice_are_one_voice() -> None:
    """Without the correction for their noise they fall apart: the story of why it is there."""
    voices = make_voices(1, 0)
    pieces = say(voices, [0] * 60, np.full(60, 0.7), 1)
    assert len(find_voices(pieces)) == 1
    raw = 1 - pieces.vectors @ pieces.vectors.T
    assert np.median(raw[np.triu_indices(60, 1)]) > 2 * clustering.SAME_VOICE


def test_who_is_heard_beside_another_is_somebody_else() -> None:
    """Two voices too alike for the threshold; the segmentation hears them in the same windows."""
    voices = make_voices(2, 4, apart=0.14)
    lengths_s = np.full(40, 2.0)
    alike = say(voices, [0, 1] * 20, lengths_s, 2)
    assert len(find_voices(alike)) == 1
    beside = Pieces(
        alike.vectors, lengths_s, lengths_s, np.repeat(np.arange(20), 2), np.tile([0, 1], 20)
    )
    assert len(find_voices(beside)) == 2


def test_bounds_are_kept() -> None:
    voices = make_voices(3, 7)
    pieces = say(voices, [0, 1, 2] * 12, np.full(36, 3.0), 3)
    assert len(find_voices(pieces)) == 3
    assert len(find_voices(pieces, most=2)) == 2
    assert len(find_voices(pieces, most=1)) == 1
    assert len(find_voices(pieces, fewest=5)) >= 5
    assert len(find_voices(pieces, fewest=2, most=4)) == 3


def test_one_who_says_next_to_nothing_is_no_voice() -> None:
    voices = make_voices(3, 9)
    who = [0, 1] * 15 + [2]
    lengths_s = np.array([3.0] * 30 + [0.8])
    assert len(find_voices(say(voices, who, lengths_s, 5))) == 2
    lengths_s[-1] = 4.0
    assert len(find_voices(say(voices, who, lengths_s, 5))) == 3


def test_more_pieces_than_can_be_merged_are_spread_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "MOST_PIECES", 60)
    voices = make_voices(4, 2)
    generator = np.random.default_rng(0)
    who = generator.integers(0, 4, 900).tolist()
    means = find_voices(say(voices, who, np.full(900, 2.0), 6))
    assert len(means) == 4
    assert nearest(voices, means) == {0, 1, 2, 3}


def test_nothing_has_no_voices_and_one_piece_has_one() -> None:
    voices = make_voices(1, 0)
    none = say(voices, [], np.zeros(0), 0)
    assert find_voices(none).shape == (0, 256)
    assert len(find_voices(say(voices, [0], np.array([0.4]), 0))) == 1


@pytest.mark.parametrize(
    ("fewest", "most", "sentence"),
    [
        (3, 2, "At least 3 speakers and at most 2 cannot both be"),
        (0, None, "The fewest speakers must be 1 or more, got 0"),
        (None, -1, "The most speakers must be 1 or more, got -1"),
    ],
)
def test_impossible_bounds_are_refused(fewest: int | None, most: int | None, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_bounds(fewest, most)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 25), st.integers(0, 1000))
def test_merging_takes_the_nearest_pair_of_what_is_left(count: int, seed: int) -> None:
    """Against average linkage counted out pair by pair."""
    generator = np.random.default_rng(seed)
    vectors = generator.standard_normal((count, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths_s = generator.uniform(0.6, 5.0, count)
    windows = generator.integers(0, 4, count)
    pieces = Pieces(vectors, lengths_s, lengths_s, windows, generator.integers(0, 3, count))
    clusters = {at: [at] for at in range(count)}
    for kept, merged, distance in merge_all(pieces):
        table = {
            (one, other): _distance(pieces, clusters[one], clusters[other])
            for one in clusters
            for other in clusters
            if one < other
        }
        assert distance == pytest.approx(min(table.values()), abs=1e-4)
        assert table[kept, merged] == pytest.approx(distance, abs=1e-4)
        clusters[kept] += clusters.pop(merged)
    assert len(clusters) == 1


def _distance(pieces: Pieces, one: list[int], other: list[int]) -> float:
    weights = np.minimum(pieces.lengths_s, 3.0)
    trust = np.sqrt(pieces.lengths_s / (pieces.lengths_s + 0.47))
    close = allowed = apart = 0.0
    for a in one:
        for b in other:
            both = weights[a] * weights[b]
            close += both * float(pieces.vectors[a] @ pieces.vectors[b])
            allowed += both * trust[a] * trust[b]
            if pieces.windows[a] == pieces.windows[b] and pieces.voices[a] != pieces.voices[b]:
                apart += min(pieces.lengths_s[a], pieces.lengths_s[b])
    shorter = min(pieces.lengths_s[one].sum(), pieces.lengths_s[other].sum())
    return 1.0 - close / allowed + clustering.APART_WEIGHT * apart / shorter
