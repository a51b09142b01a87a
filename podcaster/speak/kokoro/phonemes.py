"""How a text is spelled for Kokoro: eSpeak NG's IPA, respelled in the symbols that it learnt.

The symbols and their numbers are those of the model's published configuration.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from podcaster.errors import VoiceError
from podcaster.speak.espeak import EspeakVoicer

Tokens = NDArray[np.int64]

# in one go, the pads at both ends not counted: the model takes 510, and memory as it takes tokens
MOST_TOKENS = 300
# symbols that are numbered one after the other, by the number of the first; the pad is 0
_RUNS = {
    1: ";:,.!?", 9: "—…\"()“” \u0303ʣʥʦʨᵝ\uab67AI", 31: "O", 33: "Q", 35: "ST", 39: "W",
    41: "Yᵊabcdef", 50: "hijklmnopqrstuvwxyzɑɐɒæ", 75: "βɔɕç", 80: "ɖðʤə", 85: "ɚɛɜ", 90: "ɟ",
    92: "ɡ", 99: "ɥ", 101: "ɨɪʝ", 110: "ɯɰŋɳɲɴø", 118: "ɸθœ", 123: "ɹ", 125: "ɾɻ", 128: "ʁɽʂʃʈʧ",
    135: "ʊʋ", 138: "ʌɣɤ", 142: "χʎ", 147: "ʒʔ", 156: "ˈˌː", 162: "ʰ", 164: "ʲ", 169: "↓",
    171: "→↗↘", 177: "ᵻ",
}  # fmt: skip
SYMBOLS = {symbol: first + i for first, run in _RUNS.items() for i, symbol in enumerate(run)}

# the tongues that Kokoro learnt from eSpeak's phonemes, or from some that these can be turned into
LANGUAGES = ("en", "es", "fr", "hi", "it", "pt-br")
_TONGUES = {"en": "en", "es": "es", "fr": "fr", "hi": "hi", "it": "it", "pt": "pt-br"}
_AMERICAN_ACCENT, _BRITISH_ACCENT = "en-us", "en"  # eSpeak's files of those names

# eSpeak's IPA and how the model's symbols spell it, longest first (misaki's notes on English)
_EVERYWHERE = {"dʒ": "ʤ", "tʃ": "ʧ", "aɪ": "I", "aʊ": "W", "eɪ": "A", "ɔɪ": "Y"}
_ELSEWHERE = {"ts": "ʦ", "dz": "ʣ", "oʊ": "O"}
_ENGLISH = {
    "ʔˌn\u0329": "tᵊn", "ʔn\u0329": "tᵊn", "ʔn": "tᵊn", "ɚɹ": "əɹ", "ɚ": "əɹ", "e": "A", "r": "ɹ",
    "x": "k", "ç": "k", "ɐ": "ə", "ɬ": "l", "ʔ": "t", "ʲ": "", "\u0303": "",
}  # fmt: skip
_AMERICAN = {"oʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ː": "", "ɾ": "T", "o": "ɔ"}
_BRITISH = {"eə": "ɛː", "iə": "ɪə", "əʊ": "Q", "oʊ": "Q", "o": "ɔ"}
_SYLLABIC = re.compile("(\\S)\u0329")
_SYLLABIC_L = re.compile("əl(?![ˈˌ]?[aeiouæɐɑɒɔəɚɛɜɪʊʌᵻɨAIOQWYɹ])")
_OTHER_TONGUE = re.compile(r"\([a-z]{2,3}(?:-[a-z0-9-]+)?\)")  # eSpeak marks a foreign word so
_MARKS = re.compile(r"\s*([,;:.!?…—]+)(?=\s|$)")

# where a text that is too long is cut, the best first
_BORDERS = (re.compile(r"(?<=[.!?…;:—,]) "), re.compile(" "))


def spell(
    speller: EspeakVoicer, sentences: Sequence[str], language: str, *, british: bool = False
) -> tuple[str, ...]:
    """Spell sentences in the model's symbols, punctuation kept: it decides the melody.

    `british` is for English alone. Raises VoiceError for a language that Kokoro does not speak.
    """
    tongue = _TONGUES.get(language.lower().partition("-")[0])
    if tongue is None:
        raise VoiceError(
            f"Kokoro does not speak {language!r} here.",
            next_step=f"Choose one of: {', '.join(LANGUAGES)}; or another engine's voice.",
        )
    british = british and tongue == "en"
    parts = [_MARKS.split(re.sub(r'["()\[\]]', " ", sentence)) for sentence in sentences]
    words = [word for part in parts for word in part[::2]]
    accent = _BRITISH_ACCENT if british else _AMERICAN_ACCENT
    spelled = speller.spell_phonemes(words, language=tongue, accent=accent)
    found = iter(respell(" ".join(clauses), tongue, british=british) for clauses in spelled)
    lines = []
    for part in parts:
        # words and marks take turns
        line = "".join(
            f" {next(found)}" if index % 2 == 0 else text[0] for index, text in enumerate(part)
        )
        lines.append(" ".join(line.split()))
    return tuple(lines)


def respell(ipa: str, tongue: str, *, british: bool = False) -> str:
    """Turn eSpeak's IPA into the symbols that Kokoro learnt."""
    text = _OTHER_TONGUE.sub("", ipa).replace("-", "")
    if tongue != "en":
        return _replace(text, {**_EVERYWHERE, **_ELSEWHERE})
    accent = _BRITISH if british else _AMERICAN
    diphthongs = {old: new for old, new in accent.items() if len(old) > 1}
    letters = {old: new for old, new in accent.items() if len(old) == 1}
    text = _replace(text, {**_EVERYWHERE, **diphthongs})
    text = _SYLLABIC.sub(r"ᵊ\1", _SYLLABIC_L.sub("ᵊl", _replace(text, _ENGLISH)))
    return _replace(text, letters)


def cut(phonemes: str, longest: int = MOST_TOKENS) -> tuple[str, ...]:
    """Cut phonemes into pieces that the model can take, of about the same length.

    A clause's border nearest to the middle is chosen, else a word's; a word alone is cut anywhere.
    """
    phonemes = phonemes.strip()
    if len(phonemes) <= longest:
        return (phonemes,) if phonemes else ()
    middle = len(phonemes) / 2
    for border in _BORDERS:
        places = [match.start() for match in border.finditer(phonemes)]
        # a border near an end would only cut off crumbs
        fit = [place for place in places if abs(place - middle) < middle / 2]
        if fit:
            place = min(fit, key=lambda one: abs(one - middle))
            break
    else:
        place = round(middle)
    return cut(phonemes[:place], longest) + cut(phonemes[place:], longest)


def tokenise(phonemes: str) -> Tokens:
    """Number the symbols, a pad at both ends: `(1, n + 2)`. What the model did not learn goes."""
    numbers = [SYMBOLS[symbol] for symbol in phonemes if symbol in SYMBOLS]
    return np.array([[0, *numbers, 0]], dtype=np.int64)


def _replace(text: str, table: dict[str, str]) -> str:
    for old in sorted(table, key=len, reverse=True):
        text = text.replace(old, table[old])
    return text
