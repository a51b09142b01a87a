"""References of a show's voices, cut to `voices/` of the workspace, and clips to play."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from podcaster.audio import Samples, write_wav
from podcaster.errors import VoiceError
from podcaster.mapping import Mapper
from podcaster.model import Recording
from podcaster.progress import Progress
from podcaster.recordings import Unit, locate_audio
from podcaster.run import Run, atomic_path
from podcaster.speak.voices import VOICE_FILE, builtin_folder, read_voice
from podcaster.speakers.people import ShowSpeaker, SpeakersFile
from podcaster.speakers.recording import LocalSpeaker, RecordingSpeakers
from podcaster.speakers.references import (
    Cut,
    CutJob,
    Passage,
    choose_clip,
    choose_passages,
    cut_passages,
    join_sounds,
)
from podcaster.speakers.voice_folders import (
    REFERENCE_WAV,
    Place,
    VoiceNote,
    find_place,
    hash_passages,
    remove_stale,
    write_voice,
)

CLIPS = "clips"
SHARE_WORTH_IT = 0.05  # of an unnamed voice
SLOWEST_WPM, FASTEST_WPM = 60.0, 300.0
USUAL_WPM = 160.0


@dataclass(frozen=True)
class VoiceFolder:
    """A speaker's voice in `voices/` ("" where none was cut), its consent, and a clip to play."""

    name: str
    consent: str | None
    clip: Path | None


@dataclass
class _Want:
    """Something to cut: a reference, or a clip for the ear."""

    passages: tuple[Passage, ...]
    source: str
    speaker: ShowSpeaker
    place: Place | None = None
    note: VoiceNote | None = None
    clip: Path | None = None


@dataclass(frozen=True)
class _Scissors:
    """Cutting needs nothing opened."""

    stage: str = "speakers"
    name: str = "references"

    def open(self) -> "_Scissors":
        return self

    def close(self) -> None:
        return


@dataclass
class _Show:
    """What of a show is needed to cut."""

    run: Run
    home: Path
    members: Mapping[str, list[tuple[str, LocalSpeaker]]]
    languages: Mapping[str, str]
    audio: Mapping[str, Path]
    hashes: dict[str, str] = field(default_factory=dict)


def keep_references(
    home: Path,
    run: Run,
    people: SpeakersFile,
    shows: Sequence[RecordingSpeakers],
    recordings: Sequence[Recording],
    mapper: Mapper,
    progress: Progress,
    *,
    cut_voices: bool,
) -> dict[str, VoiceFolder]:
    """Cut what is new or changed; where each speaker's voice and clip lie, by id.

    Who has a name, or much of the speech, gets a folder in `voices/` (unless `cut_voices` is off);
    all others a clip in the run. What a person changed there is left as it is. A recording that
    cannot be read any more is told to `progress`.
    """
    show = _gather(home, run, people, shows, recordings)
    wants = [want for one in people.speakers if (want := _plan(one, show, cut_voices=cut_voices))]
    missing = [want for want in wants if _is_missing(want)]
    for want, sounds in _cut(missing, show, mapper, progress):
        samples, rate_hz = join_sounds(sounds)
        if want.place is not None and want.note is not None:
            write_voice(want.place, want.note, want.passages, want.source, samples, rate_hz)
        elif want.clip is not None:
            _write_clip(want.clip, samples, rate_hz)
    if cut_voices:
        ids = {one.id for one in people.speakers if not one.dropped}
        for name in remove_stale(home / "voices", run.name, ids):
            progress.note(f"voices/{name} is gone: no speaker of the show is called so any more.")
    return {want.speaker.id: _describe(want) for want in wants}


def _gather(
    home: Path,
    run: Run,
    people: SpeakersFile,
    shows: Sequence[RecordingSpeakers],
    recordings: Sequence[Recording],
) -> _Show:
    speakers = {(show.recording, one.label): one for show in shows for one in show.speakers}
    members = {
        who.id: [(one.recording, speakers[one.recording, one.label]) for one in who.members]
        for who in people.speakers
    }
    audio = {one.id: path for one in recordings if (path := locate_audio(run, one)) is not None}
    hashes = {one.id: one.audio_sha256 for one in recordings}
    languages = {show.recording: show.language for show in shows}
    return _Show(run, home, members, languages, audio, hashes)


