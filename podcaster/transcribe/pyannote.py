"""Telling voices apart with pyannote's community-1 pipeline, through WhisperX.

Its weights are behind an account: somebody accepts the terms, makes a token, and puts it into the
environment as HF_TOKEN. It is read here and never written down. Weights come with the first use;
nothing else is downloaded, and the usage reports that the library sends are switched off.
"""

import hashlib
import io
import logging
import os
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from podcaster.audio import Samples
from podcaster.errors import ConfigError, EngineError, EngineMissing, PodcasterError, foreign
from podcaster.model import SpeakerSpan
from podcaster.placement import choose_device
from podcaster.transcribe.clustering import check_bounds
from podcaster.transcribe.engine import SAMPLE_RATE_HZ

os.environ["PYANNOTE_METRICS_ENABLED"] = "false"  # read when the library is imported
with warnings.catch_warnings():
    # it would like to decode files by itself; we hand over samples
    warnings.simplefilter("ignore")
    import omegaconf
    import torch
    from huggingface_hub import errors as hub
    from huggingface_hub import try_to_load_from_cache
    from pyannote.audio.core import model as pyannote_model
    from pyannote.audio.core import task as pyannote_task
    from whisperx.diarize import DiarizationPipeline

MODEL = "pyannote/speaker-diarization-community-1"
OR_BUILTIN = 'diarise = "builtin" needs no account.'

# what checkpoints of pyannote hold beside their weights: settings and enumerations
_HARMLESS: list[Any] = [
    pyannote_task.Specifications,
    pyannote_task.Problem,
    pyannote_task.Resolution,
    pyannote_model.Introspection,
    torch.torch_version.TorchVersion,
    omegaconf.listconfig.ListConfig,
    omegaconf.dictconfig.DictConfig,
    omegaconf.base.ContainerMetadata,
    omegaconf.base.Metadata,
    omegaconf.nodes.AnyNode,
    Any,
    defaultdict,
    dict,
    list,
    int,
]


class PyannoteDiariser:
    """pyannote's pipeline, opened; used from one thread of one process."""

    def __init__(self, *, device: str = "auto", model: str = MODEL) -> None:
        """Load the pipeline onto `device` (cpu, cuda, auto): a name on the hub, or a folder.

        Raises ConfigError where there is no token or a wrong one, or the terms are not accepted,
        EngineMissing where the weights are not here and cannot be fetched, EngineError.
        """
        token = os.environ.get("HF_TOKEN", "").strip() or None
        local = Path(model).is_dir()
        if not local:
            _check_token(token, model)
        with _told_plainly(model, token), _weights_only(), _quiet():
            self._pipeline: Any = DiarizationPipeline(
                model_name=model,
                token=None if local else token,
                device=choose_device(device, "torch"),
            )
        libraries = f"pyannote-audio {metadata.version('pyannote-audio')}"
        self._id = f"{libraries}, whisperx {metadata.version('whisperx')}, {_identify(model)}"

    @property
    def id(self) -> str:
        """The libraries with versions, and which weights: what decides the spans."""
        return self._id

    def diarise(
        self, samples: Samples, *, fewest: int | None = None, most: int | None = None
    ) -> tuple[SpeakerSpan, ...]:
        """Who speaks when, in the order of starts; labels are `S1`, `S2`, … by first appearance.

        `samples` are float32 mono at 16 kHz. Raises ConfigError where no number can be within the
        bounds, EngineError.
        """
        check_bounds(fewest, most)
        if not len(samples):
            return ()
        if self._pipeline is None:
            raise EngineError("The diariser is closed.")
        with foreign(EngineError, "Telling voices apart with pyannote"), _quiet():
            # a copy: torch warns of arrays that it must not write to
            rows = self._pipeline(
                np.array(samples, dtype=np.float32), min_speakers=fewest, max_speakers=most
            )
            found = sorted(zip(rows["start"], rows["end"], rows["speaker"], strict=True))
        # the last window reaches beyond the recording, and so may its spans
        duration_s = len(samples) / SAMPLE_RATE_HZ
        names: dict[str, str] = {}
        return tuple(
            SpeakerSpan(
                start_s=max(0.0, min(round(float(start_s), 3), duration_s)),
                end_s=min(round(float(end_s), 3), duration_s),
                speaker=names.setdefault(str(label), f"S{len(names) + 1}"),
            )
            for start_s, end_s, label in found
            if start_s < duration_s
        )

    def close(self) -> None:
        """Give the models' memory back."""
        self._pipeline = None


