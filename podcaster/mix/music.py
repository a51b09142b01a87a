"""The music at the edges and the room under everything, synthesised here from a seed.

Four chords of electric piano over a soft pad and a bass, in a key of the seed's own. Nothing is
sampled from anybody. Arrays are float32 stereo `(n_samples, 2)` at `SAMPLE_RATE_HZ`.

The piano is Chowning's frequency modulation ("The synthesis of complex audio spectra by means of
frequency modulation", JAES 21, 1973) with a decaying index; the hall is exponentially decaying
noise (Moorer, "About this reverberation business", Computer Music Journal 3, 1979).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from podcaster.audio import Samples
from podcaster.mix.timing import HEAD_WITH_MUSIC_S, TAIL_WITH_MUSIC_S
from podcaster.units import SAMPLE_RATE_HZ, db_to_gain

OPENING_S = 9.0
CLOSING_LEAD_S = 4.5  # under the last words
CLOSING_S = CLOSING_LEAD_S + TAIL_WITH_MUSIC_S
# where each is heard alone and at its fullest; its level is set there
OPENING_SOLO_S = (0.0, HEAD_WITH_MUSIC_S)
CLOSING_SOLO_S = (CLOSING_LEAD_S + 0.25, CLOSING_LEAD_S + 2.0)
DUCK_DB = -16.0

_DUCK_ATTACK_S = 0.45  # the fall is over when the word begins
_DUCK_RELEASE_S = 0.9
_DUCK_HOLD_S = 1.5  # pauses shorter than this do not bring the music up
_SOLO_PEAK = 0.30
_ROOM_LOOP_S = 23.0

_KEYS = (48, 50, 51, 53, 55, 57)  # MIDI notes of the root: C3 … A3
# chords in semitones over the root, as (bass, notes)
_PROGRESSIONS = (
    ((0, (12, 16, 19, 23)), (-3, (12, 16, 19, 21)), (5, (12, 17, 21, 24)), (7, (14, 17, 19, 23))),
    ((0, (12, 16, 19, 26)), (5, (12, 17, 21, 28)), (-3, (9, 16, 19, 24)), (7, (14, 17, 19, 24))),
    ((0, (12, 14, 19, 23)), (4, (11, 16, 19, 26)), (5, (12, 17, 21, 24)), (7, (12, 14, 19, 24))),
)
_RESOLUTION = (0, (12, 16, 19, 24, 28))
_PATTERNS = ((0, 1, 2, 3, 2, 1), (0, 2, 1, 3, 1, 2), (3, 1, 2, 0, 2, 1))


@dataclass(frozen=True)
class Theme:
    """What the seed decides of a show's music."""

    root: int
    chords: tuple[tuple[int, tuple[int, ...]], ...]
    pattern: tuple[int, ...]


def compose_theme(seed: int) -> Theme:
    """Choose key, chords and figure."""
    rng = _generator(seed, "theme")
    return Theme(
        root=_KEYS[int(rng.integers(len(_KEYS)))],
        chords=_PROGRESSIONS[int(rng.integers(len(_PROGRESSIONS)))],
        pattern=_PATTERNS[int(rng.integers(len(_PATTERNS)))],
    )


def play_opening(seed: int) -> Samples:
    """The opening: alone for `HEAD_WITH_MUSIC_S`, meant to be ducked, faded out at its end."""
    theme = compose_theme(seed)
    score = _Score(OPENING_S, seed)
    # three beats a chord; a chord and a half is heard before the first word
    chord_s = HEAD_WITH_MUSIC_S / 1.5
    for index in range(int(OPENING_S / chord_s) + 1):
        score.play_chord(theme, theme.chords[index % 4], index * chord_s, chord_s)
    return score.finish(fade_in_s=0.05, fade_out_s=OPENING_S - HEAD_WITH_MUSIC_S - 0.6)


