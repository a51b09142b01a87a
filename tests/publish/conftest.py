import math
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from podcaster.model import (
    Chapter,
    Episode,
    Script,
    Segment,
    Source,
    Speaker,
    Timeline,
    TimelineChapter,
    TimelineTurn,
    Turn,
    Voice,
    parse,
)
from podcaster.progress import Silence
from podcaster.publish.options import PublishOptions
from podcaster.publish.stage import publish

DURATION_S = 12.0
SENTENCES = (
    ("host", 0, 0.5, 2.5, "Hello and welcome to the show."),
    ("guest", 0, 2.6, 5.5, "Thank you, it is good to be here."),
    (
        "host",
        1,
        6.4,
        9.4,
        "Before we talk about rockets, tell me how somebody who grew up by the sea, far away from "
        "any launch pad, came to think about fuel & thrust < all day long.",
    ),
    ("guest", 1, 9.2, 11.5, "Books."),
)


def make_script(**changes: object) -> Script:
    fields: dict[str, object] = {
        "title": "Jane Doe on rockets",
        "summary": "A talk about the sea, rockets & patience.",
        "language": "en",
        "speakers": (
            Speaker(id="host", name="Robin Hale", role="host"),
            Speaker(id="guest", name="Jane Doe", role="guest"),
        ),
        "chapters": (
            Chapter(
                title="Opening",
                turns=tuple(Turn(speaker=s, text=t) for s, c, _, _, t in SENTENCES if c == 0),
            ),
            Chapter(
                title="Rockets",
                turns=tuple(Turn(speaker=s, text=t) for s, c, _, _, t in SENTENCES if c == 1),
            ),
        ),
        "seed": 7,
        "model": "builtin",
        "sources": (
            Source(
                id="n1",
                title="A history of fuel",
                location="https://example.org/fuel?a=1&b=2",
                sha256="0" * 64,
            ),
            Source(
                id="n2", title="/home/jane/notes.txt", location="/home/jane/notes.txt",
                sha256="1" * 64,
            ),
        ),
    }  # fmt: skip
    return Script(**{**fields, **changes})  # type: ignore[arg-type]


def make_timeline(**changes: object) -> Timeline:
    fields: dict[str, object] = {
        "duration_s": DURATION_S,
        "chapters": (
            TimelineChapter(title="Opening", start_s=0.0, end_s=6.0),
            TimelineChapter(title="Rockets", start_s=6.0, end_s=DURATION_S),
        ),
        "turns": tuple(
            TimelineTurn(
                speaker=speaker,
                chapter=chapter,
                start_s=start_s,
                end_s=end_s,
                sentences=(Segment(text=text, start_s=start_s, end_s=end_s),),
            )
            for speaker, chapter, start_s, end_s, text in SENTENCES
        ),
    }
    return Timeline(**{**fields, **changes})  # type: ignore[arg-type]


def make_voice(name: str) -> Voice:
    return Voice(
        name=name,
        engine="espeak",
        description="a calm, low voice",
        languages=("en",),
        words_per_minute=160,
        licence="GPL-3.0-or-later",
        sha256="2" * 64,
    )


def encode_mp3(path: Path, duration_s: float = DURATION_S, **options: str) -> Path:
    """A tone as 128 kbit/s stereo CBR with an Info header, as the mix stage makes it."""
    import av

    rate_hz = 44_100
    n = round(duration_s * rate_hz)
    tone = 0.2 * np.sin(2 * math.pi * 440 * np.arange(n) / rate_hz)
    samples = np.stack([tone, tone]).astype(np.float32)
    with av.open(str(path), "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=rate_hz)
        stream.layout = "stereo"
        stream.bit_rate = 128_000
        stream.options = options
        for start in range(0, n, 1152):
            block = np.ascontiguousarray(samples[:, start : start + 1152])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate = rate_hz
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="session")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode_mp3(tmp_path_factory.mktemp("mix") / "episode.mp3")


Publisher = Callable[..., tuple[Path, Episode]]
RUN_NAME = "jane-doe-20261120-3f9a"


def publish_into(
    run_folder: Path,
    mp3: Path,
    *,
    script: Script | None = None,
    timeline: Timeline | None = None,
    options: PublishOptions | None = None,
    disclosure: bool = True,
) -> Episode:
    script = script or make_script()
    return publish(
        script,
        timeline or make_timeline(),
        {s.id: make_voice(f"voice-{i}") for i, s in enumerate(script.speakers)},
        mp3,
        run_folder / "publish",
        options or PublishOptions(),
        run_name=run_folder.name,
        run_date="2026-11-20",
        disclosure=disclosure,
        progress=Silence(),
    )


@pytest.fixture(scope="session")
def example(mp3: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with an empty feed and one published run, to be copied: drawing takes time."""
    from podcaster.publish.feed import init_feed

    folder = tmp_path_factory.mktemp("example")
    publish_into(folder / "runs" / RUN_NAME, mp3)
    init_feed(
        folder,
        title="Talks that never were",
        url="http://127.0.0.1:8080",
        owner_email="me@example.org",
        now=datetime(2026, 11, 20, 12, tzinfo=UTC),
    )
    return folder


@pytest.fixture
def publish_run(mp3: Path, tmp_path: Path, example: Path) -> Publisher:
    """Publish into `<tmp_path>/runs/<name>/publish`; returns the run's folder and the episode."""

    def publish_one(
        name: str = RUN_NAME, *, audio: Path | None = None, fresh: bool = False, **changes: Any
    ) -> tuple[Path, Episode]:
        run_folder = tmp_path / "runs" / name
        if name == RUN_NAME and not changes and not audio and not fresh:
            shutil.copytree(example / "runs" / name, run_folder, dirs_exist_ok=True)
            data = (run_folder / "publish" / "episode.json").read_bytes()
            return run_folder, parse(data, Episode, where="episode.json")
        return run_folder, publish_into(run_folder, audio or mp3, **changes)

    return publish_one


@pytest.fixture
def make() -> SimpleNamespace:
    """Makers of what the stages before hand over, and of feeds that need no run."""
    return SimpleNamespace(
        script=make_script, timeline=make_timeline, voice=make_voice, mp3=encode_mp3
    )


@pytest.fixture
def home(tmp_path: Path, example: Path) -> Path:
    """A workspace with an empty feed."""
    shutil.copytree(example / "feed", tmp_path / "feed")
    return tmp_path
