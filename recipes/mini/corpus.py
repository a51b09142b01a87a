"""Stage 1: read labelled transcripts out of an archive and clean them into plain spoken turns.

    python -m recipes.mini.corpus ARCHIVE OUT.jsonl

The archive holds markdown files `show/episode.md` whose paragraphs begin with `**Name:** `.
"""

import argparse
import hashlib
import html
import lzma
import re
import sys
import tarfile
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from podcaster.errors import InputError, foreign
from podcaster.units import count_words

EXCLUDED_SHOWS = ("founderstalk",)  # kept unseen: a show that a user's model is to learn
LARGEST_EPISODE_BYTES = 4_000_000
REPEATED_TURN_WORDS = 25  # a turn this long that was said before is boilerplate, or a re-run

_SPEAKER = re.compile(r"^\*\*\s*([^*\n]{1,80}?)\s*(?::\s*\*\*|\*\*\s*:)\s*", re.MULTILINE)
_NOT_A_PERSON = re.compile(
    r"^(break|sponsors?|ads?|music|clip|intro|outro|jingle|audio|video|song|announcer|narrator"
    r"|recording|all|both|everyone|crowd|unknown|(speaker|guest|voice)\b.*|.*\bclip\b.*)$",
    re.IGNORECASE,
)
_SPONSOR = re.compile(
    r"brought to you by|our sponsors?\b|(?:today|this week|this episode)'s sponsor|promo code"
    r"|use (?:the )?code\b|\b\d+% off\b|free trial|thanks? to (?:our|fastly|linode|fly)"
    r"|sponsored by|this episode is|head to [a-z]+\.[a-z]|sign up (?:now )?at\b"
    r"|partners? at \w+|our friends (?:at|over at)|learn more at\b",
    re.IGNORECASE,
)
_OWN_SHOW = re.compile(
    r"\b(?:[Tt]he )?(?:Changelog(?: (?:News|(?:&|and) Friends|[Pp]odcast|[Ii]nterviews?))?"
    r"|JS Party|JSParty|Go Time|GoTime|Practical AI|Brain Science|Founders Talk|RFC)(?:'s)?"
    r"(?: (?:[Ss]how|[Pp]odcast))?\b"
)
_COMMENT = re.compile(r"<!--.*?-->|<[/!]?[A-Za-z][^<>]{0,300}>", re.DOTALL)
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]*)\]\((?:[^()]|\([^()]*\))*\)")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+")
_LOST = re.compile(r"\\?\[\s*(?:unintelligible|inaudible|crosstalk)[^\]]*\]", re.IGNORECASE)
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


class Line(msgspec.Struct, frozen=True):
    """What one person said until another spoke, as plain text."""

    speaker: str
    text: str


class Episode(msgspec.Struct, frozen=True):
    """One cleaned transcript; `split` is `train` or `validation`."""

    show: str
    name: str
    split: str
    lines: tuple[Line, ...]


