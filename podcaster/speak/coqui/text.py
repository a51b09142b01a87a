"""Text for XTTS: which languages it speaks, and where a sentence is cut that is too long for it.

XTTS speaks some 17 s at a time; past its limit of characters it garbles or leaves out the end.
"""

import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from podcaster.errors import VoiceError

# the most characters that XTTS speaks well at a time (the table of its own tokenizer)
CHARACTER_LIMITS = {
    "ar": 166, "cs": 186, "de": 253, "en": 250, "es": 239, "fr": 273, "hi": 150, "hu": 224,
    "it": 213, "ja": 71, "ko": 95, "nl": 251, "pl": 224, "pt": 203, "ru": 182, "tr": 226,
    "zh": 82,
}  # fmt: skip
LANGUAGE_NAMES = {
    "ar": "Arabic", "cs": "Czech", "de": "German", "en": "English", "es": "Spanish",
    "fr": "French", "hi": "Hindi", "hu": "Hungarian", "it": "Italian", "ja": "Japanese",
    "ko": "Korean", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ru": "Russian",
    "tr": "Turkish", "zh": "Chinese",
}  # fmt: skip
# a text of the limit's length lasts about this long at the pace below, whatever the language
LIMIT_S = 17.5
LIMIT_WPM = 150.0
_UNSPACED = frozenset({"ja", "zh"})

_ENDS = ".!?;:,。！？；：，、؟؛،।…"
# what may stand behind a mark without ending its clause's hold on it
_CLOSING = "\"')]}」』）”’"
_STRONG = re.compile(r"[;:.!?；：。！？؛؟।]['\")\]」』）]*(?:\s+|(?<=[；：。！？])(?=\S))")
_CLAUSE = re.compile(r"[,，、،]['\")\]」』）]*(?:\s+|(?<=[，、])(?=\S))")
_SPACE = re.compile(r"\s+")
# of an ideal place, how far a cut may lie at a mark rather than nearer without one
_SLACK = 0.45


@dataclass(frozen=True)
class Piece:
    """What XTTS is given at a time: a sentence, or a part of one, with the sentence's number."""

    text: str
    sentence: int


def check_language(language: str) -> str:
    """XTTS's code for a language such as `en-GB`. Raises VoiceError for one it does not speak."""
    code = language.lower().partition("-")[0]
    if code in CHARACTER_LIMITS:
        return code
    known = ", ".join(f"{LANGUAGE_NAMES[one]} ({one})" for one in sorted(CHARACTER_LIMITS))
    raise VoiceError(
        f"XTTS does not speak {language[:40]!r}; it speaks {known}.",
        next_step="Choose a voice of another engine: `podcaster voice list`.",
    )


def cut_sentences(sentences: tuple[str, ...], language: str) -> tuple[Piece, ...]:
    """Cut sentences into what XTTS speaks at a time: each of them whole, or in parts.

    No piece holds parts of two sentences, so that the end of each is known exactly.
    """
    limit = CHARACTER_LIMITS[language]
    return tuple(
        Piece(part, index)
        for index, sentence in enumerate(sentences)
        for part in cut_sentence(polish(sentence), limit, spaced=language not in _UNSPACED)
    )


def cut_sentence(sentence: str, limit: int, *, spaced: bool = True) -> tuple[str, ...]:
    """Cut a sentence into parts of about the same length, none longer than `limit` characters.

    At a strong mark if there is one near the ideal place, at a comma, at a space; never within a
    word. Where a language has no spaces (`spaced` false), between two characters at worst, rather
    at the beginning of a word in Chinese characters or katakana.
    """
    parts: list[str] = []
    rest = sentence.strip()
    while len(rest) > limit:
        count = math.ceil(len(rest) / limit)
        end = _find_cut(rest, len(rest) / count, limit, spaced)
        if end is None:
            break
        parts.append(rest[:end].strip())
        rest = rest[end:].strip()
    parts.append(rest)
    return tuple(part for part in parts if part)


def polish(text: str) -> str:
    """Leave out the quotation marks, over which XTTS stumbles, and end it with a mark.

    A text that ends in `?"`, or in nothing, is the likeliest to get a tail that nobody wrote.
    """
    text = " ".join(text.replace('"', " ").split())
    text = re.sub(r"\s+([,.;:!?])", r"\1", text).rstrip(_CLOSING + " ")
    return text if not text or text[-1] in _ENDS else f"{text}."


def expected_s(text: str, language: str, words_per_minute: float) -> float:
    """How long a text lasts, about: the limits are so many characters because they last as long."""
    return LIMIT_S * len(text) / CHARACTER_LIMITS[language] * LIMIT_WPM / words_per_minute


def _find_cut(text: str, ideal: float, limit: int, spaced: bool) -> int | None:
    """Where the next part ends: the best border that leaves it within the limit."""

    def nearest(places: Iterator[int], slack: float) -> int | None:
        fit = [p for p in places if 0 < p <= limit + 1 and len(text[:p].strip()) <= limit]
        close = [place for place in fit if abs(place - ideal) <= slack * ideal]
        return min(close, key=lambda place: abs(place - ideal), default=None)

    for pattern in (_STRONG, _CLAUSE):
        found = nearest((match.end() for match in pattern.finditer(text)), _SLACK)
        if found:
            return found
    found = nearest((match.end() for match in _SPACE.finditer(text)), 1.0)
    if found or spaced:
        # nothing near: the last space that there is, however short the part
        return found or max(
            (m.end() for m in _SPACE.finditer(text) if m.start() <= limit), default=None
        )
    return nearest(_word_starts(text), _SLACK) or limit


def _word_starts(text: str) -> Iterator[int]:
    """Where, in Japanese, a word likely begins: other writing after hiragana."""
    kinds = [_writing(character) for character in text]
    for index in range(1, len(text)):
        if kinds[index - 1] == "HIRAGANA" and kinds[index] != "HIRAGANA":
            yield index


def _writing(character: str) -> str:
    return unicodedata.name(character, "?").partition(" ")[0]
