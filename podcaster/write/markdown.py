"""Scripts as markdown that a person can read and edit: `script.md`, and scripts of one's own.

    # Title

    Summary.

    - **Robin Hale** (host)
    - **Ada Lovelace** (guest)

    ## A chapter

    **Robin Hale:** What is said. [note-1]

Nothing but `Name: text` lines is needed; the comment at the end of a script of ours holds what
people do not edit (seed, model, hashes).
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec

from podcaster.errors import InputError
from podcaster.model import Chapter, Noun, Role, Script, Source, Speaker, Turn, slugify
from podcaster.write.sentences import clean_line

LARGEST_SCRIPT_CHARACTERS = 4_000_000
LONGEST_NAME = 120
MOST_SPEAKERS = 64

_ESCAPED = re.compile(r"\\([\\\[\]*_#`~<>+\-!()])")
_BOLD_LINE = re.compile(r"^\*\*(?P<name>(?:\\.|[^*\\])+?)(?::\*\*|\*\*\s*:)(?:\s+|$)(?P<text>.*)$")
_PLAIN_LINE = re.compile(
    r"^(?P<name>[^\W\d_][^:#*\[\]()<>!?]{0,119}?)\s*(?:[\[(][\d:. ]+[\])])?\s*:"
    r"(?:\s+|$)(?P<text>.*)$"
)
_LISTED = re.compile(
    r"^[-*+]\s+\*\*(?P<name>(?:\\.|[^*\\])+)\*\*(?:\s+\((?P<role>host|guest|other)"
    r"(?:,\s*voice:?\s+(?P<voice>[^)]+))?\))?\s*$"
)
_MARKS = re.compile(r"(?:\s*(?<!\\)\[(?P<id>[a-z0-9][a-z0-9_-]{0,63})\])\s*$")
_HEADING = re.compile(r"^(?P<level>#{1,6})\s+(?P<title>.*?)(?:\s+#+)?$")
_COMMENT = re.compile(r"^<!--.*-->$")
_DETAILS = re.compile(r"^<!-- podcaster (\{[^\n]*\}) -->\s*\Z", re.MULTILINE)
_REFERENCE = re.compile(r"^\[[a-z0-9][a-z0-9_-]*\]:\s")
LONGEST_PLAIN_NAME_WORDS = 6


class _Details(Noun, frozen=True):
    """What a script of ours keeps out of people's way."""

    language: str
    seed: int
    model: str
    model_sha256: str | None
    ids: dict[str, str]
    keywords: tuple[tuple[str, ...], ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class ScriptDefaults:
    """What a script that does not say it is taken to be."""

    title: str = "A conversation"
    language: str = "en"
    seed: int = 0
    model: str = "by hand"
    host: str = ""
    guest: str = ""


def format_script(script: Script) -> str:
    """Spell a script as markdown; `parse_script` reads the same script out of it."""
    labels = _labels(script.speakers)
    blocks = [f"# {_escape(script.title)}"]
    if script.summary:
        blocks.append(_escape(script.summary))
    blocks.append("\n".join(_listing(speaker, labels[speaker.id]) for speaker in script.speakers))
    for chapter in script.chapters:
        blocks.append(f"## {_escape(chapter.title)}")
        for turn in chapter.turns:
            marks = "".join(f" [{source}]" for source in turn.sources)
            blocks.append(f"**{_escape(labels[turn.speaker])}:** {_escape(turn.text)}{marks}")
    if script.sources:
        blocks.append("---")
        blocks.append(
            "\n".join(f"[{s.id}]: {_escape(s.title)} ({s.location})" for s in script.sources)
        )
    details = _Details(
        language=script.language,
        seed=script.seed,
        model=script.model,
        model_sha256=script.model_sha256,
        ids={labels[speaker.id]: speaker.id for speaker in script.speakers},
        keywords=tuple(chapter.keywords for chapter in script.chapters),
        sources=script.sources,
    )
    # two dashes would end the comment
    encoded = msgspec.json.encode(details).decode().replace("--", "-\\u002d")
    blocks.append(f"<!-- podcaster {encoded.replace('>', chr(92) + 'u003e')} -->")
    return "\n\n".join(blocks) + "\n"


def parse_script(text: str, where: str, defaults: ScriptDefaults | None = None) -> Script:
    """Read a script: one of ours, edited or not, or any text of `Name: what is said` lines.

    Speakers whom nothing else describes get their roles by order: host, guest, other. Raises
    InputError, with the line, where nobody speaks or a line belongs to nobody.
    """
    details, reading = _read(text, where)
    return _assemble(reading, details, defaults or ScriptDefaults())


def find_turn_lines(text: str, where: str) -> tuple[int, ...]:
    """The line, from 1, on which each turn of a script begins: one per turn of `parse_script`.

    Raises InputError as that does.
    """
    details, reading = _read(text, where)
    known = {source.id for source in details.sources} if details else set()
    said = (lines for _, spoken in reading.chapters for _, lines in spoken)
    return tuple(
        line
        for line, lines in zip(reading.turn_lines, said, strict=True)
        if _read_turn("", lines, known) is not None
    )


def _read(text: str, where: str) -> tuple[_Details | None, "_Reading"]:
    if len(text) > LARGEST_SCRIPT_CHARACTERS:
        raise InputError(
            f"The script {where} has {len(text)} characters, expected at most "
            f"{LARGEST_SCRIPT_CHARACTERS}.",
            next_step="Split it into several episodes.",
        )
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    details, text = _read_details(text, where)
    reading = _Reading(where=where, bold="**" in text and _has_bold(text))
    for number, line in enumerate(text.split("\n"), 1):
        reading.take(line, number)
    return details, reading


@dataclass
class _Reading:
    """A script being read, line by line."""

    where: str
    bold: bool
    title: str = ""
    summary: list[str] = field(default_factory=list)
    listed: dict[str, tuple[Role | None, str | None]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    chapters: list[tuple[str, list[tuple[str, list[str]]]]] = field(default_factory=list)
    turn_lines: list[int] = field(default_factory=list)
    in_turn: bool = False
    ended: bool = False

    def take(self, raw: str, number: int) -> None:
        line = clean_line(raw)
        if not line or self.ended or _COMMENT.match(line):
            return
        if line == "---":
            self.ended = self.bold and bool(self.chapters)
        elif heading := _HEADING.match(line):
            self._head(heading)
        elif spoken := self._spoken(line):
            self._speak(_unescape(spoken["name"]), spoken["text"], number)
        elif self.in_turn:
            self.chapters[-1][1][-1][1].append(line)
        elif not self.chapters and (listed := _LISTED.match(line)):
            role: Any = listed["role"]
            self.listed[_unescape(listed["name"])] = (role, listed["voice"])
        elif not self.chapters and self.title and self.bold:
            self.summary.append(line)
        elif not _REFERENCE.match(line):
            raise InputError(
                f"{self.where}, line {number}: nobody says {line[:60]!r}.",
                next_step="Begin the line with the speaker's name and a colon, as in "
                "`Ada: Good morning.`",
            )

    def _spoken(self, line: str) -> re.Match[str] | None:
        if self.bold:
            return _BOLD_LINE.match(line)
        match = _PLAIN_LINE.match(line)
        if match is None or match["name"] in self.names:
            return match
        name = match["name"]
        plausible = len(name.split()) <= LONGEST_PLAIN_NAME_WORDS and name[0] == name[0].upper()
        return match if plausible and len(self.names) < MOST_SPEAKERS else None

    def _head(self, heading: re.Match[str]) -> None:
        title = _unescape(heading["title"])
        self.in_turn = False
        if heading["level"] == "#" and not self.title and not self.chapters:
            self.title = title
        else:
            self.chapters.append((title, []))

    def _speak(self, name: str, text: str, number: int) -> None:
        if len(name) > LONGEST_NAME:
            raise InputError(
                f"{self.where}, line {number}: a speaker's name has {len(name)} characters, "
                f"expected at most {LONGEST_NAME}."
            )
        if name not in self.names:
            self.names.append(name)
        if len(self.names) > MOST_SPEAKERS:
            raise InputError(
                f"{self.where}, line {number}: more than {MOST_SPEAKERS} speakers.",
                next_step="Only the names of speakers may stand before a colon.",
            )
        if not self.chapters:
            self.chapters.append(("", []))
        self.chapters[-1][1].append((name, [text] if text else []))
        self.turn_lines.append(number)
        self.in_turn = True


def _assemble(reading: _Reading, details: _Details | None, defaults: ScriptDefaults) -> Script:
    if not reading.names:
        raise InputError(
            f"{reading.where}, line 1: nobody speaks in this script.",
            next_step="Write lines like `Ada: Good morning.`",
        )
    labels = [*reading.listed, *(name for name in reading.names if name not in reading.listed)]
    ids = _choose_ids(labels, details.ids if details else {})
    sources = details.sources if details else ()
    known = {source.id for source in sources}
    speakers = _describe(labels, ids, reading, defaults)
    chapters = []
    for index, (title, spoken) in enumerate(reading.chapters):
        turns = [_read_turn(ids[name], lines, known) for name, lines in spoken]
        words = details.keywords[index] if details and index < len(details.keywords) else ()
        kept = tuple(turn for turn in turns if turn is not None)
        if kept or details:
            title = title or (defaults.title if index == 0 else f"Part {index + 1}")
            chapters.append(Chapter(title=title, turns=kept, keywords=words))
    try:
        return Script(
            title=reading.title or defaults.title,
            summary=_unescape(" ".join(reading.summary)),
            language=details.language if details else defaults.language,
            speakers=speakers,
            chapters=tuple(chapters),
            seed=details.seed if details else defaults.seed,
            model=details.model if details else defaults.model,
            model_sha256=details.model_sha256 if details else None,
            sources=sources,
        )
    except ValueError as error:
        raise InputError(
            f"The script {reading.where} cannot be used: {error}.",
            next_step="Let somebody say something in it.",
        ) from error


def _read_turn(speaker: str, lines: list[str], known: set[str]) -> Turn | None:
    text = " ".join(lines)
    sources: list[str] = []
    while (mark := _MARKS.search(text)) and mark["id"] in known:
        sources.insert(0, mark["id"])
        text = text[: mark.start()]
    text = _unescape(text).strip()
    return Turn(speaker=speaker, text=text, sources=tuple(sources)) if text else None


def _describe(
    labels: list[str], ids: dict[str, str], reading: _Reading, defaults: ScriptDefaults
) -> tuple[Speaker, ...]:
    counts = Counter(ids.values())
    assert max(counts.values()) == 1
    roles: dict[str, Role] = {
        label: role for label, (role, _) in reading.listed.items() if role is not None
    }
    wished: tuple[tuple[str, Role], ...] = ((defaults.host, "host"), (defaults.guest, "guest"))
    for name, role in wished:
        if name in labels and name not in roles:
            roles[name] = role
    for label in labels:
        if label not in roles:
            taken = set(roles.values())
            roles[label] = next((r for r in ("host", "guest") if r not in taken), "other")
    return tuple(
        Speaker(
            id=ids[label],
            name=_without_id(label, ids[label]),
            role=roles[label],
            voice=reading.listed.get(label, (None, None))[1],
        )
        for label in labels
    )


def _choose_ids(labels: list[str], known: dict[str, str]) -> dict[str, str]:
    ids: dict[str, str] = {}
    taken = {known[label] for label in labels if label in known}
    for number, label in enumerate(labels, 1):
        if label in known:
            ids[label] = known[label]
            continue
        slug = slugify(label, fallback=f"speaker-{number}")
        while slug in taken:
            slug = f"{slug[:50]}-{number}"
        taken.add(slug)
        ids[label] = slug
    return ids


def _labels(speakers: tuple[Speaker, ...]) -> dict[str, str]:
    """How each speaker is called in the script: by name, and by id too where names are shared."""
    names = Counter(clean_line(speaker.name) for speaker in speakers)
    return {
        s.id: name if names[name := clean_line(s.name)] == 1 else f"{name} ({s.id})"
        for s in speakers
    }


def _without_id(label: str, speaker_id: str) -> str:
    return label.removesuffix(f" ({speaker_id})") or label


def _listing(speaker: Speaker, label: str) -> str:
    voice = f", voice: {speaker.voice}" if speaker.voice else ""
    return f"- **{_escape(label)}** ({speaker.role}{voice})"


def _escape(text: str) -> str:
    text = re.sub(r"([\\\[*])", r"\\\1", clean_line(text))
    # what would look like a heading, a list or the end at the beginning of a line or the end of one
    return re.sub(r"^([#\-+<])|(#)$", lambda m: "\\" + m.group(), text)


def _unescape(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _has_bold(text: str) -> bool:
    return any(_BOLD_LINE.match(clean_line(line)) for line in text.split("\n"))


def _read_details(text: str, where: str) -> tuple[_Details | None, str]:
    match = _DETAILS.search(text)
    if match is None:
        return None, text
    try:
        details = msgspec.json.decode(match[1], type=_Details)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(
            f"The comment at the end of {where} cannot be read: {error}.",
            next_step="Remove the comment; the script can do without it.",
        ) from error
    return details, text[: match.start()]
