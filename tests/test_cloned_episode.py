"""Somebody's own voice through an episode: XTTS where it is here and accepted, else a likeness.

The model is a small random one of the real class, so that what it says is noise: the gate marks it,
and the episode is made.
"""

import hashlib
import importlib.util
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from podcaster import episode as episodes
from podcaster.audio import write_wav
from podcaster.model import Clip, parse
from podcaster.progress import Silence
from podcaster.run import Run
from podcaster.setup.voices import ACCEPTANCE, Acceptance
from podcaster.speak.voices import find_voices
from podcaster.voice_library import add_voice
from podcaster.voice_requests import Request, make_consent
from tests.speak.tiny_xtts import make_tiny_xtts
from tests.speakers.spoken_show import RATE_HZ, speak

pytest.importorskip("torch", reason="XTTS runs on torch (extra tts)")
if importlib.util.find_spec("TTS") is None:
    pytest.skip("coqui-tts is not installed (extra tts)", allow_module_level=True)

pytestmark = pytest.mark.engine

TEXT = (
    "The harbour was quiet that morning, and the gulls had left. Nobody had told the keeper that "
    "the lamp was out. When the storm came in from the west they went up to the light and waited."
)
LICENCE = b"Not for money.\n"


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """XTTS-v2 in a hub's cache, as a download leaves it."""
    from huggingface_hub import constants

    cache = tmp_path / "hub" / "models--coqui--XTTS-v2"
    snapshot = cache / "snapshots" / ("a" * 40)
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("a" * 40)
    make_tiny_xtts(snapshot)
    (snapshot / "LICENSE.txt").write_bytes(LICENCE)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return snapshot


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    hiss = np.random.default_rng(0).standard_normal(len(speak("ada", TEXT))) * 1e-4
    write_wav(home / "kim.wav", (speak("ada", TEXT) + hiss).astype(np.float32), RATE_HZ)
    consent = make_consent("self", "Kim Example", None, None)
    add_voice(home, Request("kim-example", consent), [home / "kim.wav"], Silence())
    return home


class Notes(Silence):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def make(home: Path, notes: Notes) -> Run:
    script = home / "talk.md"
    script.write_text(
        "Kim Example: Good morning, and welcome.\n"
        "Hugo: It is a pleasure.\n"
        "Kim Example: What a day! Shall we begin?\n"
    )
    flags = {"write.script": str(script), "speak.voices": {"Hugo": "hugo"}, "disclosure": False}
    run, settings = episodes.start_episode(home, {**flags, "seed": 3})
    episodes.make_episode(home, run, settings, until="mix", publish=False, progress=notes)
    return run


def test_xtts_speaks_where_its_licence_is_accepted(home: Path, model: Path) -> None:
    accepted = Acceptance(
        licence="CPML",
        url="https://example.org",
        licence_sha256=hashlib.sha256(LICENCE).hexdigest(),
        accepted_at="2026-11-21T12:00:00+00:00",
        by_typing="podcaster setup xtts-v2 --accept-licence cpml",
    )
    (model / ACCEPTANCE).write_bytes(msgspec.json.encode(accepted))
    notes = Notes()
    run = make(home, notes)
    record = json.loads((run.path / "speak" / "record.json").read_bytes())
    assert "coqui-tts" in record["engine"]
    assert "espeak" in record["engine"]
    clips = parse((run.path / "speak" / "clips.json").read_bytes(), tuple[Clip, ...], where="")
    assert [clip.voice for clip in clips] == ["kim-example", "hugo", "kim-example"]
    # 24,000 Hz is XTTS's; noise is no speech, and was tried as often as a draft allows
    assert [clip.sample_rate_hz for clip in clips] == [24_000, 22_050, 24_000]
    assert clips[0].faults
    assert clips[1].faults == ()
    assert record["counts"]["rejected"] >= 2
    script = (run.path / "write" / "script.md").read_text()
    assert script.count("<!-- look:") == record["counts"]["faulty"] > 0
    assert (run.path / "mix" / "episode.mp3").stat().st_size > 10_000
    latents = (home / "voices" / "kim-example" / "derived").glob("*.safetensors")
    assert len(list(latents)) == 1


def test_a_likeness_speaks_where_it_is_not(home: Path, model: Path) -> None:
    notes = Notes()
    run = make(home, notes)
    record = json.loads((run.path / "speak" / "record.json").read_bytes())
    assert "likeness" in record["engine"]
    assert record["counts"]["faulty"] == 0
    assert any("a likeness, not a clone" in note for note in notes.notes)
    assert find_voices(home)["kim-example"].engine == "clone"
