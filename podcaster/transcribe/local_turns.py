"""Local turns: stretches in which one voice of a five-second window speaks without a long pause.

The segmentation's voices are its own in every window. Their turns, cut at pauses, are what gets a
voiceprint: the network sometimes takes two people who answer each other for one voice, but hardly
ever within one turn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from podcaster.transcribe.segmentation import CHUNK_FRAMES, FRAME_STEP, FRAME_WIDTH, Activity

FRAME_S = FRAME_STEP / 16_000
HEARD = 0.5  # from this probability on, a voice is heard

_PAUSE_FRAMES = 9  # 0.15 s; shorter pauses are within a turn
_CLEAN_FRAMES = 12  # 0.2 s; with less by one voice alone, overlapped speech is used, too
_PRINT_STEP = 160  # samples from one frame of the encoder to the next


@dataclass(frozen=True)
class LocalTurns:
    """Local turns in the order of their windows; all arrays are `(n,)`.

    `windows` and `voices` say whose; `firsts` and `ends` are frames of the window; `lengths_s` is
    how long this voice alone is heard, and `seconds` that divided by how many windows hear it.
    """

    windows: NDArray[np.int64]
    voices: NDArray[np.int64]
    firsts: NDArray[np.int64]
    ends: NDArray[np.int64]
    lengths_s: NDArray[np.float64]
    seconds: NDArray[np.float64]


def find_local_turns(activity: Activity, origins: NDArray[np.int64]) -> LocalTurns:
    """Cut each window's voices into turns.

    `activity` is `(n_windows, 293, 3)`; `origins` are the windows' first frames in the recording.
    """
    heard = activity >= HEARD
    alone = heard.sum(axis=2) == 1
    rows: list[tuple[int, int, int, int, int]] = []
    for window, voice in np.argwhere(heard.any(axis=1)):
        own = heard[window, :, voice]
        clean = np.concatenate(([0], np.cumsum(own & alone[window])))
        for first, end in _stretches(own):
            rows.append((window, voice, first, end, clean[end] - clean[first]))
    table = np.array(rows, dtype=np.int64).reshape(-1, 5)
    coverage = count_windows(origins)
    middles = origins[table[:, 0]] + (table[:, 2] + table[:, 3]) // 2
    lengths_s = table[:, 4].astype(np.float64) * FRAME_S
    seconds = lengths_s / np.maximum(1, coverage[middles])
    windows, voices, firsts, ends = table[:, :4].T
    return LocalTurns(windows, voices, firsts, ends, lengths_s, seconds)


def count_windows(origins: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many windows hear each frame of the recording."""
    counts = np.zeros(int(origins.max(initial=0)) + CHUNK_FRAMES + 1, dtype=np.int64)
    np.add.at(counts, origins, 1)
    np.add.at(counts, origins + CHUNK_FRAMES, -1)
    return np.cumsum(counts)[:-1]


def print_frames(
    turns: LocalTurns, activity: Activity, origins: NDArray[np.int64]
) -> list[NDArray[np.int64]]:
    """For each turn, the encoder's frames in which its voice is heard, alone if that is enough.

    Too short a turn gets none.
    """
    heard = activity >= HEARD
    alone = heard.sum(axis=2) == 1
    parts = []
    for window, voice, first, end in zip(
        turns.windows, turns.voices, turns.firsts, turns.ends, strict=True
    ):
        own = heard[window, first:end, voice]
        clean = own & alone[window, first:end]
        if clean.sum() >= _CLEAN_FRAMES:
            own = clean
        if own.sum() < _CLEAN_FRAMES:
            parts.append(np.zeros(0, dtype=np.int64))
            continue
        begin = (origins[window] + first) * FRAME_STEP + FRAME_WIDTH // 2
        grid = np.arange(begin // _PRINT_STEP, (begin + len(own) * FRAME_STEP) // _PRINT_STEP)
        nearest = np.round((grid * _PRINT_STEP - begin) / FRAME_STEP).astype(np.int64)
        parts.append(grid[own[np.clip(nearest, 0, len(own) - 1)]])
    return parts


def _stretches(heard: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where something is true, from and to, with short pauses bridged."""
    edges = np.flatnonzero(np.diff(heard.astype(np.int8), prepend=0, append=0))
    found: list[tuple[int, int]] = []
    for first, end in zip(edges[::2], edges[1::2], strict=True):
        if found and first - found[-1][1] < _PAUSE_FRAMES:
            found[-1] = (found[-1][0], int(end))
        else:
            found.append((int(first), int(end)))
    return found
