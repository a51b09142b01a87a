"""Who is who in shows that are really spoken: named once, named everywhere, put right for good."""

import json
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from podcaster.audio import read_wav
from podcaster.commands.show import show_app
from podcaster.errors import ConsentMissing, EngineMissing, InputError
from podcaster.identifying import (
    describe_identified,
    identify_show,
    read_named_words,
    read_speakers,
)
from podcaster.ingest.sources import describe_source
from podcaster.mapping import map_locally
from podcaster.model import Transcript, Utterance, parse
from podcaster.recordings import INGEST, read_recordings
from podcaster.run import open_show_run
from podcaster.show import add_sources, ingest_show
from podcaster.speak.voices import check_consent, find_voices
from podcaster.units import count_words
from podcaster.voiceprinting import Ears
from tests.speakers.spoken_show import Notes, SpokenShow, keep_words, speak

HELLO = (
    "Hello and welcome to the garden hour. I'm Nora Quill, and I am joined today by Otis Fern, who "
    "has kept an orchard by the river for thirty years and has seen every kind of weather."
)
OTIS = (
    "Thanks, Nora. The river comes up twice a year, and each time it leaves something behind: mud, "
    "mostly, but once a boat, and once a whole gate with the post still in the ground."
)
ASK = "And what do you do with a gate that belongs to nobody, when the water has gone down again?"
BACK = (
    "Welcome back to the garden hour. It is a wet morning, the hedges are dripping, and we have a "
    "great deal to talk about, because the bees came out two weeks before they should have."
)
TESS = (
    "They did, and nobody was ready for them. I walked along the wall with a notebook and counted "
    "eleven swarms before lunch, which is more than in the whole of the year before."
)
WHERE = "Where do they go, once they have left the wall and the weather turns cold in the evening?"
AGAIN = (
    "Good to be here again. This time I have brought the gate, or a part of it at least, since it "
    "would not fit through the door, and a jar of the mud for whoever does not believe me."
)


@pytest.fixture
def show(tmp_path: Path) -> SpokenShow:
    """Nora hosts three times, Otis is there twice, Tess once; each recording has its own labels."""
    made = SpokenShow(tmp_path)
    nora, otis, tess = (partial(speak, voice) for voice in ("nora", "otis", "tess"))
    made.add("one", [("S1", HELLO, nora(HELLO)), ("S2", OTIS, otis(OTIS)), ("S1", ASK, nora(ASK))])
    made.add(
        "two", [("S1", BACK, nora(BACK)), ("S2", TESS, tess(TESS)), ("S1", WHERE, nora(WHERE))]
    )
    made.add("three", [("S2", BACK, nora(BACK)), ("S1", AGAIN, otis(AGAIN))])
    made.ingest()
    return made


def heard_in(result: object) -> dict[str, set[str]]:
    """Where each speaker is heard, by name or id; recordings by title."""
    people = result.people.speakers  # type: ignore[attr-defined]
    return {
        one.name or one.id: {recording.rsplit("-", 1)[0] for recording in one.recordings}
        for one in people
    }


def labels(show: SpokenShow, name: str) -> list[str | None]:
    transcript = read_named_words(show.run, show.id_of(name))
    assert transcript is not None
    return [utterance.speaker for utterance in transcript.utterances]


def test_voices_are_found_over_all_recordings_and_named_by_what_is_said(show: SpokenShow) -> None:
    result = show.identify()
    assert heard_in(result) == {
        "Nora Quill": {"one", "two", "three"},
        "Otis Fern": {"one", "three"},
        "voice-1": {"two"},
    }
    roles = {one.id: one.role for one in result.people.speakers}
    assert roles == {"nora-quill": "host", "otis-fern": "guest", "voice-1": "guest"}
    assert labels(show, "three") == ["nora-quill", "otis-fern"]
    otis = next(one for one in result.people.speakers if one.id == "otis-fern")
    assert otis.named_by == "proposal"
    assert "joined today by Otis Fern" in otis.evidence[0].text
    assert sum(one.share for one in result.people.speakers) == pytest.approx(1.0, abs=1e-4)


