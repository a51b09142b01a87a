"""Whose each word is: a transcriber's words and a diariser's spans, laid side by side."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec
import numpy as np
from numpy.typing import NDArray

from podcaster.model import SpeakerSpan, Utterance, Word

NEAR_S = 1.0  # a word that nobody is heard in may belong to a span this near

_POINT_S = 0.02  # words without a duration are looked up as if they had this


def assign_speakers(
    utterances: Sequence[Utterance], spans: Sequence[SpeakerSpan], *, near_s: float = NEAR_S
) -> tuple[Utterance, ...]:
    """Say who says what; an utterance in which the speaker changes becomes several.

    A word goes to the speaker whose spans cover most of it. Where two cover as much, as they do
    where people talk at once, it stays with whoever said the word before. Where none does, it goes
    to the nearest span within `near_s`, else to nobody (None). Utterances without words are
    assigned as a whole; without times they stay as they are. No word is lost or moved.
    """
    table = _Spans(spans, near_s)
    found: list[Utterance] = []
    before: str | None = None
    for utterance in utterances:
        for piece in _assign(utterance, table, before):
            found.append(piece)
            before = piece.speaker or before
    return tuple(found)


class _Spans:
    """Spans as arrays, to be asked who is heard between two times."""

    def __init__(self, spans: Sequence[SpeakerSpan], near_s: float) -> None:
        ordered = sorted(spans, key=lambda span: (span.start_s, span.end_s))
        self._starts = np.array([span.start_s for span in ordered])
        self._ends = np.array([span.end_s for span in ordered])
        # the furthest that anything up to here reaches: where to begin looking
        self._reach = np.maximum.accumulate(self._ends) if ordered else self._ends
        self._speakers = [span.speaker for span in ordered]
        self._near_s = near_s

    def find(self, start_s: float, end_s: float, before: str | None) -> str | None:
        """Who is heard most; `before` where that is as much as anybody."""
        if end_s - start_s < _POINT_S:
            start_s, end_s = start_s - _POINT_S / 2, start_s + _POINT_S / 2
        first = int(np.searchsorted(self._reach, start_s - self._near_s))
        last = int(np.searchsorted(self._starts, end_s + self._near_s, side="right"))
        if first >= last:
            return None
        starts, ends = self._starts[first:last], self._ends[first:last]
        heard: dict[str, float] = {}
        for place, seconds in enumerate(np.minimum(ends, end_s) - np.maximum(starts, start_s)):
            if seconds > 0:
                name = self._speakers[first + place]
                heard[name] = heard.get(name, 0.0) + float(seconds)
        if heard:
            most = max(heard.values())
            if before in heard and heard[before] > most - 1e-6:
                return before
            return max(heard, key=heard.__getitem__)
        return self._nearest(np.maximum(starts - end_s, start_s - ends), first)

    def _nearest(self, distances: NDArray[np.float64], first: int) -> str | None:
        nearest = int(distances.argmin())
        return self._speakers[first + nearest] if distances[nearest] <= self._near_s else None


def _assign(utterance: Utterance, table: _Spans, before: str | None) -> Iterator[Utterance]:
    if not utterance.words:
        yield _assign_whole(utterance, table, before)
        return
    words: list[Word] = []
    for word in utterance.words:
        speaker = table.find(word.start_s, word.end_s, before)
        words.append(msgspec.structs.replace(word, speaker=speaker))
        before = speaker or before
    words = _join_blanks(words)
    groups = [list(group) for _, group in groupby(words, key=lambda word: word.speaker)]
    if len(groups) == 1:
        yield msgspec.structs.replace(utterance, speaker=words[0].speaker, words=tuple(words))
        return
    for group, text in zip(groups, _texts(utterance, groups), strict=True):
        yield Utterance(
            text=text,
            start_s=group[0].start_s,
            end_s=max(group[0].start_s, group[-1].end_s),
            speaker=group[0].speaker,
            words=tuple(group),
        )


def _join_blanks(words: Sequence[Word]) -> list[Word]:
    """Words without a text go with the word before, else after: nobody's turn is an empty text."""
    said = [word.speaker for word in words if word.text.strip()]
    speaker = said[0] if said else words[0].speaker
    joined = []
    for word in words:
        if word.text.strip():
            speaker = word.speaker
        joined.append(msgspec.structs.replace(word, speaker=speaker))
    return joined


def _assign_whole(utterance: Utterance, table: _Spans, before: str | None) -> Utterance:
    if utterance.start_s is None:
        return utterance
    end_s = utterance.end_s if utterance.end_s is not None else utterance.start_s
    speaker = table.find(utterance.start_s, end_s, before)
    return msgspec.structs.replace(utterance, speaker=speaker)


def _texts(utterance: Utterance, groups: Sequence[Sequence[Word]]) -> list[str]:
    """The text of each group: the utterance's own where its words can be told apart in it."""
    said = [word.text.strip() for word in utterance.words]
    parts = utterance.text.split()
    separator = " "
    if len(parts) != len(said):
        # some languages have no spaces; some transcripts write words otherwise than their text
        separator = "" if "".join(parts) == "".join(said) and len(parts) < len(said) else " "
        parts = said
    texts, at = [], 0
    for group in groups:
        texts.append(separator.join(parts[at : at + len(group)]).strip())
        at += len(group)
    return texts
