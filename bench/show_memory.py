"""Memory of a show's stages by the number of recordings: flat, or nearly so.

    python bench/show_memory.py [FEW MANY]

Makes two shows of transcripts that nobody said (random words), one of FEW recordings and one of
MANY, and runs `podcaster show make` on each in processes of its own. The peak is that of the
largest single process of the tree, as the operating system counts it. Prints one JSON line.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

WORDS_OF_A_TURN = 60
TURNS = 40  # some 2,400 words a recording: a quarter of an hour


def main() -> None:
    """Measure both and print the ratio."""
    few, many = (int(a) for a in sys.argv[1:3]) if len(sys.argv) > 2 else (200, 2000)
    small, large = measure(few), measure(many)
    grown = large["peak_bytes"] - small["peak_bytes"]
    result = {
        "bench": "show_memory",
        "few": small,
        "many": large,
        "grown_bytes_per_recording": round(grown / (many - few)),
        "text_bytes_per_recording": small["text_bytes"] // few,
    }
    print(json.dumps(result))


def measure(count: int) -> dict[str, int | float]:
    """Make a show of so many recordings, and watch its process tree."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        text_bytes = write_talks(home / "in", count)
        run(home, "add", "talks", str(home / "in"))
        started = time.monotonic()
        peak_bytes = run(home, "make", "talks")
        seconds = round(time.monotonic() - started, 1)
        report = msgspec.json.decode((home / "runs/talks/dataset/report.json").read_bytes())
    return {
        "recordings": count,
        "examples": report["examples"],
        "text_bytes": text_bytes,
        "peak_bytes": peak_bytes,
        "seconds": seconds,
    }


def write_talks(folder: Path, count: int) -> int:
    """Conversations of a host and guests in words of no language; returns their bytes."""
    chance = random.Random(0)
    syllables = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    words = ["".join(chance.choices(syllables, k=3)) for _ in range(5000)]
    folder.mkdir()
    total = 0
    for number in range(count):
        lines = []
        for turn in range(TURNS):
            who = "Ada Host" if turn % 2 == 0 else f"Guest {words[number % 5000].title()}"
            said = " ".join(chance.choices(words, k=WORDS_OF_A_TURN)).capitalize()
            lines.append(f"{who} (00:{turn:02d}:00):\n{said}.\n")
        text = "\n".join(lines)
        (folder / f"talk {number}.txt").write_text(text)
        total += len(text)
    return total


def run(home: Path, *arguments: str) -> int:
    """Run `podcaster show`: the peak resident bytes of its largest process."""
    command = [sys.executable, "-m", "podcaster", "show", *arguments, "--home", str(home)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(command)} failed")
    return usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
