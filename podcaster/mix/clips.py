"""Spoken clips on their way into the mix: read in pieces, trimmed, levelled, cleaned up.

A clip is never in memory as a whole: a monologue of an hour costs no more than a sentence.
"""

import warnings
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from podcaster.audio import Samples
from podcaster.errors import RunError
from podcaster.model import Clip
from podcaster.units import SAMPLE_RATE_HZ, db_to_gain, gain_to_db

with warnings.catch_warnings():
    # pydub looks for an ffmpeg program when it is imported, and warns; WAV needs none
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

_PIECE_S = 8.0
_SILENT_DB = -55.0  # under the clip's own peak: silence at its ends
_KEEP_S = 0.008  # of that silence, so that the fades touch no sound
_FADE_IN_S, _FADE_OUT_S = 0.004, 0.010
_EDGE_HOP_S = 0.002
_DURATION_TOLERANCE_S = 0.1
_LOUDNESS_FRAME_S = 0.4
_ABSOLUTE_GATE_LUFS, _RELATIVE_GATE_LU = -70.0, -10.0
_LARGEST_GAIN_DB = 24.0
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 4_000, 384_000


@dataclass(frozen=True)
class ClipScan:
    """What one reading of a clip found: what of it can be heard, and how loud it is.

    Frames count at the clip's own rate. `powers` are K-weighted mean squares of 0.4 s each.
    """

    path: Path
    where: str
    sample_rate_hz: int
    first_frame: int
    end_frame: int
    powers: tuple[float, ...]

    @property
    def start_s(self) -> float:
        """Where in the clip the sound begins."""
        return self.first_frame / self.sample_rate_hz

    @property
    def duration_s(self) -> float:
        """How long what can be heard lasts."""
        return (self.end_frame - self.first_frame) / self.sample_rate_hz


def scan_clip(path: Path, clip: Clip, where: str) -> ClipScan:
    """Read a clip once, to know where its sound begins and ends and how loud it is.

    `where` names it in errors. Raises RunError where the file is missing, is no PCM WAV, or does
    not last as long as the clip says.
    """
    peaks: list[NDArray[np.float32]] = []
    powers: list[float] = []
    frames = 0
    rate_hz = _LOWEST_RATE_HZ
    hop = 1
    for segment in _read_segments(path, where, 0, None):
        rate_hz = segment.frame_rate
        hop = max(1, round(rate_hz * _EDGE_HOP_S))
        samples = _to_samples(segment)
        frames += len(samples)
        powers += _weighted_powers(samples, rate_hz)
        padded = np.pad(np.abs(samples), (0, -len(samples) % hop))
        peaks.append(padded.reshape(-1, hop).max(axis=1))
    duration_s = frames / rate_hz
    if abs(duration_s - clip.duration_s) > _DURATION_TOLERANCE_S:
        raise _broken(where, path, f"lasts {duration_s:.2f} s, expected {clip.duration_s:.2f} s")
    first, end = _audible(np.concatenate(peaks) if peaks else np.zeros(0, np.float32), hop, frames)
    keep = round(rate_hz * _KEEP_S)
    return ClipScan(
        path=path,
        where=where,
        sample_rate_hz=rate_hz,
        first_frame=max(0, first - keep),
        end_frame=min(frames, end + keep),
        powers=tuple(powers),
    )


def level_gain(powers: list[float], target_lufs: float) -> float:
    """The factor that brings a speaker to `target_lufs`, from the powers of all their clips.

    Gated as in BS.1770, so that pauses do not count; 1 for a speaker who is silent throughout.
    """
    loud = [power for power in powers if _to_lufs(power) > _ABSOLUTE_GATE_LUFS]
    if not loud:
        return 1.0
    gate = _to_lufs(sum(loud) / len(loud)) + _RELATIVE_GATE_LU
    gated = [power for power in loud if _to_lufs(power) > gate]
    change_db = target_lufs - _to_lufs(sum(gated) / len(gated))
    return db_to_gain(min(max(change_db, -_LARGEST_GAIN_DB), _LARGEST_GAIN_DB))


