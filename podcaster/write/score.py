"""Which of several candidates is the best turn: on topic, likely, of the right length, clean."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from podcaster.builtin.keywords import COMMON_IDF, idf
from podcaster.units import split_words
from podcaster.write.checks import Inspected

TOPIC_WEIGHT = 1.2
QUESTION_WEIGHT = 1.0
LOGPROB_WEIGHT = 0.5
LENGTH_WEIGHT = 1.5
FINDING_COST = 0.35
STRANGER_COST = 0.5
NO_QUESTION_COST = 2.0
GUEST_ASKS_COST = 0.6
SHOP_TALK_COST = 0.5  # for a word about the podcast itself
QUOTATION_COST = 0.3  # whom a small model quotes, nobody knows
MONOTONY_COST = 3.0
VARIED_SHARE = 0.7  # of a turn's words that should be different ones
ENOUGH_TOPIC_NATS = 9.0  # of rare words in common; more is no better

_MID_SENTENCE_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-zA-Z]+")

_SHOP_TALK = re.compile(r"\b(?:podcasts?|podcasters?|shows?|episodes?|listeners|conferences?)\b")


@dataclass(frozen=True)
class Wish:
    """What the next turn should be like.

    `keywords` are the chapter's, `question` is the turn to be answered, `known` are words that may
    stand with a capital: names in the conversation and in the topics.
    """

    words: int
    asks: bool = False
    keywords: tuple[str, ...] = ()
    question: str = ""
    known: frozenset[str] = frozenset()


def score(turn: Inspected, mean_logprob: float, wish: Wish) -> float:
    """How good a candidate is; -inf for one that cannot be used.

    The topic counts by the rarity of the words in common (idf, in nats), the length by its ratio
    to the wish on a logarithmic scale.
    """
    if not turn.usable:
        return -math.inf
    words = split_words(turn.text)
    if not words:
        return -math.inf
    value = TOPIC_WEIGHT * overlap(words, wish.keywords)
    value += QUESTION_WEIGHT * overlap(words, split_words(wish.question))
    value += LOGPROB_WEIGHT * mean_logprob
    value -= LENGTH_WEIGHT * abs(math.log(len(words) / max(1, wish.words)))
    value -= FINDING_COST * len(turn.findings)
    strangers = {
        name for name in _MID_SENTENCE_NAME.findall(turn.text) if name.lower() not in wish.known
    }
    value -= STRANGER_COST * len(strangers)
    value -= SHOP_TALK_COST * len(set(_SHOP_TALK.findall(turn.text.lower())) - wish.known)
    value -= MONOTONY_COST * max(0.0, VARIED_SHARE - len(set(words)) / len(words))
    if '"' in turn.text:
        value -= QUOTATION_COST
    if not wish.asks and "?" in turn.text:
        value -= GUEST_ASKS_COST
    if wish.asks and not turn.text.endswith("?"):
        value -= NO_QUESTION_COST / (2 if "?" in turn.text else 1)
    return value


def overlap(words: Sequence[str], wanted: Sequence[str]) -> float:
    """How much of what is wanted is there, from 0 to 1: rare words count for more."""
    rarities = _rarities(tuple(wanted))
    rarity = sum(rarities.get(word, 0.0) for word in {_stem(word) for word in words})
    return min(1.0, rarity / ENOUGH_TOPIC_NATS)


@lru_cache(maxsize=256)
def _rarities(wanted: tuple[str, ...]) -> dict[str, float]:
    words = {_stem(word) for phrase in wanted for word in split_words(phrase)}
    return {word: max(0.0, idf(word) - COMMON_IDF) for word in words}


@lru_cache(maxsize=8192)  # the same words come again and again
def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    return word.removesuffix("s") if len(word) > 3 else word
