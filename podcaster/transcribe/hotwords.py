"""Which names Whisper is told to expect: those that a recording's feed says of it.

Whisper reads them as if they had just been said, and spells what it hears accordingly. Its prompt
has room for some 220 tokens; a name takes about four.
"""

import re
from collections.abc import Iterator

from podcaster.model import Recording

MOST_NAMES = 40
MOST_CHARACTERS = 400
LONGEST_NAME_WORDS = 5
_READ_CHARACTERS = 5000  # of a description: what follows is addresses and advertisements

# of what begins with a capital: words with letters, with points, dashes and apostrophes inside
_WORD = re.compile(r"[^\W\d_][\w]*(?:['’.&-][\w]+)*")
_SENTENCE_END = re.compile(r"[.!?:;…]\s|[\n|•–—/()\[\]\"“”«»,]|\s-\s")
# small words that names have inside
_INSIDE = frozenset({"of", "de", "da", "di", "del", "der", "den", "van", "von", "la", "le", "al",
                     "bin", "ibn", "y", "and", "&"})  # fmt: skip
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+|\S+@\S+", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,500}>")
# capitals that say nothing: words of episode titles and show notes
_COMMON = frozenset(
    {"i", "a", "an", "the", "this", "that", "these", "those", "it", "we", "you", "he", "she",
     "they", "my", "our", "your", "his", "her", "their", "and", "or", "but", "if", "in", "on",
     "at", "for", "from", "to", "with", "by", "of", "as", "is", "are", "was", "how", "what",
     "why", "when", "where", "who", "episode", "ep", "part", "season", "chapter", "show", "notes",
     "podcast", "interview", "guest", "host", "hosts", "guests", "welcome", "today", "links",
     "follow", "subscribe", "listen", "sponsor", "sponsors", "featuring", "feat", "ft", "live",
     "january", "february", "march", "april", "may", "june", "july", "august", "september",
     "october", "november", "december", "monday", "tuesday", "wednesday", "thursday", "friday",
     "saturday", "sunday", "mr", "mrs", "ms", "dr", "prof"}
)  # fmt: skip


def hotwords_of(recording: Recording) -> tuple[str, ...]:
    """Names likely to be said: the persons', then those in the title, then in the description.

    None twice; at most `MOST_NAMES` of `MOST_CHARACTERS` in all.
    """
    known: dict[str, str] = {}
    room = MOST_CHARACTERS
    for name in _candidates(recording):
        key = name.casefold()
        # a part of a name that is there already adds nothing
        if key in known or any(f" {key} " in f" {longer} " for longer in known):
            continue
        if len(name) + 2 > room:
            continue
        known[key] = name
        room -= len(name) + 2
        if len(known) == MOST_NAMES:
            break
    return tuple(known.values())


def _candidates(recording: Recording) -> Iterator[str]:
    for person in recording.persons:
        yield " ".join(person.name.split())[:80]
    yield from find_names(recording.title)
    yield from find_names(recording.description[:_READ_CHARACTERS])


def find_names(text: str) -> Iterator[str]:
    """Proper names in a text: capitals in mid-sentence, or several in a row.

    One capital at the start of a sentence says nothing; in a title where nearly every word has
    one, only runs of two and more count, and so do words such as `iPhone` or `NASA`.
    """
    plain = _ADDRESS.sub(" . ", _TAG.sub(" . ", text))
    headline = _is_headline(plain)
    for sentence in _SENTENCE_END.split(plain):
        words = [match.group() for match in _WORD.finditer(sentence)]
        for start, run in _runs(words):
            telling = len(run) > 1 or _is_marked(run[0])
            if telling or (start > 0 and not headline):
                yield " ".join(run)


def _runs(words: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Runs of capitalised words with where they start; small words of names may lie inside."""
    position = 0
    while position < len(words):
        if not _is_name_word(words[position]):
            position += 1
            continue
        end = position + 1
        while end < len(words) and end - position < LONGEST_NAME_WORDS:
            if _is_name_word(words[end]):
                end += 1
            elif (
                words[end] in _INSIDE
                and end + 1 < len(words)
                and _is_name_word(words[end + 1])
                and words[end] not in ("and", "&")
            ):
                end += 2
            else:
                break
        yield position, words[position:end]
        position = end


def _is_name_word(word: str) -> bool:
    return (word[:1].isupper() or _is_marked(word)) and word.casefold() not in _COMMON


def _is_marked(word: str) -> bool:
    """`NASA`, `iPhone`, `McCarthy`: a capital after the first letter."""
    return len(word) > 1 and any(letter.isupper() for letter in word[1:])


def _is_headline(text: str) -> bool:
    words = [match.group() for match in _WORD.finditer(text) if len(match.group()) > 3]
    capitals = sum(word[:1].isupper() for word in words)
    return len(words) >= 3 and capitals > 0.7 * len(words)
