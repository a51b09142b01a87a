"""Spell a conversation as examples that a trainer reads: chats cut to the model's context.

`messages` is the form that TRL, axolotl and others read as it is. The header (show, episode, who
speaks, chapter, topics) is the system's message; the side to be learned is the assistant. Where
the host is learned, the header is the user's first message instead, for many chat templates want
a user to begin.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from podcaster.dataset.clean import NO_CHAPTER, SpokenTurn, count_said, merge_turns
from podcaster.dataset.engine import Tokenizer
from podcaster.dataset.options import Learn
from podcaster.dataset.topics import KEYWORDS, find_topics, shorten
from podcaster.dataset.windows import SMALLEST_ROOM, Measure, Piece, Window, cut_windows
from podcaster.errors import ConfigError
from podcaster.model import Role

KEYWORD_TOKENS = 4  # about what one takes, its comma included
HEADER_SHARE = 4  # the header is at most one part in so many of the context
LONGEST_NAME_CHARACTERS = 60
LONGEST_TITLE_CHARACTERS = 160
MOST_NAMES = 4  # of a side, in the header
FEWEST_CHAPTER_WORDS = 60
SPARE_TOKENS = 2  # a window is cut a little too short, so that few must be cut again


class Message(msgspec.Struct, frozen=True):
    """One message of a chat."""

    role: str
    content: str


class Example(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the files: columns beside `messages` tell where it is from.

    `names` and `roles` belong together: who speaks in it. `tokens` counts all that the model
    reads: `messages` in its chat template, special tokens and all.
    """

    messages: tuple[Message, ...]
    show: str
    episode: str
    recording: str
    chapter: str
    names: tuple[str, ...]
    roles: tuple[Role, ...]
    keywords: tuple[str, ...]
    words: int
    characters: int
    tokens: int


@dataclass(frozen=True)
class Talk:
    """A recording, cleaned: its turns, who they are by, and what is known of it.

    `roles` are people's own, `sides` those that they play: among hosts alone, one plays the host.
    """

    recording: str
    show: str
    title: str
    turns: Sequence[SpokenTurn]
    roles: Mapping[str, Role]
    sides: Mapping[str, Role]
    chapters: Sequence[str] = ()
    language: str = "en"


@dataclass(frozen=True)
class Made:
    """The examples of a recording, and what is not in its dialogues.

    `alone_words` are in windows in which only one side speaks, `early_words` come before the
    host's first. `tokens` are those of each speaker's text.
    """

    dialogues: tuple[Example, ...] = ()
    conversations: tuple[Example, ...] = ()
    alone_words: int = 0
    early_words: int = 0
    tokens: Mapping[str, int] = field(default_factory=dict)


