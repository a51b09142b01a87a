"""XTTS from its folder: what must lie there, what identifies it, and loading it as plain data.

coqui-tts's own loader would write into the folder, and lets classes of its own be unpickled; here
a checkpoint is weights and nothing else.
"""

import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

from podcaster.errors import EngineError, foreign
from podcaster.quiet import hush
from podcaster.run import sha256_file

WEIGHTS, CONFIG, VOCABULARY = "model.pth", "config.json", "vocab.json"
LARGEST_CONFIG_BYTES = 1_000_000
_HASH_CHARACTERS = 12
_SHA256 = re.compile(r"[0-9a-f]{64}")
# the classes that XTTS-v2's checkpoint names beside its weights; none of them is loaded
_IGNORED_CLASSES = tuple(
    f"TTS.{module}.{name}"
    for module, names in {
        "tts.configs.xtts_config": ("XttsConfig", "XttsArgs", "XttsAudioConfig"),
        "tts.models.xtts": ("XttsArgs", "XttsAudioConfig"),
        "config.shared_configs": ("BaseDatasetConfig",),
    }.items()
    for name in names
)
# what trainers leave in a checkpoint, and second names of the same weights
_IGNORED_WEIGHTS = (
    "torch_mel_spectrogram_style_encoder.",
    "torch_mel_spectrogram_dvae.",
    "dvae.",
    "gpt.gpt_inference.",
    "gpt.gpt.wte.",
)

# masks that older versions of transformers kept among GPT-2's weights
_MASK = re.compile(r"\.attn\.(masked_)?bias$")

Count = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Token = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]


class Arguments(msgspec.Struct, frozen=True):
    """The part of `model_args` that shapes the network; the rest of it is left out.

    The defaults are those of `XttsArgs`, where they differ from XTTS-v2's.
    """

    gpt_max_audio_tokens: Count = 605
    gpt_max_text_tokens: Count = 402
    gpt_max_prompt_tokens: Count = 70
    gpt_layers: Annotated[int, msgspec.Meta(ge=1, le=200)] = 30
    gpt_n_model_channels: Annotated[int, msgspec.Meta(ge=16, le=8192)] = 1024
    gpt_n_heads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 16
    gpt_num_audio_tokens: Count = 8194
    gpt_start_audio_token: Token = 8192
    gpt_stop_audio_token: Token = 8193
    gpt_code_stride_len: Count = 1024
    gpt_use_perceiver_resampler: bool = False
    input_sample_rate: Annotated[int, msgspec.Meta(ge=8000, le=96_000)] = 22_050
    output_sample_rate: Annotated[int, msgspec.Meta(ge=8000, le=96_000)] = 24_000
    output_hop_length: Count = 256
    decoder_input_dim: Count = 1024
    d_vector_dim: Count = 512
    cond_d_vector_in_each_upsampling_layer: bool = True


class Settings(msgspec.Struct, frozen=True):
    """What we use of a model's config.json: its shape, how it samples, how it listens."""

    model_args: Arguments
    model: str = "xtts"
    temperature: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.75
    top_k: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 50
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.85
    repetition_penalty: Annotated[float, msgspec.Meta(ge=1, le=100)] = 5.0
    gpt_cond_len: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30
    gpt_cond_chunk_len: Annotated[int, msgspec.Meta(ge=1, le=600)] = 4
    max_ref_len: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30
    sound_norm_refs: bool = False


@dataclass(frozen=True)
class Loaded:
    """An `Xtts` with its weights, on the processor, ready to run; and its settings."""

    model: Any
    settings: Settings


def check_folder(folder: Path) -> None:
    """Raise EngineError unless all that is needed of an XTTS model lies in `folder`."""
    missing = [name for name in (WEIGHTS, CONFIG, VOCABULARY) if not (folder / name).is_file()]
    if missing:
        found = f"there is no {' and no '.join(missing)} in it" if folder.is_dir() else "it is none"
        raise EngineError(
            f"{folder} is not a folder with an XTTS model: {found}.",
            next_step="Get one with `podcaster setup xtts-v2`.",
        )


def identify(folder: Path) -> str:
    """A hash of a model's files: what decides, with the library, how it sounds.

    Raises EngineError as `check_folder` does, RunError where a file cannot be read.
    """
    check_folder(folder)
    return "-".join(_hash(folder / name)[:_HASH_CHARACTERS] for name in (WEIGHTS, CONFIG)) + (
        "-" + _hash(folder / VOCABULARY)[:4]
    )


