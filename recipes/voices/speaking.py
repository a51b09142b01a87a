"""The thirty sentences, spoken by a voice and kept, for they take a minute or more."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soxr

from podcaster import audio
from podcaster.model import Voice
from podcaster.speak.engine import Samples, Voicer

HEARING_RATE_HZ = 16_000
SENTENCES = tuple(
    (Path(__file__).parent / "sentences.txt").read_text(encoding="utf-8").splitlines()
)
# what does not change the sound
_SILENT_SETTINGS = ("silence_s",)


def speak(
    voicer: Voicer, voice: Voice, clips: Path, sentences: Sequence[str], language: str
) -> list[Samples]:
    """Each sentence at HEARING_RATE_HZ; found in `clips` where this voice has said it before."""
    settings = {k: v for k, v in voice.engine_settings.items() if k not in _SILENT_SETTINGS}
    sounds = []
    for sentence in sentences:
        decided = repr((voicer.id, voice.engine, sorted(settings.items()), language, sentence))
        digest = hashlib.sha256(decided.encode()).hexdigest()[:16]
        path = clips / f"{voice.name}-{digest}.wav"
        if not path.is_file():
            speech = voicer.say([sentence], voice, language=language, seed=1)
            heard = soxr.resample(speech.samples, speech.sample_rate_hz, HEARING_RATE_HZ)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(audio.format_wav(heard, HEARING_RATE_HZ))
        samples, _ = audio.read_wav(path)
        sounds.append(np.asarray(samples, dtype=np.float32).reshape(-1))
    return sounds
