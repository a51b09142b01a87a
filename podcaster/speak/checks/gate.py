"""The quality gate: every clip is judged before it is believed.

Engines that draw at random lose the end of a sentence, say it twice, fall silent, or speak as
somebody else. Each check measures one of these on the sound as the engine made it, before it is
brought to a level, and says what it expected. What is said is checked where a transcriber is at
hand, whose voice it is where a listener is; the rest needs neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from podcaster.model import Voice
from podcaster.speak.checks.pace import (
    Habits,
    foretell_s,
    guess_s,
    pace_bounds_s,
    pauses_between_s,
    sentence_bounds_s,
    speaking_s,
)
from podcaster.speak.checks.repeats import SEEN_S, find_repeat, is_repetition, repeats_itself
from podcaster.speak.checks.sound import (
    Shape,
    cepstra,
    measure_clipping,
    measure_unevenness_db,
    outline,
)
from podcaster.speak.checks.voice import (
    Listener,
    Nearness,
    Vectors,
    compare_voice,
    hear_voice,
)
from podcaster.speak.checks.words import compare_words
from podcaster.speak.engine import Samples

FaultKind = Literal[
    "too_long",
    "too_short",
    "silence_inside",
    "silence_at_end",
    "clipping",
    "repeated_tail",
    "loudness",
    "other_voice",
    "words",
]

# engines that follow rules or filter what such an engine said: they cannot babble, repeat or
# forget, and speak so quickly that looking for it would take longer than speaking
RULE_ENGINES = frozenset({"espeak", "likeness_sketch"})

_LONGEST_PAUSE_S = 1.3  # inside of a sentence, at a comma or for effect
_LONGEST_SENTENCE_PAUSE_S = 1.8
_LONGEST_END_S = 0.8
_MOST_CLIPPED = 2e-4
_QUIETEST_DB = -50.0
# dB between the halves of what is long enough to have some
_MOST_UNEVEN_DB, _UNEVEN_FROM_S = 8.0, 3.0
_MOST_WORD_ERRORS, _FREE_WORD_ERRORS = 0.25, 1.0
_MOST_ADDED_WORDS, _MOST_MISSING_WORDS = 1, 2

# how bad a fault is to a listener, for choosing the least bad of several takes
_WEIGHTS: dict[FaultKind, float] = {
    "other_voice": 8.0,
    "words": 6.0,
    "too_short": 5.0,
    "repeated_tail": 4.0,
    "too_long": 3.0,
    "clipping": 3.0,
    "silence_inside": 2.0,
    "loudness": 2.0,
    "silence_at_end": 1.0,
}


class Transcriber(Protocol):
    """Hears what is said."""

    def transcribe(self, samples: Samples, rate_hz: int, language: str) -> str | None:
        """The words in sound at any rate, as plain text; None: it does not know the language.

        Raises EngineError.
        """


@dataclass(frozen=True)
class GateOptions:
    """What the gate looks for.

    Without `thorough` only what costs next to nothing: length by letters, silence, clipping, level.
    """

    thorough: bool = True


@dataclass(frozen=True)
class Fault:
    """Something wrong with a clip; `message` says what was got and what was expected.

    `excess` is how far beyond the limit it is, 1 and more.
    """

    kind: FaultKind
    message: str
    excess: float = 1.0


@dataclass(frozen=True)
class Verdict:
    """What was measured, for the record, and what is wrong.

    `voiceprint` `(dimensions,)` is what the listener heard, None where nobody listened.
    """

    scores: dict[str, float]
    faults: tuple[Fault, ...] = ()
    voiceprint: Vectors | None = None

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    @property
    def severity(self) -> float:
        """0 where nothing is wrong; more, the worse it would be to hear."""
        return sum(_WEIGHTS[one.kind] * (1.0 + min(3.0, one.excess)) for one in self.faults)


@dataclass(frozen=True)
class _Judged:
    """What is judged: the sound, its outline and its text."""

    samples: Samples
    rate_hz: int
    shape: Shape
    sentences: tuple[str, ...]
    sentence_ends_s: tuple[float, ...]
    voice: Voice
    language: str


class Gate:
    """Judges clips; nothing is remembered from one to the next."""

    def __init__(
        self,
        options: GateOptions,
        listener: Listener | None = None,
        transcriber: Transcriber | None = None,
    ) -> None:
        """Take what is at hand; without a listener or a transcriber their checks are left out."""
        self._thorough = options.thorough
        self._listener = listener
        self._transcriber = transcriber

    def judge(
        self,
        samples: Samples,
        rate_hz: int,
        sentences: Sequence[str],
        sentence_ends_s: Sequence[float],
        voice: Voice,
        language: str,
        *,
        reference: Vectors | None = None,
        others: Sequence[Vectors] = (),
        habits: Habits | None = None,
    ) -> Verdict:
        """Judge a clip as the engine made it: float32 mono `(n_samples,)`, not yet levelled.

        `sentences` are as spoken, `sentence_ends_s` as in `Speech` (empty: unknown). `reference`
        is the voiceprint that the clip should be near to, `others` those of who else speaks,
        `habits` what is usual for this voice. A text in which there is nothing to say passes.

        Raises EngineError where the listener or the transcriber fails.
        """
        if not sentences:
            return Verdict({})
        if not np.isfinite(samples.sum()):
            fault = Fault("loudness", "Some samples are not numbers, expected -1 to 1.", 3.0)
            return Verdict({}, (fault,))
        shape = outline(samples, rate_hz)
        ends_s = tuple(sentence_ends_s) if len(sentence_ends_s) == len(sentences) else ()
        clip = _Judged(samples, rate_hz, shape, tuple(sentences), ends_s, voice, language)
        scores: dict[str, float] = {"speech_s": shape.speech_s}
        if shape.speech_s == 0:
            fault = Fault("too_short", "Nothing can be heard, expected speech.", 3.0)
            return Verdict(scores, (fault,))
        faults = [
            *_check_pace(clip, scores, habits, thorough=self._thorough),
            *_check_silence(clip, scores),
            *_check_level(clip, scores),
        ]
        heard = None
        if self._thorough:
            faults += _check_tail(clip, scores)
            if self._listener is not None:
                heard = hear_voice(self._listener, samples, rate_hz, shape)
                if heard is not None and reference is not None:
                    usual = habits.similarity if habits else None
                    near = compare_voice(heard, reference, others, usual)
                    faults += _check_voice(clip, scores, near)
            if self._transcriber is not None:
                words = self._transcriber.transcribe(samples, rate_hz, language)
                faults += _check_words(clip, scores, words) if words is not None else []
        rounded = {name: round(value, 5) for name, value in scores.items()}
        return Verdict(rounded, tuple(faults), heard.voiceprint if heard else None)


def _check_pace(
    clip: _Judged, scores: dict[str, float], habits: Habits | None, *, thorough: bool
) -> list[Fault]:
    """The whole clip, and each sentence where it is known when they end."""
    if thorough:
        each_s = foretell_s(clip.sentences, clip.voice, clip.language)
    else:
        each_s = guess_s(clip.sentences, clip.voice)
    expected_s = sum(each_s) + pauses_between_s(clip.sentences, clip.voice)
    if expected_s <= 0:
        return []
    took_s = speaking_s(clip.shape)
    scores["pace"] = took_s / expected_s
    least_s, most_s = pace_bounds_s(expected_s, habits)
    if not least_s <= took_s <= most_s:
        return [_pace_fault("The clip", took_s, least_s, most_s)]
    start_s = 0.0
    for number, (end_s, one_s) in enumerate(zip(clip.sentence_ends_s, each_s, strict=False), 1):
        took_s = speaking_s(clip.shape, start_s, end_s)
        least_s, most_s = sentence_bounds_s(one_s, habits)
        if not least_s <= took_s <= most_s:
            return [_pace_fault(f"Sentence {number}", took_s, least_s, most_s)]
        start_s = end_s
    return []


def _pace_fault(what: str, took_s: float, least_s: float, most_s: float) -> Fault:
    short = took_s < least_s
    text = f"{what} takes {took_s:.1f} s, expected {least_s:.1f} to {most_s:.1f} s for its words."
    excess = least_s / max(took_s, 0.05) if short else took_s / most_s
    return Fault("too_short" if short else "too_long", text, excess)


def _check_silence(clip: _Judged, scores: dict[str, float]) -> list[Fault]:
    faults = []
    longest = max(clip.shape.pauses, key=lambda pause: pause.length_s, default=None)
    limit_s = _LONGEST_SENTENCE_PAUSE_S if len(clip.sentences) > 1 else _LONGEST_PAUSE_S
    scores["longest_pause_s"] = longest.length_s if longest else 0.0
    if longest and longest.length_s > limit_s:
        text = (
            f"There is silence of {longest.length_s:.1f} s at {longest.start_s:.1f} s, "
            f"expected at most {limit_s:.1f} s."
        )
        faults.append(Fault("silence_inside", text, longest.length_s / limit_s))
    scores["end_silence_s"] = edge_s = max(clip.shape.lead_s, clip.shape.tail_s)
    if edge_s > _LONGEST_END_S:
        where = "end" if clip.shape.tail_s == edge_s else "beginning"
        text = f"There is silence of {edge_s:.1f} s at the {where}, expected at most " + (
            f"{_LONGEST_END_S:.1f} s."
        )
        faults.append(Fault("silence_at_end", text, edge_s / _LONGEST_END_S))
    return faults


def _check_level(clip: _Judged, scores: dict[str, float]) -> list[Fault]:
    faults = []
    scores["clipped_share"] = clipped = measure_clipping(clip.samples)
    if clipped > _MOST_CLIPPED:
        text = f"{clipped:.2%} of the samples are clipped, expected at most {_MOST_CLIPPED:.2%}."
        faults.append(Fault("clipping", text, clipped / _MOST_CLIPPED))
    levels = clip.shape.levels_db[clip.shape.sounding]
    level_db = float(10.0 * np.log10(np.mean(10.0 ** (levels / 10.0))))
    scores["speech_level_db"] = level_db
    if level_db < _QUIETEST_DB:
        text = f"The speech is at {level_db:.0f} dB, expected {_QUIETEST_DB:.0f} dB or more."
        faults.append(Fault("loudness", text, level_db / _QUIETEST_DB))
    scores["unevenness_db"] = uneven_db = measure_unevenness_db(clip.shape)
    if abs(uneven_db) > _MOST_UNEVEN_DB and clip.shape.speech_s >= _UNEVEN_FROM_S:
        half = "first" if uneven_db > 0 else "second"
        text = (
            f"The {half} half is {abs(uneven_db):.0f} dB quieter than the other, expected at most "
            f"{_MOST_UNEVEN_DB:.0f} dB."
        )
        faults.append(Fault("loudness", text, abs(uneven_db) / _MOST_UNEVEN_DB))
    return faults


def _check_tail(clip: _Judged, scores: dict[str, float]) -> list[Fault]:
    rate_hz = clip.rate_hz
    end = len(clip.samples) - round(clip.shape.tail_s * rate_hz)
    start = max(round(clip.shape.lead_s * rate_hz), end - round(SEEN_S * rate_hz))
    repeat = find_repeat(cepstra(clip.samples[start:end], rate_hz))
    scores["repeat_s"], scores["repeat_strength"] = repeat.length_s, repeat.strength
    if not is_repetition(repeat):
        return []
    if repeats_itself(" ".join(clip.sentences), repeat, repeat.length_s / clip.shape.speech_s):
        return []
    text = (
        f"The last {repeat.length_s:.1f} s repeat what is said before them, expected an end that "
        "is said once."
    )
    return [Fault("repeated_tail", text, 1.0 + repeat.length_s)]


def _check_voice(clip: _Judged, scores: dict[str, float], near: Nearness) -> list[Fault]:
    scores["similarity"], scores["weakest_similarity"] = near.similarity, near.weakest
    whose = f"that of {clip.voice.name}"
    if near.similarity < near.least:
        text = (
            f"The voice is as near as {near.similarity:.2f} to {whose}, expected {near.least:.2f} "
            "or more."
        )
        return [Fault("other_voice", text, 1.0 + 4 * (near.least - near.similarity))]
    if near.weakest < near.least_weakest:
        text = (
            f"A part of the clip is only {near.weakest:.2f} near to {whose}, expected "
            f"{near.least_weakest:.2f} or more."
        )
        return [Fault("other_voice", text, 1.0 + 2 * (near.least_weakest - near.weakest))]
    if near.other is None:
        return []
    scores["other_similarity"] = near.other
    if near.other <= near.beside + near.margin:
        return []
    text = (
        f"The voice is nearer to somebody else's ({near.other:.2f}) than to {whose} "
        f"({near.beside:.2f}), expected at most {near.margin:.2f} more."
    )
    return [Fault("other_voice", text, 1.0 + 4 * (near.other - near.beside))]


def _check_words(clip: _Judged, scores: dict[str, float], heard: str) -> list[Fault]:
    found = compare_words(" ".join(clip.sentences), heard, clip.language)
    if not found.words:
        return []
    scores["word_error_rate"] = found.rate
    most = _FREE_WORD_ERRORS + _MOST_WORD_ERRORS * found.words
    if len(found.added_at_end) > _MOST_ADDED_WORDS:
        words = " ".join(found.added_at_end[:8])
        text = f"After the last word {words!r} was heard, expected nothing."
        return [Fault("words", text, 1.0 + len(found.added_at_end) / 4)]
    if len(found.longest_missing) > _MOST_MISSING_WORDS:
        words = " ".join(found.longest_missing[:8])
        return [Fault("words", f"{words!r} was not heard, expected all words.", 1 + found.rate)]
    if found.errors > most:
        text = (
            f"Of {found.words} words {found.errors:.0f} were heard differently, expected at most "
            f"{most:.0f}."
        )
        return [Fault("words", text, found.errors / most)]
    return []
