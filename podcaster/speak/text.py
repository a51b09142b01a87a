"""Text for the ear: sentences split, and numbers, money, dates, abbreviations, names spelled out.

What is written and what is spoken are both kept: captions show the one, engines get the other.
English is spelled out in full (`english.py`); in other languages the numbers are, through
num2words, and the rest is left to the engine, which knows the language better.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import num2words
import sentencex

from podcaster.errors import InputError
from podcaster.speak.english import spell_english
from podcaster.speak.english_numbers import LONGEST_NUMBER_DIGITS, is_year

LONGEST_TURN_CHARACTERS = 20_000
# a run of letters that no language has as a word; engines choke on more
LONGEST_WORD_CHARACTERS = 80
# nobody listens to a longer address, and patterns run in time that grows with it
LONGEST_ADDRESS_CHARACTERS = 200

_PUNCTUATION = str.maketrans(
    {
        "’": "'",
        "‘": "'",
        "‚": "'",
        "“": '"',
        "”": '"',
        "„": '"',
        "«": '"',
        "»": '"',
        "‐": "-",
        "‑": "-",
        "−": "-",
        "…": "...",
        "\u00a0": " ",
        "\u202f": " ",
        "\u2009": " ",
    }
)
_TALKING = re.compile(r"[^\W_]")
_DASH = re.compile(r"\s*—\s*|\s+[–-]{1,3}\s+|(?<=\w)-{2,3}(?=\w)")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,80}>")
_MARKUP = re.compile(r"\[\[|\]\]|[*_`~^|\\<>{}\[\]]+")
# languages that write 1.234,5
_COMMA_DECIMALS = re.compile(
    "(?:af|az|be|bg|bs|ca|cs|da|de|el|eo|es|et|eu|fi|fr|hr|hu|hy|id|is|it|ka|kk|lt|lv|mk|nb|nl|nn"
    "|no|pl|pt|ro|ru|sk|sl|sq|sr|sv|tr|uk|uz|vi)"
)


@dataclass(frozen=True)
class Sentence:
    """One sentence as it is written (captions) and as it is spoken (engines).

    `spoken` is empty where nothing in it can be said, for example a lone emoji.
    """

    written: str
    spoken: str


def split_sentences(text: str, language: str) -> tuple[str, ...]:
    """Split written text into sentences; white space around them goes, nothing else does.

    Raises InputError for a text longer than LONGEST_TURN_CHARACTERS.
    """
    if len(text) > LONGEST_TURN_CHARACTERS:
        raise InputError(
            f"A turn of the script is {len(text):,} characters long, "
            f"expected at most {LONGEST_TURN_CHARACTERS:,}: it begins {text[:40]!r}.",
            next_step="Split it into several turns.",
        )
    flat = " ".join(clean(text, keep_symbols=True).split())
    found = (part.strip() for part in sentencex.segment(language.partition("-")[0], flat))
    return tuple(part for part in found if part)


@lru_cache(maxsize=4096)
def prepare(text: str, language: str) -> tuple[Sentence, ...]:
    """Split a turn into sentences and spell each for speech. Raises InputError."""
    return tuple(
        Sentence(written=written, spoken=normalise(written, language))
        for written in split_sentences(text, language)
    )


def normalise(text: str, language: str) -> str:
    """Spell `text` as it is said: words only, plain punctuation; empty where nothing is left.

    Nothing that an engine could take for an instruction is left of markup.
    """
    text = " ".join(word[:LONGEST_ADDRESS_CHARACTERS] for word in clean(text).split())
    text = _TAG.sub(" ", text)
    if language.partition("-")[0] == "en":
        text = spell_english(text)
    else:
        text = _spell_numbers(text, language)
    text = _DASH.sub(", ", _MARKUP.sub(" ", text))
    text = re.sub(r"\.{2,}(?=\s+\S)", ",", re.sub(r"\.{2,}\s*$", ".", text))
    text = re.sub(r"\s+([,.;:!?])", r"\1", text)
    text = re.sub(r",(?:\s*,)+", ",", text)
    text = re.sub(r",\s*([.;:!?])", r"\1", text)
    text = " ".join(_shorten(word) for word in text.split())
    text = text.lstrip(",.;:!? -")
    return text if _TALKING.search(text) else ""


def clean(text: str, *, keep_symbols: bool = False) -> str:
    """Drop what cannot be said and may harm: controls, direction marks, private use, emoji.

    `keep_symbols` keeps emoji and other symbols, for captions.
    """
    text = unicodedata.normalize("NFC", text).translate(_PUNCTUATION if not keep_symbols else {})
    kept = []
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp", "Zs"):
            kept.append(" ")
        elif category[0] == "C":
            # joiners shape the letters of Persian and Indic words and the parts of an emoji
            if character in "\u200c\u200d":
                kept.append(character)
        elif category == "Nd" and not keep_symbols:
            # the digits of any script; every engine knows these
            kept.append(str(unicodedata.decimal(character)))
        elif keep_symbols or not _is_symbol(character, category):
            kept.append(character)
    return "".join(kept)


def _is_symbol(character: str, category: str) -> bool:
    if category == "So":
        return character not in "°№"
    # what makes keycaps of digits, and the skin tones
    return character in "\u20e3\ufe0e\ufe0f" or "\U0001f3fb" <= character <= "\U0001f3ff"


def _shorten(word: str) -> str:
    return word if len(word) <= LONGEST_WORD_CHARACTERS else word[:LONGEST_WORD_CHARACTERS]


def _spell_numbers(text: str, language: str) -> str:
    """Spell the numbers of a text that is not English; left as they are where nobody knows how."""
    tongue = language.partition("-")[0]
    by_comma = _COMMA_DECIMALS.fullmatch(tongue) is not None
    grouping, point = (r"[. ']", ",") if by_comma else (r"[, ']", ".")
    number = re.compile(
        rf"(?<![\w.,])\d{{1,3}}(?:{grouping}\d{{3}})+(?:\{point}\d+)?(?![\w])"
        rf"|(?<![\w.,:/-])\d+(?:\{point}\d+)?(?![\w:/-])"
    )

    def spell(match: re.Match[str]) -> str:
        whole, _, fraction = match.group().partition(point)
        digits = re.sub(r"\D", "", whole)
        if len(digits) + len(fraction) > LONGEST_NUMBER_DIGITS:
            return " ".join(digits + fraction)
        if tongue == "de" and not fraction and match.group() == digits and is_year(digits):
            return _spell_number(int(digits), language, to="year") or digits
        value = float(f"{digits}.{fraction}") if fraction else int(digits)
        return _spell_number(value, language) or match.group()

    return number.sub(spell, text)


@lru_cache(maxsize=4096)
def _spell_number(value: float, language: str, to: str = "cardinal") -> str | None:
    for name in (language.replace("-", "_"), language.partition("-")[0]):
        try:
            return str(num2words.num2words(value, lang=name, to=to))
        except (NotImplementedError, OverflowError, KeyError, ValueError, IndexError, TypeError):
            continue
    return None
