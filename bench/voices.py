"""Whether the built-in voices are told apart, and understood: one JSON line.

    python bench/voices.py CLIPS [--sentences 30] [--whisper FOLDER]

The ten English voices say the same thirty sentences (kept in the folder CLIPS, for they take a
minute or two each). `alike` is the cosine of the two voices that are nearest by voiceprint, over
everything they say; `self` the least cosine between the halves of one voice's own sentences, which
shows what the measure can tell. `word_error` is what Whisper heard against what was to be said,
both sides normalised as the gate's word check does. Needs podcaster[asr].
"""

import argparse
import json
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from podcaster.engines import open_engine
from podcaster.model import Voice
from podcaster.setup.packaged import find_packaged
from podcaster.speak.checks.words import compare_words
from podcaster.speak.engine import Samples
from podcaster.speak.likeness.pitch import track_pitch
from podcaster.speak.options import SpeakOptions
from podcaster.speak.voices import builtin_folder, read_voices
from podcaster.voicing import speech_spec
from recipes.voices.speaking import HEARING_RATE_HZ, SENTENCES, speak

_PAUSE = np.zeros(HEARING_RATE_HZ // 3, dtype=np.float32)


def count_errors(whisper: Any, sounds: list[Samples], sentences: tuple[str, ...]) -> float:
    """Word errors over the sentences, each heard by itself."""
    errors = 0.0
    for sound, sentence in zip(sounds, sentences, strict=True):
        padded = np.concatenate((_PAUSE, sound, _PAUSE))
        segments, _ = whisper.transcribe(padded, language="en", beam_size=5)
        found = compare_words(sentence, " ".join(segment.text for segment in segments), "en")
        if found.errors:
            print(f"{sentence!r}: {found.errors:.2f}", file=sys.stderr)
        errors += found.errors
    return errors


def measure(
    voice: Voice, sounds: list[Samples], sentences: tuple[str, ...], whisper: Any, encoder: Any
) -> tuple[dict[str, float], np.ndarray]:
    """A voice's figures, and its print."""
    halves = [np.concatenate(sounds[start::2]) for start in (0, 1)]
    pitch_hz = track_pitch(np.concatenate(sounds), HEARING_RATE_HZ).pitch_hz
    words = sum(compare_words(sentence, sentence, "en").words for sentence in sentences)
    own = [encoder.embed(half) for half in halves]
    figures = {
        "word_error": round(count_errors(whisper, sounds, sentences) / words, 4),
        "self": round(float(own[0] @ own[1]), 3),
        "pitch_hz": round(float(np.median(pitch_hz[pitch_hz > 0])), 1),
    }
    return figures, encoder.embed(np.concatenate(sounds))


def main() -> int:
    """Measure all, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--sentences", type=int, default=len(SENTENCES))
    parser.add_argument("--whisper", default="")
    options = parser.parse_args()
    from faster_whisper import WhisperModel

    folder = options.whisper or str(find_packaged("whisper-tiny.en").folder)
    whisper = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1)
    found, problems = read_voices([builtin_folder()])
    voices = [v for v in found.values() if v.languages[0] == "en" and v.engine == "kokoro"]
    assert len(voices) >= 10
    assert not problems
    encoder = open_engine("voiceprint", "resemblyzer")
    voicer = speech_spec("kokoro", SpeakOptions()).open()
    sentences = SENTENCES[: options.sentences]
    rows, prints = {}, {}
    started = time.monotonic()
    for voice in voices:
        sounds = speak(voicer, voice, options.clips, sentences, "en")
        rows[voice.name], prints[voice.name] = measure(voice, sounds, sentences, whisper, encoder)
        print(voice.name, rows[voice.name], file=sys.stderr)
    pairs = {f"{a} {b}": float(prints[a] @ prints[b]) for a, b in combinations(prints, 2)}
    nearest = max(pairs, key=pairs.__getitem__)
    result = {
        "bench": "voices",
        "sentences": len(sentences),
        "alike": {nearest: round(pairs[nearest], 3)},
        "alike_mean": round(float(np.mean(list(pairs.values()))), 3),
        "worst_word_error": max(row["word_error"] for row in rows.values()),
        "voices": rows,
        "seconds": round(time.monotonic() - started, 1),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
