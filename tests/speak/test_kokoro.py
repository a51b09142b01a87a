"""The contract of `Voicer`, held by Kokoro's with a tiny model of its shape."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from podcaster import engines
from podcaster.errors import ConfigError, EngineError, EngineMissing, VoiceError
from podcaster.model import Voice
from podcaster.speak.stage import plan_clips, render_clip
from podcaster.speak.voices import read_voice
from tests.speak.conftest import make_script

pytest.importorskip("onnx", reason="onnx, which makes the tiny model, is not installed")

from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.kokoro.clock import KokoroClock
from podcaster.speak.kokoro.phonemes import MOST_TOKENS, SYMBOLS, cut, respell, spell, tokenise
from podcaster.speak.kokoro.styles import format_style, list_stock, parse_style
from podcaster.speak.kokoro.voicer import KokoroVoicer
from tests.speak.tiny_kokoro import RATE_HZ, STOCK, write_tiny_kokoro, write_voices

pytestmark = pytest.mark.engine

SENTENCES = ["That is a wonderful question.", "Do you think so?", "I do, and I will tell you why!"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_kokoro(tmp_path_factory.mktemp("kokoro"))


@pytest.fixture(scope="module")
def kokoro(model: Path) -> Iterator[KokoroVoicer]:
    opened = engines.open_engine("speak", "kokoro", model=str(model), device="cpu", threads=1)
    yield opened
    opened.close()


def make_voice(folder: Path, settings: str = 'voice = "af_heart"') -> Voice:
    path = folder / "heart" / "voice.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        'name = "heart"\ndescription = "A stock voice."\nlicence = "Apache-2.0"\n'
        'words_per_minute = 170\nengine = "kokoro"\nlanguages = ["en", "fr"]\n'
        f"[settings]\n{settings}\n"
    )
    return read_voice(path)


@pytest.fixture
def heart(tmp_path: Path) -> Voice:
    return make_voice(tmp_path)


def test_speech_is_mono_float32_at_24_khz_and_ends_are_exact(
    kokoro: KokoroVoicer, heart: Voice
) -> None:
    speech = kokoro.say(SENTENCES, heart, language="en", seed=1)
    assert speech.samples.dtype == np.float32
    assert speech.samples.ndim == 1
    assert float(np.abs(speech.samples).max()) <= 1.0
    assert speech.sample_rate_hz == RATE_HZ
    assert len(speech.sentence_ends_s) == len(SENTENCES)
    assert speech.sentence_ends_s[-1] == len(speech.samples) / RATE_HZ
    # at each end but the last, sound turns into a pause
    for end_s in speech.sentence_ends_s[:-1]:
        end = round(end_s * RATE_HZ)
        assert np.abs(speech.samples[end - 400 : end]).max() > 0.01
        assert np.abs(speech.samples[end : end + 2400]).max() == 0


def test_the_same_arguments_give_the_same_samples_and_seeds_differ(
    kokoro: KokoroVoicer, model: Path, heart: Voice
) -> None:
    first = kokoro.say(SENTENCES, heart, language="en", seed=1)
    kokoro.say(["Something else in between."], heart, language="fr", seed=9)
    again = kokoro.say(SENTENCES, heart, language="en", seed=1)
    other = kokoro.say(SENTENCES, heart, language="en", seed=2)
    assert np.array_equal(first.samples, again.samples)
    assert first.sentence_ends_s != other.sentence_ends_s
    anew = KokoroVoicer(model=str(model), device="cpu")
    assert anew.id == kokoro.id
    assert np.array_equal(anew.say(SENTENCES, heart, language="en", seed=1).samples, first.samples)
    anew.close()


def test_speed_and_stock_voice_arrive(kokoro: KokoroVoicer, tmp_path: Path) -> None:
    sentence = [SENTENCES[0]]
    plain = kokoro.say(sentence, make_voice(tmp_path), language="en", seed=1)
    fast = make_voice(tmp_path, 'voice = "af_heart"\nspeed = 1.5')
    quick = kokoro.say(sentence, fast, language="en", seed=1)
    assert len(plain.samples) / len(quick.samples) == pytest.approx(1.5, rel=0.04)
    loud = make_voice(tmp_path, 'voice = "am_adam"')
    assert np.abs(kokoro.say(sentence, loud, language="en", seed=1).samples).max() > (
        1.3 * np.abs(plain.samples).max()
    )


def test_a_long_sentence_is_said_to_its_end(
    kokoro: KokoroVoicer, heart: Voice, voicer: EspeakVoicer
) -> None:
    clause = "and then we walked along the river until the sun went down, "
    short = kokoro.say([clause], heart, language="en", seed=1)
    long = kokoro.say([clause * 30], heart, language="en", seed=1)
    (spelled,) = spell(voicer, [clause * 30], "en")
    assert len(spelled) > 3 * MOST_TOKENS  # more than the model takes in one go
    assert len(long.samples) / len(short.samples) == pytest.approx(30, rel=0.1)


def test_what_is_spelled_keeps_its_punctuation_and_is_in_the_model_s_symbols(
    voicer: EspeakVoicer,
) -> None:
    hello, judge = spell(
        voicer, ["Hello there, how are you today?", "The judge watched the little boat."], "en"
    )
    assert hello == "həlˈO ðˈɛɹ, hˌW ɑɹ ju tədˈA?"
    assert "ʤˈʌʤ" in judge
    assert "lˈɪTᵊl bˈOt." in judge
    british = spell(voicer, ["Hello there, the boat!"], "en", british=True)[0]
    assert british == "həlˈQ ðˈɛː, ðə bˈQt!"
    texts = {"en": judge, "gb": british}
    for language, text in {
        "es": "Hola, ¿qué tal el niño?",
        "fr": "Bonjour, le monde du week-end.",
        "hi": "नमस्ते दोस्त।",
        "it": "Ciao, ragazzi!",
        "pt-br": "Olá, meu coração.",
    }.items():
        (texts[language],) = spell(voicer, [text], language)
    for language, spelled in texts.items():
        assert spelled, language
        known = [symbol for symbol in spelled if symbol in SYMBOLS]
        assert len(known) / len(spelled) > 0.9, (language, spelled)


def test_a_foreign_word_s_mark_and_syllabic_letters_are_respelled() -> None:
    assert respell("lə(en)wiːkˈɛnd(fr)", "fr") == "ləwiːkˈɛnd"
    assert respell("bˈʌʔn\u0329", "en") == "bˈʌtᵊn"
    assert respell("həlˈoʊ", "en") == "həlˈO"
    assert respell("nˈɜːs", "en") == "nˈɜɹs"


def test_a_language_that_it_does_not_speak_names_those_that_it_does(
    kokoro: KokoroVoicer, heart: Voice
) -> None:
    with pytest.raises(VoiceError, match="does not speak 'ja'") as caught:
        kokoro.say(["こんにちは"], heart, language="ja", seed=1)
    assert "en, es, fr" in caught.value.next_step


def test_an_unknown_stock_voice_lists_what_there_is(kokoro: KokoroVoicer, tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="no stock voice 'af_nobody'") as caught:
        kokoro.say(SENTENCES, make_voice(tmp_path, 'voice = "af_nobody"'), language="en", seed=1)
    assert all(name in caught.value.next_step for name in STOCK)


@pytest.mark.parametrize("settings", ["", 'voice = "af_heart"\nspeed = 9', 'voice = "../x"'])
def test_wrong_settings_name_the_voice(kokoro: KokoroVoicer, tmp_path: Path, settings: str) -> None:
    with pytest.raises(VoiceError, match="Kokoro settings of voice 'heart' are wrong"):
        kokoro.say(SENTENCES, make_voice(tmp_path, settings), language="en", seed=1)


@pytest.mark.parametrize("text", ["...", "!?", '"', "( )"])
def test_nothing_to_say_is_said(kokoro: KokoroVoicer, heart: Voice, text: str) -> None:
    with pytest.raises(EngineError, match="nothing to say"):
        kokoro.say([text], heart, language="en", seed=1)


def test_a_turn_becomes_a_clip(kokoro: KokoroVoicer, heart: Voice, tmp_path: Path) -> None:
    script = make_script(("host", "Well, it is 20% more. Is it not?"), ("guest", "It is."))
    jobs = plan_clips(script, {"host": heart, "guest": heart}, {"kokoro": kokoro.id})
    clips = [render_clip(kokoro, job, tmp_path) for job in jobs]
    assert [len(clip.sentences) for clip in clips] == [2, 1]
    assert clips[0].sentences[-1].end_s == clips[0].duration_s
    assert (tmp_path / clips[0].path).is_file()


def test_a_newer_export_s_input_is_known(tmp_path: Path, heart: Voice) -> None:
    folder = write_tiny_kokoro(tmp_path / "newer", token_input="input_ids")
    voicer = KokoroVoicer(model=str(folder))
    assert len(voicer.say(SENTENCES, heart, language="en", seed=1).samples)
    voicer.close()
    with pytest.raises(EngineError, match="closed"):
        voicer.say(SENTENCES, heart, language="en", seed=1)


def test_no_model_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(EngineMissing, match="none was named") as caught:
        KokoroVoicer()
    assert "podcaster setup" in caught.value.next_step
    with pytest.raises(EngineMissing, match=r"has 0 files \*.onnx"):
        KokoroVoicer(model=str(tmp_path))
    with pytest.raises(ConfigError, match="device is 'tpu'"):
        KokoroVoicer(model=str(write_tiny_kokoro(tmp_path / "m")), device="tpu")


def test_files_that_are_not_what_they_should_be_are_refused(
    tmp_path: Path, heart: Voice, model: Path
) -> None:
    folder = write_tiny_kokoro(tmp_path / "m")
    voices = folder / "voices-tiny.bin"
    good = voices.read_bytes()

    def refuse(data: bytes, message: str) -> None:
        voices.write_bytes(data)
        with pytest.raises(EngineError, match=message):
            KokoroVoicer(model=str(folder), device="cpu").say(
                SENTENCES, heart, language="en", seed=1
            )

    refuse(good[: len(good) // 2], "Reading the voices in .* failed")
    refuse(b"\x00" * 100, "Reading the voices in .* failed")
    write_voices(voices, {"af_heart": np.zeros((3, 4), dtype=np.float32)})
    refuse(voices.read_bytes(), r"Reading the voice 'af_heart' .* expected float32 \(lengths, 1")
    write_voices(voices, {"af_heart": np.full((5, 1, 256), np.nan, dtype=np.float32)})
    refuse(voices.read_bytes(), "not finite")
    voices.write_bytes(good)
    (folder / "kokoro-tiny.onnx").write_bytes(b"not a model")
    with pytest.raises(EngineError, match="as an ONNX model failed"):
        KokoroVoicer(model=str(folder)).say(SENTENCES, heart, language="en", seed=1)


class Trap:
    """What a hostile file would run while it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("trapped"),)  # type: ignore[return-value]


