"""An XTTS that is loaded: on its device, in its precision, with the voices that it has met."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from podcaster.errors import EngineError
from podcaster.model import Voice
from podcaster.speak.coqui.conditioning import Conditioning, find_conditioning
from podcaster.speak.coqui.decoding import Decoded, Decoder, Row, Sampling
from podcaster.speak.coqui.model import load
from podcaster.speak.engine import Samples

_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Network:
    """The model in `folder` on `device` (`cpu`, `cuda`), its GPT in `precision`.

    Its conditioning and its vocoder stay in float32: they are a small part of the work.
    Raises EngineError as `load` does.
    """

    def __init__(
        self, folder: Path, *, model_id: str, device: str, precision: str, batch_size: int
    ) -> None:
        loaded = load(folder)
        self._model, self._settings, self._model_id = loaded.model, loaded.settings, model_id
        _fold_weight_norms(self._model.hifigan_decoder.waveform_decoder)
        self._model.to(device)
        settings = loaded.settings
        sampling = Sampling(
            settings.temperature, settings.top_k, settings.top_p, settings.repetition_penalty
        )
        dtype = _DTYPES[precision]
        self._decoder = Decoder(self._model.gpt, sampling, batch_size=batch_size, dtype=dtype)
        del self._model.gpt.gpt.h  # the decoder has its own copy, laid out for it
        self._voices: dict[str, Conditioning] = {}
        self.rate_hz = settings.model_args.output_sample_rate
        arguments = settings.model_args
        self.token_s = arguments.gpt_code_stride_len / arguments.input_sample_rate
        self.longest_tokens = self._decoder.longest_tokens
        self.longest_text_tokens = self._decoder.longest_text_tokens

    def encode(self, text: str, language: str) -> list[int]:
        """The tokens of a text. Raises ImportError where a language needs another package.

        English comes spelled out already: the library's own rules would only make a doctor of
        every `dr.`, and a fort of every `ft.`, that ends a sentence.
        """
        tokenizer = self._model.tokenizer
        code = "zh-cn" if language == "zh" else language
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if language != "en":
                text = tokenizer.preprocess_text(text, language)
        spelled = f"[{code}]{' '.join(text.lower().split())}".replace(" ", "[SPACE]")
        ids: list[int] = tokenizer.tokenizer.encode(spelled).ids
        return ids

    def count_tokens(self, seconds: float) -> int:
        """How many audio tokens last so long."""
        return round(seconds / self.token_s)

    def decode(self, rows: Sequence[tuple[tuple[int, ...], Voice, int, int]]) -> list[Decoded]:
        """Decode text tokens in a voice, with a limit of audio tokens and a seed, each."""
        return self._decoder.decode(
            [Row(text, self.meet(voice).gpt, limit, seed) for text, voice, limit, seed in rows]
        )

    def vocode(self, latents: Any, voice: Voice) -> Samples:
        """Let latents `(n, width)` be heard in a voice: float32 `(n_samples,)`."""
        with torch.inference_mode():
            sound = self._model.hifigan_decoder(latents[None].float(), g=self.meet(voice).speaker)
            samples: Samples = sound.squeeze().float().cpu().numpy()
        if not np.isfinite(samples).all():
            raise EngineError("XTTS's vocoder answered with something other than numbers.")
        return np.clip(samples, -1.0, 1.0)

    def meet(self, voice: Voice) -> Conditioning:
        """A voice's latents, on this device. Raises VoiceError as `find_conditioning` does."""
        known = self._voices.get(voice.sha256)
        if known is None:
            found = find_conditioning(self._model, self._settings, voice, self._model_id)
            device = self._model.device
            known = Conditioning(found.gpt.to(device), found.speaker.to(device))
            self._voices[voice.sha256] = known
        return known

    def close(self) -> None:
        """Let go of the model."""
        del self._model, self._decoder
        self._voices.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _fold_weight_norms(vocoder: Any) -> None:
    """Compute each convolution's weights once, and not every time that it is run."""
    for module in vocoder.modules():
        if is_parametrized(module, "weight"):
            remove_parametrizations(module, "weight")
