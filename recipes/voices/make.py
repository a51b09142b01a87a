"""Make the built-in voices: a style and a `voice.toml` for each, with what can be measured of it.

python -m recipes.voices.make STYLES CLIPS voices
"""

import base64
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit
from msgspec.structs import replace

from podcaster.engines import open_engine
from podcaster.model import Voice
from podcaster.speak.engine import Voicer
from podcaster.speak.espeak_voice import parse_settings
from podcaster.speak.kokoro.clock import KokoroClock
from podcaster.speak.kokoro.styles import format_style
from podcaster.speak.likeness.pitch import track_pitch
from podcaster.speak.options import SpeakOptions
from podcaster.speak.pace import estimate_s
from podcaster.speak.sketching import sketch
from podcaster.speak.stage import measure_s
from podcaster.voicing import speech_spec
from recipes.voices.blending import Recipe, blend, read_recipes, read_styles
from recipes.voices.speaking import HEARING_RATE_HZ, speak
from recipes.voices.texts import TALK, TEXTS

# a voice's own tongue comes first
LANGUAGES = ("en", "es", "fr", "hi", "it", "pt-br")
STYLE_FILE = "style.npz"
_SEED = 1
_MOST_HEARD = 6  # sentences are enough for pitch and silence
_OCTAVE_SPREAD = 0.5  # of the range that eSpeak NG is given around the pitch
LICENCE = (
    "Apache-2.0: a blend by podcaster of styles of Kokoro-82M (hexgrad, Apache-2.0): {styles}."
)


def make_voice(name: str, recipe: Recipe, style: bytes) -> Voice:
    """The voice before anything of it was measured."""
    settings: dict[str, Any] = {"style": base64.b64encode(style).decode("ascii")}
    settings |= {"accent": recipe.accent} if recipe.language == "en" else {}
    settings |= {"speed": recipe.speed} if recipe.speed != 1.0 else {}
    return Voice(
        name=name,
        engine="kokoro",
        description=recipe.description,
        languages=(recipe.language, *(one for one in LANGUAGES if one != recipe.language)),
        words_per_minute=165.0,
        licence="",
        sha256="0" * 64,
        engine_settings=settings,
        gender=recipe.gender,
        sketch=dict(recipe.sketch),
    )


def measure_silence_s(clock: KokoroClock, voice: Voice, lengths_s: Sequence[float]) -> float:
    """What the model leaves silent around a sentence: its frames, less what the voicer kept."""
    bare = replace(voice, engine_settings={**voice.engine_settings, "silence_s": 0.0})
    language = voice.languages[0]
    texts = TEXTS[language][: len(lengths_s)]
    told_s = [clock.time_s([text], bare, language=language, seed=_SEED) for text in texts]
    return round(float(np.mean(told_s) - np.mean(lengths_s)), 3)


def measure_pace(clock: KokoroClock, voice: Voice) -> float:
    """Words a minute of usual talk: as many as make the estimate of these texts come true."""
    language = voice.languages[0]
    texts = TALK if language == "en" else TEXTS[language]
    spoken_s = sum(measure_s(clock, one, voice, language=language, seed=_SEED) for one in texts)
    told_s = sum(estimate_s(text, voice, language) for text in texts)
    return round(voice.words_per_minute * told_s / spoken_s, 1)


def fit_sketch(espeak: Voicer, voice: Voice, pitch_hz: float) -> dict[str, Any]:
    """What eSpeak NG is told: the voice's pitch and pace, and what its recipe says of the rest."""
    half = 2 ** (_OCTAVE_SPREAD / 2)
    asked = {"pitch_low_hz": round(pitch_hz / half), "pitch_high_hz": round(pitch_hz * half)}
    draft = replace(voice, sketch={**voice.sketch, **asked})
    imitated = sketch(draft)
    spoken_s = sum(measure_s(espeak, t, imitated, language="en", seed=_SEED) for t in TALK)
    told_s = sum(estimate_s(text, voice, "en") for text in TALK)
    asked["pace_wpm"] = round(parse_settings(imitated).pace_wpm * spoken_s / told_s)
    return {**voice.sketch, **asked}


def format_voice(voice: Voice, recipe: Recipe) -> str:
    """Its `voice.toml`."""
    styles = " and ".join(f"{share:.0%} {style}" for style, share in recipe.blend.items())
    table = tomlkit.document()
    table["name"] = voice.name
    table["engine"] = voice.engine
    table["description"] = voice.description
    table["licence"] = LICENCE.format(styles=styles)
    table["words_per_minute"] = voice.words_per_minute
    table["gender"] = recipe.gender
    table["languages"] = list(voice.languages)
    table["settings"] = {**voice.engine_settings, "style": STYLE_FILE}
    table["sketch"] = dict(voice.sketch)
    return tomlkit.dumps(table)


def main() -> int:
    """Make and measure all of `voices.toml`, or those that are named."""
    if len(sys.argv) < 4:
        print(__doc__)
        return 2
    styles = read_styles(Path(sys.argv[1]))
    clips, folder = Path(sys.argv[2]), Path(sys.argv[3])
    recipes = read_recipes(Path(__file__).parent / "voices.toml")
    spec = speech_spec("kokoro", SpeakOptions(device="cpu"))
    voicer, clock = spec.open(), KokoroClock(**spec.settings)
    espeak = open_engine("speak", "espeak")
    for name in sys.argv[4:] or recipes:
        recipe = recipes[name]
        style = format_style(blend(recipe, styles))
        voice = make_voice(name, recipe, style)
        language = recipe.language
        sentences = TEXTS[language][:_MOST_HEARD]
        sounds = speak(voicer, voice, clips, sentences, language)
        silence_s = measure_silence_s(clock, voice, [len(s) / HEARING_RATE_HZ for s in sounds])
        settings = {**voice.engine_settings, "silence_s": silence_s}
        voice = replace(voice, engine_settings=settings)
        voice = replace(voice, words_per_minute=measure_pace(clock, voice))
        pitch_hz = track_pitch(np.concatenate(sounds), HEARING_RATE_HZ).pitch_hz
        median_hz = float(np.median(pitch_hz[pitch_hz > 0]))
        voice = replace(voice, sketch=fit_sketch(espeak, voice, median_hz))
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / STYLE_FILE).write_bytes(style)
        (place / "voice.toml").write_text(format_voice(voice, recipe), encoding="utf-8")
        print(name, voice.words_per_minute, f"{median_hz:.0f} Hz", silence_s, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
