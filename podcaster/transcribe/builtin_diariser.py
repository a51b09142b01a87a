"""Telling voices apart with what the packages bring: no account, no token, no download.

Windows of five seconds, a second apart, are segmented into up to three voices each; Silero VAD,
which faster-whisper carries, has a second opinion on what is speech. The turns of these local
voices get voiceprints, and clustering finds out which of them are the same person and how many
there are. Then every window votes for who speaks in each frame of 17 ms, and for how many speak at
once: so boundaries are the segmentation's, and people who talk over each other both get spans.

(The way from local voices to global ones is that of Bredin, "pyannote.audio 2.1 speaker
diarization pipeline", Interspeech 2023.)
"""

from importlib import metadata
from itertools import pairwise

import numpy as np
from faster_whisper.vad import get_vad_model
from numpy.typing import NDArray

from podcaster.audio import Samples
from podcaster.errors import EngineError, foreign
from podcaster.model import SpeakerSpan
from podcaster.transcribe.clustering import Pieces, Vectors, check_bounds, find_voices
from podcaster.transcribe.engine import SAMPLE_RATE_HZ
from podcaster.transcribe.local_turns import (
    FRAME_S,
    HEARD,
    LocalTurns,
    count_windows,
    find_local_turns,
    print_frames,
)
from podcaster.transcribe.segmentation import (
    CHUNK_FRAMES,
    CHUNK_S,
    FRAME_STEP,
    FRAME_WIDTH,
    Activity,
    Segmenter,
)
from podcaster.voiceprint import Encoder

ALGORITHM = 1  # raised with every change that changes spans

_STEP_FRAMES = 59  # between two windows: a second
_VAD_WINDOW = 512  # samples
_VAD_BLOCK = 600 * SAMPLE_RATE_HZ // _VAD_WINDOW  # windows of VAD at once: ten minutes
_VAD_MARGIN = 8  # windows of VAD around speech that still may be speech: 0.26 s
_LEAST_PIECE_S = 0.6  # shorter turns do not found a voice
_TRUST_S = 0.5  # the length at which a turn's own voiceprint counts as much as its window's voice
_OVERLAP_FRAMES = 6  # 0.1 s; voices that are heard at once for longer are two people
_SHORTEST_S = 0.1  # of spans, and of pauses within them


