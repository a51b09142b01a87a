"""Who speaks in a show: the speakers, what each says, and which labels and turns are theirs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np

from podcaster.model import Identifier, Noun, Role, Seconds, Transcript, slugify
from podcaster.speakers.corrections import Corrected, Group
from podcaster.speakers.names import name_key
from podcaster.speakers.proposals import Voice, find_hosts, propose_names
from podcaster.speakers.recording import (
    EXCERPTS,
    WORDS_PER_SECOND,
    Evidence,
    Excerpt,
    LocalSpeaker,
    RecordingSpeakers,
)

NamedBy = Literal["label", "person", "proposal", "nobody"]

ALIKE = 0.88  # cosine of two voiceprints: one voice that a diariser took for two, or brothers
TINY_SHARE = 0.01
TINY_S = 30.0


class Member(Noun, frozen=True):
    """A label of a recording that is this speaker."""

    recording: str
    label: str
    words: int


class ShowSpeaker(Noun, frozen=True):
    """Somebody who speaks in the show.

    `named_by`: a transcript's labels, a person's correction, or the machine's own proposal, whose
    `evidence` is given. `share` is of all words. `flags` say what is doubtful, in sentences; `tiny`
    is heard so little that it probably does not exist; `dropped` is nobody, a person said so.
    `seconds` is None where no recording says when it speaks.
    """

    id: Identifier
    name: str
    role: Role
    named_by: NamedBy
    share: float
    words: int
    turns: int
    recordings: tuple[str, ...]
    seconds: Seconds | None = None
    tiny: bool = False
    dropped: bool = False
    flags: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    excerpts: tuple[Excerpt, ...] = ()
    voiceprint: tuple[float, ...] = ()
    members: tuple[Member, ...] = ()


class MovedTurn(Noun, frozen=True):
    """A turn, counted from 1, that a person gave to another speaker."""

    recording: str
    turn: int
    speaker: Identifier


class SpeakersFile(Noun, frozen=True):
    """What `speakers/speakers.json` says: who speaks most comes first.

    `stale` are corrections that could not be applied, as sentences.
    """

    speakers: tuple[ShowSpeaker, ...] = ()
    moved_turns: tuple[MovedTurn, ...] = ()
    stale: tuple[str, ...] = ()
    encoder: str = ""


class Naming:
    """Looks up whose a label or a turn of a recording is."""

    def __init__(self, speakers: SpeakersFile) -> None:
        self._labels = {
            (member.recording, member.label): speaker.id
            for speaker in speakers.speakers
            for member in speaker.members
        }
        self._turns = {(m.recording, m.turn): m.speaker for m in speakers.moved_turns}

    def speaker_of(self, recording: str, turn: int, label: str | None) -> str | None:
        """The id of who said a turn (counted from 1); None where nobody knows."""
        moved = self._turns.get((recording, turn))
        return moved or (self._labels.get((recording, label)) if label is not None else None)


def resolve_transcript(transcript: Transcript, recording: str, naming: Naming) -> Transcript:
    """The transcript with speakers' ids for labels, in its turns and words; nothing else changes.

    A label that nobody knows stays None.
    """
    utterances = []
    for turn, utterance in enumerate(transcript.utterances, 1):
        speaker = naming.speaker_of(recording, turn, utterance.speaker)
        words = tuple(msgspec.structs.replace(word, speaker=speaker) for word in utterance.words)
        utterances.append(msgspec.structs.replace(utterance, speaker=speaker, words=words))
    return msgspec.structs.replace(transcript, utterances=tuple(utterances))


@dataclass(frozen=True)
class MovedSpeech:
    """How much a turn is that was given to somebody else, and whose it was."""

    label: str
    words: int
    seconds: float


@dataclass
class _Counted:
    """A group with what is known of it."""

    group: Group
    voice: Voice
    named_by: NamedBy
    words: int = 0
    seconds: float | None = None
    lent: set[tuple[str, int]] = field(default_factory=set)  # turns that are somebody else's
    visits: set[str] = field(default_factory=set)  # recordings of turns that were given to it


def describe_people(
    corrected: Corrected,
    shows: Sequence[RecordingSpeakers],
    moved: Mapping[tuple[str, int], MovedSpeech],
    before: SpeakersFile,
    encoder: str = "",
) -> SpeakersFile:
    """Name and describe each group; `before` is the last run's file, whose ids are kept.

    `moved` measures each turn, by recording and number, that was given to somebody else.
    """
    speakers = {(show.recording, one.label): one for show in shows for one in show.speakers}
    counted = [_count(group, speakers) for group in corrected.groups]
    _move_turns(counted, corrected, moved)
    voices = [one.voice for one in counted]
    living = [i for i, one in enumerate(counted) if not one.group.dropped]
    hosts = {living[i] for i in find_hosts([voices[i] for i in living], shows)}
    proposed = propose_names(voices, shows, hosts)
    for i, (name, evidence, points) in proposed.items():
        if not counted[i].group.dropped:
            voices[i].name, voices[i].evidence, voices[i].score = name, list(evidence), points
            counted[i].named_by = "proposal"
    # a name that persons or descriptions give to a host may only now be somebody's
    hosts |= {living[i] for i in find_hosts([voices[i] for i in living], shows)}
    total = sum(one.words for one in counted) or 1
    counted_order = sorted(
        range(len(counted)),
        key=lambda i: (-counted[i].words, sorted(counted[i].group.members)),
    )
    ids = _give_ids([counted[i] for i in counted_order], before)
    people = [
        _describe(counted[i], ids[place], i in hosts, total)
        for place, i in enumerate(counted_order)
    ]
    names = {id(counted[i].group): ids[place] for place, i in enumerate(counted_order)}
    turns = sorted(corrected.turns)
    return SpeakersFile(
        speakers=_flag_alike(_flag_namesakes(people)),
        moved_turns=tuple(
            MovedTurn(recording=r, turn=t, speaker=names[id(corrected.turns[r, t])])
            for r, t in turns
        ),
        stale=tuple(corrected.stale),
        encoder=encoder,
    )


def _move_turns(
    counted: Sequence[_Counted],
    corrected: Corrected,
    moved: Mapping[tuple[str, int], MovedSpeech],
) -> None:
    for turn, owner in corrected.turns.items():
        speech = moved.get(turn, MovedSpeech("", 0, 0.0))
        for one in counted:
            is_owner, was_owner = one.group is owner, (turn[0], speech.label) in one.group.members
            sign = int(is_owner) - int(was_owner)
            one.words = max(0, one.words + sign * speech.words)
            if one.seconds is not None:
                one.seconds = round(max(0.0, one.seconds + sign * speech.seconds), 3)
            if is_owner:
                one.visits.add(turn[0])
            elif was_owner:
                one.lent.add(turn)


def _count(group: Group, speakers: Mapping[tuple[str, str], LocalSpeaker]) -> _Counted:
    members = [
        (recording, speakers[recording, label]) for recording, label in sorted(group.members)
    ]
    timed = [one.seconds for _, one in members if one.seconds is not None]
    named_by: NamedBy = "person" if group.given else "label" if group.name else "nobody"
    return _Counted(
        group=group,
        voice=Voice(members, group.name),
        named_by=named_by,
        words=sum(one.words for _, one in members),
        seconds=round(sum(timed), 3) if timed else None,
    )


def _describe(one: _Counted, speaker_id: str, is_host: bool, total: int) -> ShowSpeaker:
    members = [local for _, local in one.voice.members]
    share = one.words / total
    long_s = sum(
        local.seconds if local.seconds is not None else local.words / WORDS_PER_SECOND
        for local in members
    )
    tiny = share < TINY_SHARE and long_s < TINY_S
    flags: tuple[str, ...] = ()
    if tiny and not one.group.dropped:
        flags = (f"hardly heard ({share:.1%} of all words): it may not be a person of its own",)
    role: Role = "host" if is_host else "guest"
    if tiny or one.group.dropped:
        role = "other"
    return ShowSpeaker(
        id=speaker_id,
        name=one.voice.name,
        role=role,
        named_by=one.named_by,
        share=round(share, 5),
        words=one.words,
        turns=sum(local.turns for local in members),
        recordings=tuple(sorted(one.voice.recordings | one.visits)),
        seconds=one.seconds,
        tiny=tiny,
        dropped=one.group.dropped,
        flags=flags,
        evidence=tuple(one.voice.evidence),
        excerpts=_choose_excerpts(members, one.lent),
        voiceprint=_mean_print(members),
        members=tuple(
            Member(recording=recording, label=local.label, words=local.words)
            for recording, local in one.voice.members
        ),
    )


def _choose_excerpts(
    members: Sequence[LocalSpeaker], lent: Collection[tuple[str, int]]
) -> tuple[Excerpt, ...]:
    """Three, from different recordings where there are as many, those with most words first."""
    ranked = sorted(members, key=lambda one: -one.words)
    own = [[x for x in one.excerpts if (x.recording, x.turn) not in lent] for one in ranked]
    in_turn = [
        excerpts[place] for place in range(EXCERPTS) for excerpts in own if place < len(excerpts)
    ]
    return tuple(in_turn[:EXCERPTS])


def _mean_print(members: Sequence[LocalSpeaker]) -> tuple[float, ...]:
    heard = [one for one in members if one.voiceprint]
    if not heard:
        return ()
    weights = np.array([max(1.0, one.voiced_s) for one in heard])
    mean = (np.array([one.voiceprint for one in heard]) * weights[:, None]).sum(axis=0)
    unit = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return tuple(round(float(value), 5) for value in unit)


def _give_ids(ordered: Sequence[_Counted], before: SpeakersFile) -> list[str]:
    """Ids from names, or `voice-1`, `voice-2`, …; who had one of either kind keeps it."""
    old = {
        (member.recording, member.label): speaker.id
        for speaker in before.speakers
        for member in speaker.members
    }
    taken: set[str] = set()
    ids: list[str | None] = [None] * len(ordered)
    stems = [slugify(one.voice.name, fallback="voice") for one in ordered]
    # first those that keep theirs, so that nobody new takes it
    for i, one in enumerate(ordered):
        votes: dict[str, int] = {}
        for recording, local in one.voice.members:
            had = old.get((recording, local.label), "")
            if _fits(had, stems[i]):
                votes[had] = votes.get(had, 0) + local.words + 1
        free = {had: words for had, words in votes.items() if had not in taken}
        if free:
            ids[i] = max(free, key=lambda had: (free[had], had))
            taken.add(str(ids[i]))
    reserved = {speaker.id for speaker in before.speakers if speaker.id.startswith("voice-")}
    for i, stem in enumerate(stems):
        if ids[i] is None:
            ids[i] = _next_id(stem, taken | (reserved if stem == "voice" else set()))
            taken.add(str(ids[i]))
    return [str(one) for one in ids]


def _fits(had: str, stem: str) -> bool:
    tail = had.removeprefix(stem)
    numbered = tail.startswith("-") and tail[1:].isdigit()
    return had.startswith(stem) and (numbered or (not tail and stem != "voice"))


def _next_id(stem: str, taken: set[str]) -> str:
    number = 1
    while True:
        new = f"{stem}-{number}" if number > 1 or stem == "voice" else stem
        if new not in taken:
            return new
        number += 1


def _flag_namesakes(people: Sequence[ShowSpeaker]) -> tuple[ShowSpeaker, ...]:
    """Say of everybody with another's name that there is one."""
    by_key: dict[str, list[str]] = {}
    for one in people:
        if one.name:
            by_key.setdefault(name_key(one.name), []).append(one.id)
    flagged = []
    for one in people:
        others = [other for other in by_key.get(name_key(one.name), []) if other != one.id]
        if one.name and others:
            flag = (
                f"the same name as {', '.join(others[:3])}, but another voice: merge them if it is "
                "one person"
            )
            one = msgspec.structs.replace(one, flags=(*one.flags, flag))
        flagged.append(one)
    return tuple(flagged)


def _flag_alike(people: Sequence[ShowSpeaker]) -> tuple[ShowSpeaker, ...]:
    """Say of everybody who sounds much like another which one that is."""
    heard = [i for i, one in enumerate(people) if one.voiceprint and not one.dropped]
    if len(heard) < 2:
        return tuple(people)
    prints = np.array([people[i].voiceprint for i in heard], dtype=np.float32)
    flagged = list(people)
    for row, i in enumerate(heard):
        cosines = prints @ prints[row]
        cosines[row] = -1.0
        nearest = int(np.argmax(cosines))
        if cosines[nearest] >= ALIKE:
            other = people[heard[nearest]]
            flag = f"sounds much like {other.id} ({cosines[nearest]:.2f}): merge them if it is one"
            flagged[i] = msgspec.structs.replace(people[i], flags=(*people[i].flags, flag))
    return tuple(flagged)
