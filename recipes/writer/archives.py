"""The archives of transcripts that are read, and how each layout labels who speaks.

Three layouts are known, told apart by content:

- `changelog`: markdown files `show/episode.md` whose paragraphs begin with `**Name:** `;
- `bitcoin`: markdown files with front matter (`title`, `speakers`), some of which are conversations
  labelled `Name: text`, `Name (XX): text` or `Name: 00:01:02`; talks and notes are passed over;
- `presidents`: plain texts that begin with `President: Name`; those with questions and answers are
  conversations (show `presidents`), the others speeches (show `speeches`).

Texts come out as they are written: the program cleans them when it makes a dataset.
"""

import difflib
import lzma
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, get_args

from podcaster.errors import InputError, foreign
from podcaster.units import count_words
from recipes.writer.speeches import parse_speech
from recipes.writer.turns import AUDIENCE, FEWEST_TURNS, Turn, cut_at, mark_sounds

Layout = Literal["changelog", "bitcoin", "presidents"]

LARGEST_EPISODE_BYTES = 4_000_000
LARGEST_ARCHIVE_BYTES = 1_000_000_000  # of text: far more than any archive of transcripts has
FIRST_YEAR = 1930  # older speeches are in another English
MOST_LABELS = 100  # different ones in a file; more are no people
FEWEST_NAMED_TURNS = 4  # of each of at least two named people in it
FEWEST_LABELLED = 0.75  # the share of a file's words that is under labels
FEWEST_NAMED = 0.7  # the share of the labelled words that named people say
LONGEST_MEAN_TURN_WORDS = 280  # more is a talk with questions

_SUFFIXES = ("", ".md", ".txt")
_CLOCK = r"[\[(]?\d{1,2}:\d{2}(?::\d{2})?(?:\.\d+)?[\])]?"


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """One transcript of an archive; `show` and `name` identify it."""

    layout: Layout
    show: str
    name: str
    turns: tuple[Turn, ...]


class TextFile(NamedTuple):
    """A text file of an archive; `path` is relative to the archive's root."""

    path: PurePosixPath
    text: str

    @property
    def stem(self) -> str:
        """The file's name without `.md` or `.txt`."""
        suffix = self.path.suffix
        return self.path.stem if suffix in _SUFFIXES else self.path.name


def read_archive(archive: Path, layout: Layout | None = None) -> list[Transcript]:
    """Read every transcript of an archive; without `layout`, its content tells which it is.

    Nothing is unpacked to disk; files that are too large or no text are passed over. Raises
    InputError if the archive cannot be read, or if its layout is none of the three.
    """
    files = list(_read_texts(archive))
    layout = layout or detect_layout(files, archive.name)
    return list(_READERS[layout](files))


def _read_texts(archive: Path) -> Iterator[TextFile]:
    doing = f"Reading {archive.name}"
    broken = (OSError, tarfile.TarError, EOFError, lzma.LZMAError, ValueError)
    room = LARGEST_ARCHIVE_BYTES
    with foreign(InputError, doing, *broken), tarfile.open(archive, mode="r|*") as stream:
        for member in stream:
            path = PurePosixPath(member.name)
            usable = member.isfile() and member.size <= LARGEST_EPISODE_BYTES
            if not usable or len(path.parts) < 2 or path.suffix not in _SUFFIXES:
                continue
            room -= member.size
            if room < 0:
                raise InputError(f"{archive.name} holds more text than any archive of transcripts.")
            content = stream.extractfile(member)
            if content is not None:
                text = content.read().decode("utf-8-sig", errors="replace")
                yield TextFile(path, text.replace("\r\n", "\n").replace("\0", ""))


def detect_layout(files: Iterable[TextFile], name: str = "The archive") -> Layout:
    """Tell the layout of most files; raises InputError if no file has one of the three."""
    found = Counter(layout for file in files if (layout := _layout_of(file.text)) is not None)
    if not found:
        raise InputError(
            f"{name} holds no transcripts: neither turns of the form `**Name:** text`, nor "
            "markdown with front matter, nor texts that begin with `President: `."
        )
    return found.most_common(1)[0][0]


