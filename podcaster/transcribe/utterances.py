"""Utterances out of words: sentences, and what lies between pauses.

A transcriber hears windows of up to 30 s; nobody reads those. A word here is what stands between
two spaces, as `text.split()` has it, so that everything downstream can count on
`" ".join(words) == text`; in languages without spaces it is what the transcriber takes for one.
"""

import re
from collections.abc import Iterable, Iterator

from podcaster.model import Utterance, Word

PAUSE_S = 0.8  # a silence this long ends an utterance
LANGUAGES_WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})

_ENDS = re.compile(r"[.!?…。！？]+[\"'”’)\]」』]*$")
_ABBREVIATIONS = frozenset(
    {"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs.", "e.g.", "i.e.", "no.", "sen.", "gov."}
)


def primary_language(language: str) -> str:
    """The first part of a language tag: `en` of `en-GB`."""
    return language.partition("-")[0].lower()


def join_words(words: Iterable[Word], language: str) -> str:
    """The text that words make."""
    separator = "" if primary_language(language) in LANGUAGES_WITHOUT_SPACES else " "
    return separator.join(word.text for word in words)


def gather_utterances(words: Iterable[Word], language: str) -> Iterator[Utterance]:
    """Utterances of words in order; one ends with its sentence, or where a pause follows."""
    held: list[Word] = []
    for word in words:
        if held and (ends_sentence(held[-1].text) or word.start_s - held[-1].end_s >= PAUSE_S):
            yield make_utterance(held, language)
            held = []
        held.append(word)
    if held:
        yield make_utterance(held, language)


def make_utterance(words: list[Word], language: str) -> Utterance:
    """One utterance of words; there is at least one."""
    return Utterance(
        text=join_words(words, language),
        start_s=words[0].start_s,
        end_s=words[-1].end_s,
        words=tuple(words),
    )


def ends_sentence(word: str) -> bool:
    """Whether a word carries the mark that ends a sentence."""
    return bool(_ENDS.search(word)) and word.lower() not in _ABBREVIATIONS


def in_order(words: Iterable[Word], duration_s: float, after_s: float = 0.0) -> Iterator[Word]:
    """Words whose times never run backwards and stay between `after_s` and `duration_s`.

    Where they were so already, nothing changes.
    """
    floor = min(after_s, duration_s)
    for word in words:
        start_s = min(max(word.start_s, floor), duration_s)
        end_s = min(max(word.end_s, start_s), duration_s)
        floor = end_s
        if (start_s, end_s) == (word.start_s, word.end_s):
            yield word
        else:
            yield Word(
                text=word.text,
                start_s=start_s,
                end_s=end_s,
                speaker=word.speaker,
                probability=word.probability,
            )
