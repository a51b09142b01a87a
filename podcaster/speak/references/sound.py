"""Recordings of somebody's voice, made fit to be references: mono, bounded, without long silence.

Files come from outside: they are decoded in a stream, and only so far.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from podcaster.audio import Samples, decode, probe
from podcaster.levels import FRAME_S, measure_levels_db
from podcaster.speak.references.measures import measure_clipping

HIGHEST_RATE_HZ = 44_100
LOWEST_RATE_HZ = 8_000
LONGEST_HEARD_S = 600.0  # of a file; what comes after is not looked at
LONGEST_KEPT_S = 90.0  # of a file; engines use half a minute or less
LONGEST_PAUSE_S = 0.5

_SILENT_DB = 40.0  # under the speech
_SILENT_DBFS = -60.0
_EDGE_S = 0.1
_LOUDEST, _QUIETEST = 0.95, 0.1  # of peaks that are left as they are
_PEAK = 0.9


@dataclass(frozen=True)
class ReferenceSound:
    """What is to be kept of a recording: float32 mono at `rate_hz`.

    `heard_s` were decoded, of which `clipping` is the share that is clipped; `bounded` says that
    the file goes on after what was heard or kept.
    """

    kept: Samples
    rate_hz: int
    heard_s: float
    clipping: float
    bounded: bool

    @property
    def duration_s(self) -> float:
        """How long what is kept is."""
        return len(self.kept) / self.rate_hz


def read_reference(path: Path) -> ReferenceSound:
    """Decode the first ten minutes of a file, and make a reference of up to 90 s of them.

    Long silence goes, and a level that would clip or is hardly there is brought to a sane one.
    Raises InputError where the file is no audio that can be read.
    """
    rate_hz = min(HIGHEST_RATE_HZ, max(LOWEST_RATE_HZ, probe(path).sample_rate_hz))
    blocks: list[Samples] = []
    count, bounded = 0, False
    for block in decode(path, rate_hz, 1):
        blocks.append(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0))
        count += len(block)
        if count >= LONGEST_HEARD_S * rate_hz:
            bounded = True
            break
    heard = np.concatenate(blocks)
    kept = shorten_pauses(heard, rate_hz)
    longest = round(LONGEST_KEPT_S * rate_hz)
    return ReferenceSound(
        kept=_level(kept[:longest]),
        rate_hz=rate_hz,
        heard_s=len(heard) / rate_hz,
        clipping=measure_clipping(heard),
        bounded=bounded or len(kept) > longest,
    )


def shorten_pauses(samples: Samples, rate_hz: int) -> Samples:
    """Cut silence at the ends to 0.1 s, and silence within to 0.5 s; nothing but silence: nothing.

    Silence is 40 dB under the speech, or under -60 dBFS.
    """
    levels = measure_levels_db(samples, rate_hz)
    if not len(levels):
        return samples[:0]
    least_db = max(_SILENT_DBFS, float(np.percentile(levels, 90)) - _SILENT_DB)
    loud = np.flatnonzero(levels > least_db)
    if not len(loud):
        return samples[:0]
    frame = round(FRAME_S * rate_hz)
    edge, half = round(_EDGE_S / FRAME_S), round(LONGEST_PAUSE_S / FRAME_S / 2)
    breaks = np.flatnonzero(np.diff(loud) - 1 > 2 * half)
    starts = np.concatenate(([loud[0] - edge], loud[breaks + 1] - half))
    ends = np.concatenate((loud[breaks] + 1 + half, [loud[-1] + 1 + edge]))
    parts = [
        samples[max(0, start) * frame : end * frame]
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    return np.concatenate(parts)


def _level(samples: Samples) -> Samples:
    peak = float(np.max(np.abs(samples), initial=0.0))
    if peak == 0.0 or _QUIETEST <= peak <= _LOUDEST:
        return samples
    return np.asarray(samples * np.float32(_PEAK / peak), dtype=np.float32)
