import random
from statistics import median, pstdev

import pytest

from podcaster.mix.options import MixOptions
from podcaster.mix.timing import (
    Placement,
    Transfer,
    Utterance,
    classify_transfer,
    draw_gap_s,
    expected_gap_s,
    head_and_tail_s,
    is_backchannel,
    place_turns,
    plan_overhead_s,
)

OPTIONS = MixOptions()
SEEDS = range(20)


def make_interview(seed: int, turns: int = 60, chapters: int = 4) -> list[Utterance]:
    """Questions and answers of all lengths, with a backchannel here and there."""
    rng = random.Random(seed)
    utterances = []
    for index in range(turns):
        guest = index % 2 == 1
        words = rng.randint(10, 90) if guest else rng.randint(6, 30)
        text = " ".join(f"word{rng.randint(0, 999)}" for _ in range(words))
        text += "." if guest or rng.random() < 0.35 else "?"
        if rng.random() < 0.04:
            text, words = "Mm-hm.", 1
        speaker = "guest" if guest else "host"
        utterances.append(Utterance(speaker, text, index * chapters // turns, words / 2.8))
    return utterances


def place(
    utterances: list[Utterance], seed: int = 1, options: MixOptions = OPTIONS
) -> tuple[Placement, ...]:
    return place_turns(utterances, options, seed=seed, first_start_s=0.5)


def gaps_ms(placed: tuple[Placement, ...]) -> list[float]:
    found = [p.gap_s * 1000 for p in placed if p.transfer not in (None, Transfer.CHAPTER)]
    assert len(found) > 20
    return found


def test_gaps_are_those_of_people() -> None:
    everything = [gap for seed in SEEDS for gap in gaps_ms(place(make_interview(seed), seed))]
    assert len(everything) > 1000
    assert 110 <= median(everything) <= 190
    assert pstdev(everything) > 130
    mean = sum(everything) / len(everything)
    assert mean > median(everything) + 10  # skewed to the right
    overlaps = sum(gap < 0 for gap in everything) / len(everything)
    assert 0.08 < overlaps < 0.35
    assert sum(gap > 1000 for gap in everything) / len(everything) < 0.02
    assert min(everything) >= -250.001


def test_the_gaps_of_nearly_every_single_episode_are_within_the_convention() -> None:
    medians = [median(gaps_ms(place(make_interview(seed), seed))) for seed in SEEDS]
    assert sum(80 <= value <= 200 for value in medians) >= 0.9 * len(medians)
    spreads = [pstdev(gaps_ms(place(make_interview(seed), seed))) for seed in SEEDS]
    assert min(spreads) > 100


@pytest.mark.parametrize("gap_ms", [0.0, 400.0, 900.0])
def test_the_asked_median_is_kept(gap_ms: float) -> None:
    options = MixOptions(gap_ms=gap_ms)
    uniforms = [(n + 0.5) / 501 for n in range(501)]
    drawn = [draw_gap_s(Transfer.PLAIN, options, uniform) * 1000 for uniform in uniforms]
    assert median(drawn) == pytest.approx(gap_ms, abs=1)
    assert 110 < pstdev(drawn) < 190


def test_without_spread_all_plain_gaps_are_equal() -> None:
    options = MixOptions(gap_spread_ms=0.0)
    drawn = {draw_gap_s(Transfer.PLAIN, options, uniform) for uniform in (0.01, 0.4, 0.99)}
    assert [round(gap, 9) for gap in drawn] == [0.15] * len(drawn)


def test_what_kind_of_transfer_it_is() -> None:
    def say(speaker: str, text: str, chapter: int = 0) -> Utterance:
        return Utterance(speaker, text, chapter, 2.0)

    question = say("host", "Why did you go?”")
    statement = say("host", "That was long ago.")
    cases = {
        Transfer.QUICK_ANSWER: (question, say("guest", "Because I could.")),
        Transfer.AFTER_QUESTION: (question, say("guest", "Well, " + "it was so " * 6)),
        Transfer.LONG_ANSWER: (question, say("guest", "Well, " + "it was so " * 20)),
        Transfer.PLAIN: (statement, say("guest", "It was, and I remember it well.")),
        Transfer.BACKCHANNEL: (statement, say("guest", "Mm-hm.")),
        Transfer.AFTER_BACKCHANNEL: (say("guest", "Right, right."), statement),
        Transfer.SAME_SPEAKER: (statement, say("host", "And so on.")),
        Transfer.CHAPTER: (statement, say("guest", "Mm-hm.", 1)),
    }
    assert set(cases) == set(Transfer)
    assert classify_transfer(question, say("guest", "Yes.")) is Transfer.QUICK_ANSWER
    for expected, (before, turn) in cases.items():
        assert classify_transfer(before, turn) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mm-hm.", True),
        ("Right.", True),
        ("Oh, wow!", True),
        ("Yeah, yeah, yeah.", True),
        ("Right?", False),
        ("Right, so we left.", False),
        ("No.", False),
        ("…", False),
    ],
)
def test_which_turns_are_backchannels(text: str, expected: bool) -> None:
    assert is_backchannel(text) is expected


