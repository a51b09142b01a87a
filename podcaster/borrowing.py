"""What an episode takes from a show: its model, its host, their voices, and how fast they talk."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from podcaster import __version__
from podcaster.exported import NamedModel, find_named_model
from podcaster.model import Transcript, slugify
from podcaster.preparing import read_people
from podcaster.progress import Progress
from podcaster.recordings import read_recordings, read_words
from podcaster.run import Run, open_show_run
from podcaster.setup.catalogue import BUILTIN_NAME
from podcaster.speak.voices import find_voices
from podcaster.talk.asking import choose_people
from podcaster.units import count_words

MOST_RECORDINGS = 40  # enough to know how fast somebody talks
FEWEST_WORDS = 12  # of an utterance whose pace is believed
FEWEST_SECONDS = 60.0
SLOWEST_WPM, FASTEST_WPM = 90.0, 260.0


@dataclass(frozen=True)
class Borrowed:
    """A show's settings by key, and the model that they name."""

    settings: Mapping[str, Any]
    model: NamedModel


def borrow(home: Path, show: str, progress: Progress) -> Borrowed:
    """The settings that a show stands for; what a person says himself goes before them.

    Raises InputError where there is no such show, or none of its models was exported.
    """
    open_show_run(home, show.partition(":")[0], version=__version__)
    model = find_named_model(home, show)
    named = BUILTIN_NAME if model.adapter else str(model.path.resolve())
    values: dict[str, Any] = {"write.model": named}
    run = model.run
    if run is None:
        return Borrowed(values, model)
    host, _ = choose_people(run)
    values["write.host"] = host
    voice = slugify(host, fallback="voice")
    known = find_voices(home, progress)
    if voice in known:
        values["speak.voices"] = {"host": voice}
    paces = measure_paces(run, host)
    if paces:
        values["speak.paces"] = paces
    return Borrowed(values, model)


def measure_paces(run: Run, host: str) -> dict[str, float]:
    """Words a minute of the host, and of the guests in the middle; nothing without times."""
    named = read_people(run)
    sums: dict[str, list[float]] = {}
    for number, recording in enumerate(read_recordings(run)):
        if number == MOST_RECORDINGS:
            break
        transcript = read_words(run, recording.id)
        if transcript is not None:
            _add_paces(named.resolve(transcript, recording.id) if named else transcript, sums)
    paces = {name: 60 * words / s for name, (words, s) in sums.items() if s >= FEWEST_SECONDS}
    guests = [pace for name, pace in paces.items() if name != host]
    found = {"host": paces.get(host), "guest": median(guests) if guests else None}
    return {
        role: round(min(FASTEST_WPM, max(SLOWEST_WPM, pace)), 1)
        for role, pace in found.items()
        if pace is not None
    }


def _add_paces(transcript: Transcript, sums: dict[str, list[float]]) -> None:
    for said in transcript.utterances:
        # only words have times that somebody measured: a turn's own may hold its pauses
        if not said.speaker or len(said.words) < FEWEST_WORDS:
            continue
        lasted = said.words[-1].end_s - said.words[0].start_s
        if lasted > 0:
            total = sums.setdefault(said.speaker, [0.0, 0.0])
            total[0] += count_words(said.text)
            total[1] += lasted
