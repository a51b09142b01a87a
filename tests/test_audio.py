import hashlib
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from podcaster.audio import (
    LoudnessMeter,
    decode,
    measure_loudness,
    probe,
    read_wav,
    write_wav,
)
from podcaster.errors import InputError
from podcaster.mp3 import Mp3Writer
from podcaster.units import SAMPLE_RATE_HZ

# a segment of the writer is 768 frames: 20.06 s
LONG_SAMPLES = 2 * 768 * 1152 + 12_345


def make_tone(samples: int, channels: int = 2, *, gain: float = 0.3) -> np.ndarray:
    time_s = np.arange(samples) / SAMPLE_RATE_HZ
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 0.8 * time_s)
    sides = [gain * swell * np.sin(2 * np.pi * hz * time_s) for hz in (440.0, 550.0)[:channels]]
    samples_array = np.stack(sides, axis=1).astype(np.float32)
    return samples_array if channels == 2 else samples_array[:, 0]


def write_mp3(
    path: Path, samples: np.ndarray, *, bitrate_kbps: int = 128, workers: int = 2
) -> Path:
    channels = 1 if samples.ndim == 1 else 2
    with Mp3Writer(path, channels=channels, bitrate_kbps=bitrate_kbps, workers=workers) as writer:
        for start in range(0, len(samples), 100_000):
            writer.write(samples[start : start + 100_000])
    return path


def write_flac(path: Path, samples: np.ndarray) -> None:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE_HZ)
        stream.layout = "stereo"
        stream.format = "s16"
        pcm = np.round(samples * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="stereo")
        frame.sample_rate = SAMPLE_RATE_HZ
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def decode_all(path: Path, rate_hz: int = SAMPLE_RATE_HZ, channels: int = 2) -> np.ndarray:
    return np.concatenate(list(decode(path, rate_hz, channels)))


def test_wav_comes_back_as_it_was_written(tmp_path: Path) -> None:
    samples = make_tone(5000)
    write_wav(tmp_path / "a.wav", samples, 22_050)
    read, rate_hz = read_wav(tmp_path / "a.wav")
    assert rate_hz == 22_050
    assert read.shape == (5000, 2)
    assert np.abs(read - samples).max() <= 0.5 / 32767 + 1e-7


def test_wav_of_another_width_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.writeframes(b"\x80" * 100)
    with pytest.raises(InputError, match="has 8 bits a sample, expected 16"):
        read_wav(tmp_path / "a.wav")


@pytest.mark.parametrize("samples", [300, 700, 1152, 44_100, LONG_SAMPLES])
def test_mp3_decodes_to_exactly_as_many_samples_as_were_written(
    tmp_path: Path, samples: int
) -> None:
    path = write_mp3(tmp_path / "a.mp3", make_tone(samples))
    assert len(decode_all(path)) == samples


