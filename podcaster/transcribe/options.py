"""Options of the stage `transcribe`: the table `[transcribe]` of the configuration."""

from typing import Annotated, Literal

import msgspec

from podcaster.model import Noun
from podcaster.placement import Device

Align = Literal["auto", "whisperx", "none"]
Diarise = Literal["auto", "builtin", "pyannote", "none"]


class TranscribeOptions(Noun, frozen=True):
    """What listens, and how. `device`, `batch_size` and `workers` do not affect the words."""

    model: Annotated[
        str,
        msgspec.Meta(
            description="a Whisper model that `podcaster setup` lists, or a folder; auto: the best "
            "that is here"
        ),
    ] = "auto"
    align: Annotated[
        Align,
        msgspec.Meta(
            description="what times the words; auto: whisperx if its model for the language is "
            "here, else Whisper itself"
        ),
    ] = "auto"
    align_model: Annotated[
        str,
        msgspec.Meta(description="a folder with a wav2vec 2.0 model; nothing: the language's own"),
    ] = ""
    diarise: Annotated[
        Diarise,
        msgspec.Meta(
            description="what tells voices apart; auto: pyannote if HF_TOKEN is set, else builtin"
        ),
    ] = "auto"
    fewest_speakers: Annotated[
        int, msgspec.Meta(ge=0, le=50, description="0: what the recording's persons say, or one")
    ] = 0
    most_speakers: Annotated[
        int, msgspec.Meta(ge=0, le=50, description="0: found by listening")
    ] = 0
    hotwords: Annotated[bool, msgspec.Meta(description="expect the names that the feed gives")] = (
        True
    )
    beam_size: Annotated[int, msgspec.Meta(ge=1, le=20, description="hypotheses kept")] = 5
    compute_type: Annotated[
        str, msgspec.Meta(description="of faster-whisper: auto, float16, int8, …")
    ] = "auto"
    device: Annotated[Device, msgspec.Meta(description="where the models run")] = "auto"
    batch_size: Annotated[int, msgspec.Meta(ge=1, le=256, description="30 s windows at once")] = 8
    workers: Annotated[
        int, msgspec.Meta(ge=0, le=256, description="recordings at once on this machine; 0: one")
    ] = 0
