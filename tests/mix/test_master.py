from pathlib import Path

import numpy as np
import pytest

from podcaster.audio import LoudnessMeter, decode
from podcaster.mix.master import (
    HOP_SAMPLES,
    MARGIN_SAMPLES,
    Programme,
    limit,
    limited_blocks,
    master,
    true_peaks,
)
from podcaster.units import SAMPLE_RATE_HZ, db_to_gain


def oversample(samples: np.ndarray, factor: int = 8) -> np.ndarray:
    """Interpolate by zero-padding the spectrum: independent of the limiter's own filter."""
    spectrum = np.fft.rfft(samples, axis=0)
    padded = np.zeros((len(samples) * factor // 2 + 1, samples.shape[1]), dtype=complex)
    padded[: len(spectrum)] = spectrum
    return np.fft.irfft(padded, len(samples) * factor, axis=0) * factor


def make_peaky(seconds: float, channels: int, *, seed: int = 1) -> np.ndarray:
    """Low-passed noise with bursts: many peaks, some of them between samples."""
    rng = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE_HZ) // HOP_SAMPLES * HOP_SAMPLES
    spectrum = np.fft.rfft(rng.standard_normal((count, channels)), axis=0)
    hz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE_HZ)
    noise = np.fft.irfft(spectrum * (hz < 15_000)[:, None], count, axis=0)
    time_s = np.arange(count)[:, None] / SAMPLE_RATE_HZ
    bursts = 0.25 + 0.75 * np.clip(np.sin(2 * np.pi * 1.7 * time_s), 0, None) ** 8
    return (0.5 * noise / noise.std() * bursts).astype(np.float32)


def write_programme(path: Path, samples: np.ndarray) -> Programme:
    path.write_bytes(samples.astype("<f4").tobytes())
    meter = LoudnessMeter(SAMPLE_RATE_HZ, samples.shape[1], true_peak=False)
    meter.add(samples)
    lufs = meter.result().integrated_lufs
    return Programme(path, samples.shape[1], len(samples), lufs)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_limiter_keeps_true_peaks_under_the_ceiling(channels: int) -> None:
    samples = make_peaky(4.0, channels)
    ceiling = db_to_gain(-1.5)
    before = np.abs(oversample(samples)).max()
    assert before > 1.2
    padded = np.pad(samples, ((MARGIN_SAMPLES, MARGIN_SAMPLES), (0, 0)))
    limited = limit(padded, ceiling)
    assert limited.shape == samples.shape
    after = np.abs(oversample(limited)).max()
    assert after < ceiling * db_to_gain(0.25)
    assert after > ceiling * db_to_gain(-1.0)  # and no lower than needed


def test_what_is_under_the_ceiling_is_left_alone() -> None:
    samples = 0.1 * make_peaky(1.0, 2)
    padded = np.pad(samples, ((MARGIN_SAMPLES, MARGIN_SAMPLES), (0, 0)))
    assert np.array_equal(limit(padded, 0.84), samples)


def test_the_gain_is_smooth_and_shared_by_both_channels() -> None:
    samples = np.full((SAMPLE_RATE_HZ // HOP_SAMPLES * HOP_SAMPLES, 2), 0.2, dtype=np.float32)
    samples[20_000:20_040, 0] = 1.5
    padded = np.pad(samples, ((MARGIN_SAMPLES, MARGIN_SAMPLES), (0, 0)), mode="edge")
    gain = limit(padded, 0.84) / samples
    assert gain[:, 1] == pytest.approx(gain[:, 0], rel=1e-5)
    assert gain.min() < 0.6
    assert np.abs(np.diff(gain[:, 0])).max() < 0.004
    assert gain[18_000, 0] == gain[22_000, 0] == 1.0


def test_where_blocks_are_cut_does_not_matter(tmp_path: Path) -> None:
    samples = make_peaky(12.0, 2)  # more than a block
    programme = write_programme(tmp_path / "a.f32", samples)
    blocks = [block for block, _ in limited_blocks(programme, 0.0, -1.5)]
    assert len(blocks) == 2
    joined = np.concatenate(blocks)
    padded = np.pad(samples, ((MARGIN_SAMPLES, MARGIN_SAMPLES), (0, 0)))
    assert np.abs(joined - limit(padded, db_to_gain(-1.5))).max() < 1e-5


def test_true_peaks_between_samples_are_seen() -> None:
    tone = np.sin(2 * np.pi * np.arange(6400) / 4 + np.pi / 4).astype(np.float32)[:, None]
    assert np.abs(tone).max() < 0.71
    assert true_peaks(tone, 0.9)[5:-5] == pytest.approx(1.0, abs=0.01)


def test_outside_the_programme_is_silence(tmp_path: Path) -> None:
    programme = write_programme(tmp_path / "a.f32", np.ones((1000, 2), dtype=np.float32))
    assert programme.read(-10, 20)[:10].max() == 0.0
    assert programme.read(-10, 20)[10:].min() == 1.0
    assert programme.read(990, 20)[:10].min() == 1.0
    assert programme.read(990, 20)[10:].max() == 0.0
    assert programme.read(5000, 3).tolist() == [[0.0, 0.0]] * 3


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("gain", [0.03, 1.0])
def test_the_mp3_is_at_its_loudness_whatever_came_in(
    tmp_path: Path, channels: int, gain: float
) -> None:
    programme = write_programme(tmp_path / "a.f32", gain * make_peaky(8.0, channels))
    shares: list[float] = []
    loudness, encoded = master(programme, tmp_path / "a.mp3", 128, shares.append)
    assert loudness.integrated_lufs == pytest.approx(-16.0 if channels == 2 else -19.0, abs=0.3)
    assert loudness.true_peak_dbtp <= -1.0
    assert 1 <= encoded <= 4
    assert shares[-1] == 1.0
    decoded = np.concatenate(list(decode(tmp_path / "a.mp3", SAMPLE_RATE_HZ, channels)))
    assert len(decoded) == programme.samples
    both = decoded.reshape(len(decoded), -1)
    assert 20 * np.log10(np.abs(oversample(both, 4)).max()) <= -0.95


def test_near_silence_is_not_turned_into_noise(tmp_path: Path) -> None:
    quiet = 1e-5 * make_peaky(3.0, 2)
    programme = write_programme(tmp_path / "a.f32", quiet)
    loudness, encoded = master(programme, tmp_path / "a.mp3", 128, lambda _: None)
    assert loudness.integrated_lufs < -60
    assert encoded == 1
