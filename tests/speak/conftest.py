from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from podcaster.model import Chapter, Script, Speaker, Turn, Voice
from podcaster.speak.engine import Samples
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.sketching import sketch
from podcaster.speak.voices import builtin_folder, read_voices

CONVERSATION = Path(__file__).resolve().parents[2] / "bench" / "conversation.txt"


@pytest.fixture(scope="session")
def voicer() -> Iterator[EspeakVoicer]:
    opened = EspeakVoicer()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def builtin() -> dict[str, Voice]:
    found, problems = read_voices([builtin_folder()])
    assert problems == ()
    return found


@pytest.fixture(scope="session")
def voices(builtin: dict[str, Voice]) -> dict[str, Voice]:
    """The built-in voices as eSpeak NG imitates them, which is quick."""
    return {name: sketch(v) for name, v in builtin.items() if v.languages[0] == "en"}


@pytest.fixture
def casting(voices: dict[str, Voice]) -> dict[str, Voice]:
    return {"host": voices["ada"], "guest": voices["otis"]}


def make_script(*turns: tuple[str, str], language: str = "en", seed: int = 7) -> Script:
    return Script(
        title="A talk",
        summary="",
        language=language,
        speakers=(
            Speaker(id="host", name="Robin", role="host"),
            Speaker(id="guest", name="Kim", role="guest"),
        ),
        chapters=(
            Chapter(title="One", turns=tuple(Turn(speaker=s, text=text) for s, text in turns)),
        ),
        seed=seed,
        model="by hand",
    )


def median_pitch_hz(samples: Samples, rate_hz: int) -> float:
    """The median of the autocorrelation's best lag over voiced frames."""
    found = []
    size = round(0.046 * rate_hz)
    lowest, highest = rate_hz // 420, rate_hz // 50
    for start in range(0, len(samples) - size, size // 2):
        frame = samples[start : start + size] - samples[start : start + size].mean()
        if np.square(frame).mean() < 1e-3:
            continue
        correlation = np.correlate(frame, frame, "full")[size - 1 :]
        lag = lowest + int(correlation[lowest:highest].argmax())
        if correlation[lag] > 0.5 * correlation[0]:
            found.append(rate_hz / lag)
    assert len(found) > 20
    return float(np.median(found))
