"""How varied a text is, and how much each turn adds to those before it."""

from collections.abc import Sequence

from bench.talks.conversation import Conversation
from podcaster.talk.profile import FUNCTION_WORDS
from podcaster.units import split_words

WINDOW_WORDS = 50
REPEATED_WORDS = 4  # a run of so many that an earlier turn has is a phrase said again
STALE_SHARE = 0.25  # of a turn's content words; fewer new ones, and it says nothing new
FEWEST_CONTENT_WORDS = 3  # of a turn of which a share is taken


def measure_wording(talk: Conversation) -> dict[str, float]:
    """The measures of one conversation: `distinct_2`, `mattr`, `new_words`, `stale`, `said_before`.

    `new_words` is the mean share of a turn's content words that no turn before it has, `stale` the
    share of turns where it is under STALE_SHARE, `said_before` the share of runs of REPEATED_WORDS
    words that an earlier turn has.
    """
    texts = [turn.text for turn in talk.turns]
    news = [share for share in share_new_words(texts) if share is not None]
    return {
        "distinct_2": share_distinct(texts, 2),
        "mattr": mattr([word for text in texts for word in split_words(text)]),
        "new_words": sum(news) / max(1, len(news)),
        "stale": sum(share < STALE_SHARE for share in news) / max(1, len(news)),
        "said_before": share_said_before(texts),
    }


def share_distinct(texts: Sequence[str], n: int) -> float:
    """Of all runs of `n` words inside a text, how large a share is different ones."""
    grams = [gram for text in texts for gram in _grams(split_words(text), n)]
    return len(set(grams)) / max(1, len(grams))


def mattr(words: Sequence[str], window: int = WINDOW_WORDS) -> float:
    """The moving-average type-token ratio (Covington and McFall, 2010)."""
    if len(words) <= window:
        return len(set(words)) / max(1, len(words))
    shares = [len(set(words[i : i + window])) / window for i in range(len(words) - window + 1)]
    return sum(shares) / len(shares)


def share_new_words(texts: Sequence[str]) -> list[float | None]:
    """Of each turn's different content words, the share in no turn before; None of too few."""
    known: set[str] = set()
    shares: list[float | None] = []
    for text in texts:
        words = content_words(text)
        enough = len(words) >= FEWEST_CONTENT_WORDS
        shares.append(len(words - known) / len(words) if enough else None)
        known |= words
    return shares


def share_said_before(texts: Sequence[str]) -> float:
    """Of all runs of REPEATED_WORDS words, the share that an earlier text has."""
    seen: set[tuple[str, ...]] = set()
    again = total = 0
    for text in texts:
        grams = _grams(split_words(text), REPEATED_WORDS)
        again += sum(gram in seen for gram in grams)
        total += len(grams)
        seen.update(grams)
    return again / max(1, total)


def content_words(text: str) -> set[str]:
    """The different words that are no function words, singular and plural as one."""
    return {stem(word) for word in split_words(text) if word not in FUNCTION_WORDS}


def stem(word: str) -> str:
    """A word without the ending of a plural or possessive."""
    word = word.replace("’", "'").removesuffix("'s")
    return word.removesuffix("s") if len(word) > 3 else word


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
