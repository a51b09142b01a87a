"""How many planted faults the quality gate catches, how many good clips it rejects, what it costs.

    python bench/gate.py

Good clips are sentences of speeches (of the shared data, else of the repository's conversation)
and of the tests in the built-in voices, and people's clips where the shared recordings are at
hand. Each fault is planted into a hundred of them and more. The other voice is that of somebody
who might be cast beside the right one. Prints one JSON line: catch rate of every kind, alone and by
any check; false alarms; milliseconds of one core per second of sound; and what share of synthesis
that is for eSpeak NG, measured here, and for an engine that takes a quarter of the time that its
speech lasts, which is what is reported of XTTS on a GPU (assumed, not measured).
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from podcaster.errors import EngineMissing
from podcaster.model import Voice
from podcaster.speak.checks.gate import Gate, GateOptions, Verdict
from podcaster.speak.checks.voice import mean_print, take_print
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.text import split_sentences
from podcaster.speak.voices import builtin_folder, read_voices

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the tests are not installed

from tests.speak.planted import (  # noqa: E402
    FAULTS,
    SHARED,
    Sample,
    other_voice,
    read_people,
    read_turns,
    say_tail_again,
    speak,
)

GPU_REAL_TIME_FACTOR = 0.25
LEAST_S = 3.2  # what is shorter has no half or tail to lose
SPEECHES = SHARED.parent / "speeches"


def read_speeches() -> list[str]:
    """Three hundred passages of one to three sentences, which no threshold was chosen on."""
    passages = []
    for path in sorted(SPEECHES.glob("*.txt"))[::4]:
        sentences = split_sentences(path.read_text("utf-8")[2000:9000], "en")[1:]
        passages += [" ".join(sentences[at : at + 1 + at % 3]) for at in range(0, 75, 3)]
    return [text for text in passages if 5 < len(text) < 600][:300]


def open_listener() -> Any:
    """The speaker encoder, None where it is not installed."""
    try:
        from podcaster.voiceprint import Encoder

        return Encoder()
    except (ImportError, EngineMissing):
        return None


def judge(gate: Gate, one: Sample, **known: Any) -> Verdict:
    """Judge as an episode would, the voice's habits unknown."""
    return gate.judge(one.samples, one.rate_hz, one.sentences, one.ends_s, one.voice, "en", **known)


def cost_ms(gate: Gate, clips: Sequence[Sample], **known: Any) -> float:
    """Milliseconds of processor time per second of sound."""
    for one in clips[:3]:
        judge(gate, one, **known)
    start = time.process_time()
    for one in clips:
        judge(gate, one, **known)
    return 1000 * (time.process_time() - start) / sum(one.duration_s for one in clips)


def count(kind: str, verdicts: Sequence[Verdict]) -> dict[str, float]:
    """How many have this fault, or any."""
    own = sum(any(fault.kind == kind for fault in one.faults) for one in verdicts)
    caught = sum(not one.passed for one in verdicts)
    return {
        "planted": len(verdicts),
        "caught": round(caught / len(verdicts), 4),
        "caught_by_its_own_check": round(own / len(verdicts), 4),
    }


def measure_faults(
    gate: Gate, clips: Sequence[Sample], engine: EspeakVoicer
) -> dict[str, dict[str, float]]:
    """Plant every fault, those of the voice apart."""
    random = np.random.default_rng(1)
    found = {
        kind: count(kind, [judge(gate, plant(one, random)) for one in clips])
        for kind, plant in FAULTS.items()
    }
    again = say_tail_again(engine)
    built_in = [one for one in clips if one.ends_s]
    found["repeated_tail_said_anew"] = count(
        "repeated_tail", [judge(gate, again(one, random)) for one in built_in]
    )
    return found


