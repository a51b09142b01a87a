"""Try code that may crash, hang or be missing in a process of its own."""

import json
import signal
import subprocess
import sys
from typing import Any

PROBE_TIMEOUT_S = 60


class ProbeFailed(Exception):
    """A library could not be used in a process of its own; the text is its last words."""


def run_probe(code: str, *arguments: str) -> Any:
    """Run Python code in a fresh process: the JSON that it prints on its last line.

    Raises ProbeFailed where it raises, crashes, hangs or prints no JSON.
    """
    # -P: a file av.py in the folder one stands in must not pass for the library
    command = [sys.executable, "-P", "-c", code, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter and code, no shell)
            command, capture_output=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ProbeFailed(f"it did not answer within {PROBE_TIMEOUT_S} s") from error
    except OSError as error:
        raise ProbeFailed(str(error)) from error
    if done.returncode < 0:
        raise ProbeFailed(f"it crashed ({_name_signal(-done.returncode)})")
    last_words = _last_line(done.stderr)
    if done.returncode:
        raise ProbeFailed(last_words or f"it ended with code {done.returncode}")
    try:
        return json.loads(_last_line(done.stdout))
    except ValueError as error:
        raise ProbeFailed(last_words or "it gave no answer") from error


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else ""
