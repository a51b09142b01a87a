"""How people talk, in numbers: long or short turns, questions, fillers, words; and how far apart.

Fillers and function words are English; in other languages those measures come out empty and are
left out of the distance. Words are lower-cased, as `units.split_words` finds them.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from podcaster.model import Noun, Role
from podcaster.units import split_words

FILLERS = (
    "you know", "i mean", "sort of", "kind of", "um", "uh", "like", "right", "so", "well",
    "actually", "basically", "okay", "yeah", "oh", "literally", "obviously", "honestly", "just",
    "really", "anyway", "totally", "exactly", "absolutely",
)  # fmt: skip
_SPELLINGS = {"ok": "okay", "yep": "yeah", "yup": "yeah", "umm": "um", "uhm": "um", "uhh": "uh"}
FUNCTION_WORDS = frozenset(
    """
    the a an and but or nor if then than because while of to in on at by for with from into about
    over after before between through as that this these those which who whom whose what when where
    why how i me my mine you your yours he him his she her hers it its we us our ours they them
    their theirs is am are was were be been being have has had do does did will would can could
    should may might must not no yes there here some any all more most much many very too also only
    up down out off again ever never don't it's that's i'm you're we're they're there's i've i'd
    can't didn't doesn't won't gonna
    """.split()  # noqa: SIM905 - a list of words is easier to read so
)
STANDARD_WORDS = 200  # of a stretch in which different words are counted, so that sizes compare
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*\s+")
_ENDS_ASKING = re.compile(r"\?[\"'”’)\]]*\s*$")


class Said(NamedTuple):
    """A turn: whose side it is on, and what is said."""

    role: Role
    text: str


class Lengths(Noun, frozen=True):
    """How long things are, in words."""

    count: int
    mean: float
    median: float
    p90: float


class Profile(Noun, frozen=True):
    """How people talk in a number of turns.

    `turn_words` has `all` and each role that speaks. `asking_turns` is the share of turns with a
    question, `host_ends_asking` the share of the host's that end in one (None: no host). `variety`
    is the mean share of different words in stretches of `STANDARD_WORDS` words, None where there
    are fewer. `fillers` are times in 1,000 words, `function_words` shares of all words.
    """

    turns: int
    words: int
    turn_words: dict[str, Lengths]
    sentence_words: Lengths
    asking_turns: float
    host_ends_asking: float | None
    variety: float | None
    fillers: dict[str, float]
    function_words: dict[str, float]

    @property
    def fillers_per_1000(self) -> float:
        """All fillers in 1,000 words."""
        return sum(self.fillers.values())


class Distance(Noun, frozen=True):
    """How far two profiles are apart: each part from 0 (alike) to 1, and their mean.

    Lengths, questions and variety: |a - b| / max(a, b). Fillers and function words: the
    Jensen-Shannon distance (Lin, 1991; its root is a metric) of how all words divide among them
    and the rest. None where neither side can be measured.
    """

    mean: float
    turn_words: float | None
    sentence_words: float | None
    asking_turns: float | None
    variety: float | None
    fillers: float | None
    function_words: float | None


def measure_profile(turns: Iterable[Said]) -> Profile:
    """Measure turns; those without words do not count."""
    by_role: dict[str, list[int]] = {}
    sentences: list[int] = []
    asking = host_turns = host_asking = 0
    fillers: Counter[str] = Counter()
    function_words: Counter[str] = Counter()
    variety = _Variety()
    for turn in turns:
        words = split_words(turn.text)
        if not words:
            continue
        by_role.setdefault(turn.role, []).append(len(words))
        sentences += _sentence_lengths(turn.text)
        asking += "?" in turn.text
        if turn.role == "host":
            host_turns += 1
            host_asking += bool(_ENDS_ASKING.search(turn.text))
        fillers.update(find_fillers(words))
        function_words.update(word for word in words if word in FUNCTION_WORDS)
        variety.add(words)
    lengths = [length for one in by_role.values() for length in one]
    total = max(1, sum(lengths))
    return Profile(
        turns=len(lengths),
        words=sum(lengths),
        turn_words={"all": _describe(lengths), **{r: _describe(by_role[r]) for r in by_role}},
        sentence_words=_describe(sentences),
        asking_turns=round(asking / max(1, len(lengths)), 4),
        host_ends_asking=round(host_asking / host_turns, 4) if host_turns else None,
        variety=variety.mean(),
        fillers={word: round(1000 * n / total, 3) for word, n in fillers.most_common()},
        function_words={w: round(n / total, 6) for w, n in sorted(function_words.items())},
    )


def find_fillers(words: Sequence[str]) -> list[str]:
    """The fillers among words, in order; of `you know` neither word counts again."""
    found: list[str] = []
    place = 0
    while place < len(words):
        pair = " ".join(words[place : place + 2])
        if pair in _FILLERS and " " in pair:
            found.append(pair)
            place += 2
            continue
        word = _SPELLINGS.get(words[place], words[place])
        if word in _FILLERS:
            found.append(word)
        place += 1
    return found


def measure_distance(one: Profile, other: Profile) -> Distance:
    """How far two profiles are apart; symmetric, and 0 for the same."""
    parts = {
        "turn_words": _relative(one.turn_words["all"].mean, other.turn_words["all"].mean),
        "sentence_words": _relative(one.sentence_words.mean, other.sentence_words.mean),
        "asking_turns": _relative(one.asking_turns, other.asking_turns),
        "variety": _relative(one.variety, other.variety),
        "fillers": _diverge(
            {word: n / 1000 for word, n in one.fillers.items()},
            {word: n / 1000 for word, n in other.fillers.items()},
        ),
        "function_words": _diverge(one.function_words, other.function_words),
    }
    known = [part for part in parts.values() if part is not None]
    return Distance(mean=round(sum(known) / len(known), 4) if known else 0.0, **parts)


def jensen_shannon(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The Jensen-Shannon divergence of two distributions, in bits: from 0 to 1."""
    divergence = 0.0
    for key in one.keys() | other.keys():
        p, q = one.get(key, 0.0), other.get(key, 0.0)
        # against twice the middle, for half of the smallest number is nothing
        divergence += sum(0.5 * x * (1 + math.log2(x / (p + q))) for x in (p, q) if x > 0)
    return min(1.0, max(0.0, divergence))


