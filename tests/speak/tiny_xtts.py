"""A small random XTTS on disk: the real class, its checkpoint, its settings, its vocabulary."""

import json
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from podcaster.audio import write_wav
from podcaster.model import Consent, Voice

LANGUAGES = "en es fr de it pt pl tr ru nl cs ar zh-cn hu ko ja hi".split()  # noqa: SIM905
LETTERS = (
    "abcdefghijklmnopqrstuvwxyzàâäáåãæçčďèéêëěğìíîïıñňòóôöőõøřśšşťùúûüůűýžźżßąćęłń"
    "абвгдежзийклмнопрстуфхцчшщъыьэюяё.,;:!?'-¿¡0123456789"
)
CONSENT = Consent(kind="self", by="A Test", on="2026-11-20", proof="this file")
ARGUMENTS = {
    "gpt_max_audio_tokens": 63,
    "gpt_max_text_tokens": 402,
    "gpt_layers": 2,
    "gpt_n_model_channels": 64,
    "gpt_n_heads": 4,
    "gpt_num_audio_tokens": 98,
    "gpt_start_audio_token": 96,
    "gpt_stop_audio_token": 97,
    "gpt_use_perceiver_resampler": True,
    "gpt_code_stride_len": 256,  # a quarter of XTTS-v2's: the vocoder is what takes time
    "decoder_input_dim": 64,
}


def make_tiny_xtts(folder: Path, *, seed: int = 0, stop_bias: float = 0.5) -> Path:
    """Write config.json, vocab.json and model.pth into `folder`, as the hub's are.

    The checkpoint names coqui-tts's own classes beside the weights, as XTTS-v2's does. The end of
    speech is less likely the lower `stop_bias`.
    """
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    config = {"model": "xtts", "model_args": ARGUMENTS, "temperature": 0.75, "top_k": 50}
    config |= {"repetition_penalty": 5.0, "top_p": 0.85, "gpt_cond_len": 12}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    _write_vocabulary(folder / "vocab.json")
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        model = _build(folder)
        with torch.no_grad():
            # random weights say nothing loud: louder, and different enough to be told apart
            for name, weight in model.gpt.named_parameters():
                if weight.ndim > 1 and ("gpt.h." in name or "embedding" in name):
                    weight.mul_(6.0)
            model.gpt.mel_head.bias[ARGUMENTS["gpt_stop_audio_token"]] = stop_bias
        _save(model, folder / "model.pth")
    return folder


def write_reference(path: Path, pitch_hz: float, *, seconds: float = 3.0) -> Path:
    """A buzz that swells and falls, at 22,050 Hz: enough of a voice for a random network."""
    rate_hz = 22_050
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    buzz = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 12))
    swell = 0.2 * (1.1 + np.sin(2 * np.pi * 3.0 * t))
    write_wav(path, (0.4 * buzz * swell).astype(np.float32), rate_hz)
    return path


def make_voice(folder: Path, pitch_hz: float, **fields: Any) -> Voice:
    """Somebody's own voice, with one reference and a consent, unless `fields` say otherwise."""
    folder.mkdir(exist_ok=True)
    reference = write_reference(folder / "reference.wav", pitch_hz)
    known: dict[str, Any] = {
        "name": folder.name,
        "engine": "coqui",
        "description": "A buzz.",
        "languages": ("en", "de"),
        "words_per_minute": 165.0,
        "licence": "none",
        "sha256": f"{round(pitch_hz):064d}",
        "references": (str(reference),),
        "consent": CONSENT,
    }
    return Voice(**{**known, **fields})


def _build(folder: Path) -> Any:
    from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
    from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
    from TTS.tts.models.xtts import Xtts

    tokenizer = VoiceBpeTokenizer(vocab_file=folder / "vocab.json")
    arguments = XttsArgs(**ARGUMENTS)
    arguments.gpt_number_text_tokens = tokenizer.get_number_tokens()
    arguments.gpt_start_text_token = tokenizer.tokenizer.token_to_id("[START]")
    arguments.gpt_stop_text_token = tokenizer.tokenizer.token_to_id("[STOP]")
    model = Xtts(XttsConfig(model_args=arguments))
    model.tokenizer = tokenizer
    return model


def _save(model: Any, path: Path) -> None:
    """Save as XTTS-v2 was saved: with older names of weight norms, and of classes' modules."""
    import torch
    from TTS.tts.configs.xtts_config import XttsArgs, XttsAudioConfig

    norms = {"parametrizations.weight.original0": "weight_g"}
    norms["parametrizations.weight.original1"] = "weight_v"
    weights = {
        name.replace(norm, norms[norm])
        if (norm := name[name.find("param") :]) in norms
        else name: w
        for name, w in model.state_dict().items()
    }
    assert any(name.endswith("weight_g") for name in weights)
    legacy = "TTS.tts.models.xtts"
    before = XttsArgs.__module__
    try:
        XttsArgs.__module__ = XttsAudioConfig.__module__ = legacy
        torch.save({"config": model.config, "model": weights}, path)
    finally:
        XttsArgs.__module__ = XttsAudioConfig.__module__ = before


def _write_vocabulary(path: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import Whitespace

    special = ["[STOP]", "[UNK]", "[SPACE]", *(f"[{one}]" for one in LANGUAGES), "[START]"]
    pieces = [*special, *dict.fromkeys(LETTERS)]
    rng = random.Random(5)
    merges: list[tuple[str, str]] = []
    for _ in range(40):
        pair = (rng.choice("abcdefghilmnoprstuw"), rng.choice("aeioustrn"))
        if pair not in merges:
            merges.append(pair)
    pieces += dict.fromkeys("".join(pair) for pair in merges)
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=merges, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(path))
