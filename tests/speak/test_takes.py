from collections.abc import Callable

import numpy as np
import pytest

from podcaster.model import Voice
from podcaster.speak.checks.gate import Fault, Gate, GateOptions, Verdict
from podcaster.speak.engine import Speech
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.takes import choose_take, take_seed
from tests.speak.planted import FAULTS, Sample, speak

RATE_HZ = 16_000


def saying(said: list[int]) -> Callable[[int], Speech]:
    """Speech that differs by seed; which seeds were asked for is kept in `said`."""

    def say(seed: int) -> Speech:
        said.append(seed)
        samples = np.random.default_rng(seed).standard_normal(RATE_HZ).astype(np.float32)
        return Speech(samples, RATE_HZ, (1.0,))

    return say


def judging(*verdicts: Verdict) -> Callable[[Speech], Verdict]:
    waiting = iter(verdicts)
    return lambda speech: next(waiting)


GOOD = Verdict({"pace": 1.0})
SHORT = Verdict({"pace": 0.3}, (Fault("too_short", "Half is missing.", 2.0),))
PAUSED = Verdict({"pace": 1.0}, (Fault("silence_at_end", "It ends in silence.", 1.5),))


def test_the_first_take_has_the_seed_itself_and_is_enough_if_good() -> None:
    said: list[int] = []
    take = choose_take(saying(said), judging(GOOD), 5, seed=42)
    assert said == [42]
    assert (take.number, take.seed, take.rejected, take.passed) == (0, 42, 0, True)


def test_takes_go_on_until_one_is_good() -> None:
    said: list[int] = []
    take = choose_take(saying(said), judging(SHORT, PAUSED, GOOD), 5, seed=42)
    assert said == [take_seed(42, number) for number in range(3)]
    assert len(set(said)) == 3
    assert (take.number, take.seed, take.rejected, take.passed) == (2, said[2], 2, True)
    assert np.array_equal(take.speech.samples, saying([])(said[2]).samples)


def test_without_a_good_one_the_least_bad_is_kept() -> None:
    said: list[int] = []
    take = choose_take(saying(said), judging(SHORT, PAUSED, SHORT), 3, seed=42)
    assert (take.number, take.rejected, take.passed) == (1, 3, False)
    assert take.verdict is PAUSED
    assert take.seed == said[1]


def test_of_two_as_bad_the_earlier_is_kept() -> None:
    assert choose_take(saying([]), judging(SHORT, SHORT), 2, seed=1).number == 0


def test_an_engine_that_does_not_draw_is_asked_twice_at_most() -> None:
    said: list[int] = []
    one = saying([])(1)

    def say(seed: int) -> Speech:
        said.append(seed)
        return one

    take = choose_take(say, judging(SHORT), 9, seed=1)
    assert len(said) == 2
    assert (take.number, take.rejected) == (0, 1)


def test_seeds_are_what_every_generator_takes() -> None:
    seeds = {take_seed(seed, number) for seed in range(20) for number in range(1, 20)}
    assert len(seeds) == 380
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize("takes", [0, -1, 101])
def test_a_senseless_number_of_takes_is_an_error(takes: int) -> None:
    with pytest.raises(ValueError, match=f"takes must be 1 to 100, got {takes}"):
        choose_take(saying([]), judging(GOOD), takes, seed=1)


@pytest.mark.engine
def test_the_real_gate_keeps_the_take_without_the_fault(
    voicer: EspeakVoicer, voices: dict[str, Voice]
) -> None:
    """An engine that loses half of what it says unless it is lucky."""
    text = "We walked for three days and three nights, with one lamp between the four of us."
    gate, lucky = Gate(GateOptions()), take_seed(7, 2)
    random = np.random.default_rng(1)

    def render(seed: int) -> Sample:
        one = speak(voicer, text, voices["ada"], seed)
        return one if seed == lucky else FAULTS["too_short"](one, random)

    def say(seed: int) -> Speech:
        one = render(seed)
        return Speech(one.samples, one.rate_hz, ())

    def judge(speech: Speech) -> Verdict:
        return gate.judge(speech.samples, speech.sample_rate_hz, (text,), (), voices["ada"], "en")

    take = choose_take(say, judge, 4, seed=7)
    assert (take.number, take.seed, take.rejected) == (2, lucky, 2)
    assert choose_take(say, judge, 2, seed=7).rejected == 2
