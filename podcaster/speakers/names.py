"""People's names: cleaned, compared, told from a diariser's labels, and found in a sentence."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

LONGEST_NAME = 80
MOST_NAME_WORDS = 4

# labels that say nothing across recordings: numbers, letters, and roles that anybody may have
_LOCAL_LABEL = re.compile(
    r"(?:(?:s|spk|speaker|sprecher|voice|person|participant|male|female|man|woman)"
    r"[ _#.-]*)?(?:\d{1,4}|[a-z])?"
    r"|(?:unknown|unidentified|unbekannt|inaudible)(?: \w+)?(?:[ _#-]*\d{1,3})?"
    r"|(?:guest|caller|listener|interviewee|audience(?: member)?|attendee|questioner|all|both)"
    r"(?:[ _#-]*(?:\d{1,3}|[a-z]))?",
    re.IGNORECASE,
)
_HONORIFICS = frozenset({"dr", "prof", "professor", "mr", "mrs", "ms", "miss", "sir", "dame"})
_PARTICLES = frozenset(
    {"van", "von", "de", "der", "den", "del", "della", "di", "da", "dos", "du", "la", "le", "ten"}
    | {"ter", "bin", "ibn", "al", "el", "y", "zu", "af", "av"}
)
# written with a capital, and nobody's name
_NOT_NAMES_TEXT = """
    i a an and the this that these those it its he she they we you my your our his her their
    so well but or if as at in on of to for from with by about not no yes yeah yep nope okay ok
    what how why when where who which there here now then today tomorrow tonight yesterday
    good great thanks thank please sorry sure right oh hey hi hello welcome alright also just
    let's lets is are was were do does did can could will would should may might must have has had
    god jesus christ monday tuesday wednesday thursday friday saturday sunday january february march
    april june july august september october november december english american british german
    french italian spanish russian chinese japanese indian canadian australian european african
    asian irish scottish welsh dutch swedish norwegian danish finnish polish greek turkish mexican
    brazilian israeli jewish muslim christian catholic protestant hindu buddhist republican
    democrat texan californian gen ceo cto cfo coo vp phd mr mrs ms dr prof everyone everybody
    folks guys team all internet twitter google youtube facebook amazon apple microsoft github
    linux windows python javascript react podcast episode show part chapter
"""
_NOT_NAMES = frozenset(_NOT_NAMES_TEXT.split())
_WORD = re.compile(r"[^\W\d_][^\W\d_'’.-]*(?:['’.-][^\W\d_]+)*")
_TWO_CAPITALS = re.compile(r"^(?:Ma?c|De|Di|Du|La|Le|Van|Von|Fitz|O['’])(?=[A-Z])")
_MARKUP = re.compile(r"<[^<>]{0,200}>")


def clean_name(text: str) -> str:
    """A name from outside as plain text on one line, at most 80 characters; "" if nothing is left.

    Markup, control characters and marks that turn the direction of writing go.
    """
    plain = _MARKUP.sub(" ", unicodedata.normalize("NFC", text[:2000]))
    spaced = "".join(
        " " if ch.isspace() else ch
        for ch in plain
        if ch.isspace() or unicodedata.category(ch)[0] != "C"
    )
    return " ".join(spaced.split())[:LONGEST_NAME].strip(" \"'“”‘’*_:;,.[](){}<>|/\\-–—")


@lru_cache(maxsize=50_000)  # a few names are compared over and over
def name_key(name: str) -> str:
    """What two spellings of one name share: no case, accents, punctuation or honorifics."""
    folded = unicodedata.normalize("NFKD", clean_name(name).casefold())
    letters = "".join(ch for ch in folded if not "\u0300" <= ch <= "\u036f")
    words = re.findall(r"[^\W_]+", letters.replace("'", "").replace("’", ""))
    kept = [word for word in words if word not in _HONORIFICS] or words
    return " ".join(kept)


def is_local_label(label: str) -> bool:
    """Whether a label (S1, SPEAKER_00, Guest) means nothing outside of its recording."""
    return not name_key(label) or _LOCAL_LABEL.fullmatch(clean_name(label)) is not None


def read_name(text: str) -> tuple[str, int]:
    """The name that `text` begins with, and where it ends; ("", 0) where it begins with none.

    A name is up to four words with capitals, small particles among them (Ludwig van Beethoven).
    """
    words: list[str] = []
    end = place = 0
    while len(words) < MOST_NAME_WORDS and (match := _WORD.match(text, place)):
        word = match.group()
        plain = re.split(r"['’]", word.casefold().rstrip("."))[0]  # I'm, there's
        ordinary = any(part in _NOT_NAMES for part in plain.split("-")) or _is_brand(word)
        if plain in _HONORIFICS and not words:
            place = _skip(text, match.end(), ". ")
            continue
        small = plain in _PARTICLES and bool(words) and word.islower()
        if not small and (not word[0].isupper() or ordinary or "." in word[1:]):
            break
        owner = re.search(r"['’]s$", word)
        words.append(word[: owner.start()] if owner else word)
        initial = len(word) == 1 and text[match.end() : match.end() + 1] == "."
        end = match.end() + initial if not small else end
        if owner or text[end : end + 1] != " ":
            break
        place = end + 1 if not small else match.end() + 1
    while words and words[-1].casefold() in _PARTICLES and words[-1].islower():
        words.pop()
    return " ".join(words), end if words else 0


def find_names(text: str) -> Iterator[tuple[str, int, int]]:
    """Every name in a sentence with its start and end, from left to right."""
    place = 0
    while match := _WORD.search(text, place):
        name, length = read_name(text[match.start() : match.start() + 200])
        place = match.start() + length if name else match.end()
        if name:
            yield name, match.start(), match.start() + length


def _is_brand(word: str) -> bool:
    """Whether its capitals are those of an abbreviation or a product (MIT, LibreOffice)."""
    if len(word) > 2 and word.isupper():
        return True
    return bool(re.search(r"[a-z][A-Z]", _TWO_CAPITALS.sub("", word)))


def _skip(text: str, place: int, what: str) -> int:
    while place < len(text) and text[place] in what:
        place += 1
    return place
