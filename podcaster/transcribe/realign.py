"""Give words that a diariser cut off back to whoever was saying the sentence.

Diarisation knows voices, not sentences: it changes speakers a word early or late. Where a turn ends
in mid-sentence and the next one goes on with it, the sentence belongs to the one who says most of
it, and the other's few words are moved. Where both say much of it, somebody was interrupted, and
nothing is moved. (The idea of a majority by sentence is MahmoudAshraf97/whisper-diarization's.)
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from podcaster.model import Utterance, Word

MOST_MOVED_WORDS = 3  # more were hardly cut off by mistake

_ENDS = re.compile(r"[.!?…]+[\"'”’)\]]*$")
_ABBREVIATIONS = frozenset(
    {"mr.", "mrs.", "ms.", "dr.", "prof.", "st.", "vs.", "etc.", "e.g.", "i.e."}
)
# a word that stands alone, and is an answer rather than the rest of somebody's sentence
_ANSWERS = frozenset(
    {"yeah", "yes", "yep", "no", "nope", "okay", "ok", "right", "sure", "exactly", "absolutely"}
    | {"true", "correct", "definitely", "wow", "oh", "hmm", "thanks", "cool", "nice", "great"}
)


@dataclass(frozen=True)
class Move:
    """Words that changed speakers; `turn` is where in the transcript, counted before the move."""

    turn: int
    text: str
    from_speaker: str
    to_speaker: str


def realign(
    utterances: Sequence[Utterance], *, most_words: int = MOST_MOVED_WORDS
) -> tuple[tuple[Utterance, ...], tuple[Move, ...]]:
    """Move cut-off words between neighbouring turns of different speakers; returns what was moved.

    Words keep their times and take their new speaker. A turn with nothing left goes.
    """
    turns = list(utterances)
    names = _names(turns)
    moves: list[Move] = []
    for here in range(len(turns) - 1):
        before, after = turns[here], turns[here + 1]
        if before.speaker is None or after.speaker is None or before.speaker == after.speaker:
            continue
        tail, head = _open_end(before.text), _first_sentence(after.text)
        if not tail or not head or _ends(before.text):
            continue
        if len(tail) <= min(most_words, len(head) - 1):
            moves.append(Move(here, " ".join(tail), before.speaker, after.speaker))
            turns[here], turns[here + 1] = _move_forward(before, after, len(tail), names)
        elif len(head) <= min(most_words, len(tail)) and not _is_answer(head, before.text):
            moves.append(Move(here + 1, " ".join(head), after.speaker, before.speaker))
            turns[here], turns[here + 1] = _move_back(before, after, len(head), names)
    kept = tuple(turn for turn in turns if turn.text)
    return kept, tuple(moves)


def _ends(text: str) -> bool:
    words = text.split()
    return bool(words) and _is_last(words[-1])


def _is_last(word: str) -> bool:
    return bool(_ENDS.search(word)) and word.lower() not in _ABBREVIATIONS


def _open_end(text: str) -> list[str]:
    """The words after the last sentence that ends."""
    words = text.split()
    for place in range(len(words) - 1, -1, -1):
        if _is_last(words[place]):
            return words[place + 1 :]
    return words


def _first_sentence(text: str) -> list[str]:
    """The words of the first sentence, or all if it does not end."""
    words = text.split()
    for place, word in enumerate(words):
        if _is_last(word):
            return words[: place + 1]
    return words


def _is_answer(head: Sequence[str], before: str) -> bool:
    """Whether a short sentence answers rather than ends what was being said.

    After a comma the other may have paused; after a word that wants another one, nobody has.
    """
    plain = head[0].lower().strip(".,!?…")
    return plain in _ANSWERS and (before.rstrip().endswith(",") or len(head) > 1)


def _names(turns: Sequence[Utterance]) -> frozenset[str]:
    """Words that mostly have a capital in mid-sentence: they keep it wherever they go."""
    capital: Counter[str] = Counter()
    small: Counter[str] = Counter()
    for turn in turns:
        for last, word in pairwise(turn.text.split()):
            if not word[:1].isupper():
                small[_plain(word)] += 1
            elif not _is_last(last):
                capital[_plain(word)] += 1
    return frozenset(name for name in capital if capital[name] > small[name.lower()])


def _plain(word: str) -> str:
    return word.strip(".,!?…\"'()").removesuffix("'s")


def _in_mid_sentence(word: str, names: frozenset[str]) -> str:
    plain = _plain(word)
    keeps = plain in names or plain == "I" or plain.startswith("I'") or plain[1:2].isupper()
    return word if keeps else word[:1].lower() + word[1:]


def _move_forward(
    before: Utterance, after: Utterance, count: int, names: frozenset[str]
) -> tuple[Utterance, Utterance]:
    """The last `count` words of one turn become the first of the next."""
    words, following = before.text.split(), after.text.split()
    following[0] = _in_mid_sentence(following[0], names)
    moved = words[-count:]
    moved[0] = moved[0][:1].upper() + moved[0][1:]
    timed = before.words[-count:] if len(before.words) == len(words) else ()
    left = before.words[:-count] if timed else before.words
    return (
        _retimed(before, " ".join(words[:-count]), left),
        _retimed(after, " ".join([*moved, *following]), (*_of(after, timed), *after.words)),
    )


def _move_back(
    before: Utterance, after: Utterance, count: int, names: frozenset[str]
) -> tuple[Utterance, Utterance]:
    """The first `count` words of a turn become the last of the one before."""
    words = after.text.split()
    moved = words[:count]
    moved[0] = _in_mid_sentence(moved[0], names)
    timed = after.words[:count] if len(after.words) == len(words) else ()
    left = after.words[count:] if timed else after.words
    return (
        _retimed(before, f"{before.text} {' '.join(moved)}", (*before.words, *_of(before, timed))),
        _retimed(after, " ".join(words[count:]), left),
    )


def _of(turn: Utterance, words: Sequence[Word]) -> tuple[Word, ...]:
    return tuple(msgspec.structs.replace(word, speaker=turn.speaker) for word in words)


def _retimed(turn: Utterance, text: str, words: tuple[Word, ...]) -> Utterance:
    """A turn with another text; its times follow its words, where those have times."""
    if not words or words == turn.words:
        # Utterance refuses an empty text, and an empty turn is dropped in the end
        return _bare(turn, text)
    return msgspec.structs.replace(
        _bare(turn, text), words=words, start_s=words[0].start_s, end_s=words[-1].end_s
    )


def _bare(turn: Utterance, text: str) -> Utterance:
    return msgspec.structs.replace(turn, text=text, words=turn.words if text else ())
