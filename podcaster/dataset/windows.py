"""Cut a conversation into windows: whole exchanges, each window beginning with the host.

An exchange is what the host says and everything until the host speaks again after somebody else.
One that is longer than a window is cut at ends of sentences, and what led to it, the end of the
host's last turn, is repeated at the start of the windows that go on with it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from podcaster.dataset.clean import SpokenTurn, split_sentences
from podcaster.model import Role

SMALLEST_ROOM = 32
REPEATED_SHARE = 4  # at most one part in so many of a window is repeated
JOINT_TOKENS = 1  # what joining two sentences may cost

Count = Callable[[Sequence[str]], list[int]]


class Piece(NamedTuple):
    """A turn or a part of it; `turn` counts the conversation's. `repeated`: said before."""

    turn: int
    speaker: str
    text: str
    repeated: bool = False


Window = tuple[Piece, ...]


@dataclass(frozen=True)
class Measure:
    """How long texts are: `count` says their tokens, `overheads` what each turn of one adds."""

    count: Count
    overheads: Mapping[str, int]

    def turns(self, turns: Sequence[SpokenTurn]) -> list[int]:
        """Tokens of whole turns."""
        counts = self.count([turn.text for turn in turns])
        return [n + self.overheads[t.speaker] for n, t in zip(counts, turns, strict=True)]


def cut_windows(
    turns: Sequence[SpokenTurn],
    sides: Mapping[str, Role] | None,
    measure: Measure,
    room: int,
    costs: Sequence[int] = (),
) -> list[Window]:
    """Cut `turns` into windows of about `room` tokens at most; what precedes the host is left out.

    All turns from the host's first on are in the windows, whole and in order, beside what is
    repeated. Without `sides` a window may begin with any turn, and nothing is repeated. `costs`
    are what `measure` says of the turns, if it is known. `room` is at least `SMALLEST_ROOM`.
    """
    if room < SMALLEST_ROOM:
        raise ValueError(f"a window needs room for {SMALLEST_ROOM} tokens, got {room}")
    costs = costs or measure.turns(turns)
    cutter = _Cutter(turns, sides, measure, room)
    for first, stop in _find_exchanges(turns, sides):
        if sum(costs[first:stop]) <= room:
            cutter.add_whole(range(first, stop), sum(costs[first:stop]))
        else:
            cutter.add_in_parts(range(first, stop))
    cutter.close()
    return cutter.windows


def _find_exchanges(
    turns: Sequence[SpokenTurn], sides: Mapping[str, Role] | None
) -> Iterator[tuple[int, int]]:
    if sides is None:
        yield from ((number, number + 1) for number in range(len(turns)))
        return
    starts = [
        number
        for number, turn in enumerate(turns)
        if sides[turn.speaker] == "host"
        and (number == 0 or sides[turns[number - 1].speaker] != "host")
    ]
    yield from zip(starts, [*starts[1:], len(turns)], strict=False)


@dataclass
class _Cutter:
    """Fills windows one after the other."""

    turns: Sequence[SpokenTurn]
    sides: Mapping[str, Role] | None
    measure: Measure
    room: int
    windows: list[Window] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    used: int = 0
    prompt: str = ""  # the end of what the host said last
    prompter: str = ""

    def close(self) -> None:
        """End the window; the next begins empty."""
        if self.pieces:
            self.windows.append(tuple(self.pieces))
        self.pieces, self.used = [], 0

    def add_whole(self, numbers: range, cost: int) -> None:
        """Add an exchange that fits a window."""
        if self.used + cost > self.room:
            self.close()
        self.pieces += [Piece(n, self.turns[n].speaker, self.turns[n].text) for n in numbers]
        self.used += cost

    def add_in_parts(self, numbers: range) -> None:
        """Add an exchange that is longer than a window, from a new window on."""
        self.close()
        for number in numbers:
            turn = self.turns[number]
            fresh = True
            units = self._split(turn)
            costs = self.measure.count(units)
            for unit, count in zip(units, costs, strict=True):
                cost = count + JOINT_TOKENS
                overhead = self.measure.overheads[turn.speaker]
                if self.pieces and self.used + cost + (overhead if fresh else 0) > self.room:
                    self.close()
                    self._repeat_prompt(turn)
                    fresh = True
                if fresh:
                    self.pieces.append(Piece(number, turn.speaker, unit))
                    cost += overhead
                else:
                    last = self.pieces.pop()
                    self.pieces.append(last._replace(text=f"{last.text} {unit}"))
                self.used += cost
                fresh = False
            if self._hosts(turn):
                self.prompter, self.prompt = turn.speaker, self._end_of(units, costs)

    def _repeat_prompt(self, turn: SpokenTurn) -> None:
        if self._hosts(turn) or not self.prompt:
            return
        self.pieces.append(Piece(-1, self.prompter, self.prompt, repeated=True))
        self.used += self.measure.count([self.prompt])[0] + self.measure.overheads[self.prompter]

    def _hosts(self, turn: SpokenTurn) -> bool:
        return self.sides is not None and self.sides[turn.speaker] == "host"

    def _split(self, turn: SpokenTurn) -> list[str]:
        """The turn's sentences, and parts of those that would fill a good part of a window."""
        sentences = split_sentences(turn.text)
        most = self.room // REPEATED_SHARE - JOINT_TOKENS
        units: list[str] = []
        for sentence, count in zip(sentences, self.measure.count(sentences), strict=True):
            units += [sentence] if count <= most else self._split_hard(sentence, most)
        return units

    def _split_hard(self, text: str, most: int) -> list[str]:
        """Halve a text without ends of sentences, between words if it has any, until it fits."""
        if len(text) < 2 or self.measure.count([text])[0] <= most:
            return [text]
        words = text.split(" ")
        if len(words) > 1:
            halves = [" ".join(words[: len(words) // 2]), " ".join(words[len(words) // 2 :])]
        else:
            halves = [text[: len(text) // 2], text[len(text) // 2 :]]
        return [part for half in halves if half for part in self._split_hard(half, most)]

    def _end_of(self, units: Sequence[str], costs: Sequence[int]) -> str:
        left = self.room // REPEATED_SHARE
        kept: list[str] = []
        for unit, cost in zip(reversed(units), reversed(costs), strict=True):
            left -= cost + JOINT_TOKENS
            if left < 0 and kept:
                break
            kept.insert(0, unit)
        return " ".join(kept)
