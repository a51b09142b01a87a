"""Options of the stage `publish`: the table `[publish]` of the configuration."""

from typing import Annotated

import msgspec

from podcaster.model import Noun


class PublishOptions(Noun, frozen=True):
    """What tags, notes and the feed say of an episode."""

    show: Annotated[
        str, msgspec.Meta(max_length=200, description="name of the podcast (album)")
    ] = "Podcaster"
    author: Annotated[
        str, msgspec.Meta(max_length=200, description="who made it; empty: the host")
    ] = ""
    title: Annotated[
        str, msgspec.Meta(max_length=250, description="of the episode; empty: the script's")
    ] = ""
    date: Annotated[
        str,
        msgspec.Meta(
            pattern=r"^(\d{4}-\d{2}-\d{2})?$",
            description="date of the tags, YYYY-MM-DD; empty: the day on which the run was made",
        ),
    ] = ""
    number: Annotated[int, msgspec.Meta(ge=0, description="episode number; 0: none")] = 0
    explicit: Annotated[bool, msgspec.Meta(description="marked as explicit")] = False
    sign: Annotated[
        bool,
        msgspec.Meta(description="sign a provenance manifest into the MP3 where c2pa is installed"),
    ] = False
