"""How long a conversation will be when it is spoken, and how to make it as long as wished."""

from collections.abc import Sequence
from itertools import combinations
from typing import Protocol

from podcaster.write.sentences import split_sentences

TOLERANCE = 0.02  # of the wished length, by our own estimate; the voices add their own error


class Pace(Protocol):
    """How fast the voices of an episode speak, and what is between and around the turns."""

    @property
    def gap_s(self) -> float:
        """Mean silence between two turns."""

    def turn_s(self, speaker_id: str, text: str) -> float:
        """How long a turn will last, in seconds: a quick estimate, asked for every candidate."""

    def said_s(self, speaker_id: str, text: str) -> float:
        """How long a turn lasts that was accepted: as exactly as can be had."""

    def overhead_s(self, chapters: int) -> float:
        """What music, the longer silences before chapters and the edges add in all."""


class Clock:
    """Counts the seconds of the turns written so far."""

    def __init__(self, pace: Pace, target_s: float) -> None:
        self._pace = pace
        self.target_s = target_s
        self._known: dict[tuple[str, str], float] = {}
        self.spoken_s = 0.0

    @property
    def gap_s(self) -> float:
        """Mean silence between two turns."""
        return self._pace.gap_s

    def turn_s(self, speaker_id: str, text: str) -> float:
        """Length of a turn and the silence after it."""
        key = (speaker_id, text)
        if key not in self._known:
            if len(self._known) > 4096:
                self._known.clear()
            self._known[key] = self._pace.turn_s(speaker_id, text) + self._pace.gap_s
        return self._known[key]

    def add(self, speaker_id: str, text: str) -> None:
        """Count a turn."""
        length_s = self._pace.said_s(speaker_id, text) + self._pace.gap_s
        self._known[(speaker_id, text)] = length_s
        self.spoken_s += length_s

    def replace(self, speaker_id: str, old: str, text: str) -> None:
        """Count `text` in the place of a turn that was counted as `old`."""
        self.spoken_s -= self._pace.said_s(speaker_id, old) + self._pace.gap_s
        self.add(speaker_id, text)

    def overhead_s(self, chapters: int) -> float:
        """What is added around the turns."""
        return self._pace.overhead_s(chapters)

    def words_in(self, seconds: float, speaker_id: str) -> int:
        """How many words this speaker says in that time."""
        sample = "and that is where we came to see what it takes to make a thing like this work"
        per_word_s = self._pace.turn_s(speaker_id, sample) / len(sample.split())
        return max(1, int(seconds / max(per_word_s, 0.01)))


def choose_parts(lengths_s: Sequence[float], wished_s: float) -> tuple[int, ...]:
    """Which parts (indices, ascending) together come closest to `wished_s`; fewer where equal.

    All subsets are tried: meant for a dozen parts.
    """
    best: tuple[int, ...] = ()
    best_error = abs(wished_s)
    for size in range(1, len(lengths_s) + 1):
        for chosen in combinations(range(len(lengths_s)), size):
            error = abs(sum(lengths_s[i] for i in chosen) - wished_s)
            if error < best_error - 1e-9:
                best, best_error = chosen, error
    return best


def shorten(clock: Clock, speaker_id: str, text: str, longest_s: float, language: str) -> str:
    """Drop sentences from the end until the turn fits; empty where not even one does."""
    sentences = split_sentences(text, language)
    while sentences and clock.turn_s(speaker_id, " ".join(sentences)) > longest_s:
        sentences.pop()
    return " ".join(sentences)
