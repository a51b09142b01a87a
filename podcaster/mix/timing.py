"""Turn-taking: when each turn starts, given the one before it.

The silence between two speakers (the floor-transfer offset) has a median of about +100 to +200 ms
in every language measured, is skewed to the right, and is negative (an overlap) about one time in
five; constant gaps sound like a machine. Answers to questions come sooner, thoughtful ones later,
and acknowledgements ("Mm-hm.") begin before the other has ended.

Sources: Stivers et al., "Universals and cultural variation in turn-taking in conversation", PNAS
106 (2009); Heldner & Edlund, "Pauses, gaps and overlaps in conversations", J. Phonetics 38 (2010);
Levinson & Torreira, "Timing in turn-taking", Front. Psychol. 6 (2015); Roberts, Torreira &
Levinson, "The effects of processing and sequence organization on the timing of turn taking",
Front. Psychol. 6 (2015).
"""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist, fmean, median, pstdev

from podcaster.mix.options import MixOptions
from podcaster.units import count_words, split_words

HEAD_WITH_MUSIC_S = 2.9  # the opening plays alone for so long
TAIL_WITH_MUSIC_S = 4.2  # the closing rings for so long after the last word
HEAD_S = 0.4
TAIL_S = 0.8

_EARLIEST_S = 0.30  # the distribution's lower end, before it is cut: nobody foresees an end sooner
_DEEPEST_OVERLAP_S = 0.25
_PLAIN_OVERLAP_S = 0.12  # a new thought may clip the last syllable, not the last word
_PARAGRAPH_S = 0.35  # more than a gap, where somebody goes on after a pause of their own
_SAME_SPEAKER_LEAST_S = 0.2
_LONG_ANSWER_WORDS = 45
_QUICK_ANSWER_WORDS = 8
_BACKCHANNEL_WORDS = 3
_CHAPTER_JITTER = 0.12  # of the chapter gap, either way
_TAIL_PROBABILITY = 0.01  # the distribution is cut here at both ends

_BACKCHANNELS = frozenset(
    {"mm", "mmm", "mhm", "mhmm", "hm", "hmm", "uh", "huh", "uh-huh", "mm-hm", "mm-hmm"}
    | {"yeah", "yep", "yes", "right", "okay", "ok", "sure", "exactly", "absolutely", "indeed"}
    | {"totally", "true", "wow", "oh", "really", "ah", "aha", "great", "nice", "definitely"}
)


class Transfer(Enum):
    """What kind of change of turn lies between two neighbours."""

    PLAIN = "plain"
    AFTER_QUESTION = "after a question"
    QUICK_ANSWER = "quick answer"
    LONG_ANSWER = "long answer"
    BACKCHANNEL = "backchannel"
    AFTER_BACKCHANNEL = "after a backchannel"
    SAME_SPEAKER = "same speaker"
    CHAPTER = "chapter"


# Seconds by which a transfer moves the median gap.
_SHIFTS_S = {
    Transfer.PLAIN: 0.0,
    Transfer.AFTER_QUESTION: -0.04,
    Transfer.QUICK_ANSWER: -0.09,
    Transfer.LONG_ANSWER: 0.06,
    Transfer.BACKCHANNEL: -0.24,
    Transfer.AFTER_BACKCHANNEL: -0.03,
    Transfer.SAME_SPEAKER: _PARAGRAPH_S,
}

# How often each kind comes up in an interview; only the planner's expectation uses it.
_USUAL_SHARES = {
    Transfer.PLAIN: 0.50,
    Transfer.AFTER_QUESTION: 0.22,
    Transfer.QUICK_ANSWER: 0.05,
    Transfer.LONG_ANSWER: 0.18,
    Transfer.BACKCHANNEL: 0.03,
    Transfer.AFTER_BACKCHANNEL: 0.02,
}


@dataclass(frozen=True)
class Utterance:
    """A turn that is to be placed: `duration_s` is from its first audible sample to its last."""

    speaker: str
    text: str
    chapter: int
    duration_s: float


@dataclass(frozen=True)
class Placement:
    """When an utterance starts; `gap_s` is the silence before it (negative: an overlap)."""

    start_s: float
    end_s: float
    gap_s: float
    transfer: Transfer | None  # None for the first


def place_turns(
    utterances: Sequence[Utterance], options: MixOptions, *, seed: int, first_start_s: float
) -> tuple[Placement, ...]:
    """Lay utterances one after the other, with gaps drawn for each pair of neighbours.

    A gap depends on the seed, on the two texts, on who speaks and on how often the same pair came
    before; so an edited line moves the gaps around it and no others. A turn never starts before
    its predecessor did, nobody overlaps themselves, and never do three speak at once.
    """
    placed: list[Placement] = []
    free_s: dict[str, float] = {}  # when each speaker has ended
    seen: Counter[tuple[str, str]] = Counter()
    for index, turn in enumerate(utterances):
        if index == 0:
            start_s, gap_s, transfer = first_start_s, 0.0, None
        else:
            before = utterances[index - 1]
            transfer = classify_transfer(before, turn)
            key = (before.text, turn.text)
            wanted_s = draw_gap_s(transfer, options, _uniform(seed, before, turn, seen[key]))
            seen[key] += 1
            start_s = _earliest(placed, free_s, turn.speaker, placed[-1].end_s + wanted_s)
            gap_s = start_s - placed[-1].end_s
        end_s = start_s + turn.duration_s
        placed.append(Placement(start_s, end_s, gap_s, transfer))
        free_s[turn.speaker] = max(end_s, free_s.get(turn.speaker, 0.0))
    return tuple(placed)


