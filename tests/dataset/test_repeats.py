"""What a show says again and again is found exactly, whatever stands around it."""

from pathlib import Path

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from podcaster.dataset import repeats
from podcaster.dataset.clean import split_sentences
from podcaster.dataset.repeats import (
    SHINGLE_WORDS,
    RepeatCounter,
    Repeats,
    find_repeated,
    find_reruns,
    hash_long_turns,
    hash_shingles,
)

INTRO = "Welcome to the talk about tea and all that goes with it. Today we boil water again."
ADVERT = (
    "Our kettles are made of steel and they last for many years to come. Buy a kettle now and "
    "never think about kettles again in your whole long life."
)


def own_words(name: str, count: int = 40) -> str:
    return " ".join(f"{name}{n}" for n in range(count)).capitalize() + "."


def count(texts: list[str], folder: Path) -> Repeats:
    shingles = [hash_shingles([text]) for text in texts]
    counter = RepeatCounter(folder, sum(map(len, shingles)))
    for one in shingles:
        counter.add(one)
    found = counter.finish()
    found.write(folder / "repeats.npz")
    return Repeats.read(folder / "repeats.npz")


def rest(text: str, found: Repeats, number: int) -> str:
    sentences = [split_sentences(text)]
    unwanted = find_repeated(sentences, found.cover(hash_shingles([text]), number))
    return " ".join(s for place, s in enumerate(sentences[0]) if (0, place) not in unwanted)


def test_what_three_recordings_say_goes_from_all(tmp_path: Path) -> None:
    texts = [f"{own_words(name)} {INTRO} {own_words(name * 2)}" for name in ("a", "b", "c")]
    found = count([*texts, own_words("d", 90)], tmp_path)
    for number, (name, text) in enumerate(zip("abc", texts, strict=True)):
        assert rest(text, found, number) == f"{own_words(name)} {own_words(name * 2)}"


def test_a_long_passage_of_two_recordings_goes_from_the_second(tmp_path: Path) -> None:
    texts = [f"{own_words(name)} {ADVERT}" for name in ("a", "b")]
    found = count(texts, tmp_path)
    assert rest(texts[0], found, 0) == texts[0]
    assert rest(texts[1], found, 1) == own_words("b")
    short = [f"{own_words(name)} {INTRO}" for name in ("a", "b")]
    assert rest(short[1], count(short, tmp_path), 1) == short[1]


def test_half_a_sentence_in_common_takes_nothing_away(tmp_path: Path) -> None:
    common = " ".join(f"word{n}" for n in range(SHINGLE_WORDS))
    texts = [f"{common} {own_words(name)}" for name in ("a", "b", "c")]
    found = count(texts, tmp_path)
    assert len(found.often) == 1
    assert [rest(text, found, n) for n, text in enumerate(texts)] == texts


@given(st.lists(st.lists(st.integers(0, 12), max_size=60), max_size=6))
@settings(deadline=None)
def test_counts_are_those_of_a_plain_count(recordings: list[list[int]]) -> None:
    import tempfile
    from collections import Counter
    from unittest import mock

    words = [[str(number) for number in recording] for recording in recordings]
    expected = Counter(
        shingle
        for recording in words
        for shingle in {
            tuple(recording[n : n + SHINGLE_WORDS])
            for n in range(len(recording) - SHINGLE_WORDS + 1)
        }
    )
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(repeats, "PART_HASHES", 20):
        found = count([" ".join(recording) for recording in words], Path(folder))
    assert len(found.often) == sum(times >= 3 for times in expected.values())
    assert len(found.twice) == len(found.first) == sum(times == 2 for times in expected.values())
    assert (np.diff(found.often.astype(object)) > 0).all()


def test_a_rerun_says_most_of_its_long_turns_again() -> None:
    turns = [own_words(name) for name in "abcd"]
    spelled = [turn.upper().replace(" ", ", ") for turn in turns[:3]]
    recordings = [turns[:3], [*spelled, turns[3]], [turns[0], turns[3], own_words("e")], ["Short."]]
    hashes = [hash_long_turns(texts) for texts in recordings]
    assert find_reruns(hashes) == [False, True, True, False]
    assert find_reruns([hashes[0], hashes[3]]) == [False, False]
    assert find_reruns([]) == []
