"""The speaker encoder, held to the package whose weights it runs."""

import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra asr is not installed")
if importlib.util.find_spec("resemblyzer") is None:
    pytest.skip("the extra asr is not installed", allow_module_level=True)

from podcaster import audio, engines, voiceprint
from podcaster.errors import EngineError, EngineMissing, InputError
from podcaster.voiceprint import Encoder

pytestmark = pytest.mark.engine

SHARED = Path(__file__).parents[1].parent / "shared" / "data" / "audio"


@pytest.fixture(scope="module")
def encoder() -> Iterator[Encoder]:
    opened = engines.open_engine("voiceprint", "resemblyzer")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Six seconds of something with a pitch, formants and pauses, the same every time."""
    generator = np.random.default_rng(3)
    times = np.arange(6 * 16_000) / 16_000
    pitch = np.cumsum(110 + 20 * np.sin(2 * np.pi * 0.7 * times)) / 16_000
    sound = sum(np.sin(2 * np.pi * pitch * k) / k for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * times), 0, 1)
    noise = generator.standard_normal(len(times)) * 0.002
    return (0.05 * sound * syllables + noise).astype(np.float32)


@pytest.fixture(scope="module")
def original() -> Any:
    """The package's own encoder, with its detector of voices, which is not under test, left out."""
    pytest.importorskip("librosa", reason="resemblyzer's own code needs librosa")
    had = sys.modules.get("webrtcvad")
    sys.modules["webrtcvad"] = types.ModuleType("webrtcvad")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from resemblyzer import VoiceEncoder

            return VoiceEncoder("cpu", verbose=False)
    finally:
        del sys.modules["webrtcvad"]
        if had is not None:
            sys.modules["webrtcvad"] = had


def read_voice(name: str) -> np.ndarray:
    if not SHARED.is_dir():
        pytest.skip("the folder shared/ is not beside the repository")
    samples, rate_hz = audio.read_wav(SHARED / name)
    assert rate_hz == 16_000
    return samples


def test_a_print_is_a_unit_vector_and_always_the_same(encoder: Encoder, speech: np.ndarray) -> None:
    vector = encoder.embed(speech)
    assert vector.shape == (256,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(vector, encoder.embed(speech))


@pytest.mark.parametrize("count", [900, 5000, 25_600, 32_000, 48_077, 96_000])
def test_it_gives_what_the_package_gives(
    encoder: Encoder, speech: np.ndarray, original: Any, count: int
) -> None:
    sound = speech[:count] * 8  # as loud as speech is: not amplified
    expected = original.embed_utterance(sound)
    assert np.abs(encoder.embed(sound) - expected).max() < 1e-5


def test_mel_spectra_are_those_of_librosa(encoder: Encoder, speech: np.ndarray) -> None:
    librosa = pytest.importorskip("librosa", reason="the package librosa is not installed")
    expected = librosa.feature.melspectrogram(
        y=speech, sr=16_000, n_fft=400, hop_length=160, n_mels=40
    ).T
    spectra = encoder._mels(speech, len(expected))
    assert np.abs(spectra - expected).max() < 1e-5 * expected.max()


def test_blocks_do_not_show(
    encoder: Encoder, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoder._mels(speech, 601)
    monkeypatch.setattr(voiceprint, "_BLOCK_FRAMES", 37)
    assert np.allclose(encoder._mels(speech, 601), whole, rtol=1e-5, atol=1e-7)


def test_quiet_sound_is_amplified(encoder: Encoder, speech: np.ndarray) -> None:
    near = encoder.embed(speech * 0.05) @ encoder.embed(speech * 0.01)
    assert near == pytest.approx(1.0, abs=1e-4)


def test_windows_are_prints_of_their_own(encoder: Encoder, speech: np.ndarray) -> None:
    starts_s = [0.0, 1.0, 2.5]
    vectors = encoder.embed_windows(speech, starts_s, 1.6)
    assert vectors.shape == (3, 256)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    alone = encoder.embed_windows(speech, starts_s[1:2], 1.6)
    assert np.allclose(vectors[1:2], alone, atol=1e-5)
    assert encoder.embed_windows(speech, []).shape == (0, 256)


def test_a_window_at_the_end_hears_silence_after_it(encoder: Encoder, speech: np.ndarray) -> None:
    padded = np.pad(speech, (0, 32_000))
    at_end = encoder.embed_windows(speech, [5.0], 1.6)
    # frames centred on the first sample of the silence hear the last samples of the sound
    assert np.allclose(at_end, encoder.embed_windows(padded, [5.0], 1.6), atol=0.05)


def test_parts_may_have_holes_and_may_be_empty(encoder: Encoder, speech: np.ndarray) -> None:
    frames = np.arange(100, 400)
    parts = [frames, frames[(frames < 180) | (frames > 260)], frames[:0], frames[:30]]
    vectors = encoder.embed_parts(speech, parts)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 0, 1], abs=1e-5)
    assert np.allclose(vectors[3], encoder.embed_parts(speech, [parts[3]])[0], atol=1e-5)


def test_voices_are_told_apart(encoder: Encoder) -> None:
    one, other = read_voice("katie-reference.wav"), read_voice("steve-reference.wav")
    half = len(one) // 2
    same = encoder.embed(one[:half]) @ encoder.embed(one[half:])
    different = encoder.embed(one) @ encoder.embed(other)
    assert same > 0.85
    assert different < 0.7


def test_no_sound_has_no_voice(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="no sound to take a voiceprint from"):
        encoder.embed(np.zeros(0, dtype=np.float32))


def test_silence_gives_numbers(encoder: Encoder) -> None:
    assert np.isfinite(encoder.embed(np.zeros(16_000, dtype=np.float32))).all()


def test_the_id_names_the_package_and_the_weights(encoder: Encoder) -> None:
    name, version, digest = encoder.id.split()
    assert name == "resemblyzer"
    assert version[0].isdigit()
    assert len(digest) == 12


def test_a_closed_encoder_says_so(speech: np.ndarray) -> None:
    encoder = Encoder()
    encoder.close()
    with pytest.raises(EngineError, match="is closed"):
        encoder.embed(speech)


def test_a_missing_package_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineMissing, match="lies in the package resemblyzer") as caught:
        Encoder()
    assert "pip install 'podcaster[asr]'" in str(caught.value)


def test_weights_of_something_else_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch

    path = tmp_path / "pretrained.pt"
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.zeros(3, 3)}}, path)
    monkeypatch.setattr(voiceprint, "_find_weights", lambda: (path, "0.1.4"))
    with pytest.raises(EngineError, match="Reading the speaker encoder"):
        Encoder()


def test_the_package_itself_is_not_imported() -> None:
    import subprocess

    code = (
        "import sys; from podcaster.voiceprint import Encoder; Encoder(); "
        "print([m for m in ('resemblyzer', 'librosa', 'webrtcvad') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
