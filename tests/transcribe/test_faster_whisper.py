"""The real faster-whisper, through our adapter, on a tiny Whisper that knows four clips."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("faster_whisper", reason="needs the extra asr")

from podcaster.errors import EngineError, InputError
from podcaster.model import Utterance
from podcaster.transcribe.faster_whisper import COUNTS, FasterWhisperTranscriber
from podcaster.transcribe.models import identify_transcriber

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def transcriber(tiny_whisper: Path) -> Any:
    opened = FasterWhisperTranscriber(str(tiny_whisper), device="cpu", cpu_threads=2, batch_size=2)
    yield opened
    opened.close()


def assert_sound(utterances: list[Utterance], duration_s: float) -> None:
    """What holds for all utterances: times in order, text that is its words."""
    words = [word for utterance in utterances for word in utterance.words]
    for utterance in utterances:
        assert utterance.text == " ".join(word.text for word in utterance.words)
        assert utterance.start_s == utterance.words[0].start_s
        assert utterance.end_s == utterance.words[-1].end_s
    for word in words:
        assert 0 <= word.start_s <= word.end_s <= duration_s
        assert word.text == word.text.strip() != ""
        assert word.probability is not None
        assert 0 <= word.probability <= 1
    assert all(a.end_s <= b.start_s for a, b in pairwise(words))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 0, 2, 1), (2,)])
def test_the_words_come_out_right_each_in_its_clip(
    transcriber: Any, tiny_models: Any, spoken_clips: Any, order: tuple[int, ...]
) -> None:
    clips = [spoken_clips[index] for index in order]
    samples, spans = tiny_models.join_clips(clips)
    heard = transcriber.listen(samples, language="en", hotwords=())
    utterances = list(heard.utterances)
    assert [u.text for u in utterances] == [clip.text for clip in clips]
    assert heard.language == "en"
    assert_sound(utterances, len(samples) / 16_000)
    for utterance, (start_s, end_s) in zip(utterances, spans, strict=True):
        for word in utterance.words:
            assert start_s - 0.75 <= word.start_s
            assert word.end_s <= end_s + 0.75


def test_a_window_that_hotwords_spoil_is_decoded_again_without_them(
    transcriber: Any, tiny_models: Any, spoken_clips: Any
) -> None:
    # the model was never told hotwords: they make its words improbable
    samples, _ = tiny_models.join_clips(spoken_clips)
    heard = transcriber.listen(samples, language="en", hotwords=("Ada",))
    utterances = list(heard.utterances)
    assert [u.text for u in utterances] == [clip.text for clip in spoken_clips]
    assert_sound(utterances, len(samples) / 16_000)
    counts = {name: heard.options[name] for name in COUNTS}
    assert counts == {**dict.fromkeys(COUNTS, 0), "windows": 1, "decoded_again": 1, "replaced": 1}


def test_what_is_sampled_is_the_same_each_time(
    transcriber: Any, tiny_models: Any, spoken_clips: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # no log-probability is above 0: every try fails, and all temperatures are gone through
    monkeypatch.setattr("podcaster.transcribe.repair.LEAST_LOGPROB", 1.0)
    monkeypatch.setattr("podcaster.transcribe.faster_whisper.LEAST_LOGPROB", 1.0)
    samples, _ = tiny_models.join_clips(spoken_clips)
    sound = np.ascontiguousarray(samples[::-1])  # speech that it does not know
    first, again = (transcriber.listen(sound, language="en", hotwords=()) for _ in range(2))
    said = list(first.utterances)
    assert said
    assert said == list(again.utterances)
    assert_sound(said, len(sound) / 16_000)
    for heard in (first, again):
        assert heard.options["decoded_again"] == heard.options["doubtful"] == 1
        assert heard.options["dropped"] == 0


def test_utterances_come_while_it_listens(
    transcriber: Any, tiny_models: Any, spoken_clips: Any
) -> None:
    samples, _ = tiny_models.join_clips(spoken_clips)
    heard = transcriber.listen(samples, language="en", hotwords=())
    assert next(heard.utterances).text == spoken_clips[0].text
    assert iter(heard.utterances) is heard.utterances


def test_a_long_recording_is_heard_in_windows_and_batches(
    transcriber: Any, tiny_models: Any, spoken_clips: Any
) -> None:
    # ten seconds of speech and forty of silence, six times over: more than one window and batch
    silence = np.zeros(40 * 16_000, dtype=np.float32)
    once, spans = tiny_models.join_clips(spoken_clips, gap_s=1.0)
    samples = np.concatenate([np.concatenate([once, silence]) for _ in range(3)])
    period_s = (len(once) + len(silence)) / 16_000
    utterances = list(transcriber.listen(samples, language="en", hotwords=()).utterances)
    assert_sound(utterances, len(samples) / 16_000)
    firsts = [u.start_s for u in utterances if u.text == spoken_clips[0].text]
    assert firsts[0] == pytest.approx(spans[0][0], abs=0.5)
    # nothing is heard in the silences
    for utterance in utterances:
        assert utterance.start_s is not None
        assert utterance.start_s % period_s <= len(once) / 16_000


def test_the_language_is_found_out(transcriber: Any, tiny_models: Any, spoken_clips: Any) -> None:
    samples, _ = tiny_models.join_clips(spoken_clips)
    heard = transcriber.listen(samples, language=None, hotwords=())
    assert heard.language == "en"
    assert 0.9 < heard.language_probability <= 1
    assert [u.text for u in heard.utterances] == [clip.text for clip in spoken_clips]


def test_names_are_told_and_recorded(transcriber: Any, tiny_models: Any, spoken_clips: Any) -> None:
    samples, _ = tiny_models.join_clips(spoken_clips[:2])
    heard = transcriber.listen(samples, language="en", hotwords=["Tomatoes", "Bees"])
    assert [u.text for u in heard.utterances] == [clip.text for clip in spoken_clips[:2]]
    assert heard.options["hotwords"] == ["Tomatoes", "Bees"]
    many = [f"Name Number {index}" for index in range(500)]
    assert list(transcriber.listen(samples, language="en", hotwords=many).utterances) is not None


def test_a_language_that_the_model_lacks_is_refused_with_those_it_has(
    transcriber: Any, tiny_models: Any, tmp_path: Path
) -> None:
    silent = np.zeros(16_000, dtype=np.float32)
    with pytest.raises(InputError) as caught:
        transcriber.listen(silent, language="sw", hotwords=())
    assert caught.value.message.startswith("The Whisper model in ")
    assert caught.value.message.endswith(
        "ctranslate2 does not know the language 'sw'; it knows de, en, fr."
    )
    english = FasterWhisperTranscriber(
        tiny_models.build_english_only_whisper(tmp_path), device="cpu", cpu_threads=2
    )
    with pytest.raises(InputError, match=r"does not know the language 'fr'; it knows en\.") as one:
        english.listen(silent, language="fr", hotwords=())
    assert "podcaster setup" in str(one.value.next_step)
    assert english.languages == ("en",)
    english.close()


def test_a_region_is_no_other_language(transcriber: Any) -> None:
    silent = np.zeros(16_000, dtype=np.float32)
    assert transcriber.listen(silent, language="en-GB", hotwords=()).language == "en-GB"


@pytest.mark.parametrize("language", ["en", None])
@pytest.mark.parametrize("seconds", [0, 0.005, 1, 40])
def test_silence_has_no_words(transcriber: Any, language: str | None, seconds: float) -> None:
    silent = np.zeros(round(seconds * 16_000), dtype=np.float32)
    heard = transcriber.listen(silent, language=language, hotwords=())
    assert list(heard.utterances) == []
    assert heard.language == language or heard.language == "und"


def test_music_alone_has_no_words(transcriber: Any) -> None:
    import soxr

    from podcaster.mix.music import play_opening

    stereo = play_opening(3)
    music = soxr.resample(stereo.mean(axis=1), 44_100, 16_000).astype(np.float32)
    heard = transcriber.listen(np.tile(music, 3), language=None, hotwords=())
    assert list(heard.utterances) == []


def test_noise_does_not_make_it_fail(transcriber: Any) -> None:
    noise = np.random.default_rng(1).normal(0, 0.3, 20 * 16_000).astype(np.float32)
    assert_sound(list(transcriber.listen(noise, language="en", hotwords=()).utterances), 20.0)


def test_the_id_names_versions_and_the_models_hash(transcriber: Any, tiny_whisper: Path) -> None:
    library, runtime, model = transcriber.id.split(", ")
    assert library.startswith("faster-whisper 1.")
    assert runtime.startswith("ctranslate2 4.")
    name, digest = model.split()
    assert name == tiny_whisper.name
    assert len(digest) == 12
    assert identify_transcriber(tiny_whisper) == transcriber.id


def copy_model(tiny_whisper: Path, folder: Path) -> Path:
    for path in tiny_whisper.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_another_model_has_another_id(tiny_whisper: Path, tmp_path: Path) -> None:
    folder = copy_model(tiny_whisper, tmp_path)
    before = identify_transcriber(folder)
    tokens = folder / "tokenizer.json"
    tokens.write_text(tokens.read_text().replace("Tomatoes", "Potatoes"))
    assert identify_transcriber(folder) != before


def test_a_folder_without_a_model_is_one_sentence(tmp_path: Path, tiny_whisper: Path) -> None:
    with pytest.raises(EngineError, match=r"there is no model\.bin and no config\.json") as caught:
        FasterWhisperTranscriber(tmp_path)
    assert "podcaster setup" in str(caught.value.next_step)
    with pytest.raises(EngineError, match="it is none"):
        FasterWhisperTranscriber(tmp_path / "nowhere")
    # without it, the library would fetch another model's from the network
    (copy_model(tiny_whisper, tmp_path) / "tokenizer.json").unlink()
    with pytest.raises(EngineError, match=r"there is no tokenizer\.json in it"):
        FasterWhisperTranscriber(tmp_path)


@pytest.mark.parametrize("keep_bytes", [0, 10, 5000, -100])
def test_a_damaged_model_is_one_sentence(
    tiny_whisper: Path, tmp_path: Path, keep_bytes: int
) -> None:
    model = copy_model(tiny_whisper, tmp_path) / "model.bin"
    model.write_bytes(model.read_bytes()[:keep_bytes])
    with pytest.raises(EngineError, match=r"^Loading the model in .* failed: ") as caught:
        FasterWhisperTranscriber(tmp_path, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_compute_type_that_does_not_exist_says_what_does(tiny_whisper: Path) -> None:
    with pytest.raises(EngineError) as caught:
        FasterWhisperTranscriber(tiny_whisper, device="cpu", compute_type="float17")
    assert caught.value.next_step == 'Set compute_type = "auto" under [transcribe].'


def test_a_model_of_other_features_is_refused(tiny_whisper: Path, tmp_path: Path) -> None:
    features = copy_model(tiny_whisper, tmp_path) / "preprocessor_config.json"
    features.write_text(features.read_text().replace("80", "128"))
    with pytest.raises(EngineError, match="wants 80 mel bands, but its preprocessor_config"):
        FasterWhisperTranscriber(tmp_path, device="cpu")


def test_lack_of_memory_says_what_to_make_smaller(
    tiny_whisper: Path, tiny_models: Any, spoken_clips: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # ctranslate2's own words; no machine of ours can be made to run out of memory safely
    opened = FasterWhisperTranscriber(tiny_whisper, device="cpu", cpu_threads=2, batch_size=4)

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA failed with error out of memory")

    monkeypatch.setattr(opened._model, "encode", fail)
    samples, _ = tiny_models.join_clips(spoken_clips[:1])
    with pytest.raises(EngineError) as caught:
        list(opened.listen(samples, language="en", hotwords=()).utterances)
    assert "with batch_size 4 and compute_type 'auto'" in caught.value.message
    assert "smaller batch_size" in str(caught.value.next_step)
    opened.close()


def test_a_closed_transcriber_says_so(tiny_whisper: Path) -> None:
    opened = FasterWhisperTranscriber(tiny_whisper, device="cpu", cpu_threads=2)
    opened.close()
    opened.close()
    with pytest.raises(EngineError, match="closed"):
        opened.listen(np.zeros(16_000, np.float32), language="en", hotwords=())
