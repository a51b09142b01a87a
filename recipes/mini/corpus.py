"""Stage 1: read labelled transcripts out of archives and clean them into plain spoken turns.

    python -m recipes.mini.corpus OUT.jsonl ARCHIVE [ARCHIVE...]

`recipes.mini.sources` says which layouts of archives are known. An episode's show tells its source:
`bitcoin/...`, `presidents`, `speeches` (one speaker each), and any other show is the Changelog's.
"""

import argparse
import hashlib
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from podcaster.dataset.clean import clean_name, is_person, split_sentences
from podcaster.dataset.clean import clean_text as clean_spoken
from podcaster.errors import InputError
from podcaster.units import count_words
from recipes.mini.episodes import Episode, Line, source_of, write_corpus
from recipes.mini.roles import known_hosts
from recipes.mini.sources import (
    LAYOUTS,
    SPEECHES,
    Layout,
    Transcript,
    Turn,
    read_archive,
)

EXCLUDED_SHOWS = ("founderstalk",)  # kept unseen: a show that a user's model is to learn
REPEATED_TURN_WORDS = 25  # a turn this long that was said before is boilerplate, or a re-run
PORTION_WORDS = (60, 150)  # a speech is cut into turns of this many words

_NAMELESS = re.compile(r"^(speaker|guest|voice)\b.*$", re.IGNORECASE)
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


def clean_text(text: str, *, layout: Layout = "changelog") -> str:
    """Turn the markdown of one turn into plain spoken text on one line; may come out empty.

    What names the Changelog's own shows is made neutral or dropped, in its `layout` alone.
    """
    if layout == "changelog":
        return clean_spoken(text, rewrite=_hide_own_shows, spoilers=("changelog",))
    return clean_spoken(text)


def _hide_own_shows(text: str) -> str:
    return _OWN_SHOW.sub("the show", text)


def clean_turns(turns: Iterable[Turn], layout: Layout = "changelog") -> list[Line]:
    """Clean the turns of a transcript; what one person says in a row becomes one turn.

    Breaks, sponsors' turns and turns with nothing left are dropped.
    """
    cleaned: list[Line] = []
    for label, raw in turns:
        speaker = clean_name(label)
        if not is_person(speaker) or _NAMELESS.match(speaker):
            continue
        text = clean_text(raw, layout=layout)
        if not count_words(text) or (layout != "presidents" and _SPONSOR.search(text)):
            continue
        if cleaned and cleaned[-1].speaker == speaker:
            text = f"{cleaned.pop().text} {text}"
        cleaned.append(Line(speaker, text))
    return cleaned


def cut_speech(lines: Iterable[Line]) -> list[Line]:
    """Cut a speech at ends of sentences into turns of `PORTION_WORDS`; a short rest is dropped."""
    portions: list[Line] = []
    fewest, most = PORTION_WORDS
    for line in lines:
        kept: list[str] = []
        words = 0
        for sentence in split_sentences(line.text):
            more = count_words(sentence)
            if words >= fewest and words + more > (fewest + most) / 2:
                portions.append(Line(line.speaker, " ".join(kept)))
                kept, words = [], 0
            kept.append(sentence)
            words += more
        if words >= fewest:
            portions.append(Line(line.speaker, " ".join(kept)))
    return [line for line in portions if count_words(line.text) <= most]


def split_of(show: str, name: str, holdout: float) -> str:
    """Choose the split of an episode by the hash of its name, so that it never changes."""
    digest = hashlib.sha256(f"{show}/{name}".encode()).digest()
    return "validation" if int.from_bytes(digest[:4], "big") < holdout * 2**32 else "train"


def build_corpus(
    transcripts: Iterable[Transcript],
    *,
    holdout: float = 0.02,
    exclude: Iterable[str] = EXCLUDED_SHOWS,
) -> list[Episode]:
    """Clean all episodes, without re-runs (half of the long turns known) or repeated long turns.

    Sources come in the order of `LAYOUTS`, so that the first keeps what others repeat. What is
    trained on also loses the long turns that differ from others, or from validation, in case,
    spaces and punctuation alone. Raises InputError if nothing is left.
    """
    left_out = set(exclude)
    seen: set[bytes] = set()
    episodes: list[Episode] = []
    ordered = sorted(transcripts, key=lambda t: (LAYOUTS.index(t.layout), t.show, t.name))
    for transcript in ordered:
        if transcript.show in left_out:
            continue
        turns = clean_turns(transcript.turns, transcript.layout)
        if transcript.show == SPEECHES:
            turns = cut_speech(turns)
        kept = _drop_repeated(turns, seen, key=str.lower)
        if kept:
            split = split_of(transcript.show, transcript.name, holdout)
            episodes.append(Episode(transcript.show, transcript.name, split, tuple(kept)))
    if not episodes:
        raise InputError("The archives hold no transcript with labelled turns.")
    return _drop_near_repeated(episodes)


