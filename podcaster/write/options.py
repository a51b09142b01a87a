"""Options of the stage `write`: the table `[write]` of the configuration."""

from typing import Annotated

import msgspec

from podcaster.model import Language, Noun

Name = Annotated[str, msgspec.Meta(max_length=120)]


class WriteOptions(Noun, frozen=True):
    """What the episode is about and which model writes it. Every field affects the script."""

    guest: Annotated[Name, msgspec.Meta(description="who is interviewed")] = ""
    host: Annotated[Name, msgspec.Meta(description="who asks")] = "Robin Hale"
    topics: Annotated[
        tuple[str, ...], msgspec.Meta(description="what to talk about; one or more")
    ] = ()
    minutes: Annotated[
        float, msgspec.Meta(ge=1, le=240, description="length of the finished episode")
    ] = 5.0
    notes: Annotated[
        tuple[str, ...], msgspec.Meta(description="texts, markdown, PDFs or URLs to ground it in")
    ] = ()
    private_notes: Annotated[
        bool,
        msgspec.Meta(description="let notes come from addresses inside this machine's network"),
    ] = False
    script: Annotated[
        str, msgspec.Meta(description="a script of your own to speak; nothing is written then")
    ] = ""
    steer: Annotated[
        str, msgspec.Meta(max_length=4000, description="free text: tone, angle, what to avoid")
    ] = ""
    language: Annotated[Language, msgspec.Meta(description="of the conversation")] = "en"
    model: Annotated[
        str,
        msgspec.Meta(
            description="`builtin`, a path to a GGUF file, or a model of `podcaster setup`"
        ),
    ] = "builtin"
    candidates: Annotated[
        int,
        msgspec.Meta(ge=0, le=64, description="samples per turn, the best is kept; 0: by model"),
    ] = 0
    temperature: Annotated[float, msgspec.Meta(ge=0, le=3, description="of sampling")] = 0.65
    min_p: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="drop tokens under this share of the likeliest")
    ] = 0.05
    context_tokens: Annotated[
        int,
        msgspec.Meta(ge=0, description="context window to use; 0: the model's own, at most 8192"),
    ] = 0
