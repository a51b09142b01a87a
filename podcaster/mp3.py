"""MP3 out: constant bitrate, segments encoded side by side.

Samples are float32 in [-1, 1], mono `(n_samples,)` or stereo `(n_samples, 2)`, at 44.1 kHz.
"""

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from podcaster.audio import Samples
from podcaster.units import SAMPLE_RATE_HZ

MP3_FRAME_SAMPLES = 1152
_SEGMENT_FRAMES = 768  # 20 s at 44.1 kHz
_BEFORE_FRAMES = 8  # lets the encoder's masking model settle; dropped
_AFTER_FRAMES = 3  # the encoder looks ahead less than this
_LAME_DELAY_SAMPLES = 1105  # of libmp3lame through libavcodec: 576 + 529 of the decoder

# LAME attenuates what it encodes at these bitrates; undone, so that levels survive
_LAME_GAIN = {64: 0.95, 96: 0.95, 128: 0.95, 160: 0.95, 192: 0.97}


class Mp3Writer:
    """Writes an MP3: constant bitrate, an Info header with encoder delay and padding, no tags.

    Segments of 20 s are encoded side by side, each with a little audio before and after it that is
    thrown away again. That is allowed because the bit reservoir is off: every frame then stands
    alone (players seek better, too). The bytes do not depend on `workers`.
    Leaving the `with` block by an exception leaves an unfinished file for the caller to remove.
    """

    def __init__(
        self, path: Path, *, channels: int, bitrate_kbps: int, workers: int = 2, effort: int = 7
    ) -> None:
        import av

        self._settings = (channels, bitrate_kbps, effort)
        untagged = {"id3v2_version": "0", "write_id3v1": "0", "write_xing": "1"}
        self._container = av.open(str(path), "w", format="mp3", options=untagged)
        self._stream = self._container.add_stream("libmp3lame", rate=SAMPLE_RATE_HZ)
        _configure_lame(self._stream.codec_context, *self._settings)
        self._container.start_encoding()
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="mp3")
        self._queue: deque[Future[list[Any]]] = deque()
        self._longest_queue = workers + 1
        self._held = np.zeros((0, channels), dtype=np.float32)
        self._skip_frames = 0
        self._frames = 0

    def write(self, samples: Samples) -> None:
        """Append `(n_samples,)` or `(n_samples, channels)`; returns while encoding goes on."""
        block = samples.reshape(len(samples), self._held.shape[1])
        self._held = np.concatenate((self._held, block))
        while True:
            end = (self._skip_frames + _SEGMENT_FRAMES) * MP3_FRAME_SAMPLES
            needed = end + _AFTER_FRAMES * MP3_FRAME_SAMPLES
            if len(self._held) < needed:
                return
            self._submit(self._held[:needed], _SEGMENT_FRAMES)
            self._held = self._held[end - _BEFORE_FRAMES * MP3_FRAME_SAMPLES :]
            self._skip_frames = _BEFORE_FRAMES

    def close(self) -> None:
        """Encode what is left and write the header. Raises ValueError if nothing was written."""
        try:
            if not len(self._held):
                raise ValueError("an MP3 needs at least one sample")
            self._submit(self._held, None)
            while self._queue:
                self._mux_next()
        finally:
            self._stop()

    def __enter__(self) -> "Mp3Writer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._stop()

    def _stop(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._container.close()

    def _submit(self, samples: Samples, take_frames: int | None) -> None:
        while len(self._queue) >= self._longest_queue:
            self._mux_next()
        what = (samples, self._skip_frames, take_frames)
        self._queue.append(self._pool.submit(_encode_segment, *what, *self._settings))

    def _mux_next(self) -> None:
        for packet in self._queue.popleft().result():
            packet.stream = self._stream
            packet.pts = packet.dts = self._frames * MP3_FRAME_SAMPLES - _LAME_DELAY_SAMPLES
            self._container.mux(packet)
            self._frames += 1


def _encode_segment(
    samples: Samples, skip: int, take: int | None, channels: int, bitrate_kbps: int, effort: int
) -> list[Any]:
    import av

    encoder: Any = av.CodecContext.create("libmp3lame", "w")
    _configure_lame(encoder, channels, bitrate_kbps, effort)
    planar = np.ascontiguousarray(samples.T) / np.float32(_LAME_GAIN.get(bitrate_kbps, 1.0))
    frame = av.AudioFrame.from_ndarray(planar, format="fltp", layout=encoder.layout)
    frame.sample_rate = SAMPLE_RATE_HZ
    frame.pts = 0
    packets = list(encoder.encode(frame))
    if take is None:
        return (packets + list(encoder.encode(None)))[skip:]
    return packets[skip : skip + take]


def _configure_lame(encoder: Any, channels: int, bitrate_kbps: int, effort: int) -> None:
    encoder.sample_rate = SAMPLE_RATE_HZ
    encoder.layout = "mono" if channels == 1 else "stereo"
    encoder.format = "fltp"
    encoder.bit_rate = bitrate_kbps * 1000
    encoder.options = {"compression_level": str(effort), "reservoir": "0"}
