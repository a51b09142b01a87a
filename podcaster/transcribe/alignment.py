"""What lies around forced alignment: which utterances are heard together, whose word is whose.

An aligner gets the text of a stretch of sound and says when each piece of it was said. Neighbouring
utterances make one stretch, for a cut between them may go through a word.
"""

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from podcaster.model import Utterance, Word

LONGEST_STRETCH_S = 30.0
GAP_S = 1.0  # utterances closer than this are aligned together
MARGIN_S = 0.3  # Whisper's first and last word may be off by as much


@dataclass(frozen=True)
class Piece:
    """Some characters that an aligner was given, and when they were said; None: it cannot say."""

    text: str
    start_s: float | None
    end_s: float | None


@dataclass(frozen=True)
class Stretch:
    """Utterances `first` to `last` (inclusive), and the seconds in which they are looked for."""

    first: int
    last: int
    start_s: float
    end_s: float


def find_stretches(utterances: Sequence[Utterance], duration_s: float) -> list[Stretch]:
    """Runs of utterances without long gaps, at most 30 s each; those without times are in none."""
    runs: list[list[int]] = []
    for index, utterance in enumerate(utterances):
        if utterance.start_s is None or utterance.end_s is None or utterance.start_s >= duration_s:
            continue
        if runs and runs[-1][-1] == index - 1:
            begun_s, ended_s = utterances[runs[-1][0]].start_s, utterances[index - 1].end_s
            assert begun_s is not None
            assert ended_s is not None
            near = utterance.start_s - ended_s < GAP_S
            if near and utterance.end_s - begun_s <= LONGEST_STRETCH_S:
                runs[-1].append(index)
                continue
        runs.append([index])
    return [_widen(utterances, run[0], run[-1], duration_s) for run in runs]


def _widen(utterances: Sequence[Utterance], first: int, last: int, duration_s: float) -> Stretch:
    """Take a little of the silence on both sides, never more than half of it."""
    start_s, end_s = utterances[first].start_s or 0.0, utterances[last].end_s or 0.0
    before_s = utterances[first - 1].end_s if first else 0.0
    after_s = utterances[last + 1].start_s if last + 1 < len(utterances) else duration_s
    room_before_s = max(0.0, start_s - (before_s or 0.0)) / (2 if first else 1)
    room_after_s = max(0.0, (after_s if after_s is not None else end_s) - end_s)
    room_after_s /= 2 if last + 1 < len(utterances) else 1
    return Stretch(
        first,
        last,
        start_s - min(MARGIN_S, room_before_s),
        min(duration_s, end_s + min(MARGIN_S, room_after_s)),
    )


def words_of(utterance: Utterance) -> list[Word]:
    """Its words; if they are not its text, the words of its text, without probabilities."""
    if "".join(word.text for word in utterance.words) == "".join(utterance.text.split()):
        return list(utterance.words)
    start_s, end_s = utterance.start_s or 0.0, utterance.end_s or 0.0
    speaker = utterance.speaker
    return [
        Word(text=text, start_s=start_s, end_s=end_s, speaker=speaker)
        for text in utterance.text.split()
    ]


def spell_words(utterances: Sequence[Utterance], known: Container[str]) -> list[str]:
    """Each word in the small letters that a model knows; empty where it knows none of them.

    Points and commas are nowhere heard: an aligner that has to find them finds them in the silence
    after the word. Of digits it cannot know how they are read.
    """
    return [
        "".join(letter for letter in word.text.lower() if letter in known and letter not in " |")
        for one in utterances
        for word in words_of(one)
    ]


def share_out(
    utterances: Sequence[Utterance],
    spelled: Sequence[str],
    pieces: Sequence[Piece],
    stretch: Stretch,
) -> list[Utterance]:
    """The utterances of a stretch with the times of its pieces; words and text stay.

    `spelled` are their words as the aligner was given them, `pieces` what it made of those. Words
    that no piece times are laid between their neighbours. Where the pieces are not what was
    spelled, or none has a time, everything stays as it was.
    """
    words = [word for one in utterances for word in words_of(one)]
    if "".join(piece.text for piece in pieces) != "".join(spelled):
        return list(utterances)
    spans = list(_spans(spelled, pieces))
    if all(start_s is None or end_s is None for start_s, end_s in spans):
        return list(utterances)
    timed = iter(_fill(words, spans, stretch))
    shared = []
    for one in utterances:
        own = tuple(next(timed) for _ in words_of(one))
        shared.append(
            msgspec.structs.replace(one, words=own, start_s=own[0].start_s, end_s=own[-1].end_s)
            if own
            else one
        )
    return shared


def _spans(
    spelled: Sequence[str], pieces: Sequence[Piece]
) -> Iterator[tuple[float | None, float | None]]:
    """Each word's start, of the piece of its first character, and end, of that of its last."""
    owners = [index for index, piece in enumerate(pieces) for _ in piece.text]
    position = 0
    for word in spelled:
        if not word:
            yield None, None
            continue
        first, last = owners[position], owners[position + len(word) - 1]
        position += len(word)
        yield pieces[first].start_s, pieces[last].end_s


def _fill(
    words: Sequence[Word],
    spans: Sequence[tuple[float | None, float | None]],
    stretch: Stretch,
) -> Iterator[Word]:
    """Words with times; those without are laid between their neighbours by their characters."""
    known = [start_s is not None and end_s is not None for start_s, end_s in spans]
    index = 0
    floor_s = stretch.start_s
    while index < len(words):
        if known[index]:
            start_s, end_s = spans[index]
            assert start_s is not None
            assert end_s is not None
            start_s = max(start_s, floor_s)
            floor_s = max(end_s, start_s)
            yield _timed(words[index], start_s, floor_s)
            index += 1
            continue
        until = index
        while until < len(words) and not known[until]:
            until += 1
        next_s = spans[until][0] if until < len(words) else stretch.end_s
        room_s = max(0.0, (next_s or 0.0) - floor_s)
        total = sum(len(word.text) for word in words[index:until])
        for word in words[index:until]:
            start_s = floor_s
            floor_s += room_s * len(word.text) / total
            yield _timed(word, start_s, floor_s)
        index = until


def _timed(word: Word, start_s: float, end_s: float) -> Word:
    return msgspec.structs.replace(word, start_s=round(start_s, 3), end_s=round(end_s, 3))
