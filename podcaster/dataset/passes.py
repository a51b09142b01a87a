"""The two passes over a show's recordings, and what is decided between them.

The first pass measures a recording (`Measured`), then `decide` says what becomes of it (`Task`),
and the second pass, `spell_recording`, makes its examples. Turns, shingles and examples lie in
files of a scratch folder, named by the recording's number.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from podcaster.dataset import stage as dataset_stage
from podcaster.dataset.clean import SpokenTurn
from podcaster.dataset.engine import Tokenizer
from podcaster.dataset.examples import Example, ExampleMaker, Made, Talk
from podcaster.dataset.options import DatasetOptions
from podcaster.dataset.repeats import (
    Hashes,
    RepeatCounter,
    Repeats,
    find_reruns,
    hash_long_turns,
    hash_shingles,
)
from podcaster.dataset.report import RecordingCount, SpeakerCount, Split
from podcaster.dataset.roles import (
    FEW_RECORDINGS,
    Cast,
    Part,
    assign_roles,
    choose_sides,
    find_hosts,
    measure_parts,
)
from podcaster.dataset.split import choose_validation, find_held_out
from podcaster.model import Noun, Person, Role

REPEATS = "repeats.npz"


class Entry(msgspec.Struct, frozen=True):
    """What is kept in memory of a recording: its number in the order of ids, and who it names."""

    number: int
    id: str
    title: str
    series: str
    published_at: str
    persons: tuple[Person, ...]


class Measured(msgspec.Struct):
    """What the first pass finds in a recording; `dropped` says why it is left out, if it is.

    `long_turns` are the hashes by which a re-run is told, as bytes.
    """

    cast: dict[str, Part] = {}
    long_turns: bytes = b""
    shingles: int = 0
    chapters: tuple[str, ...] = ()
    language: str = "en"
    removed: dict[str, int] = {}
    dropped: str = ""


class Task(msgspec.Struct, frozen=True):
    """What the second pass needs to know of a recording; see `Talk` for `roles` and `sides`."""

    entry: Entry
    measured: Measured
    split: Split
    roles: dict[str, Role]
    sides: dict[str, Role]


class Spelled(Noun, frozen=True):
    """What the second pass made of a recording; its examples lie in the scratch folder."""

    count: RecordingCount
    conversation_tokens: int = 0


class KnownPeople(msgspec.Struct, frozen=True):
    """What the stage before says of people, by name: they are the same in all recordings."""

    hosts: frozenset[str] = frozenset()
    others: frozenset[str] = frozenset()


def measure_turns(scratch: Path, number: int, turns: Sequence[SpokenTurn]) -> Measured:
    """Measure a clean recording, and keep its turns and shingles in the scratch folder."""
    texts = [turn.text for turn in turns]
    shingles = hash_shingles(texts)
    np.save(scratch / f"{number}.npy", shingles, allow_pickle=False)
    (scratch / f"{number}.turns").write_bytes(msgspec.msgpack.encode(turns))
    return Measured(
        cast=measure_parts(turns),
        long_turns=hash_long_turns(texts).tobytes(),
        shingles=len(shingles),
    )


def decide(
    entries: Sequence[Entry],
    measured: Sequence[Measured],
    options: DatasetOptions,
    people: KnownPeople | None,
) -> list[Task]:
    """Say who hosts, what is left out and what validates; `dropped` is set where it was not.

    Without `people` the hosts are who comes back.
    """
    long_turns = [np.frombuffer(one.long_turns, dtype=np.uint64) for one in measured]
    for one, again in zip(measured, find_reruns(long_turns), strict=True):
        one.long_turns = b""
        if again and not one.dropped:
            one.dropped = dataset_stage.RERUN
    pairs = list(zip(entries, measured, strict=True))
    for entry, one in pairs:
        one.dropped = one.dropped or dataset_stage.screen(one.cast, entry.persons, options)
    hosts = _find_all_hosts(pairs, people)
    others = people.others if people else frozenset()
    usable = {entry.id: (entry, one) for entry, one in pairs if not one.dropped}
    # a host is one in all series: on a visit, too, so that no guest of validation is trained on
    every_host = frozenset().union(*hosts.values())
    roles = {name: assign_roles(one.cast, every_host, others) for name, (_, one) in usable.items()}
    validation = choose_validation(list(usable), options.hold_out)
    held = find_held_out(
        {name: one.cast for name, (_, one) in usable.items()},
        roles,
        validation,
        every_host,
        labels_are_people=people is not None,
    )
    tasks = []
    for name, (entry, one) in usable.items():
        if name in held:
            one.dropped = dataset_stage.HELD_OUT_GUEST
            continue
        split: Split = "validation" if name in validation else "train"
        sides = choose_sides(one.cast, roles[name])
        tasks.append(Task(entry, one, split, roles[name], sides))
    return tasks


def _find_all_hosts(
    pairs: Sequence[tuple[Entry, Measured]], people: KnownPeople | None
) -> dict[str, frozenset[str]]:
    """The hosts of each series: those who are known, and who comes back to a large one.

    For an archive may hold several shows, whose hosts are guests of the others.
    """
    recordings = Counter(entry.series for entry, _ in pairs)
    regular = find_hosts((entry.series, one.cast) for entry, one in pairs if one.cast)
    if people is None:
        return regular
    return {
        series: people.hosts
        | (regular.get(series, frozenset()) - people.others if count >= FEW_RECORDINGS else set())
        for series, count in recordings.items()
    }


def count_repeats(scratch: Path, measured: Sequence[Measured]) -> None:
    """Count shingles over what is no re-run, which would make all of its original repeated."""
    counter = RepeatCounter(scratch, sum(one.shingles for one in measured))
    for number, one in enumerate(measured):
        # all recordings are counted along, so that each has its own number
        known = bool(one.cast) and one.dropped != dataset_stage.RERUN
        counter.add(_read_shingles(scratch, number) if known else np.empty(0, np.uint64))
    counter.finish().write(scratch / REPEATS)


def spell_recording(
    scratch: str,
    show: str,
    context: int,
    options: DatasetOptions,
    tokenizer: Tokenizer,
    task: Task,
) -> Spelled:
    """Take out what is repeated, and spell the examples into files of the scratch folder."""
    folder, number = Path(scratch), task.entry.number
    source = (folder / f"{number}.turns").read_bytes()
    turns = msgspec.msgpack.decode(source, type=list[SpokenTurn])
    removed = Counter(task.measured.removed)
    turns = dataset_stage.remove_repeated(
        turns, _read_shingles(folder, number), _read_repeats(folder / REPEATS), number, removed
    )
    cast = measure_parts(turns)
    dropped = dataset_stage.screen(cast, task.entry.persons, options)
    made = Made()
    if not dropped:
        talk = Talk(
            recording=task.entry.id,
            show=show,
            title=task.entry.title,
            turns=turns,
            roles=task.roles,
            sides=task.sides,
            chapters=task.measured.chapters,
            language=task.measured.language,
        )
        made = _open_maker(tokenizer, context, options).make(talk)
        dropped = "" if made.dialogues or made.conversations else dataset_stage.NO_DIALOGUE
    if dropped:
        return Spelled(count=describe_entry(task.entry, dropped))
    removed.update(alone=made.alone_words, before_host=made.early_words)
    _write_lines(folder / f"{number}.dialogue", made.dialogues)
    _write_lines(folder / f"{number}.chapters", made.conversations)
    return Spelled(
        count=_count(task, made, removed, tuple(_count_speakers(turns, cast, task.roles, made))),
        conversation_tokens=sum(example.tokens for example in made.conversations),
    )


def describe_entry(entry: Entry, dropped: str = "") -> RecordingCount:
    """A recording of which there is nothing (yet)."""
    return RecordingCount(
        id=entry.id,
        title=entry.title,
        series=entry.series,
        published_at=entry.published_at,
        dropped=dropped,
    )


def _count(
    task: Task, made: Made, removed: Mapping[str, int], speakers: tuple[SpeakerCount, ...]
) -> RecordingCount:
    return msgspec.structs.replace(
        describe_entry(task.entry),
        split=task.split,
        examples=len(made.dialogues),
        conversations=len(made.conversations),
        words=sum(example.words for example in made.dialogues),
        characters=sum(example.characters for example in made.dialogues),
        tokens=sum(example.tokens for example in made.dialogues),
        removed={reason: n for reason, n in sorted(removed.items()) if n},
        speakers=speakers,
    )


def _count_speakers(
    turns: Sequence[SpokenTurn], cast: Cast, roles: Mapping[str, Role], made: Made
) -> Iterator[SpeakerCount]:
    letters: Counter[str] = Counter()
    for turn in turns:
        letters[turn.speaker] += len(turn.text)
    for name, part in cast.items():
        yield SpeakerCount(
            name=name,
            role=roles[name],
            words=part.words,
            characters=letters[name],
            tokens=made.tokens.get(name, 0),
            turns=part.turns,
        )


def _write_lines(path: Path, examples: Sequence[Example]) -> None:
    if examples:
        encoder = msgspec.json.Encoder()
        path.write_bytes(b"".join(encoder.encode(example) + b"\n" for example in examples))


def _read_shingles(folder: Path, number: int) -> Hashes:
    shingles: Hashes = np.load(folder / f"{number}.npy", allow_pickle=False)
    return shingles


class _Kept:
    """What a process keeps between recordings."""

    repeats: tuple[Path, Repeats] | None = None
    maker: tuple[Tokenizer, ExampleMaker] | None = None


def _read_repeats(path: Path) -> Repeats:
    stamp = path.with_name(f"{path.name} {path.stat().st_mtime_ns}")
    if _Kept.repeats is None or _Kept.repeats[0] != stamp:
        _Kept.repeats = (stamp, Repeats.read(path))
    return _Kept.repeats[1]


def _open_maker(tokenizer: Tokenizer, context: int, options: DatasetOptions) -> ExampleMaker:
    if _Kept.maker is None or _Kept.maker[0] is not tokenizer:
        _Kept.maker = (tokenizer, ExampleMaker(tokenizer, context, options.learn))
    return _Kept.maker[1]
