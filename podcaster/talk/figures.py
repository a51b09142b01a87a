"""Figures of models beside each other: what they said, how well they foretell, what they copy."""

import msgspec

from podcaster.model import Noun, Role
from podcaster.talk.copying import Copied
from podcaster.talk.profile import Distance, Profile
from podcaster.talk.vocabulary import Marked
from podcaster.write.engine import Foretold


class SaidTurn(Noun, frozen=True):
    """A turn of a conversation."""

    speaker: Role
    name: str
    text: str


class Opening(Noun, frozen=True):
    """How a conversation begins: who talks, about what, and the turns that are given.

    `source` says where it is from: a recording's title, or nothing for a question of the user's.
    """

    host: str
    guest: str
    keywords: tuple[str, ...]
    turns: tuple[SaidTurn, ...]
    source: str = ""


class Conversation(Noun, frozen=True):
    """What one model made of one opening; the opening's turns come first."""

    turns: tuple[SaidTurn, ...]


class ModelFigures(Noun, frozen=True):
    """One model: its file, its speed, and how it talks.

    `held_out` has `host`, `guest` and `all`, and is empty where nothing is held out. `distance`,
    `says_more` and `says_less` compare its profile and words with the show's real turns, `copied`
    what it said with the text that it learned from; None (or nothing) where there is none.
    `heard_before` counts held-out recordings that its own show trained on.
    """

    label: str
    file: str
    size_bytes: int
    kind: str
    tokens_per_s: float
    profile: Profile
    held_out: dict[str, Foretold] = msgspec.field(default_factory=dict)
    distance: Distance | None = None
    copied: Copied | None = None
    says_more: tuple[Marked, ...] = ()
    says_less: tuple[Marked, ...] = ()
    heard_before: int = 0


class ShowFigures(Noun, frozen=True):
    """How the show itself talks, in turns that nothing was trained on.

    `copied` compares them with the training text: people repeat themselves, too. `distance` is
    that of a part of them from all, as long as what the models said: so far apart is chance.
    """

    show: str
    profile: Profile
    copied: Copied | None = None
    distance: Distance | None = None


class Comparison(Noun, frozen=True):
    """Models beside each other over the same openings and seeds.

    `conversations[m][o]` is what model `m` made of opening `o`.
    """

    models: tuple[ModelFigures, ...]
    openings: tuple[Opening, ...]
    conversations: tuple[tuple[Conversation, ...], ...]
    real: ShowFigures | None
    turns: int
    seed: int
    temperature: float


def describe_foretold(foretold: dict[str, Foretold]) -> dict[str, dict[str, float]]:
    """Held-out figures for scripts: perplexity and bits a character beside what they come from."""
    return {
        role: {
            "nats": round(one.nats, 4),
            "tokens": one.tokens,
            "characters": one.characters,
            "perplexity": round(one.perplexity, 4),
            "bits_per_character": round(one.bits_per_character, 5),
        }
        for role, one in foretold.items()
    }
