"""What a show's people really said, out of its dataset: to open conversations, and to compare with.

Everything is read line by line, so that memory does not grow with the dataset.
"""

import re
from collections.abc import Iterator, Sequence

from podcaster.dataset.examples import Example
from podcaster.dataset.options import Learn
from podcaster.dataset.report import DatasetReport, Split
from podcaster.errors import InputError
from podcaster.model import Role, parse
from podcaster.preparing import read_recording_counts, read_report
from podcaster.recordings import DATASET
from podcaster.run import Run
from podcaster.talk.figures import Opening, SaidTurn
from podcaster.units import count_words
from podcaster.write.sentences import clean_line, split_sentences

FEWEST_OPENING_WORDS = 6
MOST_OPENING_WORDS = 80
MOST_OPENING_CHARACTERS = 1000
LONGEST_NAME_CHARACTERS = 60


def find_report(run: Run | None) -> DatasetReport | None:
    """The numbers of a show's dataset, None where it has none."""
    if run is None:
        return None
    try:
        return read_report(run)
    except InputError:
        return None


def read_examples(run: Run, split: Split) -> Iterator[Example]:
    """The dialogues of a split, in order. Raises InputError where a line is none."""
    where = run.path / DATASET / f"dialogue.{split}.jsonl"
    with where.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            yield parse(line, Example, where=f"{where}, line {number}")


def read_conversation(example: Example, learn: Learn) -> Opening:
    """A dialogue's people, keywords and turns; neighbouring turns of one side are one.

    `learn` is the side whom the dataset's assistant is.
    """
    names: dict[Role, str] = {}
    for name, role in zip(example.names, example.roles, strict=True):
        names.setdefault("host" if role == "host" else "guest", _clean_name(name))
    spare = [name for name in map(_clean_name, example.names) if name not in names.values()]
    for role, fallback in (("host", "Host"), ("guest", "Guest")):
        names.setdefault(role, spare.pop(0) if spare else fallback)
    sides: dict[str, Role] = {
        "assistant": learn,
        "user": "host" if learn == "guest" else "guest",
    }
    messages = [message for message in example.messages if message.role in sides]
    if learn == "host":
        messages = messages[1:]  # the header
    labels = _label_pattern(example.names)
    turns = []
    for message in messages:
        text = clean_line(labels.sub(" ", message.content))
        if text:
            side = sides[message.role]
            turns.append(SaidTurn(speaker=side, name=names[side], text=text))
    return Opening(
        host=names["host"],
        guest=names["guest"],
        keywords=example.keywords,
        turns=tuple(turns),
        source=example.episode,
    )


def read_conversations(run: Run, split: Split, most_words: int) -> Iterator[Opening]:
    """Conversations of a split, spread evenly over it, of about `most_words` words at most."""
    report = read_report(run)
    learn: Learn = "host" if report.learn == "host" else "guest"
    count = report.train if split == "train" else report.validation
    words = max(1, report.words * count // max(1, report.examples))
    step = max(1.0, words / max(1, most_words))
    following, left = 0.0, most_words
    for number, example in enumerate(read_examples(run, split)):
        if number < following:
            continue
        following += step
        conversation = read_conversation(example, learn)
        left -= example.words
        if left < 0 and number:
            return
        yield conversation


def choose_openings(run: Run, count: int) -> tuple[Opening, ...]:
    """The beginnings of held-out dialogues, spread evenly: names, keywords, the host's first turn.

    Fewer where there are not so many with a first turn that says something.
    """
    learn: Learn = "host" if read_report(run).learn == "host" else "guest"
    usable = [
        number
        for number, example in enumerate(read_examples(run, "validation"))
        if _open(read_conversation(example, learn)) is not None
    ]
    chosen = {usable[place * len(usable) // count] for place in range(count) if usable}
    openings = (
        _open(read_conversation(example, learn))
        for number, example in enumerate(read_examples(run, "validation"))
        if number in chosen
    )
    return tuple(opening for opening in openings if opening is not None)


def read_training_texts(run: Run) -> Iterator[str]:
    """All turns that a show's model learns from, one after the other."""
    learn: Learn = "host" if read_report(run).learn == "host" else "guest"
    for example in read_examples(run, "train"):
        for turn in read_conversation(example, learn).turns:
            yield turn.text


def list_recordings(run: Run, split: Split) -> frozenset[str]:
    """The ids of the recordings in a split."""
    return frozenset(one.id for one in read_recording_counts(run) if one.split == split)


def _open(conversation: Opening) -> Opening | None:
    first = next((turn for turn in conversation.turns if turn.speaker == "host"), None)
    if first is None:
        return None
    text = _shorten(first.text)
    if count_words(text) < FEWEST_OPENING_WORDS:
        return None
    turn = SaidTurn(speaker="host", name=conversation.host, text=text)
    return Opening(
        host=conversation.host,
        guest=conversation.guest,
        keywords=conversation.keywords,
        turns=(turn,),
        source=conversation.source,
    )


def _shorten(text: str) -> str:
    """The last whole sentences of a turn, for they lead to the answer."""
    kept: list[str] = []
    words = 0
    for sentence in reversed(split_sentences(text)):
        words += count_words(sentence)
        if kept and words > MOST_OPENING_WORDS:
            break
        kept.insert(0, sentence)
    return " ".join(kept)[-MOST_OPENING_CHARACTERS:].strip()


def _clean_name(name: str) -> str:
    return clean_line(name)[:LONGEST_NAME_CHARACTERS].strip() or "Somebody"


def _label_pattern(names: Sequence[str]) -> re.Pattern[str]:
    """The labels that part several people's turns in one message."""
    spelled = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.compile(rf"^(?:{spelled}): " if spelled else r"(?!)", re.MULTILINE)
