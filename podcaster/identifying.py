"""The stage `speakers` over a show's recordings: who is who, across all of them.

Each recording is a unit of work: its voices counted, printed, and what its words say of names.
Then all are matched, a person's corrections applied, and names proposed; that takes seconds and is
done each time.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from podcaster import __version__
from podcaster.errors import InputError, PodcasterError
from podcaster.mapping import Mapper
from podcaster.model import Record, Transcript, parse, to_json
from podcaster.progress import Progress
from podcaster.recordings import (
    RECORD_SUFFIX,
    SPEAKERS,
    Tally,
    describe_tally,
    read_recordings,
    read_words,
)
from podcaster.referencing import VoiceFolder, keep_references
from podcaster.run import (
    RECORD_NAME,
    Run,
    fingerprint,
    open_show_run,
    read_bytes,
    read_record,
    sha256_file,
    write_atomic,
    write_record,
)
from podcaster.speakers.corrections import Corrections, Group, TurnFinder, apply_corrections
from podcaster.speakers.matching import Sample, match_voices
from podcaster.speakers.names import name_key
from podcaster.speakers.people import (
    MovedSpeech,
    Naming,
    ShowSpeaker,
    SpeakersFile,
    describe_people,
    resolve_transcript,
)
from podcaster.speakers.recording import RecordingSpeakers, end_of
from podcaster.speakers.requests import Desk, Requests
from podcaster.speakers.stage import STAGE_VERSION
from podcaster.units import count_words
from podcaster.voiceprinting import Ears, listen_to_speakers, plan_recordings, read_shows

SPEAKERS_JSON = "speakers.json"
CORRECTIONS_JSON = "corrections.json"


@dataclass(frozen=True)
class Identified:
    """Who speaks in a show, how the work went, and where references of voices lie, by speaker."""

    show: str
    people: SpeakersFile
    tally: Tally
    voices: dict[str, VoiceFolder]
    without_speakers: tuple[str, ...] = ()  # recordings whose words nobody has told apart


def identify_show(
    home: Path,
    name: str,
    progress: Progress,
    *,
    mapper: Mapper,
    corrections: Requests | None = None,
    references: bool = True,
    ears: Ears | None = None,
) -> Identified:
    """Bring a show's speakers up to date, after taking down `corrections` if there are any.

    `references`: cut the cleanest passages of each to `voices/` of the workspace.

    Raises InputError for a show that is not there or has no words yet, and for corrections that
    refer to nothing; EngineMissing where voices must be compared and no encoder is installed;
    RunLocked where another process works on the show.
    """
    run = open_show_run(home, name, version=__version__)
    with run.lock():
        recordings = list(read_recordings(run))
        tally = Tally()
        units = plan_recordings(run, recordings)
        if not units:
            raise InputError(
                f"The show {run.name} has no words yet.",
                next_step=f"Type `podcaster show transcribe {run.name}`.",
            )
        listen_to_speakers(run, units, ears or Ears(), mapper, progress, tally)
        shows = read_shows(run, units)
        read = cache(lambda recording: read_words(run, recording))
        # read before anything is written: a broken file of a person's is told and left as it is
        known = read_corrections(run)
        table = _Table(shows, _read_before(run), read)
        people = table.identify(known)
        if corrections:
            added = Desk(people, shows, recordings, read).write_down(corrections)
            known = Corrections(corrections=(*known.corrections, *added))
            people = table.identify(known)
            write_atomic(run.path / SPEAKERS / CORRECTIONS_JSON, to_json(known))
        for line in people.stale:
            progress.note(line)
        _write_speakers(run, people)
        voices = keep_references(
            home, run, people, shows, recordings, mapper, progress, cut_voices=references
        )
    unnamed = tuple(show.recording for show in shows if not show.speakers)
    return Identified(run.name, people, tally, voices, unnamed)


def read_speakers(run: Run) -> SpeakersFile:
    """Who speaks in a show, as `speakers` left it. Raises InputError where it has not been run."""
    people = _read_speakers_or_none(run)
    if people is None:
        raise InputError(
            f"Who speaks in the show {run.name} has not been found out yet.",
            next_step=f"Type `podcaster show speakers {run.name}`.",
        )
    return people


def read_named_words(
    run: Run, recording_id: str, naming: Naming | None = None
) -> Transcript | None:
    """A recording's words with speakers' ids for labels; None where there are no words.

    For many recordings make one `Naming(read_speakers(run))` and hand it in. Raises InputError
    where `speakers` has not been run.
    """
    transcript = read_words(run, recording_id)
    if transcript is None:
        return None
    known = naming or Naming(read_speakers(run))
    return resolve_transcript(transcript, recording_id, known)


def read_corrections(run: Run) -> Corrections:
    """What a person said of a show's speakers. Raises InputError where the file is not valid."""
    path = run.path / SPEAKERS / CORRECTIONS_JSON
    if not path.is_file():
        return Corrections()
    return parse(read_bytes(path), Corrections, where=str(path))


