"""Which words one body of talk says more than another, as far as chance allows to tell.

Log-odds with an informative Dirichlet prior: Monroe, Colaresi, Quinn: "Fightin' Words", 2008.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from podcaster.model import Noun
from podcaster.units import split_words

PRIOR_WORDS = 1000.0  # how many words of both together stand for what is known before
EVIDENT = 1.96  # standard errors: one in twenty would be further out by chance
MOST_KEPT = 200_000  # different words or pairs; the rarest go, so that memory is bounded


class Marked(Noun, frozen=True):
    """A word or pair of words, how often it is said in 1,000 words here and there, and how sure.

    `z` is the difference of its log-odds in standard errors; positive: said more here.
    """

    words: str
    here_per_1000: float
    there_per_1000: float
    z: float


class Wording(NamedTuple):
    """How often which words and pairs of neighbours are said; pairs do not cross turns."""

    single: Counter[str]
    pairs: Counter[str]


def count_wording(texts: Iterable[str]) -> Wording:
    """Count the words and pairs of turns."""
    wording = Wording(Counter(), Counter())
    for text in texts:
        words = split_words(text)
        wording.single.update(words)
        wording.pairs.update(f"{a} {b}" for a, b in pairwise(words))
        for counts in wording:
            if len(counts) > MOST_KEPT:
                _drop_rarest(counts)
    return wording


def find_marked(here: Wording, there: Wording, count: int) -> tuple[Marked, ...]:
    """The `count` (or fewer) words and pairs that are evidently said more here, surest first.

    A word is left out where a pair that holds it is surer.
    """
    found = [
        *_weigh(here.single, there.single),
        *_weigh(here.pairs, there.pairs),
    ]
    evident = sorted((one for one in found if one.z >= EVIDENT), key=lambda m: (-m.z, m.words))
    chosen: list[Marked] = []
    for one in evident:
        if len(chosen) == count:
            break
        if not any(set(one.words.split()) & set(other.words.split()) for other in chosen):
            chosen.append(one)
    return tuple(chosen)


def _weigh(here: Mapping[str, int], there: Mapping[str, int]) -> list[Marked]:
    """Every word that is said twice or more here, with its z."""
    here_total, there_total = sum(here.values()), sum(there.values())
    if not here_total or not there_total:
        return []
    prior = PRIOR_WORDS / (here_total + there_total)
    weighed = []
    for word, times in here.items():
        if times < 2:
            continue
        elsewhere = there.get(word, 0)
        before = prior * (times + elsewhere)
        odds_here = (times + before) / (here_total + PRIOR_WORDS - times - before)
        odds_there = (elsewhere + before) / (there_total + PRIOR_WORDS - elsewhere - before)
        if odds_here <= 0 or odds_there <= 0:
            continue  # hardly anything else is said
        spread = math.sqrt(1 / (times + before) + 1 / (elsewhere + before))
        weighed.append(
            Marked(
                words=word,
                here_per_1000=round(1000 * times / here_total, 2),
                there_per_1000=round(1000 * elsewhere / there_total, 2),
                z=round((math.log(odds_here) - math.log(odds_there)) / spread, 2),
            )
        )
    return weighed


def _drop_rarest(counts: Counter[str]) -> None:
    for word in [word for word, times in counts.items() if times == 1]:
        del counts[word]
