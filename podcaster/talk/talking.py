"""Let host and guest talk, turn by turn, heard as it is drawn: the same for every kind of model.

Turns come as a model says them, but for control characters, blanks, and what stands before the
first word. Unlike a script's turns they are neither chosen among candidates nor checked: who
listens hears the model itself.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from podcaster.commission import assign, brief_guest, describe_task, open_line
from podcaster.errors import EngineError
from podcaster.model import Role, Speaker
from podcaster.talk.figures import Opening, SaidTurn
from podcaster.write.checks import TurnContext, find_loop, find_repeats, phrases_of
from podcaster.write.engine import Piece, Reader, Sampling, Writer
from podcaster.write.outline import ChapterPlan
from podcaster.write.phrases import derive_seed
from podcaster.write.prompt import MARGIN_TOKENS, ChatPrompt, GrowingText, Prompt, last_that_fit
from podcaster.write.sentences import capitalise, clean_line, is_whole

LONGEST_TURN_TOKENS = 320
ENOUGH_WORDS = 170  # after which a turn ends with its sentence
MIN_P = 0.05
ATTEMPTS = 6
FEWEST_HOST_WORDS = 4
KEPT_SHARE = 0.5  # of the context, for the last turns when a prompt begins anew
BREAKS_OFF = "…"
_NO_BEGINNING = " .,;:!?-–—…)]"
MINUTES = 5  # of talk that an instruct model is asked for: about an example of a dataset

Hear = Callable[[str], None]


@dataclass(frozen=True)
class Talk:
    """A conversation: the turns that were given and those that the model added, and its speed."""

    turns: tuple[SaidTurn, ...]
    tokens: int
    seconds: float


def speakers_of(opening: Opening) -> tuple[Speaker, Speaker]:
    """Host and guest of an opening."""
    return (
        Speaker(id="host", name=opening.host, role="host"),
        Speaker(id="guest", name=opening.guest, role="guest"),
    )


def converse(
    writer: Writer,
    opening: Opening,
    turns: int,
    *,
    seed: int,
    temperature: float,
    hear: Hear | None = None,
    strict: bool = False,
) -> Talk:
    """Go on from an opening until there are `turns` turns; `hear` gets the text `Name: …` as it is.

    `strict`: a turn ends with a sentence that says something again, and a host who says less than
    `FEWEST_HOST_WORDS` is asked again; otherwise the model is heard as it is. The conversation
    ends early where the model has nothing to say, `ATTEMPTS` times.

    Raises EngineError where it says nothing at all, or its context is too small.
    """
    people: dict[Role, Speaker] = {one.role: one for one in speakers_of(opening)}
    prompt = _open_prompt(writer, opening)
    mouth = _Mouth(writer, prompt, seed, temperature, hear or _nobody, strict)
    said = list(opening.turns)
    for turn in said:
        mouth.hear(f"{turn.name}: {turn.text}\n")
        mouth.keep(people[turn.speaker], turn.text)
    started, tokens, given = time.perf_counter(), writer.counts()["tokens_sampled"], len(said)
    while len(said) < turns:
        speaker = people["guest" if said and said[-1].speaker == "host" else "host"]
        text = mouth.speak(speaker, len(said))
        if not text:
            break
        said.append(SaidTurn(speaker=speaker.role, name=speaker.name, text=text))
        mouth.keep(speaker, text)
    if len(said) == given and given < turns:
        raise EngineError(
            f"The model {writer.model.name} said nothing, {ATTEMPTS} times.",
            next_step="Give another --seed or a higher --temperature, or choose another model.",
        )
    drawn = int(writer.counts()["tokens_sampled"] - tokens)
    return Talk(tuple(said), drawn, time.perf_counter() - started)


def _nobody(_: str) -> None:
    return


@dataclass
class _Mouth:
    """Says one turn after the other."""

    writer: Writer
    prompt: Prompt
    seed: int
    temperature: float
    hear: Hear
    strict: bool
    said: set[tuple[str, ...]] = field(default_factory=set)

    def keep(self, speaker: Speaker, text: str) -> None:
        """Add a turn to the conversation."""
        self.prompt.add_turn(speaker, text)
        self.said |= phrases_of(text)

    def speak(self, speaker: Speaker, number: int) -> str:
        """The next turn, heard as it comes; empty where the model has nothing to say."""
        self.prompt.make_room(self._most_tokens())
        fewest = FEWEST_HOST_WORDS if self.strict and speaker.role == "host" else 1
        text = ""
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            text = self._try(speaker, (number, attempt), 1 if last else fewest)
            if text:
                break
        return text

    def _try(self, speaker: Speaker, place: tuple[int, int], fewest_words: int) -> str:
        """One attempt; nothing is heard of it, and it is empty, where it has fewer words."""
        opening = self.prompt.open_turn(speaker, "")
        opened = sum(self.writer.count_tokens(piece.text) for piece in opening)
        room = self.writer.room() - opened - 1
        sampling = Sampling(
            temperature=self.temperature,
            min_p=MIN_P,
            max_tokens=min(self._most_tokens(), room),
            seed=derive_seed(self.seed, *place),
            stop_texts=self.prompt.stop_texts,
        )
        before = self.writer.counts()["tokens_sampled"]
        turn, heard = TidyTurn(), 0
        with closing(self.writer.stream(opening, sampling)) as pieces:
            for piece in pieces:
                if not turn.add(piece):
                    continue
                if heard or turn.text.count(" ") >= fewest_words - 1:
                    self.hear(turn.text[heard:] if heard else f"{speaker.name}: {turn.text}")
                    heard = len(turn.text)
                if self._is_enough(turn.text):
                    break
        if not heard:
            return ""
        cut = self.writer.counts()["tokens_sampled"] - before >= sampling.max_tokens
        ending = BREAKS_OFF if cut and not is_whole(turn.text) else ""
        self.hear(f"{ending}\n")
        return turn.text + ending

    def _most_tokens(self) -> int:
        """Of a turn; a small context must hold more than one."""
        return min(LONGEST_TURN_TOKENS, self.writer.model.context_tokens // 4)

    def _is_enough(self, text: str) -> bool:
        """Whether a turn is long and its sentence has ended, or it says the same again."""
        if not is_whole(text):
            return False
        context = TurnContext(role="guest", names=(), said=self.said)
        repeats = find_repeats if self.strict else find_loop
        return text.count(" ") >= ENOUGH_WORDS or repeats(text, context) is not None


class TidyTurn:
    """A turn as it grows: one line, single blanks, nothing before its first letter or digit."""

    def __init__(self) -> None:
        self.text = ""
        self._blank = False

    def add(self, piece: str) -> str:
        """Take a piece; returns what is to be shown of it."""
        shown = ""
        for char in piece:
            tidy = clean_line(char)
            if not tidy:
                self._blank = bool(self.text or shown)
                continue
            if not (self.text or shown):
                if tidy in _NO_BEGINNING:
                    continue
                tidy = capitalise(tidy)
            shown += f" {tidy}" if self._blank else tidy
            self._blank = False
        self.text += shown
        return shown


# -- how a conversation is spelled -----------------------------------------------------------------


def commission(opening: Opening) -> tuple[str, str]:
    """What an instruct model is told, as in training: the system's text, and the request."""
    system = "\n".join(describe_task(opening.host, opening.guest, "en"))
    request = assign(MINUTES, opening.guest, opening.keywords)
    episode = f"\nThe episode: {opening.source}" if opening.source else ""
    return system, f"{request}{episode}\n\nWrite the script."


