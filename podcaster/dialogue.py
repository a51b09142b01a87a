"""The dialogue template: how a conversation is spelled for a model trained on conversations.

One window of text is

    <|episode|><|names|>Jane Host; Bob Guest<|topic|>rockets, mars, fuel
    <|host|> Hello. …<|end|><|guest|> …<|end|>

without the line breaks, where each `<|…|>` is a single token of the model's vocabulary. The
template travels inside the model's own GGUF metadata (`METADATA_KEY`), so that training and
generation cannot drift apart.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from podcaster.errors import EngineError
from podcaster.model import Role

METADATA_KEY = "podcaster.dialogue_template"

Token = Annotated[str, msgspec.Meta(min_length=3, pattern=r"^<\|[a-z0-9_]+\|>$")]


class DialogueTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The special tokens of a dialogue model, and how a window is laid out with them.

    The header (`names`, `topic`) may be repeated in mid-window: a new `topic` before a turn says
    that the conversation moves on to it. That is how a chapter begins.
    """

    version: int = 1
    begin: Token = "<|episode|>"
    names: Token = "<|names|>"
    topic: Token = "<|topic|>"
    host: Token = "<|host|>"
    guest: Token = "<|guest|>"
    other: Token = "<|other|>"
    end: Token = "<|end|>"

    def special_tokens(self) -> tuple[str, ...]:
        """All special tokens, in the order in which a new vocabulary numbers them."""
        return (self.begin, self.names, self.topic, self.host, self.guest, self.other, self.end)

    def role_token(self, role: Role) -> str:
        """The token that opens a turn of `role`."""
        return {"host": self.host, "guest": self.guest, "other": self.other}[role]

    def format_header(self, names: Sequence[str], keywords: Sequence[str]) -> str:
        """Spell the start of a window; either part is left out where it is empty."""
        text = self.begin
        if names:
            text += self.names + "; ".join(self.clean(name) for name in names)
        return text + self.format_topic(keywords)

    def format_topic(self, keywords: Sequence[str]) -> str:
        """Spell a topic; nothing where there are no keywords."""
        return self.topic + ", ".join(self.clean(word) for word in keywords) if keywords else ""

    def format_turn(self, role: Role, text: str) -> str:
        """Spell one whole turn, its end included."""
        return f"{self.open_turn(role)} {self.clean(text)}{self.end}"

    def open_turn(self, role: Role) -> str:
        """Spell the beginning of a turn that the model is to go on with."""
        return self.role_token(role)

    def clean(self, text: str) -> str:
        """Text from outside must not be able to spell a special token."""
        for token in self.special_tokens():
            text = text.replace(token, " ")
        return " ".join(text.split())

    def to_json(self) -> str:
        """The form in which a model's metadata carries the template."""
        return msgspec.json.encode(self).decode()


def template_from_metadata(metadata: Mapping[str, str]) -> DialogueTemplate | None:
    """Read the template out of a GGUF file's metadata; None where the model has none.

    Raises EngineError if there is one, but it is not a template this version understands.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        return None
    try:
        template = msgspec.json.decode(text, type=DialogueTemplate)
    except msgspec.MsgspecError as error:
        raise EngineError(
            f"The model's dialogue template cannot be read: {error}.",
            next_step="Export the model again with this version of podcaster.",
        ) from error
    if template.version != 1:
        raise EngineError(
            f"The model's dialogue template has version {template.version}, expected 1.",
            next_step="Upgrade podcaster, or export the model again with this version.",
        )
    return template
