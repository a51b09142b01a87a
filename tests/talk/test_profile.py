"""How people talk, in numbers; which words mark them; what was learned by heart."""

import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcaster.talk.copying import SHORTEST_RUN, find_copied
from podcaster.talk.profile import (
    Said,
    find_fillers,
    jensen_shannon,
    measure_distance,
    measure_profile,
)
from podcaster.talk.vocabulary import PRIOR_WORDS, count_wording, find_marked
from podcaster.units import split_words

TALK = [
    Said("host", "Does the water matter? I mean, really?"),
    Said("guest", "You know, it does. Um, the kettle matters more, like, than the leaves."),
    Said("host", "So tell me about the kettle."),
    Said("guest", "Well, it is old."),
    Said("guest", "…"),
]


def test_turns_are_counted_and_measured_by_role() -> None:
    profile = measure_profile(TALK)
    assert (profile.turns, profile.words) == (4, 7 + 13 + 6 + 4)
    assert profile.turn_words["host"].mean == 6.5
    assert profile.turn_words["guest"].median == 8.5
    assert profile.turn_words["all"].p90 == pytest.approx(7 + 0.7 * 6)
    assert profile.sentence_words.count == 6
    assert profile.sentence_words.mean == pytest.approx((4 + 3 + 4 + 9 + 6 + 4) / 6, abs=0.01)


def test_questions_are_counted_in_turns_and_at_the_ends_of_the_hosts() -> None:
    profile = measure_profile(TALK)
    assert profile.asking_turns == 0.25
    assert profile.host_ends_asking == 0.5
    assert measure_profile([Said("guest", "Why not?")]).host_ends_asking is None


def test_a_filler_of_two_words_is_counted_once() -> None:
    assert find_fillers(split_words("You know, I like it, sort of. I know you. Umm.")) == [
        "you know",
        "like",
        "sort of",
        "um",
    ]
    assert measure_profile([Said("host", "like " + "tea " * 9)]).fillers == {"like": 100.0}


def test_variety_does_not_depend_on_how_much_is_said() -> None:
    words = [f"word{n % 120}" for n in range(2000)]
    short = measure_profile([Said("host", " ".join(words[:200]))])
    long = measure_profile([Said("host", " ".join(words[n : n + 50])) for n in range(0, 2000, 50)])
    assert short.variety == long.variety == 0.6
    assert measure_profile(TALK).variety is None


def test_nothing_said_is_no_profile_of_anybody() -> None:
    profile = measure_profile([])
    assert (profile.turns, profile.words, profile.fillers) == (0, 0, {})
    assert measure_distance(profile, profile).mean == 0


def test_the_distance_is_nothing_to_itself_and_the_same_both_ways() -> None:
    one = measure_profile(TALK)
    other = measure_profile([Said("host", "Like, like, like. " * 90), Said("guest", "No.")])
    assert measure_distance(one, one).mean == 0
    apart = measure_distance(one, other)
    assert apart == measure_distance(other, one)
    assert apart.asking_turns == 1.0
    assert 0 < apart.mean <= 1
    assert apart.fillers is not None
    assert apart.fillers > 0.5


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.lists(st.floats(0, 1), min_size=2))
def test_the_divergence_is_between_none_and_one_bit(a: list[float], b: list[float]) -> None:
    one, other = (
        {str(i): value / (sum(values) or 1.0) for i, value in enumerate(values)}
        for values in (a, b)
    )
    assert 0 <= jensen_shannon(one, other) <= 1
    assert jensen_shannon(one, one) == pytest.approx(0, abs=1e-12)


def test_what_has_nothing_in_common_is_one_bit_apart() -> None:
    assert jensen_shannon({"a": 1.0}, {"b": 1.0}) == pytest.approx(1.0)
    # by hand: halves of (1, 0) and (1/2, 1/2) against their middle (3/4, 1/4)
    expected = 0.5 * math.log2(4 / 3) + 0.25 * math.log2(2 / 3) + 0.25 * math.log2(2)
    assert jensen_shannon({"a": 1.0}, {"a": 0.5, "b": 0.5}) == pytest.approx(expected)


