"""Who is host and who is guest, where nobody said so: judged from who comes back and who opens."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from podcaster.dataset.clean import SpokenTurn, count_said
from podcaster.model import Role

RECURS_RECORDINGS = 5
RECURS_SHARE = 0.04  # of a series' recordings
FEW_RECORDINGS = 10  # in fewer, a guest who came twice is not yet a host
HEARD_SHARE = 0.02  # of a recording's words; who says less is `other`: a caller, a clip
HEARD_WORDS = 50


class Part(msgspec.Struct, array_like=True):
    """How much of a recording somebody is: `opened` if the first word was theirs."""

    words: int = 0
    turns: int = 0
    questions: int = 0
    opened: bool = False


Cast = Mapping[str, Part]


def measure_parts(turns: Sequence[SpokenTurn]) -> dict[str, Part]:
    """Who speaks in a recording, in the order of first words, and how much."""
    cast: dict[str, Part] = {}
    for number, turn in enumerate(turns):
        part = cast.setdefault(turn.speaker, Part())
        part.words += count_said(turn.text)
        part.turns += 1
        part.questions += turn.text.count("?")
        part.opened |= number == 0
    return cast


def find_heard(cast: Cast) -> list[str]:
    """Who says enough to be part of the conversation."""
    fewest = max(HEARD_WORDS, HEARD_SHARE * sum(part.words for part in cast.values()))
    return [name for name, part in cast.items() if part.words >= fewest]


def find_hosts(casts: Iterable[tuple[str, Cast]]) -> dict[str, frozenset[str]]:
    """For each series, who comes back to many of its recordings; of few recordings, who opens."""
    recordings: Counter[str] = Counter()
    heard: dict[str, Counter[str]] = defaultdict(Counter)
    opened: dict[str, Counter[str]] = defaultdict(Counter)
    for series, cast in casts:
        recordings[series] += 1
        heard[series].update(cast.keys())
        opened[series].update(name for name, part in cast.items() if part.opened)
    hosts: dict[str, frozenset[str]] = {}
    for series, count in recordings.items():
        fewest = max(
            2, min(RECURS_RECORDINGS, math.ceil(count / 2)), math.ceil(RECURS_SHARE * count)
        )
        hosts[series] = frozenset(
            name
            for name, times in heard[series].items()
            if times >= fewest
            and (
                count >= FEW_RECORDINGS
                or opened[series][name] * 2 >= times
                or times * 4 > count * 3
            )
        )
    return hosts


def assign_roles(
    cast: Cast, hosts: frozenset[str], others: frozenset[str] = frozenset()
) -> dict[str, Role]:
    """Give everybody in a recording a role; `others` are no part of the conversation.

    Where none of `hosts` speaks, the host is who asks most questions.
    """
    heard = [name for name in find_heard(cast) if name not in others]
    roles: dict[str, Role] = dict.fromkeys(cast, "other")
    roles.update(dict.fromkeys(heard, "guest"))
    known = [name for name in cast if name in hosts and name not in others]
    roles.update(dict.fromkeys(known, "host"))
    if heard and not known:
        roles[max(heard, key=lambda name: _lead(name, cast))] = "host"
    return roles


def choose_sides(cast: Cast, roles: Mapping[str, Role]) -> dict[str, Role]:
    """Who plays the host and who the guest: their roles, unless only hosts talk to each other.

    Then one of them leads, and the others are the guests.
    """
    heard = find_heard(cast)
    if any(roles[name] == "guest" for name in heard):
        return dict(roles)
    hosts = [name for name in heard if roles[name] == "host"]
    if len(hosts) < 2:
        return dict(roles)
    lead = max(hosts, key=lambda name: _lead(name, cast))
    return {
        name: "guest" if role == "host" and name != lead else role for name, role in roles.items()
    }


def _lead(name: str, cast: Cast) -> tuple[float, int, str]:
    part = cast[name]
    # whoever opens is taken to lead, unless somebody else asks twice as much
    return (part.questions * (2 if part.opened else 1), part.turns, name)