def _drop_near_repeated(episodes: Sequence[Episode]) -> list[Episode]:
    """Drop near repeats from training; episodes of validation stay as they are."""
    held = [line for e in episodes if e.split == "validation" for line in e.lines]
    seen = {p for line in held if (p := _fingerprint(line, _letters_of)) is not None}
    kept: list[Episode] = []
    for episode in episodes:
        if episode.split == "validation":
            kept.append(episode)
            continue
        lines = _drop_repeated(episode.lines, seen, key=_letters_of)
        if lines:
            kept.append(msgspec.structs.replace(episode, lines=tuple(lines)))
    return kept


def _drop_repeated(
    turns: Sequence[Line], seen: set[bytes], *, key: Callable[[str], str]
) -> list[Line]:
    """Drop long turns in `seen`, or all if half of the long ones are; adds the others to `seen`."""
    prints = [_fingerprint(turn, key) for turn in turns]
    long_prints = [p for p in prints if p is not None]
    known = sum(p in seen for p in long_prints)
    if long_prints and known * 2 > len(long_prints):
        return []
    kept = [t for t, p in zip(turns, prints, strict=True) if p is None or p not in seen]
    seen.update(long_prints)
    return kept


def _letters_of(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


def _fingerprint(turn: Line, key: Callable[[str], str]) -> bytes | None:
    if count_words(turn.text) < REPEATED_TURN_WORDS:
        return None
    return hashlib.blake2b(key(turn.text).encode(), digest_size=12).digest()


def hold_out_guests(
    episodes: Sequence[Episode], hosts: Mapping[str, frozenset[str]]
) -> list[Episode]:
    """Drop what is trained on in which a guest of a validation episode speaks, in any source.

    A guest is told by the full name, of two words or more, and hosts no show. Validation is kept
    whole; speeches have no guests, but are dropped as all others are.
    """
    regular = {_full_name(name) for names in hosts.values() for name in names}
    held = [e for e in episodes if e.split == "validation" and e.show != SPEECHES]
    guests = {_full_name(line.speaker) for e in held for line in e.lines} - regular - {None}
    return [
        episode
        for episode in episodes
        if episode.split == "validation"
        or guests.isdisjoint({_full_name(name) for name in {ln.speaker for ln in episode.lines}})
    ]


def _full_name(name: str) -> str | None:
    """The name without accents, case and points; None if it is a single word."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
    words = re.findall(r"[a-z0-9]+", plain.replace("'", ""))
    return " ".join(words) if len(words) > 1 else None


@dataclass
class SourceTotals:
    """What the corpus holds of one source, and how many episodes were left out for guests."""

    episodes: int = 0
    held_out: int = 0
    left_out: int = 0
    words: int = 0
    words_left_out: int = 0


def summarize(episodes: Iterable[Episode], kept: Iterable[Episode]) -> dict[str, SourceTotals]:
    """Count episodes and words by source: `kept` of `episodes`."""
    totals: dict[str, SourceTotals] = defaultdict(SourceTotals)
    stays = {(e.show, e.name) for e in kept}
    for episode in episodes:
        total = totals[source_of(episode.show)]
        words = sum(count_words(line.text) for line in episode.lines)
        if (episode.show, episode.name) not in stays:
            total.left_out += 1
            total.words_left_out += words
            continue
        total.episodes += 1
        total.held_out += episode.split == "validation"
        total.words += words
    return dict(totals)


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("archives", type=Path, nargs="+", metavar="archive")
    parser.add_argument("--holdout", type=float, default=0.02)
    parser.add_argument("--kind", choices=LAYOUTS, help="the layout, if it is not to be detected")
    options = parser.parse_args(arguments)
    transcripts = [t for archive in options.archives for t in read_archive(archive, options.kind)]
    episodes = build_corpus(transcripts, holdout=options.holdout)
    kept = hold_out_guests(episodes, known_hosts(episodes))
    write_corpus(options.out, kept)
    for source, total in summarize(episodes, kept).items():
        print(
            f"{source}: {total.episodes} episodes, {total.held_out} held out, {total.words} words; "
            f"{total.left_out} left out for guests held out, {total.words_left_out} words",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
