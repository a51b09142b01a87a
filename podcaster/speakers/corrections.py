"""What a person said of a show's speakers; kept apart from what the machine found.

A correction refers to turns (recording, time, words), never to a number that the next run may give
to another voice. It survives new words, new labels and new recordings; where its turns are gone, it
is reported as stale.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from podcaster.model import Noun, Transcript
from podcaster.speakers.names import name_key
from podcaster.speakers.recording import TurnRef, end_of, hash_words
from podcaster.units import split_words

MOST_ANCHORS = 12
_LEAST_LIKENESS = 0.5  # of the words of a turn that was written anew
_NEAR_TURNS = 5  # how far a turn without times may have moved

Turns = Annotated[tuple[TurnRef, ...], msgspec.Meta(min_length=1)]


class Correction(Noun, frozen=True, kw_only=True, tag_field="kind"):
    """What all corrections share: `who` is the speaker, by turns; `called` is its id of then."""

    who: Turns
    called: str = ""


class Rename(Correction, frozen=True, kw_only=True, tag="rename"):
    """The voice has this name. If one other has it already, they are one person."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class Merge(Correction, frozen=True, kw_only=True, tag="merge"):
    """The voice is the same as that of `into`."""

    into: Turns


class Split(Correction, frozen=True, kw_only=True, tag="split"):
    """In the one recording that the turns are from, it is somebody else."""


class Reassign(Correction, frozen=True, kw_only=True, tag="reassign"):
    """One turn, `who`, was said by `to`."""

    to: Turns


class Drop(Correction, frozen=True, kw_only=True, tag="drop"):
    """It is nobody: an advertisement, a jingle, a clip."""


AnyCorrection = Rename | Merge | Split | Reassign | Drop


class Corrections(Noun, frozen=True):
    """What `speakers/corrections.json` says, in the order in which it was said."""

    corrections: tuple[AnyCorrection, ...] = ()


@dataclass
class Group:
    """Labels of recordings that are one voice, while corrections are applied."""

    members: set[tuple[str, str]]
    name: str = ""  # a label's, or given by a person
    given: bool = False
    dropped: bool = False


@dataclass
class Corrected:
    """Groups after all corrections; turns (counted from 1) that belong to others; what is stale."""

    groups: list[Group]
    turns: dict[tuple[str, int], Group] = field(default_factory=dict)
    stale: list[str] = field(default_factory=list)


class TurnFinder:
    """Finds turns again in transcripts as they are now."""

    def __init__(self, read: Callable[[str], Transcript | None]) -> None:
        """`read` gives a recording's transcript, None where there is none."""
        self._read = read
        self._known: dict[str, tuple[Transcript | None, dict[str, list[int]]]] = {}

    def find(self, ref: TurnRef) -> tuple[int, str] | None:
        """The turn's index (from 0) and label now; None where it is gone.

        Its words decide, then its time; a turn with other words must be at its time and alike.
        """
        transcript, by_hash = self._open(ref.recording)
        if transcript is None:
            return None
        same = by_hash.get(ref.sha256, [])
        index = (
            min(same, key=lambda i: _distance(transcript, i, ref))
            if same
            else _find_alike(transcript, ref)
        )
        label = transcript.utterances[index].speaker if index is not None else None
        return (index, label) if index is not None and label is not None else None

    def _open(self, recording: str) -> tuple[Transcript | None, dict[str, list[int]]]:
        if recording not in self._known:
            transcript = self._read(recording)
            by_hash: dict[str, list[int]] = {}
            for index, utterance in enumerate(transcript.utterances if transcript else ()):
                by_hash.setdefault(hash_words(utterance.text), []).append(index)
            self._known[recording] = (transcript, by_hash)
        return self._known[recording]


def apply_corrections(
    groups: Sequence[Group], corrections: Corrections, finder: TurnFinder
) -> Corrected:
    """Apply all corrections in their order; later ones see what earlier ones did."""
    corrected = Corrected(list(groups))
    for number, correction in enumerate(corrections.corrections, 1):
        problem = _apply(correction, corrected, finder)
        if problem:
            kind = type(correction).__name__.lower()
            what = f"correction {number} ({kind} {correction.called or 'a turn'})"
            corrected.stale.append(f"{what} no longer applies: {problem}.")
    corrected.groups = [group for group in corrected.groups if group.members]
    return corrected


