"""Spell a dataset's line as a model will be asked for it, and mark what it is to learn.

A small model gets a chat: the host is the user, the guest the assistant. A large one gets a script:
the task and the request as `podcaster.commission` words them, through the model's own chat
template, and a line a turn. Texts are tokenised piece by piece, as the writer evaluates them.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from podcaster.chat_form import ChatForm
from podcaster.chat_template import Refused, SandboxedTemplate, explain_broken
from podcaster.commission import assign, brief_guest, describe_task, open_line
from podcaster.errors import InputError
from podcaster.model import Role
from podcaster.units import count_words

Ids = npt.NDArray[np.int32]
Marks = npt.NDArray[np.int8]
Encode = Callable[[str], Sequence[int]]  # a text with special tokens to ids, nothing added

GIVEN, HOST, GUEST = 0, 1, 2  # whose a token is; what is given is not learned
OWNERS: Mapping[Role, int] = {"host": HOST, "guest": GUEST, "other": GUEST}
WORDS_PER_MINUTE = 160
MOST_LOOP_STEPS = 1_000_000
LONGEST_LINE_BYTES = 50_000_000


class _Message(msgspec.Struct):
    role: str
    content: str


class Line(msgspec.Struct):
    """What is read of a line of a dataset; other columns are passed over."""

    messages: Annotated[list[_Message], msgspec.Meta(max_length=100_000)] = []
    names: list[str] = []
    roles: list[str] = []
    keywords: list[str] = []
    facts: list[str] = []
    episode: str = ""


@dataclass(frozen=True)
class Turn:
    """What somebody says."""

    name: str
    role: Role
    text: str


@dataclass(frozen=True)
class Example:
    """One example as a model reads it: `ids (n,)`, and whose each is, `owners (n,)`.

    `cut`: whether its end was left out.
    """

    ids: Ids
    owners: Marks
    cut: bool = False

    def __len__(self) -> int:
        return len(self.ids)


Speller = Callable[[Line], Iterator[tuple[str, int]]]


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a `dialogue.*.jsonl`. Raises InputError that names the line."""
    decoder = msgspec.json.Decoder(Line)
    try:
        with path.open("rb") as lines:
            for number, text in enumerate(lines, 1):
                try:
                    if len(text) > LONGEST_LINE_BYTES:
                        raise ValueError(f"it has {len(text)} bytes")
                    yield decoder.decode(text)
                except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                    raise InputError(
                        f"Line {number} of {path} is no example of a dataset: {error}.",
                        next_step="Make it again with `podcaster show dataset`.",
                    ) from error
    except OSError as error:
        raise InputError(
            f"The dataset {path} cannot be read: {error.strerror or error}.",
            next_step="Make it with `podcaster show dataset`.",
        ) from error


def tokenise(line: Line, spell: Speller, encode: Encode, limit: int) -> Example | None:
    """A line's ids, at most `limit`: what is longer ends with the last whole turn that fits.

    None where nothing would be left to learn.
    """
    ids: list[int] = []
    owners: list[int] = []
    end = 0  # of the last whole turn
    cut = False
    for text, owner in spell(line):
        piece = encode(text)
        cut = len(ids) + len(piece) > limit
        if cut:
            break
        ids += piece
        owners += [owner] * len(piece)
        end = len(ids) if owner else end
    if not any(owners[1:end]):
        return None
    return Example(np.array(ids[:end], np.int32), np.array(owners[:end], np.int8), cut)


def without_tokens(line: Line, tokens: Collection[str]) -> Line:
    """A line whose texts, from outside, cannot spell these special tokens."""
    known = [re.escape(token) for token in sorted(tokens, key=len, reverse=True) if token]
    if not known:
        return line
    found = re.compile("|".join(known))

    def clean(text: str) -> str:
        return found.sub(" ", text)

    return Line(
        messages=[_Message(m.role, clean(m.content)) for m in line.messages],
        names=[clean(name) for name in line.names],
        roles=line.roles,
        keywords=[clean(word) for word in line.keywords],
        facts=[clean(fact) for fact in line.facts],
        episode=clean(line.episode),
    )


def spell_chat(chat: str, *, bos: str, eos: str) -> Speller:
    """For a small model with a chat template: a turn is a message, the host's are the user's.

    What the host says is learned as well as what the guest answers. Raises EngineError where the
    template cannot be used.
    """
    form = ChatForm(chat, bos=bos, eos=eos)

    def spell(line: Line) -> Iterator[tuple[str, int]]:
        turns = find_turns(line)
        host = next((turn.name for turn in turns if turn.role == "host"), "")
        guest = next((turn.name for turn in turns if turn.role == "guest"), "")
        if not host or not guest:
            return
        if turns[0].role != "host":
            turns = turns[1:]
        for number, turn in enumerate(turns):
            if number == 0:
                system = brief_guest(host, guest, line.keywords, line.facts)
                yield form.head + system + form.close_system + form.open_first, GIVEN
            else:
                yield form.open_turn(turn.role), GIVEN
            yield turn.text + form.close_turn(turn.role), OWNERS[turn.role]

    return spell


