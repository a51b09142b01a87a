"""The XTTS engine on a small random `Xtts`: voices, many at a time, streams, what goes astray."""

import importlib.util
import shutil
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from podcaster.engines import open_engine
from podcaster.errors import ConsentMissing, EngineError, EngineMissing, VoiceError
from podcaster.model import Voice
from podcaster.speak.engine import BatchVoicer, Request
from podcaster.speak.stage import plan_clips, render_clip
from tests.speak.conftest import make_script
from tests.speak.tiny_xtts import make_tiny_xtts, make_voice, write_reference

torch = pytest.importorskip("torch", reason="XTTS runs on torch (extra tts)")
if importlib.util.find_spec("TTS") is None:
    pytest.skip("coqui-tts is not installed (extra tts)", allow_module_level=True)

from podcaster.speak.coqui.conditioning import compute_conditioning  # noqa: E402
from podcaster.speak.coqui.model import load  # noqa: E402
from podcaster.speak.coqui.voicer import CoquiVoicer, _is_believable  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(2)
    return make_tiny_xtts(tmp_path_factory.mktemp("xtts"))


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Voice]:
    return {
        name: make_voice(tmp_path_factory.mktemp("voices") / name, pitch_hz)
        for name, pitch_hz in (("anna", 210.0), ("bert", 95.0))
    }


@pytest.fixture(scope="module")
def coqui(folder: Path) -> Iterator[CoquiVoicer]:
    opened: CoquiVoicer = open_engine("speak", "coqui", model=folder, device="cpu", batch_size=3)
    yield opened
    opened.close()


def test_latents_are_the_librarys_and_computed_once(
    folder: Path, coqui: CoquiVoicer, voices: dict[str, Voice]
) -> None:
    loaded = load(folder)
    voice = voices["anna"]
    (reference,) = voice.references
    settings = loaded.settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torchaudio's loader, which we do without
        theirs, speaker = loaded.model.get_conditioning_latents(
            reference,
            max_ref_length=settings.max_ref_len,
            gpt_cond_len=settings.gpt_cond_len,
            gpt_cond_chunk_len=settings.gpt_cond_chunk_len,
        )
    ours = compute_conditioning(loaded.model, settings, [Path(reference)])
    assert torch.allclose(ours.gpt, theirs, atol=1e-4)
    assert torch.allclose(ours.speaker, speaker, atol=1e-4)
    derived = Path(reference).parent / "derived"
    shutil.rmtree(derived, ignore_errors=True)
    network = coqui._open()
    network._voices.clear()
    network.meet(voice)
    (kept,) = derived.iterdir()
    assert kept.suffix == ".safetensors"
    changed_ns = kept.stat().st_mtime_ns
    network._voices.clear()
    assert torch.equal(network.meet(voice).gpt, ours.gpt)
    assert kept.stat().st_mtime_ns == changed_ns
    # what is damaged is computed again
    for damage in (b"", b"no tensors", kept.read_bytes()[:-8]):
        kept.write_bytes(damage)
        network._voices.clear()
        assert torch.equal(network.meet(voice).gpt, ours.gpt)
        assert kept.stat().st_size > 1000
    # where they cannot be kept, they are computed all the same
    shutil.rmtree(derived)
    derived.write_bytes(b"in the way")
    network._voices.clear()
    assert torch.equal(network.meet(voice).gpt, ours.gpt)
    derived.unlink()


def test_voices_that_cannot_be_cloned_are_told(coqui: CoquiVoicer, tmp_path: Path) -> None:
    secret = make_voice(tmp_path / "secret", 150, consent=None)
    with pytest.raises(ConsentMissing, match="secret"):
        coqui.say(["Hello."], secret, language="en", seed=1)
    empty = make_voice(tmp_path / "empty", 160, references=())
    with pytest.raises(VoiceError, match=r"has no references.*voice add empty"):
        coqui.say(["Hello."], empty, language="en", seed=1)
    short = make_voice(tmp_path / "short", 170)
    write_reference(Path(short.references[0]), 170, seconds=0.2)
    with pytest.raises(VoiceError, match=r"lasts 0\.33 s or more"):
        coqui.say(["Hello."], short, language="en", seed=1)
    broken = make_voice(tmp_path / "broken", 180)
    Path(broken.references[0]).write_bytes(b"no sound")
    with pytest.raises(VoiceError, match=r"reference\.wav"):
        coqui.say(["Hello."], broken, language="en", seed=1)


