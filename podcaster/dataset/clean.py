"""Turn transcribed turns into plain spoken text: no markup, no asides, no links, no lost words."""

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import msgspec

from podcaster.units import count_words

NO_CHAPTER = -1

_NOT_A_PERSON = re.compile(
    r"^(break|sponsors?|ads?|music|clip|intro|outro|jingle|audio|video|song|announcer|narrator"
    r"|recording|all|both|everyone|crowd|unknown|.*\bclip\b.*)$",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_COMMENT_END = "-->"
_TAG = re.compile(r"<[/!]?[A-Za-z][^<>]{0,300}>")
_IMAGE = re.compile(r"!\[[^\]]{0,400}\]\([^)]{0,2000}\)")
_LINK = re.compile(r"\[([^\]]{0,400})\]\((?:[^()]|\([^()]{0,400}\)){0,2000}\)")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+")
_LOST = re.compile(
    r"\\?\[\s{0,20}(?:unintelligible|inaudible|crosstalk)[^\]]{0,400}\]", re.IGNORECASE
)
_ASIDE = re.compile(r"\\?\[[^\[\]]{0,80}\]")
_UNSPOKEN = re.compile(r"[^\w\s.,!?'\"\-\u2014:;()/&%$#@+=\ufffc]")
_LOST_MARK = "\ufffc"
_SENTENCE_END = re.compile(r"(?:(?<=[.!?])|(?<=[.!?][\"']))\s+(?=[\"'(]?[A-Z0-9])")
_SPELLINGS = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»″", '"'),
        **dict.fromkeys("‘’‚‛′`´", "'"),
        **dict.fromkeys("–—―−", "\u2014"),
        **dict.fromkeys("\u00a0\u2009\u200a\u202f\t", " "),
        **dict.fromkeys("\u200b\u200c\u200d\ufeff\u00ad*_~|{}^", ""),
        "…": "...",
    }
)


class SpokenTurn(msgspec.Struct, frozen=True, array_like=True):
    """What one person said in one go, as plain text; `chapter` counts the recording's chapters."""

    speaker: str
    text: str
    chapter: int = NO_CHAPTER


@lru_cache(maxsize=8192)
def count_said(text: str) -> int:
    """Count words; of a recording's turns, which are counted several times, only once."""
    return count_words(text)


def split_sentences(text: str) -> list[str]:
    """Split plain text after `.`, `!` or `?` where a capital or a digit follows."""
    return [sentence for sentence in _SENTENCE_END.split(text) if sentence]


def clean_text(
    text: str, *, rewrite: Callable[[str], str] | None = None, spoilers: Sequence[str] = ()
) -> str:
    """Turn the markup of one turn into plain spoken text on one line; may come out empty.

    A sentence with words that the transcriber could not hear goes, and so does one that holds one
    of `spoilers` (lower case). `rewrite` may change the text before that.
    """
    text = _TAG.sub(" ", _drop_comments(text))
    text = _LINK.sub(r"\1", _IMAGE.sub(" ", text))
    text = _ADDRESS.sub(" ", text)
    text = _ASIDE.sub(" ", _LOST.sub(f" {_LOST_MARK} ", text))
    text = html.unescape(text.replace("\\", ""))
    text = unicodedata.normalize("NFC", text).translate(_SPELLINGS)
    text = _UNSPOKEN.sub("", text)
    text = re.sub(r"^[ \t]*(?:[>#]+|[-+])\s+", "", text, flags=re.MULTILINE)
    text = re.sub(r"\s+", " ", text)
    if rewrite is not None:
        text = rewrite(text)
    unwanted = (_LOST_MARK, *spoilers)
    lowered = text.lower()
    if any(spoiler in lowered for spoiler in unwanted):
        kept = [
            sentence
            for sentence in split_sentences(text)
            if not any(spoiler in sentence.lower() for spoiler in unwanted)
        ]
        text = " ".join(kept)
    return _tidy_punctuation(text)


def _drop_comments(text: str) -> str:
    # after the last end of a comment none is looked for: each beginning would read all the rest
    end = text.rfind(_COMMENT_END) + len(_COMMENT_END)
    return _COMMENT.sub(" ", text[:end]) + text[end:] if end >= len(_COMMENT_END) else text


def _tidy_punctuation(text: str) -> str:
    text = re.sub(r"--+", "\u2014", text)
    text = re.sub(r"\s*\u2014\s*(?=$|[\"'])", "...", text)
    text = re.sub(r"\s*\u2014\s*", " - ", text)
    text = re.sub(r"\.{2,}", "...", text)
    text = re.sub(r"\.\.\.\s*([,;:?!])", r"\1", text)
    text = re.sub(r"\.\.\.\s+(?=[A-Z\"])", ". ", text)
    text = re.sub(r"\s+([,.;:?!](?:\s|$))", r"\1", text)
    text = re.sub(r"([,;:?!])\1+", r"\1", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"^[\s,.;:?!)-]+", "", text)


def clean_name(label: str) -> str:
    """A speaker's label without asides, titles after a comma, and what stands in parentheses."""
    name = _ASIDE.sub(" ", label.replace("\\", "")).split(",")[0].split("(")[0]
    return " ".join(name.translate(_SPELLINGS).split())


def is_person(name: str) -> bool:
    """Whether a clean label can be somebody's, and not a break's, a jingle's or a crowd's."""
    return bool(name) and not _NOT_A_PERSON.match(name)


def merge_turns(turns: Iterable[SpokenTurn], *, across_chapters: bool = False) -> list[SpokenTurn]:
    """Make one turn of what one person says in a row; empty turns go.

    Turns of different chapters stay apart unless `across_chapters`.
    """
    merged: list[SpokenTurn] = []
    for turn in turns:
        if not turn.text:
            continue
        last = merged[-1] if merged else None
        if (
            last is not None
            and last.speaker == turn.speaker
            and (across_chapters or last.chapter == turn.chapter)
        ):
            merged[-1] = SpokenTurn(last.speaker, f"{last.text} {turn.text}", last.chapter)
        else:
            merged.append(turn)
    return merged