def spell_script(chat: str, *, bos: str, eos: str, language: str) -> Speller:
    """For a model with a chat template: a script that is asked for, a line a turn.

    Raises EngineError where the template cannot be used.
    """
    template = SandboxedTemplate(chat, bos=bos, eos=eos)

    def render(messages: list[dict[str, str]], *, ask: bool) -> str:
        most = 10_000 + 4 * sum(len(m["content"]) + 200 for m in messages)
        try:
            return template.render(
                messages,
                most_characters=most,
                most_loop_steps=MOST_LOOP_STEPS,
                add_generation_prompt=ask,
            )
        except Refused as error:
            raise explain_broken(error) from error

    takes_system = _takes_system(template)

    def spell(line: Line) -> Iterator[tuple[str, int]]:
        turns = find_turns(line)
        host = next((turn.name for turn in turns if turn.role == "host"), "")
        guest = next((turn.name for turn in turns if turn.role == "guest"), "")
        if not host or not guest:
            return
        task = "\n".join(describe_task(host, guest, language))
        minutes = sum(count_words(turn.text) for turn in turns) / WORDS_PER_MINUTE
        request = assign(max(1, minutes), guest, line.keywords)
        asked = f"{request}\nThe episode: {line.episode}\n\nWrite the script."
        messages = [{"role": "system", "content": task}, {"role": "user", "content": asked}]
        if not takes_system:
            messages = [{"role": "user", "content": f"{task}\n\n{asked}"}]
        yield render(messages, ask=True), GIVEN
        for turn in turns:
            yield open_line(turn.name), GIVEN
            yield f" {turn.text}\n", OWNERS[turn.role]

    return spell


def find_turns(line: Line) -> list[Turn]:
    """Who says what in a line's `messages`: a side of several people has their names before turns.

    Each window begins with the host's side.
    """
    said = [m for m in line.messages if m.role in ("user", "assistant")]
    if said and said[0].role == "user" and line.messages[0].role == "user":
        said = said[1:] if len(said) > 1 and _is_header(said) else said
    if not said or not line.names:
        return []
    hosts = said[0].role
    crowds = {role: _name_crowd(said, role, line.names) for role in ("user", "assistant")}
    turns: list[Turn] = []
    for message in said:
        role: Role = "host" if message.role == hosts else "guest"
        others = crowds["assistant" if message.role == "user" else "user"]
        own = crowds[message.role]
        alone = _choose_alone(line.names, others, first=role == "host")
        for part in message.content.split("\n"):
            name, colon, text = part.partition(": ")
            if colon and name in own:
                turns.append(Turn(name, role, _flatten(text)))
            elif turns and own and turns[-1].role == role:
                turns[-1] = Turn(turns[-1].name, role, f"{turns[-1].text} {_flatten(part)}")
            else:
                turns.append(Turn(alone, role, _flatten(part)))
    return [turn for turn in turns if turn.text]


def _is_header(said: Sequence[_Message]) -> bool:
    """Whether the first message is the header: then the host, who begins, is the assistant."""
    return said[1].role == "assistant" and said[0].content.partition("\n")[2].startswith("Host: ")


def _name_crowd(said: Sequence[_Message], role: str, names: Sequence[str]) -> set[str]:
    """The people who share a side: those whose name begins a line of it."""
    found: set[str] = set()
    for message in said:
        if message.role == role:
            for part in message.content.split("\n"):
                name, colon, _ = part.partition(": ")
                if colon and name in names:
                    found.add(name)
    return found


def _choose_alone(names: Sequence[str], others: set[str], *, first: bool) -> str:
    """Who speaks for a side that has no names before its turns."""
    left = [name for name in names if name not in others] or list(names)
    return left[0] if first else left[-1]


def _flatten(text: str) -> str:
    return " ".join(text.split())


def _takes_system(template: SandboxedTemplate) -> bool:
    mark = "PODCASTERSYSTEMTEXT"
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": mark},
        {"role": "user", "content": "a"},
    ]
    try:
        return mark in template.render(
            messages, most_characters=100_000, most_loop_steps=1000, add_generation_prompt=True
        )
    except Refused:
        return False
