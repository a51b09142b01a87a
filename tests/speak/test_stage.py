import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from podcaster import audio
from podcaster.errors import EngineError, InputError, RunError, VoiceError
from podcaster.model import Clip, Voice, parse, to_json
from podcaster.speak.engine import Speech
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.quality import CLIP_LUFS, measure_lufs
from podcaster.speak.stage import ClipJob, order_clips, plan_clips, render_clip
from tests.speak.conftest import make_script

pytestmark = pytest.mark.engine

ENGINE_IDS = {"espeak": "espeak-ng test"}
TURNS = (
    ("host", "Welcome back. How did you come to lighthouses in 1984?"),
    ("guest", "By accident, like most things worth doing."),
    ("host", "Right."),
    ("guest", "Right."),
    ("host", "Right."),
)


def test_a_clip_serves_every_turn_that_says_the_same(casting: dict[str, Voice]) -> None:
    jobs = plan_clips(make_script(*TURNS), casting, ENGINE_IDS)
    assert [job.turns for job in jobs] == [(0,), (1,), (2, 4), (3,)]
    assert [job.path for job in jobs] == [f"clips/{job.key[:16]}.wav" for job in jobs]
    assert jobs[0].sentences[1].spoken.endswith("in nineteen eighty-four?")
    assert jobs[0].sentences[1].written.endswith("in 1984?")


def test_a_turn_put_in_touches_no_other_clip(casting: dict[str, Voice]) -> None:
    before = {job.key for job in plan_clips(make_script(*TURNS), casting, ENGINE_IDS)}
    longer = (*TURNS[:1], ("host", "Something new."), *TURNS[1:])
    after = {job.key for job in plan_clips(make_script(*longer), casting, ENGINE_IDS)}
    assert before < after
    assert len(after) == len(before) + 1


def test_what_decides_the_sound_decides_the_key(casting: dict[str, Voice]) -> None:
    voices = {**casting, "host": casting["guest"]}
    one = (("host", "Hello there."),)
    keys = {
        plan_clips(make_script(*one), casting, ENGINE_IDS)[0].key,
        plan_clips(make_script(("host", "Hello here.")), casting, ENGINE_IDS)[0].key,
        plan_clips(make_script(*one), voices, ENGINE_IDS)[0].key,
        plan_clips(make_script(*one, seed=8), casting, ENGINE_IDS)[0].key,
        plan_clips(make_script(*one, language="de"), casting, ENGINE_IDS)[0].key,
        plan_clips(make_script(*one), casting, {"espeak": "espeak-ng newer"})[0].key,
    }
    assert len(keys) == 6


def test_a_thousand_turns_are_planned_quickly_and_uniquely(casting: dict[str, Voice]) -> None:
    turns = [
        (("host", "guest")[i % 2], f"This is turn number {i}, and it was said in {1000 + i}.")
        for i in range(1000)
    ]
    start = time.process_time()
    jobs = plan_clips(make_script(*turns), casting, ENGINE_IDS)
    # a plan that grew with the square of the turns would take minutes
    assert time.process_time() - start < 20
    assert len(jobs) == len({job.path for job in jobs}) == 1000


def test_jobs_travel_to_other_processes(casting: dict[str, Voice]) -> None:
    jobs = plan_clips(make_script(*TURNS), casting, ENGINE_IDS)
    assert pickle.loads(pickle.dumps(jobs)) == jobs


def test_a_clip_is_a_mono_wav_at_the_common_loudness(
    voicer: EspeakVoicer, voices: dict[str, Voice], tmp_path: Path
) -> None:
    for voice in voices.values():
        casting = {"host": voice, "guest": voice}
        (job,) = plan_clips(make_script(TURNS[0]), casting, ENGINE_IDS)
        clip = render_clip(voicer, job, tmp_path)
        samples, rate_hz = audio.read_wav(tmp_path / clip.path)
        assert samples.ndim == 1
        assert rate_hz == clip.sample_rate_hz == 22_050
        assert clip.duration_s == pytest.approx(len(samples) / rate_hz)
        assert measure_lufs(samples, rate_hz) == pytest.approx(CLIP_LUFS, abs=0.3)
        assert np.abs(samples).max() <= 0.951
        assert clip.quality["lufs"] == pytest.approx(CLIP_LUFS, abs=0.3)
        assert 0.2 < clip.quality["word_s"] < 0.6
        assert 0.0 < clip.quality["silence_share"] < 0.5
        # the gaps between turns belong to the mix
        loud = np.flatnonzero(np.abs(samples) > 0.002)
        assert loud[0] < 0.02 * rate_hz
        assert len(samples) - loud[-1] < 0.04 * rate_hz


