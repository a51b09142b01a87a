"""Audio in and out of files: decode, probe, measure, WAV. MP3 is written by `mp3`.

Samples are float32 in [-1, 1], mono `(n_samples,)` or stereo `(n_samples, 2)`.
"""

import io
import struct
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from podcaster.errors import InputError
from podcaster.model import Loudness
from podcaster.units import gain_to_db

if TYPE_CHECKING:
    from av.container import InputContainer

# PyAV is imported inside functions: speech workers only write WAV files, and need no codecs.

Samples = NDArray[np.float32]

LONGEST_S = 24 * 3600.0  # a small file can hold days of silence
SILENCE_LUFS = -70.0  # the absolute gate of BS.1770: nothing below it has a loudness
SILENCE_DBTP = -120.0
_ENCRYPTED = frozenset({"drms", "enca"})  # sample entries of MP4 whose content is scrambled

# No playlists, no concat scripts, no image sequences: a file must not be able to name another.
_FORMATS = "mp3,wav,w64,flac,ogg,mov,mp4,m4a,matroska,webm,aac,aiff,caf,asf,amr,au,mpegts,ac3"


@dataclass(frozen=True)
class AudioInfo:
    """What a file says of its (first) audio stream; `duration_s` is 0 where it says nothing."""

    duration_s: float
    sample_rate_hz: int
    channels: int
    codec: str


def write_wav(path: Path, samples: Samples, sample_rate_hz: int) -> None:
    """Write 16-bit PCM; samples beyond ±1 are clipped. Raises OSError."""
    path.write_bytes(format_wav(samples, sample_rate_hz))


def format_wav(samples: Samples, sample_rate_hz: int) -> bytes:
    """A WAV file of 16-bit PCM; samples beyond ±1 are clipped."""
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(to_pcm16(samples))
    return whole.getvalue()


def format_wav_start(sample_rate_hz: int) -> bytes:
    """The start of a mono 16-bit WAV stream of unknown length: `to_pcm16` of sound may follow."""
    unknown = 0xFFFFFFFF  # what programs write that stream; readers go on to the end
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", unknown, b"WAVE", b"fmt ", 16, 1, 1),
        *(sample_rate_hz, 2 * sample_rate_hz, 2, 16, b"data", unknown),
    )


def read_wav(path: Path) -> tuple[Samples, int]:
    """Read 16-bit PCM WAV: samples and their rate in hertz.

    Raises InputError where the file is not one.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise InputError(
                    f"{path} has {8 * file.getsampwidth()} bits a sample, expected 16."
                )
            channels, rate_hz = file.getnchannels(), file.getframerate()
            pcm = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    except (wave.Error, EOFError, OSError) as error:
        raise InputError(f"{path} is not a WAV file that can be read: {error}.") from error
    samples = pcm.astype(np.float32) / 32767.0
    return (samples if channels == 1 else samples.reshape(-1, channels)), rate_hz


def to_pcm16(samples: Samples) -> bytes:
    """Round to interleaved little-endian 16-bit PCM; samples beyond ±1 are clipped."""
    return np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2").tobytes()


def probe(path: Path) -> AudioInfo:
    """Read a file's headers. Raises InputError where it holds no audio that can be read."""
    with _opened(path) as container:
        return _describe(container)


def read_chapter_marks(path: Path) -> list[tuple[float, str]]:
    """The chapters that a file marks, in order: start in seconds, title (may be empty).

    Raises InputError where it holds no audio that can be read.
    """
    with _opened(path) as container:
        marks = [
            (float(chapter["start"] * chapter["time_base"]), chapter["metadata"].get("title", ""))
            for chapter in container.chapters()
            if chapter["time_base"] is not None
        ]
    return sorted((max(0.0, start_s), title) for start_s, title in marks)


def decode(
    path: Path, sample_rate_hz: int, channels: int, *, longest_s: float = LONGEST_S
) -> Iterator[Samples]:
    """Decode a file's first audio stream, resampled, in blocks of about a second.

    Blocks are `(n_samples,)` for one channel, `(n_samples, 2)` for two; one channel in the file
    is duplicated, not attenuated. A few broken packets are skipped, as players do.
    Raises InputError where the file is no audio, is cut off before its stated end, is mostly
    broken, or is longer than `longest_s`.
    """
    import av

    if channels not in (1, 2):
        raise ValueError(f"channels must be 1 or 2, got {channels}")
    count = 0
    with _opened(path) as container:
        info = _describe(container)
        duplicate = info.channels == 1 and channels == 2
        layout = "stereo" if channels == 2 and not duplicate else "mono"
        resampler = av.AudioResampler(format="flt", layout=layout, rate=sample_rate_hz)
        width = 2 if layout == "stereo" else 1
        for block in _gather(_resampled(path, container, resampler), width, sample_rate_hz):
            count += len(block)
            if count > longest_s * sample_rate_hz:
                raise InputError(f"{path} is longer than {longest_s / 3600:g} hours.")
            mono = block[:, 0] if width == 1 else block
            yield np.repeat(block, 2, axis=1) if duplicate else mono
        decoded_s, stated_s = count / sample_rate_hz, _stated_duration_s(path, container, info)
        if decoded_s < stated_s * 0.98 - 0.1:
            raise InputError(
                f"{path} is cut off: it holds {decoded_s:.1f} s of the {stated_s:.1f} s that its "
                "header states.",
                next_step="Copy or download it again.",
            )
    if count == 0:
        raise InputError(f"{path} holds an audio stream, but not one sample of it can be decoded.")


