"""What a model is shown: a prompt that only grows, and begins anew when the context is full."""

from collections.abc import Callable, Sequence
from typing import Protocol

from podcaster.chat_form import ChatForm
from podcaster.commission import brief_guest
from podcaster.model import Role, Speaker
from podcaster.write.engine import Piece, Writer
from podcaster.write.outline import ChapterPlan
from podcaster.write.sentences import clean_line

MARGIN_TOKENS = 16
CHAT_TOKENS = 1024  # of a small model's window: about as long as those it was trained on
KEPT_SHARE = 0.5  # of it, for the last turns when the prompt begins anew
CARRIED_SHARE = 0.3  # of it, for those that a new chapter begins with
SHORTENED_WORDS = 80
TURN_TOKENS = 6  # about what a template puts around a turn


class Prompt(Protocol):
    """How a conversation is spelled for one kind of model."""

    @property
    def stop_texts(self) -> tuple[str, ...]:
        """What ends a turn, beside the tokens that do."""

    def add_chapter(self, plan: ChapterPlan) -> None:
        """The conversation moves on."""

    def add_turn(self, speaker: Speaker, text: str) -> None:
        """A turn was accepted."""

    def make_room(self, tokens: int) -> None:
        """See to it that a turn of so many tokens fits."""

    def open_turn(self, speaker: Speaker, beginning: str) -> Sequence[Piece]:
        """Evaluate what is new; returns what the turn's candidates go on from."""


class GrowingText:
    """The pieces of a prompt, of which a model has evaluated the first ones.

    They are evaluated as they were added and only when a turn is to be sampled, so what the model's
    cache holds depends on the pieces alone, whether they were just written or read from a draft.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pieces: list[Sequence[Piece]] = []
        self._evaluated = 0
        self._started = False
        self._start: Callable[[], None] = lambda: None
        self.tokens = 0

    def restart(self, start: Callable[[], None], tokens: int) -> None:
        """Begin anew: `start` makes the writer evaluate a head of about so many tokens."""
        self._start = start
        self._started = False
        self._pieces.clear()
        self._evaluated = 0
        self.tokens = tokens

    def add(self, pieces: Sequence[Piece]) -> None:
        """Grow by some pieces."""
        self._pieces.append(pieces)
        self.tokens += sum(
            TURN_TOKENS if piece.special else self._writer.count_tokens(piece.text)
            for piece in pieces
        )

    def evaluate(self) -> None:
        """Let the writer evaluate what it has not yet."""
        if not self._started:
            self._start()
            self._started = True
        while self._evaluated < len(self._pieces):
            self._writer.append(self._pieces[self._evaluated])
            self._evaluated += 1

    def fits(self, tokens: int) -> bool:
        """Whether so many tokens more fit into the context."""
        return self.tokens + tokens + MARGIN_TOKENS <= self._writer.model.context_tokens


def last_that_fit(pieces: Sequence[str], writer: Writer, budget_tokens: int) -> list[str]:
    """The last pieces that together take at most so many tokens."""
    kept: list[str] = []
    for piece in reversed(pieces):
        budget_tokens -= writer.count_tokens(piece)
        if budget_tokens < 0:
            break
        kept.append(piece)
    return kept[::-1]


class ChatPrompt:
    """A conversation with a small model: the host's turns are the user's, the guest's its own.

    It knows the chapter's topics and facts, and the last turns: a window as long as it was trained
    on. With each chapter, and when that window is full, the prompt begins anew.
    """

    stop_texts: tuple[str, ...] = ()

    def __init__(self, writer: Writer, form: ChatForm, speakers: Sequence[Speaker]) -> None:
        self._writer = writer
        self._form = form
        self._names = {speaker.role: speaker.name for speaker in speakers}
        self._window = min(CHAT_TOKENS, writer.model.context_tokens)
        self._text = GrowingText(writer)
        self._system = ""
        self._turns: list[tuple[Role, str]] = []  # those in the window
        self._brief((), ())

    def add_chapter(self, plan: ChapterPlan) -> None:
        """Tell what the chapter is about, and go on from the last turns."""
        self._brief(plan.topics, plan.facts)
        self._begin_anew(int(self._window * CARRIED_SHARE))

    def add_turn(self, speaker: Speaker, text: str) -> None:
        """A whole turn, its end included."""
        self._turns.append((speaker.role, clean_line(text)))
        self._text.add(self._spell_last())

    def make_room(self, tokens: int) -> None:
        """Begin anew where the window is nearly full."""
        if self._text.tokens + tokens + MARGIN_TOKENS > self._window:
            self._begin_anew(int(self._window * KEPT_SHARE))

    def open_turn(self, speaker: Speaker, beginning: str) -> list[Piece]:
        """Evaluate what is new; a turn that goes on from `beginning` is opened."""
        self._text.evaluate()
        opened = self._form.open_turn(speaker.role) if self._turns else self._form.open_first
        return [Piece(opened, special=True), *([Piece(beginning)] if beginning else [])]

    def _brief(self, topics: Sequence[str], facts: Sequence[str]) -> None:
        host, guest = self._names["host"], self._names["guest"]
        self._system = brief_guest(host, guest, topics, facts)

    def _begin_anew(self, kept_tokens: int) -> None:
        """Keep the last turns that fit, from a host's on, and spell the prompt again."""
        turns, budget = self._turns, kept_tokens
        first = len(turns)
        for place in range(len(turns) - 1, -1, -1):
            budget -= self._writer.count_tokens(turns[place][1]) + TURN_TOKENS
            if budget < 0:
                break
            first = place if turns[place][0] == "host" else first
        kept = turns[first:] or _shorten(turns)
        system = self._system
        form = self._form
        head = [
            Piece(form.head, special=True),
            Piece(system),
            Piece(form.close_system, special=True),
        ]
        tokens = self._writer.count_tokens(system) + 2 * TURN_TOKENS
        self._text.restart(lambda: self._writer.start(head), tokens)
        self._turns = []
        for turn in kept:
            self._turns.append(turn)
            self._text.add(self._spell_last())

    def _spell_last(self) -> list[Piece]:
        role, text = self._turns[-1]
        first = len(self._turns) == 1
        opened = self._form.open_first if first else self._form.open_turn(role)
        return [
            Piece(opened, special=True),
            Piece(text),
            Piece(self._form.close_turn(role), special=True),
        ]


def _shorten(turns: Sequence[tuple[Role, str]]) -> list[tuple[Role, str]]:
    """The host's last turn and what follows, cut to their ends: too long for the window whole."""
    last = max((i for i, (role, _) in enumerate(turns) if role == "host"), default=len(turns))
    return [(role, " ".join(text.split()[-SHORTENED_WORDS:])) for role, text in turns[last:]]
