"""Who speaks in one recording: how much, where, and what tells who it is.

A turn is an utterance of the transcript, and is counted from 1.
"""

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from podcaster.model import Noun, Seconds, Transcript
from podcaster.speakers.names import clean_name, is_local_label
from podcaster.units import count_words, split_words

LONGEST_EXCERPT = 240  # characters
EXCERPTS = 3
ANCHORS = 3
WORDS_PER_SECOND = 2.5  # of conversation; only to judge what has no times

EvidenceKind = Literal[
    "introduces-self", "introduced", "addressed", "introduces", "person", "title"
]


class Stretch(Noun, frozen=True):
    """A clean passage of one voice; `snr_db` is speech over what is heard in its pauses."""

    start_s: Seconds
    end_s: Seconds
    snr_db: float


class TurnRef(Noun, frozen=True):
    """A turn as it is found again after the words or their labels were made anew.

    `sha256` is the beginning of the hash of its words; `text` is for people.
    """

    recording: str
    turn: int
    sha256: str
    start_s: Seconds | None = None
    end_s: Seconds | None = None
    text: str = ""


class Excerpt(Noun, frozen=True):
    """Something that a speaker says, for people to tell who it is."""

    recording: str
    turn: int
    start_s: Seconds | None
    text: str


class Evidence(Noun, frozen=True):
    """Why a label may bear a name (or, with less than 0 points, may not); turn 0: a title's."""

    recording: str
    label: str
    name: str
    kind: EvidenceKind
    points: float
    turn: int
    text: str


class NameHint(Noun, frozen=True):
    """A name that goes with a recording, and nobody says whose it is."""

    name: str
    role: Literal["host", "guest", ""]
    kind: EvidenceKind
    points: float
    text: str


class LocalSpeaker(Noun, frozen=True):
    """One label of a recording.

    `name` is the label where it is a real name. `seconds` is None where the transcript has no
    times. `cues` counts what hosts say. `voiceprint` is empty without sound; `voiced_s` is how
    much speech it was made of. `stretches` are its cleanest passages, best first.
    """

    label: str
    name: str
    words: int
    turns: int
    share: float
    first_turn: int
    seconds: Seconds | None = None
    first_s: Seconds | None = None
    cues: int = 0
    excerpts: tuple[Excerpt, ...] = ()
    anchors: tuple[TurnRef, ...] = ()
    voiceprint: tuple[float, ...] = ()
    voiced_s: Seconds = 0.0
    stretches: tuple[Stretch, ...] = ()


class RecordingSpeakers(Noun, frozen=True):
    """What `speakers/<recording>.json` says."""

    recording: str
    language: str
    speakers: tuple[LocalSpeaker, ...]
    evidence: tuple[Evidence, ...] = ()
    hints: tuple[NameHint, ...] = ()
    encoder: str = ""


def end_of(transcript: Transcript, index: int) -> float | None:
    """When an utterance ends: as it says, or when the next one begins. None: nobody knows."""
    utterance = transcript.utterances[index]
    if utterance.end_s is not None or utterance.start_s is None:
        return utterance.end_s
    for later in transcript.utterances[index + 1 :]:
        if later.start_s is not None:
            return max(utterance.start_s, later.start_s)
    return transcript.duration_s


def hash_words(text: str) -> str:
    """The beginning of the SHA-256 of a turn's words, without case and punctuation."""
    return hashlib.sha256(" ".join(split_words(text)).encode()).hexdigest()[:16]


def refer_to_turn(transcript: Transcript, recording: str, index: int) -> TurnRef:
    """What finds utterance `index` again."""
    utterance = transcript.utterances[index]
    return TurnRef(
        recording=recording,
        turn=index + 1,
        sha256=hash_words(utterance.text),
        start_s=utterance.start_s,
        end_s=end_of(transcript, index),
        text=shorten(utterance.text, 80),
    )


def shorten(text: str, longest: int = LONGEST_EXCERPT) -> str:
    """Text on one line, cut at a word with an ellipsis where it is longer."""
    plain = " ".join("".join(ch if ch.isprintable() else " " for ch in text).split())
    if len(plain) <= longest:
        return plain
    return plain[: longest - 1].rsplit(" ", 1)[0].rstrip(",;:–—-") + "…"


def count_speakers(transcript: Transcript, recording: str) -> tuple[LocalSpeaker, ...]:
    """Each label with what can be counted in the words alone, in the order of first appearance."""
    places: dict[str, list[int]] = {}
    for index, utterance in enumerate(transcript.utterances):
        if utterance.speaker is not None:
            places.setdefault(utterance.speaker, []).append(index)
    lengths = [count_words(utterance.text) for utterance in transcript.utterances]
    total = sum(lengths[index] for indices in places.values() for index in indices) or 1
    runs = _count_runs(transcript)
    speakers = []
    for label, indices in places.items():
        words = sum(lengths[index] for index in indices)
        first = transcript.utterances[indices[0]]
        longest = sorted(indices, key=lambda index: (-lengths[index], index))[:ANCHORS]
        speakers.append(
            LocalSpeaker(
                label=label,
                name="" if is_local_label(label) else clean_name(label),
                words=words,
                turns=runs[label],
                share=round(words / total, 5),
                first_turn=indices[0] + 1,
                seconds=_sum_seconds(transcript, indices),
                first_s=first.start_s,
                excerpts=_choose_excerpts(transcript, recording, indices, lengths),
                anchors=tuple(refer_to_turn(transcript, recording, index) for index in longest),
            )
        )
    return tuple(speakers)


def _count_runs(transcript: Transcript) -> dict[str, int]:
    """How often each label takes the floor."""
    labels = [utterance.speaker for utterance in transcript.utterances]
    runs: dict[str, int] = {}
    for before, label in pairwise([None, *labels]):
        if label is not None and label != before:
            runs[label] = runs.get(label, 0) + 1
    return runs


def _sum_seconds(transcript: Transcript, indices: Sequence[int]) -> float | None:
    known = False
    total = 0.0
    for index in indices:
        start, end = transcript.utterances[index].start_s, end_of(transcript, index)
        if start is not None and end is not None:
            known = True
            total += max(0.0, end - start)
    return round(total, 3) if known else None


def _choose_excerpts(
    transcript: Transcript, recording: str, indices: Sequence[int], lengths: Sequence[int]
) -> tuple[Excerpt, ...]:
    """From the beginning, the middle and the end, the turn there that is nearest to 25 words."""
    parts = min(EXCERPTS, len(indices))
    chosen = []
    for part in range(parts):
        within = indices[len(indices) * part // parts : len(indices) * (part + 1) // parts]
        index = min(within, key=lambda place: (abs(min(lengths[place], 60) - 25), place))
        utterance = transcript.utterances[index]
        chosen.append(
            Excerpt(
                recording=recording,
                turn=index + 1,
                start_s=utterance.start_s,
                text=shorten(utterance.text),
            )
        )
    return tuple(chosen)
