"""Who bears which name, and who is the host: evidence added up over recordings.

Hosts are the voices that recur and open. Names go to voices one to one, the surest first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from podcaster.speakers.names import name_key
from podcaster.speakers.recording import Evidence, LocalSpeaker, RecordingSpeakers

LEAST_POINTS = 2.5  # under this a name is not proposed
_LEAST_LEAD = 0.5  # over the next name for the same voice
_HEARD_SHARE = 0.05  # of a recording; who says less does not open it, and is not its guest
_CO_HOST_PRESENCE = 0.6  # of the recordings
_CO_HOST_SCORE = 0.4  # of the host's score
_HOST_IN_TURN = 0.1  # of the recordings opened: hosts who take turns
_HOST_IN_TURN_TIMES = 3
_MOST_POINTS = 20.0


@dataclass
class Voice:
    """One voice of the show while it is being named: labels of recordings, and what is said of it.

    `name` is known (a label's, a person's); `key` is its spelling for comparing.
    """

    members: list[tuple[str, LocalSpeaker]]
    name: str = ""
    role: str = ""
    evidence: list[Evidence] = field(default_factory=list)
    score: float = 0.0

    @property
    def key(self) -> str:
        """The name as it is compared."""
        return name_key(self.name)

    @property
    def recordings(self) -> set[str]:
        """Where it is heard."""
        return {recording for recording, _ in self.members}


@dataclass
class _Claim:
    """A name for a voice."""

    voice: int
    key: str
    name: str
    points: float = 0.0
    evidence: list[Evidence] = field(default_factory=list)

    def add(self, one: Evidence) -> None:
        self.points = min(_MOST_POINTS, self.points + one.points)
        self.evidence.append(one)


def find_hosts(voices: Sequence[Voice], shows: Sequence[RecordingSpeakers]) -> set[int]:
    """Which voices are hosts: the one that recurs and opens most, who is always beside it, and
    who takes turns with it.

    With a single recording, who opens it and says what hosts say.
    """
    count = len(shows)
    if not count or not voices:
        return set()
    openers = _find_openers(shows)
    scores, presence, opened = [], [], []
    for voice in voices:
        heard = {r for r, one in voice.members if one.share >= _HEARD_SHARE}
        opened.append(len({r for r, one in voice.members if openers.get(r) == one.label}))
        cued = {r for r, one in voice.members if one.cues}
        presence.append(len(heard))
        scores.append((2.0 * len(heard) + opened[-1] + len(cued)) / count)
    words = [sum(one.words for _, one in voice.members) for voice in voices]
    first = max(range(len(voices)), key=lambda i: (scores[i], words[i], -i))
    hosts = {first}
    for i in range(len(voices)):
        often = presence[i] >= max(2, _CO_HOST_PRESENCE * count)
        in_turn = opened[i] >= max(_HOST_IN_TURN_TIMES, _HOST_IN_TURN * count)
        if (often and scores[i] >= _CO_HOST_SCORE * scores[first]) or in_turn:
            hosts.add(i)
    named = {name_key(hint.name) for show in shows for hint in show.hints if hint.role == "host"}
    return hosts | {i for i, voice in enumerate(voices) if voice.key in named and voice.key}


def propose_names(
    voices: Sequence[Voice], shows: Sequence[RecordingSpeakers], hosts: set[int]
) -> dict[int, tuple[str, tuple[Evidence, ...], float]]:
    """Names for voices that have none: name, evidence with the most points first, points.

    A name that somebody of a recording has is given to nobody else in it.
    """
    claims = _collect(voices, shows, hosts)
    best_of: dict[int, list[float]] = {}
    for claim in claims:
        best_of.setdefault(claim.voice, []).append(claim.points)
    for points in best_of.values():
        points.sort(reverse=True)
    taken: dict[str, set[str]] = {}
    for voice in voices:
        if voice.key:
            taken.setdefault(voice.key, set()).update(voice.recordings)
    proposed: dict[int, tuple[str, tuple[Evidence, ...], float]] = {}
    for claim in sorted(claims, key=lambda one: (-one.points, one.voice, one.key)):
        voice = voices[claim.voice]
        rivals = best_of[claim.voice]
        second = rivals[1] if len(rivals) > 1 and claim.points == rivals[0] else 0.0
        if claim.points < LEAST_POINTS or claim.voice in proposed or voice.name:
            continue
        if claim.points - second < _LEAST_LEAD and second > 0:
            continue
        if not voice.recordings.isdisjoint(taken.get(claim.key, set())):
            continue
        taken.setdefault(claim.key, set()).update(voice.recordings)
        ranked = sorted(claim.evidence, key=lambda one: (-one.points, one.text))
        proposed[claim.voice] = (claim.name, tuple(ranked[:6]), round(claim.points, 2))
    return proposed


def _find_openers(shows: Sequence[RecordingSpeakers]) -> dict[str, str]:
    """Who speaks first in each recording, of those who say something in it."""
    openers = {}
    for show in shows:
        heard = [one for one in show.speakers if one.share >= _HEARD_SHARE]
        if heard:
            openers[show.recording] = min(heard, key=lambda one: one.first_turn).label
    return openers


def _collect(
    voices: Sequence[Voice], shows: Sequence[RecordingSpeakers], hosts: set[int]
) -> list[_Claim]:
    owner = {
        (recording, one.label): i
        for i, voice in enumerate(voices)
        for recording, one in voice.members
    }
    known = [voice.name for voice in voices if voice.name]
    known += [h.name for show in shows for h in show.hints if h.role == "host"]
    show_names = _Fuller(known)
    claims: dict[tuple[int, str], _Claim] = {}

    def claim(voice: int, one: Evidence, name: str) -> None:
        key = name_key(name)
        claims.setdefault((voice, key), _Claim(voice, key, name)).add(one)

    for show in shows:
        said = [one.name for one in show.evidence if " " in one.name]
        fuller = _Fuller([*said, *(hint.name for hint in show.hints)])
        for one in show.evidence:
            voice = owner.get((show.recording, one.label))
            if voice is not None:
                name = show_names.of(fuller.of(one.name))
                claim(voice, one, name)
        for voice, one in _share_hints(show, owner, voices, hosts):
            claim(voice, one, one.name)
    return [one for one in _fold(list(claims.values())) if one.points > 0]


def _fold(claims: Sequence[_Claim]) -> list[_Claim]:
    """A voice's first name alone counts for its full name, where only one can be meant."""
    of_voice: dict[int, list[_Claim]] = {}
    for claim in claims:
        of_voice.setdefault(claim.voice, []).append(claim)
    kept = []
    for own in of_voice.values():
        full = {claim.key: claim for claim in own if " " in claim.key and claim.points > 0}
        fuller = _Fuller([claim.name for claim in full.values()])
        for claim in own:
            whole = full.get(name_key(fuller.of(claim.name)))
            if whole is None or whole is claim:
                kept.append(claim)
                continue
            for one in claim.evidence:
                whole.add(one)
    return kept


