"""Whether likenesses are told apart and understood, and how long they take: one JSON line.

    python bench/likeness.py [AUDIO ...]

Each reference (left out: Katie's and Steve's, beside the repository) becomes a voice, and says the
same ten sentences: through Kokoro, and through eSpeak NG, which speaks the languages that Kokoro
has not. `similarity` is the mean cosine of voiceprints to its own reference, `margin` that less the
nearest other's, `nearer` how many of ten are nearest to their own; `word_error` is Whisper's
(tiny.en). Needs podcaster[asr].
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from podcaster import audio
from podcaster.engines import open_engine
from podcaster.model import Voice
from podcaster.setup.packaged import find_packaged
from podcaster.speak.checks.words import compare_words
from podcaster.speak.engine import Samples, Voicer
from podcaster.speak.likeness.pitch import track_pitch
from podcaster.speak.options import SpeakOptions
from podcaster.voiceprint import SAMPLE_RATE_HZ, Encoder
from podcaster.voicing import speech_spec

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "audio"
ENGINES = ("likeness", "likeness_sketch")
SENTENCES = (
    "We drove along the coast until the road turned into sand.",
    "Could you tell me where the nearest library might be?",
    "Most people forget their umbrellas on the very first sunny day.",
    "The committee will publish its answer before the end of the month.",
    "I still remember the smell of the workshop where my aunt repaired violins.",
    "Nobody expected the smallest team to win the final game.",
    "If the bread is still warm, please leave two loaves on the table.",
    "It took three years and a great deal of patience to finish that map.",
    "Why would anybody want to live on top of such a windy hill?",
    "In the morning we measured the water again, and it had risen.",
)


def make_voice(name: str, reference: Path, folder: Path) -> Voice:
    """A voice of one reference, copied to where its measures may be kept."""
    place = folder / name / reference.name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(reference.read_bytes())
    return Voice(
        name=name,
        engine="likeness",
        description="For measuring.",
        languages=("en",),
        words_per_minute=165.0,
        licence="none",
        sha256="0" * 64,
        references=(str(place),),
    )


def median_hz(samples: Samples) -> float:
    """The median pitch of one voice."""
    pitch_hz = track_pitch(samples, SAMPLE_RATE_HZ).pitch_hz
    return float(np.median(pitch_hz[pitch_hz > 0]))


def count_errors(whisper: Any, sounds: Sequence[Samples]) -> float:
    """Word errors over the sentences, as a share of their words."""
    errors, words = 0.0, 0
    for sound, sentence in zip(sounds, SENTENCES, strict=True):
        segments, _ = whisper.transcribe(np.pad(sound, 5000), language="en", beam_size=5)
        found = compare_words(sentence, " ".join(one.text for one in segments), "en")
        errors, words = errors + found.errors, words + found.words
    return errors / words


def measure(
    engine: Voicer, voice: Voice, own: int, prints: Sequence[Samples], encoder: Encoder, ear: Any
) -> dict[str, object]:
    """What one engine makes of one voice."""
    start = time.process_time()
    engine.say(["Yes."], voice, language="en", seed=0)  # finds what it keeps
    studied_s = time.process_time() - start
    start = time.process_time()
    spoken = [engine.say([text], voice, language="en", seed=7) for text in SENTENCES]
    took_s = time.process_time() - start
    sounds = [soxr.resample(one.samples, one.sample_rate_hz, SAMPLE_RATE_HZ) for one in spoken]
    similar = np.array([[float(encoder.embed(one) @ each) for each in prints] for one in sounds])
    others = np.delete(similar, own, axis=1).max(axis=1)
    return {
        "similarity": round(float(similar[:, own].mean()), 3),
        "margin": round(float((similar[:, own] - others).mean()), 3),
        "nearer": int((similar[:, own] > others).sum()),
        "spoken_hz": round(float(np.median([median_hz(one) for one in sounds])), 1),
        "word_error": round(count_errors(ear, sounds), 3),
        "study_cpu_s": round(studied_s, 1),
        "cpu_per_s": round(took_s * SAMPLE_RATE_HZ / sum(len(one) for one in sounds), 3),
    }


def main() -> None:
    """Measure, and print the line."""
    from faster_whisper import WhisperModel

    given = [Path(argument) for argument in sys.argv[1:]]
    references = given or [SHARED / "katie-reference.wav", SHARED / "steve-reference.wav"]
    encoder = Encoder()
    ear = WhisperModel(
        str(find_packaged("whisper-tiny.en").folder), device="cpu", compute_type="int8"
    )
    heard = [np.concatenate(list(audio.decode(one, SAMPLE_RATE_HZ, 1))) for one in references]
    prints = [encoder.embed(one) for one in heard]
    rows: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ENGINES:
            engine = open_engine("speak", name, **speech_spec(name, SpeakOptions()).settings)
            for own, path in enumerate(references):
                voice = make_voice(path.stem, path, Path(folder))
                row = measure(engine, voice, own, prints, encoder, ear)
                rows[f"{path.stem} {name}"] = {
                    "reference_hz": round(median_hz(heard[own]), 1),
                    **row,
                }
                print(path.stem, name, row, file=sys.stderr, flush=True)
            engine.close()
    print(json.dumps({"bench": "likeness", "sentences": len(SENTENCES), **rows}))


if __name__ == "__main__":
    main()
