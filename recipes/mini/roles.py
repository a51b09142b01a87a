"""Who is the host, who the guest: judged from who comes back to a show, window by window."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from podcaster.model import Role
from recipes.mini.episodes import Episode, Line
from recipes.mini.sources import MODERATOR, PRESIDENTS, REPORTER, SPEECHES

FEWEST_EPISODES = 5
FEWEST_SHARE = 0.04  # of the show's episodes
FEWEST_TURNS = 8  # of a stretch that is a conversation
BRISK_LETTERS = 140  # a turn, on average; with fewer it is chatter


def recurring_speakers(
    episodes: Iterable[Episode], *, fewest: int = FEWEST_EPISODES
) -> dict[str, frozenset[str]]:
    """For each show, the people who speak in many of its episodes: its hosts."""
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    for episode in episodes:
        total[episode.show] += 1
        tally[episode.show].update({line.speaker for line in episode.lines})
    return {
        show: frozenset(
            name for name, n in names.items() if n >= max(fewest, FEWEST_SHARE * total[show])
        )
        for show, names in tally.items()
    }


def known_hosts(episodes: Iterable[Episode]) -> dict[str, frozenset[str]]:
    """The hosts of each show: who comes back to it; of presidents, whoever asks or moderates."""
    hosts = recurring_speakers(episodes)
    special = {PRESIDENTS: frozenset({REPORTER, MODERATOR}), SPEECHES: frozenset[str]()}
    return hosts | {show: names for show, names in special.items() if show in hosts}


def assign_roles(lines: Sequence[Line], hosts: frozenset[str]) -> dict[str, Role]:
    """Give every speaker of a stretch a role: one host, one guest, the rest are `other`.

    The host is the one of `hosts` who speaks most often; if none of them speaks, whoever asks
    most questions. The guest is who says most of the others, people outside `hosts` first.
    """
    turns: Counter[str] = Counter()
    questions: Counter[str] = Counter()
    letters: Counter[str] = Counter()
    for line in lines:
        turns[line.speaker] += 1
        questions[line.speaker] += line.text.count("?")
        letters[line.speaker] += len(line.text)
    known = [name for name in turns if name in hosts]
    if known:
        host = max(known, key=lambda name: (turns[name], questions[name], name))
    else:
        host = max(turns, key=lambda name: (questions[name], turns[name], name))
    rest = [name for name in turns if name != host]
    roles: dict[str, Role] = dict.fromkeys(rest, "other")
    roles[host] = "host"
    if rest:
        roles[max(rest, key=lambda name: (name not in hosts, letters[name], name))] = "guest"
    return roles


def score_dialogue(lines: Sequence[Line], hosts: frozenset[str]) -> float:
    """How much a stretch is an interview of two with real back and forth, from 0 to 1."""
    if len({line.speaker for line in lines}) < 2:
        return 0.0
    roles = assign_roles(lines, hosts)
    letters: Counter[Role] = Counter()
    for line in lines:
        letters[roles[line.speaker]] += len(line.text)
    total = sum(letters.values())
    pair = (letters["host"] + letters["guest"]) / total
    balance = min(1.0, 5 * min(letters["host"], letters["guest"]) / total)
    pace = min(1.0, len(lines) / FEWEST_TURNS) * min(1.0, total / len(lines) / BRISK_LETTERS)
    guest = next(name for name, role in roles.items() if role == "guest")
    return pair * balance * pace * (0.8 if guest in hosts else 1.0)
