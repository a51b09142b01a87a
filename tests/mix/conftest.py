from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from podcaster.audio import write_wav
from podcaster.mix.options import MixOptions
from podcaster.mix.stage import MixResult, mix
from podcaster.model import Chapter, Clip, Script, Segment, Speaker, Turn
from podcaster.progress import Silence


def make_voice(duration_s: float, rate_hz: int, *, hz: float, gain: float = 0.25) -> np.ndarray:
    """A buzz with the rhythm of syllables, full to both ends."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    top = int(min(20, 0.45 * rate_hz // hz))
    buzz = sum(np.sin(2 * np.pi * k * hz * time_s + k) / k for k in range(1, top + 1))
    syllables = 0.55 + 0.45 * np.cos(2 * np.pi * 3.3 * time_s)
    return (gain * buzz * syllables).astype(np.float32)


@dataclass(frozen=True)
class Line:
    """A turn of a test's conversation."""

    speaker: str
    text: str
    duration_s: float = 3.0
    rate_hz: int = 22_050
    gain: float = 0.25


@dataclass(frozen=True)
class Conversation:
    """A script with its clips on disk."""

    script: Script
    clips: tuple[Clip, ...]
    clips_folder: Path
    folder: Path

    def mix(
        self,
        *,
        seed: int = 5,
        folder: Path | None = None,
        mark: Callable[[np.ndarray], np.ndarray] | None = None,
        **options: object,
    ) -> MixResult:
        return mix(
            self.script,
            self.clips,
            self.clips_folder,
            folder or self.folder,
            MixOptions(**options),  # type: ignore[arg-type]
            seed=seed,
            progress=Silence(),
            mark=mark,
        )


@pytest.fixture
def converse(tmp_path: Path) -> Callable[..., Conversation]:
    """Writes the clips of a conversation; several lists of lines are several chapters."""

    def make(*chapters: Sequence[Line]) -> Conversation:
        clips = []
        pitches = {"host": 110.0, "guest": 190.0}
        for line in (line for chapter in chapters for line in chapter):
            name = f"clips/{len(clips):04d}.wav"
            (tmp_path / "clips").mkdir(exist_ok=True)
            samples = make_voice(
                line.duration_s, line.rate_hz, hz=pitches.get(line.speaker, 150.0), gain=line.gain
            )
            write_wav(tmp_path / name, samples, line.rate_hz)
            duration_s = len(samples) / line.rate_hz
            clips.append(
                Clip(
                    path=name,
                    text=line.text,
                    voice="buzz",
                    duration_s=duration_s,
                    sample_rate_hz=line.rate_hz,
                    sentences=(Segment(text=line.text, start_s=0.0, end_s=duration_s),),
                )
            )
        names = list(dict.fromkeys(line.speaker for chapter in chapters for line in chapter))
        script = Script(
            title="A test",
            summary="",
            language="en",
            seed=5,
            model="none",
            speakers=tuple(
                Speaker(id=n, name=n.title(), role=n if n in ("host", "guest") else "other")
                for n in names
            ),
            chapters=tuple(
                Chapter(
                    title=f"Chapter {index}",
                    turns=tuple(Turn(speaker=line.speaker, text=line.text) for line in chapter),
                )
                for index, chapter in enumerate(chapters, start=1)
            ),
        )
        return Conversation(script, tuple(clips), tmp_path, tmp_path / "mix")

    return make


@pytest.fixture
def line() -> type[Line]:
    return Line


@pytest.fixture
def interview(converse: Callable[..., Conversation]) -> Conversation:
    """Four turns in two chapters, both speakers at very different levels."""
    return converse(
        [
            Line("host", "Welcome, what brings you here?", 5.0, gain=0.05),
            Line("guest", "It is a long story, and I tell it well.", 4.0, gain=0.4),
        ],
        [
            Line("host", "And then?", 1.5, gain=0.05),
            Line("guest", "Then I went home.", 5.5, rate_hz=24_000, gain=0.4),
        ],
    )
