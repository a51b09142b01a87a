"""Compare `podcaster --help` with `python -c "import typer"`, in turn, and print one JSON line.

The minimum of each is compared: a machine's noise only ever adds.
"""

import json
import subprocess
import sys
import time

ROUNDS = 15


def measure_s(*arguments: str) -> float:
    """Wall time of one Python process, in seconds."""
    started = time.monotonic()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def main() -> None:
    """Print the line."""
    typer_s, help_s = [], []
    for _ in range(ROUNDS):
        typer_s.append(measure_s("-c", "import typer"))
        help_s.append(measure_s("-m", "podcaster", "--help"))
    figures = {
        "bench": "help",
        "import_typer_s": round(min(typer_s), 4),
        "help_s": round(min(help_s), 4),
        "ratio": round(min(help_s) / min(typer_s), 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
