"""Marking, through the real AudioSeal with random weights: what it hears means nothing here."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcaster import engines
from podcaster.errors import ConfigError, EngineError, EngineMissing
from podcaster.mark.engine import MESSAGE_BITS, Detection

pytest.importorskip("audioseal", reason="the extra `watermark` is not installed")

from podcaster.mark.audioseal import MESSAGE, AudioSealMarker, read_weights
from tests.mark.random_audioseal import write_random_audioseal

pytestmark = pytest.mark.engine

RATE_HZ = 44_100


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_audioseal(tmp_path_factory.mktemp("audioseal"))


@pytest.fixture(scope="module")
def marker(model: Path) -> Iterator[AudioSealMarker]:
    opened = engines.open_engine("mark", "audioseal", model=str(model), device="cpu")
    yield opened
    opened.close()


def make_sound(seconds: float = 2.0) -> Any:
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    left = 0.3 * np.sin(2 * np.pi * 220 * times_s)
    return np.stack([left, 0.5 * left], axis=1).astype(np.float32)


def test_a_mark_is_added_to_both_channels_alike_and_always_the_same(
    marker: AudioSealMarker,
) -> None:
    sound = make_sound()
    marked = marker.mark(sound, RATE_HZ)
    assert marked.dtype == np.float32
    assert marked.shape == sound.shape
    added = marked - sound
    assert np.abs(added).max() > 1e-4
    assert np.abs(added[:, 0] - added[:, 1]).max() < 1e-6
    assert np.array_equal(marked, marker.mark(sound, RATE_HZ))
    spectrum = np.abs(np.fft.rfft(added[:, 0]))
    low = round(8_000 * len(added) / RATE_HZ)
    assert np.square(spectrum[low:]).sum() < 0.01 * np.square(spectrum).sum()
    mono = marker.mark(sound.mean(axis=1), RATE_HZ)
    assert mono.shape == (len(sound),)


def test_what_is_too_short_is_left_as_it_is(marker: AudioSealMarker) -> None:
    sound = make_sound(0.3)
    assert np.array_equal(marker.mark(sound, RATE_HZ), sound)


def test_looking_for_a_mark_goes_block_by_block(marker: AudioSealMarker) -> None:
    sound = make_sound(3.0).mean(axis=1)
    found = marker.detect([sound, sound[:RATE_HZ], sound[:100]], RATE_HZ)
    assert 0.0 <= found.share <= 1.0
    assert 0 <= found.matching_bits <= MESSAGE_BITS
    assert marker.detect([], RATE_HZ).share == 0.0


def test_a_detector_that_hears_our_message_everywhere_is_believed(tmp_path: Path) -> None:
    folder = write_random_audioseal(tmp_path, hears=MESSAGE)
    marker = AudioSealMarker(model=str(folder), device="cpu")
    found = marker.detect([make_sound().mean(axis=1)], RATE_HZ)
    assert (found.share, found.matching_bits, found.ours) == (1.0, MESSAGE_BITS, True)
    marker.close()
    other = write_random_audioseal(tmp_path / "other", hears=tuple(1 - bit for bit in MESSAGE))
    found = AudioSealMarker(model=str(other)).detect([make_sound().mean(axis=1)], RATE_HZ)
    assert (found.share, found.matching_bits, found.ours) == (1.0, 0, False)


def test_half_a_mark_or_a_few_wrong_bits_decide() -> None:
    assert Detection(0.5, 14).ours
    assert not Detection(0.49, 16).ours
    assert not Detection(1.0, 13).ours


def test_missing_files_and_devices_are_named(tmp_path: Path, model: Path) -> None:
    with pytest.raises(EngineMissing, match=r"has no generator_base\.pth"):
        AudioSealMarker(model=str(tmp_path))
    with pytest.raises(EngineMissing, match="No folder has no"):
        AudioSealMarker()
    with pytest.raises(ConfigError, match="device is 'tpu'"):
        AudioSealMarker(model=str(model), device="tpu")


class Trap:
    """What a hostile checkpoint would run while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_checkpoint_that_names_code_is_refused_and_not_run(tmp_path: Path, model: Path) -> None:
    import torch

    trapped = tmp_path / "trapped"
    torch.save({"model": {"a": torch.zeros(1)}, "xp.cfg": Trap(trapped)}, tmp_path / "trap.pth")
    with pytest.raises(ValueError, match="expected nothing but tensors"):
        read_weights(tmp_path / "trap.pth")
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "detector_base.pth").write_bytes((model / "detector_base.pth").read_bytes())
    for data in (
        (tmp_path / "trap.pth").read_bytes(),
        pickle.dumps(Trap(trapped)),
        b"no",
        (model / "generator_base.pth").read_bytes()[:5000],
    ):
        (folder / "generator_base.pth").write_bytes(data)
        marker = AudioSealMarker(model=str(folder))
        with pytest.raises(EngineError, match=r"generator_base.pth as AudioSeal's weights failed"):
            marker.mark(make_sound(), RATE_HZ)
    assert not trapped.exists()


def test_weights_of_another_model_are_refused(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    for name in ("generator_base.pth", "detector_base.pth"):
        (folder / name).write_bytes((model / "detector_base.pth").read_bytes())
    with pytest.raises(EngineError, match="weights failed"):
        AudioSealMarker(model=str(folder)).mark(make_sound(), RATE_HZ)