def _open_prompt(writer: Writer, opening: Opening) -> Prompt:
    if writer.model.chat is None:
        return ScriptPrompt(writer, *commission(opening))
    prompt = ChatPrompt(writer, writer.model.chat, speakers_of(opening))
    prompt.add_chapter(ChapterPlan("", "", opening.keywords, topics=opening.keywords))
    return prompt


class ScriptPrompt:
    """A script that an instruct model is in the middle of writing, line by line.

    When the context is full it begins anew with the request and the last lines.
    """

    stop_texts: tuple[str, ...] = ("\n",)

    def __init__(self, writer: Writer, system: str, request: str) -> None:
        self._writer, self._system, self._request = writer, system, request
        self._text = GrowingText(writer)
        self._lines: list[str] = []
        self._restart()

    def add_chapter(self, plan: ChapterPlan) -> None:
        """Nothing: the request names the topics."""

    def add_turn(self, speaker: Speaker, text: str) -> None:
        """A line with the speaker's name."""
        self._lines.append(f"{open_line(speaker.name)} {clean_line(text)}\n")
        self._text.add([Piece(self._lines[-1])])

    def make_room(self, tokens: int) -> None:
        """Begin anew where the context is nearly full."""
        if self._text.fits(tokens):
            return
        lines = self._lines
        self._restart()
        window = self._writer.model.context_tokens
        free = window - self._text.tokens - tokens - 2 * MARGIN_TOKENS
        budget = min(free, int(window * KEPT_SHARE))
        self._lines = last_that_fit(lines, self._writer, budget)
        for line in self._lines:
            self._text.add([Piece(line)])

    def open_turn(self, speaker: Speaker, beginning: str) -> list[Piece]:
        """The speaker's name, and the beginning if there is one."""
        self._text.evaluate()
        line = open_line(speaker.name)
        return [Piece(f"{line} {beginning}" if beginning else line)]

    def _restart(self) -> None:
        tokens = self._writer.count_tokens(self._system + self._request) + 64
        self._text.restart(lambda: self._writer.start_chat(self._system, self._request), tokens)


def spell_for_reading(reader: Reader, opening: Opening) -> tuple[list[Piece], list[list[Piece]]]:
    """The head and the turns of a conversation, spelled as `converse` would have them.

    Of a turn, what is said and its end are to be foretold; whose it is, is given.
    """
    form = reader.chat
    if form is None:
        head = reader.chat_pieces(*commission(opening))
        return head, [
            [Piece(open_line(turn.name)), Piece(f" {clean_line(turn.text)}\n", role=turn.speaker)]
            for turn in opening.turns
        ]
    head = [
        Piece(form.head, special=True),
        Piece(brief_guest(opening.host, opening.guest, opening.keywords)),
        Piece(form.close_system, special=True),
    ]
    return head, [
        [
            Piece(form.open_turn(turn.speaker) if place else form.open_first, special=True),
            Piece(clean_line(turn.text), role=turn.speaker),
            Piece(form.close_turn(turn.speaker), special=True, role=turn.speaker),
        ]
        for place, turn in enumerate(opening.turns)
    ]
