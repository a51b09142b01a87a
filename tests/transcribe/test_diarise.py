"""The built-in diariser on real recordings, real silence and real music."""

import importlib.util
import json
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra asr is not installed")
pytest.importorskip("faster_whisper", reason="the extra asr is not installed")
pytest.importorskip("whisperx", reason="the extra asr is not installed")

import soxr

from podcaster import audio, engines
from podcaster.errors import ConfigError, EngineError, EngineMissing
from podcaster.mix.music import compose_theme, play_opening
from podcaster.model import SpeakerSpan
from podcaster.transcribe import pyannote, segmentation
from podcaster.transcribe.builtin_diariser import BuiltinDiariser
from podcaster.transcribe.local_turns import find_local_turns, print_frames
from podcaster.transcribe.segmentation import Segmenter

pytestmark = pytest.mark.engine

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "audio"
RATE_HZ = 16_000

Truth = list[tuple[float, float, str]]


@pytest.fixture(scope="module")
def diariser() -> Iterator[BuiltinDiariser]:
    opened = engines.open_engine("transcribe", "builtin")
    yield opened
    opened.close()


def read(name: str) -> np.ndarray:
    if not SHARED.is_dir():
        pytest.skip("the folder shared/ is not beside the repository")
    return np.concatenate(list(audio.decode(SHARED / name, RATE_HZ, 1)))


def read_telephone() -> tuple[np.ndarray, Truth]:
    """Half a minute of two people on the telephone, who talk at once; it comes with pyannote."""
    spec = importlib.util.find_spec("pyannote.audio")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "sample"
    samples, rate_hz = audio.read_wav(folder / "sample.wav")
    assert rate_hz == RATE_HZ
    rows = [line.split() for line in (folder / "sample.rttm").read_text().splitlines()]
    return samples, [(float(r[3]), float(r[3]) + float(r[4]), r[7]) for r in rows]


def measure(truth: Truth, spans: tuple[SpeakerSpan, ...]) -> Any:
    """The parts of the diarisation error; no collar, overlapped speech counts."""
    import warnings

    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationErrorRate

    told, found = Annotation(), Annotation()
    for at, (start_s, end_s, who) in enumerate(truth):
        told[Segment(start_s, end_s), at] = who
    for at, span in enumerate(spans):
        found[Segment(span.start_s, span.end_s), at] = span.speaker
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it takes the whole recording to be annotated
        return DiarizationErrorRate(collar=0.0, skip_overlap=False)(told, found, detailed=True)


def count_speakers(spans: tuple[SpeakerSpan, ...]) -> int:
    return len({span.speaker for span in spans})


def test_three_voices_are_found_and_their_words_are_theirs(diariser: BuiltinDiariser) -> None:
    samples = read("tea-brew.mp3")
    segments = json.loads((SHARED / "tea-brew.json").read_text())["segments"]
    truth = [(each["start"], each["end"], str(each["speaker"])) for each in segments]
    spans = diariser.diarise(samples)
    assert count_speakers(spans) == 3
    parts = measure(truth, spans)
    assert parts["correct"] / parts["total"] > 0.98
    assert parts["diarization error rate"] < 0.02


def test_quick_alternation_is_followed_turn_by_turn(diariser: BuiltinDiariser) -> None:
    spans = diariser.diarise(read("katie-steve-dialogue.wav"))
    turns = [who for who, _ in groupby(spans, key=lambda span: span.speaker)]
    assert turns == ["S1", "S2", "S1", "S2", "S1", "S2"]
    assert len(spans) == 6
    assert all(one.end_s < other.start_s for one, other in pairwise(spans))


@pytest.mark.parametrize("told", [{}, {"fewest": 2, "most": 2}])
def test_two_who_talk_over_each_other_on_the_telephone(
    diariser: BuiltinDiariser, told: dict[str, int]
) -> None:
    samples, truth = read_telephone()
    spans = diariser.diarise(samples, **told)
    assert count_speakers(spans) == 2
    assert measure(truth, spans)["diarization error rate"] < 0.10
    # both are heard where both talk
    assert any(
        one.speaker != other.speaker and one.start_s < other.end_s and other.start_s < one.end_s
        for one in spans
        for other in spans
    )


@pytest.mark.parametrize("name", ["katie-reference.wav", "steve-reference.wav"])
def test_one_voice_is_one_voice(diariser: BuiltinDiariser, name: str) -> None:
    assert count_speakers(diariser.diarise(read(name))) == 1


