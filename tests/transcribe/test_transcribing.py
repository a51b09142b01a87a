"""The words of a show over its life: taken as they came, listened to, mended, made again."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcaster.audio import write_wav
from podcaster.config import ClusterOptions, Settings
from podcaster.errors import EngineMissing, InputError
from podcaster.ingest.sources import describe_source
from podcaster.mapping import Mapper
from podcaster.model import Transcript
from podcaster.progress import Silence
from podcaster.recordings import Tally, explain_units, read_recordings, read_words
from podcaster.run import open_show_run
from podcaster.show import add_sources, ingest_show
from podcaster.transcribe.options import TranscribeOptions
from podcaster.transcribing import (
    describe_words,
    export_captions,
    map_in_this_process,
    plan_show,
    transcribe_show,
)
from podcaster.workers import open_workers

CUT = """Ann (00:00:01):
Good morning. Do you think

Bob (00:00:05):
we should drink tea? Yes, the tea is hot.

Ann (00:00:12):
It is hot.
"""
LOG = "[0.00s -> 2.00s]  Good morning.\n[2.00s -> 4.50s]  The tea is hot.\n"


def transcribe(home: Path, options: TranscribeOptions | None = None) -> Tally:
    settings = Settings(transcribe=options or TranscribeOptions())
    mapper: Mapper = map_in_this_process
    return transcribe_show(home, "tea", settings, Silence(), mapper)


def add(home: Path, folder: Path) -> None:
    add_sources(home, "tea", [describe_source(str(folder))])
    ingest_show(home, "tea", Silence())


def words_of(home: Path, part: str) -> Transcript:
    run = open_show_run(home, "tea", version="0")
    name = next(recording.id for recording in read_recordings(run) if part in recording.id)
    found = read_words(run, name)
    assert found is not None
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def test_finished_words_are_kept_and_cut_off_ones_go_back(tmp_path: Path, folder: Path) -> None:
    (folder / "cut.txt").write_text(CUT)
    add(tmp_path, folder)
    tally = transcribe(tmp_path)
    assert (tally.done, tally.reused, tally.failures) == (1, 0, [])
    said = [(u.speaker, u.text) for u in words_of(tmp_path, "cut").utterances]
    assert said[0] == ("Ann", "Good morning.")
    assert said[1] == ("Bob", "Do you think we should drink tea? Yes, the tea is hot.")
    run = open_show_run(tmp_path, "tea", version="0")
    assert describe_words(run)["moved"] == 1
    (moves,) = (run.path / "transcribe").glob("*.moves.json")
    assert [move["text"] for move in json.loads(moves.read_bytes())] == ["Do you think"]


def test_what_is_done_is_not_done_again_and_what_changed_is(tmp_path: Path, folder: Path) -> None:
    (folder / "one.txt").write_text(CUT)
    (folder / "two.txt").write_text(CUT.replace("tea", "milk"))
    add(tmp_path, folder)
    assert transcribe(tmp_path).done == 2
    again = transcribe(tmp_path)
    assert (again.done, again.reused) == (0, 2)
    (folder / "two.txt").write_text(CUT.replace("tea", "water"))
    ingest_show(tmp_path, "tea", Silence())
    run = open_show_run(tmp_path, "tea", version="0")
    reasons = [
        reason
        for stage, units in plan_show(run, list(read_recordings(run)), TranscribeOptions())
        for reason in explain_units(run, stage, units)
    ]
    assert len(reasons) == 1
    assert reasons[0][0].startswith("two")
    assert "the input words is" in reasons[0][1]
    changed = transcribe(tmp_path)
    assert (changed.done, changed.reused) == (1, 1)
    assert "water" in words_of(tmp_path, "two").utterances[1].text


def test_nobody_is_made_up_where_nobody_told_the_speakers_apart(
    tmp_path: Path, folder: Path
) -> None:
    (folder / "log.txt").write_text(LOG)
    add(tmp_path, folder)
    assert transcribe(tmp_path).done == 1
    words = words_of(tmp_path, "log")
    assert words.diariser is None
    assert {utterance.speaker for utterance in words.utterances} == {None}
    assert len(describe_words(open_show_run(tmp_path, "tea", version="0"))["without_speakers"]) == 1


def test_a_show_without_recordings_says_what_to_type(tmp_path: Path, folder: Path) -> None:
    (folder / "log.txt").write_text(LOG)
    add_sources(tmp_path, "tea", [describe_source(str(folder))])
    with pytest.raises(InputError, match="podcaster show ingest tea"):
        transcribe(tmp_path)


def test_sound_without_a_model_says_what_to_download(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    write_wav(folder / "tone.wav", np.zeros(16_000, dtype=np.float32), 16_000)
    (folder / "cut.txt").write_text(CUT)
    add(tmp_path, folder)
    with pytest.raises(EngineMissing, match="podcaster setup whisper-large-v3-turbo"):
        transcribe(tmp_path, TranscribeOptions(model="whisper-large-v3-turbo"))
    assert words_of(tmp_path, "cut").utterances  # what needs no model was done before


@pytest.fixture
def listening(tiny_whisper: Path) -> TranscribeOptions:
    return TranscribeOptions(
        model=str(tiny_whisper), align="none", diarise="builtin", device="cpu", beam_size=1
    )


@pytest.fixture
def recording(tiny_models: Any, spoken_clips: Any, folder: Path) -> Path:
    """Four sentences, two voices in turn."""
    samples, _ = tiny_models.join_clips(spoken_clips)
    write_wav(folder / "garden.wav", samples, 16_000)
    return folder / "garden.wav"


@pytest.mark.engine
@pytest.mark.usefixtures("recording")
def test_a_recording_becomes_words_with_times_and_voices(
    tmp_path: Path, folder: Path, listening: TranscribeOptions, spoken_clips: Any
) -> None:
    # a later file of silence, and one that went bad after it was taken in
    write_wav(folder / "silence.wav", np.zeros(16_000 * 8, dtype=np.float32), 16_000)
    write_wav(folder / "spoilt.wav", np.zeros(16_000, dtype=np.float32), 16_000)
    add(tmp_path, folder)
    (folder / "spoilt.wav").write_bytes(b"")
    tally = transcribe(tmp_path, listening)
    assert tally.done == 2
    assert [(failure.item[:6], failure.error.exit_code) for failure in tally.failures] == [
        ("spoilt", InputError.exit_code)
    ]
    words = words_of(tmp_path, "garden")
    assert " ".join(u.text for u in words.utterances) == " ".join(c.text for c in spoken_clips)
    voices = [u.speaker for u in words.utterances]
    assert voices[0] == voices[2] != voices[1] == voices[3]
    assert None not in voices
    assert words.language == "en"
    assert "faster-whisper" in words.engine
    assert words.diariser is not None
    assert all(word.probability is not None for u in words.utterances for word in u.words)
    assert words_of(tmp_path, "silence").utterances == ()
    write_wav(folder / "spoilt.wav", np.zeros(16_000, dtype=np.float32), 16_000)
    ingest_show(tmp_path, "tea", Silence())
    again = transcribe(tmp_path, listening)
    assert (again.done, again.reused, again.failures) == (1, 2, [])


@pytest.mark.engine
def test_finished_words_without_speakers_are_told_apart_by_their_sound(
    tmp_path: Path, folder: Path, recording: Path, listening: TranscribeOptions, tiny_models: Any,
    spoken_clips: Any,
) -> None:  # fmt: skip
    _, spans = tiny_models.join_clips(spoken_clips)
    lines = [
        f"[{start_s:.2f}s -> {end_s:.2f}s]  {clip.text}"
        for clip, (start_s, end_s) in zip(spoken_clips, spans, strict=True)
    ]
    recording.with_suffix(".txt").write_text("\n".join(lines) + "\n")
    add(tmp_path, folder)
    assert transcribe(tmp_path, listening).done == 1
    words = words_of(tmp_path, "garden")
    voices = [u.speaker for u in words.utterances]
    assert voices[0] == voices[2] != voices[1] == voices[3]
    assert [u.text for u in words.utterances] == [clip.text for clip in spoken_clips]


@pytest.mark.engine
def test_captions_are_written_for_all_that_has_times(
    tmp_path: Path, folder: Path, recording: Path, listening: TranscribeOptions
) -> None:
    assert recording.is_file()
    (folder / "untimed.md").write_text("**Ann:** Good morning.\n\n**Bob:** Good tea.\n")
    add(tmp_path, folder)
    transcribe(tmp_path, listening)
    run = open_show_run(tmp_path, "tea", version="0")
    written = export_captions(run, ["srt", "vtt", "tsv", "txt"], tmp_path / "out")
    assert len(written) == 4
    assert "<v S1>" in next(p for p in written if p.suffix == ".vtt").read_text()


@pytest.mark.engine
@pytest.mark.usefixtures("recording")
def test_over_ray_the_same_words_come_out(
    tmp_path: Path, folder: Path, listening: TranscribeOptions
) -> None:
    pytest.importorskip("ray", reason="needs the extra cluster")
    (folder / "cut.txt").write_text(CUT)
    add(tmp_path, folder)
    settings = Settings(
        transcribe=listening, cluster=ClusterOptions(address="local", cpus_per_worker=1)
    )
    with open_workers(settings.cluster, 1, Silence()) as workers:
        over_ray = transcribe_show(tmp_path, "tea", settings, Silence(), workers.mapper)
    assert (over_ray.done, over_ray.failures) == (2, [])
    words = words_of(tmp_path, "garden")
    # it is the same unit of work as without Ray: nothing is done again
    again = transcribe(tmp_path, listening)
    assert (again.done, again.reused) == (0, 2)
    run = open_show_run(tmp_path, "tea", version="0")
    for record in (run.path / "transcribe").glob("garden*.record.json"):
        record.unlink()
    assert transcribe(tmp_path, listening).done == 1
    assert words_of(tmp_path, "garden") == words


@pytest.mark.engine
def test_one_file_prints_its_lines_with_their_voices(
    tmp_path: Path, recording: Path, tiny_whisper: Path, tiny_aligner: Path, spoken_clips: Any
) -> None:
    (tmp_path / "podcaster.toml").write_text(
        f'[transcribe]\nmodel = "{tiny_whisper}"\nalign_model = "{tiny_aligner}"\n'
        'device = "cpu"\nbeam_size = 1\n'
    )
    command = [sys.executable, "-m", "podcaster", "show", "transcribe", str(recording)]
    done = subprocess.run(
        [*command, "--to", "srt", "--speakers", "2", "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    said = [line.partition("]  ")[2].partition(": ") for line in lines]
    assert [text for _, _, text in said] == [clip.text for clip in spoken_clips]
    assert {voice for voice, _, _ in said} == {"S1", "S2"}
    assert "2 voices" in done.stdout
    assert "S2: " in recording.with_suffix(".srt").read_text()