def _share_hints(
    show: RecordingSpeakers,
    owner: Mapping[tuple[str, str], int],
    voices: Sequence[Voice],
    hosts: set[int],
) -> list[tuple[int, Evidence]]:
    """What titles and persons are worth to each voice that may be meant: fewer, more each."""
    heard = {
        owner[show.recording, one.label]: one.label
        for one in show.speakers
        if one.share >= _HEARD_SHARE and (show.recording, one.label) in owner
    }
    named = {voices[i].key for i in heard}
    shared = []
    for hint in show.hints:
        if name_key(hint.name) in named:
            continue
        may = {i: label for i, label in heard.items() if not voices[i].name}
        if hint.role:
            may = {i: label for i, label in may.items() if (i in hosts) == (hint.role == "host")}
        for i, label in may.items():
            one = Evidence(
                recording=show.recording,
                label=label,
                name=hint.name,
                kind=hint.kind,
                points=round(hint.points / len(may), 2),
                turn=0,
                text=hint.text,
            )
            shared.append((i, one))
    return shared


class _Fuller:
    """Finds the full name that a first (or last) name stands for, where only one can be meant."""

    def __init__(self, names: Sequence[str]) -> None:
        self._of: dict[str, dict[str, str]] = {}
        for name in names:
            words = name_key(name).split()
            if len(words) > 1:
                for word in (words[0], words[-1]):
                    self._of.setdefault(word, {}).setdefault(" ".join(words), name)

    def of(self, name: str) -> str:
        found = self._of.get(name_key(name), {})
        return next(iter(found.values())) if len(found) == 1 else name
