"""Rendering: turns, music and room become one programme, block after block.

Only the clips that sound in a block are open while it is rendered.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from podcaster.audio import LoudnessMeter, Samples
from podcaster.mix.clips import ClipScan, speak_clip
from podcaster.mix.music import (
    CLOSING_LEAD_S,
    CLOSING_SOLO_S,
    OPENING_SOLO_S,
    duck_envelope,
    make_room_tone,
    play_closing,
    play_opening,
)
from podcaster.mix.options import MixOptions
from podcaster.model import Speaker
from podcaster.units import SAMPLE_RATE_HZ, db_to_gain

BLOCK_SAMPLES = 10 * SAMPLE_RATE_HZ
MUSIC = "*music"  # the stem of what nobody says, music and room; no speaker can be called so

_WIDTH = 0.22  # outermost place: 0 is the middle, 1 hard right; the channels differ by 3 dB
_MUSIC_UNDER_VOICES_LU = 3.0  # where it plays alone


@dataclass(frozen=True)
class PlacedClip:
    """A clip and where it lies in the programme, in samples."""

    speaker: str
    scan: ClipScan
    gain: float
    start: int
    end: int


@dataclass(frozen=True)
class Layer:
    """A piece of music and where it begins, in samples."""

    start: int
    samples: Samples


@dataclass(frozen=True)
class Plan:
    """Everything that sounds in an episode. `clips` are in order of their starts."""

    clips: Sequence[PlacedClip]
    layers: Sequence[Layer]
    room: Samples
    places: Mapping[str, float]
    samples: int
    channels: int


@dataclass
class _OpenClip:
    clip: PlacedClip
    blocks: Iterator[Samples]
    held: Samples = field(default_factory=lambda: np.zeros(0, dtype=np.float32))

    def take(self, count: int) -> Samples:
        """The next `count` samples, fewer at the clip's end."""
        pieces, have = [self.held], len(self.held)
        while have < count:
            block = next(self.blocks, None)
            if block is None:
                break
            pieces.append(block)
            have += len(block)
        joined = np.concatenate(pieces)
        self.held = joined[count:].copy()
        return joined[:count]


def plan_places(speakers: Sequence[Speaker]) -> dict[str, float]:
    """Where each speaker sits, from -1 (left) to 1: hosts left, guests right, others between."""
    order = {"host": 0, "other": 1, "guest": 2}
    seated = sorted(speakers, key=lambda speaker: order[speaker.role])
    if len(seated) == 1:
        return {seated[0].id: 0.0}
    step = 2 * _WIDTH / (len(seated) - 1)
    return {speaker.id: round(index * step - _WIDTH, 6) for index, speaker in enumerate(seated)}


def plan_layers(
    speech: Sequence[tuple[float, float]], options: MixOptions, *, seed: int, level_lufs: float
) -> list[Layer]:
    """The opening and the closing, ducked under the known times of speech."""
    if not options.music:
        return []
    last_word_s = max(end for _, end in speech)
    layers = []
    for music, start_s, (solo_s, solo_end_s) in (
        (play_opening(seed), 0.0, OPENING_SOLO_S),
        (play_closing(seed), last_word_s - CLOSING_LEAD_S, CLOSING_SOLO_S),
    ):
        meter = LoudnessMeter(SAMPLE_RATE_HZ, 2, true_peak=False)
        meter.add(music[round(solo_s * SAMPLE_RATE_HZ) : round(solo_end_s * SAMPLE_RATE_HZ)])
        change_db = level_lufs - _MUSIC_UNDER_VOICES_LU - meter.result().integrated_lufs
        start = round(start_s * SAMPLE_RATE_HZ)
        # in a very short episode the closing would begin before the episode does
        samples, start = music[max(0, -start) :], max(0, start)
        gain = duck_envelope(speech, start / SAMPLE_RATE_HZ, len(samples)) * db_to_gain(change_db)
        layers.append(Layer(start, _to_channels(samples * gain[:, None], options.stereo)))
    return layers


def plan_room(options: MixOptions, *, seed: int, change_db: float) -> Samples:
    """The room's loop, at the level that becomes `room_tone_db` once `change_db` is undone."""
    return _to_channels(make_room_tone(seed, options.room_tone_db - change_db), options.stereo)


def render_blocks(plan: Plan, stem: Callable[[str, Samples], None] | None) -> Iterator[Samples]:
    """Render the programme as blocks `(n_samples, channels)`.

    `stem`, if given, receives each block of every speaker and of `MUSIC` as well; their sum is
    the block. Raises RunError where a clip cannot be read.
    """
    gains = {
        speaker: _pan_gains(place) if plan.channels == 2 else np.ones(1, dtype=np.float32)
        for speaker, place in plan.places.items()
    }
    opened: list[_OpenClip] = []
    upcoming = 0
    for start in range(0, plan.samples, BLOCK_SAMPLES):
        end = min(start + BLOCK_SAMPLES, plan.samples)
        while upcoming < len(plan.clips) and plan.clips[upcoming].start < end:
            clip = plan.clips[upcoming]
            opened.append(_OpenClip(clip, speak_clip(clip.scan, clip.gain)))
            upcoming += 1
        mixed = _render_background(plan, start, end)
        if stem:
            stem(MUSIC, mixed.copy())
        voices: dict[str, Samples] = {}
        for voice in opened:
            speaker = voice.clip.speaker
            block = voices.setdefault(speaker, np.zeros(end - start, dtype=np.float32))
            offset = max(0, voice.clip.start - start)
            spoken = voice.take(min(end, voice.clip.end) - start - offset)
            block[offset : offset + len(spoken)] += spoken
        for speaker, gain in gains.items():
            if speaker in voices:
                placed = voices[speaker][:, None] * gain
                mixed += placed
            elif stem:
                placed = np.zeros((end - start, plan.channels), dtype=np.float32)
            if stem:
                stem(speaker, placed)
        opened = [voice for voice in opened if voice.clip.end > end]
        yield mixed


def _render_background(plan: Plan, start: int, end: int) -> Samples:
    turned = np.roll(plan.room, -(start % len(plan.room)), axis=0)
    background: Samples = np.resize(turned, (end - start, plan.channels))
    for layer in plan.layers:
        begin = max(start, layer.start)
        stop = min(end, layer.start + len(layer.samples))
        if begin < stop:
            piece = layer.samples[begin - layer.start : stop - layer.start]
            background[begin - start : stop - start] += piece
    return background


def _pan_gains(place: float) -> Samples:
    # constant power: what one channel loses the other gains
    angle = (place + 1) * np.pi / 4
    return np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)


def _to_channels(samples: Samples, stereo: bool) -> Samples:
    return samples if stereo else samples.mean(axis=1, keepdims=True, dtype=np.float32)
