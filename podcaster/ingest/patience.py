"""How long a download goes on trying, and how long it waits in between."""

import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True)
class Patience:
    """Limits of trying again. `sleep` waits seconds, `clock` tells them, `chance` is in [0, 1)."""

    most_attempts: int = 6  # in a row that bring next to nothing
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    connect_timeout_s: float = 15.0
    read_timeout_s: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random

    def wait(self, failed: int, asked_s: float | None) -> None:
        """Wait after `failed` failures in a row: as long as the server asked, else ever longer."""
        if asked_s is None:
            # between half and all of it, so that many who failed at once do not return at once
            backoff_s = min(self.first_wait_s * 2.0 ** max(0, failed - 1), self.longest_wait_s)
            asked_s = backoff_s * (1 + self.chance()) / 2
        if asked_s > 0:
            self.sleep(min(asked_s, self.longest_wait_s))


def parse_retry_after(text: str) -> float | None:
    """Seconds to wait, which are given as a number or as a moment (RFC 9110 §10.2.3)."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    with suppress(ValueError, TypeError, IndexError, OverflowError):
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(tz=UTC)).total_seconds())
    return None