def _layout_of(text: str) -> Layout | None:
    if text.startswith("---\n"):
        return "bitcoin"
    if text.startswith("President:"):
        return "presidents"
    return "changelog" if _BOLD_LABEL.search(text, 0, 20_000) else None


# --- changelog

_BOLD_LABEL = re.compile(r"^\*\*\s*([^*\n]{1,80}?)\s*(?::\s*\*\*|\*\*\s*:)\s*", re.MULTILINE)


def parse_changelog(markdown: str) -> tuple[Turn, ...]:
    """Read `**Name:** text` paragraphs; a turn goes on until the next label."""
    labels = list(_BOLD_LABEL.finditer(markdown))
    texts = cut_at(markdown, labels)
    return tuple(Turn(m.group(1), text) for m, text in zip(labels, texts, strict=True))


def _read_changelog(files: Iterable[TextFile]) -> Iterator[Transcript]:
    for file in files:
        if file.path.suffix == ".md":
            turns = parse_changelog(file.text)
            show = file.path.parts[-2]
            yield Transcript(layout="changelog", show=show, name=file.stem, turns=turns)


# --- bitcoin

_TRANSLATED = re.compile(r"\.[a-z]{2}(-[a-z]{2})?$")
_NOTES = re.compile(r"^\W*(preliminary notes|meeting notes|notes from)\b", re.I | re.M)
_NAME_LABEL = re.compile(
    r"^[ \t]*(?:\*\*)?"
    r"(?P<name>[^\W_][\w.'’-]{0,30}(?: [\w.'’-]{1,30}){0,3})(?: ?\((?P<more>[^()\n]{1,40})\))?"
    rf"(?:\*\*)?(?: {{1,2}}{_CLOCK})? ?:(?:\*\*)?(?![/\w])(?:[ \t]*{_CLOCK}(?!\w))?[ \t]*",
    re.MULTILINE,
)
_NEVER_A_NAME = re.compile(
    r"^(slides?|tweets?|location|notes?|topics?|links?|parts?|transcripts?|videos?|sources?|date"
    r"|title|edit(ed by)?|papers?|repo|code|example|agenda|references?|summary|warning|github"
    r"|question|answer|problem|solution|step|figure|update|also|see|podcast|website|blog|theorem"
    r"|today|first|second|third|so|and|but|or|the|this|that|then|now|yes|no|ok|okay|well|option"
    r"|transcript completed by|transcription by|time|chat|sponsors?|announcement|speakers?"
    r"|pros?|cons?|bip\d*|http|https|disclaimer|intro|outro)\b",
    re.I,
)
_ANYBODY = re.compile(
    r"^(q|a|q ?& ?a|follow-up q|audience|speaker|unknown|xx|participant|attendee|someone|guest"
    r"|host|moderator|interviewer|all|new speaker|man|woman|senator|everyone|person)\b.*$|^xx\d+$",
    re.I,
)
_INITIALS = re.compile(r"^[A-Z][A-Za-z]?[A-Z]{0,2}\d*$|^[A-Z]$")
_FULL_NAME = re.compile(
    r"^[^\W\d_a-z][\w'’.-]*(?: (?:van|von|der|de|la|di|del|da|el|al|bin))*"
    r"(?: [^\W_a-z][\w'’.-]*)+$"
)
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_NO_SPEECH = re.compile(r"^(?:#+ .*|\|.*|[ \t]*<?https?://\S*|[-=*]{3,})$", re.MULTILINE)
_REMARK = re.compile(r"\(\([^()]{0,300}\)\)")
_STAMP = re.compile(r"[\[(]?\b\d{1,2}:\d{2}:\d{2}\b(?:\.\d+)?[\])]?")


@dataclass(frozen=True, kw_only=True)
class FrontMatter:
    """What the head of a markdown file says: `speakers`, who transcribed it, and `body` below."""

    speakers: tuple[str, ...] = ()
    transcriber: str = ""
    translated: bool = False
    body: str = ""


