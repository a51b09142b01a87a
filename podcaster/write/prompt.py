"""What a model is shown: a prompt that only grows, and begins anew when the context is full."""

from collections.abc import Callable, Sequence
from typing import Protocol

from podcaster.builtin.keywords import keywords
from podcaster.dialogue import DialogueTemplate
from podcaster.model import Speaker
from podcaster.write.engine import Writer
from podcaster.write.outline import ChapterPlan

MARGIN_TOKENS = 16
KEPT_SHARE = 0.4  # of the context, for the last turns when a prompt begins anew
SUMMARY_KEYWORDS = 4


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

    def open_turn(self, speaker: Speaker, beginning: str) -> str:
        """Evaluate what is new; returns what the turn's candidates go on from."""


class GrowingText:
    """The pieces of a prompt, of which a model has evaluated the first ones.

    Each piece is evaluated by itself and only when a turn is to be sampled, so what the model's
    cache holds depends on the pieces alone, whether they were just written or read from a draft.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._pieces: list[str] = []
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

    def add(self, piece: str) -> None:
        """Grow by a piece."""
        self._pieces.append(piece)
        self.tokens += self._writer.count_tokens(piece)

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


class DialoguePrompt:
    """A conversation in the template of a model trained on conversations.

    When the context is full it begins anew with the names, the chapter's keywords, the keywords of
    what was left out (the only summary such a model can read), and the last turns.
    """

    stop_texts: tuple[str, ...] = ()

    def __init__(
        self, writer: Writer, template: DialogueTemplate, speakers: Sequence[Speaker]
    ) -> None:
        self._writer = writer
        self._template = template
        self._names = [speaker.name for speaker in speakers]
        self._text = GrowingText(writer)
        self._keywords: tuple[str, ...] = ()
        self._turns: list[str] = []  # spelled, all since the last beginning
        self._said: list[str] = []
        self._restart(())

    def add_chapter(self, plan: ChapterPlan) -> None:
        """A new topic, in the words that stand for it in training."""
        self._keywords = plan.keywords
        if spelled := self._template.format_topic(plan.keywords):
            self._text.add(spelled)

    def add_turn(self, speaker: Speaker, text: str) -> None:
        """A whole turn, its end included."""
        spelled = self._template.format_turn(speaker.role, text)
        self._turns.append(spelled)
        self._said.append(text)
        if self._text.fits(self._writer.count_tokens(spelled)):
            self._text.add(spelled)
        else:
            self._begin_anew()

    def make_room(self, tokens: int) -> None:
        """Begin anew where the context is nearly full."""
        if not self._text.fits(tokens):
            self._begin_anew()

    def open_turn(self, speaker: Speaker, beginning: str) -> str:
        """The role's token, and the beginning if there is one."""
        self._text.evaluate()
        opening = self._template.open_turn(speaker.role)
        return f"{opening} {self._template.clean(beginning)}" if beginning else opening

    def _begin_anew(self) -> None:
        budget = int(self._writer.model.context_tokens * KEPT_SHARE)
        kept = last_that_fit(self._turns, self._writer, budget)
        left_out = self._said[: len(self._said) - len(kept)]
        self._turns, self._said = kept, self._said[len(left_out) :]
        self._restart(keywords(" ".join(left_out), SUMMARY_KEYWORDS))
        for piece in kept:
            self._text.add(piece)

    def _restart(self, summary: Sequence[str]) -> None:
        words = tuple(dict.fromkeys((*self._keywords, *summary)))
        header = self._template.format_header(self._names, words)
        self._text.restart(lambda: self._writer.start(header), self._writer.count_tokens(header))