def test_mp3_sounds_like_what_was_written_across_the_borders_of_segments(tmp_path: Path) -> None:
    samples = make_tone(LONG_SAMPLES)
    error = decode_all(write_mp3(tmp_path / "a.mp3", samples)) - samples
    hops = (error[: len(error) // 1152 * 1152] ** 2).reshape(-1, 1152 * 2).mean(axis=1)
    power = float((samples**2).mean())
    assert len(hops) > 2 * 768
    # the worst frame is 30 dB under the tone, wherever it lies
    assert 10 * np.log10(power / hops.max()) > 30


@pytest.mark.parametrize("bitrate_kbps", [64, 128, 192, 320])
@pytest.mark.parametrize("channels", [1, 2])
def test_mp3_keeps_the_level(tmp_path: Path, bitrate_kbps: int, channels: int) -> None:
    samples = make_tone(3 * SAMPLE_RATE_HZ, channels)
    path = write_mp3(tmp_path / "a.mp3", samples, bitrate_kbps=bitrate_kbps)
    decoded = decode_all(path, channels=channels)
    change_db = 10 * np.log10((decoded**2).mean() / (samples**2).mean())
    assert abs(change_db) < 0.05
    info = probe(path)
    assert (info.sample_rate_hz, info.channels) == (SAMPLE_RATE_HZ, channels)
    assert info.codec.startswith("mp3")


def test_mp3_has_a_constant_bitrate_an_info_header_and_no_tags(tmp_path: Path) -> None:
    data = write_mp3(tmp_path / "a.mp3", make_tone(5 * SAMPLE_RATE_HZ)).read_bytes()
    assert data[:2] == b"\xff\xfb"
    assert b"Info" in data[:64]
    assert b"ID3" not in data[:64]
    assert data[-128:-125] != b"TAG"
    offset, frames = 0, 0
    while offset < len(data):
        header = int.from_bytes(data[offset : offset + 4], "big")
        assert header >> 21 == 0x7FF
        assert (header >> 12 & 15, header >> 10 & 3) == (9, 0)  # 128 kbit/s, 44.1 kHz
        offset += 144 * 128_000 // 44_100 + (header >> 9 & 1)
        frames += 1
    assert offset == len(data)
    assert frames >= 5 * SAMPLE_RATE_HZ // 1152


def test_mp3_bytes_do_not_depend_on_workers_or_on_how_it_was_cut(tmp_path: Path) -> None:
    samples = make_tone(LONG_SAMPLES)
    paths = [write_mp3(tmp_path / f"{n}.mp3", samples, workers=n) for n in (1, 3)]
    with Mp3Writer(tmp_path / "whole.mp3", channels=2, bitrate_kbps=128) as writer:
        writer.write(samples)
    digests = {
        hashlib.sha256(path.read_bytes()).hexdigest() for path in [*paths, tmp_path / "whole.mp3"]
    }
    assert len(digests) == 1


def test_mp3_without_samples_is_refused(tmp_path: Path) -> None:
    writer = Mp3Writer(tmp_path / "a.mp3", channels=1, bitrate_kbps=64)
    with pytest.raises(ValueError, match="at least one sample"):
        writer.close()


def test_one_channel_is_duplicated_not_attenuated(tmp_path: Path) -> None:
    mono = make_tone(20_000, 1)
    write_wav(tmp_path / "a.wav", mono, SAMPLE_RATE_HZ)
    both = decode_all(tmp_path / "a.wav")
    assert both.shape == (20_000, 2)
    assert np.abs(both - mono[:, None]).max() < 1e-4
    assert decode_all(tmp_path / "a.wav", channels=1).shape == (20_000,)


def test_decoding_resamples_and_yields_blocks_of_about_a_second(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", make_tone(5 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    blocks = list(decode(tmp_path / "a.wav", 16_000, 1))
    assert len(blocks) >= 4
    assert max(len(block) for block in blocks) < 2 * 16_000
    assert abs(sum(len(block) for block in blocks) - 5 * 16_000) <= 16
    assert all(block.dtype == np.float32 for block in blocks)


def test_decoding_stops_at_the_longest_length(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", make_tone(3 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    with pytest.raises(InputError, match="is longer than"):
        list(decode(tmp_path / "a.wav", 16_000, 1, longest_s=1.0))


def test_loudness_of_the_reference_tone_is_what_the_standard_says(tmp_path: Path) -> None:
    # BS.1770: 997 Hz at 0 dBFS in one channel reads -3.01 LUFS; at -23 dBFS in both, -23.0
    time_s = np.arange(10 * 48_000) / 48_000
    tone = (10 ** (-23 / 20) * np.sin(2 * np.pi * 997 * time_s)).astype(np.float32)
    write_wav(tmp_path / "a.wav", np.stack((tone, tone), axis=1), 48_000)
    loudness = measure_loudness(tmp_path / "a.wav")
    assert loudness.integrated_lufs == pytest.approx(-23.0, abs=0.1)
    assert loudness.true_peak_dbtp == pytest.approx(-23.0, abs=0.2)
    assert loudness.range_lu < 0.1


def test_true_peak_finds_what_lies_between_the_samples() -> None:
    # a quarter of the sample rate, 45° off: every sample is 3 dB below the wave's top
    tone = 0.5 * np.sin(2 * np.pi * np.arange(44_100) / 4 + np.pi / 4) * np.hanning(44_100)
    assert abs(tone).max() < 0.36
    meter = LoudnessMeter(44_100, 1, true_peak=True)
    meter.add(tone.astype(np.float32))
    assert meter.result().true_peak_dbtp == pytest.approx(20 * np.log10(0.5), abs=0.2)


def test_a_peak_in_the_last_tenth_of_a_second_counts() -> None:
    samples = np.zeros(44_100 + 100, dtype=np.float32)
    samples[-50:-40] = 0.9
    meter = LoudnessMeter(44_100, 1, true_peak=True)
    meter.add(samples)
    assert meter.result().true_peak_dbtp > -1.0


def test_silence_has_finite_numbers() -> None:
    meter = LoudnessMeter(44_100, 2, true_peak=True)
    meter.add(np.zeros((44_100, 2), dtype=np.float32))
    loudness = meter.result()
    assert (loudness.integrated_lufs, loudness.true_peak_dbtp) == (-70.0, -120.0)


HOSTILE = {
    "empty.mp3": (b"", "is empty, expected audio"),
    "text.mp3": (b"This is a letter, not a song.\n" * 200, "cannot be read as audio"),
    "noise.wav": (bytes(range(7, 250)) * 40, "cannot be read as audio"),
    "list.mp3": (b"#EXTM3U\n#EXTINF:5,\n/etc/passwd\n#EXT-X-ENDLIST\n", "cannot be read as audio"),
    "concat.mp3": (b"ffconcat version 1.0\nfile /etc/passwd\n", "cannot be read as audio"),
    "riff.wav": (b"RIFF\xff\xff\xff\xffWAVE", "riff.wav"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_audio_is_one_sentence(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content, expected = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        list(decode(tmp_path / name, 16_000, 1))
    assert expected in caught.value.message
    assert name in caught.value.message
    assert "\n" not in caught.value.message
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "none.mp3", tmp_path):
        with pytest.raises(InputError, match="cannot be read as audio"):
            probe(path)


def test_a_name_that_looks_like_a_protocol_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "concat:a|b.wav"
    write_wav(path, make_tone(4000), SAMPLE_RATE_HZ)
    assert probe(path).channels == 2


def test_a_video_without_sound_is_refused(tmp_path: Path) -> None:
    import av

    path = tmp_path / "film.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 32
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="has no audio stream"):
        probe(path)


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_a_file_that_was_cut_off_is_told_so(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a.{suffix}"
    samples = make_tone(10 * SAMPLE_RATE_HZ)
    if suffix == "flac":
        write_flac(path, samples)
    else:
        write_mp3(path, samples)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"is cut off: it holds [45]") as caught:
        measure_loudness(path)
    assert caught.value.next_step == "Copy or download it again."
    assert capfd.readouterr() == ("", "")


def test_a_wav_whose_header_promises_more_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    # recorders that are stopped leave such files
    write_wav(tmp_path / "a.wav", make_tone(4 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(data[: len(data) // 2])
    assert abs(len(decode_all(tmp_path / "a.wav")) - 2 * SAMPLE_RATE_HZ) < 100


def test_a_broken_packet_is_skipped_and_many_are_refused(tmp_path: Path) -> None:
    path = write_mp3(tmp_path / "a.mp3", make_tone(10 * SAMPLE_RATE_HZ))
    data = bytearray(path.read_bytes())
    data[50_000:50_200] = b"\x00" * 200
    path.write_bytes(data)
    assert len(decode_all(path)) > 9.5 * SAMPLE_RATE_HZ


def test_writing_wav_does_not_load_codecs() -> None:
    code = "import sys, podcaster.audio; print('av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
