"""Checks across turns: a turn that says nothing new, mirrors, agrees emptily or answers nothing.

Each finds one fault of a turn in its conversation, and repairs it by leaving sentences out; where
nothing is left, the turn is not used. What a turn says is measured by its content words: those that
are no everyday words, by the table of rarities.
"""

import re
from collections.abc import Callable, Sequence, Set
from typing import Protocol

from podcaster.builtin.keywords import COMMON_IDF, idf
from podcaster.units import count_words, split_words
from podcaster.write.sentences import split_sentences

MIRRORED_SHARE = 0.75  # of a sentence's content words that stand in the turn before
FEWEST_TO_MIRROR = 3  # content words; fewer may be said again
NEW_SHARE = 0.25  # of a turn's content words that nobody has said yet, at least
STANDING_SHARE = 0.35  # … in the mean of the last turns; less, and the talk stands still
STANDING_TURNS = 3
SHORTEST_ANSWER_WORDS = 5
SHORTEST_LETTERS = 3

_ASSISTANT = re.compile(
    r"\b(?:as an? (?:ai|artificial|language|virtual|digital)|language models?|"
    r"i(?:'m| am) (?:just )?an? (?:ai\b|assistant|chatbot|computer program|machine)|"
    r"(?:how|what) (?:can|may) i (?:help|assist)|(?:here|happy|glad) to (?:help|assist)|"
    r"feel free to|let me know if|thanks? (?:you )?for sharing|hugging ?face|smollm|"
    r"if you have any (?:other |more )?questions)\b",
    re.IGNORECASE,
)
_VERY = r"(?:so |very |absolutely |exactly |quite |completely |totally |fully |a (?:really )?)?"
_AGREES = re.compile(
    r"^(?:(?:oh|well|yes|yeah|yep|no|ah|so|and|i think)[,. ]+)*(?:"
    rf"you(?:'re| are) {_VERY}(?:right|welcome)|"
    rf"i (?:couldn't )?{_VERY}agree(?: with (?:you|that)| more)?|"
    rf"that(?:'s| is) {_VERY}(?:true|right|correct|it|great|cool|amazing|awesome|interesting|"
    r"(?:good|great|interesting) (?:question|point)|great way to put it)|"
    r"absolutely|exactly|definitely|totally|of course|sure|indeed|right|okay|great(?: question)?|"
    r"good (?:question|point)|yes|yeah|no|true|wow"
    r")(?:,? (?:too|indeed|really|for sure|absolutely|exactly|definitely))*[.!,]*$",
    re.IGNORECASE,
)
_REFUSES = re.compile(
    r"^(?:i(?:'m| am) (?:sorry|afraid)|sorry|no idea|"
    r"i (?:do not|don't|can't|cannot) (?:know|say|tell|answer|remember|think so|have an answer))\b",
    re.IGNORECASE,
)
_WHICH_OR_WHAT = re.compile(r"\b(?:what|how|why|where|who|which|tell|describe|explain)\b", re.I)


class Exchange(Protocol):
    """What these checks must know beside the turn's text; see `checks.TurnContext`."""

    @property
    def role(self) -> str:
        """Who speaks."""

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody's names."""

    @property
    def own_name(self) -> str:
        """The speaker's."""

    @property
    def previous(self) -> str:
        """The turn before."""

    @property
    def known(self) -> Set[str]:
        """The content words of all turns so far."""

    @property
    def language(self) -> str:
        """Of the conversation."""

    @property
    def edge(self) -> bool:
        """Whether people greet or say goodbye."""


def content_words(text: str) -> list[str]:
    """The words of a text that are no everyday words, in order, as `stem` has them."""
    return [
        stem(word)
        for word in split_words(text)
        if len(word) >= SHORTEST_LETTERS and word[0].isalpha() and idf(word) > COMMON_IDF
    ]


def stem(word: str) -> str:
    """One form for singular and plural, owner and what is owned."""
    word = word.removesuffix("'s")
    return word.removesuffix("s") if len(word) > SHORTEST_LETTERS else word


def share_new(text: str, known: Set[str]) -> float:
    """How many of a turn's content words nobody has said yet, from 0 to 1; 0 where it has none."""
    words = set(content_words(text))
    return len(words - known) / len(words) if words else 0.0


# -- who speaks ------------------------------------------------------------------------------------


