"""Topic following, variety and verbatim runs on texts whose right answer is known by hand."""

import random

import numpy as np
import pytest

from recipes.mini import verbatim
from recipes.mini.measures import (
    bootstrap_ratio,
    distinct_n,
    measure_topics,
    stem,
)
from recipes.mini.verbatim import TrainingText


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("rockets", "rocket"),
        ("Rocket's", "rocket"),
        ("rockets’", "rocket"),
        ("queries", "query"),
        ("query’s", "query"),
        ("movies", "movie"),
        ("buses", "buses"),
    ],
)
def test_a_keyword_is_the_same_in_plural_and_possessive(word: str, other: str) -> None:
    assert stem(word) == stem(other)


@pytest.mark.parametrize(("word", "other"), [("rocket", "rocketry"), ("car", "care"), ("s", "x")])
def test_other_words_stay_other_words(word: str, other: str) -> None:
    assert stem(word) != stem(other)


def test_topics_are_counted_where_asked_for_and_where_not() -> None:
    outlines = [("rocket", "mars"), ("bread", "oven"), ("query", "mars")]
    texts = [
        "Rockets, and the rocket's fuel.",  # half of what was asked for
        "The ovens bake our bread. A rocket!",  # all of it, and half of the first outline
        "Nothing of that kind.",
    ]
    figures = measure_topics(outlines, [0, 1, 2], texts)
    # rocket was not asked for in two texts, one of which says it; mars in one, which does not:
    # the third outline asks for it, too
    assert figures.asked == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert figures.not_asked == pytest.approx((1 / 2 / 2 + 0 + 0) / 3)
    assert figures.ratio == pytest.approx(1.5 / 0.25)
    assert (figures.outlines, figures.conversations) == (3, 3)


def test_topics_are_compared_with_texts_that_had_none() -> None:
    outlines = [("rocket", "mars"), ("bread", "oven")]
    texts = ["rocket mars", "bread", "rocket", "bread oven"]
    figures = measure_topics(outlines, [0, 1, 0, 1], texts, unasked=["oven", "x", "y", "z"])
    assert figures.asked == pytest.approx((3 / 4 + 3 / 4) / 2)
    assert figures.not_asked == pytest.approx((0 + 1 / 8) / 2)
    assert figures.ratio == pytest.approx(12)
    assert figures.low <= figures.ratio <= figures.high


def test_a_model_that_ignores_topics_has_a_ratio_near_one() -> None:
    draw = random.Random(1)
    words = [f"w{chr(97 + i)}" for i in range(20)]
    outlines = [draw.sample(words, 4) for _ in range(60)]
    texts = [" ".join(draw.sample(words, 6)) for _ in range(60)]
    figures = measure_topics(outlines, range(60), texts)
    assert 0.7 < figures.ratio < 1.4
    assert figures.low < 1 < figures.high


def test_the_interval_of_a_certain_ratio_is_that_ratio() -> None:
    assert bootstrap_ratio(np.full(30, 0.6), np.full(30, 0.2), seed=0) == pytest.approx((3, 3))
    low, high = bootstrap_ratio(np.array([0.0, 1.0] * 20), np.full(40, 0.1), seed=0)
    assert 3 < low < 5 < high < 7


def test_distinct_2_counts_pairs_of_words_within_turns() -> None:
    # (the cat) (cat sat) | (the cat) (cat ran): three of four
    assert distinct_n(["The cat sat.", "the CAT ran!"]) == (3 / 4, 6)
    # only the first four words: (the cat) (cat sat), and a turn of one word, which has no pair
    assert distinct_n(["The cat sat.", "the CAT ran!"], words=4) == (1.0, 4)
    assert distinct_n(["a b c d"], n=3) == (1.0, 4)
    assert distinct_n([]) == (0.0, 0)


def training(seed: int = 0, words: int = 4000) -> list[str]:
    """Words that come again all the time, so that short runs are everywhere."""
    draw = random.Random(seed)
    return [draw.choice("abcdefghijklmnop") + "x" for _ in range(words)]


def test_a_planted_run_of_17_words_is_found_as_17() -> None:
    words = training()
    index = TrainingText([" ".join(words[:2000]), " ".join(words[2000:])])
    assert index.words == 4000
    planted = words[700:717]
    text = f"Fresh fish, {', '.join(planted).title()}! Quite other news."
    assert index.longest_runs([text, "Fresh fish.", ""]) == [tuple(planted), (), ()]


def test_runs_do_not_cross_from_one_training_text_to_the_next() -> None:
    words = training()
    index = TrainingText([" ".join(words[:2000]), " ".join(words[2000:])])
    (run,) = index.longest_runs([" ".join(words[1990:2008])])
    assert run == tuple(words[1990:2000])


def test_runs_shorter_than_the_first_look_are_exact_as_well() -> None:
    index = TrainingText(["one two three four five six"])
    texts = ["Two, three, four.", "six five", "none of them one two", "Yeah."]
    assert [len(run) for run in index.longest_runs(texts)] == [3, 1, 2, 0]


@pytest.mark.parametrize("pairs", [1, 7, 2_000_000])
def test_the_search_agrees_with_comparing_everything(
    pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbatim, "PAIRS_AT_ONCE", pairs)
    words = training(seed=2, words=600)
    texts = [" ".join(training(seed=3 + n, words=40)) for n in range(5)]
    texts[2] += " " + " ".join(words[100:160]) + " zz"
    index = TrainingText([" ".join(words)])
    joined = f" {' '.join(words)} "
    for text, run in zip(texts, index.longest_runs(texts), strict=True):
        spoken = text.split()
        best = max(
            stop - start
            for start in range(len(spoken))
            for stop in range(start, len(spoken) + 1)
            if f" {' '.join(spoken[start:stop])} " in joined or start == stop
        )
        assert len(run) == best
        assert f" {' '.join(run)} " in joined
        assert " ".join(run) in text
    assert best < 60 <= len(index.longest_runs(texts)[2])
