"""Options of the stage `mix`: the table `[mix]` of the configuration."""

from typing import Annotated, Literal

import msgspec

from podcaster.model import Noun


class MixOptions(Noun, frozen=True):
    """How turns become an episode."""

    music: Annotated[
        bool,
        msgspec.Meta(description="an opening and a closing bed under the first and last words"),
    ] = True
    stereo: Annotated[
        bool, msgspec.Meta(description="place the speakers slightly apart; false: one channel")
    ] = True
    stems: Annotated[
        bool, msgspec.Meta(description="also write one WAV per speaker, and one of the music")
    ] = False
    gap_ms: Annotated[
        float, msgspec.Meta(ge=0, le=2000, description="median silence between two turns")
    ] = 150.0
    gap_spread_ms: Annotated[
        float, msgspec.Meta(ge=0, le=1000, description="standard deviation of that silence")
    ] = 170.0
    chapter_gap_ms: Annotated[
        float, msgspec.Meta(ge=0, le=10000, description="silence before a new chapter")
    ] = 1100.0
    room_tone_db: Annotated[
        float, msgspec.Meta(ge=-120, le=-40, description="level of the room under everything (RMS)")
    ] = -68.0
    watermark: Annotated[
        str,
        msgspec.Meta(
            max_length=1000,
            description="folder of AudioSeal's files: an inaudible mark is put in; empty: none is",
        ),
    ] = ""
    bitrate_kbps: Annotated[
        Literal[64, 96, 128, 160, 192, 256, 320],
        msgspec.Meta(description="of the MP3, constant"),
    ] = 128
