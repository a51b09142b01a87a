"""A conversation as the measures see it, made or real: who says what, in turns of like length."""

from dataclasses import dataclass

from podcaster.model import Role, Script
from podcaster.talk.profile import Said
from podcaster.units import count_words
from podcaster.write.sentences import split_sentences

FEWEST_WORDS = 5  # of a turn that is looked at: "Yeah." is no turn of a script
MOST_WORDS = 60  # of a turn that are looked at; real people go on for minutes
QUESTION_WORDS = 40
EDGE_TURNS = 3  # of a chapter that does no more than greet or take leave
ANSWER_WORDS = 15  # of a real answer, at least: hosts of scripts ask nothing that a "yes" answers


@dataclass(frozen=True)
class Conversation:
    """Turns in order, and what they are about, where that is known.

    `people` are the names of the host and of the guest who speaks most; `others` is the share of
    turns that are neither's.
    """

    name: str
    turns: tuple[Said, ...]
    topic: str = ""
    people: tuple[str, str] = ("Host", "Guest")
    others: float = 0.0


def read_script(script: Script, name: str, topic: str) -> Conversation:
    """A script without its greeting and farewell, which the program has written itself.

    They are the first and the last chapter where those are short.
    """
    roles: dict[str, Role] = {speaker.id: speaker.role for speaker in script.speakers}
    edges = (script.chapters[0], script.chapters[-1])
    chapters = [
        chapter
        for chapter in script.chapters
        if chapter not in edges or len(chapter.turns) > EDGE_TURNS
    ] or script.chapters
    return Conversation(
        name=name,
        topic=topic,
        turns=tuple(
            Said(roles[turn.speaker], turn.text) for chapter in chapters for turn in chapter.turns
        ),
    )


def keep_first(text: str, most_words: int = MOST_WORDS) -> str:
    """The first whole sentences of a text, as many as `most_words` hold; one at least."""
    kept: list[str] = []
    for sentence in split_sentences(text):
        if kept and count_words(" ".join([*kept, sentence])) > most_words:
            break
        kept.append(sentence)
    return " ".join(kept)


def keep_last(text: str, most_words: int = QUESTION_WORDS) -> str:
    """The last whole sentences of a text, as many as `most_words` hold; one at least."""
    kept: list[str] = []
    for sentence in reversed(split_sentences(text)):
        if kept and count_words(" ".join([sentence, *kept])) > most_words:
            break
        kept.insert(0, sentence)
    return " ".join(kept)


def find_answers(talk: Conversation, fewest_words: int = 0) -> list[tuple[str, str]]:
    """Every turn that asks with the turn of somebody else that follows, both shortened."""
    return [
        (keep_last(one.text), keep_first(other.text))
        for one, other in zip(talk.turns, talk.turns[1:], strict=False)
        if "?" in keep_last(one.text)
        and one.role != other.role
        and count_words(other.text) >= fewest_words
    ]


def shorten(talk: Conversation, words: int | None = None) -> Conversation:
    """The turns that say something, each shortened; with `words`, so many from the middle on."""
    turns = [
        Said(turn.role, keep_first(turn.text))
        for turn in talk.turns
        if count_words(turn.text) >= FEWEST_WORDS
    ]
    if words is not None:
        kept: list[Said] = []
        for turn in turns[len(turns) // 3 :]:
            if words <= 0:
                break
            kept.append(turn)
            words -= count_words(turn.text)
        turns = kept
    return Conversation(talk.name, tuple(turns), talk.topic)