def read_front_matter(markdown: str) -> FrontMatter:
    """Split a markdown file into what its YAML head says and its body; the head may be missing.

    Only plain scalars and lists of plain scalars are read, which is all that such heads hold.
    """
    end = markdown.find("\n---", 3)
    if not markdown.startswith("---\n") or end < 0:
        return FrontMatter(body=markdown)
    values: dict[str, list[str]] = defaultdict(list)
    key = ""
    for line in markdown[4:end].split("\n"):
        if line[:1].isalpha() and ":" in line:
            key, _, value = line.partition(":")
            values[key] += [value.strip(" '\"")] if value.strip() else []
        elif line.strip().startswith("- "):
            values[key].append(line.strip()[2:].strip(" '\""))
    speakers = [part for v in values["speakers"] for part in v.strip("[]").split(",")]
    return FrontMatter(
        speakers=tuple(name for s in speakers if (name := s.strip(" '\""))),
        transcriber=re.split(r" via |,", " ".join(values["transcript_by"]))[0].strip(),
        translated=any("translation" in key for key in values),
        body=markdown[end + 4 :],
    )


@dataclass
class NameResolver:
    """Finds the full name that a label (`Ann`, `AS`, `Ann smith`) stands for in one file.

    `people` are groups of full names, the likeliest group first: a label takes the name of the
    first group in which exactly one fits.
    """

    people: Sequence[Sequence[str]]
    aliases: dict[str, str] = field(default_factory=dict)

    def learn(self, name: str, more: str) -> None:
        """Take note of a label such as `Ann Smith (AS)` or `anny (Ann Smith)`."""
        if _FULL_NAME.match(more):
            self.aliases[name.casefold()] = more
        elif _INITIALS.match(more) or (
            _FULL_NAME.match(name) and more.isalnum() and more.islower()
        ):
            self.aliases[more.casefold()] = name

    def resolve(self, label: str) -> str:
        """Return the full name, or the label itself where none fits."""
        folded = label.casefold()
        if folded in self.aliases:
            return self.aliases[folded]
        if _ANYBODY.match(label):
            return label
        for names in (list(self.aliases.values()), *self.people):
            fits = {name for name in names if _stands_for(label, name)}
            if len(fits) == 1:
                return fits.pop()
            close = difflib.get_close_matches(label, names, n=1, cutoff=0.85)
            if " " in label and close:
                return close[0]
        return label


def _stands_for(label: str, name: str) -> bool:
    words = name.casefold().replace("’", "'").split()
    folded = label.casefold().replace("’", "'")
    if len(words) < 2:
        return folded == name.casefold()
    initials = "".join(word[0] for word in words)
    short = {initials, initials[0] + initials[-1]} if label[:1].isupper() else set()
    return (
        folded in (" ".join(words), words[0], words[-1])
        or folded in short
        or (len(folded) > 4 and " " in folded and " ".join(words).startswith(folded))
    )


def parse_named(matter: FrontMatter, people: Sequence[str] = ()) -> tuple[Turn, ...]:
    """Read the labelled turns of a conversation; empty for talks, notes and unnamed speakers.

    `people` are further full names that labels may stand for, such as a show's regulars.
    """
    if matter.translated or _NOTES.search(matter.body, 0, 2_000):
        return ()
    body = _NO_SPEECH.sub("", _REMARK.sub(" ", _CODE.sub("", matter.body)))
    labels = [match for match in _NAME_LABEL.finditer(body) if _may_be_name(match["name"])]
    if len(labels) < FEWEST_TURNS or len({match["name"] for match in labels}) > MOST_LABELS:
        return ()
    resolver = NameResolver([matter.speakers, [matter.transcriber], people])
    for match in labels:
        if match["more"]:
            resolver.learn(match["name"], match["more"])
    known = set(matter.speakers) | set(resolver.aliases.values())
    meant = {label: resolver.resolve(label) for label in {match["name"] for match in labels}}
    names = [meant[match["name"]] for match in labels]
    tally = Counter(names)
    often = [name for name, n in tally.items() if name in known or n >= FEWEST_NAMED_TURNS]
    kept: list[tuple[re.Match[str], str]] = []
    for match, name in zip(labels, names, strict=True):
        if name in known or tally[name] >= (2 if name[0].isupper() else 3) or _is_audience(name):
            kept.append((match, name))
        elif name[0].isupper() and (close := difflib.get_close_matches(name, often, n=1)):
            kept.append((match, close[0]))
    texts = cut_at(body, [match for match, _ in kept])
    turns = [
        Turn(AUDIENCE if _is_audience(name) else name, mark_sounds(_STAMP.sub(" ", text)))
        for (_, name), text in zip(kept, texts, strict=True)
        if text.strip()
    ]
    before = count_words(body[: kept[0][0].start()]) if kept else 0
    return tuple(turns) if _is_conversation(turns, known, before) else ()