def test_words_that_mark_a_speaker_are_found_and_common_ones_are_not() -> None:
    ours = count_wording(["the kettle sings and the tea is good"] * 30)
    theirs = count_wording(["the rocket flies and the fuel is good"] * 30)
    marked = {one.words for one in find_marked(ours, theirs, 10)}
    assert any("kettle" in words for words in marked)
    assert not {"the", "is", "good", "rocket"} & marked
    assert find_marked(ours, ours, 10) == ()
    assert find_marked(ours, count_wording([]), 10) == ()


def test_the_z_is_that_of_the_paper() -> None:
    """Monroe et al. 2008, equations 16, 19, 20 and 22, with our prior's size."""
    here, there = (30, 240), (3, 480)
    ours = count_wording(["tea"] * here[0] + ["other"] * (here[1] - here[0]))
    theirs = count_wording(["tea"] * there[0] + ["other"] * (there[1] - there[0]))
    alpha = PRIOR_WORDS * (here[0] + there[0]) / (here[1] + there[1])

    def log_odds(times: int, total: int) -> float:
        return math.log((times + alpha) / (total + PRIOR_WORDS - times - alpha))

    spread = math.sqrt(1 / (here[0] + alpha) + 1 / (there[0] + alpha))
    (tea,) = find_marked(ours, theirs, 1)
    assert tea.words == "tea"
    assert tea.z == pytest.approx((log_odds(*here) - log_odds(*there)) / spread, abs=0.01)
    assert (tea.here_per_1000, tea.there_per_1000) == (125.0, 6.25)


# -- word for word ---------------------------------------------------------------------------------

LEARNED = "the kettle sang all night while nobody in the old house could find any sleep at all"


def test_a_run_is_found_whole_whatever_its_spelling() -> None:
    said = "And then: The kettle sang, all night! While nobody in the old house slept."
    found = find_copied({"model": [said]}, ["something else first", LEARNED])["model"]
    assert found.longest_words == 11
    assert (found.runs, found.long_runs, found.copied_words) == (1, 0, 11)
    assert found.longest[0].text == "the kettle sang all night while nobody in the old house"
    assert found.words == 14


def test_a_long_run_is_counted_once_with_the_shorter_one_within_it() -> None:
    training = [LEARNED, " ".join(LEARNED.split()[3:13])]
    found = find_copied({"model": [LEARNED]}, training)["model"]
    assert found.longest_words == len(LEARNED.split())
    assert (found.runs, found.long_runs) == (1, 1)


def test_runs_do_not_cross_turns() -> None:
    words = LEARNED.split()
    halves = [" ".join(words[:7]), " ".join(words[7:14])]
    assert find_copied({"model": halves}, [LEARNED])["model"].longest_words == 0
    assert find_copied({"model": [LEARNED]}, halves)["model"].longest_words == 0


def test_each_group_is_told_apart_in_one_pass() -> None:
    groups = {"a": [LEARNED], "b": ["nothing of the kind was ever said by anybody here"], "c": []}
    training = iter([LEARNED])  # can be read only once
    found = find_copied(groups, training)
    assert {name: bool(one.runs) for name, one in found.items()} == {
        "a": True,
        "b": False,
        "c": False,
    }


@pytest.mark.parametrize("seed", range(8))
def test_what_is_found_is_what_a_slow_search_finds(seed: int) -> None:
    """Few different words, so that runs are many, overlap and repeat."""
    rng = random.Random(seed)
    texts = [
        [" ".join(rng.choices("abc", k=rng.randrange(5, 60))) for _ in range(5)] for _ in range(2)
    ]
    said, training = texts
    expected = max((_longest(a, b) for a in said for b in training), default=0)
    found = find_copied({"model": said}, training)["model"]
    assert found.longest_words == (expected if expected >= SHORTEST_RUN else 0)


def _longest(one: str, other: str) -> int:
    a, b = one.split(), other.split()
    best = 0
    row: Sequence[int] = [0] * (len(b) + 1)
    for word in a:
        row = [0, *(row[j] + 1 if word == b[j] else 0 for j in range(len(b)))]
        best = max(best, *row)
    return best