def test_captions_are_the_written_sentences_and_cover_the_clip(
    voicer: EspeakVoicer, casting: dict[str, Voice], tmp_path: Path
) -> None:
    (job,) = plan_clips(make_script(TURNS[0]), casting, ENGINE_IDS)
    clip = render_clip(voicer, job, tmp_path)
    assert [sentence.text for sentence in clip.sentences] == [
        "Welcome back.",
        "How did you come to lighthouses in 1984?",
    ]
    assert clip.sentences[0].start_s == 0.0
    assert clip.sentences[0].end_s == clip.sentences[1].start_s
    assert 0.4 < clip.sentences[0].end_s < 1.5
    assert clip.sentences[-1].end_s == clip.duration_s


def test_the_same_job_gives_the_same_bytes(
    voicer: EspeakVoicer, casting: dict[str, Voice], tmp_path: Path
) -> None:
    (job,) = plan_clips(make_script(TURNS[0]), casting, ENGINE_IDS)
    first = render_clip(voicer, job, tmp_path / "a")
    second = render_clip(voicer, job, tmp_path / "b")
    assert first == second
    assert (tmp_path / "a" / job.path).read_bytes() == (tmp_path / "b" / job.path).read_bytes()


def test_a_clip_survives_its_record(
    voicer: EspeakVoicer, casting: dict[str, Voice], tmp_path: Path
) -> None:
    (job,) = plan_clips(make_script(TURNS[1]), casting, ENGINE_IDS)
    clip = render_clip(voicer, job, tmp_path)
    assert parse(to_json(clip), Clip, where="here") == clip
    assert parse(to_json(job), ClipJob, where="here") == job


@pytest.mark.parametrize("text", ["😀", "…", "👍 👍"])
def test_a_turn_that_cannot_be_said_is_a_beat_of_silence(
    voicer: EspeakVoicer, casting: dict[str, Voice], tmp_path: Path, text: str
) -> None:
    (job,) = plan_clips(make_script(("host", text)), casting, ENGINE_IDS)
    clip = render_clip(voicer, job, tmp_path)
    assert clip.duration_s == pytest.approx(0.3)
    assert clip.sentences[0].text == text
    assert clip.quality["silence_share"] == 1.0
    assert clip.quality["word_s"] == 0.0


def test_what_is_only_shown_joins_the_caption_before_it(
    voicer: EspeakVoicer, casting: dict[str, Voice], tmp_path: Path
) -> None:
    (job,) = plan_clips(make_script(("host", "It was great! 😀😀! Bye now.")), casting, ENGINE_IDS)
    clip = render_clip(voicer, job, tmp_path)
    assert " ".join(s.text for s in clip.sentences) == "It was great! 😀😀! Bye now."
    assert len(clip.sentences) == 2


def test_clips_are_put_in_the_order_of_the_turns(
    voicer: EspeakVoicer, casting: dict[str, Voice], tmp_path: Path
) -> None:
    jobs = plan_clips(make_script(*TURNS), casting, ENGINE_IDS)
    clips = {job.key: render_clip(voicer, job, tmp_path) for job in reversed(jobs)}
    ordered = order_clips(jobs, clips)
    assert [clip.text for clip in ordered] == [text for _, text in TURNS]
    assert [clip.voice for clip in ordered] == ["ada", "otis", "ada", "otis", "ada"]


def test_who_is_not_cast_is_named(casting: dict[str, Voice]) -> None:
    del casting["guest"]
    with pytest.raises(VoiceError, match="Nobody is cast as 'guest', who speaks turn 2"):
        plan_clips(make_script(*TURNS), casting, ENGINE_IDS)
    with pytest.raises(VoiceError, match="'ada' needs the engine 'espeak', which is not open"):
        plan_clips(make_script(*TURNS), casting, {})


def test_an_endless_turn_is_refused(casting: dict[str, Voice]) -> None:
    with pytest.raises(InputError, match="expected at most 20,000"):
        plan_clips(make_script(("host", "word " * 5000)), casting, ENGINE_IDS)


class Mumbler:
    """An engine that loses a sentence."""

    id = "mumbler 1"

    def say(self, sentences: object, voice: Voice, *, language: str, seed: int) -> Speech:
        return Speech(np.zeros(100, dtype=np.float32), 16_000, ())

    def close(self) -> None: ...


def test_an_engine_that_loses_sentences_is_found_out(
    casting: dict[str, Voice], tmp_path: Path
) -> None:
    (job,) = plan_clips(make_script(TURNS[1]), casting, ENGINE_IDS)
    with pytest.raises(EngineError, match="returned 0 sentence ends, expected 1"):
        render_clip(Mumbler(), job, tmp_path)
    assert not list(tmp_path.rglob("*.wav"))


def test_where_nothing_can_be_written_there_is_a_sentence(
    voicer: EspeakVoicer, casting: dict[str, Voice], tmp_path: Path
) -> None:
    (tmp_path / "clips").write_text("a file in the way")
    (job,) = plan_clips(make_script(TURNS[1]), casting, ENGINE_IDS)
    with pytest.raises(RunError, match="clips: a file is in its place"):
        render_clip(voicer, job, tmp_path)
