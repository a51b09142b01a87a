"""Forced alignment: the real whisperX on a tiny wav2vec 2.0 that spells four clips."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("whisperx", reason="needs the extra asr")

from podcaster.errors import EngineError, EngineMissing
from podcaster.model import Utterance, Word
from podcaster.setup.speech import SPEECH_MODELS
from podcaster.transcribe.models import ALIGNER_REPOSITORIES
from podcaster.transcribe.whisperx import WhisperXAligner

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def aligner(tiny_aligner: Path) -> Any:
    opened = WhisperXAligner(model=str(tiny_aligner), device="cpu")
    yield opened
    opened.close()


def heard(text: str, start_s: float, end_s: float, probability: float = 0.5) -> Utterance:
    """An utterance whose words are spread evenly, as a transcriber with bad times has them."""
    words = text.split()
    step_s = (end_s - start_s) / len(words)
    return Utterance(
        text=text,
        start_s=start_s,
        end_s=end_s,
        words=tuple(
            Word(
                text=word,
                start_s=start_s + step_s * index,
                end_s=start_s + step_s * (index + 1),
                speaker="S1",
                probability=probability,
            )
            for index, word in enumerate(words)
        ),
    )


def assert_in_order(utterances: tuple[Utterance, ...], duration_s: float) -> None:
    words = [word for utterance in utterances for word in utterance.words]
    assert words
    for utterance in utterances:
        assert utterance.text == " ".join(word.text for word in utterance.words)
    assert all(0 <= word.start_s <= word.end_s <= duration_s for word in words)
    assert all(a.end_s <= b.start_s for a, b in pairwise(words))


def test_words_are_moved_to_where_they_are_said(
    aligner: Any, tiny_models: Any, spoken_clips: Any
) -> None:
    samples, spans = tiny_models.join_clips(spoken_clips, gap_s=2.0, lead_s=2.0)
    edges = [0.0, *((a[1] + b[0]) / 2 for a, b in pairwise(spans)), len(samples) / 16_000]
    told = [heard(c.text, *edge) for c, edge in zip(spoken_clips, pairwise(edges), strict=True)]
    aligned = aligner.align(samples, told, language="en")
    assert [u.text for u in aligned] == [clip.text for clip in spoken_clips]
    assert_in_order(aligned, len(samples) / 16_000)
    for utterance, (start_s, end_s) in zip(aligned, spans, strict=True):
        assert utterance.start_s == pytest.approx(start_s, abs=0.15)
        assert utterance.end_s == pytest.approx(end_s, abs=0.15)
        assert {word.probability for word in utterance.words} == {0.5}
        assert {word.speaker for word in utterance.words} == {"S1"}
    # evenly spread over 4 s and more, each word lay elsewhere
    assert all(word.end_s - word.start_s < 0.8 for u in aligned for word in u.words)


def test_words_that_cannot_be_spelled_lie_between_their_neighbours(
    aligner: Any, tiny_models: Any, spoken_clips: Any
) -> None:
    samples, ((start_s, end_s),) = tiny_models.join_clips([spoken_clips[0]])
    (aligned,) = aligner.align(
        samples, [heard("Welcome to 42 🌱 garden show.", start_s, end_s)], language="en"
    )
    assert [word.text for word in aligned.words] == ["Welcome", "to", "42", "🌱", "garden", "show."]
    assert_in_order((aligned,), len(samples) / 16_000)
    assert aligned.words[1].end_s <= aligned.words[2].start_s
    assert aligned.words[3].end_s <= aligned.words[4].start_s
    assert aligned.words[2].end_s > aligned.words[2].start_s


def test_what_cannot_be_aligned_stays_as_it_was(
    aligner: Any, tiny_models: Any, spoken_clips: Any
) -> None:
    samples, ((start_s, end_s),) = tiny_models.join_clips([spoken_clips[0]])
    duration_s = len(samples) / 16_000
    symbols = heard("2026 — 42", start_s, end_s)
    timeless = Utterance(text="Nobody knows when.")
    late = Utterance(text="Too late.", start_s=duration_s + 1, end_s=duration_s + 2)
    assert aligner.align(samples, [symbols, timeless, late], language="en") == (
        symbols,
        timeless,
        late,
    )
    assert aligner.align(samples, [], language="en") == ()
    assert aligner.align(np.zeros(0, np.float32), [timeless], language="en") == (timeless,)


def test_an_utterance_without_words_gets_them(
    aligner: Any, tiny_models: Any, spoken_clips: Any
) -> None:
    samples, ((start_s, end_s),) = tiny_models.join_clips([spoken_clips[1]])
    bare = Utterance(text=spoken_clips[1].text, start_s=start_s, end_s=end_s, speaker="Otis")
    (aligned,) = aligner.align(samples, [bare], language="en-GB")
    assert [word.text for word in aligned.words] == spoken_clips[1].text.split()
    assert {word.speaker for word in aligned.words} == {"Otis"}
    assert {word.probability for word in aligned.words} == {None}


@pytest.mark.parametrize(
    "text",
    ["a" * 3000, "word " * 400, "’’’ '", "| | |", "naïve café déjà", "a\u00a0b", "İstanbul ŉ"],
)
def test_no_text_makes_it_fail(aligner: Any, tiny_models: Any, text: str) -> None:
    samples = np.random.default_rng(3).normal(0, 0.1, 32_000).astype(np.float32)
    for start_s, end_s in ((0.0, 2.0), (1.0, 1.01), (1.999, 2.0), (0.5, 0.5)):
        utterance = Utterance(text=text, start_s=start_s, end_s=end_s)
        (aligned,) = aligner.align(samples, [utterance], language="en")
        assert aligned.text == text
        assert all(0 <= word.start_s <= word.end_s <= 2.0 for word in aligned.words)


def test_silence_is_aligned_without_a_crash(aligner: Any) -> None:
    silent = np.zeros(32_000, dtype=np.float32)
    (aligned,) = aligner.align(silent, [heard("Welcome to it.", 0.2, 1.8)], language="en")
    assert_in_order((aligned,), 2.0)


def test_the_id_names_the_library_and_the_model_that_was_used(
    aligner: Any, tiny_aligner: Path, tiny_models: Any, spoken_clips: Any
) -> None:
    samples, ((start_s, end_s),) = tiny_models.join_clips([spoken_clips[0]])
    aligner.align(samples, [heard("Welcome", start_s, end_s)], language="en")
    library, torch, model = aligner.id.split(", ")
    assert library.startswith("whisperx 3.")
    assert torch.startswith("torch 2.")
    assert model.startswith(f"{tiny_aligner.name} ")


def test_a_model_that_is_not_here_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    silent, said = np.zeros(16_000, np.float32), [heard("Bonjour", 0.0, 1.0)]
    with pytest.raises(EngineMissing) as caught:
        WhisperXAligner(device="cpu").align(silent, said, language="fr-CA")
    assert caught.value.message == "The alignment model for 'fr' is not on this machine."
    assert "podcaster setup align-fr" in str(caught.value.next_step)
    with pytest.raises(EngineMissing, match="No alignment model is known for the language 'xx'"):
        WhisperXAligner(device="cpu").align(silent, said, language="xx")


def test_a_model_in_the_hubs_cache_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_aligner: Path, tiny_models: Any,
    spoken_clips: Any,
) -> None:  # fmt: skip
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--facebook--wav2vec2-base-960h" / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(tiny_aligner)
    samples, ((start_s, end_s),) = tiny_models.join_clips([spoken_clips[0]])
    opened = WhisperXAligner(device="cpu")
    (aligned,) = opened.align(samples, [heard("Welcome", start_s, end_s)], language="en")
    assert aligned.words[0].end_s == pytest.approx(start_s + 0.46, abs=0.3)
    assert "wav2vec2-base-960h " in opened.id


def test_a_folder_that_is_no_model_or_a_broken_one_is_one_sentence(
    tmp_path: Path, tiny_aligner: Path
) -> None:
    silent, said = np.zeros(16_000, np.float32), [heard("Welcome", 0.0, 1.0)]
    with pytest.raises(EngineError, match=r"is not a folder with a wav2vec 2\.0 model"):
        WhisperXAligner(model=str(tmp_path), device="cpu").align(silent, said, language="en")
    for path in tiny_aligner.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(EngineError, match=r"^Loading the alignment model in .* failed: "):
        WhisperXAligner(model=str(tmp_path), device="cpu").align(silent, said, language="en")


def test_nothing_is_printed_where_results_go(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny_aligner: Path
) -> None:
    for path in tiny_aligner.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nonsense"}))
    silent, said = np.zeros(16_000, np.float32), [heard("Welcome", 0.0, 1.0)]
    with pytest.raises(EngineError):
        WhisperXAligner(model=str(tmp_path), device="cpu").align(silent, said, language="en")
    assert capsys.readouterr().out == ""


def test_setup_fetches_just_the_models_that_are_looked_for() -> None:
    fetched = {
        model.name.removeprefix("align-"): model.repo
        for model in SPEECH_MODELS
        if model.kind == "align"
    }
    assert fetched == ALIGNER_REPOSITORIES