class LoudnessMeter:
    """Measures loudness (EBU R 128) block by block, by FFmpeg's filter `ebur128`.

    `true_peak=False` saves two thirds of the time; the peak is then `SILENCE_DBTP`.
    """

    def __init__(self, sample_rate_hz: int, channels: int, *, true_peak: bool) -> None:
        import av

        layout = "mono" if channels == 1 else "stereo"
        self._rate_hz, self._channels, self._layout = sample_rate_hz, channels, layout
        self._hop = sample_rate_hz // 10
        # the graph must outlive its filters: they point into it
        self._graph = graph = av.filter.Graph()
        self._source = graph.add_abuffer(
            format="flt",
            sample_rate=sample_rate_hz,
            layout=layout,
            time_base=Fraction(1, sample_rate_hz),
        )
        peak = ":peak=true" if true_peak else ""
        meter = graph.add("ebur128", f"metadata=1:framelog=quiet{peak}")
        self._sink = graph.add("abuffersink")
        self._source.link_to(meter)
        meter.link_to(self._sink)
        graph.configure()
        self._count = 0
        self._last: dict[str, str] = {}

    def add(self, samples: Samples) -> None:
        """Measure `(n_samples,)` or `(n_samples, channels)` more."""
        import av

        if not len(samples):
            return
        packed = np.ascontiguousarray(samples, dtype=np.float32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
        frame.sample_rate = self._rate_hz
        frame.pts = self._count
        self._count += frame.samples
        self._source.push(frame)
        self._drain()

    def result(self) -> Loudness:
        """What was measured; the meter is used up."""
        # the filter speaks only at the end of each tenth of a second
        rest = -self._count % self._hop
        self.add(np.zeros((rest, self._channels), dtype=np.float32))
        self._source.push(None)
        self._drain()
        peak = gain_to_db(self._read("true_peak", 0.0))
        return Loudness(
            integrated_lufs=max(SILENCE_LUFS, self._read("I", SILENCE_LUFS)),
            range_lu=max(0.0, self._read("LRA", 0.0)),
            true_peak_dbtp=round(max(SILENCE_DBTP, peak), 3),
        )

    def _read(self, key: str, default: float) -> float:
        value = float(self._last.get(f"lavfi.r128.{key}", default))
        return value if np.isfinite(value) else default

    def _drain(self) -> None:
        import av

        while True:
            try:
                self._last = self._sink.pull().metadata
            except (av.BlockingIOError, av.EOFError):
                return


def measure_loudness(path: Path) -> Loudness:
    """Decode a whole file and measure it: integrated loudness, range, true peak.

    It streams. Raises InputError as `decode` does. (EBU R 128; EBU Tech 3342; ITU-R BS.1770-4.)
    """
    info = probe(path)
    channels = min(info.channels, 2)
    meter = LoudnessMeter(info.sample_rate_hz, channels, true_peak=True)
    for block in decode(path, info.sample_rate_hz, channels):
        meter.add(block)
    return meter.result()


@contextmanager
def _opened(path: Path) -> "Iterator[InputContainer]":
    import av

    try:
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path} is empty, expected audio.")
        # "file:" keeps a name such as `concat:a|b` from being taken for a protocol
        options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
        with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
            if not container.streams.audio:
                raise InputError(f"{path} has no audio stream.")
            # FFmpeg takes scrambled AAC for AAC, and decodes noise
            if (tag := container.streams.audio[0].codec_context.codec_tag) in _ENCRYPTED:
                raise InputError(
                    f"{path} is encrypted (DRM): its sound is marked {tag!r}, and cannot be heard.",
                    next_step="Get a copy without copy protection from whoever sold it.",
                )
            yield container
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path} cannot be read as audio: {reason}.") from error


def _describe(container: "InputContainer") -> AudioInfo:
    stream = container.streams.audio[0]
    duration_s = (container.duration or 0) / 1e6
    if stream.duration is not None and stream.time_base is not None:
        duration_s = float(stream.duration * stream.time_base)
    rate_hz = stream.codec_context.sample_rate
    channels = stream.codec_context.channels
    if not rate_hz or not channels:
        raise InputError(f"{container.name} states no sample rate or no channels.")
    return AudioInfo(max(0.0, duration_s), rate_hz, channels, stream.codec_context.name)


def _resampled(path: Path, container: "InputContainer", resampler: Any) -> Iterator[Any]:
    import av

    packets = broken = 0
    for packet in container.demux(container.streams.audio[0]):
        packets += 1
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            broken += 1
            continue
        for frame in frames:
            yield from resampler.resample(frame)
    yield from resampler.resample(None)
    if broken > 2 + packets // 20:
        raise InputError(
            f"{path} is damaged: {broken} of its {packets} packets cannot be decoded.",
            next_step="Copy or download it again.",
        )


def _gather(frames: Iterator[Any], width: int, block_samples: int) -> Iterator[Samples]:
    held: list[Samples] = []
    count = 0
    for frame in frames:
        held.append(frame.to_ndarray().reshape(-1, width))
        count += len(held[-1])
        if count >= block_samples:
            yield np.concatenate(held)
            held, count = [], 0
    if count:
        yield np.concatenate(held)


def _stated_duration_s(path: Path, container: "InputContainer", info: AudioInfo) -> float:
    """What the header says of the duration; 0 where it says nothing that can be relied on."""
    if container.format.name != "mp3":
        # not WAV: recorders leave sizes there that they never correct
        return info.duration_s if container.format.name in ("flac", "aiff") else 0.0
    # an MP3 without an Info header has only an estimate, far off where the bitrate varies
    with path.open("rb") as file:
        head = file.read(10)
        tag_bytes = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9] if len(head) > 9 else 0
        file.seek(10 + tag_bytes if head[:3] == b"ID3" else 0)
        frame = file.read(64)
    return info.duration_s if b"Xing" in frame or b"Info" in frame else 0.0
