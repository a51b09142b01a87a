"""Whether a name is a woman's or a man's, where a title or a first name makes it plain."""

import re
import unicodedata
from functools import cache
from importlib.resources import files

from podcaster.model import Gender

# before the first name, and silent on this
_NEUTRAL = re.compile(
    "the|dr|doctor|prof|professor|president|senator|captain|colonel|general|major|judge|reverend"
    "|saint|st|chef|coach"
)
_UNMARKED = str.maketrans({"ø": "o", "æ": "ae", "ł": "l", "đ": "d", "ı": "i"})
_WORD = re.compile(r"[^\W\d_]+")


def find_gender(name: str) -> Gender | None:
    """Whose name it is, by its title or its first name; None where neither is plain."""
    words = [word for word in _WORD.findall(_plain(name)) if not _NEUTRAL.fullmatch(word)]
    return _table().get(words[0]) if words else None


def _plain(name: str) -> str:
    decomposed = unicodedata.normalize("NFD", name.casefold().translate(_UNMARKED))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


@cache
def _table() -> dict[str, Gender]:
    text = files("podcaster.speak").joinpath("first_names.txt").read_text(encoding="utf-8")
    genders: dict[str, Gender] = {}
    gender: Gender = "f"
    for line in text.splitlines():
        if line.startswith("#"):
            gender = "m" if line.startswith("# men") else "f"
        else:
            genders |= dict.fromkeys(line.split(), gender)
    return genders
