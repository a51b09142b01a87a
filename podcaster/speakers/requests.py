"""What a person asks for on the command line becomes corrections that survive the next run."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from podcaster.errors import InputError
from podcaster.model import Recording, Transcript
from podcaster.speakers.corrections import (
    MOST_ANCHORS,
    AnyCorrection,
    Drop,
    Merge,
    Reassign,
    Rename,
    Split,
)
from podcaster.speakers.names import clean_name, name_key
from podcaster.speakers.people import ShowSpeaker, SpeakersFile
from podcaster.speakers.recording import RecordingSpeakers, TurnRef, refer_to_turn

_MOST_LISTED = 12
_MOST_DIGITS = 9  # of a turn's number; Python refuses to read thousands


@dataclass(frozen=True)
class Requests:
    """What was typed: `ID=NAME`, `ID=ID`, `ID:RECORDING`, `RECORDING:TURN=ID`, `ID`."""

    rename: tuple[str, ...] = ()
    merge: tuple[str, ...] = ()
    split: tuple[str, ...] = ()
    reassign: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any((self.rename, self.merge, self.split, self.reassign, self.drop))


class Desk:
    """Turns requests into corrections; what they refer to is what the speakers file says now."""

    def __init__(
        self,
        speakers: SpeakersFile,
        shows: Sequence[RecordingSpeakers],
        recordings: Sequence[Recording],
        read: Callable[[str], Transcript | None],
    ) -> None:
        """`read` gives a recording's transcript, None where there is none."""
        self._speakers = speakers.speakers
        self._recordings = recordings
        self._read = read
        self._anchors = {
            (show.recording, one.label): one.anchors for show in shows for one in show.speakers
        }

    def write_down(self, requests: Requests) -> tuple[AnyCorrection, ...]:
        """The corrections, in an order in which none is in another's way.

        Raises InputError where one refers to something that is not there.
        """
        return (
            *(self._split(text) for text in requests.split),
            *(self._reassign(text) for text in requests.reassign),
            *(self._merge(text) for text in requests.merge),
            *(self._drop(text) for text in requests.drop),
            *(self._rename(text) for text in requests.rename),
        )

    def _rename(self, text: str) -> Rename:
        who, name = _halve(text, "=", "--rename ID=NAME")
        plain = clean_name(name)
        if not name_key(plain):
            raise InputError(f"--rename {text!r} gives no name, expected ID=NAME.")
        speaker = self._find(who)
        key = name_key(plain)
        namesakes = [
            one.id
            for one in self._speakers
            if one.id != speaker.id and name_key(one.name) == key and one.named_by != "proposal"
        ]
        if len(namesakes) > 1 and name_key(speaker.name) != key:
            raise InputError(
                f"{_list(namesakes)} are called {plain!r}, and are kept apart.",
                next_step=f"Say which one it is: --merge {speaker.id}={namesakes[0]}.",
            )
        return Rename(who=self._refer(speaker), called=speaker.id, name=plain)

    def _merge(self, text: str) -> Merge:
        who, into = _halve(text, "=", "--merge ID=ID")
        speaker, other = self._find(who), self._find(into)
        if speaker.id == other.id:
            raise InputError(f"--merge {text!r} names one speaker twice, expected two.")
        return Merge(who=self._refer(speaker), called=speaker.id, into=self._refer(other))

    def _split(self, text: str) -> Split:
        who, _, where = text.partition(":")
        speaker = self._find(who)
        recording = self._find_recording(where)
        if recording not in speaker.recordings:
            raise InputError(
                f"{speaker.id} is not heard in {recording}; it is in {_list(speaker.recordings)}.",
                next_step="Choose one of these.",
            )
        if len(speaker.recordings) < 2 and len(speaker.members) < 2:
            raise InputError(f"{speaker.id} is heard in {recording} alone: nothing is to be split.")
        return Split(who=self._refer(speaker, recording), called=speaker.id)

    def _reassign(self, text: str) -> Reassign:
        place, to = _halve(text, "=", "--reassign RECORDING:TURN=ID")
        where, _, number = place.rpartition(":")
        recording = self._find_recording(where)
        transcript = self._read(recording)
        count = len(transcript.utterances) if transcript else 0
        number = number.strip()
        possible = number.isdecimal() and len(number) <= _MOST_DIGITS
        if transcript is None or not possible or not 1 <= int(number) <= count:
            raise InputError(
                f"There is no turn {number[:60]!r} in {recording}; its turns are 1 to {count}."
            )
        if transcript.utterances[int(number) - 1].speaker is None:
            raise InputError(f"Turn {number} of {recording} is nobody's: there are no speakers.")
        speaker = self._find(to)
        ref = refer_to_turn(transcript, recording, int(number) - 1)
        return Reassign(who=(ref,), called=place, to=self._refer(speaker))

    def _drop(self, text: str) -> Drop:
        speaker = self._find(text)
        return Drop(who=self._refer(speaker), called=speaker.id)

    def _find(self, reference: str) -> ShowSpeaker:
        """A speaker by id, or by name where only one has it."""
        plain = reference.strip()
        for speaker in self._speakers:
            if speaker.id == plain:
                return speaker
        key = name_key(plain)
        named = [speaker for speaker in self._speakers if key and name_key(speaker.name) == key]
        if len(named) == 1:
            return named[0]
        ids = [speaker.id for speaker in self._speakers]
        if named:
            raise InputError(
                f"{plain!r} could be any of {', '.join(speaker.id for speaker in named)}.",
                next_step="Type the id.",
            )
        names = {name_key(speaker.name): speaker.id for speaker in self._speakers}
        close = difflib.get_close_matches(plain.lower(), ids, n=1) or [
            names[found] for found in difflib.get_close_matches(key, names, n=1)
        ]
        raise InputError(
            f"There is no speaker {plain[:60]!r}; there is {_list(ids)}.",
            next_step=f"Did you mean {close[0]!r}?" if close else None,
        )

    def _find_recording(self, reference: str) -> str:
        """A recording by id, by a beginning of it, or by its title."""
        plain = reference.strip()
        ids = [recording.id for recording in self._recordings]
        if plain in ids:
            return plain
        starts = [one for one in ids if plain and one.startswith(plain)]
        titled = [one.id for one in self._recordings if name_key(one.title) == name_key(plain)]
        matches = starts or titled
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise InputError(
                f"{plain!r} could be any of {_list(matches)}.", next_step="Type more of it."
            )
        close = difflib.get_close_matches(plain.lower(), ids, n=1, cutoff=0.5)
        raise InputError(
            f"There is no recording {plain[:60]!r}; there is {_list(ids)}.",
            next_step=f"Did you mean {close[0]!r}?" if close else None,
        )

    def _refer(self, speaker: ShowSpeaker, recording: str = "") -> tuple[TurnRef, ...]:
        """Long turns of a speaker, from as many recordings as there are room for.

        Those with most words first; of each label one, then of each a second, and so on.
        """
        members = sorted(speaker.members, key=lambda one: (-one.words, one.recording, one.label))
        chosen = [one for one in members if recording in ("", one.recording)]
        anchors = [self._anchors.get((one.recording, one.label), ()) for one in chosen]
        rounds = max((len(one) for one in anchors), default=0)
        refs = [one[turn] for turn in range(rounds) for one in anchors if turn < len(one)]
        if not refs:
            raise InputError(f"{speaker.id} says nothing in any recording.")
        return tuple(refs[:MOST_ANCHORS])


def _halve(text: str, sign: str, form: str) -> tuple[str, str]:
    left, found, right = text.partition(sign)
    if not found or not left.strip() or not right.strip():
        raise InputError(f"{text!r} is not of the form {form}.")
    return left.strip(), right.strip()


def _list(names: Iterable[str]) -> str:
    everything = list(names)
    more = len(everything) - _MOST_LISTED
    listed = ", ".join(everything[:_MOST_LISTED])
    return (f"{listed} and {more} more" if more > 0 else listed) or "none"