def test_pickled_voices_are_never_unpickled(
    tmp_path: Path, heart: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write_tiny_kokoro(tmp_path / "m")
    trap = np.array([Trap()], dtype=object)
    write_voices(folder / "voices-tiny.bin", {"af_heart": trap})
    with pytest.raises(EngineError, match="Reading the voice 'af_heart'"):
        KokoroVoicer(model=str(folder)).say(SENTENCES, heart, language="en", seed=1)
    assert not (tmp_path / "trapped").exists()


def test_a_model_of_another_kind_is_refused(tmp_path: Path, heart: Voice) -> None:
    from onnx import TensorProto, helper, save_model

    folder = write_tiny_kokoro(tmp_path / "m")
    value = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["picture"], ["out"])
    graph = helper.make_graph([node], "other", [value], [out])
    opsets = [helper.make_opsetid("", 17)]
    save_model(
        helper.make_model(graph, opset_imports=opsets, ir_version=9), folder / "kokoro-tiny.onnx"
    )
    with pytest.raises(EngineError, match="no Kokoro model: it takes picture"):
        KokoroVoicer(model=str(folder)).say(SENTENCES, heart, language="en", seed=1)


def test_the_stock_voices_of_a_file_are_listed(model: Path) -> None:
    assert list_stock(model / "voices-tiny.bin") == STOCK


