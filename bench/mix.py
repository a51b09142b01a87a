"""How fast is the stage `mix`, and does its memory grow? Prints one JSON line.

A synthetic conversation (shaped noise with the rhythm of syllables, 22.05 kHz) is mixed with music,
mastered, encoded and measured. Each length runs in a process of its own; the fastest of
`--repeat` runs counts, because what else the machine does can only slow one down.

    python bench/mix.py [--minutes 10] [--long-minutes 60] [--repeat 2]
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podcaster.model import Clip, Script


def main() -> None:
    """Run both lengths and print the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--long-minutes", type=float, default=60, help="0: leave it out")
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--child", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child)))
        return
    short = min(
        (run_child(options.minutes) for _ in range(options.repeat)), key=lambda r: r["seconds"]
    )
    result = {
        "benchmark": "mix",
        "minutes": options.minutes,
        "realtime_factor": round(short["audio_s"] / short["seconds"], 1),
        "realtime_factor_cpu": round(short["audio_s"] / short["cpu_seconds"], 1),
        "seconds": short["seconds"],
        "encoded": short["encoded"],
        "peak_bytes": short["peak_bytes"],
        "integrated_lufs": short["integrated_lufs"],
        "true_peak_dbtp": short["true_peak_dbtp"],
        "range_lu": short["range_lu"],
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    if options.long_minutes:
        long = run_child(options.long_minutes)
        result["long_minutes"] = options.long_minutes
        result["long_realtime_factor"] = round(long["audio_s"] / long["seconds"], 1)
        result["long_peak_bytes"] = long["peak_bytes"]
        result["memory_ratio"] = round(long["peak_bytes"] / short["peak_bytes"], 3)
    print(json.dumps(result))


def run_child(minutes: float) -> dict[str, float]:
    """Measure in a process of its own, so that its peak memory is its own."""
    command = [sys.executable, __file__, "--child", str(minutes)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(minutes: float) -> dict[str, float]:
    """Mix a conversation of so many minutes, in this process."""
    from podcaster.mix.options import MixOptions
    from podcaster.mix.stage import mix
    from podcaster.progress import Silence

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        script, clips = make_conversation(folder / "clips", minutes)
        began, cpu = time.perf_counter(), time.process_time()
        result = mix(
            script,
            clips,
            folder / "clips",
            folder / "mix",
            MixOptions(),
            seed=1,
            progress=Silence(),
        )
        seconds = time.perf_counter() - began
        cpu_seconds = time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "audio_s": result.timeline.duration_s,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "encoded": result.counts["encoded"],
        "peak_bytes": peak * (1 if sys.platform == "darwin" else 1024),
        "integrated_lufs": result.loudness.integrated_lufs,
        "true_peak_dbtp": result.loudness.true_peak_dbtp,
        "range_lu": result.loudness.range_lu,
    }


def make_conversation(folder: Path, minutes: float) -> "tuple[Script, tuple[Clip, ...]]":
    """Write the clips of an interview of about `minutes` minutes; 12 s a turn."""
    import numpy as np

    from podcaster.audio import write_wav
    from podcaster.model import Chapter, Clip, Script, Segment, Speaker, Turn

    folder.mkdir(parents=True)
    rate_hz, turn_s = 22_050, 12.0
    count = max(2, round(minutes * 60 / (turn_s + 0.2)))
    rng = np.random.default_rng(7)
    clips, turns = [], []
    for index in range(count):
        time_s = np.arange(round(rate_hz * turn_s)) / rate_hz
        pitch = (118.0 if index % 2 else 205.0) * (1 + 0.08 * np.sin(2 * np.pi * 0.7 * time_s))
        phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
        tone = sum(np.sin(k * phase) / k for k in range(1, 24))
        syllables = np.clip(np.sin(2 * np.pi * 2.3 * time_s + rng.random()) + 0.6, 0, None) ** 0.7
        hiss = rng.standard_normal(len(time_s)) * (np.sin(2 * np.pi * 3.1 * time_s) > 0.9) * 0.4
        samples = ((tone + hiss) * syllables * 0.12).astype(np.float32)
        name = f"{index:04d}.wav"
        write_wav(folder / name, samples, rate_hz)
        text = f"Line {index}, and what do you say?" if index % 2 == 0 else f"Answer {index}."
        clips.append(
            Clip(
                path=name,
                text=text,
                voice="tone",
                duration_s=turn_s,
                sample_rate_hz=rate_hz,
                sentences=(Segment(text=text, start_s=0.0, end_s=turn_s),),
            )
        )
        turns.append(Turn(speaker="host" if index % 2 == 0 else "guest", text=text))
    half = count // 2
    script = Script(
        title="Bench", summary="", language="en", seed=1, model="none",
        speakers=(
            Speaker(id="host", name="Host", role="host"),
            Speaker(id="guest", name="Guest", role="guest"),
        ),
        chapters=(
            Chapter(title="One", turns=tuple(turns[:half])),
            Chapter(title="Two", turns=tuple(turns[half:])),
        ),
    )  # fmt: skip
    return script, tuple(clips)


if __name__ == "__main__":
    main()
