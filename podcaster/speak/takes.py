"""Several takes of one clip, of which the best is kept."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from podcaster.speak.checks.gate import Verdict
from podcaster.speak.engine import Speech

MOST_TAKES = 100
_SEED_BITS = 31  # what every random generator takes


@dataclass(frozen=True)
class Take:
    """The take that was kept: its `number` from 0 and the seed with which it was spoken.

    `rejected` counts the takes that had faults, this one included where it has some.
    """

    speech: Speech
    verdict: Verdict
    number: int
    seed: int
    rejected: int

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong with it; otherwise it is the least bad."""
        return self.verdict.passed


def choose_take(
    say: Callable[[int], Speech], judge: Callable[[Speech], Verdict], takes: int, seed: int
) -> Take:
    """Speak with one seed after the other until a take has no fault; else keep the least bad.

    Of two that are as bad, the earlier is kept. Where a seed changes nothing, no further take is
    made. `takes` is 1 to MOST_TAKES, ValueError otherwise; errors of `say` and `judge` pass.
    """
    if not 1 <= takes <= MOST_TAKES:
        raise ValueError(f"takes must be 1 to {MOST_TAKES}, got {takes}")
    best: Take | None = None
    first: Speech | None = None
    for number in range(takes):
        chosen = take_seed(seed, number)
        speech = say(chosen)
        if first is not None and _is_same(first, speech):
            break  # the engine does not draw at random: all takes are this one
        verdict = judge(speech)
        rejected = number + (0 if verdict.passed else 1)
        if best is None or verdict.severity < best.verdict.severity:
            best = Take(speech, verdict, number, chosen, rejected)
        else:
            best = Take(best.speech, best.verdict, best.number, best.seed, rejected)
        if best.passed:
            break
        first = first or speech
    assert best is not None
    return best


def take_seed(seed: int, number: int) -> int:
    """The seed of a take: take 0 has the script's own, so that what passes at once is as before."""
    if number == 0:
        return seed
    digest = hashlib.sha256(f"{seed}/take/{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % (1 << _SEED_BITS)


def _is_same(one: Speech, other: Speech) -> bool:
    return one.samples.tobytes() == other.samples.tobytes()