def test_the_result_says_what_scripts_and_people_need(show: SpokenShow) -> None:
    result = describe_identified(show.identify())
    assert json.loads(json.dumps(result))["show"] == "tea"
    for one in result["speakers"]:
        assert one.keys() >= {"id", "name", "role", "share", "recordings", "excerpts", "clip"}
        assert one["excerpts"]
        assert all(said["text"] for said in one["excerpts"])
        samples, _ = read_wav(Path(one["clip"]))
        assert len(samples) > 16_000


def test_running_it_again_does_no_work_and_changes_nothing(show: SpokenShow) -> None:
    first = show.identify()
    files = {path: path.read_bytes() for path in sorted(show.home.rglob("*.*")) if path.is_file()}
    again = show.identify()
    assert (first.tally.done, again.tally.done, again.tally.reused) == (3, 0, 3)
    after = {path: path.read_bytes() for path in sorted(show.home.rglob("*.*")) if path.is_file()}
    assert after == files


def test_a_name_given_once_names_the_voice_in_every_recording_for_good(show: SpokenShow) -> None:
    show.identify()
    show.identify(rename="otis-fern=Otto Fern")
    assert labels(show, "one") == ["nora-quill", "otto-fern", "nora-quill"]
    assert labels(show, "three") == ["nora-quill", "otto-fern"]
    # the diariser runs again and swaps its labels; a recording is added
    show.relabel("one", {"S1": "S2", "S2": "S1"})
    show.add("four", [("S1", AGAIN, speak("otis", AGAIN)), ("S2", ASK, speak("nora", ASK))])
    show.ingest()
    notes = Notes()
    result = show.identify(notes)
    assert labels(show, "one") == ["nora-quill", "otto-fern", "nora-quill"]
    assert labels(show, "four") == ["otto-fern", "nora-quill"]
    assert heard_in(result)["Otto Fern"] == {"one", "three", "four"}
    assert notes.lines == []


def test_merge_split_reassign_and_drop(show: SpokenShow) -> None:
    show.identify()
    show.identify(split=f"otis-fern:{show.id_of('three')}")
    assert labels(show, "three")[1] not in (None, "otis-fern")
    other = str(labels(show, "three")[1])
    show.identify(merge=f"{other}=otis-fern")
    assert labels(show, "three") == ["nora-quill", "otis-fern"]
    before = {one.id: one.words for one in read_speakers(show.run).speakers}
    show.identify(reassign=f"{show.id_of('one')}:3=otis-fern")
    assert labels(show, "one") == ["nora-quill", "otis-fern", "otis-fern"]
    after = {one.id: one.words for one in read_speakers(show.run).speakers}
    moved = after["otis-fern"] - before["otis-fern"]
    assert moved == before["nora-quill"] - after["nora-quill"] == count_words(ASK)
    show.identify(drop="voice-1")
    people = {one.id: one for one in read_speakers(show.run).speakers}
    assert people["voice-1"].dropped
    assert people["voice-1"].role == "other"
    assert labels(show, "two")[1] == "voice-1"


def test_a_correction_that_no_longer_fits_is_told_and_kept(show: SpokenShow) -> None:
    show.identify(rename="voice-1=Tess Vale")
    corrections = show.run.path / "speakers" / "corrections.json"
    before = corrections.read_bytes()
    show.transcripts["two"] = msgspec.structs.replace(
        show.transcripts["two"],
        utterances=(
            Utterance(text="Nothing of it is left.", start_s=0.0, end_s=3.0, speaker="S1"),
        ),
    )
    keep_words(show.run, show.id_of("two"), show.transcripts["two"])
    notes = Notes()
    result = describe_identified(show.identify(notes))
    (stale,) = result["stale_corrections"]
    assert "rename voice-1" in stale
    assert stale in notes.lines
    assert corrections.read_bytes() == before


