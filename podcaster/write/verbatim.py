"""Find what a model says word for word out of its training transcripts."""

from collections.abc import Callable
from pathlib import Path

SIDECAR_SUFFIX = ".ngrams.bloom"


def open_verbatim(model: str) -> Callable[[str], int] | None:
    """How long the longest run of words is that a text shares with the transcripts.

    By the table that lies next to a model's file (`<model>.ngrams.bloom`); None where there is
    none. Raises EngineError for a broken table.
    """
    path = Path(f"{model}{SIDECAR_SUFFIX}")
    if not path.is_file():
        return None
    from podcaster.builtin.ngrams import open_ngrams

    measure: Callable[[str], int] = open_ngrams(path).longest_run_words
    return measure
