import wave
from pathlib import Path

import numpy as np
import pytest

from podcaster.audio import LoudnessMeter, write_wav
from podcaster.errors import RunError
from podcaster.mix.clips import level_gain, scan_clip, speak_clip
from podcaster.model import Clip
from podcaster.units import SAMPLE_RATE_HZ

RATE_HZ = 22_050


def tone(duration_s: float, rate_hz: int = RATE_HZ, hz: float = 220.0) -> np.ndarray:
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.3 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)


def save(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ) -> Clip:
    write_wav(path, samples, rate_hz)
    return Clip(
        path=path.name,
        text="x",
        voice="v",
        duration_s=len(samples) / rate_hz,
        sample_rate_hz=rate_hz,
        sentences=(),
    )


def test_silence_at_the_ends_is_found_to_the_hundredth_of_a_second(tmp_path: Path) -> None:
    samples = np.concatenate((np.zeros(RATE_HZ), tone(2.0), np.zeros(RATE_HZ // 2)))
    scan = scan_clip(tmp_path / "a.wav", save(tmp_path / "a.wav", samples), "turn 1")
    assert scan.start_s == pytest.approx(1.0, abs=0.012)
    assert scan.duration_s == pytest.approx(2.0, abs=0.024)


def test_a_silent_clip_keeps_its_length_and_has_no_say_in_the_level(tmp_path: Path) -> None:
    scan = scan_clip(tmp_path / "a.wav", save(tmp_path / "a.wav", np.zeros(RATE_HZ)), "turn 1")
    assert scan.duration_s == 1.0
    assert level_gain(list(scan.powers), -20.0) == 1.0


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
def test_every_rate_comes_out_as_long_as_it_went_in(tmp_path: Path, rate_hz: int) -> None:
    # longer than a piece, so that the borders of pieces are in it
    scan = scan_clip(
        tmp_path / "a.wav", save(tmp_path / "a.wav", tone(17.0, rate_hz), rate_hz), "turn 1"
    )
    spoken = np.concatenate(list(speak_clip(scan, 1.0)))
    assert abs(len(spoken) - scan.duration_s * SAMPLE_RATE_HZ) <= 1
    # a steady tone stays one: nothing is lost or doubled where pieces meet
    steady = spoken[SAMPLE_RATE_HZ:-SAMPLE_RATE_HZ]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady)))) ** 2
    hz = np.fft.rfftfreq(len(steady), 1 / SAMPLE_RATE_HZ)
    beside = spectrum[np.abs(hz - 220) > 5].sum() / spectrum.sum()
    assert beside < 1e-4


def test_the_level_agrees_with_ebu_r_128(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    samples = (0.1 * rng.standard_normal(6 * RATE_HZ)).astype(np.float32)
    samples[2 * RATE_HZ : 4 * RATE_HZ] = 0.0  # a pause, which must not count
    scan = scan_clip(tmp_path / "a.wav", save(tmp_path / "a.wav", samples), "turn 1")
    meter = LoudnessMeter(RATE_HZ, 1, true_peak=False)
    meter.add(samples)
    change_db = 20 * np.log10(level_gain(list(scan.powers), -20.0))
    assert -20.0 - change_db == pytest.approx(meter.result().integrated_lufs, abs=1.0)


def test_rumble_is_taken_out_and_speech_is_left(tmp_path: Path) -> None:
    changes_db = []
    for hz in (25.0, 400.0):
        quiet = 0.03 * tone(3.0, hz=hz) / 0.3
        scan = scan_clip(tmp_path / "a.wav", save(tmp_path / "a.wav", quiet), "turn 1")
        spoken = np.concatenate(list(speak_clip(scan, 1.0)))[SAMPLE_RATE_HZ : 2 * SAMPLE_RATE_HZ]
        changes_db.append(10 * np.log10((spoken**2).mean() / (quiet**2).mean()))
    rumble_db, speech_db = changes_db
    assert rumble_db < speech_db - 15
    assert 0 < speech_db < 8  # what is quiet is lifted, by the compressor


def test_both_ends_are_faded(tmp_path: Path) -> None:
    scan = scan_clip(tmp_path / "a.wav", save(tmp_path / "a.wav", tone(1.0, hz=1000)), "turn 1")
    spoken = np.concatenate(list(speak_clip(scan, 1.0)))
    assert np.abs(spoken[:20]).max() < 0.05
    assert np.abs(spoken[-20:]).max() < 0.05
    assert np.abs(spoken[1000:-1000]).max() > 0.15


def test_a_clip_of_a_few_samples_is_spoken(tmp_path: Path) -> None:
    scan = scan_clip(tmp_path / "a.wav", save(tmp_path / "a.wav", tone(0.0008)), "turn 1")
    assert abs(sum(map(len, speak_clip(scan, 1.0))) - 2 * 18) <= 2


def test_a_stereo_clip_becomes_mono(tmp_path: Path) -> None:
    both = np.stack((tone(1.0), tone(1.0)), axis=1)
    scan = scan_clip(tmp_path / "a.wav", save(tmp_path / "a.wav", both), "turn 1")
    spoken = np.concatenate(list(speak_clip(scan, 1.0)))
    assert spoken.ndim == 1
    assert abs(len(spoken) - SAMPLE_RATE_HZ) <= 1


def write_broken(path: Path, how: str) -> None:
    if how == "missing":
        return
    write_wav(path, tone(2.0), RATE_HZ)
    data = path.read_bytes()
    if how == "cut off":
        path.write_bytes(data[: len(data) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("RIFF, they said.")
    elif how == "header":
        path.write_bytes(data[:30])
    elif how == "shorter":
        write_wav(path, tone(1.0), RATE_HZ)
    elif how == "float":
        path.write_bytes(data[:20] + b"\x03\x00" + data[22:])
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "rate":
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(1)
            file.writeframes(b"\0\0" * 2)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", "is missing"),
        ("cut off", "is cut off"),
        ("empty", "is not a PCM WAV file"),
        ("text", "is not a PCM WAV file"),
        ("header", "is not a PCM WAV file"),
        ("float", "is not a PCM WAV file"),
        ("shorter", "lasts 1.00 s, expected 2.00 s"),
        ("folder", "cannot be read"),
        ("rate", "has 1 samples a second"),
    ],
)
def test_a_broken_clip_is_named_and_can_be_spoken_again(
    tmp_path: Path, how: str, said: str
) -> None:
    path = tmp_path / "0007.wav"
    clip = save(path, tone(2.0))
    path.unlink()
    write_broken(path, how)
    with pytest.raises(RunError) as caught:
        scan_clip(path, clip, "turn 7 (guest)")
    assert caught.value.message.startswith(f"The clip of turn 7 (guest), {path}, {said}")
    assert "podcaster resume RUN" in str(caught.value)
