"""Options of the stage `speak`: the table `[speak]` of the configuration."""

from typing import Annotated

import msgspec

from podcaster.model import Noun


class SpeakOptions(Noun, frozen=True):
    """Which voices speak. `workers` does not affect the sound."""

    voices: Annotated[
        dict[str, str],
        msgspec.Meta(description="a voice by role (host, guest, other) or by speaker's name"),
    ] = msgspec.field(default_factory=dict)
    paces: Annotated[
        dict[str, Annotated[float, msgspec.Meta(ge=80, le=300)]],
        msgspec.Meta(description="words a minute by role or by speaker's name; a voice's own else"),
    ] = msgspec.field(default_factory=dict)
    workers: Annotated[
        int, msgspec.Meta(ge=0, le=256, description="processes; 0: one per core")
    ] = 0