def test_many_sound_as_each_alone(coqui: CoquiVoicer, voices: dict[str, Voice]) -> None:
    assert isinstance(coqui, BatchVoicer)
    requests = [
        Request(("Hello there.", "How are you?"), voices["anna"], "en", 1),
        Request(("Guten Tag, Herr Dr. Meier.",), voices["bert"], "de", 1),
        Request(("Hello there.",), voices["bert"], "en", 1),
        Request(("Hello there.",), voices["anna"], "en", 2),
    ]
    together = coqui.say_many(requests)
    for request, one in zip(requests, together, strict=True):
        alone = coqui.say(
            request.sentences, request.voice, language=request.language, seed=request.seed
        )
        assert one.sentence_ends_s == alone.sentence_ends_s
        assert np.allclose(one.samples, alone.samples, atol=1e-5)
    greeting, _, other_voice, other_seed = together
    assert greeting.sample_rate_hz == coqui.sample_rate_hz == 24_000
    assert greeting.samples.dtype == np.float32
    for other in (other_voice, other_seed):
        assert other.samples.shape != greeting.samples.shape or not np.allclose(
            other.samples, greeting.samples
        )
    # sentences end where their sound does, and are apart
    first_s, second_s = greeting.sentence_ends_s
    assert second_s == pytest.approx(len(greeting.samples) / 24_000)
    pause = greeting.samples[round(first_s * 24_000) : round((first_s + 0.1) * 24_000)]
    assert np.all(pause == 0)
    assert greeting.samples[round(first_s * 24_000) - 400 :][:300].any()


def test_half_precision_speaks_too(folder: Path, voices: dict[str, Voice]) -> None:
    with closing(CoquiVoicer(folder, device="cpu", precision="bfloat16")) as half:
        speech = half.say(["Hi."], voices["anna"], language="en", seed=1)
    assert np.isfinite(speech.samples).all()
    assert np.abs(speech.samples).max() > 1e-3
    assert speech.sentence_ends_s == (len(speech.samples) / speech.sample_rate_hz,)


def test_streamed_chunks_join_to_what_is_said(coqui: CoquiVoicer, voices: dict[str, Voice]) -> None:
    sentences = ("Hello there.", "Now listen.", "That is all.")
    chunks = list(coqui.stream(sentences, voices["bert"], language="en", seed=3))
    assert len(chunks) == len(sentences)
    whole = coqui.say(sentences, voices["bert"], language="en", seed=3)
    assert np.allclose(np.concatenate(chunks), whole.samples, atol=1e-5)


def test_what_does_not_end_is_tried_again_and_cut(
    folder: Path, voices: dict[str, Voice], tmp_path: Path
) -> None:
    endless = CoquiVoicer(make_tiny_xtts(tmp_path / "endless", stop_bias=-100.0), device="cpu")
    network = endless._open()
    speech = endless.say(["Well."], voices["anna"], language="en", seed=1)
    longest_s = network.longest_tokens * network.token_s
    assert 0 < len(speech.samples) / speech.sample_rate_hz < longest_s + 0.1
    # the limit goes with the text, as far as the network can go
    request = Request(("Yes.", "No, " * 40 + "no."), voices["anna"], "en", 1)
    short, long = endless._plan(network, 0, request)
    network.longest_tokens = 10_000
    wide, wider = endless._plan(network, 0, request)
    assert short.longest_tokens == long.longest_tokens == 60
    assert wide.longest_tokens * network.token_s < 2.5
    assert 15 < wider.longest_tokens * network.token_s < 28
    endless.close()
    with pytest.raises(EngineError, match="closed"):
        endless.say(["Well."], voices["anna"], language="en", seed=1)


