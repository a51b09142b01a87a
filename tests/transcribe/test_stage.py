"""A recording's sound becomes words: decoding what comes from outside, and the stage itself."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from podcaster.audio import Samples, write_wav
from podcaster.errors import InputError
from podcaster.model import Person, Recording, Utterance, Word
from podcaster.transcribe.alignment import Piece, Stretch, find_stretches, share_out, spell_words
from podcaster.transcribe.engine import Heard
from podcaster.transcribe.hotwords import MOST_CHARACTERS, MOST_NAMES, find_names, hotwords_of
from podcaster.transcribe.stage import load_samples, transcribe_recording
from podcaster.transcribe.utterances import gather_utterances, in_order

RATE_HZ = 16_000


def tone(seconds: float, rate_hz: int = RATE_HZ) -> Samples:
    """A sine of 440 Hz at half of full scale."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def write_container(path: Path, *, codec: str, video: bool = False, seconds: float = 3.0) -> Path:
    """A file with a tone, or with a grey picture and no sound, by PyAV."""
    with av.open(str(path), "w") as container:
        if video:
            stream: Any = container.add_stream(codec, rate=5)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for _ in range(5):
                frame = av.VideoFrame(64, 64, "yuv420p")
                container.mux(stream.encode(frame))
        else:
            stream = container.add_stream(codec, rate=44_100, layout="mono")
            sound = tone(seconds, 44_100).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
            frame.sample_rate = 44_100
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.mp3", "libmp3lame")])
def test_sound_comes_as_16_khz_mono_of_its_length(tmp_path: Path, name: str, codec: str) -> None:
    samples = load_samples(write_container(tmp_path / name, codec=codec))
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) / RATE_HZ == pytest.approx(3.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples[RATE_HZ : 2 * RATE_HZ]))
    assert int(spectrum.argmax()) == 440


def test_stereo_is_mixed_and_a_header_without_length_is_read_to_the_end(tmp_path: Path) -> None:
    stereo = np.stack([tone(2.0, 48_000), tone(2.0, 48_000)], axis=1)
    write_wav(tmp_path / "a.wav", stereo, 48_000)
    assert len(load_samples(tmp_path / "a.wav")) == pytest.approx(2 * RATE_HZ, abs=50)
    # raw AAC states no length at all
    raw = write_container(tmp_path / "a.aac", codec="aac", seconds=5.0)
    assert len(load_samples(raw)) / RATE_HZ == pytest.approx(5.0, abs=0.15)


