"""Ask a show a question, and hear its host and its guest talk about it."""

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from podcaster import __version__
from podcaster.builtin.keywords import keywords
from podcaster.dataset.report import rank_speakers
from podcaster.engines import open_engine
from podcaster.errors import ConfigError, InputError
from podcaster.exported import find_named_model
from podcaster.model import Noun, Role, parse
from podcaster.preparing import PEOPLE, read_recording_counts
from podcaster.recordings import SPEAKERS
from podcaster.run import RECORD_NAME, Run, open_show_run, read_bytes, read_record
from podcaster.speakers.people import SpeakersFile
from podcaster.talk.figures import Opening, SaidTurn
from podcaster.talk.held_out import find_report
from podcaster.talk.talking import converse
from podcaster.write.engine import Writer
from podcaster.write.options import WriteOptions
from podcaster.write.sentences import clean_line

LONGEST_QUESTION_CHARACTERS = 2000
LONGEST_NAME_CHARACTERS = 60
QUESTION_SHARE = 3  # a question takes at most one part in so many of the context
KEYWORDS = 6
FEWEST_TURNS = 2
MOST_TURNS = 40
DEFAULT_GUEST = "Sam Rivers"  # where there is no show to take one from

GENERIC_QUESTIONS = (
    "What is something that you believed ten years ago, and what changed your mind?",
    "How do you decide what to work on when everything seems important?",
    "Can you tell me about a time when a plan went wrong, and what you did next?",
)

_SPECIAL = re.compile(r"<\|[^|<>\n]{0,40}\|>")
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[@-_])")  # what colours a terminal
_LETTER = re.compile(r"[^\W_]")


@dataclass(frozen=True)
class AskOptions:
    """Who talks, for how many turns, and how; empty: the show's own people and model."""

    turns: int = 6
    seed: int = 0
    temperature: float = 0.8
    host: str = ""
    guest: str = ""
    model: str = ""

    def __post_init__(self) -> None:
        """Raise ConfigError for what cannot be."""
        if not FEWEST_TURNS <= self.turns <= MOST_TURNS:
            raise ConfigError(f"--turns is {self.turns}, expected {FEWEST_TURNS} to {MOST_TURNS}.")
        if not 0 <= self.temperature <= 3:
            raise ConfigError(f"--temperature is {self.temperature}, expected 0 to 3.")


class Answer(Noun, frozen=True):
    """What was said about a question, by which model, and how fast it came."""

    turns: tuple[SaidTurn, ...]
    model: str
    seed: int
    tokens_per_s: float


def ask(
    home: Path, name: str, question: str, options: AskOptions, hear: Callable[[str], None]
) -> Answer:
    """Let a show's host ask its guest a question, and both go on about it; `hear` gets the text.

    `name` is a show, or any model that `find_named_model` finds. Raises InputError for a question
    that says nothing or too much, ConfigError, EngineError.
    """
    question = clean_question(question)
    own = find_named_model(home, name) if not options.model else None
    run = own.run if own else _find_show(home, name)
    named = own or find_named_model(home, options.model)
    host, guest = choose_people(run, options.host, options.guest)
    opening = open_with_question(question, host, guest)
    with closing(open_engine("write", "llama_cpp", **named.opening)) as writer:
        check_room(writer, question)
        talk = converse(
            writer,
            opening,
            options.turns,
            seed=options.seed,
            temperature=options.temperature,
            hear=hear,
            strict=True,
        )
    rate = talk.tokens / talk.seconds if talk.seconds > 0 else 0.0
    return Answer(
        turns=talk.turns, model=named.label, seed=options.seed, tokens_per_s=round(rate, 1)
    )


def clean_question(question: str) -> str:
    """A question as one line without control characters and special tokens.

    Raises InputError where nothing is left, or more than anybody would say in a turn.
    """
    given = clean_line(_ESCAPE.sub(" ", question[: 50 * LONGEST_QUESTION_CHARACTERS]))
    text = clean_line(_SPECIAL.sub(" ", given))
    if not _LETTER.search(text):
        raise InputError(
            "The question has no words.",
            next_step='Ask one: podcaster show ask NAME "What is the meaning of life?"',
        )
    if len(text) > LONGEST_QUESTION_CHARACTERS:
        raise InputError(
            f"The question has {len(text):,} characters, expected at most "
            f"{LONGEST_QUESTION_CHARACTERS:,}.",
            next_step="Ask something shorter.",
        )
    return text


