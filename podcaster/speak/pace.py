"""How long a turn will take, told from how its text is pronounced, without speaking it.

eSpeak NG spells the text in phonemes, which is quick and knows the language; each class of
phonemes takes its time, and a voice enters through its measured words per minute alone. The
weights were fitted by least squares on seven hundred turns of real conversation (about four
hours), spoken by each of the built-in voices; docs/voices.md says how well they hold.
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache

from podcaster.model import Voice
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.pauses import mean_pause_s
from podcaster.speak.text import prepare

# the voice for which the weights are seconds, and what eSpeak calls its pace
_REFERENCE_WPM = 166.5
_REFERENCE_PACE_WPM = 148.5

_VOWEL = "aeiouyɑɐɒæɔəɘɚɛɜɝɞɤɨɪɯɵøœɶʉʊʌʏᵻ"
_CLASSES: tuple[tuple[re.Pattern[str], float], ...] = tuple(
    (re.compile(pattern), seconds)
    for pattern, seconds in (
        (f"[{_VOWEL}]", 0.043),
        ("ː", 0.0193),
        (f"ˈ[{_VOWEL}]", 0.0808),
        (f"ˌ[{_VOWEL}]", 0.0237),
        ("[pbtdkɡgcɟqʈɖɓɗ]", 0.0701),
        ("[fvθðszʃʒɸβçʝxɣχʁħʕɕʑʂʐ]", 0.0722),
        ("[mnŋlɹwjɲɴɱrɫʎɥʀɭɻ]", 0.0612),
        ("[hɦɾʔ]", 0.0649),
        (" ", 0.0397),
    )
)
_CLAUSE_S, _SENTENCE_S = 0.3299, 0.1061
_WEIGHTS_S = (*(seconds for _, seconds in _CLASSES), _CLAUSE_S, _SENTENCE_S)
# what is left over in other languages, measured with eSpeak NG; English is 1
_LANGUAGE_FACTORS = {
    "ar": 1.195,
    "es": 0.93,
    "fr": 0.95,
    "hi": 1.04,
    "it": 0.98,
    "ja": 1.17,
    "pl": 1.09,
    "ru": 0.805,
}
# what stage.py makes of a turn in which nothing can be said
_BEAT_S = 0.3


def estimate_s(text: str, voice: Voice, language: str) -> float:
    """Predict how long the clip of a turn will be, in seconds.

    Raises InputError for a turn too long to be spoken, VoiceError for a language unknown here.
    """
    return _reference_s(text, language) * _REFERENCE_WPM / voice.words_per_minute


@lru_cache(maxsize=4096)
def _reference_s(text: str, language: str) -> float:
    sentences = [sentence.spoken for sentence in prepare(text, language) if sentence.spoken]
    if not sentences:
        return _BEAT_S
    phonemes = _speller().spell_phonemes(sentences, language=language)
    pauses_s = sum(mean_pause_s(sentence, _REFERENCE_PACE_WPM) for sentence in sentences[:-1])
    speech_s = sum(
        seconds * count for seconds, count in zip(_WEIGHTS_S, count_classes(phonemes), strict=True)
    )
    tongue = language.partition("-")[0].lower()
    return (speech_s + pauses_s) * _LANGUAGE_FACTORS.get(tongue, 1.0)


def count_classes(phonemes: Iterable[Sequence[str]]) -> tuple[int, ...]:
    """Count what takes time in sentences of clauses: each class, joins of clauses, sentences."""
    sentences = [clauses for clauses in phonemes if clauses]
    # words are counted by the spaces that follow them
    text = "".join(f"{clause} " for clauses in sentences for clause in clauses)
    joins = sum(len(clauses) - 1 for clauses in sentences)
    return (*(len(pattern.findall(text)) for pattern, _ in _CLASSES), joins, len(sentences))


@cache
def _speller() -> EspeakVoicer:
    # open for as long as the process lives: estimates are asked for turn by turn
    return EspeakVoicer()