def test_a_bad_reference_records_nothing(show: SpokenShow) -> None:
    show.identify()
    with pytest.raises(InputError, match="Did you mean 'otis-fern'"):
        show.identify(rename="otis-farn=Somebody")
    assert not (show.run.path / "speakers" / "corrections.json").exists()


def test_a_broken_corrections_file_is_told_and_left_alone(show: SpokenShow) -> None:
    path = show.run.path / "speakers" / "corrections.json"
    path.parent.mkdir()
    path.write_text('{"corrections": [{"kind": "rename"}]}')
    with pytest.raises(InputError, match=r"corrections\.json is not a valid corrections"):
        show.identify(rename="otis-fern=Somebody")
    assert path.read_text() == '{"corrections": [{"kind": "rename"}]}'


def test_a_damaged_result_is_made_anew(show: SpokenShow) -> None:
    first = show.identify().people
    path = show.run.path / "speakers" / "speakers.json"
    path.write_bytes(path.read_bytes()[:100])
    assert show.identify().people == first


def test_references_are_cut_without_consent_and_only_for_who_is_worth_it(show: SpokenShow) -> None:
    result = show.identify()
    voices = find_voices(show.home)
    assert {"nora-quill", "otis-fern", "voice-1-tea"} <= voices.keys()
    for name in ("nora-quill", "otis-fern"):
        samples, rate = read_wav(Path(voices[name].references[0]))
        assert 6.0 <= len(samples) / rate <= 32.0
        assert float(np.abs(samples).max()) > 0.05
        with pytest.raises(ConsentMissing):
            check_consent(voices[name])
        wrote = (show.home / "voices" / name / "reference.toml").read_text()
        assert 'consent = "none"' in wrote
        assert 'show = "tea"' in wrote
    assert result.voices["nora-quill"].consent is None
    assert voices["nora"].engine == "kokoro"


def test_references_can_be_left_out(show: SpokenShow) -> None:
    result = show.identify(references=False)
    assert not (show.home / "voices").exists()
    for one in result.people.speakers:
        clip = result.voices[one.id].clip
        assert clip is not None
        assert clip.is_relative_to(show.run.path)


def test_two_people_of_one_name_are_kept_apart_and_flagged(tmp_path: Path) -> None:
    show = SpokenShow(tmp_path)
    show.add("one", [("Kim Lane", TESS, speak("tess", TESS))])
    show.add("two", [("KIM LANE", OTIS, speak("otis", OTIS))])
    show.add("three", [("Kim Lane", AGAIN, speak("tess", AGAIN))])
    show.ingest()
    people = show.identify().people.speakers
    assert {one.id for one in people} == {"kim-lane", "kim-lane-2"}
    assert {len(one.recordings) for one in people} == {1, 2}
    assert all("the same name as" in one.flags[0] for one in people)


def test_who_is_hardly_heard_is_flagged_and_gets_no_voice(tmp_path: Path) -> None:
    show = SpokenShow(tmp_path)
    long = [("S1", text, speak("nora", text)) for text in (BACK, WHERE, ASK, HELLO) * 2]
    show.add("one", [*long, ("S2", "Hm.", speak("otis", "Hm."))])
    show.ingest()
    tiny = [one for one in show.identify().people.speakers if one.tiny]
    assert [one.role for one in tiny] == ["other"]
    assert "hardly heard" in tiny[0].flags[0]
    assert not any(tiny[0].id in path.name for path in (tmp_path / "voices").iterdir())


def test_one_voice_that_was_taken_for_two_is_flagged(tmp_path: Path) -> None:
    show = SpokenShow(tmp_path)
    show.add(
        "one",
        [
            ("S1", TESS, speak("tess", TESS)),
            ("S2", OTIS, speak("otis", OTIS)),
            ("S3", AGAIN, speak("tess", AGAIN)),
        ],
    )
    show.ingest()
    flags = {one.members[0].label: one.flags for one in show.identify().people.speakers}
    assert flags["S2"] == ()
    assert "sounds much like" in flags["S1"][0]
    assert "sounds much like" in flags["S3"][0]