def describe_identified(identified: Identified) -> dict[str, Any]:
    """The result for scripts."""
    result = describe_tally(identified.show, identified.tally)
    result["speakers"] = [
        _describe_speaker(one, identified.voices.get(one.id)) for one in identified.people.speakers
    ]
    result["without_speakers"] = list(identified.without_speakers)
    result["stale_corrections"] = list(identified.people.stale)
    return result


def _describe_speaker(speaker: ShowSpeaker, voice: VoiceFolder | None) -> dict[str, Any]:
    return {
        "id": speaker.id,
        "name": speaker.name,
        "role": speaker.role,
        "share": speaker.share,
        "recordings": list(speaker.recordings),
        "seconds": speaker.seconds,
        "words": speaker.words,
        "turns": speaker.turns,
        "named_by": speaker.named_by,
        "dropped": speaker.dropped,
        "tiny": speaker.tiny,
        "flags": list(speaker.flags),
        "evidence": [
            {"recording": one.recording, "name": one.name, "kind": one.kind, "points": one.points}
            | {"turn": one.turn or None, "text": one.text}
            for one in speaker.evidence
        ],
        "excerpts": [
            {"recording": one.recording, "turn": one.turn, "start_s": one.start_s, "text": one.text}
            for one in speaker.excerpts
        ],
        "clip": str(voice.clip) if voice and voice.clip else None,
        "voice": voice.name if voice else None,
        "consent": voice.consent if voice else None,
    }


class _Table:
    """A show's voices as they were matched, to which corrections are applied, perhaps twice."""

    def __init__(
        self,
        shows: Sequence[RecordingSpeakers],
        before: SpeakersFile | None,
        read: Callable[[str], Transcript | None],
    ) -> None:
        self.shows, self.before, self.read = shows, before or SpeakersFile(), read
        self.encoder = next((show.encoder for show in shows if show.encoder), "")
        labels = [(show.recording, one) for show in shows for one in show.speakers]
        samples = [
            Sample(
                recording,
                one.label,
                name_key(one.name),
                np.array(one.voiceprint, dtype=np.float32) if one.voiceprint else None,
                one.voiced_s,
            )
            for recording, one in labels
        ]
        self.voices: list[tuple[frozenset[tuple[str, str]], str]] = []
        for members in match_voices(samples):
            # spelt as in the recording where most is said under it
            named = max(
                (labels[i][1] for i in members), key=lambda one: (bool(one.name), one.words)
            )
            whose = frozenset((labels[i][0], labels[i][1].label) for i in members)
            self.voices.append((whose, named.name))

    def identify(self, corrections: Corrections) -> SpeakersFile:
        """Who is who, after these corrections."""
        groups = [Group(set(members), name) for members, name in self.voices]
        corrected = apply_corrections(groups, corrections, TurnFinder(self.read))
        moved = {}
        for recording, turn in corrected.turns:
            transcript = self.read(recording)
            if transcript is not None:
                moved[recording, turn] = _measure_turn(transcript, turn)
        return describe_people(corrected, self.shows, moved, self.before, self.encoder)


def _measure_turn(transcript: Transcript, turn: int) -> MovedSpeech:
    utterance = transcript.utterances[turn - 1]
    end_s = end_of(transcript, turn - 1)
    timed = utterance.start_s is not None and end_s is not None
    seconds = end_s - utterance.start_s if timed else 0.0  # type: ignore[operator]
    return MovedSpeech(utterance.speaker or "", count_words(utterance.text), seconds)


def _read_speakers_or_none(run: Run) -> SpeakersFile | None:
    folder = run.path / SPEAKERS
    if read_record(folder / RECORD_NAME) is None:
        return None
    where = folder / SPEAKERS_JSON
    return parse(read_bytes(where), SpeakersFile, where=str(where))


def _read_before(run: Run) -> SpeakersFile | None:
    """The last run's file, for its ids; one that is damaged is made anew."""
    try:
        return _read_speakers_or_none(run)
    except PodcasterError:
        return None


def _write_speakers(run: Run, people: SpeakersFile) -> None:
    folder = run.stage_folder(SPEAKERS)
    write_atomic(folder / SPEAKERS_JSON, to_json(people, indent=0))
    inputs = {
        path.name: sha256_file(path)
        for path in sorted(folder.glob("*.json"))
        if path.name == CORRECTIONS_JSON
    }
    records = sorted(folder.glob(f"*{RECORD_SUFFIX}"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in records)).hexdigest()
    inputs["recordings"] = digest
    engine = people.encoder or "names"
    write_record(
        folder / RECORD_NAME,
        Record(
            stage=SPEAKERS,
            item=SPEAKERS,
            fingerprint=fingerprint(SPEAKERS, STAGE_VERSION, {}, engine, inputs),
            inputs=inputs,
            options={},
            engine=engine,
            outputs={SPEAKERS_JSON: sha256_file(folder / SPEAKERS_JSON)},
            seconds=0.0,
            counts={"speakers": len(people.speakers)},
        ),
    )
