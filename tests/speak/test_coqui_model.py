"""A small random `Xtts`, loaded and decoded by us, beside what coqui-tts makes of the same."""

import importlib.util
import json
import pickle
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podcaster.errors import ConfigError, EngineError
from podcaster.model import Voice
from tests.speak.tiny_xtts import make_tiny_xtts, make_voice

torch = pytest.importorskip("torch", reason="XTTS runs on torch (extra tts)")
if importlib.util.find_spec("TTS") is None:
    pytest.skip("coqui-tts is not installed (extra tts)", allow_module_level=True)

from podcaster.speak.coqui.conditioning import compute_conditioning  # noqa: E402
from podcaster.speak.coqui.decoding import (  # noqa: E402
    Decoded,
    Decoder,
    Row,
    Sampling,
    choose_tokens,
)
from podcaster.speak.coqui.model import Loaded, identify, load, read_settings  # noqa: E402
from podcaster.speak.coqui.voicer import CoquiVoicer  # noqa: E402

GREEDY = Sampling(temperature=0, top_k=0, top_p=1.0, repetition_penalty=5.0)
USUAL = Sampling(temperature=0.75, top_k=50, top_p=0.85, repetition_penalty=5.0)
TEXTS = (
    "hello there.",
    "this one is longer by far, and it has a clause.",
    "yes.",
    "once more, for good measure.",
    "what?",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(2)
    return make_tiny_xtts(tmp_path_factory.mktemp("xtts"))


@pytest.fixture(scope="module")
def loaded(folder: Path) -> Loaded:
    """A model with the library's own decoding set up as well."""
    model = load(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.model.eval()
    return model


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Voice]:
    return {
        name: make_voice(tmp_path_factory.mktemp("voices") / name, pitch_hz)
        for name, pitch_hz in (("anna", 210.0), ("bert", 95.0))
    }


def make_rows(loaded: Loaded, voices: dict[str, Voice], longest: int = 60) -> list[Row]:
    latents = [
        compute_conditioning(loaded.model, loaded.settings, [Path(voice.references[0])]).gpt
        for voice in voices.values()
    ]
    encode = loaded.model.tokenizer.encode
    return [
        Row(tuple(encode(text, lang="en")), latents[index % 2], longest, seed=index)
        for index, text in enumerate(TEXTS)
    ]


def assert_same(some: list[Decoded], others: list[Decoded]) -> None:
    assert len(some) == len(others) > 0
    for one, other in zip(some, others, strict=True):
        assert one.tokens == other.tokens
        assert one.stopped == other.stopped
        assert torch.allclose(one.latents, other.latents, atol=1e-4)


def test_a_checkpoint_like_the_hubs_is_loaded_and_left_as_it_is(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    # what plain torch makes of it: classes that have to be allowed
    with pytest.raises(pickle.UnpicklingError, match="XttsConfig"):
        torch.load(folder / "model.pth", weights_only=True)
    model = load(folder).model
    weights = torch.load(folder / "model.pth", weights_only=False)["model"]
    assert torch.equal(model.gpt.mel_head.weight, weights["gpt.mel_head.weight"])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_checkpoint_that_would_run_code_is_refused(folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    copy = shutil.copytree(folder, tmp_path / "copy")

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (mark,)

    torch.save({"config": Evil(), "model": {}}, copy / "model.pth")
    with pytest.raises(EngineError, match="Loading the XTTS model"):
        load(copy)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gpt_layers": 3}, r"does not fit config\.json beside it: lacks 'gpt\.gpt\.h\.2"),
        ({"gpt_layers": 1}, r"beside it: has a 'gpt\.gpt\.h\.1.*too many"),
        ({"gpt_num_audio_tokens": 99}, "beside it: size mismatch for gpt"),
        ({"gpt_use_perceiver_resampler": False}, "of the first version"),
        ({"gpt_layers": 10**9}, "gpt_layers"),
        ({"gpt_n_heads": 7}, "contradicts itself"),
        ({"gpt_layers": "many"}, "gpt_layers"),
    ],
)
def test_settings_that_cannot_be_are_told(
    folder: Path, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text("utf-8"))
    config["model_args"] |= change
    (copy / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(EngineError, match=told):
        load(copy)


def test_a_folder_without_a_model_says_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(EngineError, match=r"no model\.pth and no vocab\.json.*setup xtts-v2"):
        CoquiVoicer(tmp_path)
    (tmp_path / "config.json").write_bytes(b"\xff{")
    with pytest.raises(EngineError, match=r"Reading .*config"):
        read_settings(tmp_path)


def test_the_id_goes_with_the_files(folder: Path, tmp_path: Path) -> None:
    assert identify(folder) == identify(folder)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert identify(copy) == identify(folder)
    vocabulary = (copy / "vocab.json").read_bytes()
    (copy / "vocab.json").write_bytes(vocabulary + b"\n")
    assert identify(copy) != identify(folder)
    engine = CoquiVoicer(folder)
    assert identify(folder) in engine.id
    assert "coqui-tts 0." in engine.id


def test_wrong_settings_are_told(folder: Path) -> None:
    with pytest.raises(ConfigError, match="device is 'tpu', expected one of auto, cpu, cuda"):
        CoquiVoicer(folder, device="tpu")
    with pytest.raises(ConfigError, match="precision"):
        CoquiVoicer(folder, precision="int4")
    with pytest.raises(ConfigError, match="attempts 0"):
        CoquiVoicer(folder, attempts=0)


def test_greedy_tokens_and_sound_are_the_librarys(loaded: Loaded, voices: dict[str, Voice]) -> None:
    rows = make_rows(loaded, voices)
    model = loaded.model
    longest = model.gpt.max_gen_mel_tokens
    alone = Decoder(model.gpt, GREEDY, batch_size=1, dtype=torch.float32).decode(rows)
    voice = Path(voices["anna"].references[0])
    conditioning = compute_conditioning(model, loaded.settings, [voice])
    assert len({len(one.tokens) for one in alone}) > 1
    for text, row, one in zip(TEXTS, rows, alone, strict=True):
        assert row.longest_tokens == longest
        with torch.inference_mode():
            codes = model.gpt.generate(
                cond_latents=row.conditioning,
                text_inputs=torch.tensor([row.text_tokens]),
                do_sample=False,
                num_beams=1,
                repetition_penalty=GREEDY.repetition_penalty,
            )
        assert tuple(codes[0].tolist()) == one.tokens, text
    theirs = model.inference(
        TEXTS[0],
        "en",
        conditioning.gpt,
        conditioning.speaker,
        do_sample=False,
        repetition_penalty=GREEDY.repetition_penalty,
    )["wav"]
    with torch.inference_mode():
        ours = model.hifigan_decoder(alone[0].latents[None], g=conditioning.speaker)
    assert np.abs(theirs).max() > 1e-3
    assert np.allclose(ours.squeeze().numpy(), theirs, atol=1e-5)


@pytest.mark.parametrize("sampling", [GREEDY, USUAL])
@pytest.mark.parametrize("batch_size", [2, 8])
def test_a_row_is_the_same_alone_and_among_others(
    loaded: Loaded, voices: dict[str, Voice], sampling: Sampling, batch_size: int
) -> None:
    rows = make_rows(loaded, voices)
    alone = Decoder(loaded.model.gpt, sampling, batch_size=1, dtype=torch.float32)
    many = Decoder(loaded.model.gpt, sampling, batch_size=batch_size, dtype=torch.float32)
    each = [alone.decode([row])[0] for row in rows]
    assert len({len(one.tokens) for one in each}) > 1  # they end at different times
    assert_same(many.decode(rows), each)
    assert_same(many.decode(rows[::-1]), each[::-1])
    assert many.decode([]) == []


def test_each_row_has_its_own_limit_and_seed(loaded: Loaded, voices: dict[str, Voice]) -> None:
    row = make_rows(loaded, voices)[1]
    never = Sampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0)
    decoder = Decoder(loaded.model.gpt, never, batch_size=4, dtype=torch.float32)
    rows = [
        Row(row.text_tokens, row.conditioning, limit, seed)
        for limit, seed in ((7, 1), (7, 2), (5, 1), (1, 1))
    ]
    one, other, shorter, shortest = (answer.tokens for answer in decoder.decode(rows))
    assert len(one) <= 7
    assert one != other
    assert one[: len(shorter)] == shorter
    assert one[:1] == shortest


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays_near(loaded: Loaded, voices: dict[str, Voice], dtype: Any) -> None:
    rows = make_rows(loaded, voices)
    full, half = (
        Decoder(loaded.model.gpt, GREEDY, batch_size=8, dtype=one).decode(rows)
        for one in (torch.float32, dtype)
    )
    for one, other in zip(full, half, strict=True):
        assert other.latents.dtype == torch.float32
        first = torch.nn.functional.cosine_similarity(one.latents[0], other.latents[0], dim=0)
        assert first > 0.99


def test_tokens_are_drawn_as_transformers_draws_them() -> None:
    from transformers.generation import logits_process as processes

    generator = torch.Generator().manual_seed(1)
    scores = 3 * torch.randn(4, 200, generator=generator)
    said = torch.zeros(4, 200, dtype=torch.bool)
    said[:, ::7] = True
    ids = torch.arange(0, 200, 7)[None].expand(4, -1)
    theirs = processes.RepetitionPenaltyLogitsProcessor(5.0)(ids, scores.clone())
    for process in (
        processes.TemperatureLogitsWarper(0.75),
        processes.TopKLogitsWarper(50),
        processes.TopPLogitsWarper(0.85),
    ):
        theirs = process(ids, theirs)
    expected = torch.softmax(theirs, dim=-1)
    steps = 4000
    draws = (torch.arange(steps) + 0.5) / steps
    for row in range(4):
        chosen = choose_tokens(
            scores[row].expand(steps, -1), said[row].expand(steps, -1), draws, USUAL
        )
        counted = torch.bincount(chosen, minlength=200) / steps
        assert torch.allclose(counted, expected[row], atol=2 / steps)
    # the ends of the scale belong to the first and the last that may be drawn
    for draw in (0.0, 1.0 - 2**-24, 1.0):
        chosen = choose_tokens(scores, said, torch.full((4,), draw), USUAL)
        assert bool((expected[torch.arange(4), chosen] > 0).all())


def test_numbers_that_are_none_are_told(loaded: Loaded, voices: dict[str, Voice]) -> None:
    (row, *_) = make_rows(loaded, voices)
    broken = Row(row.text_tokens, row.conditioning * float("nan"), 4, 0)
    decoder = Decoder(loaded.model.gpt, USUAL, batch_size=1, dtype=torch.float32)
    with pytest.raises(EngineError, match=r"other than numbers.*precision = 'float32'"):
        decoder.decode([broken])
