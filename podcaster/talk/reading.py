"""How well a model foretells what host and guest of a show really said."""

from collections.abc import Iterable
from contextlib import closing

from podcaster.engines import open_engine
from podcaster.exported import NamedModel
from podcaster.talk.figures import Opening
from podcaster.talk.talking import spell_for_reading
from podcaster.write.engine import Foretold

ALL = "all"


def read_conversations(model: NamedModel, conversations: Iterable[Opening]) -> dict[str, Foretold]:
    """Let a model read conversations: nats, tokens and characters by role, and of `all`.

    Raises what opening the model raises, and EngineError.
    """
    total: dict[str, Foretold] = {}
    with closing(open_engine("read", "llama_cpp", **model.opening)) as reader:
        for conversation in conversations:
            for role, one in reader.read(*spell_for_reading(reader, conversation)).items():
                for key in (role, ALL):
                    total[key] = total[key] + one if key in total else one
    return {role: total[role] for role in ("host", "guest", "other", ALL) if role in total}
