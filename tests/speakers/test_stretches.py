"""Stretches of one voice alone, and how clean they are; references that are cut from them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcaster.audio import Samples
from podcaster.levels import keep_voiced
from podcaster.model import Transcript, Utterance
from podcaster.speakers.recording import LocalSpeaker, Stretch
from podcaster.speakers.references import (
    LONGEST_REFERENCE_S,
    SHORTEST_REFERENCE_S,
    choose_clip,
    choose_passages,
    join_sounds,
)
from podcaster.speakers.stretches import (
    LONGEST_STRETCH_S,
    MOST_SPEECH_S,
    Span,
    fit_span,
    gather,
    measure_snr_db,
    plan_spans,
)
from podcaster.speakers.voiceprints import mean_print

RATE = 16_000


def spoken(*turns: tuple[str, float, float]) -> Transcript:
    return Transcript(
        language="en",
        engine="test",
        utterances=tuple(
            Utterance(text="words", speaker=who, start_s=start, end_s=end)
            for who, start, end in turns
        ),
    )


def syllables(seconds: float, *, noise: float = 0.0, bed: float = 0.0) -> Samples:
    """Four bursts a second with pauses between; `noise` and `bed` (a chord) are amplitudes."""
    times = np.arange(round(seconds * RATE)) / RATE
    speech = 0.3 * np.sin(2 * np.pi * 160 * times) * (np.sin(2 * np.pi * 2 * times) > 0)
    random = np.random.default_rng(1).standard_normal(len(times))
    chord = sum(np.sin(2 * np.pi * hertz * times) for hertz in (220.0, 277.0, 330.0))
    return (speech + noise * random + bed * chord).astype(np.float32)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 300), st.floats(0.01, 60)), max_size=12)
)
def test_a_span_is_of_one_voice_alone(drawn: list[tuple[str, float, float]]) -> None:
    turns = sorted((who, start, start + long) for who, start, long in drawn)
    turns.sort(key=lambda turn: turn[1])
    spans = plan_spans(spoken(*turns))
    for span in spans:
        assert 0 < span.duration_s <= LONGEST_STRETCH_S + 1e-6
        for who, start, end in turns:
            if who != span.label:
                assert end <= span.start_s + 1e-6 or start >= span.end_s - 1e-6
    for label in "ab":
        total_s = sum(span.duration_s for span in spans if span.label == label)
        assert total_s <= MOST_SPEECH_S + LONGEST_STRETCH_S


def test_long_monologues_do_not_crowd_out_the_rest() -> None:
    spans = plan_spans(spoken(("a", 0.0, 600.0), ("b", 600.0, 610.0), ("a", 610.0, 620.0)))
    assert any(span.start_s >= 610.0 for span in spans if span.label == "a")
    assert any(span.label == "b" for span in spans)


def test_an_interjection_costs_no_more_than_itself() -> None:
    spans = plan_spans(spoken(("a", 0.0, 30.0), ("b", 5.0, 6.0)))
    assert sum(span.duration_s for span in spans if span.label == "a") == pytest.approx(28.6)
    assert not any(span.label == "b" for span in spans)


def test_words_without_times_have_no_spans() -> None:
    told = Transcript(language="en", engine="t", utterances=(Utterance(text="a", speaker="b"),))
    assert plan_spans(told) == ()


@pytest.mark.parametrize("block_s", [0.3, 1.0, 100.0])
def test_what_is_gathered_is_what_was_planned_whatever_the_blocks(block_s: float) -> None:
    sound = syllables(20.0)
    spans = (Span("a", 1.0, 4.0), Span("b", 3.95, 9.5), Span("a", 30.0, 31.0))
    size = round(block_s * RATE)
    heard = gather((sound[i : i + size] for i in range(0, len(sound), size)), spans)
    for span, samples in zip(spans[:2], heard.sounds, strict=False):
        expected = sound[round(span.start_s * RATE) : round(span.end_s * RATE)]
        assert np.array_equal(samples, expected)
    assert len(heard.sounds[2]) == 0


def test_a_recording_is_not_read_further_than_needed() -> None:
    read = 0

    def blocks() -> object:
        nonlocal read
        for _ in range(3600):
            read += 1
            yield np.zeros(RATE, dtype=np.float32)

    gather(blocks(), [Span("a", 1.0, 5.0)])  # type: ignore[arg-type]
    assert read < 12


def test_noise_and_a_bed_of_music_make_a_stretch_less_clean() -> None:
    def snr_db(sound: Samples) -> float:
        heard = gather(iter([sound]), [Span("a", 1.0, 8.0)])
        return measure_snr_db(Span("a", 1.0, 8.0), heard.levels_db)

    clean, noisy = snr_db(syllables(10.0, noise=1e-4)), snr_db(syllables(10.0, noise=0.01))
    music = snr_db(syllables(10.0, noise=1e-4, bed=0.05))
    assert clean > 50
    assert noisy == pytest.approx(26.5, abs=2.0)  # 0.3 / √2 over 0.01
    assert music < 15


def test_a_span_is_fitted_to_pauses() -> None:
    sound = np.concatenate([syllables(0.5) * 0, syllables(6.0), syllables(1.0) * 0])
    levels = gather(iter([sound]), [Span("a", 0.0, 7.5)]).levels_db
    fitted = fit_span(Span("a", 0.7, 6.2), levels)
    assert 0.7 <= fitted.start_s < fitted.end_s <= 6.2
    quiet = np.median(levels)
    assert levels[round(fitted.start_s / 0.02)] <= quiet
    assert levels[round(fitted.end_s / 0.02) - 1] <= quiet


def test_pauses_are_no_part_of_a_voice() -> None:
    speech, silence = syllables(2.0), np.zeros(3 * RATE, dtype=np.float32)
    kept = keep_voiced(np.concatenate([speech, silence, speech]), RATE)
    assert len(kept) < 4.6 * RATE
    assert float(np.sum(kept**2)) == pytest.approx(2 * float(np.sum(speech**2)), rel=0.01)


def test_a_stranger_in_a_voices_stretches_is_left_out() -> None:
    own, other = np.eye(8, dtype=np.float32)[0], np.eye(8, dtype=np.float32)[1]
    mean, kept = mean_print(np.stack([own, own, other]), np.array([5.0, 5.0, 4.0], np.float32))
    assert kept.tolist() == [True, True, False]
    assert float(mean @ own) == pytest.approx(1.0)


def person(*stretches: tuple[float, float, float]) -> LocalSpeaker:
    kept = tuple(Stretch(start_s=a, end_s=b, snr_db=snr) for a, b, snr in stretches)
    return LocalSpeaker(
        label="S1", name="", words=1, turns=1, share=1.0, first_turn=1, stretches=kept
    )


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.floats(2, 12), st.floats(0, 60)), max_size=20))
def test_a_reference_has_6_to_30_clean_seconds_or_is_none(
    drawn: list[tuple[str, float, float]],
) -> None:
    members = [
        (recording, person((100.0 * i, 100.0 * i + long, snr)))
        for i, (recording, long, snr) in enumerate(drawn)
    ]
    chosen = choose_passages(members)
    total_s = sum(one.duration_s for one in chosen)
    assert not chosen or SHORTEST_REFERENCE_S <= total_s <= LONGEST_REFERENCE_S + 1e-6
    assert all(one.snr_db >= 15 for one in chosen)
    clean_s = sum(long for _, long, snr in drawn if snr >= 15)
    if clean_s >= SHORTEST_REFERENCE_S + LONGEST_STRETCH_S:
        assert chosen


def test_one_recording_is_preferred_and_the_cleanest_taken() -> None:
    near = person((0.0, 10.0, 40.0), (20.0, 30.0, 35.0))
    far = person((0.0, 3.0, 55.0))
    assert {one.recording for one in choose_passages([("near", near), ("far", far)])} == {"near"}
    assert choose_clip([("near", near), ("far", far)])[0].recording == "far"
    assert choose_passages([("far", far)]) == ()


def test_passages_of_different_rates_are_joined_at_the_higher() -> None:
    low, high = syllables(1.0), np.repeat(syllables(1.0), 3)
    samples, rate = join_sounds([(low, 16_000), (high, 48_000)])
    assert rate == 48_000
    assert len(samples) == pytest.approx(2.25 * 48_000, abs=50)
