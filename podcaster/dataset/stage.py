"""Turn what was said in a recording into clean turns, and say which recordings teach nothing."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from podcaster.dataset.chapters import Said
from podcaster.dataset.clean import (
    SpokenTurn,
    clean_name,
    clean_text,
    is_person,
    merge_turns,
    split_sentences,
)
from podcaster.dataset.options import DatasetOptions
from podcaster.dataset.repeats import Hashes, Repeats, find_repeated
from podcaster.dataset.roles import Cast, find_heard
from podcaster.dataset.split import normalise_name
from podcaster.dataset.sponsors import find_reads, may_hold_read
from podcaster.model import Person
from podcaster.units import count_words

STAGE_VERSION = 1

_WORD = re.compile(r"[^\W_]")

# why a recording is left out
UNFINISHED = "unfinished"
NO_SPEAKERS = "no_speakers"
ONE_SPEAKER = "one_speaker"
TOO_MANY_SPEAKERS = "too_many_speakers"
GUEST_NOT_HEARD = "guest_not_heard"
TOO_FEW_WORDS = "too_few_words"
RERUN = "rerun"
HELD_OUT_GUEST = "held_out_guest"
NO_DIALOGUE = "no_dialogue"

REASONS = {
    UNFINISHED: "its words are not there yet",
    NO_SPEAKERS: "nobody has told its speakers apart",
    ONE_SPEAKER: "only one person is heard",
    TOO_MANY_SPEAKERS: "more people are heard than `dataset.most_speakers`",
    GUEST_NOT_HEARD: "a guest whom its feed names says less than `dataset.fewest_guest_words`",
    TOO_FEW_WORDS: "fewer words are left than `dataset.fewest_words`",
    RERUN: "more than half of its long turns are in recordings before it",
    HELD_OUT_GUEST: "a guest of a recording kept for validation speaks in it",
    NO_DIALOGUE: "no window has both sides",
}


def clean_turns(said: Iterable[Said], removed: Counter[str]) -> list[SpokenTurn]:
    """Clean what was said, without breaks, sponsor reads and what comes out empty.

    `removed` counts the words that go, by reason.
    """
    turns: list[SpokenTurn] = []
    for part in said:
        speaker = clean_name(part.speaker)
        if not is_person(speaker):
            removed["nobody"] += count_words(part.text)
            continue
        turns.append(SpokenTurn(speaker, clean_text(part.text), part.chapter))
    if any(may_hold_read(turn.text) for turn in turns):
        sentences = [split_sentences(turn.text) for turn in turns]
        turns = _without(turns, sentences, find_reads(sentences), "sponsor", removed)
    return merge_turns(turn for turn in turns if _WORD.search(turn.text))


def remove_repeated(
    turns: Sequence[SpokenTurn],
    shingles: Hashes,
    repeats: Repeats,
    number: int,
    removed: Counter[str],
) -> list[SpokenTurn]:
    """Take out the sentences that the show says again and again.

    `shingles` are those of the turns' texts, `number` is the recording's.
    """
    covered = repeats.cover(shingles, number)
    if not covered.any():
        return list(turns)
    sentences = [split_sentences(turn.text) for turn in turns]
    found = find_repeated(sentences, covered)
    return merge_turns(_without(turns, sentences, found, "repeated", removed))


def screen(cast: Cast, persons: Sequence[Person], options: DatasetOptions) -> str:
    """Why a recording with these speakers is left out; nothing where it is not."""
    if not any(cast):
        return NO_SPEAKERS
    heard = find_heard(cast)
    if sum(part.words for part in cast.values()) < options.fewest_words:
        return TOO_FEW_WORDS
    if len(heard) < 2:
        return ONE_SPEAKER
    if len(heard) > options.most_speakers:
        return TOO_MANY_SPEAKERS
    if not all(
        _is_heard(person, cast, options.fewest_guest_words)
        for person in persons
        if person.role.casefold() == "guest"
    ):
        return GUEST_NOT_HEARD
    return ""


def _is_heard(person: Person, cast: Cast, fewest_words: int) -> bool:
    name = normalise_name(person.name)
    said = [part.words for label, part in cast.items() if normalise_name(label) == name]
    if said:
        return sum(said) >= fewest_words
    # a voice that has no name yet may be theirs
    return any(
        not normalise_name(label) and part.words >= fewest_words for label, part in cast.items()
    )


def _without(
    turns: Sequence[SpokenTurn],
    sentences: Sequence[Sequence[str]],
    unwanted: set[tuple[int, int]],
    reason: str,
    removed: Counter[str],
) -> list[SpokenTurn]:
    touched = {number for number, _ in unwanted}
    kept: list[SpokenTurn] = []
    for number, (turn, parts) in enumerate(zip(turns, sentences, strict=True)):
        if number not in touched:
            kept.append(turn)
            continue
        rest = [part for place, part in enumerate(parts) if (number, place) not in unwanted]
        text = " ".join(rest)
        removed[reason] += count_words(turn.text) - count_words(text)
        if text:
            kept.append(SpokenTurn(turn.speaker, text, turn.chapter))
    return kept
