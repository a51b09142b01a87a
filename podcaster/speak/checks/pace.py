"""How long a clip should be, and what a voice's own clips say of that."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from podcaster.errors import PodcasterError
from podcaster.model import Voice
from podcaster.speak.checks.sound import Shape
from podcaster.speak.pace import estimate_s
from podcaster.speak.pauses import mean_pause_s

# a voice is known by so many clips of some length; fewer may all be odd ones
ENOUGH_CLIPS = 8
_LONG_ENOUGH_S = 2.0

_REFERENCE_WPM = 166.5
_LETTER_S, _DIGIT_S, _CLAUSE_S = 0.072, 0.3, 0.22
# a letter is more than a sound in these scripts
_LETTERS_S = (
    (re.compile(r"[\u0590-\u07bf]"), 0.1),  # Hebrew, Arabic: vowels are not written
    # of India and south-east Asia, Ethiopia, Japan, Korea: a syllable
    (re.compile(r"[\u0900-\u137f\u1780-\u17ff\u3040-\u30ff\uac00-\ud7af]"), 0.15),
    (re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"), 0.26),
)
_CLAUSE = re.compile(r"[,;:.!?।。、，！？；：]+")

# a clip's length over what was foretold, for a voice of which nothing is known but its pace
_LOWEST, _HIGHEST = 0.62, 1.6
# single words are said at any pace
_SHORT_LESS_S, _SHORT_MORE_S = 0.1, 0.9
# where the voice is known: so many deviations, of which the least is that of one voice's clips
_DEVIATIONS, _LEAST_DEVIATION, _MOST_DEVIATION = 4.0, 0.075, 0.13
# one sentence among several, whose end the engine may know only roughly
_SENTENCE_LOWEST, _SENTENCE_HIGHEST = 0.45, 2.2
_SENTENCE_LESS_S, _SENTENCE_MORE_S = 0.2, 1.2
_LONGEST_PAUSE_S = 0.6  # of a pause, so much belongs to how somebody speaks


@dataclass(frozen=True)
class Habits:
    """What is usual for one voice with one engine, learnt from `clips` of its clips.

    `pace` is the median of length over foretold length, `pace_deviation` its spread (natural
    logarithm). `similarity` is the median nearness to the reference, None where nobody listened.
    """

    clips: int
    pace: float
    pace_deviation: float
    similarity: float | None = None


def learn_habits(scores: Iterable[Mapping[str, float]]) -> Habits | None:
    """Learn from the scores of a voice's clips, good and bad: medians do not mind some bad ones.

    None where there are fewer than ENOUGH_CLIPS of two seconds and more.
    """
    known = [
        one
        for one in scores
        if one.get("pace", 0.0) > 0 and one.get("speech_s", 0.0) >= _LONG_ENOUGH_S
    ]
    if len(known) < ENOUGH_CLIPS:
        return None
    logs = np.log([one["pace"] for one in known])
    middle = float(np.median(logs))
    near = [one["similarity"] for one in known if "similarity" in one]
    return Habits(
        clips=len(known),
        pace=math.exp(middle),
        pace_deviation=1.4826 * float(np.median(np.abs(logs - middle))),
        similarity=float(np.median(near)) if len(near) >= ENOUGH_CLIPS else None,
    )


def foretell_s(sentences: Sequence[str], voice: Voice, language: str) -> tuple[float, ...]:
    """How long each sentence will take, from its phonemes, or its letters where those are unknown.

    Pauses between sentences are left out.
    """
    try:
        return tuple(estimate_s(sentence, voice, language) for sentence in sentences)
    except PodcasterError:
        return guess_s(sentences, voice)


def guess_s(sentences: Sequence[str], voice: Voice) -> tuple[float, ...]:
    """How long each sentence may take, from its letters alone: quick, and right within a third."""
    factor = _REFERENCE_WPM / voice.words_per_minute
    return tuple(factor * _count_s(sentence) for sentence in sentences)


def pauses_between_s(sentences: Sequence[str], voice: Voice) -> float:
    """What the pauses between the sentences take together."""
    return sum(mean_pause_s(one, voice.words_per_minute) for one in sentences[:-1])


def speaking_s(shape: Shape, start_s: float = 0.0, end_s: float = math.inf) -> float:
    """How long the speech between two times is, with long pauses counted only in part."""
    start_s = max(start_s, shape.lead_s)
    end_s = min(end_s, shape.lead_s + shape.speech_s)
    held_s = sum(
        max(0.0, min(pause.end_s, end_s) - max(pause.start_s, start_s) - _LONGEST_PAUSE_S)
        for pause in shape.pauses
    )
    return max(0.0, end_s - start_s - held_s)


def pace_bounds_s(expected_s: float, habits: Habits | None) -> tuple[float, float]:
    """The shortest and the longest that a clip may be of which `expected_s` was foretold."""
    lowest, highest, usual = _LOWEST, _HIGHEST, 1.0
    if habits is not None:
        spread = min(_MOST_DEVIATION, max(_LEAST_DEVIATION, habits.pace_deviation))
        lowest, highest = math.exp(-_DEVIATIONS * spread), math.exp(_DEVIATIONS * spread)
        usual = habits.pace
    middle_s = expected_s * usual
    return max(0.0, middle_s * lowest - _SHORT_LESS_S), middle_s * highest + _SHORT_MORE_S


def sentence_bounds_s(expected_s: float, habits: Habits | None) -> tuple[float, float]:
    """The same for one sentence among several."""
    middle_s = expected_s * (habits.pace if habits else 1.0)
    return (
        max(0.0, middle_s * _SENTENCE_LOWEST - _SENTENCE_LESS_S),
        middle_s * _SENTENCE_HIGHEST + _SENTENCE_MORE_S,
    )


def _count_s(sentence: str) -> float:
    # marks belong to letters in Indic and Semitic scripts: letters alone are counted
    letters = "".join(filter(str.isalpha, sentence))
    seconds = len(letters) * _LETTER_S + sum(map(str.isdigit, sentence)) * _DIGIT_S
    if not letters.isascii():
        for script, letter_s in _LETTERS_S:
            seconds += len(script.findall(letters)) * (letter_s - _LETTER_S)
    return seconds + max(0, len(_CLAUSE.findall(sentence)) - 1) * _CLAUSE_S
