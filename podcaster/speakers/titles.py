"""Names that go with a recording: its persons, its title, its description.

They say who is there, and not whose voice is whose.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from podcaster.model import Person, Transcript
from podcaster.speakers.introductions import words_in_small
from podcaster.speakers.names import clean_name, name_key, read_name
from podcaster.speakers.recording import NameHint, shorten

PERSON_POINTS = 3.0
HOSTED_BY_POINTS = 3.0
TITLE_POINTS = 2.5  # "with Jane Doe", and titles that are a name and nothing else
TITLE_WEAK_POINTS = 1.5  # "Jane Doe on bees": might be "Deep Learning on graphs"
HEARD_POINTS = 1.0  # the name is said in the recording, too

_NUMBER = r"(?:#|no\.? ?|ep(?:isode)?\.? ?|folge ?|e)?\s*\d{1,5}\s*(?:[:.|–—-]|\s)\s*"
_LEAD = re.compile(
    rf"^\s*(?:\[?{_NUMBER}\]?|(?:interview|guest|conversation|bonus)\s*[:–—-]\s*)+", re.I
)
_WITH = re.compile(
    r"\b(?:with|feat\.?|featuring|ft\.?|guest|guests|interview(?:ing)?|w/)[: ]\s*", re.I
)
_AFTER_NAME = re.compile(r"\s*(?:[:|–—]|\s-|,|\bon\b|\babout\b|\btalks?\b|\bexplains?\b|\()", re.I)
_AND = re.compile(r"\s*(?:,\s*(?:and\s+)?|&|\band\b|\bund\b)\s*", re.I)
_HOSTED = re.compile(r"\b(?:hosted by|your hosts?(?: is| are|,|:)?|hosts?:)\s+", re.I)
_LONGEST = 4000


def find_hints(
    title: str, persons: Sequence[Person], description: str, transcript: Transcript
) -> tuple[NameHint, ...]:
    """All names that a recording comes with, each once in each role, the surest first."""
    found = [*_read_persons(persons), *_read_hosts(description[:_LONGEST])]
    found += _weigh_titles(_read_title(title[:300]), transcript)
    best: dict[tuple[str, str], NameHint] = {}
    for hint in found:
        key = (name_key(hint.name), hint.role)
        if key[0] and (key not in best or best[key].points < hint.points):
            best[key] = hint
    return tuple(sorted(best.values(), key=lambda hint: (-hint.points, hint.name)))


def _read_persons(persons: Sequence[Person]) -> Iterator[NameHint]:
    for person in persons:
        name, role = clean_name(person.name), person.role.casefold()
        kind: Literal["host", "guest", ""] = ""
        if "host" in role:
            kind = "host"
        elif "guest" in role or "interview" in role:
            kind = "guest"
        if name:
            text = f"{kind or 'person'} in the feed"
            yield NameHint(name=name, role=kind, kind="person", points=PERSON_POINTS, text=text)


def _read_hosts(description: str) -> Iterator[NameHint]:
    for match in _HOSTED.finditer(description):
        for name in _read_list(description[match.end() : match.end() + 200]):
            text = shorten(description[match.start() : match.end() + 80], 90)
            yield NameHint(
                name=name, role="host", kind="person", points=HOSTED_BY_POINTS, text=text
            )


def _read_title(title: str) -> Iterator[NameHint]:
    """Guests: "with Jane Doe", "#12: Jane Doe", "Jane Doe on bees", "Bees | Jane Doe"."""
    quoted = shorten(title, 90)

    def guest(name: str, points: float) -> NameHint:
        return NameHint(name=name, role="guest", kind="title", points=points, text=quoted)

    for match in _WITH.finditer(title):
        for name in _read_list(title[match.end() :]):
            if " " in name:
                yield guest(name, TITLE_POINTS)
    lead = _LEAD.match(title)
    body = title[lead.end() :] if lead else title
    names = [name for name in _read_list(body) if " " in name]
    if names:
        rest = body[body.find(names[-1]) + len(names[-1]) :]
        if not rest.strip(" .!"):
            yield from (guest(name, TITLE_POINTS if lead else TITLE_WEAK_POINTS) for name in names)
        elif _AFTER_NAME.match(rest):
            yield from (guest(name, TITLE_WEAK_POINTS) for name in names)
    last = re.split(r"\s[|–—-]\s", body)[-1] if re.search(r"\s[|–—-]\s", body) else ""
    name, length = read_name(last.strip())
    if " " in name and length == len(last.strip()):
        yield guest(name, TITLE_WEAK_POINTS)


def _read_list(text: str) -> list[str]:
    """The names that a text begins with: "Ann and Bob Lee" are Ann Lee and Bob Lee."""
    names: list[str] = []
    place = 0
    while True:
        name, length = read_name(text[place : place + 200])
        if not name:
            break
        names.append(name)
        place += length
        joint = _AND.match(text, place)
        if joint is None:
            break
        place = joint.end()
    surname = next((name.split()[-1] for name in reversed(names) if " " in name), "")
    return [name if " " in name or not surname else f"{name} {surname}" for name in names]


def _weigh_titles(hints: Iterator[NameHint], transcript: Transcript) -> Iterator[NameHint]:
    """More for names that are said; none for words that are said without a capital."""
    kept = list(hints)
    if not kept:
        return
    small = words_in_small(transcript)
    spoken = {word for one in transcript.utterances for word in re.findall(r"[^\W\d_]+", one.text)}
    for hint in kept:
        words = hint.name.split()
        if all(word.lower() in small for word in words):
            continue
        heard = any(word in spoken for word in words) * HEARD_POINTS
        yield NameHint(
            name=hint.name,
            role=hint.role,
            kind=hint.kind,
            points=hint.points + heard,
            text=hint.text,
        )