def speak_clip(scan: ClipScan, gain: float) -> Iterator[Samples]:
    """The audible part of a clip, ready for the mix: mono blocks at `SAMPLE_RATE_HZ`.

    Faded at both ends, brought to level, freed of rumble under 70 Hz, gently compressed.
    Raises RunError where the file no longer is what was scanned.
    """
    chain = _VoiceChain(scan.sample_rate_hz)
    resampler = soxr.ResampleStream(scan.sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
    left = scan.end_frame - scan.first_frame
    segments = _read_segments(scan.path, scan.where, scan.first_frame, scan.end_frame)
    for index, segment in enumerate(segments):
        left -= int(segment.frame_count())
        samples = _to_samples(segment) * np.float32(gain)
        if index == 0:
            _fade(samples, round(_FADE_IN_S * scan.sample_rate_hz))
        if left == 0:
            _fade(samples[::-1], round(_FADE_OUT_S * scan.sample_rate_hz))
        cleaned = chain.process(samples, last=left == 0)
        yield np.asarray(resampler.resample_chunk(cleaned, last=left == 0), dtype=np.float32)


class _VoiceChain:
    """High-pass and compressor of FFmpeg's, for one clip; it adds no delay."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        # the graph must outlive its filters: they point into it
        self._graph = av.filter.Graph()
        self._source = self._graph.add_abuffer(
            format="flt",
            sample_rate=sample_rate_hz,
            layout="mono",
            time_base=Fraction(1, sample_rate_hz),
        )
        last = self._source
        for name, options in (
            ("highpass", "f=70"),
            # thresholds fit speech that was brought to about -20 LUFS
            ("acompressor", "threshold=-24dB:ratio=2.2:knee=4:attack=8:release=160:makeup=2.2"),
            ("aformat", "sample_fmts=flt"),
            ("abuffersink", ""),
        ):
            context = self._graph.add(name, options)
            last.link_to(context)
            last = context
        self._sink = last
        self._graph.configure()
        self._count = 0

    def process(self, samples: Samples, *, last: bool) -> Samples:
        """As many samples as went in, once `last` was said."""
        pushed = av.AudioFrame.from_ndarray(samples[None, :], format="flt", layout="mono")
        pushed.sample_rate = self._rate_hz
        pushed.pts = self._count
        self._count += len(samples)
        self._source.push(pushed)
        if last:
            self._source.push(None)
        blocks: list[Any] = []
        while True:
            try:
                frame: Any = self._sink.pull()
                blocks.append(frame.to_ndarray()[0])
            except (av.BlockingIOError, av.EOFError):
                return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def _read_segments(path: Path, where: str, first: int, end: int | None) -> Iterator[AudioSegment]:
    """Read a WAV piece by piece as mono 16-bit segments."""
    try:
        with wave.open(str(path), "rb") as file:
            rate_hz, frames = file.getframerate(), file.getnframes()
            if not _LOWEST_RATE_HZ <= rate_hz <= _HIGHEST_RATE_HZ:
                raise _broken(where, path, f"has {rate_hz} samples a second")
            file.setpos(min(first, frames))
            left = (frames if end is None else end) - first
            while left > 0:
                count = min(left, round(_PIECE_S * rate_hz))
                segment = AudioSegment(
                    data=file.readframes(count),
                    sample_width=file.getsampwidth(),
                    frame_rate=rate_hz,
                    channels=file.getnchannels(),
                )
                if int(segment.frame_count()) != count:
                    raise _broken(where, path, "is cut off")
                left -= count
                yield segment.set_channels(1).set_sample_width(2)
    except FileNotFoundError as error:
        raise _broken(where, path, "is missing") from error
    except OSError as error:
        raise _broken(where, path, f"cannot be read ({error.strerror or error})") from error
    except (wave.Error, EOFError, ValueError) as error:
        raise _broken(where, path, f"is not a PCM WAV file ({error or 'it ends early'})") from error


def _broken(where: str, path: Path, what: str) -> RunError:
    return RunError(
        f"The clip of {where}, {path}, {what}.",
        next_step="Type `podcaster resume RUN`: it is spoken again.",
    )


def _fade(samples: Samples, count: int) -> None:
    # in place, from the first sample on; pydub's own fades lose a sample at odd rates
    count = min(count, len(samples))
    samples[:count] *= np.sin(0.5 * np.pi * np.arange(count, dtype=np.float32) / max(1, count)) ** 2


def _to_samples(segment: AudioSegment) -> Samples:
    return np.frombuffer(segment.raw_data, dtype="<i2").astype(np.float32) / np.float32(32768)


def _audible(peaks: NDArray[np.float32], hop: int, frames: int) -> tuple[int, int]:
    loudest = float(peaks.max(initial=0.0))
    if loudest == 0.0:
        return 0, frames  # a silent clip keeps its length: somebody wanted that silence
    heard = np.flatnonzero(peaks > loudest * db_to_gain(_SILENT_DB))
    return int(heard[0]) * hop, min(frames, (int(heard[-1]) + 1) * hop)


def _weighted_powers(samples: Samples, rate_hz: int) -> list[float]:
    """K-weighted mean squares of consecutive frames, taken from their spectra (Parseval)."""
    length = min(round(rate_hz * _LOUDNESS_FRAME_S), len(samples))
    frames = samples[: len(samples) // length * length].reshape(-1, length)
    window = np.hanning(length).astype(np.float32)
    spectra = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    hz = np.fft.rfftfreq(length, 1 / rate_hz)
    mean_squares = 2.0 * (spectra * _k_weighting(hz)).sum(axis=1) / length / (window**2).sum()
    return [float(power) for power in mean_squares]


def _k_weighting(hz: NDArray[Any]) -> NDArray[np.float64]:
    """Power gain of BS.1770's two filters: a shelf of +4 dB from 1.7 kHz, a high-pass at 38 Hz."""
    shelf_hz, shelf_q, shelf_gain = 1681.97, 0.7072, db_to_gain(4.0)
    s = 1j * hz / shelf_hz
    root = np.sqrt(shelf_gain)
    shelf = (shelf_gain * s**2 + root / shelf_q * s + 1.0) / (s**2 + s / shelf_q + 1.0)
    s = 1j * hz / 38.135
    high_pass = s**2 / (s**2 + s / 0.5003 + 1.0)
    return np.asarray(np.abs(shelf * high_pass) ** 2)


def _to_lufs(power: float) -> float:
    return gain_to_db(float(np.sqrt(power))) - 0.691
