"""Options of the stage `speak`: the table `[speak]` of the configuration."""

from typing import Annotated, Literal

import msgspec

from podcaster.model import Noun
from podcaster.placement import Device

Clone = Literal["auto", "xtts", "likeness"]


class SpeakOptions(Noun, frozen=True):
    """Which voices speak, and how often they may try. `workers` does not affect the sound."""

    voices: Annotated[
        dict[str, str],
        msgspec.Meta(description="a voice by role (host, guest, other) or by speaker's name"),
    ] = msgspec.field(default_factory=dict)
    paces: Annotated[
        dict[str, Annotated[float, msgspec.Meta(ge=80, le=300)]],
        msgspec.Meta(description="words a minute by role or by speaker's name; a voice's own else"),
    ] = msgspec.field(default_factory=dict)
    clone: Annotated[
        Clone,
        msgspec.Meta(
            description="what speaks for somebody's own voice; auto: XTTS where it is here, else a "
            "likeness"
        ),
    ] = "auto"
    takes: Annotated[
        int,
        msgspec.Meta(
            ge=0, le=20, description="of a clip at most; 0: two, three or five by the quality"
        ),
    ] = 0
    check: Annotated[
        bool, msgspec.Meta(description="listen to every clip before it is believed")
    ] = True
    whisper: Annotated[
        str,
        msgspec.Meta(
            description="the model that writes down what an engine said; auto: the best that is "
            "here, none: no model"
        ),
    ] = "auto"
    device: Annotated[Device, msgspec.Meta(description="where speech models run")] = "auto"
    workers: Annotated[
        int, msgspec.Meta(ge=0, le=256, description="processes; 0: one per core")
    ] = 0
