"""What the gate hears in a clip without knowing its text: pauses, clipping, levels, frames.

Sound is float32 mono `(n_samples,)` in [-1, 1]; a frame is 10 ms.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from podcaster.speak.engine import Samples

FRAMES_PER_S = 100

_FLOOR_DB = -120.0
# under the loudest twentieth of the frames: pauses of clean speech are lower, its words are not
_PAUSE_DB = 25.0
_LOUD_PERCENT = 85
_BLIP_FRAMES = 4  # sound as short as this inside of a pause is a click, no word
_SHORTEST_PAUSE_FRAMES = 10
# clipped speech has many crests at one height; these are of the greatest height there is
_CREST = 0.985
_FLAT_SAMPLES = 3
_FLAT = 2e-3  # of the greatest height: how little the top of a crest may vary to be called flat
_LOWEST_CLIPPED = 0.2  # of full scale; what is so low was never near an end of the scale

_WINDOW_S = 0.025
_BANDS = 26
_LOW_HZ, _HIGH_HZ = 100.0, 7600.0
_COEFFICIENTS = 13

Frames = NDArray[np.float32]


@dataclass(frozen=True)
class Pause:
    """A stretch without speech, in seconds from the start of the clip."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Shape:
    """A clip's outline: `levels_db` `(n_frames,)`, which of them are sound, and the pauses.

    `lead_s` and `tail_s` are the silence before and after the speech, `pauses` those inside of it.
    All of a clip without any sound is its tail.
    """

    levels_db: Frames
    sounding: NDArray[np.bool_]
    pauses: tuple[Pause, ...]
    lead_s: float
    tail_s: float

    @property
    def duration_s(self) -> float:
        """The length of all frames."""
        return len(self.levels_db) / FRAMES_PER_S

    @property
    def speech_s(self) -> float:
        """From the first sound to the last."""
        return max(0.0, self.duration_s - self.lead_s - self.tail_s)


def outline(samples: Samples, rate_hz: int) -> Shape:
    """Find speech and pauses by level."""
    hop = max(1, rate_hz // FRAMES_PER_S)
    count = len(samples) // hop
    blocks = samples[: count * hop].reshape(count, hop)
    power = np.einsum("ij,ij->i", blocks, blocks) / np.float32(hop)
    levels = 10.0 * np.log10(np.maximum(power, 10.0 ** (_FLOOR_DB / 10.0)))
    if not count or float(levels.max()) <= _FLOOR_DB:
        nothing = np.zeros(count, dtype=bool)
        return Shape(levels.astype(np.float32), nothing, (), 0.0, count / FRAMES_PER_S)
    loud = float(np.percentile(levels, 95))
    if loud <= _FLOOR_DB:  # next to nothing but silence
        loud = float(levels.max())
    sounding = _drop_blips(levels > loud - _PAUSE_DB)
    edges = np.flatnonzero(np.diff(np.concatenate(([True], sounding, [True]))))
    runs = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    inside = [run for run in runs if run[0] > 0 and run[1] < count]
    return Shape(
        levels.astype(np.float32),
        sounding,
        tuple(
            Pause(start / FRAMES_PER_S, end / FRAMES_PER_S)
            for start, end in inside
            if end - start >= _SHORTEST_PAUSE_FRAMES
        ),
        lead_s=next((end for start, end in runs if start == 0), 0) / FRAMES_PER_S,
        tail_s=next((end - start for start, end in runs if end == count), 0) / FRAMES_PER_S,
    )


def measure_clipping(samples: Samples) -> float:
    """The share of samples that lie on flat tops at the clip's own greatest height, 0 to 1.

    A limit that was hit leaves many crests of one height, whatever gain came afterwards; speech
    touches its greatest height once or twice.
    """
    share = 0.0
    for sign in (1.0, -1.0):
        height = float(np.max(sign * samples, initial=0.0))
        if height < _LOWEST_CLIPPED:
            continue
        near = np.flatnonzero(sign * samples >= _CREST * height)
        if len(near) < _FLAT_SAMPLES:
            continue
        crests = np.split(near, np.flatnonzero(np.diff(near) > 1) + 1)
        flat = [
            len(crest)
            for crest in crests
            if len(crest) >= _FLAT_SAMPLES and np.ptp(samples[crest]) <= _FLAT * height
        ]
        # one crest is always the highest
        share += (sum(flat) - max(flat)) / len(samples) if len(flat) > 1 else 0.0
    return share


def measure_unevenness_db(shape: Shape) -> float:
    """How much louder the second half of the speech is than the first, in dB."""
    start = round(shape.lead_s * FRAMES_PER_S)
    levels = shape.levels_db[start : start + round(shape.speech_s * FRAMES_PER_S)]
    if len(levels) < 2:
        return 0.0
    # a half may be so quiet that little of it sounds, beside the other: all frames count
    halves = levels[: len(levels) // 2], levels[len(levels) // 2 :]
    first_db, second_db = (float(np.percentile(half, _LOUD_PERCENT)) for half in halves)
    return second_db - first_db


def cepstra(samples: Samples, rate_hz: int) -> Frames:
    """Mel cepstra `(n_frames, 12)` without the level: what is said more than how loud.

    Each coefficient has mean 0 and deviation 1 over the clip.
    """
    hop, width = max(1, rate_hz // FRAMES_PER_S), round(_WINDOW_S * rate_hz)
    count = len(samples) // hop
    if count == 0:
        return np.zeros((0, _COEFFICIENTS - 1), dtype=np.float32)
    size = 1 << (width - 1).bit_length()
    padded = np.pad(samples, (width // 2, width))
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)[: count * hop : hop]
    spectra = np.fft.rfft(windows * np.hanning(width).astype(np.float32), size, axis=1)
    power = np.square(np.abs(spectra)).astype(np.float32) @ _filters(rate_hz, size)
    logs = np.log(np.maximum(power, 1e-5 * max(float(power.mean()), 1e-12)))
    found = logs @ _cosines()
    return np.asarray((found - found.mean(0)) / np.maximum(found.std(0), 1e-3), dtype=np.float32)


@lru_cache(maxsize=8)
def _filters(rate_hz: int, size: int) -> Frames:
    """Triangles on the mel scale `(n_bins, n_bands)`."""
    top = min(_HIGH_HZ, 0.95 * rate_hz / 2)
    mels = np.linspace(_to_mel(_LOW_HZ), _to_mel(top), _BANDS + 2)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins = np.linspace(0.0, rate_hz / 2, size // 2 + 1)[:, None]
    rises = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falls = (edges[2:] - bins) / np.diff(edges)[1:]
    return np.asarray(np.maximum(0.0, np.minimum(rises, falls)), dtype=np.float32)


@lru_cache(maxsize=1)
def _cosines() -> Frames:
    """Bands to cepstral coefficients 1 to 12 `(n_bands, 12)`: a type-II cosine transform."""
    places = (np.arange(_BANDS) + 0.5)[:, None] * np.arange(1, _COEFFICIENTS)
    return np.asarray(np.cos(np.pi * places / _BANDS), dtype=np.float32)


def _to_mel(hertz: float) -> float:
    return 2595.0 * float(np.log10(1.0 + hertz / 700.0))


def _drop_blips(sounding: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take sounds of a few frames for silence."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], sounding, [False]))))
    kept = sounding.copy()
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start <= _BLIP_FRAMES:
            kept[start:end] = False
    return kept if kept.any() else sounding