def test_the_command_tells_people_and_scripts(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "named.srt").write_text(
        "1\n00:00:00,000 --> 00:00:02,000\nAnn: Good morning.\n\n"
        "2\n00:00:02,000 --> 00:00:04,000\nBob: Good morning to you.\n\n"
    )
    add_sources(tmp_path, "tea", [describe_source(str(folder))])
    ingest_show(tmp_path, "tea", Notes())
    run = open_show_run(tmp_path, "tea", version="0")
    (recording,) = read_recordings(run)
    path = run.path / INGEST / recording.transcript
    keep_words(run, recording.id, parse(path.read_bytes(), Transcript, where="a"))
    runner = CliRunner()
    at = ["--home", str(tmp_path)]
    told = runner.invoke(show_app, ["speakers", "tea", *at])
    assert told.exit_code == 0, told.output
    assert "Good morning to you." in told.stdout
    asked = ["--rename", "bob=Bob Fell", "--merge", "ann=bob", "--json"]
    told = runner.invoke(show_app, ["speakers", "tea", *asked, *at])
    result = json.loads(told.stdout.splitlines()[-1])
    assert [(one["id"], one["share"]) for one in result["speakers"]] == [("bob-fell", 1.0)]
    told = runner.invoke(show_app, ["speakers", "tea", "--drop", "bob-fall", "--json", *at])
    assert told.exit_code == 3
    assert "Did you mean 'bob-fell'" in json.loads(told.stdout.splitlines()[-1])["error"]


def test_recordings_without_speakers_or_sound_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "plain.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nNobody says who.\n\n")
    (folder / "named.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nAnn: Good morning.\n\n")
    add_sources(tmp_path, "tea", [describe_source(str(folder))])
    ingest_show(tmp_path, "tea", Notes())
    run = open_show_run(tmp_path, "tea", version="0")
    mapper = partial(map_locally, workers=1)
    with pytest.raises(InputError, match="has no words yet"):
        identify_show(tmp_path, "tea", Notes(), mapper=mapper)
    with pytest.raises(InputError, match="has not been found out yet"):
        read_speakers(run)
    for recording in read_recordings(run):
        path = run.path / INGEST / recording.transcript
        keep_words(run, recording.id, parse(path.read_bytes(), Transcript, where="a"))
    result = identify_show(tmp_path, "tea", Notes(), mapper=mapper)
    assert [one.id for one in result.people.speakers] == ["ann"]
    assert [one.rsplit("-", 1)[0] for one in result.without_speakers] == ["plain"]
    assert result.voices == {}


class _NoEngine:
    """What opening an encoder does where the extra is not installed."""

    stage, name = "voiceprint", "none"

    def open(self) -> object:
        raise EngineMissing("The speaker encoder is not installed.", next_step="Install it.")


def test_without_an_encoder_names_must_do_and_bare_voices_cannot(show: SpokenShow) -> None:
    ears = Ears(_NoEngine(), "none")
    with pytest.raises(EngineMissing, match="is not installed"):
        show.identify(ears=ears)
    named = {"S1": "Nora", "S2": "Otis"}
    show.relabel("one", named)
    show.relabel("two", {"S1": "Nora", "S2": "Tess"})
    show.relabel("three", {"S2": "Nora", "S1": "Otis"})
    notes = Notes()
    assert heard_in(show.identify(notes, ears=ears))["Nora"] == {"one", "two", "three"}
    assert "Voices are not compared" in notes.lines[0]


def test_a_recording_that_cannot_be_heard_does_not_stop_the_others(show: SpokenShow) -> None:
    audio = Path(show.recordings()["two"].audio)
    audio.write_bytes(audio.read_bytes()[:30])
    result = show.identify()
    assert [failure.item for failure in result.tally.failures] == [show.id_of("two")]
    assert result.tally.exit_code == 3
    assert heard_in(result)["Otis Fern"] == {"one", "three"}