class ExampleMaker:
    """Makes the examples of one recording after the other, none longer than `context` tokens."""

    def __init__(self, tokenizer: Tokenizer, context: int, learn: Learn) -> None:
        self.tokenizer, self.context, self.learn = tokenizer, context, learn
        one, two = (
            tokenizer.chat.spell([{"role": r, "content": "a"} for r in roles])
            for roles in (("user", "assistant"), ("user", "assistant") * 2)
        )
        short, long = tokenizer.count([one, two])
        self.per_message = max(2, -(-(long - short) // 2))
        self.around = max(0, 2 * short - long) + self.per_message  # with the header's message

    def make(self, talk: Talk) -> Made:
        """Make a recording's dialogues, and a conversation of each of its chapters.

        Raises ConfigError where the context is too small, EngineError.
        """
        turns = merge_turns(talk.turns, across_chapters=True)
        turns = [turn for turn in turns if turn.speaker in talk.sides]
        measure = self._measure(talk, turns)
        costs = measure.turns(turns)
        windows, examples = self._fit(talk, turns, measure, costs)
        tokens: Counter[str] = Counter()
        for turn, cost in zip(turns, costs, strict=True):
            tokens[turn.speaker] += cost - measure.overheads[turn.speaker]
        kept = [
            example
            for window, example in zip(windows, examples, strict=True)
            if _is_dialogue(window, talk.sides)
        ]
        used = sum(_spoken(window) for window in windows)
        return Made(
            dialogues=tuple(kept),
            conversations=self._make_conversations(talk),
            alone_words=sum(_spoken(w) for w in windows if not _is_dialogue(w, talk.sides)),
            early_words=sum(count_said(turn.text) for turn in turns) - used,
            tokens=tokens,
        )

    # -- dialogues ------------------------------------------------------------------------------

    def _fit(
        self, talk: Talk, turns: Sequence[SpokenTurn], measure: Measure, costs: Sequence[int]
    ) -> tuple[list[Window], list[Example]]:
        """Cut windows, spell them, count exactly; cut again with less room while one is over."""
        header = self._header(talk, list(talk.sides), "", ())
        reserve = self.tokenizer.count([header])[0] + KEYWORDS * KEYWORD_TOKENS + self.around
        limit = self.context // HEADER_SHARE
        room = self.context - min(reserve, limit) - SPARE_TOKENS
        while room >= SMALLEST_ROOM:
            windows = cut_windows(turns, talk.sides, measure, room, costs)
            examples = self._spell_all(talk, turns, windows)
            excess = max((e.tokens for e in examples), default=0) - self.context
            if excess <= 0:
                return windows, examples
            room -= excess
        raise ConfigError(
            f"A context of {self.context} tokens is too small for the dialogues of "
            f"{talk.recording}.",
            next_step="Give more with `--context`.",
        )

    def _measure(self, talk: Talk, turns: Sequence[SpokenTurn]) -> Measure:
        names = list(dict.fromkeys(turn.speaker for turn in turns))
        labels = self.tokenizer.count([f"\n{name}: " for name in names])
        crowds = [self._chat_role(talk, name) for name in names]
        return Measure(
            self.tokenizer.count,
            {
                name: self.per_message + (label if crowds.count(role) > 1 else 0)
                for name, label, role in zip(names, labels, crowds, strict=True)
            },
        )

    def _spell_all(
        self,
        talk: Talk,
        turns: Sequence[SpokenTurn],
        windows: Sequence[Window],
    ) -> list[Example]:
        made = [self._spell(talk, turns, window) for window in windows]
        counts = self.tokenizer.count(
            [
                self.tokenizer.chat.spell([msgspec.to_builtins(m) for m in example.messages])
                for example in made
            ]
        )
        return [
            msgspec.structs.replace(example, tokens=count)
            for example, count in zip(made, counts, strict=True)
        ]

    def _spell(self, talk: Talk, turns: Sequence[SpokenTurn], window: Window) -> Example:
        names = list(dict.fromkeys(piece.speaker for piece in window))
        said = " ".join(piece.text for piece in window)
        marks = find_topics(said, names, talk.language)
        first = next((piece.turn for piece in window if not piece.repeated), 0)
        chapter = _title_of(talk, turns[first].chapter)
        header = self._fit_header(talk, names, chapter, marks)
        return Example(
            messages=self._messages(talk, window, header),
            show=talk.show,
            episode=talk.title,
            recording=talk.recording,
            chapter=chapter,
            names=tuple(names),
            roles=tuple(talk.roles[name] for name in names),
            keywords=tuple(marks),
            words=_spoken(window),
            characters=_letters(window),
            tokens=0,
        )

    def _messages(self, talk: Talk, window: Window, header: str) -> tuple[Message, ...]:
        speakers: dict[str, set[str]] = {"user": set(), "assistant": set()}
        for piece in window:
            speakers[self._chat_role(talk, piece.speaker)].add(piece.speaker)
        messages = [Message("user" if self.learn == "host" else "system", header)]
        if not header and self.learn == "guest":
            messages = []
        before: Piece | None = None
        for piece in window:
            role = self._chat_role(talk, piece.speaker)
            same = before is not None and before.speaker == piece.speaker
            crowded = len(speakers[role]) > 1 and not same
            text = f"{piece.speaker}: {piece.text}" if crowded else piece.text
            if before is not None and self._chat_role(talk, before.speaker) == role:
                joint = " " if same else "\n"
                messages[-1] = Message(role, f"{messages[-1].content}{joint}{text}")
            else:
                messages.append(Message(role, text))
            before = piece
        return tuple(messages)

    def _chat_role(self, talk: Talk, speaker: str) -> str:
        return "assistant" if talk.sides[speaker] == self.learn else "user"

    # -- headers --------------------------------------------------------------------------------

    def _header(self, talk: Talk, names: Sequence[str], chapter: str, marks: Sequence[str]) -> str:
        lines = [f"{talk.show}: {shorten(talk.title, LONGEST_TITLE_CHARACTERS)}."]
        for side, label in (("host", "Host"), ("guest", "Guest")):
            people = [
                shorten(name, LONGEST_NAME_CHARACTERS) for name in names if talk.sides[name] == side
            ]
            if people:
                lines.append(f"{label}: {', '.join(people[:MOST_NAMES])}.")
        if chapter:
            lines.append(f"Chapter: {shorten(chapter, LONGEST_TITLE_CHARACTERS)}.")
        if marks:
            lines.append(f"Topics: {', '.join(marks)}.")
        return "\n".join(lines)

    def _fit_header(
        self, talk: Talk, names: Sequence[str], chapter: str, marks: Sequence[str]
    ) -> str:
        """The richest header that takes no more than its share of the context."""
        fullest = self._header(talk, names, chapter, marks)
        limit = self.context // HEADER_SHARE
        if len(fullest) * 4 <= limit or self.tokenizer.count([fullest])[0] <= limit:
            return fullest  # a character takes four bytes at most, and a token has one or more
        for poorer in (
            self._header(talk, names, chapter, ()),
            self._header(talk, names, "", ()),
            shorten(f"{talk.show}: {talk.title}", LONGEST_NAME_CHARACTERS),
        ):
            if self.tokenizer.count([poorer])[0] <= limit:
                return poorer
        return ""

    # -- chapters -------------------------------------------------------------------------------

    def _make_conversations(self, talk: Talk) -> tuple[Example, ...]:
        made: list[Example] = []
        for number in sorted({turn.chapter for turn in talk.turns} - {NO_CHAPTER}):
            turns = merge_turns(turn for turn in talk.turns if turn.chapter == number)
            if sum(count_said(turn.text) for turn in turns) >= FEWEST_CHAPTER_WORDS:
                made += self._make_conversation(talk, turns, _title_of(talk, number))
        return tuple(made)

    def _make_conversation(
        self, talk: Talk, turns: Sequence[SpokenTurn], title: str
    ) -> list[Example]:
        """A chapter as one script, or as several that go on with each other."""
        names = list(dict.fromkeys(turn.speaker for turn in turns))
        marks = find_topics(" ".join(turn.text for turn in turns), names, talk.language)
        labels = self.tokenizer.count([f"\n\n{name}: " for name in names])
        measure = Measure(self.tokenizer.count, dict(zip(names, labels, strict=True)))
        costs = measure.turns(turns)
        room = self.context - self.context // HEADER_SHARE - 2 * self.around
        while room >= SMALLEST_ROOM:
            parts = cut_windows(turns, None, measure, room, costs)
            examples = [
                self._spell_conversation(talk, part, title, marks, (number, len(parts)))
                for number, part in enumerate(parts, 1)
            ]
            excess = max(example.tokens for example in examples) - self.context
            if excess <= 0:
                return examples
            room -= excess
        raise ConfigError(
            f"A context of {self.context} tokens is too small for the chapters of "
            f"{talk.recording}.",
            next_step="Give more with `--context`.",
        )

    def _spell_conversation(
        self,
        talk: Talk,
        part: Window,
        title: str,
        marks: Sequence[str],
        place: tuple[int, int],
    ) -> Example:
        names = list(dict.fromkeys(piece.speaker for piece in part))
        request = shorten(title, LONGEST_TITLE_CHARACTERS)
        if place[1] > 1:
            request += f" (part {place[0]} of {place[1]})"
        if marks:
            request += f"\nTopics: {', '.join(marks)}."
        header = self._fit_header(talk, [n for n in names if n in talk.sides], "", ())
        script = "\n\n".join(f"{piece.speaker}: {piece.text}" for piece in part)
        messages = (
            *((Message("system", header),) if header else ()),
            Message("user", request),
            Message("assistant", script),
        )
        spelled = self.tokenizer.chat.spell([msgspec.to_builtins(m) for m in messages])
        return Example(
            messages=messages,
            show=talk.show,
            episode=talk.title,
            recording=talk.recording,
            chapter=title,
            names=tuple(names),
            roles=tuple(talk.roles[name] for name in names),
            keywords=tuple(marks),
            words=_spoken(part),
            characters=_letters(part),
            tokens=self.tokenizer.count([spelled])[0],
        )


def _title_of(talk: Talk, chapter: int) -> str:
    return talk.chapters[chapter] if 0 <= chapter < len(talk.chapters) else ""


def _spoken(window: Window) -> int:
    return sum(count_said(piece.text) for piece in window if not piece.repeated)


def _letters(window: Window) -> int:
    return sum(len(piece.text) for piece in window if not piece.repeated)


def _is_dialogue(window: Window, sides: Mapping[str, Role]) -> bool:
    heard = {sides[piece.speaker] for piece in window}
    return {"host", "guest"} <= heard
