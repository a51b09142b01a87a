"""A transcript's turns: what each label stands before."""

import re
from collections.abc import Sequence
from typing import NamedTuple

AUDIENCE = "Audience"  # whoever asks from a hall
FEWEST_TURNS = 12  # of a conversation

_UNHEARD = re.compile(
    r"[(<*_]{1,4}\s?(?:inaudible|unintelligible|crosstalk)\b[^()<>*_\n]{0,30}[)>*_]{1,4}", re.I
)
_SOUND = re.compile(
    r"\((?i:laugh(?:s|ter|ing)?|applause|ad removed|booing|cheers)\b[^()\n]{0,40}\)"
)


class Turn(NamedTuple):
    """What one label stands before, as the archive writes both."""

    speaker: str
    text: str


def cut_at(text: str, labels: Sequence[re.Match[str]]) -> list[str]:
    """The text after each label, up to the next."""
    ends = [*(label.start() for label in labels[1:]), len(text)]
    return [text[label.end() : end] for label, end in zip(labels, ends, strict=False)]


def mark_sounds(text: str) -> str:
    """Write what was not heard as the cleaning of turns knows it, and drop other sounds."""
    return _SOUND.sub(" ", _UNHEARD.sub("[inaudible]", text))