def _plan(speaker: ShowSpeaker, show: _Show, *, cut_voices: bool) -> _Want | None:
    """What to cut for a speaker; None where there is no sound of it."""
    members = [one for one in show.members[speaker.id] if one[0] in show.audio]
    worth = bool(speaker.name) or speaker.share >= SHARE_WORTH_IT
    passages = choose_passages(members)
    if cut_voices and worth and passages and not speaker.tiny and not speaker.dropped:
        note = _make_note(speaker, show)
        place = find_place(show.home / "voices", note, _builtin_names())
        if place is not None:
            source = hash_passages(passages, show.hashes)
            return _Want(passages, source, speaker, place=place, note=note)
    passages = choose_clip(members)
    if not passages:
        return None
    source = hash_passages(passages, show.hashes)
    clip = show.run.path / "speakers" / CLIPS / f"{source[:16]}.wav"
    return _Want(passages, source, speaker, clip=clip)


def _builtin_names() -> set[str]:
    return {path.parent.name for path in builtin_folder().glob(f"*/{VOICE_FILE}")}


def _make_note(speaker: ShowSpeaker, show: _Show) -> VoiceNote:
    words = seconds = 0.0
    spoken: dict[str, int] = {}
    for recording, one in show.members[speaker.id]:
        language = show.languages[recording]
        spoken[language] = spoken.get(language, 0) + one.words
        if one.seconds:
            words += one.words
            seconds += one.seconds
    pace = words / seconds * 60.0 if seconds else USUAL_WPM
    return VoiceNote(
        show=show.run.name,
        speaker=speaker.id,
        name=speaker.name,
        languages=tuple(sorted(spoken, key=lambda language: (-spoken[language], language))),
        words_per_minute=round(min(FASTEST_WPM, max(SLOWEST_WPM, pace)), 1),
    )


def _is_missing(want: _Want) -> bool:
    if want.place is not None:
        return want.place.mine and want.place.source != want.source
    return want.clip is not None and not want.clip.is_file()


def _cut(
    wants: Sequence[_Want], show: _Show, mapper: Mapper, progress: Progress
) -> Iterator[tuple[_Want, list[tuple[Samples, int]]]]:
    """Each recording is decoded once for all that is wanted of it."""
    by_recording: dict[str, list[tuple[int, int, Passage]]] = {}
    for i, want in enumerate(wants):
        for j, passage in enumerate(want.passages):
            by_recording.setdefault(passage.recording, []).append((i, j, passage))
    units = [
        Unit(
            recording,
            CutJob(recording, str(show.audio[recording]), tuple(one[2] for one in parts)),
            {},
            size=max(one[2].end_s for one in parts),
            files=(str(show.audio[recording]),),
        )
        for recording, parts in by_recording.items()
    ]
    found: dict[tuple[int, int], tuple[Samples, int]] = {}
    left = [len(want.passages) for want in wants]
    for outcome in mapper(units, _cut_unit, _Scissors(), size=_size_of):
        parts = by_recording[outcome.item.name]
        cut = outcome.result
        if outcome.error is not None:
            progress.note(f"No reference is cut from {outcome.item.name}: {outcome.error}")
        for place, (i, j, _) in enumerate(parts):
            left[i] -= 1
            if cut is not None and len(cut.sounds[place]):
                found[i, j] = (cut.sounds[place], cut.rate_hz)
            if left[i] == 0:
                sounds = [
                    found.pop((i, k)) for k in range(len(wants[i].passages)) if (i, k) in found
                ]
                if sounds:
                    yield wants[i], sounds


def _cut_unit(engine: Any, unit: Unit[CutJob]) -> Cut:
    return cut_passages(engine, unit.item)


def _size_of(unit: Unit[CutJob]) -> float:
    return unit.size


def _write_clip(path: Path, samples: Samples, rate_hz: int) -> None:
    with atomic_path(path) as temporary:
        write_wav(temporary, samples, rate_hz)


def _describe(want: _Want) -> VoiceFolder:
    if want.place is None:
        clip = want.clip if want.clip is not None and want.clip.is_file() else None
        return VoiceFolder("", None, clip)
    clip = want.place.folder / REFERENCE_WAV
    try:
        consent = read_voice(want.place.folder / VOICE_FILE).consent
    except VoiceError:
        consent = None
    return VoiceFolder(
        want.place.folder.name,
        consent.kind if consent else None,
        clip if clip.is_file() else None,
    )
