"""Shows that the tests speak themselves: recordings in our voices, with their words and labels.

`PitchEncoder` is a small speaker encoder of its own: how high a voice speaks. It tells our voices
apart, and needs no extra.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import soxr

from podcaster.audio import Samples, write_wav
from podcaster.identifying import Identified, identify_show
from podcaster.ingest.sources import describe_source
from podcaster.mapping import map_locally
from podcaster.model import Record, Recording, Transcript, Utterance, to_json
from podcaster.recordings import TRANSCRIBE, read_recordings
from podcaster.run import Run, open_show_run, sha256_file, write_atomic, write_record
from podcaster.show import add_sources, ingest_show
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.sketching import sketch
from podcaster.speak.voices import builtin_folder, read_voice
from podcaster.speakers.requests import Requests
from podcaster.voiceprinting import Ears

RATE_HZ = 16_000
SHOW = "tea"


class Notes:
    """Keeps what a person would be told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def report(self, stage: str, done: float, total: float, unit: str) -> None: ...

    def note(self, text: str) -> None:
        self.lines.append(text)


class PitchEncoder:
    """How often a voice has which pitch: a histogram from 60 to 400 Hz as a unit vector `(64,)`."""

    id = "pitch 1"

    def embed(self, samples: Samples) -> np.ndarray:
        edges = np.linspace(np.log(60), np.log(400), 65)
        frame, counts = 800, np.zeros(64)
        for start in range(0, len(samples) - frame, 400):
            part = samples[start : start + frame] - samples[start : start + frame].mean()
            spectrum = np.abs(np.fft.rfft(part, 2 * frame)) ** 2
            correlation = np.fft.irfft(spectrum)[:frame]
            low, high = RATE_HZ // 400, RATE_HZ // 60
            lag = low + int(np.argmax(correlation[low:high]))
            if correlation[lag] > 0.4 * correlation[0] > 0:
                place = np.searchsorted(edges, np.log(RATE_HZ / lag)) - 1
                counts[np.clip(place, 0, 63)] += 1
        smooth = np.convolve(counts, np.hanning(13), mode="same") + 1e-6
        return (smooth / np.linalg.norm(smooth)).astype(np.float32)

    def close(self) -> None: ...


@dataclass(frozen=True)
class PitchSpec:
    """Opens a `PitchEncoder`."""

    stage: str = "voiceprint"
    name: str = "pitch"

    def open(self) -> PitchEncoder:
        return PitchEncoder()


PITCH = Ears(PitchSpec(), "pitch 1")


@cache
def speak(voice: str, text: str) -> Samples:
    """A text in one of our built-in voices: float32 mono at 16 kHz."""
    with closing(EspeakVoicer()) as voicer:
        toml = read_voice(builtin_folder() / voice / "voice.toml")
        speech = voicer.say([text], sketch(toml), language="en", seed=0)
    return np.asarray(soxr.resample(speech.samples, speech.sample_rate_hz, RATE_HZ), np.float32)


Turn = tuple[str, str, Samples]  # label, words, sound


def record(path: Path, turns: Sequence[Turn]) -> Transcript:
    """Write a recording with a faint hiss and a pause between turns; its transcript."""
    parts: list[Samples] = []
    utterances = []
    place_s = 0.0
    for label, text, sound in turns:
        end_s = place_s + len(sound) / RATE_HZ
        utterances.append(Utterance(text=text, speaker=label, start_s=place_s, end_s=end_s))
        parts += [sound, np.zeros(RATE_HZ // 2, dtype=np.float32)]
        place_s = end_s + 0.5
    samples = np.concatenate(parts)
    hiss = np.random.default_rng(len(samples)).standard_normal(len(samples)) * 1e-4
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wav(path, (samples + hiss).astype(np.float32), RATE_HZ)
    return Transcript(
        language="en",
        utterances=tuple(utterances),
        engine="test",
        diariser="test",
        duration_s=place_s,
    )


def keep_words(run: Run, recording: str, transcript: Transcript) -> None:
    """Leave a transcript as the stage `transcribe` does: file and record."""
    folder = run.stage_folder(TRANSCRIBE)
    name = f"{recording}.json"
    write_atomic(folder / name, to_json(transcript))
    made = Record(
        stage=TRANSCRIBE,
        item=recording,
        fingerprint="0" * 64,
        inputs={},
        options={},
        engine="test",
        outputs={name: sha256_file(folder / name)},
        seconds=0.0,
    )
    write_record(folder / f"{recording}.record.json", made)


class SpokenShow:
    """A show in a workspace; recordings are known by the names that they were given."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.transcripts: dict[str, Transcript] = {}

    def add(self, name: str, turns: Sequence[Turn]) -> None:
        self.transcripts[name] = record(self.home / "in" / f"{name}.wav", turns)

    def ingest(self) -> None:
        """Take in all recordings, and leave their words beside them."""
        add_sources(self.home, SHOW, [describe_source(str(self.home / "in"))])
        assert ingest_show(self.home, SHOW, Notes()).failures == []
        for recording in self.recordings().values():
            keep_words(self.run, recording.id, self.transcripts[recording.title])

    @property
    def run(self) -> Run:
        return open_show_run(self.home, SHOW, version="0")

    def recordings(self) -> dict[str, Recording]:
        return {recording.title: recording for recording in read_recordings(self.run)}

    def id_of(self, name: str) -> str:
        return self.recordings()[name].id

    def relabel(self, name: str, labels: dict[str, str]) -> None:
        """The diariser ran again, and calls the voices something else."""
        old = self.transcripts[name]
        utterances = tuple(
            Utterance(
                text=one.text,
                speaker=labels[str(one.speaker)],
                start_s=one.start_s,
                end_s=one.end_s,
            )
            for one in old.utterances
        )
        new = Transcript(
            language=old.language,
            utterances=utterances,
            engine="test",
            diariser="test",
            duration_s=old.duration_s,
        )
        self.transcripts[name] = new
        keep_words(self.run, self.id_of(name), new)

    def identify(
        self,
        notes: Notes | None = None,
        *,
        ears: Ears = PITCH,
        references: bool = True,
        **asked: str,
    ) -> Identified:
        """Run the stage; `asked` are corrections, one of a kind."""
        requests = Requests(**{kind: (text,) for kind, text in asked.items()})
        return identify_show(
            self.home,
            SHOW,
            notes or Notes(),
            mapper=partial(map_locally, workers=1),
            corrections=requests,
            references=references,
            ears=ears,
        )