def _may_be_name(label: str) -> bool:
    several = " " in label and not _ANYBODY.match(label)
    return not _NEVER_A_NAME.match(label) and (not several or bool(_FULL_NAME.match(label)))


def _is_audience(name: str) -> bool:
    kinds = r"(q|follow-up q|audience|unknown|new speaker|participant|attendee|someone)\b"
    return re.match(kinds, name, re.I) is not None


def _is_conversation(turns: Sequence[Turn], known: set[str], unlabelled: int) -> bool:
    words: Counter[str] = Counter()
    tally: Counter[str] = Counter()
    for turn in turns:
        words[turn.speaker] += count_words(turn.text)
        tally[turn.speaker] += 1
    named = [
        name
        for name in words
        if name in known or not (_ANYBODY.match(name) or _INITIALS.match(name))
    ]
    said = sum(words.values())
    return (
        len(turns) >= FEWEST_TURNS
        and sum(tally[name] >= FEWEST_NAMED_TURNS for name in named) >= 2
        and said >= FEWEST_LABELLED * (said + unlabelled)
        and sum(words[name] for name in named) >= FEWEST_NAMED * said
        and said <= LONGEST_MEAN_TURN_WORDS * len(turns)
    )


def _read_bitcoin(files: Iterable[TextFile]) -> Iterator[Transcript]:
    folders: dict[str, list[tuple[str, FrontMatter]]] = defaultdict(list)
    for file in files:
        ours = file.path.suffix == ".md" and not file.stem.startswith("_")
        if ours and not _TRANSLATED.search(file.stem) and file.text.startswith("---\n"):
            folder, *rest = file.path.parts[:-1]
            name = "/".join([*rest, file.stem])
            folders[folder].append((name, read_front_matter(file.text)))
    for folder, matters in folders.items():
        regulars = _regulars(matter for _, matter in matters)
        for name, matter in matters:
            turns = parse_named(matter, regulars)
            if turns:
                show = f"bitcoin/{folder}"
                yield Transcript(layout="bitcoin", show=show, name=name, turns=turns)


def _regulars(matters: Iterable[FrontMatter]) -> list[str]:
    """Full names that label turns in, or are given for, at least two files of a folder."""
    tally: Counter[str] = Counter()
    for matter in matters:
        labels = Counter(match["name"] for match in _NAME_LABEL.finditer(matter.body))
        often = {n for n, times in labels.most_common(MOST_LABELS) if times >= FEWEST_NAMED_TURNS}
        tally.update({n for n in {*often, *matter.speakers} if " " in n and n[0].isupper()})
    regulars: list[str] = []
    for name, n in tally.most_common(MOST_LABELS):
        known = difflib.get_close_matches(name, regulars, n=1, cutoff=0.85)
        if n >= 2 and not _ANYBODY.match(name) and not known:
            regulars.append(name)
    return regulars


def _read_presidents(files: Iterable[TextFile]) -> Iterator[Transcript]:
    for file in files:
        year = file.stem[:4]
        if file.text.startswith("President:") and year.isdigit() and int(year) >= FIRST_YEAR:
            show, turns = parse_speech(file.text)
            yield Transcript(layout="presidents", show=show, name=file.stem, turns=turns)


_READERS: dict[Layout, Callable[[Iterable[TextFile]], Iterator[Transcript]]] = {
    "changelog": _read_changelog,
    "bitcoin": _read_bitcoin,
    "presidents": _read_presidents,
}
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