def read_archive(archive: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (show, episode, markdown text) of every transcript, in the archive's order.

    Raises InputError if the archive cannot be read.
    """
    doing = f"Reading {archive.name}"
    broken = (OSError, tarfile.TarError, EOFError, lzma.LZMAError)
    with foreign(InputError, doing, *broken), tarfile.open(archive, mode="r|*") as stream:
        for member in stream:
            parts = Path(member.name).parts
            usable = member.isfile() and member.size <= LARGEST_EPISODE_BYTES
            if not usable or len(parts) < 2 or not member.name.endswith(".md"):
                continue
            content = stream.extractfile(member)
            if content is not None:
                text = content.read().decode("utf-8", errors="replace")
                yield parts[-2], Path(parts[-1]).stem, text


def split_sentences(text: str) -> list[str]:
    """Split plain text after `.`, `!` or `?` where a capital or a digit follows."""
    return [sentence for sentence in _SENTENCE_END.split(text) if sentence]


def clean_text(text: str) -> str:
    """Turn the markdown of one turn into plain spoken text on one line; may come out empty."""
    text = _COMMENT.sub(" ", text)
    text = _LINK.sub(r"\1", _IMAGE.sub(" ", text))
    text = _ADDRESS.sub(" ", text)
    text = _ASIDE.sub(" ", _LOST.sub(f" {_LOST_MARK} ", text))
    text = html.unescape(text.replace("\\", ""))
    text = unicodedata.normalize("NFC", text).translate(_SPELLINGS)
    text = _UNSPOKEN.sub("", text)
    text = re.sub(r"^\s*(?:[>#]+|[-+])\s+", "", text, flags=re.MULTILINE)
    text = re.sub(r"\s+", " ", text)
    text = _OWN_SHOW.sub("the show", text)
    if _LOST_MARK in text or "changelog" in text.lower():
        kept = [s for s in split_sentences(text) if not _spoils(s)]
        text = " ".join(kept)
    return _tidy_punctuation(text)


def _spoils(sentence: str) -> bool:
    return _LOST_MARK in sentence or "changelog" in sentence.lower()


def _tidy_punctuation(text: str) -> str:
    text = re.sub(r"\s*(?:\u2014|--+)\s*(?=$|[\"'])", "...", text)
    text = re.sub(r"\s*(?:\u2014|--+)\s*", " - ", text)
    text = re.sub(r"\.{2,}", "...", text)
    text = re.sub(r"\.\.\.\s*([,;:?!])", r"\1", text)
    text = re.sub(r"\.\.\.\s+(?=[A-Z\"])", ". ", text)
    text = re.sub(r"\s+([,.;:?!](?:\s|$))", r"\1", text)
    text = re.sub(r"([,;:?!])\1+", r"\1", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"^[\s,.;:?!)-]+", "", text)


def parse_turns(markdown: str) -> list[Line]:
    """Read `**Name:** text` paragraphs; a turn goes on until the next label.

    Text before the first label, breaks, sponsors' turns and turns with nothing left are dropped,
    and what one person says in a row is one turn.
    """
    turns: list[Line] = []
    labels = list(_SPEAKER.finditer(markdown))
    starts = [label.start() for label in labels]
    for label, end in zip(labels, [*starts[1:], len(markdown)], strict=False):
        speaker = _clean_name(label.group(1))
        if not speaker or _NOT_A_PERSON.match(speaker):
            continue
        text = clean_text(markdown[label.end() : end])
        if not count_words(text) or _SPONSOR.search(text):
            continue
        if turns and turns[-1].speaker == speaker:
            text = f"{turns.pop().text} {text}"
        turns.append(Line(speaker, text))
    return turns


def _clean_name(name: str) -> str:
    name = _ASIDE.sub(" ", name.replace("\\", "")).split(",")[0].split("(")[0]
    return " ".join(name.translate(_SPELLINGS).split())


def split_of(show: str, name: str, holdout: float) -> str:
    """Choose the split of an episode by the hash of its name, so that it never changes."""
    digest = hashlib.sha256(f"{show}/{name}".encode()).digest()
    return "validation" if int.from_bytes(digest[:4], "big") < holdout * 2**32 else "train"


def build_corpus(
    raw: Iterable[tuple[str, str, str]],
    *,
    holdout: float = 0.02,
    exclude: Iterable[str] = EXCLUDED_SHOWS,
) -> list[Episode]:
    """Clean all episodes, without re-runs (half of the long turns known) or repeated long turns.

    Raises InputError if nothing is left.
    """
    left_out = set(exclude)
    seen: set[bytes] = set()
    episodes: list[Episode] = []
    for show, name, markdown in sorted(raw):
        if show in left_out:
            continue
        turns = parse_turns(markdown)
        prints = [_fingerprint(turn) for turn in turns]
        long_prints = [p for p in prints if p is not None]
        known = sum(p in seen for p in long_prints)
        if not turns or (long_prints and known * 2 > len(long_prints)):
            continue
        kept = tuple(t for t, p in zip(turns, prints, strict=True) if p is None or p not in seen)
        seen.update(long_prints)
        episodes.append(Episode(show, name, split_of(show, name, holdout), kept))
    if not episodes:
        raise InputError("The archive holds no transcript with turns of the form `**Name:** text`.")
    return episodes


def _fingerprint(turn: Line) -> bytes | None:
    if count_words(turn.text) < REPEATED_TURN_WORDS:
        return None
    return hashlib.blake2b(turn.text.lower().encode(), digest_size=12).digest()


def write_corpus(path: Path, episodes: Iterable[Episode]) -> None:
    """Write one JSON object a line."""
    lines = b"".join(msgspec.json.encode(episode) + b"\n" for episode in episodes)
    path.write_bytes(lines)


def read_corpus(path: Path) -> list[Episode]:
    """Read what `write_corpus` wrote; raises InputError where it is not that."""
    broken = (OSError, msgspec.MsgspecError)
    with foreign(InputError, f"Reading {path.name}", *broken), path.open("rb") as lines:
        return [msgspec.json.decode(line, type=Episode) for line in lines]


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--holdout", type=float, default=0.02)
    options = parser.parse_args(arguments)
    episodes = build_corpus(read_archive(options.archive), holdout=options.holdout)
    write_corpus(options.out, episodes)
    words = sum(count_words(line.text) for e in episodes for line in e.lines)
    held = sum(e.split == "validation" for e in episodes)
    print(f"{len(episodes)} episodes, {held} held out, {words} words", file=sys.stderr)


if __name__ == "__main__":
    main()