def test_parts_are_joined_and_must_have_the_hash_that_was_meant(
    tmp_path: Path, kokoro: KokoroVoicer, model: Path, style: Path
) -> None:
    data = (model / "kokoro-tiny.onnx").read_bytes()
    half = len(data) // 2
    parts = (tmp_path / "1.bin", tmp_path / "2.bin")
    parts[0].write_bytes(data[:half])
    parts[1].write_bytes(data[half:])
    names, sha256 = tuple(str(part) for part in parts), hashlib.sha256(data).hexdigest()
    voice = make_voice(style.parent.parent, f'style = "{style.name}"')
    joined = KokoroVoicer(model=names, sha256=sha256, device="cpu")
    assert joined.id == kokoro.id
    spoken = joined.say(SENTENCES, voice, language="en", seed=1)
    assert np.array_equal(
        spoken.samples, kokoro.say(SENTENCES, voice, language="en", seed=1).samples
    )
    # the stock styles are in a file of their own, which is not among the parts
    with pytest.raises(VoiceError, match="no file of them") as caught:
        joined.say(SENTENCES, make_voice(tmp_path), language="en", seed=1)
    assert "podcaster setup kokoro" in caught.value.next_step
    parts[1].write_bytes(data[half:] + b"more")
    with pytest.raises(EngineMissing, match=f"expected was {sha256}") as missing:
        KokoroVoicer(model=names, sha256=sha256)
    assert "podcaster setup kokoro" in missing.value.next_step