def test_voices_of_several_recordings_in_turn(diariser: BuiltinDiariser) -> None:
    names = ("katie-reference.wav", "steve-reference.wav", "ljspeech/LJ001-0001.flac")
    voices = [read(name) for name in names]
    parts: list[np.ndarray] = []
    truth: Truth = []
    at_s = 0.0
    for turn in range(9):
        voice = voices[turn % 3]
        start = (turn // 3) * 4 * RATE_HZ % max(1, len(voice) - 4 * RATE_HZ)
        part = voice[start : start + 4 * RATE_HZ]
        truth.append((at_s, at_s + len(part) / RATE_HZ, names[turn % 3]))
        parts += [part, np.zeros(RATE_HZ // 2, dtype=np.float32)]
        at_s += len(part) / RATE_HZ + 0.5
    spans = diariser.diarise(np.concatenate(parts))
    assert count_speakers(spans) == 3
    assert measure(truth, spans)["confusion"] < 0.05 * at_s


def test_silence_noise_and_music_have_no_speakers(diariser: BuiltinDiariser) -> None:
    noise = np.random.default_rng(0).standard_normal(12 * RATE_HZ).astype(np.float32) * 0.05
    assert compose_theme(1) != compose_theme(2)
    music = [soxr.resample(play_opening(n).mean(axis=1), 44_100, RATE_HZ) for n in (1, 2)]
    for quiet in (np.zeros(12 * RATE_HZ, dtype=np.float32), noise, *music):
        assert diariser.diarise(quiet.astype(np.float32)) == ()


@pytest.mark.parametrize("count", [0, 1, 300, 5_000, 80_000, 80_001])
def test_any_length_is_taken(diariser: BuiltinDiariser, count: int) -> None:
    assert diariser.diarise(np.zeros(count, dtype=np.float32)) == ()


def test_spans_are_the_same_every_time_and_named_in_order(diariser: BuiltinDiariser) -> None:
    samples, _ = read_telephone()
    spans = diariser.diarise(samples)
    assert spans == diariser.diarise(samples)
    assert [span.start_s for span in spans] == sorted(span.start_s for span in spans)
    firsts = list(dict.fromkeys(span.speaker for span in spans))
    assert firsts == [f"S{n + 1}" for n in range(len(firsts))]
    assert all(0 <= span.start_s < span.end_s <= len(samples) / RATE_HZ for span in spans)


def test_blocks_of_speech_detection_do_not_show(
    diariser: BuiltinDiariser, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples, truth = read_telephone()
    monkeypatch.setattr("podcaster.transcribe.builtin_diariser._VAD_BLOCK", 200)
    assert measure(truth, diariser.diarise(samples))["diarization error rate"] < 0.10


def test_impossible_bounds_are_refused(diariser: BuiltinDiariser) -> None:
    with pytest.raises(ConfigError, match="At least 4 speakers and at most 2 cannot both be"):
        diariser.diarise(np.zeros(RATE_HZ, dtype=np.float32), fewest=4, most=2)


def test_samples_that_are_no_numbers_are_refused(diariser: BuiltinDiariser) -> None:
    broken = np.full(RATE_HZ, np.nan, dtype=np.float32)
    with pytest.raises(EngineError, match="not numbers"):
        diariser.diarise(broken)


def test_the_id_names_all_that_decides(diariser: BuiltinDiariser) -> None:
    for part in ("builtin", "pyannote/segmentation", "resemblyzer", "Silero VAD"):
        assert part in diariser.id


def test_the_segmentation_is_that_of_the_library() -> None:
    """Our own network, fed with the same weights, gives what pyannote's class gives."""
    import torch
    from pyannote.audio import Model

    samples, _ = read_telephone()
    starts = np.array([0, 8_000 * 14, 8_000 * 30])
    ours = Segmenter().segment(samples, starts)
    path, _ = segmentation._find_weights()
    with pyannote._weights_only(), pyannote._quiet():
        theirs = Model.from_pretrained(str(path))
    assert theirs is not None
    theirs.eval()
    chunks = np.stack([samples[start : start + 80_000] for start in starts])
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(chunks)[:, None]).numpy()
    assert ours.shape == (3, 293, 3)
    assert np.abs(ours - expected).max() < 1e-4


def test_missing_weights_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineMissing, match="lies in the package whisperx") as caught:
        Segmenter()
    assert "pip install 'podcaster[asr]'" in str(caught.value)


class Mischief:
    """Unpickled carelessly, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_weights_that_would_run_code_are_refused_and_run_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import torch

    trace, path = tmp_path / "trace", tmp_path / "weights.bin"
    torch.save({"state_dict": {}, "callbacks": Mischief(trace)}, path)
    monkeypatch.setattr(segmentation, "_find_weights", lambda: (path, "1"))
    with pytest.raises(EngineError, match="Reading the segmentation network"):
        Segmenter()
    assert not trace.exists()


def test_local_turns_are_cut_at_pauses_and_know_who_talks_over_them() -> None:
    activity = np.zeros((2, 293, 3), dtype=np.float32)
    activity[0, 10:100, 0] = 0.9
    activity[0, 40:45, 0] = 0.1  # a pause of 0.08 s
    activity[0, 150:250, 0] = 0.9
    activity[0, 200:250, 2] = 0.8
    activity[1, 100:110, 1] = 0.9
    turns = find_local_turns(activity, np.array([0, 59]))
    rows = list(zip(turns.windows, turns.voices, turns.firsts, turns.ends, strict=True))
    assert rows == [(0, 0, 10, 100), (0, 0, 150, 250), (0, 2, 200, 250), (1, 1, 100, 110)]
    step_s = 270 / 16_000
    assert turns.lengths_s == pytest.approx([85 * step_s, 50 * step_s, 0.0, 10 * step_s])
    # frames 59 to 293 are heard by both windows
    assert turns.seconds[1] == pytest.approx(turns.lengths_s[1] / 2)
    parts = print_frames(turns, activity, np.array([0, 59]))
    assert [round(len(part) / 100, 1) for part in parts] == [1.4, 0.8, 0.8, 0.0]
    # the pause is left out, and so is what is talked over
    assert {60, 90} < set(parts[0].tolist())
    assert (42 * 270 + 495) // 160 not in parts[0]
    assert parts[1].max() < (200 * 270 + 495 + 270) // 160


def test_nothing_heard_has_no_turns() -> None:
    turns = find_local_turns(np.zeros((3, 293, 3), dtype=np.float32), np.array([0, 59, 118]))
    assert len(turns.windows) == 0
    assert turns.seconds.shape == (0,)
