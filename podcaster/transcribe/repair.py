"""What Whisper makes up, found and taken out: judging a window's decoding, and repetition loops.

Whisper's known failure is to say one phrase again and again until its window is full ("and then we
and then we and then we …"). The thresholds are openai-whisper's. A loop is told from what people do
say ("no, no, no", "very very") by how often the phrase comes and by how fast its words follow.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from podcaster.model import Word
from podcaster.transcribe.engine import SAMPLE_RATE_HZ

MOST_COMPRESSION = 2.4  # text of zlib's ratio above this repeats itself
LEAST_LOGPROB = -1.0  # a token's natural log-probability, mean over the window
MOST_NO_SPEECH = 0.6
LONGEST_PHRASE = 8  # words
_WINDOW_S = 30
# copies in a row that make a loop, by words in the phrase; longer ones need the last number
_COPIES = (8, 6, 5, 4)
# the same, where the words come at a pace at which nobody speaks
_COPIES_AT_NO_PACE = (6, 4, 4, 4)
_FASTEST, _SLOWEST = 8.0, 0.5  # words a second
_SHORTEST_S = 0.02  # of a word, by Whisper's clock
_NO_LETTER = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Loop:
    """A phrase said again and again: `words[start:end]`, of which the first `period` are kept."""

    start: int
    period: int
    end: int


@dataclass(frozen=True)
class Decoding:
    """What a window of up to 30 s was decoded to, with Whisper's own figures of its quality."""

    words: tuple[Word, ...]
    compression_ratio: float
    avg_logprob: float
    no_speech_prob: float
    loops: tuple[Loop, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "loops", tuple(find_loops(self.words)))

    @property
    def repeats(self) -> bool:
        """Whether the text repeats itself."""
        return self.compression_ratio > MOST_COMPRESSION or bool(self.loops)

    @property
    def silent(self) -> bool:
        """Whether Whisper says that nobody speaks: openai-whisper's rule."""
        return self.no_speech_prob > MOST_NO_SPEECH and self.avg_logprob <= LEAST_LOGPROB

    @property
    def failed(self) -> bool:
        """Whether it ought to be tried again."""
        return self.repeats or self.avg_logprob < LEAST_LOGPROB

    @property
    def made_up(self) -> bool:
        """Whether to drop it: there is no speech, and the words are a loop or improbable."""
        return self.silent or (self.repeats and self.no_speech_prob > MOST_NO_SPEECH)


def find_windows(parts: Sequence[dict[str, int]]) -> dict[int, list[dict[str, int]]]:
    """The speech parts of each window, by its `seek`: hundredths of a second of speech before it.

    As faster-whisper's `collect_chunks` fills windows, whose own list of parts is not whole.
    """
    windows: dict[int, list[dict[str, int]]] = {}
    held: list[dict[str, int]] = []
    before = length = 0
    for part in parts:
        size = part["end"] - part["start"]
        if held and length + size > _WINDOW_S * SAMPLE_RATE_HZ:
            before, length, held = before + length, 0, []
        held.append(part)
        length += size
        windows[int(before / SAMPLE_RATE_HZ * 100)] = held
    return windows


def gather_windows(segments: Iterable[Any], first_time_token: int) -> Iterator[list[Any]]:
    """The segments of each window, as they come.

    There is one, unless a model says times though it was told not to: then the next window must
    begin before it is known that there are no more.
    """
    held: list[Any] = []
    for segment in segments:
        if held and segment.seek != held[0].seek:
            yield held
            held = []
        held.append(segment)
        if all(token < first_time_token for token in segment.tokens):
            yield held
            held = []
    if held:
        yield held


def choose_decoding(decodings: Iterable[Decoding]) -> Decoding:
    """The best of at least one: what does not repeat itself, then what is most probable.

    The first of equals; it is the choice that Whisper's own fallback makes.
    """
    return max(decodings, key=lambda decoding: (not decoding.repeats, decoding.avg_logprob))


def find_loops(words: Sequence[Word]) -> Iterator[Loop]:
    """Loops in words in the order of time; they do not overlap.

    Case and punctuation do not matter. A copy that the end of the words cuts short is part of its
    loop; before other words it is not, as it may begin what is said next.
    """
    texts = [_NO_LETTER.sub("", word.text.casefold()) or word.text for word in words]
    start = 0
    while start < len(words):
        loop = _find_loop_at(start, texts, words)
        if loop is not None:
            yield loop
        start = start + 1 if loop is None else loop.end


def cut_loops(words: Sequence[Word], loops: Iterable[Loop]) -> tuple[Word, ...]:
    """The words with one occurrence of each loop's phrase: the first, whose times are the best."""
    kept: list[Word] = []
    after = 0
    for loop in loops:
        kept += words[after : loop.start + loop.period]
        after = loop.end
    return (*kept, *words[after:])


def _find_loop_at(start: int, texts: Sequence[str], words: Sequence[Word]) -> Loop | None:
    for period in range(1, min(LONGEST_PHRASE, len(texts) - start) + 1):
        end = start + period
        while end < len(texts) and texts[end] == texts[end - period]:
            end += 1
        copies = (end - start) // period
        span_s = max(words[end - 1].end_s - words[start].start_s, _SHORTEST_S)
        spoken = _SLOWEST <= (end - start) / span_s <= _FASTEST
        needed = (_COPIES if spoken else _COPIES_AT_NO_PACE)[min(period, len(_COPIES)) - 1]
        if copies >= needed:
            return Loop(start, period, end if end == len(texts) else start + copies * period)
    return None
