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
from typing import Any

import msgspec
import numpy as np
import torch
from whisperx import alignment

from podcaster.audio import Samples
from podcaster.errors import EngineError, PodcasterError
from podcaster.model import Utterance
from podcaster.placement import choose_device
from podcaster.transcribe.alignment import (
    Piece,
    find_stretches,
    share_out,
    spell_words,
)
from podcaster.transcribe.engine import SAMPLE_RATE_HZ
from podcaster.transcribe.models import ALIGNER_PACKAGES, find_aligner_folder, identify
from podcaster.transcribe.utterances import (
    LANGUAGES_WITHOUT_SPACES,
    in_order,
    primary_language,
)

_OUT_OF_MEMORY = re.compile(r"out of memory|bad_alloc", re.IGNORECASE)


class _WholeText:
    """A sentence splitter that does not split: utterances are sentences already."""

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


# whisperX calls this for NLTK's sentence splitter, and would download its data
alignment.nltk_load = lambda _: _WholeText()


@dataclass(frozen=True)
class _Model:
    """An alignment model in memory; `normalised`: it was trained on sound of unit variance."""

    language: str
    id: str
    network: Any
    metadata: dict[str, Any]
    normalised: bool


class WhisperXAligner:
    """An `Aligner` on whisperX; a model is loaded when its language first comes.

    `model` is a folder with transformers' Wav2Vec2ForCTC and its processor; empty: the language's
    own, where `podcaster setup align-…` put it. `device` is `auto`, `cpu` or `cuda`.
    """

    def __init__(self, *, model: str = "", device: str = "auto") -> None:
        self._folder = model
        self._device = choose_device(device, "torch")
        self._model: _Model | None = None

    @property
    def id(self) -> str:
        """Versions of whisperX and torch, and the model last used with a hash of its files."""
        return self._model.id if self._model is not None else "whisperx"

    def align(
        self, samples: Samples, utterances: Sequence[Utterance], *, language: str
    ) -> tuple[Utterance, ...]:
        """Time the words of utterances in float32 mono `(n_samples,)` at 16 kHz; see `Aligner`."""
        model = self._open(primary_language(language))
        duration_s = len(samples) / SAMPLE_RATE_HZ
        aligned = list(utterances)
        for stretch in find_stretches(utterances, duration_s):
            own = slice(stretch.first, stretch.last + 1)
            first = round(stretch.start_s * SAMPLE_RATE_HZ)
            heard = samples[first : round(stretch.end_s * SAMPLE_RATE_HZ)]
            spelled = spell_words(aligned[own], model.metadata["dictionary"])
            pieces = self._time(heard, [word for word in spelled if word], model, first)
            aligned[own] = share_out(aligned[own], spelled, pieces, stretch)
        return tuple(_put_in_order(aligned, duration_s))

    def close(self) -> None:
        """Give the model's memory back."""
        self._model = None
        if self._device.startswith("cuda"):
            torch.cuda.empty_cache()

    def _open(self, language: str) -> _Model:
        if self._model is not None and self._model.language == language:
            return self._model
        folder = find_aligner_folder(language, self._folder)
        self._model = None  # not two in memory at once
        with _explaining(f"Loading the alignment model in {folder}"):
            network, metadata = _load(str(folder), language, self._device)
            described = json.loads((folder / "preprocessor_config.json").read_bytes())
            normalised = bool(described.get("do_normalize", True))
        name = identify(ALIGNER_PACKAGES, folder)
        self._model = _Model(language, name, network, metadata, normalised)
        return self._model

    def _time(
        self, heard: Samples, words: Sequence[str], model: _Model, first_sample: int
    ) -> list[Piece]:
        """What whisperX says of words in a stretch that begins at `first_sample`."""
        if not words or not len(heard):
            return []
        spaced = model.language not in LANGUAGES_WITHOUT_SPACES
        sound = np.array(heard, dtype=np.float32)
        if model.normalised:  # whisperX leaves to its caller what the model's processor would do
            sound = (sound - sound.mean()) / np.sqrt(sound.var() + np.float32(1e-7))
        text = (" " if spaced else "").join(words)
        segment = {"start": 0.0, "end": len(sound) / SAMPLE_RATE_HZ, "text": text}
        with _explaining("Aligning"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = alignment.align(
                [segment],
                model.network,
                model.metadata,
                sound,
                self._device,
                interpolate_method="ignore",  # words without times are ours to place
            )
        found = [word for one in result["segments"] for word in one["words"]]
        offset_s = first_sample / SAMPLE_RATE_HZ
        return [
            Piece(
                word["word"],
                _shifted(word.get("start"), offset_s),
                _shifted(word.get("end"), offset_s),
            )
            for word in found
        ]


def _load(folder: str, language: str, device: str) -> tuple[Any, dict[str, Any]]:
    """Load a model with whisperX, which prints why it cannot; that becomes the error's text."""
    printed = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(printed):
            warnings.simplefilter("ignore")
            network, metadata = alignment.load_align_model(
                language, device, model_name=folder, model_cache_only=True
            )
    except ValueError as error:
        raise ValueError(printed.getvalue().strip() or str(error)) from error
    network.eval()
    return network, metadata


def _put_in_order(utterances: Sequence[Utterance], duration_s: float) -> Iterator[Utterance]:
    """Stretches end where the next begins, up to a rounding: no word may run backwards."""
    after_s = 0.0
    for utterance in utterances:
        words = tuple(in_order(utterance.words, duration_s, after_s))
        if not words:
            yield utterance
            continue
        after_s = words[-1].end_s
        yield msgspec.structs.replace(
            utterance, words=words, start_s=words[0].start_s, end_s=after_s
        )


def _shifted(time_s: Any, offset_s: float) -> float | None:
    return None if time_s is None or not np.isfinite(time_s) else float(time_s) + offset_s


@contextmanager
def _explaining(doing: str) -> Iterator[None]:
    """Turn what whisperX, transformers and torch raise into a sentence."""
    try:
        yield
    except PodcasterError:
        raise
    except Exception as error:  # the border with other libraries
        text = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        step = None
        if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(text):
            step = 'Set device = "cpu" under [transcribe], or align = "none".'
        raise EngineError(f"{doing} failed: {text}.", next_step=step) from error
