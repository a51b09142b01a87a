"""How long a speaker pauses between two sentences of one turn."""

import random

# seconds at the reference pace, after the punctuation that ends a sentence
_PAUSES_S = {".": 0.38, "!": 0.35, "?": 0.42, ":": 0.28, ";": 0.28, ",": 0.20, "-": 0.24}
_OTHER_S = 0.32
_SPREAD = 0.24
_REFERENCE_WPM = 165.0


def mean_pause_s(sentence: str, pace_wpm: float) -> float:
    """The mean pause after a sentence; who speaks faster pauses less."""
    return _PAUSES_S.get(sentence.rstrip("\"')")[-1:], _OTHER_S) * _REFERENCE_WPM / pace_wpm


def draw_pause_s(sentence: str, pace_wpm: float, rng: random.Random) -> float:
    """Draw one pause around the mean, log-normal as pauses are; never none, never a gap."""
    factor = rng.lognormvariate(-(_SPREAD**2) / 2, _SPREAD)
    return mean_pause_s(sentence, pace_wpm) * min(1.9, max(0.55, factor))