def _check_token(token: str | None, model: str) -> None:
    if token is None:
        raise ConfigError(
            f"The diariser pyannote needs a Hugging Face token, and HF_TOKEN is not set ({model}).",
            next_step=(
                f"Accept the terms at https://hf.co/{model}, make a token at "
                f"https://hf.co/settings/tokens and type `export HF_TOKEN=hf_…`; {OR_BUILTIN}"
            ),
        )
    if not token.startswith("hf_"):
        raise ConfigError(
            "HF_TOKEN is not a Hugging Face token: one begins with hf_.",
            next_step=f"Make one at https://hf.co/settings/tokens; {OR_BUILTIN}",
        )


@contextmanager
def _told_plainly(model: str, token: str | None) -> Iterator[None]:
    """Turn what opening a pipeline can raise into a sentence and a next step."""
    try:
        yield
    except PodcasterError:
        raise
    except Exception as error:
        raise _explain(error, model, token) from error


def _explain(error: Exception, model: str, token: str | None) -> PodcasterError:
    status = _status(error)
    if isinstance(error, hub.GatedRepoError) or status == 403:
        return ConfigError(
            f"The terms of {model} are not accepted by the account that HF_TOKEN belongs to.",
            next_step=f"Accept them at https://hf.co/{model} and try again; {OR_BUILTIN}",
        )
    if status == 401:
        return ConfigError(
            "Hugging Face does not accept the token in HF_TOKEN.",
            next_step=f"Make a new one at https://hf.co/settings/tokens; {OR_BUILTIN}",
        )
    if isinstance(error, hub.RepositoryNotFoundError):
        return ConfigError(
            f"There is no model {model} on Hugging Face, or HF_TOKEN may not see it.",
            next_step=OR_BUILTIN,
        )
    if isinstance(error, hub.LocalEntryNotFoundError | hub.OfflineModeIsEnabled | ConnectionError):
        return EngineMissing(
            f"The diariser {model} is not on this machine, and Hugging Face cannot be reached.",
            next_step=f"Try again with a network: the weights stay here then; {OR_BUILTIN}",
        )
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    if token:
        text = text.replace(token, "…")
    return EngineError(f"Opening the diariser {model} failed: {text}.", next_step=OR_BUILTIN)


def _status(error: BaseException | None) -> int | None:
    """The status that a server answered with, in the error or in what caused it."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__
    return None


@contextmanager
def _weights_only() -> Iterator[None]:
    """Have torch read weights only: the library asks it to unpickle whatever a checkpoint holds."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _quiet() -> Iterator[None]:
    """The library prints and warns of what we say ourselves, or what is nobody's concern."""
    logging.getLogger("whisperx").setLevel(logging.WARNING)
    # it tells of each of its attempts to reach the hub; how it ended, we say
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _identify(model: str) -> str:
    """Which weights: the commit on the hub, or a hash of a folder's files."""
    if not Path(model).is_dir():
        config = try_to_load_from_cache(model, "config.yaml")
        return f"{model} {Path(config).parent.name[:12]}" if isinstance(config, str) else model
    digest = hashlib.sha256()
    for path in sorted(path for path in Path(model).rglob("*") if path.is_file()):
        digest.update(path.relative_to(model).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return f"{Path(model).name} {digest.hexdigest()[:12]}"