def classify_transfer(before: Utterance, turn: Utterance) -> Transfer:
    """Say what kind of change of turn lies between two neighbours."""
    if turn.chapter != before.chapter:
        return Transfer.CHAPTER
    if turn.speaker == before.speaker:
        return Transfer.SAME_SPEAKER
    words = count_words(turn.text)
    if before.text.rstrip(" \"'”’)").endswith(("?", "？", "؟")):
        if words <= _QUICK_ANSWER_WORDS:
            return Transfer.QUICK_ANSWER
        return Transfer.LONG_ANSWER if words >= _LONG_ANSWER_WORDS else Transfer.AFTER_QUESTION
    if is_backchannel(turn.text):
        return Transfer.BACKCHANNEL
    return Transfer.AFTER_BACKCHANNEL if is_backchannel(before.text) else Transfer.PLAIN


def is_backchannel(text: str) -> bool:
    """Whether a turn only shows that somebody listens: "Mm-hm.", "Right, right.", "Oh, wow."."""
    if "?" in text:
        return False
    words = split_words(text)
    return 0 < len(words) <= _BACKCHANNEL_WORDS and all(word in _BACKCHANNELS for word in words)


def draw_gap_s(transfer: Transfer, options: MixOptions, uniform: float) -> float:
    """Turn a number in (0, 1) into a gap in seconds, by the distribution of this transfer.

    A log-normal shifted to the left, so that its median is the asked one, its standard deviation
    is `gap_spread_ms`, and a part of it is negative.
    """
    if transfer is Transfer.CHAPTER:
        return options.chapter_gap_ms / 1000 * (1 + _CHAPTER_JITTER * (2 * uniform - 1))
    median_s = options.gap_ms / 1000
    clipped = min(max(uniform, _TAIL_PROBABILITY), 1 - _TAIL_PROBABILITY)
    sigma = _log_sigma(median_s + _EARLIEST_S, options.gap_spread_ms / 1000)
    skewed_s = (median_s + _EARLIEST_S) * math.exp(sigma * NormalDist().inv_cdf(clipped))
    gap_s = skewed_s - _EARLIEST_S + _SHIFTS_S[transfer]
    if transfer is Transfer.SAME_SPEAKER:
        return max(gap_s, _SAME_SPEAKER_LEAST_S)
    close = transfer in (Transfer.BACKCHANNEL, Transfer.QUICK_ANSWER)
    return max(gap_s, -_DEEPEST_OVERLAP_S if close else -_PLAIN_OVERLAP_S)


def expected_gap_s(options: MixOptions) -> float:
    """The mean gap between two turns of an interview, chapters aside; for planning a length."""
    steps = 200
    uniforms = [(step + 0.5) / steps for step in range(steps)]
    return sum(
        share * fmean(draw_gap_s(transfer, options, uniform) for uniform in uniforms)
        for transfer, share in _USUAL_SHARES.items()
    )


def plan_overhead_s(options: MixOptions, chapters: int) -> float:
    """Seconds of an episode of `chapters` chapters that are neither turns nor gaps between turns.

    That is what comes before the first word and after the last, and the gaps before the second
    chapter and those after it. An episode then lasts about the sum of its clips + this +
    `expected_gap_s` × (turns − chapters).
    """
    head_s, tail_s = head_and_tail_s(options)
    return head_s + tail_s + max(0, chapters - 1) * options.chapter_gap_ms / 1000


def head_and_tail_s(options: MixOptions) -> tuple[float, float]:
    """Seconds before the first word and after the last."""
    return (HEAD_WITH_MUSIC_S, TAIL_WITH_MUSIC_S) if options.music else (HEAD_S, TAIL_S)


def summarise_gaps(placed: Sequence[Placement]) -> dict[str, float | int]:
    """Count and measure the gaps between speakers, chapters and paragraph pauses aside."""
    apart = (Transfer.CHAPTER, Transfer.SAME_SPEAKER)
    gaps_ms = [1000 * p.gap_s for p in placed if p.transfer and p.transfer not in apart]
    return {
        "turns": len(placed),
        "gaps": len(gaps_ms),
        "gap_median_ms": round(median(gaps_ms), 1) if gaps_ms else 0.0,
        "gap_spread_ms": round(pstdev(gaps_ms), 1) if gaps_ms else 0.0,
        "overlaps": sum(1 for gap in gaps_ms if gap < 0),
        "gaps_over_1_s": sum(1 for gap in gaps_ms if gap > 1000),
    }


def _earliest(
    placed: Sequence[Placement], free_s: dict[str, float], speaker: str, wanted_s: float
) -> float:
    last = placed[-1]
    # at most two at once: everybody but the last speaker must have ended
    others_ended_s = max((p.end_s for p in placed[-3:-1]), default=0.0)
    after_start_s = last.start_s + 0.5 * (last.end_s - last.start_s)
    return max(wanted_s, free_s.get(speaker, 0.0), others_ended_s, after_start_s)


def _uniform(seed: int, before: Utterance, turn: Utterance, occurrence: int) -> float:
    parts = (str(seed), before.speaker, before.text, turn.speaker, turn.text, str(occurrence))
    digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2**64


def _log_sigma(scale_s: float, spread_s: float) -> float:
    # of the log-normal whose median is scale_s and whose standard deviation is spread_s:
    # spread² = scale²·w·(w − 1) with w = exp(σ²)
    ratio = (spread_s / scale_s) ** 2
    return math.sqrt(math.log((1 + math.sqrt(1 + 4 * ratio)) / 2))
