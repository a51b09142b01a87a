import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from podcaster.audio import decode, measure_loudness, probe, read_wav
from podcaster.errors import RunError
from podcaster.mix.options import MixOptions
from podcaster.mix.stage import PROGRAMME_NAME, mix
from podcaster.model import Timeline, Word, parse
from podcaster.units import SAMPLE_RATE_HZ


def decode_all(path: Path, channels: int = 2) -> np.ndarray:
    blocks = list(decode(path, SAMPLE_RATE_HZ, channels))
    return np.concatenate(blocks).reshape(-1, channels)


def k_weight(samples: np.ndarray) -> np.ndarray:
    """BS.1770's filters, by their response on the unit circle; for 44.1 kHz."""
    count = len(samples) + 8192
    z = np.exp(-2j * np.pi * np.fft.rfftfreq(count))

    def biquad(f0: float, q: float, gain_db: float | None) -> np.ndarray:
        k = np.tan(np.pi * f0 / SAMPLE_RATE_HZ)
        bottom = (1 + k / q + k * k) + 2 * (k * k - 1) * z + (1 - k / q + k * k) * z**2
        if gain_db is None:
            # the standard's own second filter is not normalised to 0 dB
            return (1 + k / q + k * k) * (1 - 2 * z + z**2) / bottom
        high = 10 ** (gain_db / 20)
        middle = high**0.4996667741545416
        top = (high + middle * k / q + k * k) + 2 * (k * k - high) * z
        return (top + (high - middle * k / q + k * k) * z**2) / bottom

    response = biquad(1681.974450955533, 0.7071752369554196, 3.999843853973347)
    response = response * biquad(38.13547087602444, 0.5003270373238773, None)
    spectrum = np.fft.rfft(samples, count, axis=0)
    return np.fft.irfft(spectrum * response[:, None], count, axis=0)[: len(samples)]


def integrated_lufs(samples: np.ndarray) -> float:
    """BS.1770-4, gated, written from the standard: independent of FFmpeg's meter."""
    squares = (k_weight(samples.astype(np.float64)) ** 2).sum(axis=1)
    sums = np.concatenate(([0.0], np.cumsum(squares)))
    block, hop = round(0.4 * SAMPLE_RATE_HZ), round(0.1 * SAMPLE_RATE_HZ)
    starts = np.arange(0, len(samples) - block + 1, hop)
    powers = (sums[starts + block] - sums[starts]) / block
    loud = powers[powers > 10 ** ((-70 + 0.691) / 10)]
    gated = loud[loud > loud.mean() * 0.1]
    return float(-0.691 + 10 * np.log10(gated.mean()))


def true_peak_db(samples: np.ndarray) -> float:
    """By zero-padding the spectrum of overlapping pieces: independent of FFmpeg's meter."""
    highest = 0.0
    for start in range(0, len(samples), 60_000):
        piece = samples[max(0, start - 2000) : start + 62_000]
        padded = np.zeros((len(piece) * 2 + 1, piece.shape[1]), dtype=complex)
        spectrum = np.fft.rfft(piece * np.hanning(len(piece))[:, None] ** 0.02, axis=0)
        padded[: len(spectrum)] = spectrum
        highest = max(highest, np.abs(np.fft.irfft(padded, len(piece) * 4, axis=0) * 4).max())
    return float(20 * np.log10(highest))


def power_db(samples: np.ndarray) -> float:
    return float(10 * np.log10((samples.astype(np.float64) ** 2).mean() + 1e-15))


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("stereo", [True, False])
def test_the_episode_is_at_its_loudness_by_an_independent_measure(
    interview: Any, stereo: bool
) -> None:
    result = interview.mix(stereo=stereo)
    channels, target = (2, -16.0) if stereo else (1, -19.0)
    path = interview.folder / "episode.mp3"
    info = probe(path)
    assert (info.channels, info.sample_rate_hz) == (channels, 44_100)
    samples = decode_all(path, channels)
    assert integrated_lufs(samples) == pytest.approx(target, abs=0.5)
    assert true_peak_db(samples) <= -1.0
    assert result.loudness == measure_loudness(path)
    assert integrated_lufs(samples) == pytest.approx(result.loudness.integrated_lufs, abs=0.1)
    assert result.loudness.range_lu <= 8


