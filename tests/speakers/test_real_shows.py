"""Real recordings and a real transcript: six people by their voices, and a host called Mum."""

import json
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest

from podcaster.audio import decode
from podcaster.identifying import identify_show, read_named_words
from podcaster.ingest.sources import describe_source
from podcaster.mapping import map_locally
from podcaster.model import Transcript, parse
from podcaster.recordings import INGEST, read_recordings
from podcaster.run import open_show_run
from podcaster.show import add_sources, ingest_show
from podcaster.speakers.requests import Requests
from podcaster.transcribe.realign import realign
from podcaster.voiceprinting import Ears
from tests.speakers.spoken_show import Notes, SpokenShow, keep_words

DATA = Path(__file__).parents[3] / "shared" / "data"


def test_the_real_encoder_finds_real_voices(tmp_path: Path) -> None:
    """Six people of real recordings, in five episodes of which each has other labels."""
    pytest.importorskip("torch", reason="needs the extra asr")
    pytest.importorskip("podcaster.voiceprint", reason="needs the extra asr")
    audio = DATA / "audio"
    if not (audio / "tea-brew.mp3").is_file():
        pytest.skip("needs shared/data/audio beside the repository")

    def load(name: str) -> np.ndarray:
        return np.concatenate(list(decode(audio / name, 16_000, 1)))

    katie, steve = load("katie-reference.wav"), load("steve-reference.wav")
    tea = load("tea-brew.mp3")
    reader = np.concatenate([load(f"ljspeech/LJ001-{i:04}.flac") for i in (1, 2, 3, 4, 5, 6)])
    segments = json.loads((audio / "tea-brew.json").read_text())["segments"]
    by_voice: dict[int, list[np.ndarray]] = {}
    for one in segments:
        cut = tea[int(16_000 * one["start"]) : int(16_000 * one["end"])]
        by_voice.setdefault(one["speaker"], []).append(cut[: 16_000 * 12])
    people = {
        "katie": [katie[:144_000], katie[144_000:]],
        "steve": [steve[:144_000], steve[144_000:]],
        "reader": [reader[:160_000], reader[160_000:320_000]],
        **{f"tea {voice}": cuts[:2] for voice, cuts in by_voice.items() if len(cuts) > 1},
    }
    show = SpokenShow(tmp_path)
    names = sorted(people)
    truth = {}
    for take in (0, 1):
        for number, pair in enumerate((names[0::2], names[1::2])):
            # the other way round the second time: nothing but the voice says who it is
            turns = list(enumerate(pair))[:: 1 if take else -1]
            title = f"{'ab'[take]}{number}"
            show.add(
                title, [(f"S{i}{take}", f"Turn of {i}.", people[who][take]) for i, who in turns]
            )
            truth |= {(title, f"S{i}{take}"): who for i, who in turns}
    show.ingest()
    result = show.identify(ears=Ears())
    found = {
        frozenset(truth[m.recording.rsplit("-", 1)[0], m.label] for m in one.members)
        for one in result.people.speakers
    }
    assert found == {frozenset({who}) for who in people}
    assert len(result.people.speakers) == len(people)


def test_mum_is_renamed_throughout_by_one_correction(tmp_path: Path) -> None:
    """A real episode whose transcriber called the host Mum, and cut turns a word early or late."""
    page = DATA / "seeds" / "this-day-in-ai.txt"
    if not page.is_file():
        pytest.skip("needs shared/data/seeds beside the repository")
    add_sources(tmp_path, "ai", [describe_source(str(page))])
    ingest_show(tmp_path, "ai", Notes())
    run = open_show_run(tmp_path, "ai", version="0")
    (recording,) = read_recordings(run)
    path = run.path / INGEST / recording.transcript
    given = parse(path.read_bytes(), Transcript, where=str(path))
    utterances, moves = realign(given.utterances)
    keep_words(run, recording.id, msgspec.structs.replace(given, utterances=utterances))
    assert len(moves) >= 10
    mapper = partial(map_locally, workers=1)
    identify_show(
        tmp_path,
        "ai",
        Notes(),
        mapper=mapper,
        corrections=Requests(rename=("mum=Michael Sharkey",)),
    )
    named = read_named_words(run, recording.id)
    assert named is not None
    assert [one.text for one in named.utterances] == [one.text for one in utterances]
    assert named.chapters == given.chapters
    assert len(named.chapters) == 12
    assert {one.speaker for one in named.utterances} == {"michael-sharkey", "chris-sharkey"}
    mums = [i for i, one in enumerate(utterances) if one.speaker == "Mum"]
    assert len(mums) > 80
    assert {named.utterances[i].speaker for i in mums} == {"michael-sharkey"}
