"""Closing sentences of ours: how many of them bring an episode to its length."""

from podcaster.write.conversation import Conversation
from podcaster.write.length import choose_parts
from podcaster.write.phrases import PHRASES, fill


def choose_closing(
    talk: Conversation, wished_s: float, kinds: dict[str, str], slots: dict[str, str]
) -> dict[str, list[str]]:
    """For each speaker the closing sentences (of the kind given) that together take `wished_s`."""
    ours = [
        (who, fill(text, **slots))
        for who, kind in kinds.items()
        for text in PHRASES[kind]
        if slots or "{first}" not in text
    ]
    # a sentence more in a turn brings no silence of its own
    lengths_s = [max(0.1, talk.clock.turn_s(who, text) - talk.clock.gap_s) for who, text in ours]
    chosen = [ours[i] for i in choose_parts(lengths_s, wished_s)]
    return {who: [text for speaker, text in chosen if speaker == who] for who in kinds}


def add_closing_sentences(talk: Conversation, target_s: float, kinds: dict[str, str]) -> None:
    """Let the last speaker of each kind say more, where the conversation is too short."""
    said = choose_closing(talk, target_s - talk.clock.spoken_s, kinds, {})
    for who, sentences in said.items():
        if sentences:
            talk.extend_last_turn(who, " ".join(sentences))


def first_name(name: str) -> str:
    """How one addresses somebody whom one knows: the first word of the name, titles aside."""
    words = [word for word in name.split() if not word.endswith(".")]
    return words[0] if words else name