def measure_voices(
    listener: Any, clips: Sequence[Sample], engine: EspeakVoicer, voices: Sequence[Voice]
) -> dict[str, Any]:
    """Put other voices in place of the right ones; and whether the right ones pass."""
    gate = Gate(GateOptions(), listener)
    prints: dict[str, list[Any]] = {}
    for one in clips:
        heard = take_print(listener, one.samples, one.rate_hz)
        if heard is not None:
            prints.setdefault(one.who, []).append(heard)
    references = {who: mean_print(theirs) for who, theirs in prints.items()}
    people = sorted({one.who for one in clips if not one.ends_s})
    good, bad = [], []
    for number, one in enumerate(clips):
        if one.ends_s:
            other = other_voice(one.voice, voices)
            speech = engine.say(one.sentences, other, language="en", seed=number)
            samples, rate_hz, name = speech.samples, speech.sample_rate_hz, other.name
        else:
            name = people[(people.index(one.who) + 1) % len(people)]
            theirs = next(clip for clip in clips if clip.who == name)
            samples, rate_hz = theirs.samples, theirs.rate_hz
        known: dict[str, Any] = {"reference": references[one.who], "others": [references[name]]}
        good.append(judge(gate, one, **known))
        bad.append(gate.judge(samples, rate_hz, one.sentences, (), one.voice, "en", **known))
    alarms = sum(not one.passed for one in good)
    return {
        "other_voice": count("other_voice", bad),
        "good": len(good),
        "false_alarms": alarms,
        "cost_ms": cost_ms(gate, clips[::3], reference=references[clips[0].who]),
    }


def synthesis_ms(engine: EspeakVoicer, clips: Sequence[Sample]) -> float:
    """What eSpeak NG itself takes per second of sound, in milliseconds of one core."""
    built_in = [one for one in clips if one.ends_s]
    start = time.process_time()
    for one in built_in:
        engine.say(one.sentences, one.voice, language="en", seed=1)
    return 1000 * (time.process_time() - start) / sum(one.duration_s for one in built_in)


def best(measure: Callable[[], float]) -> float:
    """The least of three, which has met the least noise."""
    return min(measure() for _ in range(3))


def main() -> None:
    """Print the line."""
    found, _ = read_voices([builtin_folder()])
    voices = list(found.values())
    engine = EspeakVoicer()
    texts = [*read_turns(), *read_speeches()]
    clips = [
        speak(engine, text, voices[number % len(voices)], number)
        for number, text in enumerate(texts)
    ]
    clips += read_people(found["ada"])
    assert len(clips) >= 50
    thorough, light = Gate(GateOptions()), Gate(GateOptions(thorough=False))
    alarms = {
        name: [one.name for one in clips if not judge(gate, one).passed]
        for name, gate in (("thorough", thorough), ("light", light))
    }
    long = [one for one in clips if one.duration_s >= LEAST_S]
    planted = [*(one for one in long if one.ends_s), *(one for one in long if not one.ends_s)][
        -150:
    ]
    faults = measure_faults(thorough, planted, engine)
    sample = clips[::4]
    costs = {
        "light": best(lambda: cost_ms(light, sample)),
        "thorough": best(lambda: cost_ms(thorough, sample)),
    }
    espeak_ms = best(lambda: synthesis_ms(engine, sample))
    listener = open_listener()
    heard = measure_voices(listener, planted, engine, voices) if listener is not None else {}
    if heard:
        costs["thorough_with_voiceprint"] = heard.pop("cost_ms")
        faults["other_voice"] = heard.pop("other_voice")
    gpu_ms = 1000 * GPU_REAL_TIME_FACTOR
    print(
        json.dumps(
            {
                "bench": "gate",
                "good_clips": len(clips),
                "of_people": sum(not one.ends_s for one in clips),
                "false_alarms": {name: len(wrong) for name, wrong in alarms.items()},
                "wrongly_rejected": alarms,
                "voices": heard,
                "faults": faults,
                "ms_per_second_of_sound": {name: round(ms, 3) for name, ms in costs.items()},
                "espeak_ms_per_second_of_sound": round(espeak_ms, 3),
                "share_of_espeak": round(costs["light"] / espeak_ms, 4),
                "assumed_gpu_real_time_factor": GPU_REAL_TIME_FACTOR,
                "share_of_gpu_engine": {
                    name: round(ms / gpu_ms, 4) for name, ms in costs.items() if name != "light"
                },
            }
        )
    )


if __name__ == "__main__":
    main()