def test_the_timeline_says_what_is_heard(interview: Any) -> None:
    result = interview.mix()
    timeline = result.timeline
    assert parse((interview.folder / "timeline.json").read_bytes(), Timeline, where="x") == timeline
    samples = decode_all(interview.folder / "episode.mp3")
    assert abs(len(samples) - timeline.duration_s * SAMPLE_RATE_HZ) < 1152
    assert [c.title for c in timeline.chapters] == ["Chapter 1", "Chapter 2"]
    assert timeline.chapters[0].start_s == 0.0
    assert timeline.chapters[0].end_s == timeline.chapters[1].start_s
    assert timeline.chapters[1].end_s == timeline.duration_s
    first_of_second = timeline.turns[2]
    assert first_of_second.chapter == 1
    silence_s = first_of_second.start_s - timeline.turns[1].end_s
    assert 0.9 < silence_s < 1.3
    middle_s = (first_of_second.start_s + timeline.turns[1].end_s) / 2
    assert timeline.chapters[1].start_s == pytest.approx(middle_s, abs=0.01)
    for turn, said in zip(timeline.turns, interview.script.turns(), strict=True):
        assert turn.speaker == said.speaker
        assert turn.sentences[0].text == said.text
        assert turn.sentences[0].start_s >= turn.start_s
        assert turn.sentences[-1].end_s <= turn.end_s
        begin, end = (round(t * SAMPLE_RATE_HZ) for t in (turn.start_s, turn.end_s))
        assert power_db(samples[begin:end]) > -30
    quiet = samples[round((timeline.turns[1].end_s + 0.1) * SAMPLE_RATE_HZ) :][:30_000]
    assert power_db(quiet) < -50


def test_both_speakers_are_equally_loud_and_sit_apart(interview: Any) -> None:
    result = interview.mix(music=False)
    samples = decode_all(interview.folder / "episode.mp3")
    levels, sides = [], []
    for turn in result.timeline.turns[:2]:
        begin, end = (round(t * SAMPLE_RATE_HZ) for t in (turn.start_s + 0.3, turn.end_s - 0.3))
        levels.append(integrated_lufs(samples[begin:end]))
        sides.append(power_db(samples[begin:end, 0]) - power_db(samples[begin:end, 1]))
    assert levels[0] == pytest.approx(levels[1], abs=2.0)  # they came in 18 dB apart
    assert 1.0 < sides[0] < 5.0
    assert -5.0 < sides[1] < -1.0


