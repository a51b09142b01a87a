"""Word times by forced alignment: whisperX with a wav2vec 2.0 model of the language.

Whisper's own word times are good to some tenths of a second; a model that spells in characters,
20 ms at a time, knows better. Nothing is ever downloaded here, and no ffmpeg program is needed:
whisperX gets arrays.
"""

import io
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from whisperx import alignment

from podcaster.audio import Samples
from podcaster.errors import EngineError, PodcasterError
from podcaster.model import Utterance, Word
from podcaster.transcribe.engine import SAMPLE_RATE_HZ
from podcaster.transcribe.models import ALIGNER_PACKAGES, find_aligner_folder, identify
from podcaster.transcribe.utterances import (
    LANGUAGES_WITHOUT_SPACES,
    in_order,
    primary_language,
)

LONGEST_GROUP_S = 30.0
GAP_S = 1.0  # utterances closer than this are aligned together: cutting between them would hurt
MARGIN_S = 0.3  # Whisper's first and last word may be off by as much
_OUT_OF_MEMORY = re.compile(r"out of memory|bad_alloc", re.IGNORECASE)


class _WholeText:
    """A sentence splitter that does not split: we have utterances."""

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


# whisperX loads NLTK's sentence splitter from here, and would download it
alignment.nltk_load = lambda _: _WholeText()


@dataclass
class _Loaded:
    language: str
    id: str
    network: Any
    metadata: dict[str, Any]
    normalised: bool


class WhisperXAligner:
    """An `Aligner` on whisperX. `model` is a folder (transformers' Wav2Vec2ForCTC and processor);
    empty: the language's model, where `podcaster setup align-…` put it.

    `device` is `auto`, `cpu` or `cuda`. Models are loaded when their language first comes.
    """

    def __init__(self, *, model: str = "", device: str = "auto") -> None:
        self._model = model
        here = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = here if device == "auto" else device
        self._loaded: _Loaded | None = None

    @property
    def id(self) -> str:
        """Versions of whisperX and torch, and the model last used, with a hash of its files."""
        if self._loaded is None:
            return "whisperx"
        return self._loaded.id

    def align(
        self, samples: Samples, utterances: Sequence[Utterance], *, language: str
    ) -> tuple[Utterance, ...]:
        """Time the words of utterances in float32 mono `(n_samples,)` at 16 kHz; see `Aligner`."""
        loaded = self._load(primary_language(language))
        duration_s = len(samples) / SAMPLE_RATE_HZ
        aligned = list(utterances)
        after_s = 0.0
        for group in _group(utterances, duration_s):
            times = self._time(samples, group, loaded)
            for index, words in _share_out(utterances, group, times).items():
                ordered = tuple(in_order(words, duration_s, after_s))
                after_s = ordered[-1].end_s
                aligned[index] = msgspec.structs.replace(
                    utterances[index],
                    words=ordered,
                    start_s=ordered[0].start_s,
                    end_s=ordered[-1].end_s,
                )
            after_s = max(after_s, aligned[group.members[-1]].end_s or 0.0)
        return tuple(aligned)

    def close(self) -> None:
        """Give the model's memory back."""
        self._loaded = None
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def _load(self, language: str) -> _Loaded:
        if self._loaded is not None and self._loaded.language == language:
            return self._loaded
        folder = find_aligner_folder(language, self._model)
        printed = io.StringIO()
        with _explaining(f"Loading the alignment model in {folder}", printed):
            with warnings.catch_warnings(), redirect_stdout(printed):  # it prints its reasons
                warnings.simplefilter("ignore")
                network, metadata = alignment.load_align_model(
                    language, self._device, model_name=str(folder), model_cache_only=True
                )
            network.eval()
            described = json.loads((folder / "preprocessor_config.json").read_bytes())
            normalised = bool(described.get("do_normalize", True))
        self._loaded = _Loaded(
            language, identify(ALIGNER_PACKAGES, folder), network, metadata, normalised
        )
        return self._loaded

    def _time(self, samples: Samples, group: "_Group", loaded: _Loaded) -> list[dict[str, Any]]:
        """What whisperX says of the words of a group, times from the start of the recording."""
        first, last = round(group.start_s * SAMPLE_RATE_HZ), round(group.end_s * SAMPLE_RATE_HZ)
        heard = np.ascontiguousarray(samples[first:last], dtype=np.float32)
        if loaded.normalised and len(heard):
            # as the model was trained, and as whisperX leaves it to its caller
            heard = (heard - heard.mean()) / np.sqrt(heard.var() + 1e-7)
        if group.language_has_spaces != (loaded.language not in LANGUAGES_WITHOUT_SPACES):
            group = group.respaced(loaded.language)
        segment = {"start": 0.0, "end": len(heard) / SAMPLE_RATE_HZ, "text": group.text}
        with _explaining("Aligning"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = alignment.align(
                [segment], loaded.network, loaded.metadata, heard.astype(np.float32),
                self._device, interpolate_method="ignore",
            )  # fmt: skip
        offset_s = first / SAMPLE_RATE_HZ
        return [
            {
                "text": word["word"],
                "start_s": _shifted(word.get("start"), offset_s),
                "end_s": _shifted(word.get("end"), offset_s),
            }
            for one in result["segments"]
            for word in one["words"]
        ]
