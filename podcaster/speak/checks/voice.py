"""Whether a clip is in the voice that it should be in, by voiceprint.

A voiceprint is a unit vector `(n,)` of whatever encoder listens; `podcaster.voiceprint.Encoder` is
a `Listener`, and its package is not imported here. The thresholds were measured with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from podcaster.speak.checks.sound import FRAMES_PER_S, Shape, outline
from podcaster.speak.engine import Samples

LISTENING_RATE_HZ = 16_000
WINDOW_S = 1.6
_MOST_WINDOWS = 4  # spread over the clip: more hear no better, and cost
_SHORTEST_S = 0.5  # of speech; in less nobody is known again

# (speech of at least so many seconds, the least nearness to a reference, how much less than usual)
_FLOORS = ((2.5, 0.68, 0.15), (1.6, 0.66, 0.22), (0.0, 0.42, 0.42))
# the same for each window of 1.6 s, beside others
_WINDOW_FLOOR, _WINDOW_LESS = 0.6, 0.26
# how much nearer to somebody else than to the own reference a window may be; part of one, more
_MARGIN, _SHORT_MARGIN = 0.03, 0.05

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class HeardVoice:
    """The voice of a clip: its print `(dimensions,)` and those of its windows `(n, dimensions)`.

    `speech_s` is how much speech they were taken from.
    """

    voiceprint: Vectors
    windows: Vectors
    speech_s: float


@dataclass(frozen=True)
class Nearness:
    """How near a voice is to where it should be, as cosines, and what is expected.

    `weakest` is the window that is least near; `other` is the nearness to somebody else's
    reference of the window that is nearest to it by comparison, `beside` its own.
    """

    similarity: float
    least: float
    weakest: float
    least_weakest: float
    other: float | None
    beside: float
    margin: float


class Listener(Protocol):
    """Hears whose voice it is."""

    def embed_windows(
        self, samples: Samples, starts_s: Sequence[float] | NDArray[Any], window_s: float = WINDOW_S
    ) -> Vectors:
        """Voiceprints `(n, dimensions)`, of length 1, of windows of sound at 16 kHz."""


def take_print(
    listener: Listener, samples: Samples, rate_hz: int, *, windows: int = _MOST_WINDOWS
) -> Vectors | None:
    """The voiceprint `(dimensions,)` of a clip without its pauses; None for hardly any speech.

    A reference deserves more windows than a clip that is only checked.
    """
    heard = hear_voice(listener, samples, rate_hz, outline(samples, rate_hz), windows=windows)
    return None if heard is None else heard.voiceprint


def hear_voice(
    listener: Listener,
    samples: Samples,
    rate_hz: int,
    shape: Shape,
    *,
    windows: int = _MOST_WINDOWS,
) -> HeardVoice | None:
    """The voice of a clip whose outline is known; None for hardly any speech."""
    hop = max(1, rate_hz // FRAMES_PER_S)
    count = int(shape.sounding.sum())
    if count < _SHORTEST_S * FRAMES_PER_S:
        return None
    frames = samples[: len(shape.sounding) * hop].reshape(-1, hop)
    speech_s = count / FRAMES_PER_S
    heard = _resample(frames[shape.sounding].reshape(-1), rate_hz)
    if speech_s < WINDOW_S:
        # said again rather than followed by silence, which is a voice, too
        heard = np.tile(heard, int(WINDOW_S // speech_s) + 1)
    taken = max(1, min(windows, round(speech_s / WINDOW_S)))
    starts_s = np.linspace(0.0, max(0.0, speech_s - WINDOW_S), taken)
    prints = listener.embed_windows(heard, starts_s, WINDOW_S)
    return HeardVoice(_unit(prints.mean(axis=0)), prints, speech_s)


def mean_print(prints: Sequence[Vectors]) -> Vectors | None:
    """What voiceprints have in common: their median, of length 1; None where there are none.

    It is the reference of a voice that has no recordings: that of its own clips.
    """
    if not len(prints):
        return None
    return _unit(np.median(np.stack(prints), axis=0))


def compare_voice(
    heard: HeardVoice, reference: Vectors, others: Sequence[Vectors], usual: float | None
) -> Nearness:
    """Compare with the reference that it should be near to, and with those of `others`.

    `usual` is how near this voice's clips are, None where that is not known.
    """
    floor, less = next((b, c) for least_s, b, c in _FLOORS if heard.speech_s >= least_s)
    own = heard.windows @ reference
    other, beside = None, float(own[0])
    if len(others):
        theirs = heard.windows @ np.stack(list(others)).T  # (n_windows, n_others)
        window, who = divmod(int((theirs - own[:, None]).argmax()), theirs.shape[1])
        other, beside = float(theirs[window, who]), float(own[window])
    whole = heard.speech_s >= WINDOW_S
    window_floor = _WINDOW_FLOOR if usual is None else usual - _WINDOW_LESS
    return Nearness(
        similarity=float(heard.voiceprint @ reference),
        least=floor if usual is None else usual - less,
        weakest=float(own.min()),
        least_weakest=window_floor if whole else -1.0,
        other=other,
        beside=beside,
        margin=_MARGIN if whole else _SHORT_MARGIN,
    )


def _unit(vector: Vectors) -> Vectors:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), dtype=np.float32)


def _resample(samples: Samples, rate_hz: int) -> Samples:
    if rate_hz == LISTENING_RATE_HZ:
        return samples
    import soxr

    return np.asarray(soxr.resample(samples, rate_hz, LISTENING_RATE_HZ), dtype=np.float32)
