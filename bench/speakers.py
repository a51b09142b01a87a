"""How long it takes to match the voices of a large show: 2,000 recordings of 4 speakers.

    python bench/speakers.py [RECORDINGS]

Two hosts are in every recording, one guest comes to five, one comes once. Voiceprints are unit
vectors around each person's own, as far apart as real ones are: cosines of 0.9 within a person and
of 0.6 between people. Prints one JSON line: seconds, memory, and how many voices were found right.
"""

import json
import resource
import sys
import time

import numpy as np

from podcaster.speakers.matching import Sample, match_voices

DIMENSIONS = 256
BETWEEN = 0.6
WITHIN = 0.9


def make_show(recordings: int) -> tuple[list[Sample], list[str]]:
    """Samples, and who each of them is."""
    random = np.random.default_rng(7)

    def draw() -> np.ndarray:
        vector = random.standard_normal(DIMENSIONS).astype(np.float32)
        return vector / np.linalg.norm(vector)

    common = draw()
    people: dict[str, np.ndarray] = {}
    samples, who = [], []
    for number in range(recordings):
        names = ("host", "co-host", f"friend {number // 5}", f"guest {number}")
        for place, name in enumerate(names):
            if name not in people:
                people[name] = np.sqrt(BETWEEN) * common + np.sqrt(1 - BETWEEN) * draw()
            vector = np.sqrt(WITHIN) * people[name] + np.sqrt(1 - WITHIN) * draw()
            unit = (vector / np.linalg.norm(vector)).astype(np.float32)
            samples.append(Sample(f"r{number:05}", f"S{place + 1}", "", unit, 60.0))
            who.append(name)
    return samples, who


def main() -> None:
    """Print the line."""
    recordings = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    samples, who = make_show(recordings)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    groups = match_voices(samples)
    seconds = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pure = sum(len({who[i] for i in group}) == 1 for group in groups)
    print(
        json.dumps(
            {
                "bench": "speakers",
                "recordings": recordings,
                "samples": len(samples),
                "seconds": round(seconds, 2),
                "megabytes_more": round((after - before) / 1000),
                "voices": len(groups),
                "voices_true": len(set(who)),
                "voices_of_one_person": pure,
            }
        )
    )


if __name__ == "__main__":
    main()
