"""Split text into sentences and say whether one is whole."""

import re
import unicodedata

import sentencex

_ENDING = re.compile(r"[.!?…。！？؟।][\"'”’»)\]]*$")
_JOINERS = "\u200c\u200d"
_UNSPOKEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
_TRAILING_DOTS = re.compile(r"(?:\.\.\.|…)[\"'”’»)\]]*$")


def split_sentences(text: str, language: str = "en") -> list[str]:
    """Split into sentences with single blanks inside; empty text has none."""
    if not text.strip():
        return []
    found = sentencex.segment(language.partition("-")[0], text)
    return [tidy for sentence in found if (tidy := " ".join(sentence.split()))]


def is_whole(sentence: str) -> bool:
    """Whether it ends as a sentence does, rather than breaking off."""
    return bool(_ENDING.search(sentence)) and not _TRAILING_DOTS.search(sentence)


def keep_whole(text: str, language: str = "en") -> str:
    """Cut back to the end of the last whole sentence; empty where there is none."""
    sentences = split_sentences(text, language)
    while sentences and not is_whole(sentences[-1]):
        sentences.pop()
    return " ".join(sentences)


def capitalise(text: str) -> str:
    """Begin with a capital letter; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def clean_line(text: str) -> str:
    """One line without control or invisible characters, single blanks; joiners of scripts stay."""
    kept = (
        char if char in _JOINERS or unicodedata.category(char) not in _UNSPOKEN else " "
        for char in text
    )
    return " ".join("".join(kept).split())


def join_words(words: list[str] | tuple[str, ...]) -> str:
    """Say a list: "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
