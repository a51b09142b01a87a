"""Which of several candidates is the best turn: on topic, likely, of the right length, clean."""

import math
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from podcaster.builtin.keywords import COMMON_IDF, idf
from podcaster.units import split_words
from podcaster.write.checks import Inspected
from podcaster.write.exchange import content_words, stem

TOPIC_WEIGHT = 1.2
QUESTION_WEIGHT = 2.0
LOGPROB_WEIGHT = 0.5
NEWS_WEIGHT = 1.0  # for each new content word, by the root of the length
LENGTH_WEIGHT = 1.5
FINDING_COST = 0.7
STRANGER_COST = 0.5
NO_QUESTION_COST = 2.0
GUEST_ASKS_COST = 0.6
SHOP_TALK_COST = 0.5  # for a word about the podcast itself
QUOTATION_COST = 0.8  # whom a small model quotes, nobody knows
ECHO_COST = 0.3  # for each time that a turn says a word again that is no everyday word
PAIR_COST = 5.0  # for a turn all of whose pairs of words were in it before
INVENTED_COST = 0.5  # for a word that hardly anybody says: a small model makes words up
FILLER_COST = 0.4  # for each phrase with which people win time
ENOUGH_TOPIC_NATS = 9.0  # of rare words in common; more is no better

_MID_SENTENCE_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-zA-Z]+")

_FILLERS = re.compile(
    r"\b(?:i don't know|you know|i mean|kind of|sort of|or something|and stuff|things? like that|"
    r"a lot of things?|(?:it's|was|were|is|are) like)\b"
)
_SHOP_TALK = re.compile(r"\b(?:podcasts?|podcasters?|shows?|episodes?|listeners|conferences?)\b")


@dataclass(frozen=True)
class Wish:
    """What the next turn should be like.

    `keywords` are the chapter's, `question` is the turn to be answered, `known` are words that may
    stand with a capital: names in the conversation and in the topics; `said` are the content words
    of all turns before (see `exchange`). `invents`: the model is one that makes words up.
    """

    words: int
    asks: bool = False
    keywords: tuple[str, ...] = ()
    question: str = ""
    known: frozenset[str] = frozenset()
    said: Set[str] = frozenset()
    invents: bool = False


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
    value += NEWS_WEIGHT * _count_news(turn.text, wish) / math.sqrt(len(words))
    value -= LENGTH_WEIGHT * abs(math.log(len(words) / max(1, wish.words)))
    value -= FINDING_COST * len(turn.findings)
    value -= _repetition_cost(words)
    value -= _manner_cost(turn.text, words, wish)
    if not wish.asks and "?" in turn.text:
        value -= GUEST_ASKS_COST
    if wish.asks and not turn.text.endswith("?"):
        value -= NO_QUESTION_COST / (2 if "?" in turn.text else 1)
    return value


def _count_news(text: str, wish: Wish) -> int:
    """How many content words a turn adds to the conversation."""
    return len(set(content_words(text)) - wish.said)


def _repetition_cost(words: Sequence[str]) -> float:
    """What it costs that a turn says its own words again, and its pairs of words."""
    pairs = list(pairwise(words))
    again = (len(pairs) - len(set(pairs))) / max(1, len(pairs))
    marked = [stem(word) for word in words if is_marked(word)]
    return PAIR_COST * again + ECHO_COST * (len(marked) - len(set(marked)))


def _manner_cost(text: str, words: Sequence[str], wish: Wish) -> float:
    """What strangers, talk about the podcast, fillers, quotations and made-up words cost."""
    strangers = {
        name for name in _MID_SENTENCE_NAME.findall(text) if name.lower() not in wish.known
    }
    cost = STRANGER_COST * len(strangers)
    cost += SHOP_TALK_COST * len(set(_SHOP_TALK.findall(text.lower())) - wish.known)
    cost += FILLER_COST * len(_FILLERS.findall(text.lower()))
    if '"' in text:
        cost += QUOTATION_COST
    if wish.invents and (odd := [stem(word) for word in words if is_unknown(word)]):
        heard = {stem(w) for w in (*wish.known, *wish.keywords, *split_words(wish.question))}
        cost += INVENTED_COST * sum(word not in heard for word in odd)
    return cost


@lru_cache(maxsize=8192)
def is_marked(word: str) -> bool:
    """Whether a word is no everyday word, and yet one that people say."""
    return COMMON_IDF < idf(word) < idf("")


@lru_cache(maxsize=8192)
def is_unknown(word: str) -> bool:
    """Whether a word is so rare in conversation that the table does not hold it."""
    return idf(word) >= idf("")


def overlap(words: Sequence[str], wanted: Sequence[str]) -> float:
    """How much of what is wanted is there, from 0 to 1: rare words count for more."""
    rarities = _rarities(tuple(wanted))
    # in order: a set's order, and with it the last bit of the sum, differs between processes
    rarity = sum(rarities.get(word, 0.0) for word in dict.fromkeys(map(stem, words)))
    return min(1.0, rarity / ENOUGH_TOPIC_NATS)


@lru_cache(maxsize=256)
def _rarities(wanted: tuple[str, ...]) -> dict[str, float]:
    words = {stem(word) for phrase in wanted for word in split_words(phrase)}
    return {word: max(0.0, idf(word) - COMMON_IDF) for word in words}
