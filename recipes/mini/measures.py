"""What generated conversations are measured by: topic following and variety."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from podcaster.units import split_words

RESAMPLES = 4000
INTERVAL = 0.90


@dataclass(frozen=True, kw_only=True)
class TopicFollowing:
    """Shares of keywords that come up, and how many times oftener when asked for.

    `low` and `high` bound the ratio: a 90% interval by bootstrap over the outlines.
    """

    outlines: int
    conversations: int
    asked: float
    not_asked: float
    ratio: float
    low: float
    high: float


def stem(word: str) -> str:
    """A word without the ending of a possessive or a plural: `query's`, `queries` → `query`."""
    word = word.lower().replace("’", "'").removesuffix("'s").removesuffix("'").removesuffix("s")
    return f"{word[:-2]}y" if word.endswith("ie") else word


def stems_of(text: str) -> set[str]:
    """The stems of all words of a text."""
    return {stem(word) for word in split_words(text)}


def measure_topics(
    outlines: Sequence[Sequence[str]],
    asked_for: Sequence[int],
    texts: Sequence[str],
    *,
    unasked: Sequence[str] | None = None,
    seed: int = 0,
) -> TopicFollowing:
    """Count the keywords of each outline where they were asked for and where they were not.

    `texts[i]` was generated for `outlines[asked_for[i]]`. A keyword comes up where a word of the
    text has its stem. Not asked for: in the texts of every other outline that does not hold the
    keyword (so, the mean over all ways to exchange outlines), or in `unasked` where that is given.
    """
    said = [stems_of(text) for text in texts]
    free = None if unasked is None else [stems_of(text) for text in unasked]
    wanted = [{stem(word) for word in outline} for outline in outlines]
    asked = np.zeros(len(outlines))
    other = np.zeros(len(outlines))
    for number, keywords in enumerate(wanted):
        own = [s for s, a in zip(said, asked_for, strict=True) if a == number]
        hits: list[float] = []
        chance: list[float] = []
        for word in sorted(keywords):
            rest = free or [
                s for s, a in zip(said, asked_for, strict=True) if word not in wanted[a]
            ]
            hits.append(_share(word, own))
            chance.append(_share(word, rest))
        asked[number], other[number] = np.mean(hits), np.mean(chance)
    low, high = bootstrap_ratio(asked, other, seed=seed)
    return TopicFollowing(
        outlines=len(outlines),
        conversations=len(texts),
        asked=float(asked.mean()),
        not_asked=float(other.mean()),
        ratio=_divide(float(asked.mean()), float(other.mean())),
        low=low,
        high=high,
    )


def bootstrap_ratio(
    above: npt.NDArray[np.float64], below: npt.NDArray[np.float64], *, seed: int
) -> tuple[float, float]:
    """The interval of `above.mean() / below.mean()` over resampled pairs (Efron's percentiles)."""
    picks = np.random.default_rng(seed).integers(0, len(above), (RESAMPLES, len(above)))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.nan_to_num(above[picks].sum(1) / below[picks].sum(1), nan=0.0, posinf=np.inf)
    tail = (1 - INTERVAL) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail], method="nearest")
    return float(low), float(high)


def distinct_n(turns: Iterable[str], *, n: int = 2, words: int = 10_000) -> tuple[float, int]:
    """The share of different ones among the runs of `n` words, and of how many words.

    It falls with length, so only the first `words` words count. Runs do not cross turns.
    """
    grams: list[tuple[str, ...]] = []
    left = words
    for turn in turns:
        spoken = split_words(turn)[:left]
        left -= len(spoken)
        grams += zip(*(spoken[offset:] for offset in range(n)), strict=False)
    return (len(set(grams)) / len(grams) if grams else 0.0), words - left


def _share(word: str, texts: Sequence[set[str]]) -> float:
    return sum(word in text for text in texts) / len(texts) if texts else 0.0


def _divide(above: float, below: float) -> float:
    return above / below if below else (float("inf") if above else 0.0)