def _apply(correction: AnyCorrection, corrected: Corrected, finder: TurnFinder) -> str:
    """Change `corrected`; what is wrong, or "" where the correction could be applied."""
    if isinstance(correction, Reassign):
        return _reassign(correction, corrected, finder)
    members = _labels(correction.who, finder)
    group = _vote(members, corrected.groups)
    if group is None:
        first = correction.who[0]
        return f"none of its turns is there any more, such as {first.text!r} in {first.recording}"
    if isinstance(correction, Rename):
        known = name_key(group.name) == name_key(correction.name)
        group.given, group.name = True, correction.name
        if not known:  # a namesake that was kept apart stays apart
            _join_namesake(group, corrected)
    elif isinstance(correction, Drop):
        group.dropped = True
    elif isinstance(correction, Merge):
        into = _vote(_labels(correction.into, finder), corrected.groups)
        if into is None:
            return "the one that it is to be merged with is not there any more"
        if into is not group:
            _absorb(into, group, corrected)
    else:
        parted = {member for member in members if member in group.members}
        if parted != group.members:
            group.members -= parted
            name = "" if group.given else group.name
            corrected.groups.append(Group(parted, name))
    return ""


def _reassign(correction: Reassign, corrected: Corrected, finder: TurnFinder) -> str:
    ref = correction.who[0]
    found = finder.find(ref)
    if found is None:
        return f"the turn {ref.text!r} is no longer in {ref.recording}"
    group = _vote(_labels(correction.to, finder), corrected.groups)
    if group is None:
        return "the one that it is to belong to is not there any more"
    corrected.turns[ref.recording, found[0] + 1] = group
    return ""


def _join_namesake(group: Group, corrected: Corrected) -> None:
    """Who has the same name by a label or from a person is the same, unless two people have it.

    Proposals do not count.
    """
    key = name_key(group.name)
    others = [one for one in corrected.groups if one is not group and one.members]
    namesakes = [one for one in others if one.name and name_key(one.name) == key]
    if len(namesakes) == 1:
        _absorb(group, namesakes[0], corrected)


def _absorb(into: Group, other: Group, corrected: Corrected) -> None:
    into.members |= other.members
    if other.given and not into.given:
        into.name, into.given = other.name, True
    into.name = into.name or other.name
    other.members = set()
    for turn, whose in corrected.turns.items():
        if whose is other:
            corrected.turns[turn] = into


def _labels(refs: Sequence[TurnRef], finder: TurnFinder) -> list[tuple[str, str]]:
    found = [(ref.recording, finder.find(ref)) for ref in refs]
    return [(recording, place[1]) for recording, place in found if place is not None]


def _vote(members: Sequence[tuple[str, str]], groups: Sequence[Group]) -> Group | None:
    """The group that most of the turns are in; of equals, the first turn's."""
    best: Group | None = None
    most = 0
    for member in members:
        group = next((group for group in groups if member in group.members), None)
        votes = sum(other in group.members for other in members) if group else 0
        if votes > most:
            best, most = group, votes
    return best


def _distance(transcript: Transcript, index: int, ref: TurnRef) -> tuple[float, int]:
    start_s = transcript.utterances[index].start_s
    apart_s = abs(start_s - ref.start_s) if start_s is not None and ref.start_s is not None else 0.0
    return apart_s, abs(index + 1 - ref.turn)


def _find_alike(transcript: Transcript, ref: TurnRef) -> int | None:
    """The turn at the same time (or place) whose words are most like those of the reference."""
    best: tuple[float, int] | None = None
    for index, utterance in enumerate(transcript.utterances):
        if ref.start_s is not None and utterance.start_s is not None:
            end_s = end_of(transcript, index) or utterance.start_s
            last_s = ref.end_s if ref.end_s is not None else ref.start_s
            near = utterance.start_s < last_s + 1.0 and end_s > ref.start_s - 1.0
        else:
            near = abs(index + 1 - ref.turn) <= _NEAR_TURNS
        likeness = _likeness(utterance.text, ref.text) if near else 0.0
        if likeness >= _LEAST_LIKENESS and (best is None or likeness > best[0]):
            best = (likeness, index)
    return best[1] if best else None


def _likeness(text: str, beginning: str) -> float:
    """How many of the reference's words are in the text."""
    wanted = split_words(beginning)
    said = set(split_words(text))
    return sum(word in said for word in wanted) / len(wanted) if wanted else 0.0
