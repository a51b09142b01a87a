"""What a header says of a stretch of talk: its topics, and titles cut to a bearable length."""

from collections.abc import Sequence

from podcaster.builtin.keywords import keywords as find_keywords
from podcaster.units import split_words

KEYWORDS = 6


def find_topics(text: str, names: Sequence[str], language: str) -> tuple[str, ...]:
    """What marks a stretch of talk, without the speakers' names; nothing where it is not English.

    For the words' rarities are counted in English conversations.
    """
    if not language.startswith("en"):
        return ()
    parts = {word for name in names for word in split_words(name)}
    found = find_keywords(text, KEYWORDS + len(parts))
    return tuple(word for word in found if word not in parts)[:KEYWORDS]


def shorten(text: str, longest: int) -> str:
    """A text of at most so many characters, cut between words."""
    text = text.rstrip(". ")
    return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0] + "..."