@pytest.fixture
def style(tmp_path: Path) -> Path:
    folder = tmp_path / "heart"
    folder.mkdir()
    rng = np.random.default_rng(3)
    rows = 0.3 + 0.01 * rng.normal(size=(510, 3)) @ rng.normal(size=(3, 256))
    path = folder / "style.npz"
    path.write_bytes(format_style(rows.astype(np.float32)))
    return path


def test_a_style_is_stored_small_and_comes_back(style: Path) -> None:
    data = style.read_bytes()
    assert len(data) < 6_000
    rows = parse_style(data, "a test")
    assert rows.shape == (510, 256)
    assert rows.dtype == np.float32
    again = parse_style(format_style(rows), "a test")
    assert np.abs(again - rows).max() < 1e-3
    assert np.std(rows.mean(axis=1)) > 0.001


@pytest.mark.parametrize("damage", ["cut", "shape", "nan", "pickle", "outside", "both", "neither"])
def test_a_style_that_is_none_is_refused_when_its_voice_is_read(
    style: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(style.parent)
    arrays = dict(np.load(style))
    settings, message = f'style = "{style.name}"', "The style of .*style.npz cannot be read"
    if damage == "cut":
        style.write_bytes(style.read_bytes()[:1000])
    elif damage == "shape":
        write_voices(style, {**arrays, "lengths": arrays["lengths"][:9]})
    elif damage == "nan":
        write_voices(style, {**arrays, "mean": np.full_like(arrays["mean"], np.nan)})
    elif damage == "pickle":
        write_voices(style, {**arrays, "mean": np.array([Trap()], dtype=object)})
    elif damage == "outside":
        settings, message = 'style = "../../secret"', "outside"
    elif damage == "both":
        settings, message = settings + '\nvoice = "af_heart"', "either voice or style"
    else:
        settings, message = "speed = 1.0", "either voice or style"
    with pytest.raises(VoiceError, match=message):
        make_voice(style.parent.parent, settings)
    assert not (style.parent / "trapped").exists()


def test_a_text_too_long_is_cut_at_clauses_into_pieces_of_a_size() -> None:
    clause = "ænd ðɛn wi wˈɔkt ɐlˈɔŋ ðə ɹˈɪvəɹ, "
    pieces = cut(clause * 40)
    assert all(0.4 * MOST_TOKENS < len(piece) <= MOST_TOKENS for piece in pieces)
    assert all(piece.endswith(",") for piece in pieces)
    assert " ".join(pieces) == (clause * 40).strip()
    assert "".join(cut("a" * 1300)) == "a" * 1300
    assert cut("  ") == ()
    assert tokenise("a?§").tolist() == [[0, SYMBOLS["a"], SYMBOLS["?"], 0]]


def test_a_clock_says_how_long_speech_will_be(
    tmp_path: Path, kokoro: KokoroVoicer, model: Path
) -> None:
    # the tiny model is silent for a token at each end, of which the voicer leaves 12 ms
    voice = make_voice(tmp_path, f'voice = "af_heart"\nsilence_s = {2 * (480 / RATE_HZ - 0.012)}')
    clock = KokoroClock(model=str(model), device="cpu")
    for texts in (SENTENCES, SENTENCES[:1], ["and then we walked along the river, " * 30]):
        told = clock.time_s(texts, voice, language="en", seed=5)
        spoken = kokoro.say(texts, voice, language="en", seed=5)
        assert told == pytest.approx(len(spoken.samples) / RATE_HZ, rel=0.02)
    clock.close()
    folder = write_tiny_kokoro(tmp_path / "timeless", durations="duration")
    with pytest.raises(EngineMissing, match="does not tell how long"):
        KokoroClock(model=str(folder))