def test_what_is_no_sound_is_one_line_each(tmp_path: Path) -> None:
    video = write_container(tmp_path / "film.mp4", codec="mpeg4", video=True)
    empty = tmp_path / "empty.mp3"
    empty.touch()
    whole = write_container(tmp_path / "whole.m4a", codec="aac").read_bytes()
    cut = tmp_path / "cut.m4a"
    cut.write_bytes(whole[: len(whole) // 2])
    renamed = tmp_path / "page.mp3"
    renamed.write_bytes(b"<!doctype html><title>Not found</title>" * 50)
    encrypted = tmp_path / "bought.m4a"
    encrypted.write_bytes(whole.replace(b"mp4a", b"drms"))
    common_encryption = tmp_path / "rented.m4a"
    common_encryption.write_bytes(whole.replace(b"mp4a", b"enca"))
    for path, reason in (
        (video, "has no audio stream"),
        (empty, "is empty"),
        (cut, "cannot be read as audio"),
        (renamed, "cannot be read as audio"),
        (encrypted, "is encrypted (DRM): its sound is marked 'drms'"),
        (common_encryption, "is encrypted (DRM): its sound is marked 'enca'"),
        (tmp_path / "nowhere.mp3", "cannot be read as audio"),
        (tmp_path, "cannot be read as audio"),
    ):
        with pytest.raises(InputError) as caught:
            load_samples(path)
        assert reason in caught.value.message
        assert str(path) in caught.value.message
        assert "\n" not in str(caught.value)


def test_a_cut_off_mp3_says_how_much_there_is(tmp_path: Path) -> None:
    path = write_container(tmp_path / "a.mp3", codec="libmp3lame", seconds=20.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"is cut off: it holds \d+\.\d s of the 20\.\d s"):
        load_samples(path)


class ScriptedTranscriber:
    """Hears what it was told; the stage is what is tested."""

    id = "scripted 1"

    def __init__(self, *texts: str) -> None:
        self._texts = texts
        self.told: list[Any] = []

    def listen(self, samples: Samples, *, language: str | None, hotwords: Sequence[str]) -> Heard:
        self.told.append((language, tuple(hotwords)))
        return Heard("fr", 0.91234, self._speak(), {"beam_size": 5})

    def _speak(self) -> Iterator[Utterance]:
        for index, text in enumerate(self._texts):
            yield Utterance(text=text, start_s=float(index), end_s=index + 0.5)

    def close(self) -> None:
        return


class LateAligner:
    """Says that everything was said a tenth of a second later."""

    id = "late 2"

    def align(
        self, samples: Samples, utterances: Sequence[Utterance], *, language: str
    ) -> tuple[Utterance, ...]:
        return tuple(
            Utterance(text=u.text, start_s=(u.start_s or 0) + 0.1, end_s=u.end_s)
            for u in utterances
        )

    def close(self) -> None:
        return


def test_the_transcript_says_what_made_it_and_utterances_are_told_as_they_come() -> None:
    transcriber, seen = ScriptedTranscriber("Bonjour.", " ", "Merci."), list[str]()
    transcript = transcribe_recording(
        tone(3.0),
        transcriber,
        LateAligner(),
        language=None,
        hotwords=["Ada"],
        on_utterance=lambda utterance: seen.append(utterance.text),
    )
    assert transcriber.told == [(None, ("Ada",))]
    assert seen == ["Bonjour.", "Merci."]
    assert [u.start_s for u in transcript.utterances] == [0.1, 2.1]
    assert (transcript.language, transcript.engine, transcript.duration_s) == (
        "fr",
        "scripted 1",
        3.0,
    )
    assert transcript.options == {
        "beam_size": 5,
        "language_probability": 0.9123,
        "aligner": "late 2",
    }


def test_the_recordings_language_stays_and_silence_is_an_empty_transcript() -> None:
    transcript = transcribe_recording(
        tone(1.0), ScriptedTranscriber(), LateAligner(), language="fr-CA", hotwords=()
    )
    assert (transcript.language, transcript.utterances) == ("fr-CA", ())
    assert "aligner" not in transcript.options


def said(*words: tuple[str, float, float]) -> list[Word]:
    return [Word(text=text, start_s=start_s, end_s=end_s) for text, start_s, end_s in words]


def test_utterances_end_with_sentences_and_at_pauses() -> None:
    words = said(
        ("Dr.", 0.0, 0.2), ("Who?", 0.2, 0.5), ("He", 0.6, 0.7), ("said", 0.7, 0.9),
        ("nothing", 2.0, 2.4),
    )  # fmt: skip
    utterances = list(gather_utterances(words, "en"))
    assert [u.text for u in utterances] == ["Dr. Who?", "He said", "nothing"]
    assert [(u.start_s, u.end_s) for u in utterances] == [(0.0, 0.5), (0.6, 0.9), (2.0, 2.4)]
    chinese = said(("你", 0.0, 0.1), ("好。", 0.1, 0.2), ("再见", 0.3, 0.4))
    assert [u.text for u in gather_utterances(chinese, "zh-CN")] == ["你好。", "再见"]


def test_times_that_run_backwards_are_put_in_order() -> None:
    words = said(("a", 1.0, 2.0), ("b", 1.5, 1.7), ("c", 9.0, 12.0))
    assert [(w.start_s, w.end_s) for w in in_order(words, 10.0, 1.2)] == [
        (1.2, 2.0),
        (2.0, 2.0),
        (9.0, 10.0),
    ]
    fine = said(("a", 1.0, 2.0), ("b", 2.0, 3.0))
    assert list(in_order(fine, 10.0)) == fine


def test_neighbours_are_aligned_together_with_half_of_the_silence_around_them() -> None:
    times = [(1.0, 2.0), (2.2, 3.0), (4.2, 5.0), (None, None), (6.0, 40.0), (40.1, 50.0)]
    utterances = [Utterance(text="x", start_s=a, end_s=b) for a, b in times]
    assert [(s.first, s.last) for s in find_stretches(utterances, 45.0)] == [
        (0, 1), (2, 2), (4, 4), (5, 5),
    ]  # fmt: skip
    first, second, *_, last = find_stretches(utterances, 45.0)
    assert (first.start_s, first.end_s) == pytest.approx((0.7, 3.3))
    assert second.start_s == pytest.approx(3.9)
    assert last.end_s == 45.0


def test_times_are_shared_out_and_gaps_filled_by_length() -> None:
    told = [
        Utterance(text="Buy 42 apples,", start_s=0.0, end_s=1.0),
        Utterance(text="€ now!", start_s=1.0, end_s=2.0),
    ]
    spelled = spell_words(told, set("abcdefghijklmnopqrstuvwxyz|"))
    assert spelled == ["buy", "", "apples", "", "now"]
    pieces = [Piece("buy", 0.1, 0.3), Piece("apples", 0.7, 1.0), Piece("now", 1.6, 1.9)]
    shared = share_out(told, spelled, pieces, Stretch(0, 1, 0.0, 2.0))
    assert [(w.text, w.start_s, w.end_s) for u in shared for w in u.words] == [
        ("Buy", 0.1, 0.3), ("42", 0.3, 0.7), ("apples,", 0.7, 1.0), ("€", 1.0, 1.6),
        ("now!", 1.6, 1.9),
    ]  # fmt: skip
    assert [(u.start_s, u.end_s) for u in shared] == [(0.1, 1.0), (1.0, 1.9)]
    assert share_out(told, spelled, pieces[:2], Stretch(0, 1, 0.0, 2.0)) == told
    unknown = [Piece(piece.text, None, None) for piece in pieces]
    assert share_out(told, spelled, unknown, Stretch(0, 1, 0.0, 2.0)) == told


def recording(title: str, description: str = "", *persons: str) -> Recording:
    people = tuple(Person(name=name) for name in persons)
    return Recording(id="x", title=title, origin="here", description=description, persons=people)


def test_names_come_from_persons_title_and_description_in_this_order() -> None:
    found = hotwords_of(
        recording(
            "#12: Growing tomatoes with Ada van der Berg",
            "This week we visit Kew, ask NASA about iPhones and talk to Grace Hopper. "
            "Write to us: me@Example.org or https://Example.org/Show. <b>Bank of England</b>",
            "Otis Cole",
            "Ada van der Berg",
        )
    )
    assert found == (
        "Otis Cole", "Ada van der Berg", "Kew", "NASA", "iPhones", "Grace Hopper",
        "Bank of England",
    )  # fmt: skip


def test_a_headlines_capitals_are_no_names_and_parts_add_nothing() -> None:
    assert list(find_names("Why Gardens matter. What now? The end.")) == ["Gardens"]
    assert hotwords_of(recording("Talk", "We met Hopper yesterday.", "Grace Hopper")) == (
        "Grace Hopper",
    )


def test_hotwords_fit_into_the_prompt_whatever_the_feed_says() -> None:
    people = [f"Person{index:04} Longname" for index in range(3000)]
    found = hotwords_of(recording("x" * 10_000, "Ab Cd. " * 10_000, *people))
    assert 0 < len(found) <= MOST_NAMES
    assert len(", ".join(found)) <= MOST_CHARACTERS
    assert hotwords_of(recording("", "")) == ()
