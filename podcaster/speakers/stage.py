"""What one recording says of its speakers: counts, voiceprints, names."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from podcaster.model import Person, Transcript
from podcaster.speakers.engine import VoiceEncoder
from podcaster.speakers.introductions import count_cues, find_evidence
from podcaster.speakers.recording import RecordingSpeakers, count_speakers
from podcaster.speakers.titles import find_hints
from podcaster.speakers.voiceprints import print_voices

STAGE_VERSION = 1


def analyse_recording(
    recording: str,
    transcript: Transcript,
    *,
    title: str,
    persons: Sequence[Person],
    description: str,
    audio: Path | None,
    encoder: VoiceEncoder | None,
) -> RecordingSpeakers:
    """Find out what can be known of a recording's speakers without looking at any other.

    Voiceprints need sound and an encoder. Raises InputError where the sound cannot be read,
    EngineError.
    """
    cues = count_cues(transcript)
    speakers = tuple(
        msgspec.structs.replace(one, cues=cues.get(one.label, 0))
        for one in count_speakers(transcript, recording)
    )
    if audio is not None and encoder is not None and speakers:
        speakers = print_voices(audio, transcript, speakers, encoder)
    return RecordingSpeakers(
        recording=recording,
        language=transcript.language,
        speakers=speakers,
        evidence=find_evidence(transcript, recording),
        hints=find_hints(
            title or transcript.title, persons, description or transcript.description, transcript
        ),
        encoder=encoder.id if encoder is not None and audio is not None else "",
    )