def test_a_take_that_goes_astray_is_made_again(
    coqui: CoquiVoicer, folder: Path, voices: dict[str, Voice]
) -> None:
    network = coqui._open()
    requests = [
        Request(("Hello there, all of you.",), voices["anna"], "en", seed) for seed in range(12)
    ]
    takes = [
        take
        for number, request in enumerate(requests)
        for take in coqui._plan(network, number, request)
    ]
    once = CoquiVoicer(folder, attempts=1)._decode(network, takes, requests)
    often = CoquiVoicer(folder, attempts=8)._decode(network, takes, requests)
    good = [_is_believable(one, take) for one, take in zip(once, takes, strict=True)]
    better = [_is_believable(one, take) for one, take in zip(often, takes, strict=True)]
    assert 0 < sum(good) < sum(better)
    for kept, before, well in zip(often, once, good, strict=True):
        if well:
            assert kept.tokens == before.tokens  # no need to try again


def test_texts_that_cannot_be_spoken_are_told(
    coqui: CoquiVoicer, voices: dict[str, Voice], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = voices["anna"]
    with pytest.raises(VoiceError, match="does not speak 'fi'"):
        coqui.say(["Hei."], anna, language="fi", seed=1)
    with pytest.raises(EngineError, match="nothing to say"):
        coqui.say(["Hello.", '""'], anna, language="en", seed=1)
    with pytest.raises(EngineError, match="nothing to say"):
        coqui.say([], anna, language="en", seed=1)
    # more tokens than the network takes: cut again rather than cut off
    network = coqui._open()
    many = "one2three " * 24
    monkeypatch.setattr(network, "longest_text_tokens", 100)
    takes = coqui._plan(network, 0, Request((many,), anna, "en", 1))
    assert len(takes) > 1
    assert all(len(take.tokens) <= 100 for take in takes)
    assert " ".join(take.piece.text for take in takes) == f"{many.strip()}."


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("ar", "مرحبا بكم."),
        ("cs", "Dobrý večer."),
        ("de", "Guten Abend."),
        ("en", "Hello."),
        ("es", "Buenas noches."),
        ("fr", "Bonsoir."),
        ("hi", "नमस्ते।"),
        ("hu", "Jó estét."),
        ("it", "Buona sera."),
        ("ja", "こんばんは。"),
        ("ko", "안녕하세요."),
        ("nl", "Goedenavond."),
        ("pl", "Dobry wieczór."),
        ("pt", "Boa noite."),
        ("ru", "Добрый вечер."),
        ("tr", "İyi akşamlar."),
        ("zh", "晚上好。"),
    ],
)
def test_each_language_is_spelled_with_its_own_mark(
    coqui: CoquiVoicer, voices: dict[str, Voice], language: str, text: str
) -> None:
    network = coqui._open()
    request = Request((text,), voices["anna"], f"{language}-XX", 1)
    speller = {"ja": "cutlet", "zh": "pypinyin"}.get(language)
    if speller and importlib.util.find_spec(speller) is None:
        with pytest.raises(EngineMissing, match=rf"only with a package.*pip install {speller}"):
            coqui._plan(network, 0, request)
        return
    (take,) = coqui._plan(network, 0, request)
    mark = "[zh-cn]" if language == "zh" else f"[{language}]"
    assert take.tokens[0] == network._model.tokenizer.tokenizer.token_to_id(mark)
    assert len(take.tokens) > 3


def test_english_is_not_spelled_out_twice(coqui: CoquiVoicer) -> None:
    network = coqui._open()
    decode = network._model.tokenizer.decode
    assert decode(network.encode("It was in the co.", "en")) == "[en]it was in the co."
    assert "doktor" in decode(network.encode("Herr Dr. Meier", "de"))


def test_a_script_is_spoken_by_the_stage(
    coqui: CoquiVoicer, voices: dict[str, Voice], tmp_path: Path
) -> None:
    script = make_script(("host", "Good evening. Shall we begin?"))
    jobs = plan_clips(script, {"host": voices["anna"]}, {"coqui": coqui.id})
    clip = render_clip(coqui, jobs[0], tmp_path)
    assert [segment.text for segment in clip.sentences] == ["Good evening.", "Shall we begin?"]
    assert clip.sample_rate_hz == 24_000
    assert (tmp_path / clip.path).stat().st_size > 1000


def test_nothing_is_printed(
    folder: Path, voices: dict[str, Voice], capfd: pytest.CaptureFixture[str]
) -> None:
    engine = CoquiVoicer(folder, device="cpu")
    engine.say(["Hello."], voices["bert"], language="en", seed=1)
    engine.close()
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == ""
