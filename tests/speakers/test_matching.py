"""Voices over recordings: the same in any order, never two of one recording, names first."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcaster.speakers.matching import Sample, match_voices


def person(seed: int, *, common: float = 0.6) -> np.ndarray:
    """A unit vector, as far from other people's as real voices are."""
    shared = np.zeros(64)
    shared[0] = 1.0
    own = np.random.default_rng(seed).standard_normal(64)
    own[0] = 0.0
    return np.sqrt(common) * shared + np.sqrt(1 - common) * own / np.linalg.norm(own)


def heard(who: int, take: int = 0, *, noise: float = 0.1) -> np.ndarray:
    other = np.random.default_rng(1000 * who + take + 1).standard_normal(64)
    vector = np.sqrt(1 - noise) * person(who) + np.sqrt(noise) * other / np.linalg.norm(other)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def groups(samples: list[Sample]) -> set[frozenset[tuple[str, str]]]:
    return {
        frozenset((samples[i].recording, samples[i].label) for i in members)
        for members in match_voices(samples)
    }


def make_show(recordings: int) -> tuple[list[Sample], dict[tuple[str, str], int]]:
    """A host in all, a friend in every second, a guest in each."""
    samples, who = [], {}
    for number in range(recordings):
        people = [1, *([2] if number % 2 else []), 100 + number]
        for place, one in enumerate(people):
            sample = Sample(f"r{number}", f"S{place}", "", heard(one, number), 40.0)
            samples.append(sample)
            who[sample.recording, sample.label] = one
    return samples, who


def test_everybody_is_found_over_all_recordings() -> None:
    samples, who = make_show(12)
    found = groups(samples)
    assert len(found) == len(set(who.values()))
    for members in found:
        assert len({who[member] for member in members}) == 1


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_recordings_does_not_matter(shuffler: random.Random) -> None:
    samples, _ = make_show(7)
    expected = groups(samples)
    shuffler.shuffle(samples)
    assert groups(samples) == expected


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 3), st.sampled_from(["", "ann", "bob"])),
        max_size=14,
    )
)
def test_two_voices_of_one_recording_are_never_the_same(
    drawn: list[tuple[int, int, str]],
) -> None:
    samples = [
        Sample(f"r{recording}", f"S{i}", key if i % 3 == 0 else "", heard(who, i), 20.0)
        for i, (recording, who, key) in enumerate(drawn)
    ]
    found = match_voices(samples)
    assert sorted(i for members in found for i in members) == list(range(len(samples)))
    for members in found:
        keys = {samples[i].key for i in members} - {""}
        assert len(keys) <= 1
        unnamed = [samples[i].recording for i in members if not samples[i].key]
        assert len(unnamed) == len(set(unnamed))


def test_a_later_recording_changes_nothing_of_what_was_found() -> None:
    samples, _ = make_show(9)
    before = groups([one for one in samples if one.recording != "r8"])
    after = {frozenset(m for m in members if m[0] != "r8") for members in groups(samples)}
    assert after - {frozenset()} == before


def test_a_name_is_one_person_with_and_without_sound() -> None:
    samples = [
        Sample("a", "Ann Lee", "ann lee", heard(1, 0), 30.0),
        Sample("b", "ann lee", "ann lee", heard(1, 1), 30.0),
        Sample("c", "Ann Lee", "ann lee"),
    ]
    assert len(groups(samples)) == 1


def test_two_people_of_one_name_are_kept_apart_by_their_voices() -> None:
    samples = [
        Sample("a", "Ann Lee", "ann lee", heard(1, 0), 30.0),
        Sample("b", "Ann Lee", "ann lee", heard(1, 1), 30.0),
        Sample("c", "Ann Lee", "ann lee", heard(2, 0), 30.0),
    ]
    far = person(1) @ person(2)
    assert far < 0.7
    spread = [
        Sample(s.recording, s.label, s.key, _away(s.print, apart=s.recording == "c"), s.voiced_s)
        for s in samples
    ]
    assert groups(spread) == {
        frozenset({("a", "Ann Lee"), ("b", "Ann Lee")}),
        frozenset({("c", "Ann Lee")}),
    }


def _away(vector: np.ndarray | None, *, apart: bool) -> np.ndarray:
    """Voices as far apart as a woman's and a man's."""
    assert vector is not None
    moved = vector.copy()
    moved[0] = 0.1 if apart else moved[0]
    return moved / np.linalg.norm(moved)


def test_an_unnamed_voice_joins_the_name_that_it_sounds_like() -> None:
    samples = [
        Sample("a", "Ann Lee", "ann lee", heard(1, 0), 30.0),
        Sample("b", "S1", "", heard(1, 1), 30.0),
        Sample("b", "S2", "", heard(2, 0), 30.0),
    ]
    assert groups(samples) == {frozenset({("a", "Ann Lee"), ("b", "S1")}), frozenset({("b", "S2")})}


def test_people_with_different_names_stay_apart_though_they_sound_alike() -> None:
    samples = [
        Sample("a", "Ann", "ann", heard(1, 0), 30.0),
        Sample("b", "Bob", "bob", heard(1, 1), 30.0),
    ]
    assert len(groups(samples)) == 2


def test_a_voice_must_be_nearer_than_those_beside_which_it_is_heard() -> None:
    # brothers: nearer to each other than the threshold, and still two
    one, brother = heard(1, 0, noise=0.0), heard(1, 5, noise=0.3)
    assert 0.76 < float(np.dot(one, brother)) < 0.87
    samples = [
        Sample("a", "S1", "", one, 30.0),
        Sample("a", "S2", "", brother, 30.0),
        Sample("b", "S1", "", brother, 30.0),
    ]
    assert groups(samples) == {frozenset({("a", "S1")}), frozenset({("a", "S2"), ("b", "S1")})}


def test_nobody_and_silence_are_matched_with_nothing() -> None:
    assert match_voices([]) == []
    silent = [Sample("a", "S1"), Sample("b", "S1")]
    assert match_voices(silent) == [[0], [1]]


@pytest.mark.parametrize("copies", [2, 3, 5, 8])
def test_equal_voices_end_as_one(copies: int) -> None:
    samples = [Sample(f"r{i}", "S1", "", heard(1, 0), 30.0) for i in range(copies)]
    assert len(match_voices(samples)) == 1
