"""A preview: turns in order, as they come, as an MP3 that players take."""

import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from podcaster import previewing
from podcaster.audio import decode, write_wav
from podcaster.previewing import GAP_S, Preview, serve_preview
from podcaster.units import SAMPLE_RATE_HZ

RATE_HZ = 22_050


def tone(folder: Path, name: str, hertz: float, seconds: float) -> Path:
    path = folder / f"{name}.wav"
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    write_wav(path, (0.3 * np.sin(2 * np.pi * hertz * times)).astype(np.float32), RATE_HZ)
    return path


def pitches(data: bytes, folder: Path, seconds: float) -> list[float]:
    """The strongest frequency of each second or so of an MP3."""
    path = folder / "heard.mp3"
    path.write_bytes(data)
    blocks = decode(path, sample_rate_hz=SAMPLE_RATE_HZ, channels=1)
    samples = np.concatenate([block.reshape(-1) for block in blocks])
    size = round((seconds + GAP_S) * SAMPLE_RATE_HZ)
    found = []
    for start in range(0, len(samples) - size // 2, size):
        piece = samples[start + size // 4 : start + size // 2]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece))))
        found.append(float(np.argmax(spectrum)) * SAMPLE_RATE_HZ / len(piece))
    return found


def test_turns_are_heard_in_order_whatever_order_they_come_in(tmp_path: Path) -> None:
    preview = Preview(["a", "b", "a", "c"])
    preview.add("b", tone(tmp_path, "b", 800, 1.0))
    assert preview.turns_ready == 0
    preview.add("a", tone(tmp_path, "a", 400, 1.0))
    assert preview.turns_ready == 3
    preview.add("c", tone(tmp_path, "c", 1200, 1.0))
    preview.end()
    heard = pitches(b"".join(preview.read()), tmp_path, 1.0)
    assert [round(pitch, -2) for pitch in heard] == [400, 800, 400, 1200]


def test_who_listens_gets_what_is_there_and_waits_for_the_rest(tmp_path: Path) -> None:
    preview = Preview(["a", "b"])
    with serve_preview(preview) as address:
        with urllib.request.urlopen(address) as answer:
            page = answer.read().decode()
        assert "preview.mp3" in page
        first, rest = threading.Event(), []

        def listen() -> None:
            with urllib.request.urlopen(f"{address}preview.mp3") as answer:
                assert answer.headers["Content-Type"] == "audio/mpeg"
                rest.append(answer.read(1000))
                first.set()
                rest.append(answer.read())

        listener = threading.Thread(target=listen)
        listener.start()
        preview.add("a", tone(tmp_path, "a", 400, 1.0))
        assert first.wait(30)  # the second turn is not there yet
        preview.add("b", tone(tmp_path, "b", 800, 1.0))
    listener.join()
    heard = pitches(b"".join(rest), tmp_path, 1.0)
    assert [round(pitch, -2) for pitch in heard] == [400, 800]


def test_an_episode_that_fails_ends_the_preview(tmp_path: Path) -> None:
    preview = Preview(["a", "b"])
    with pytest.raises(RuntimeError, match="failed"), serve_preview(preview):
        preview.add("a", tone(tmp_path, "a", 400, 0.5))
        raise RuntimeError("failed")
    assert len(b"".join(preview.read())) > 1000


def test_other_names_for_this_machine_are_refused() -> None:
    with serve_preview(Preview([])) as address:
        request = urllib.request.Request(address, headers={"Host": "evil.example:80"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        with refused.value as answer:
            assert answer.code == 421
        with pytest.raises(urllib.error.HTTPError) as missing:
            urllib.request.urlopen(f"{address}../run.json")
        with missing.value as answer:
            assert answer.code == 404


def test_a_player_that_has_enough_for_now_holds_up_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previewing, "_PATIENCE_S", 0.1)
    preview = Preview(["a", "b"])
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 400 * RATE_HZ).astype(np.float32)
    write_wav(tmp_path / "a.wav", noise, RATE_HZ)
    with serve_preview(preview) as address:
        answer = urllib.request.urlopen(f"{address}preview.mp3")
        preview.add("a", tmp_path / "a.wav")
        first = answer.read(1000)
    # the server is gone, the player still gets the rest when it wants it
    with answer:
        heard = first + answer.read()
    assert heard == b"".join(preview.read())
    assert len(heard) > 4_000_000
