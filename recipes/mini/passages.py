"""Held-out episodes as the proof reads them: the same turns and topics whatever the tokenizer.

A passage is a run of whole turns with the header that a window of training would give it. Its
length is counted in words, so that models with other vocabularies or contexts read the same text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from podcaster.builtin.keywords import rank
from podcaster.model import Role
from podcaster.units import count_words
from recipes.mini.episodes import Episode, Line
from recipes.mini.roles import assign_roles
from recipes.mini.windows import CLOSING, OPENING, chance_of, rename, shorten_all

PASSAGE_WORDS = 1400  # about a context of 2,048 tokens
TOPIC_WORDS = 300  # how long a topic lasts
TOPIC_KEYWORDS = 6
OUTLINE_WORDS = 400  # the stretch that an outline's keywords come from
OUTLINES_PER_EPISODE = 2


@dataclass(frozen=True, kw_only=True)
class PassageTurn:
    """One turn; `topic` is what the model is told before it, empty where the topic goes on."""

    role: Role
    text: str
    topic: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Turns that follow each other in an episode; `names` are those of the header."""

    names: tuple[str, ...]
    turns: tuple[PassageTurn, ...]

    def spoken(self) -> str:
        """What is said, a turn a line."""
        return "\n".join(turn.text for turn in self.turns)


@dataclass(frozen=True, kw_only=True)
class Outline:
    """Keywords to talk about, and the real turns that they were taken from (or none)."""

    keywords: tuple[str, ...]
    turns: tuple[str, ...] = ()
    episode: str = ""


def cut_passages(
    episodes: Iterable[Episode],
    hosts: Mapping[str, frozenset[str]],
    *,
    idf: Mapping[str, float] | None = None,
    names: Sequence[str] = (),
    seed: int = 0,
) -> list[Passage]:
    """Cut episodes into passages of whole turns, without topics where there is no `idf`.

    Monologues are cut and people renamed to `names` as in training.
    """
    passages: list[Passage] = []
    for episode in episodes:
        draw = chance_of(episode, seed)
        lines = shorten_all(episode, draw)
        renamed = rename(lines, names, draw)
        known = hosts.get(episode.show, frozenset())
        new_hosts = frozenset(
            new.speaker for old, new in zip(lines, renamed, strict=True) if old.speaker in known
        )
        for first, stop in _spans(renamed, PASSAGE_WORDS):
            passages.append(_lay_out(renamed, first, stop, new_hosts, idf))
    return passages


def draw_outlines(
    episodes: Iterable[Episode],
    idf: Mapping[str, float],
    *,
    count: int,
    turns: int,
    seed: int = 0,
) -> list[Outline]:
    """Take the keywords of stretches spread over the episodes, with `turns` real turns of each.

    Stretches lie at equal distances in their episode, away from its opening and its end; where
    there are more of them than `count`, every so many is taken.
    """
    found: list[Outline] = []
    for episode in episodes:
        lines = shorten_all(episode, chance_of(episode, seed))
        for part in range(1, OUTLINES_PER_EPISODE + 1):
            first = len(lines) * part // (OUTLINES_PER_EPISODE + 1)
            keywords = topic_keywords(lines, first, OUTLINE_WORDS, idf)
            said = tuple(line.text for line in lines[first : first + turns])
            if len(keywords) == TOPIC_KEYWORDS and len(said) == turns:
                name = f"{episode.show}/{episode.name}"
                found.append(Outline(keywords=keywords, turns=said, episode=name))
    chosen = min(count, len(found))
    return [found[number * len(found) // chosen] for number in range(chosen)]


def topic_keywords(
    lines: Sequence[Line], first: int, words: int, idf: Mapping[str, float]
) -> tuple[str, ...]:
    """The keywords of about `words` words from turn `first` on, without the speakers' names."""
    texts: list[str] = []
    for line in lines[first:]:
        if words <= 0:
            break
        texts.append(line.text)
        words -= count_words(line.text)
    speakers = {part.lower() for line in lines for part in line.speaker.split()}
    ranked = rank(" ".join(texts), TOPIC_KEYWORDS + len(speakers), idf)
    return tuple(word for word in ranked if word not in speakers)[:TOPIC_KEYWORDS]


def _spans(lines: Sequence[Line], longest_words: int) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    first, words = 0, 0
    for position, line in enumerate(lines):
        more = count_words(line.text)
        if position > first and words + more > longest_words:
            spans.append((first, position))
            first, words = position, 0
        words += more
    return [*spans, (first, len(lines))] if first < len(lines) else spans


def _lay_out(
    lines: Sequence[Line],
    first: int,
    stop: int,
    hosts: frozenset[str],
    idf: Mapping[str, float] | None,
) -> Passage:
    roles = assign_roles(lines[first:stop], hosts)
    order = sorted(roles, key=lambda name: (("host", "guest", "other").index(roles[name]), name))
    turns: list[PassageTurn] = []
    words_left = 0
    for position in range(first, stop):
        line = lines[position]
        topic: tuple[str, ...] = ()
        if idf is not None and words_left <= 0:
            words_left = TOPIC_WORDS
            topic = topic_keywords(lines, position, TOPIC_WORDS, idf)
            rest = sum(count_words(later.text) for later in lines[position:])
            if position == 0:
                topic = (OPENING, *topic)
            elif rest <= TOPIC_WORDS:
                topic = (CLOSING, *topic)
        words_left -= count_words(line.text)
        turns.append(PassageTurn(role=roles[line.speaker], text=line.text, topic=topic))
    return Passage(names=tuple(order[:4]), turns=tuple(turns))
