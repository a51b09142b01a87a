"""Split recordings into training and validation: by recording and by guest, never by window.

Whether a recording validates is said by the hash of its id alone, so that it stays where it is
when others are added. Who is a guest in validation is trained on nowhere.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from podcaster.dataset.roles import Cast
from podcaster.model import Role

_LABEL = re.compile(r"^(s|speaker|voice|guest|unknown|caller|spk)[ _-]?\d*$")


def choose_validation(ids: Sequence[str], share: float) -> frozenset[str]:
    """The recordings that validate; of two or more one does, unless `share` is 0.

    Where the hashes choose none it is the one with the lowest, so that none that was trained on
    once validates later; but not all do, for something must be left to train on.
    """
    chosen = frozenset(one for one in ids if _place(one) < share)
    if chosen or share <= 0 or len(ids) < 2:
        return chosen if len(chosen) < len(ids) or not ids else chosen - {max(ids, key=_place)}
    return frozenset({min(ids, key=_place)})


def find_held_out(
    casts: Mapping[str, Cast],
    roles: Mapping[str, Mapping[str, Role]],
    validation: frozenset[str],
    hosts: Iterable[str],
    *,
    labels_are_people: bool = False,
) -> frozenset[str]:
    """The recordings to train on in which a guest of a validation recording speaks, by id.

    Somebody is told by the name, without accents, case and points; `hosts` of any series are no
    guests. A diariser's label is no name, unless `labels_are_people`.
    """

    def keys(names: Iterable[str]) -> set[str]:
        if labels_are_people:
            return {normalise_name(name) or name for name in names}
        return {normalise_name(name) for name in names} - {""}

    regular = keys(hosts)
    for one in validation:
        regular |= keys(name for name, role in roles[one].items() if role == "host")
    guests = keys(name for one in validation for name in casts[one]) - regular
    return frozenset(
        one
        for one, cast in casts.items()
        if one not in validation and not guests.isdisjoint(keys(cast))
    )


def normalise_name(name: str) -> str:
    """The name without accents, case and points; nothing for a diariser's label."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(c for c in plain if not unicodedata.combining(c)).replace("'", "")
    words = " ".join(re.findall(r"[^\W_]+", letters))
    return "" if _LABEL.match(words) else words


def _place(name: str) -> float:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
