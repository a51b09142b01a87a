"""Names to vary people's names with: whoever learns from them learns to talk, and no names."""

import random
import re
from collections.abc import Sequence
from pathlib import Path

_HERE = Path(__file__).parent
FIRST = tuple((_HERE / "first_names.txt").read_text(encoding="utf-8").split())
LAST = tuple((_HERE / "last_names.txt").read_text(encoding="utf-8").split())
_TITLED = re.compile(r",? ?\b(?:Mr\.|Madam|Mrs\.|Ms\.) (?:Vice )?President\b,?")
_WORDLIKE = frozenset(
    "Will Mark Grant Joy Grace June Page May Young Stone Brook Long Good".split()  # noqa: SIM905
)


class Renaming:
    """New names for the people of a conversation, drawn by `draw`, for all of its texts.

    A person's whole name, first name and last name are replaced; those that are words as well
    (Will, Young) only within the whole name.
    """

    def __init__(self, names: Sequence[str], draw: random.Random) -> None:
        firsts, lasts = draw.sample(FIRST, len(names)), draw.sample(LAST, len(names))
        self.names = [f"{a} {b}" for a, b in zip(firsts, lasts, strict=True)]
        self._table: dict[str, str] = {}
        for old, new, first, last in zip(names, self.names, firsts, lasts, strict=True):
            words = old.split()
            self._table[old] = new
            if len(words) > 1:
                for word, instead in ((words[0], first), (words[-1], last)):
                    if len(word) > 2 and word not in _WORDLIKE:
                        self._table.setdefault(word, instead)
        spelled = sorted(map(re.escape, self._table), key=len, reverse=True)
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(spelled)})(?!\w)")

    def __call__(self, text: str) -> str:
        """The text with the new names in place of the old; a president is called nothing else."""
        return self._pattern.sub(lambda m: self._table[m.group()], _TITLED.sub("", text)).strip()