def play_closing(seed: int) -> Samples:
    """The closing: `CLOSING_LEAD_S` under the last words, then one chord that rings out."""
    theme = compose_theme(seed)
    score = _Score(CLOSING_S, seed)
    chord_s = CLOSING_LEAD_S / 2
    score.play_chord(theme, theme.chords[2], 0.0, chord_s)
    score.play_chord(theme, theme.chords[3], chord_s, chord_s + 0.25)
    last_s = CLOSING_LEAD_S + 0.25
    bass, notes = _RESOLUTION
    score.pad(theme.root, notes[:4], last_s, CLOSING_S - last_s)
    score.note(theme.root + bass - 12, last_s, 4.0, 0.38, 0.0)
    for index, note in enumerate(notes):
        pan = 0.4 * (index / 2 - 1)
        score.note(theme.root + note, last_s + 0.09 * index, 4.0, 0.34, pan)
    return score.finish(fade_in_s=2.5, fade_out_s=2.6)


def make_room_tone(seed: int, level_db: float) -> Samples:
    """A loop of the quiet of a room: soft low noise of `level_db` RMS that repeats seamlessly.

    Its spectrum falls by 6 dB an octave above 200 Hz and has nothing below 40 Hz; both channels
    differ, so it has width.
    """
    count = round(_ROOM_LOOP_S * SAMPLE_RATE_HZ)
    noise = _generator(seed, "room").standard_normal((2, count), dtype=np.float32)
    hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ)
    shape = (hz > 40.0) / np.sqrt(1.0 + (hz / 200.0) ** 2)
    # shaped in the frequency domain, so the loop's end runs into its beginning
    toned = np.fft.irfft(np.fft.rfft(noise) * shape, count).T
    scaled = toned / np.sqrt(np.mean(toned**2)) * db_to_gain(level_db)
    return np.ascontiguousarray(scaled, dtype=np.float32)


def duck_envelope(speech: Sequence[tuple[float, float]], start_s: float, count: int) -> Samples:
    """Gain of music that lies at `start_s`, given when somebody speaks: `(count,)`.

    It is at `DUCK_DB` while anybody speaks, has fallen before the word begins, and rises after
    the last one; both slopes are raised cosines in decibels.
    """
    times = start_s + np.arange(count, dtype=np.float64) / SAMPLE_RATE_HZ
    end_s = start_s + count / SAMPLE_RATE_HZ
    depth = np.zeros(count)  # 0: untouched, 1: fully ducked
    for begin, end in merge_speech(speech):
        if end + _DUCK_RELEASE_S < start_s or begin - _DUCK_ATTACK_S > end_s:
            continue
        fall = np.clip((times - (begin - _DUCK_ATTACK_S)) / _DUCK_ATTACK_S, 0.0, 1.0)
        rise = np.clip((end + _DUCK_RELEASE_S - times) / _DUCK_RELEASE_S, 0.0, 1.0)
        depth = np.maximum(depth, np.minimum(fall, rise))
    smooth = 0.5 - 0.5 * np.cos(np.pi * depth)
    return np.asarray(10.0 ** (DUCK_DB * smooth / 20.0), dtype=np.float32)