class BuiltinDiariser:
    """Segmentation, voiceprints and clustering; used from one thread of one process."""

    def __init__(self, *, device: str = "auto") -> None:
        """Load the networks onto `device`: cpu, cuda or auto.

        Raises EngineMissing where a package that carries one is not installed.
        """
        self._encoder = Encoder(device=device)
        self._segmenter = Segmenter(device=device)
        self._vad = get_vad_model()
        vad = f"Silero VAD of faster-whisper {metadata.version('faster-whisper')}"
        self._id = f"builtin {ALGORITHM} ({self._segmenter.id}, {self._encoder.id}, {vad})"

    @property
    def id(self) -> str:
        """What decides the spans: the algorithm's version, the packages, the weights' hashes."""
        return self._id

    def diarise(
        self, samples: Samples, *, fewest: int | None = None, most: int | None = None
    ) -> tuple[SpeakerSpan, ...]:
        """Who speaks when, in the order of starts; labels are `S1`, `S2`, … by first appearance.

        `samples` are float32 mono at 16 kHz. `fewest` and `most` bound the number of speakers; it
        may be smaller than `fewest` where there is too little speech. No speech: no spans.
        Raises ConfigError where no number can be within the bounds, EngineError.
        """
        check_bounds(fewest, most)
        if not np.isfinite(samples).all():
            raise EngineError("The recording holds samples that are not numbers.")
        with foreign(EngineError, "Telling voices apart"):
            origins = _window_origins(len(samples))
            activity = self._segmenter.segment(samples, origins * FRAME_STEP)
            activity *= self._find_speech(samples, origins)[:, :, None]
            turns = find_local_turns(activity, origins)
            vectors = self._encoder.embed_parts(samples, print_frames(turns, activity, origins))
            voices = find_voices(_pieces(turns, vectors), fewest=fewest, most=most)
            if not len(voices):
                return ()
            owners = _choose_owners(turns, vectors, voices)
            active = _vote(activity, origins, turns, owners, len(voices))
        return _spans(active, len(samples) / SAMPLE_RATE_HZ)

    def close(self) -> None:
        """Give the networks' memory back."""
        self._encoder.close()
        self._segmenter.close()

    def _find_speech(self, samples: Samples, origins: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each frame of each window is in or near speech, says Silero: `(n, 293)`."""
        speech = []
        for first in range(0, max(1, len(samples)), _VAD_BLOCK * _VAD_WINDOW):
            block = samples[first : first + _VAD_BLOCK * _VAD_WINDOW]
            # it wants a whole number of windows
            padded = np.pad(block, (0, -len(block) % _VAD_WINDOW))
            speech.append(self._vad(padded).ravel() >= HEARD if len(padded) else np.zeros(1, bool))
        near = np.convolve(np.concatenate(speech), np.ones(2 * _VAD_MARGIN + 1), "same") > 0.5
        frames = origins[:, None] + np.arange(CHUNK_FRAMES)
        at = (frames * FRAME_STEP + FRAME_WIDTH // 2) // _VAD_WINDOW
        return np.asarray(near[np.clip(at, 0, len(near) - 1)])


def _window_origins(count: int) -> NDArray[np.int64]:
    """The first frames of windows that cover a recording of `count` samples."""
    beyond = max(0, count - round(CHUNK_S * SAMPLE_RATE_HZ))
    return np.arange(-(-beyond // (_STEP_FRAMES * FRAME_STEP)) + 1, dtype=np.int64) * _STEP_FRAMES


def _pieces(turns: LocalTurns, vectors: Vectors) -> Pieces:
    """The turns that may found a voice: the longer ones, or all that there are."""
    printed = np.linalg.norm(vectors, axis=1) > 0.5
    for least_s in (_LEAST_PIECE_S, _LEAST_PIECE_S / 2, 0.0):
        which = printed & (turns.lengths_s >= least_s)
        if which.any():
            break
    pieces = Pieces(vectors, turns.lengths_s, turns.seconds, turns.windows, turns.voices)
    return pieces.take(which)


def _choose_owners(turns: LocalTurns, vectors: Vectors, voices: Vectors) -> NDArray[np.int64]:
    """Whose each turn is `(n,)`, -1 where nothing tells.

    A short turn is judged by its local voice's other turns, too.
    """
    close = vectors @ voices.T  # (n_turns, n_voices)
    printed = np.linalg.norm(vectors, axis=1) > 0.5
    weights = np.where(printed, turns.lengths_s, 0.0)
    _, local = np.unique(turns.windows * 8 + turns.voices, return_inverse=True)
    total = np.bincount(local, weights=weights)
    means = np.zeros((len(total), len(voices)))
    np.add.at(means, local, close * weights[:, None])
    means /= np.maximum(total, 1e-9)[:, None]
    trust = np.where(printed, turns.lengths_s / (turns.lengths_s + _TRUST_S), 0.0)[:, None]
    scores = trust * close + (1.0 - trust) * means[local]
    owners = np.where(printed | (total[local] > 0), scores.argmax(axis=1), -1)
    if len(voices) > 1:
        _part_overlapping(turns, scores, owners)
    return owners


def _part_overlapping(
    turns: LocalTurns, scores: NDArray[np.float64], owners: NDArray[np.int64]
) -> None:
    """Give turns that overlap to two people: the one that loses least by it goes to its second."""
    ranks = np.argsort(-scores, axis=1)
    losses = np.diff(-np.take_along_axis(scores, ranks[:, :2], axis=1), axis=1)[:, 0]
    bounds = np.flatnonzero(np.diff(turns.windows, prepend=-1, append=-1))
    for first, end in pairwise(bounds):
        for one in range(first, end):
            for other in range(first, one):
                shared = min(turns.ends[one], turns.ends[other]) - max(
                    turns.firsts[one], turns.firsts[other]
                )
                apart = turns.voices[one] != turns.voices[other] and shared > _OVERLAP_FRAMES
                if apart and owners[one] == owners[other] >= 0:
                    moved = one if losses[one] < losses[other] else other
                    owners[moved] = ranks[moved, 1]


def _vote(
    activity: Activity,
    origins: NDArray[np.int64],
    turns: LocalTurns,
    owners: NDArray[np.int64],
    count: int,
) -> NDArray[np.bool_]:
    """Whether each voice is heard in each frame of the recording: `(n_frames, count)`.

    The windows' mean says how many speak at once; those with the most support are they.
    """
    coverage = np.maximum(1, count_windows(origins))
    support = np.zeros((len(coverage), count), dtype=np.float32)
    for turn, owner in enumerate(owners):
        if owner >= 0:
            window, first, end = turns.windows[turn], turns.firsts[turn], turns.ends[turn]
            origin = origins[window]
            support[origin + first : origin + end, owner] += activity[
                window, first:end, turns.voices[turn]
            ]
    speaking = np.zeros(len(coverage), dtype=np.int64)
    for origin, heard in zip(origins, (activity >= HEARD).sum(axis=2), strict=True):
        speaking[origin : origin + CHUNK_FRAMES] += heard
    at_once = np.rint(speaking / coverage).astype(np.int64)
    ranks = np.argsort(np.argsort(-support, axis=1, kind="stable"), axis=1)
    return np.asarray((ranks < at_once[:, None]) & (support > 0.0))


def _spans(active: NDArray[np.bool_], duration_s: float) -> tuple[SpeakerSpan, ...]:
    """Stretches of activity as spans, named by first appearance."""
    # a frame stands for half a step on either side of its centre
    offset_s = (FRAME_WIDTH // 2 - FRAME_STEP / 2) / SAMPLE_RATE_HZ
    found: list[tuple[float, float, int]] = []
    for voice in range(active.shape[1]):
        edges = np.flatnonzero(np.diff(active[:, voice].astype(np.int8), prepend=0, append=0))
        own: list[tuple[float, float, int]] = []
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            start_s = float(first) * FRAME_S + offset_s
            end_s = min(float(end) * FRAME_S + offset_s, duration_s)
            if own and start_s - own[-1][1] < _SHORTEST_S:
                own[-1] = (own[-1][0], end_s, voice)
            else:
                own.append((start_s, end_s, voice))
        found.extend(span for span in own if span[1] - span[0] >= _SHORTEST_S)
    found.sort()
    names: dict[int, str] = {}
    return tuple(
        SpeakerSpan(
            start_s=round(start_s, 3),
            end_s=round(end_s, 3),
            speaker=names.setdefault(voice, f"S{len(names) + 1}"),
        )
        for start_s, end_s, voice in found
    )
