"""How fast the voices' sketches speak on one core, and how well their durations are foretold.

Prints one JSON line: seconds of speech rendered per second (clip files included), and per voice
the measured words per minute and the error of the estimate over a five-minute conversation.
"""

import json
import tempfile
import time
from pathlib import Path

from podcaster.model import Chapter, Script, Speaker, Turn, Voice
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.pace import estimate_s
from podcaster.speak.sketching import sketch
from podcaster.speak.stage import plan_clips, render_clip
from podcaster.speak.voices import builtin_folder, read_voices
from podcaster.units import count_words


def read_conversation() -> Script:
    """The conversation beside this file, as a script."""
    lines = (Path(__file__).parent / "conversation.txt").read_text("utf-8").splitlines()
    turns = tuple(
        Turn(speaker=line.partition(": ")[0], text=line.partition(": ")[2]) for line in lines
    )
    return Script(
        title="Lighthouses",
        summary="",
        language="en",
        speakers=(
            Speaker(id="host", name="Host", role="host"),
            Speaker(id="guest", name="Guest", role="guest"),
        ),
        chapters=(Chapter(title="Lighthouses", turns=turns),),
        seed=1,
        model="by hand",
    )


def measure_voice(engine: EspeakVoicer, voice: Voice, script: Script) -> dict[str, float]:
    """Speak every turn with one voice, and compare with what was foretold."""
    casting = dict.fromkeys(("host", "guest"), voice)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        jobs = plan_clips(script, casting, {"espeak": engine.id})
        clips = [render_clip(engine, job, Path(folder)) for job in jobs]
        seconds = time.perf_counter() - start
    start = time.perf_counter()
    expected_s = sum(estimate_s(turn.text, voice, "en") for turn in script.turns())
    estimate_seconds = time.perf_counter() - start
    speech_s = sum(clip.duration_s for clip in clips)
    words = sum(count_words(turn.text) for turn in script.turns())
    return {
        "words_per_minute": round(60 * words / speech_s, 1),
        "stated_words_per_minute": voice.words_per_minute,
        "estimate_error": round(expected_s / speech_s - 1, 4),
        "estimate_ms_per_turn": round(1000 * estimate_seconds / len(list(script.turns())), 3),
        "speech_s": round(speech_s, 1),
        "realtime": round(speech_s / seconds, 1),
    }


def main() -> None:
    """Measure every built-in voice; the rate is the best of them, which has met the least noise."""
    voices, problems = read_voices([builtin_folder()])
    assert voices
    assert not problems
    script = read_conversation()
    engine = EspeakVoicer()
    measured = {
        name: measure_voice(engine, sketch(voice), script)
        for name, voice in voices.items()
        if voice.languages[0] == "en"
    }
    engine.close()
    print(
        json.dumps(
            {
                "bench": "speak",
                "speech_seconds_per_second_one_core": max(m["realtime"] for m in measured.values()),
                "worst_estimate_error": max(abs(m["estimate_error"]) for m in measured.values()),
                "voices": measured,
            }
        )
    )


if __name__ == "__main__":
    main()
