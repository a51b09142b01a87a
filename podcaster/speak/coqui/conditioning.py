"""What XTTS needs of a voice: latents of its references, computed once and kept with the voice."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from podcaster.audio import Samples, decode
from podcaster.errors import InputError, RunError, VoiceError
from podcaster.model import Voice
from podcaster.run import atomic_path
from podcaster.speak.coqui.model import Settings
from podcaster.speak.derived import derived_path

RATE_HZ = 22_050  # what XTTS listens at
SHORTEST_S = 0.33  # less gives the network nothing to go by
_VERSION = 1
_LARGEST_FILE_BYTES = 10_000_000


@dataclass(frozen=True)
class Conditioning:
    """A voice to XTTS: latents for its GPT `(1, n, width)`, a speaker embedding `(1, width, 1)`."""

    gpt: Any
    speaker: Any


def find_conditioning(model: Any, settings: Settings, voice: Voice, model_id: str) -> Conditioning:
    """A voice's latents: from the voice's folder, or computed now and put there.

    Float32, on the processor. A folder that cannot be written to costs the same work again, next
    time. Raises VoiceError where the voice has no references, or they cannot be used.
    """
    path = derived_path(voice, f"xtts latents {_VERSION} {model_id}", ".safetensors")
    arguments = settings.model_args
    kept = _read(path, arguments.gpt_n_model_channels, arguments.d_vector_dim)
    if kept is not None:
        return kept
    made = compute_conditioning(model, settings, [Path(one) for one in voice.references])
    tensors = {"gpt": made.gpt.contiguous(), "speaker": made.speaker.contiguous()}
    with suppress(RunError, SafetensorError), atomic_path(path) as temporary:
        save_file(tensors, temporary)
    return made


def compute_conditioning(
    model: Any, settings: Settings, references: Sequence[Path]
) -> Conditioning:
    """Listen to a voice's references as XTTS's own `get_conditioning_latents` does.

    They are decoded by us: torchaudio would need FFmpeg's programs. Raises VoiceError where they
    are no sound, or none of them lasts `SHORTEST_S`.
    """
    sounds = [_hear(path, settings) for path in references]
    heard = [sound for sound in sounds if sound.shape[1] >= SHORTEST_S * RATE_HZ]
    if not heard:
        raise VoiceError(
            f"No reference of the voice lasts {SHORTEST_S:g} s or more: {references[0]} is too "
            "short to be cloned.",
            next_step="Add recordings of 6 to 30 s in which nobody else speaks.",
        )
    with torch.inference_mode():
        embeddings = [model.get_speaker_embedding(sound, RATE_HZ) for sound in heard]
        latents = model.get_gpt_cond_latents(
            torch.cat(heard, dim=-1),
            RATE_HZ,
            length=settings.gpt_cond_len,
            chunk_length=settings.gpt_cond_chunk_len,
        )
        speaker = torch.stack(embeddings).mean(dim=0)
    return Conditioning(latents.float().cpu(), speaker.float().cpu())


def _hear(path: Path, settings: Settings) -> Any:
    """The beginning of a reference, `(1, n_samples)`, as far as XTTS listens."""
    limit = settings.max_ref_len * RATE_HZ
    blocks: list[Samples] = []
    try:
        for block in decode(path, RATE_HZ, 1):
            blocks.append(block)
            if sum(map(len, blocks)) >= limit:
                break
    except InputError as error:
        raise VoiceError(error.message, next_step=error.next_step) from error
    sound = torch.from_numpy(np.concatenate(blocks)[:limit])[None].clamp(-1, 1)
    if settings.sound_norm_refs:
        sound = sound / sound.abs().max().clamp(min=1e-6) * 0.75
    return sound


def _read(path: Path, width: int, speaker_width: int) -> Conditioning | None:
    """What was kept; None where there is nothing, or something else than latents."""
    try:
        if not 0 < path.stat().st_size <= _LARGEST_FILE_BYTES:
            return None
        tensors = load_file(path)
        kept = Conditioning(tensors["gpt"], tensors["speaker"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    fits = (
        kept.gpt.dtype == kept.speaker.dtype == torch.float32
        and kept.gpt.ndim == 3
        and kept.gpt.shape[0] == 1
        and 1 <= kept.gpt.shape[1] <= 1000
        and kept.gpt.shape[2] == width
        and tuple(kept.speaker.shape) == (1, speaker_width, 1)
        and bool(torch.isfinite(kept.gpt).all())
        and bool(torch.isfinite(kept.speaker).all())
    )
    return kept if fits else None
