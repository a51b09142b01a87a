"""Measure whole episodes as a user has them: wall time, peak memory, length, loudness, sameness.

    python bench/episode.py [--minutes 5]

Makes one episode twice with one seed, in processes of their own, and prints one JSON line. Peak
memory is the largest resident set of a process of the run, as the kernel kept it.
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def make_episode(home: Path, minutes: float, seed: int) -> tuple[dict[str, object], float]:
    """Run `podcaster episode` in `home`; its JSON result and the wall time in seconds."""
    command = [sys.executable, "-m", "podcaster", "episode", "--guest", "Barack Obama"]
    command += ["--minutes", str(minutes), "--seed", str(seed), "--json", "--home", str(home)]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1]), time.monotonic() - started


def hash_file(path: object) -> str:
    """The SHA-256 of a file that a result names."""
    return hashlib.sha256(Path(str(path)).read_bytes()).hexdigest()


def main() -> None:
    """Print the line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        runs = [make_episode(Path(folder) / str(i), minutes, seed=1) for i in range(2)]
        (first, first_s), (second, second_s) = runs
        same = all(hash_file(first[key]) == hash_file(second[key]) for key in ("script", "mp3"))
        peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        if sys.platform == "darwin":
            peak_kib //= 1024
        from podcaster.audio import measure_loudness

        loudness = measure_loudness(Path(str(first["mp3"])))
    length_s = float(str(first["duration_s"]))
    figures = {
        "bench": "episode",
        "minutes": minutes,
        "wall_s": round(min(first_s, second_s), 2),  # the minimum: noise only ever adds
        "peak_mb": round(peak_kib * 1024 / 1e6),
        "length_error": round(length_s / (60 * minutes) - 1, 4),
        "stages_s": {k: v["seconds"] for k, v in dict(first["stages"]).items()},  # type: ignore[call-overload]
        "integrated_lufs": round(loudness.integrated_lufs, 2),
        "true_peak_dbtp": round(loudness.true_peak_dbtp, 2),
        "same_bytes": same,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