def check_room(writer: Writer, question: str) -> None:
    """Raise InputError where a question would fill most of the model's context."""
    tokens, window = writer.count_tokens(question), writer.model.context_tokens
    if tokens * QUESTION_SHARE > window:
        raise InputError(
            f"The question takes {tokens:,} tokens of the {window:,} that "
            f"{writer.model.name} can hold, expected at most {window // QUESTION_SHARE:,}.",
            next_step="Ask something shorter.",
        )


def open_with_question(question: str, host: str, guest: str) -> Opening:
    """A conversation that begins with the host's question."""
    return Opening(
        host=host,
        guest=guest,
        keywords=keywords(question, KEYWORDS),
        turns=(SaidTurn(speaker="host", name=host, text=question),),
    )


def open_with_questions(run: Run | None, questions: Sequence[str]) -> tuple[Opening, ...]:
    """Conversations of a show's people, or of anybody where they are not known."""
    try:
        host, guest = choose_people(run)
    except InputError:
        host, guest = choose_people(None)
    return tuple(open_with_question(clean_question(one), host, guest) for one in questions)


def choose_people(run: Run | None, host: str = "", guest: str = "") -> tuple[str, str]:
    """Host and guest: those named, else the show's host and its most heard guest.

    Raises ConfigError where both are one, InputError where a show does not know who speaks in it.
    """
    wanted = {
        "host": _check_name("--host", host) if host else "",
        "guest": _check_name("--guest", guest) if guest else "",
    }
    if not all(wanted.values()):
        known: dict[Role, list[str]] = (
            _rank_people(run)
            if run is not None
            else {"host": [WriteOptions().host], "guest": [DEFAULT_GUEST]}
        )
        _fill(wanted, known)
    missing = [role for role, name in wanted.items() if not name]
    if missing:
        raise InputError(
            f"Nobody is known as the {missing[0]} of {run.name if run else 'the show'}.",
            next_step=f'Say who it is: --{missing[0]} "Ada Example".',
        )
    if wanted["host"].casefold() == wanted["guest"].casefold():
        raise ConfigError(
            f"Host and guest are both {wanted['host']!r}.",
            next_step="Give them different names with --host and --guest.",
        )
    return wanted["host"], wanted["guest"]


def _fill(wanted: dict[str, str], known: dict[Role, list[str]]) -> None:
    """Fill who was not named; among hosts alone, the second is the guest."""
    taken = {name.casefold() for name in wanted.values() if name}
    order: dict[str, list[str]] = {
        "host": known.get("host", []),
        "guest": [*known.get("guest", []), *known.get("host", []), *known.get("other", [])],
    }
    for role, names in order.items():
        if not wanted[role]:
            free = (name for name in names if name.casefold() not in taken)
            wanted[role] = next(free, "")
            taken.add(wanted[role].casefold())


def _rank_people(run: Run) -> dict[Role, list[str]]:
    """Who speaks in a show by role, who says most first: by its dataset, else by `speakers`."""
    people: dict[Role, list[str]] = {}
    # a show may have an empty dataset, or none yet
    for one in rank_speakers(read_recording_counts(run)) if find_report(run) else ():
        people.setdefault(one["role"], []).append(_clean_name(one["name"]))
    where = run.path / SPEAKERS / PEOPLE
    if not people and read_record(where.with_name(RECORD_NAME)) is not None:
        for speaker in parse(read_bytes(where), SpeakersFile, where=str(where)).speakers:
            if speaker.name and not speaker.dropped:
                people.setdefault(speaker.role, []).append(_clean_name(speaker.name))
    return people


def _find_show(home: Path, name: str) -> Run | None:
    """The show meant by a name, whether or not it has a model yet; None where there is none."""
    try:
        return open_show_run(home, name.partition(":")[0], version=__version__)
    except InputError:
        return None


def _check_name(option: str, name: str) -> str:
    """A name as it may stand before a colon. Raises ConfigError."""
    text = _clean_name(name)
    if not _LETTER.search(text) or ":" in text or len(clean_line(name)) > LONGEST_NAME_CHARACTERS:
        raise ConfigError(
            f"{option} {name[:80]!r} is no name: expected 1 to {LONGEST_NAME_CHARACTERS} "
            "characters without a colon."
        )
    return text


def _clean_name(name: str) -> str:
    return clean_line(_SPECIAL.sub(" ", clean_line(name[:1000])))[:LONGEST_NAME_CHARACTERS].strip()


def describe_answer(answer: Answer) -> dict[str, object]:
    """An answer for scripts."""
    return {
        "turns": [
            {"speaker": turn.speaker, "name": turn.name, "text": turn.text} for turn in answer.turns
        ],
        "model": answer.model,
        "seed": answer.seed,
        "tokens_per_s": answer.tokens_per_s,
    }