def merge_speech(speech: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Join intervals that are closer than the hold, so that music does not pump between turns."""
    merged: list[tuple[float, float]] = []
    for begin, end in speech:
        if merged and begin - merged[-1][1] < _DUCK_HOLD_S:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


class _Score:
    """Notes are added to a dry bed; `finish` puts it into a hall and brings it to level."""

    def __init__(self, length_s: float, seed: int) -> None:
        self._bed = np.zeros((round(length_s * SAMPLE_RATE_HZ), 2))
        self._rng = _generator(seed, "touch")
        self._seed = seed

    def play_chord(
        self, theme: Theme, chord: tuple[int, tuple[int, ...]], at_s: float, length_s: float
    ) -> None:
        """A pad, a bass note, and the theme's figure in even steps."""
        bass, notes = chord
        self.pad(theme.root, notes, at_s, length_s)
        self.note(theme.root + bass - 12, at_s, length_s * 1.3, 0.38, 0.0)
        step_s = length_s / len(theme.pattern)
        for index, which in enumerate(theme.pattern):
            touch = 0.26 + 0.08 * float(self._rng.random()) + (0.08 if index == 0 else 0.0)
            pan = 0.5 * (which / 1.5 - 1)
            self.note(theme.root + notes[which], at_s + index * step_s, 1.6, touch, pan)

    def note(self, midi: int, at_s: float, length_s: float, loudness: float, pan: float) -> None:
        """One struck note of electric piano."""
        time = self._times(at_s, length_s)
        phase = 2 * np.pi * _midi_hz(midi) * time
        bright = (1.4 * np.exp(-time * 5.0) + 0.25) * min(1.0, 72.0 / midi)
        tine = 0.08 * np.exp(-time * 22.0) * np.sin(7.0 * phase)
        tone = np.sin(phase + bright * np.sin(phase)) + tine
        decay = np.exp(-time * (1.1 + midi / 60.0)) * np.minimum(1.0, time / 0.006)
        # no note is cut: the last tenth of a second closes it
        close = np.clip((length_s - time) / 0.1, 0.0, 1.0)
        self._add(tone * decay * close * loudness, at_s, pan)

    def pad(self, root: int, notes: Sequence[int], at_s: float, length_s: float) -> None:
        """A soft chord that swells and overlaps the next one."""
        whole_s = length_s + 0.6
        time = self._times(at_s, whole_s)
        swell = np.sin(np.pi * np.clip(time / whole_s, 0.0, 1.0)) ** 0.7
        for index, note in enumerate(notes):
            hz = _midi_hz(root + note)
            for detune, pan in ((-0.0016, -0.7), (0.0016, 0.7)):
                phase = 2 * np.pi * hz * (1 + detune) * time + index
                tone = np.sin(phase) + 0.30 * np.sin(2 * phase) + 0.10 * np.sin(3 * phase)
                self._add(0.045 * tone * swell, at_s, pan)

    def finish(self, *, fade_in_s: float, fade_out_s: float) -> Samples:
        """Add the hall, fade both ends, and bring the peak to level."""
        wet = self._hall()
        mixed = self._bed + 0.22 * wet
        count = len(mixed)
        rising = np.clip(np.arange(count) / (fade_in_s * SAMPLE_RATE_HZ), 0.0, 1.0)
        falling = np.clip(np.arange(count)[::-1] / (fade_out_s * SAMPLE_RATE_HZ), 0.0, 1.0)
        fades = np.sin(0.5 * np.pi * np.minimum(rising, falling)) ** 2
        faded = mixed * fades[:, None]
        return np.asarray(faded * (_SOLO_PEAK / np.abs(faded).max()), dtype=np.float32)

    def _hall(self) -> NDArray[np.float64]:
        count = round(1.8 * SAMPLE_RATE_HZ)
        time = np.arange(count) / SAMPLE_RATE_HZ
        noise = _generator(self._seed, "hall").standard_normal((2, count))
        # the highs die first, as in a room with people in it
        dark = np.cumsum(noise, axis=1) - np.cumsum(noise, axis=1).mean(axis=1, keepdims=True)
        tail = (0.6 * noise + 0.01 * dark) * np.exp(-3.2 * time) * np.minimum(1.0, time / 0.02)
        tail /= np.sqrt((tail**2).sum(axis=1, keepdims=True))
        size = 1 << (len(self._bed) + count).bit_length()
        spectrum = np.fft.rfft(self._bed.T, size) * np.fft.rfft(tail, size)
        return np.fft.irfft(spectrum, size)[:, : len(self._bed)].T

    def _times(self, at_s: float, length_s: float) -> NDArray[np.float64]:
        start = round(at_s * SAMPLE_RATE_HZ)
        room = max(0, len(self._bed) - start)
        return np.arange(min(round(length_s * SAMPLE_RATE_HZ), room)) / SAMPLE_RATE_HZ

    def _add(self, tone: NDArray[np.float64], at_s: float, pan: float) -> None:
        start = round(at_s * SAMPLE_RATE_HZ)
        angle = (pan + 1) * np.pi / 4
        self._bed[start : start + len(tone), 0] += tone * np.cos(angle)
        self._bed[start : start + len(tone), 1] += tone * np.sin(angle)


def _midi_hz(note: int) -> float:
    return float(440.0 * 2.0 ** ((note - 69) / 12))


def _generator(seed: int, purpose: str) -> np.random.Generator:
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))