def find_assistant_talk(text: str, context: Exchange) -> str | None:
    """What an assistant says to its user, and nobody in a conversation."""
    match = _ASSISTANT.search(text)
    return match.group() if match else None


def drop_assistant_talk(text: str, context: Exchange) -> str:
    """Leave such sentences out."""
    return _keep(text, context, lambda s: not _ASSISTANT.search(s))


def find_speaks_of_self(text: str, context: Exchange) -> str | None:
    """A guest who speaks of himself by name, as an encyclopaedia does."""
    if context.role != "guest" or context.edge:
        return None
    return context.own_name if _names_self(text, context) else None


def drop_speaks_of_self(text: str, context: Exchange) -> str:
    """Leave such sentences out."""
    return _keep(text, context, lambda s: not _names_self(s, context))


def _names_self(text: str, context: Exchange) -> bool:
    parts = context.own_name.split()
    spelled = {context.own_name, *(parts[-1:] if len(parts) > 1 else ())}
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in spelled if name)


# -- what a turn adds ------------------------------------------------------------------------------


def find_agrees_emptily(text: str, context: Exchange) -> str | None:
    """A turn that begins with "You're right.", or another sentence that only agrees."""
    if context.edge or not context.language.startswith("en"):
        return None
    first = next(iter(split_sentences(text, context.language)), "")
    return first if context.role == "guest" and _AGREES.match(first) else None


def drop_agreement(text: str, context: Exchange) -> str:
    """Leave the agreeing sentences at the beginning out."""
    sentences = split_sentences(text, context.language)
    while sentences and _AGREES.match(sentences[0]):
        del sentences[0]
    return " ".join(sentences)


def find_mirrors(text: str, context: Exchange) -> str | None:
    """A sentence made of the words of the turn before."""
    if context.edge:
        return None
    heard = set(content_words(context.previous))
    sentences = split_sentences(text, context.language)
    return next((s[:60] for s in sentences if _mirrors(s, heard)), None)


def drop_mirrored(text: str, context: Exchange) -> str:
    """Leave such sentences out."""
    heard = set(content_words(context.previous))
    return _keep(text, context, lambda s: not _mirrors(s, heard))


def _mirrors(sentence: str, heard: Set[str]) -> bool:
    words = set(content_words(sentence))
    return len(words) >= FEWEST_TO_MIRROR and len(words & heard) >= MIRRORED_SHARE * len(words)


def find_nothing_new(text: str, context: Exchange) -> str | None:
    """A turn nearly all of whose content words were said before, or that has none at all."""
    if context.edge or not context.known or (context.role == "host" and "?" in text):
        return None
    return text[:60] if share_new(text, context.known) < NEW_SHARE else None


def drop_nothing_new(text: str, context: Exchange) -> str:
    """Leave the sentences out in which nothing is new; nothing where too little would be left."""
    kept = _keep(text, context, lambda s: share_new(s, context.known) > 0)
    return kept if share_new(kept, context.known) >= NEW_SHARE else ""


# -- answers ---------------------------------------------------------------------------------------


def find_no_answer(text: str, context: Exchange) -> str | None:
    """What does not answer: a question back, a refusal, or next to nothing."""
    if context.role != "guest" or context.edge or "?" not in context.previous:
        return None
    sentences = split_sentences(text, context.language)
    if sentences and all(sentence.endswith("?") for sentence in sentences):
        return "a question back"
    if context.language.startswith("en") and sentences and _REFUSES.match(sentences[0]):
        return sentences[0][:60]
    asked = context.previous.rpartition(".")[2]
    short = count_words(text) < SHORTEST_ANSWER_WORDS
    return text if short and _WHICH_OR_WHAT.search(asked) else None


def keep_answer(text: str, context: Exchange) -> str:
    """Leave the refusal out where more is said than that."""
    sentences = split_sentences(text, context.language)
    while sentences and _REFUSES.match(sentences[0]):
        del sentences[0]
    left = " ".join(sentences)
    return left if left != text and count_words(left) >= 2 * SHORTEST_ANSWER_WORDS else ""


def stands_still(shares: Sequence[float]) -> bool:
    """Whether the last turns (`share_new` of each) bring so little that the subject must change."""
    last = shares[-STANDING_TURNS:]
    return len(last) == STANDING_TURNS and sum(last) / len(last) < STANDING_SHARE


def _keep(text: str, context: Exchange, good: Callable[[str], bool]) -> str:
    return " ".join(s for s in split_sentences(text, context.language) if good(s))