def read_settings(folder: Path) -> Settings:
    """Read config.json, strictly in what is used of it. Raises EngineError."""
    path = folder / CONFIG
    doing = f"Reading {path}"
    with foreign(EngineError, doing, OSError), path.open("rb") as file:
        data = file.read(LARGEST_CONFIG_BYTES + 1)
    if len(data) > LARGEST_CONFIG_BYTES:
        raise EngineError(
            f"{path} is larger than {LARGEST_CONFIG_BYTES:,} bytes, which no XTTS model needs."
        )
    with foreign(EngineError, doing, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        settings = msgspec.json.decode(data, type=Settings)
    arguments = settings.model_args
    if settings.model != "xtts" or not arguments.gpt_use_perceiver_resampler:
        raise EngineError(
            f"{path} describes a {settings.model[:40]!r} model "
            f"{'of the first version ' if settings.model == 'xtts' else ''}"
            "where one of XTTS-v2 was expected.",
            next_step="Get XTTS-v2 with `podcaster setup xtts-v2`.",
        )
    if arguments.gpt_n_model_channels % arguments.gpt_n_heads or not (
        max(arguments.gpt_start_audio_token, arguments.gpt_stop_audio_token)
        < arguments.gpt_num_audio_tokens
    ):
        raise EngineError(f"{path} contradicts itself: its heads or its tokens do not fit.")
    return settings


def load(folder: Path) -> Loaded:
    """Build the `Xtts` of a folder and give it its weights; nothing is unpickled or written.

    Raises EngineError where a file is damaged, or the weights are another network's.
    """
    check_folder(folder)
    settings = read_settings(folder)
    hush()
    doing = f"Loading the XTTS model in {folder}"
    # importing coqui-tts takes ten seconds and warns of what nobody can change
    with warnings.catch_warnings(), foreign(EngineError, doing):
        warnings.simplefilter("ignore")
        from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
        from TTS.tts.layers.xtts.tokenizer import VoiceBpeTokenizer
        from TTS.tts.models.xtts import Xtts

        tokenizer = VoiceBpeTokenizer(vocab_file=folder / VOCABULARY)
        arguments = XttsArgs(**msgspec.structs.asdict(settings.model_args))
        arguments.gpt_number_text_tokens = tokenizer.get_number_tokens()
        arguments.gpt_start_text_token = _token(tokenizer, "[START]", folder)
        arguments.gpt_stop_text_token = _token(tokenizer, "[STOP]", folder)
        model = Xtts(XttsConfig(model_args=arguments))
        model.tokenizer = tokenizer
        _give_weights(model, _read_weights(folder / WEIGHTS), folder / WEIGHTS)
        # `Xtts.eval` would build a second network for the library's own loop
        model.train(False)
        model.requires_grad_(False)
    return Loaded(model, settings)


class _Ignored:
    """Takes the place of every class that a checkpoint names."""


def _read_weights(path: Path) -> dict[str, Any]:
    import torch

    # (what stands in for a class, the class's full name)
    inert: list[Any] = [(_Ignored, name) for name in _IGNORED_CLASSES]
    with torch.serialization.safe_globals(inert):
        checkpoint = torch.load(
            path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    weights = checkpoint.get("model", checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(weights, Mapping) or not weights:
        raise EngineError(f"{path} holds no weights.")
    named = {str(name).removeprefix("xtts."): tensor for name, tensor in weights.items()}
    return {
        name: one
        for name, one in named.items()
        if not name.startswith(_IGNORED_WEIGHTS) and not _MASK.search(name)
    }


def _give_weights(model: Any, weights: Mapping[str, Any], path: Path) -> None:
    """Give a model its weights, all of them. Raises EngineError where they are another's."""
    try:
        # torch itself knows the older names of weight norms, which XTTS-v2's checkpoint has
        wrong = model.load_state_dict(weights, strict=False)
        found = [f"lacks {name[:80]!r}" for name in wrong.missing_keys]
        found += [f"has a {name[:80]!r} too many" for name in wrong.unexpected_keys]
    except RuntimeError as error:
        found = [line.strip().rstrip(".") for line in str(error).splitlines()[1:2]]
    if found:
        raise EngineError(
            f"{path} does not fit {CONFIG} beside it: {found[0]}.",
            next_step="Put the files of one model side by side.",
        )


def _token(tokenizer: Any, name: str, folder: Path) -> int:
    found = tokenizer.tokenizer.token_to_id(name)
    if found is None:
        raise EngineError(f"{folder / VOCABULARY} lacks the token {name}, expected XTTS's.")
    return int(found)


def _hash(path: Path) -> str:
    # in the hub's cache a large file is called by its hash, which was checked when it came
    blob = path.resolve()
    if _SHA256.fullmatch(blob.name):
        return blob.name
    state = blob.stat()
    return _hash_once(blob, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=64)
def _hash_once(path: Path, size_bytes: int, changed_ns: int) -> str:
    return sha256_file(path)