def test_music_begins_alone_and_is_12_db_lower_under_speech(interview: Any) -> None:
    result = interview.mix(stems=True)
    music, _ = read_wav(interview.folder / "stems/music.wav")
    plain = interview.mix(stems=True, music=False, folder=interview.folder / "plain")
    room, _ = read_wav(interview.folder / "plain/stems/music.wav")
    first = result.timeline.turns[0]
    assert 2.5 <= first.start_s <= 3.0
    assert plain.timeline.turns[0].start_s < 1.0
    rate = SAMPLE_RATE_HZ
    solo = power_db(music[rate // 2 : 2 * rate])
    under = power_db(music[round(first.start_s * rate) : round((first.start_s + 2) * rate)])
    assert solo > -40
    assert solo - under >= 12
    end = result.timeline.turns[-1].end_s
    ring = power_db(music[round((end + 0.9) * rate) : round((end + 2) * rate)])
    last_words = power_db(music[round((end - 1.5) * rate) : round(end * rate)])
    assert ring - last_words >= 12
    assert 3.5 < result.timeline.duration_s - end < 5.0
    assert power_db(room) == pytest.approx(-72, abs=1.5)  # 4 dB of headroom before mastering


def test_music_alone_is_no_louder_than_the_voices(interview: Any) -> None:
    timeline = interview.mix().timeline
    samples = decode_all(interview.folder / "episode.mp3")
    rate = SAMPLE_RATE_HZ
    end = round((timeline.turns[-1].end_s + 0.3) * rate)
    for solo in (samples[: round(2.4 * rate)], samples[end : end + 2 * rate]):
        assert -23 < integrated_lufs(solo) < -16.5


def test_the_stems_add_up(interview: Any) -> None:
    result = interview.mix(stems=True)
    names = [name for name in result.outputs if name.startswith("stems/")]
    assert names == ["stems/host.wav", "stems/guest.wav", "stems/music.wav"]
    stems = {name: read_wav(interview.folder / name)[0] for name in names}
    total = sum(stems.values())
    episode = decode_all(interview.folder / "episode.mp3")
    assert total.shape == episode.shape
    # but for mastering and encoding, the episode is their sum
    error = episode - total * (episode * total).sum() / (total**2).sum()
    assert power_db(episode) - power_db(error) > 15
    for turn in result.timeline.turns:
        other = "stems/guest.wav" if turn.speaker == "host" else "stems/host.wav"
        begin, end = (round(t * SAMPLE_RATE_HZ) for t in (turn.start_s + 0.4, turn.end_s - 0.4))
        assert not stems[other][begin:end].any()


def test_a_mark_is_put_on_the_whole_programme(interview: Any) -> None:
    interview.mix(folder=interview.folder / "plain")
    times: list[int] = []

    def mark(block: np.ndarray) -> np.ndarray:
        # a tone where neither speech nor music is
        moments = (sum(times) + np.arange(len(block))) / 44_100
        times.append(len(block))
        tone = 0.02 * np.sin(2 * np.pi * 15_000 * moments)
        return (block + tone[:, None]).astype(np.float32)

    marked = interview.mix(folder=interview.folder / "marked", mark=mark)
    assert sum(times) / 44_100 == pytest.approx(marked.timeline.duration_s, abs=0.001)
    shares = []
    for name in ("plain", "marked"):
        sound = decode_all(interview.folder / name / "episode.mp3")[:, 0]
        power = np.square(np.abs(np.fft.rfft(sound)))
        hz = np.fft.rfftfreq(len(sound), 1 / 44_100)
        shares.append(power[(hz > 14_900) & (hz < 15_100)].sum() / power.sum())
    assert shares[1] > 100 * shares[0]


def test_without_stems_there_are_none(interview: Any) -> None:
    result = interview.mix()
    assert result.outputs == ("episode.mp3", "timeline.json")
    assert list_names(interview.folder) == ["episode.mp3", "timeline.json"]


def test_a_speaker_called_music_does_not_take_the_place_of_the_music(
    converse: Callable[..., Any], line: Any
) -> None:
    made = converse([line("music", "I am a band."), line("host", "You are loud.")])
    result = made.mix(stems=True)
    assert "stems/music-speaker.wav" in result.outputs
    assert "stems/music.wav" in result.outputs
    assert len(set(result.outputs)) == 5


def test_the_same_inputs_give_the_same_bytes_in_another_process(interview: Any) -> None:
    interview.mix()
    arguments = interview.folder.parent / "arguments.json"
    arguments.write_bytes(msgspec.json.encode((interview.script, interview.clips)))
    code = (
        "import sys, msgspec; from pathlib import Path\n"
        "from podcaster.mix.stage import mix; from podcaster.mix.options import MixOptions\n"
        "from podcaster.model import Script, Clip; from podcaster.progress import Silence\n"
        "data = Path(sys.argv[1]).read_bytes()\n"
        "script, clips = msgspec.json.decode(data, type=tuple[Script, tuple[Clip, ...]])\n"
        "mix(script, clips, Path(sys.argv[2]), Path(sys.argv[3]), MixOptions(), seed=5,\n"
        "    progress=Silence())\n"
    )
    again = interview.folder.parent / "again"
    paths = [str(path) for path in (arguments, interview.clips_folder, again)]
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    subprocess.run([sys.executable, "-c", code, *paths], check=True, env=environment)
    for name in ("episode.mp3", "timeline.json"):
        assert digest(again / name) == digest(interview.folder / name)


def test_the_seed_moves_turns(interview: Any) -> None:
    one = interview.mix(seed=1).timeline
    other = interview.mix(seed=2, folder=interview.folder / "other").timeline
    assert [t.start_s for t in one.turns] != [t.start_s for t in other.turns]


def test_a_single_short_turn_is_an_episode(converse: Callable[..., Any], line: Any) -> None:
    made = converse([line("host", "Hello.", 0.6)])
    result = made.mix()
    assert len(result.timeline.turns) == len(result.timeline.chapters) == 1
    assert result.counts["gaps"] == 0
    # the closing would have begun before the episode; it is cut, not moved
    assert result.timeline.duration_s == pytest.approx(2.9 + 0.6 + 4.2, abs=0.05)
    assert result.loudness.integrated_lufs == pytest.approx(-16.0, abs=0.5)
    assert result.loudness.true_peak_dbtp <= -1.0


def test_a_thousand_short_turns(converse: Callable[..., Any], line: Any) -> None:
    turns = [line("host" if n % 2 else "guest", f"So, {n} it is then.", 0.1) for n in range(1000)]
    result = converse(turns[:500], turns[500:]).mix(bitrate_kbps=64, stereo=False)
    assert len(result.timeline.turns) == 1000
    assert result.counts["overlaps"] > 50
    assert 100 < result.counts["gap_median_ms"] < 200
    assert result.loudness.integrated_lufs == pytest.approx(-19.0, abs=0.5)


def test_a_silent_clip_among_others_is_a_pause(converse: Callable[..., Any], line: Any) -> None:
    made = converse(
        [
            line("host", "Listen.", 3.0),
            line("guest", "…", 2.0, gain=0.0),
            line("host", "Did you hear it?", 3.0),
        ]
    )
    result = made.mix(music=False)
    silent = result.timeline.turns[1]
    assert silent.end_s - silent.start_s == pytest.approx(2.0, abs=1e-3)
    assert result.loudness.integrated_lufs == pytest.approx(-16.0, abs=0.5)


def test_an_episode_of_silence_is_finished_and_said_to_be_one(
    converse: Callable[..., Any], line: Any
) -> None:
    made = converse([line("host", "…", 4.0, gain=0.0)])
    notes: list[str] = []

    class Listener:
        def report(self, stage: str, done: float, total: float, unit: str) -> None:
            assert stage == "mix"
            assert unit == "s"

        def note(self, text: str) -> None:
            notes.append(text)

    options = MixOptions(music=False)
    result = mix(
        made.script, made.clips, made.clips_folder, made.folder, options, seed=1,
        progress=Listener(),
    )  # fmt: skip
    assert result.loudness.integrated_lufs < -30
    assert len(notes) == 1
    assert "expected -16: its clips are nearly silent" in notes[0]
    assert (made.folder / "episode.mp3").is_file()


def test_progress_only_goes_forward_and_ends_at_the_end(interview: Any) -> None:
    seen: list[tuple[float, float]] = []

    class Listener:
        def report(self, stage: str, done: float, total: float, unit: str) -> None:
            seen.append((done, total))

        def note(self, text: str) -> None:
            raise AssertionError(text)

    result = mix(
        interview.script, interview.clips, interview.clips_folder, interview.folder, MixOptions(),
        seed=1, progress=Listener(),
    )  # fmt: skip
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1] == (result.timeline.duration_s, result.timeline.duration_s)


def test_words_keep_their_times_within_the_turn(converse: Callable[..., Any], line: Any) -> None:
    made = converse([line("host", "Good day.", 2.0)])
    sentence = msgspec.structs.replace(
        made.clips[0].sentences[0],
        words=(
            Word(text="Good", start_s=0.2, end_s=0.9),
            Word(text="day.", start_s=1.0, end_s=9.0),
        ),
    )
    clips = (msgspec.structs.replace(made.clips[0], sentences=(sentence,)),)
    result = type(made)(made.script, clips, made.clips_folder, made.folder).mix()
    turn = result.timeline.turns[0]
    words = turn.sentences[0].words
    assert [word.speaker for word in words] == ["host", "host"]
    assert words[0].start_s == pytest.approx(turn.start_s + 0.2, abs=0.02)
    assert words[1].end_s == turn.end_s


def test_chapters_without_turns_are_left_out(converse: Callable[..., Any], line: Any) -> None:
    made = converse([line("host", "One.")], [], [line("guest", "Two, at last.")])
    timeline = made.mix(music=False).timeline
    assert [chapter.title for chapter in timeline.chapters] == ["Chapter 1", "Chapter 3"]
    assert [turn.chapter for turn in timeline.turns] == [0, 1]


def test_a_missing_clip_is_named_and_nothing_is_left_behind(interview: Any) -> None:
    (interview.clips_folder / interview.clips[2].path).unlink()
    with pytest.raises(RunError) as caught:
        interview.mix()
    assert "The clip of turn 3 (host)" in caught.value.message
    assert "is missing" in caught.value.message
    assert "podcaster resume RUN" in str(caught.value)
    assert not interview.folder.exists()


def test_a_clip_that_breaks_while_it_is_mixed_leaves_the_old_episode(
    interview: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    interview.mix()
    before = digest(interview.folder / "episode.mp3")
    from podcaster.mix import stage

    plan = stage._plan

    def plan_and_break(*arguments: Any) -> Any:
        path = interview.clips_folder / interview.clips[3].path
        path.write_bytes(path.read_bytes()[:2000])
        return plan(*arguments)

    monkeypatch.setattr(stage, "_plan", plan_and_break)
    with pytest.raises(RunError, match=r"The clip of turn 4 \(guest\), .* is cut off"):
        interview.mix(stems=True)
    assert list_names(interview.folder) == ["episode.mp3", "stems", "timeline.json"]
    assert list_names(interview.folder / "stems") == []
    assert digest(interview.folder / "episode.mp3") == before


def test_a_programme_left_by_a_killed_run_does_not_matter(interview: Any) -> None:
    interview.mix()
    before = digest(interview.folder / "episode.mp3")
    (interview.folder / PROGRAMME_NAME).write_bytes(b"left behind" * 1000)
    interview.mix()
    assert digest(interview.folder / "episode.mp3") == before
    assert not (interview.folder / PROGRAMME_NAME).exists()


def test_too_few_clips_are_refused(interview: Any) -> None:
    with pytest.raises(RunError, match="There are 3 clips for the script's 4 turns"):
        type(interview)(
            interview.script, interview.clips[:3], interview.clips_folder, interview.folder
        ).mix()


@pytest.mark.parametrize("path", ["../outside.wav", "/etc/passwd", "clips/../../x.wav"])
def test_a_clip_outside_the_run_is_refused(interview: Any, path: str) -> None:
    clips = (msgspec.structs.replace(interview.clips[0], path=path), *interview.clips[1:])
    with pytest.raises(RunError, match="lies outside"):
        type(interview)(interview.script, clips, interview.clips_folder, interview.folder).mix()


def test_a_folder_that_cannot_be_written_is_one_sentence(interview: Any) -> None:
    interview.folder.write_text("in the way")
    with pytest.raises(RunError, match=r"a file is in its place"):
        interview.mix()


def test_a_full_disk_is_one_sentence_and_leaves_nothing(interview: Any) -> None:
    script = (
        "import resource, sys, msgspec; from pathlib import Path\n"
        "from podcaster.mix.stage import mix; from podcaster.mix.options import MixOptions\n"
        "from podcaster.model import Script, Clip; from podcaster.progress import Silence\n"
        "from podcaster.errors import RunError\n"
        "data = Path(sys.argv[1]).read_bytes()\n"
        "script, clips = msgspec.json.decode(data, type=tuple[Script, tuple[Clip, ...]])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))\n"
        "try:\n"
        "    mix(script, clips, Path(sys.argv[2]), Path(sys.argv[3]), MixOptions(), seed=5,\n"
        "        progress=Silence())\n"
        "except RunError as error:\n"
        "    print(error.message)\n"
    )
    arguments = interview.folder.parent / "arguments.json"
    arguments.write_bytes(msgspec.json.encode((interview.script, interview.clips)))
    paths = [str(path) for path in (arguments, interview.clips_folder, interview.folder)]
    done = subprocess.run(
        [sys.executable, "-c", script, *paths, "200000"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("Cannot write ")
    assert "File too large" in done.stdout
    assert done.stderr == ""
    assert list_names(interview.folder) == []