def test_answers_come_sooner_long_ones_later_and_backchannels_overlap() -> None:
    medians = {t: draw_gap_s(t, OPTIONS, 0.5) for t in Transfer}
    assert medians[Transfer.BACKCHANNEL] < 0 < medians[Transfer.QUICK_ANSWER]
    assert medians[Transfer.QUICK_ANSWER] < medians[Transfer.AFTER_QUESTION]
    assert medians[Transfer.AFTER_QUESTION] < medians[Transfer.PLAIN]
    assert medians[Transfer.PLAIN] < medians[Transfer.LONG_ANSWER]
    assert medians[Transfer.LONG_ANSWER] < medians[Transfer.SAME_SPEAKER]
    assert medians[Transfer.CHAPTER] == pytest.approx(1.1)


def test_editing_one_line_moves_only_the_gaps_around_it() -> None:
    before = make_interview(3)
    after = list(before)
    edited = 20
    after[edited] = Utterance(before[edited].speaker, "Something quite different.", 1, 1.7)
    one, other = place(before), place(after)
    changed = [n for n in range(len(one)) if abs(one[n].gap_s - other[n].gap_s) > 1e-9 and n != 0]
    assert set(changed) <= {edited, edited + 1}
    assert changed


def test_the_seed_decides() -> None:
    turns = make_interview(3)
    assert place(turns, 1) == place(turns, 1)
    assert place(turns, 1) != place(turns, 2)


def test_equal_lines_do_not_get_equal_gaps() -> None:
    turns = [Utterance("host" if n % 2 else "guest", "So it goes on.", 0, 2.0) for n in range(50)]
    assert len({round(p.gap_s, 6) for p in place(turns)[1:]}) > 40


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_overlaps_themselves_and_never_do_three_speak(seed: int) -> None:
    rng = random.Random(seed)
    texts = ("Mm-hm.", "Right.", "Yes.", "Is it?", "A longer thing to say, all in all.")
    turns = [
        Utterance(rng.choice("abc"), rng.choice(texts), 0, rng.uniform(0.0, 0.6))
        for _ in range(200)
    ]
    placed = place(turns, seed)
    for number, (turn, here) in enumerate(zip(turns, placed, strict=True)):
        earlier = list(zip(turns, placed, strict=True))[:number]
        assert all(here.start_s >= p.start_s for _, p in earlier)
        assert all(here.start_s >= p.end_s for t, p in earlier if t.speaker == turn.speaker)
        assert sum(p.end_s > here.start_s + 1e-9 for _, p in earlier) <= 1


@pytest.mark.parametrize("music", [True, False])
def test_an_episode_lasts_as_long_as_was_planned(music: bool) -> None:
    options = MixOptions(music=music)
    for seed in SEEDS:
        turns = make_interview(seed)
        placed = place_turns(turns, options, seed=seed, first_start_s=head_and_tail_s(options)[0])
        spoken_s = sum(turn.duration_s for turn in turns)
        real_s = max(p.end_s for p in placed) + head_and_tail_s(options)[1]
        gaps = len(turns) - 4
        planned_s = spoken_s + plan_overhead_s(options, 4) + gaps * expected_gap_s(options)
        assert real_s == pytest.approx(planned_s, rel=0.01)


def test_all_gaps_together_are_close_to_the_expectation() -> None:
    gaps = [gap for seed in SEEDS for gap in gaps_ms(place(make_interview(seed), seed))]
    assert sum(gaps) / len(gaps) == pytest.approx(1000 * expected_gap_s(OPTIONS), rel=0.05)


def test_the_overhead_counts_chapters_and_music() -> None:
    with_music, without = MixOptions(), MixOptions(music=False)
    assert plan_overhead_s(with_music, 1) == pytest.approx(7.1)
    assert plan_overhead_s(with_music, 3) == pytest.approx(7.1 + 2 * 1.1)
    assert plan_overhead_s(without, 1) == pytest.approx(1.2)
