"""Whether the built-in clone's two voices are told apart, and how long it takes: one JSON line.

    python bench/likeness.py [AUDIO AUDIO]

Two references (left out: Katie's and Steve's, beside the repository) become two voices, and each
says the same ten sentences. A rendering is right where it is nearer to its own reference than to
the other's: by voiceprint (cosine), and by median pitch (octaves). `plain` is the nearest to the
reference of the built-in eSpeak voices of the same register, chosen by pitch. The voiceprints need
podcaster[asr]; all else is in the base install.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr

from podcaster import audio
from podcaster.model import Voice
from podcaster.speak.engine import Samples, Voicer
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.espeak_voice import parse_settings
from podcaster.speak.likeness.pitch import track_pitch
from podcaster.speak.likeness.voicer import LikenessVoicer
from podcaster.speak.voices import builtin_folder, read_voices
from podcaster.voiceprint import SAMPLE_RATE_HZ, Encoder

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "audio"
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
    place.parent.mkdir(parents=True)
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


def render(engine: Voicer, voice: Voice) -> tuple[list[Samples], float]:
    """The ten sentences at the encoder's rate, and the seconds that speaking took."""
    start = time.monotonic()
    spoken = [engine.say([text], voice, language="en", seed=7) for text in SENTENCES]
    seconds = time.monotonic() - start
    return [
        soxr.resample(one.samples, one.sample_rate_hz, SAMPLE_RATE_HZ) for one in spoken
    ], seconds


def median_hz(samples: Samples) -> float:
    """The median pitch of one voice."""
    pitch_hz = track_pitch(samples, SAMPLE_RATE_HZ).pitch_hz
    return float(np.median(pitch_hz[pitch_hz > 0]))


def compare(references: Sequence[Path], folder: Path) -> dict[str, object]:
    """Make the voices, speak, and count."""
    encoder, engine, espeak = Encoder(), LikenessVoicer(), EspeakVoicer()
    heard = [np.concatenate(list(audio.decode(one, SAMPLE_RATE_HZ, 1))) for one in references]
    prints = [encoder.embed(one) for one in heard]
    pitches = [median_hz(one) for one in heard]
    builtin, _ = read_voices([builtin_folder()])
    results: dict[str, object] = {}
    for own, path in enumerate(references):
        other = 1 - own
        voice = make_voice(path.stem, path, folder)
        start = time.monotonic()
        measures = engine.study(voice).measures
        studied_s = time.monotonic() - start
        spoken, seconds = render(engine, voice)
        similar = [[float(encoder.embed(one) @ each) for each in prints] for one in spoken]
        octaves = [[abs(np.log2(median_hz(one) / each)) for each in pitches] for one in spoken]
        plain = min(
            builtin.values(), key=lambda v: abs(np.log2(parse_settings(v).pitch_hz / pitches[own]))
        )
        unlike = [float(encoder.embed(one) @ prints[own]) for one in render(espeak, plain)[0]]
        length_s = sum(len(one) for one in spoken) / SAMPLE_RATE_HZ
        results[path.stem] = {
            "nearer_by_voiceprint": sum(s[own] > s[other] for s in similar),
            "nearer_by_pitch": sum(bool(o[own] < o[other]) for o in octaves),
            "of": len(spoken),
            "mean_similarity": round(float(np.mean([s[own] for s in similar])), 3),
            "mean_margin": round(float(np.mean([s[own] - s[other] for s in similar])), 3),
            "least_margin": round(min(s[own] - s[other] for s in similar), 3),
            "plain": plain.name,
            "plain_similarity": round(float(np.mean(unlike)), 3),
            "rendered_hz": round(float(np.median([median_hz(one) for one in spoken])), 1),
            "reference_hz": round(pitches[own], 1),
            "formant_scale": measures.formant_scale,
            "pitch_range_semitones": measures.pitch_range_semitones,
            "tilt_db_per_octave": measures.tilt_db_per_octave,
            "study_s": round(studied_s, 2),
            "real_time_factor": round(seconds / length_s, 4),
        }
    return results


def main() -> None:
    """Print the line."""
    given = [Path(argument) for argument in sys.argv[1:3]]
    references = given or [SHARED / "katie-reference.wav", SHARED / "steve-reference.wav"]
    with tempfile.TemporaryDirectory() as folder:
        found = compare(references, Path(folder))
    print(json.dumps({"bench": "likeness", **found}))


if __name__ == "__main__":
    main()