_FILLERS = frozenset(FILLERS)


class _Variety:
    """Different words in one stretch of `STANDARD_WORDS` after the other, over all turns."""

    def __init__(self) -> None:
        self._stretch: list[str] = []
        self._sum = 0.0
        self._stretches = 0

    def add(self, words: Sequence[str]) -> None:
        self._stretch += words
        while len(self._stretch) >= STANDARD_WORDS:
            self._sum += len(set(self._stretch[:STANDARD_WORDS])) / STANDARD_WORDS
            self._stretches += 1
            del self._stretch[:STANDARD_WORDS]

    def mean(self) -> float | None:
        return round(self._sum / self._stretches, 4) if self._stretches else None


def _sentence_lengths(text: str) -> list[int]:
    counts = (len(split_words(part)) for part in _SENTENCE_END.split(text))
    return [count for count in counts if count]


def _describe(lengths: Sequence[int]) -> Lengths:
    ordered = sorted(lengths)
    if not ordered:
        return Lengths(count=0, mean=0.0, median=0.0, p90=0.0)
    return Lengths(
        count=len(ordered),
        mean=round(sum(ordered) / len(ordered), 2),
        median=_quantile(ordered, 0.5),
        p90=_quantile(ordered, 0.9),
    )


def _quantile(ordered: Sequence[int], share: float) -> float:
    """Between the two nearest, in proportion."""
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return round(ordered[low] + (place - low) * (ordered[high] - ordered[low]), 2)


def _relative(one: float | None, other: float | None) -> float | None:
    if one is None or other is None or max(one, other) <= 0:
        return None
    return round(abs(one - other) / max(one, other), 4)


def _diverge(one: Mapping[str, float], other: Mapping[str, float]) -> float | None:
    if not one and not other:
        return None
    whole = [{**part, "": max(0.0, 1 - sum(part.values()))} for part in (one, other)]
    return round(math.sqrt(jensen_shannon(*whole)), 4)
