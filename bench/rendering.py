"""How well an episode's clips are shared among workers: a fixed cost a clip, 1 to 8 processes.

Prints one JSON line. Half an hour of conversation, and an engine that takes as long for each clip
whatever else the machine does: what is lost is starting processes, handing out, and waiting for the
last. Clips are real: planned, judged, trimmed, levelled and sent back as in an episode.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from podcaster.booth import BoothSpec, Session, render
from podcaster.mapping import map_locally
from podcaster.model import Chapter, Script, Speaker, Turn, Voice
from podcaster.speak.casting import cast_voices
from podcaster.speak.engine import Speech
from podcaster.speak.stage import Rendered, plan_clips
from podcaster.speak.voices import find_voices
from podcaster.units import count_words

RATE_HZ = 24_000
WORDS_PER_MINUTE = 166.0
TEXTS = (
    "Right.",
    "And what did the people who lived there say about it at the time?",
    "It took us the better part of a year. Nobody had a map, and the ones who said that they had "
    "one would not show it to us, so we walked along the river until it ended. Then we asked.",
    "You could say that. I would put it a little differently, because the bridge was never the "
    "point, and the money was not either: it was a matter of who would open the gate.",
)


@dataclass(frozen=True)
class FixedCost:
    """A voicer that takes `cost_s` for any clip, and hums for as long as its text would last."""

    cost_s: float
    stage: str = "speak"
    name: str = "fixed"
    id: str = "fixed cost"

    def open(self) -> "FixedCost":
        """It is open already."""
        return self

    def say(self, sentences: Sequence[str], voice: Voice, *, language: str, seed: int) -> Speech:
        """Sleep, then hum."""
        time.sleep(self.cost_s)
        lengths_s = [60 * count_words(one) / WORDS_PER_MINUTE for one in sentences]
        times = np.arange(round(sum(lengths_s) * RATE_HZ)) / RATE_HZ
        # syllables: a hum that swells four times a second
        hum = 0.2 * np.sin(2 * np.pi * 140 * times) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * times))
        return Speech(hum.astype(np.float32), RATE_HZ, tuple(np.cumsum(lengths_s)))

    def close(self) -> None:
        """There is nothing to free."""


def make_script(minutes: float) -> Script:
    """A conversation of about that length."""
    turns: list[Turn] = []
    words = 0
    while words < minutes * WORDS_PER_MINUTE:
        text = f"{TEXTS[len(turns) % len(TEXTS)]} Number {len(turns)}."
        turns.append(Turn(speaker="ab"[len(turns) % 2], text=text))
        words += count_words(text)
    speakers = (
        Speaker(id="a", name="Ann", role="host", voice="ada"),
        Speaker(id="b", name="Ben", role="guest", voice="hugo"),
    )
    chapters = (Chapter(title="All", turns=tuple(turns)),)
    return Script(
        title="t",
        summary="",
        language="en",
        speakers=speakers,
        chapters=chapters,
        seed=0,
        model="none",
    )


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--cost", type=float, default=2.0, help="seconds a clip")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    options = parser.parse_args()
    script = make_script(options.minutes)
    with TemporaryDirectory() as home:
        casting = cast_voices(script.speakers, find_voices(Path(home)), {}, language="en")
    jobs = plan_clips(script, casting, {"kokoro": "fixed cost"})
    sessions = [Session((job,)) for job in jobs]
    spec = BoothSpec(FixedCost(options.cost))
    rows = []
    for workers in options.workers:
        started = time.monotonic()
        outcomes = list(
            map_locally(sessions, render, spec, workers, size=_letters, items_worth_a_process=1)
        )
        wall_s = time.monotonic() - started
        spoken = [one for outcome in outcomes for one in outcome.result or ()]
        assert all(isinstance(one, Rendered) for one in spoken)
        assert len(spoken) == len(jobs)
        print(f"{workers} workers: {wall_s:.1f} s", file=sys.stderr)
        rows.append({"workers": workers, "wall_s": round(wall_s, 2)})
    alone_s = len(jobs) * options.cost
    for row in rows:
        row["efficiency"] = round(alone_s / (row["workers"] * row["wall_s"]), 4)
    result = {
        "benchmark": "rendering",
        "clips": len(jobs),
        "minutes": options.minutes,
        "cost_s": options.cost,
        "work_s": round(alone_s, 1),
        "workers": rows,
    }
    print(json.dumps(result))
    return 0


def _letters(session: Session) -> float:
    return float(session.letters)


if __name__ == "__main__":
    sys.exit(main())
