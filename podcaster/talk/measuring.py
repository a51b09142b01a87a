"""Measure models by the same yardstick: the same openings and seeds, the same held-out text."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from podcaster.engines import open_engine
from podcaster.exported import NamedModel
from podcaster.model import slugify
from podcaster.progress import Progress
from podcaster.run import Run
from podcaster.talk.copying import Copied, find_copied
from podcaster.talk.figures import Conversation, ModelFigures, Opening, ShowFigures
from podcaster.talk.held_out import (
    find_report,
    list_recordings,
    read_conversations,
    read_training_texts,
)
from podcaster.talk.profile import Said, measure_distance, measure_profile
from podcaster.talk.reading import read_conversations as read_by_model
from podcaster.talk.talking import Talk, converse
from podcaster.talk.vocabulary import Wording, count_wording, find_marked
from podcaster.units import count_words
from podcaster.write.engine import Foretold
from podcaster.write.phrases import derive_seed

READ_WORDS = 8_000  # of held-out text: minutes for a large model without a GPU
REAL_WORDS = 50_000  # of held-out text, to say how the show talks
MOST_MARKED = 8
REAL = "real"  # among the models, the show itself


@dataclass(frozen=True)
class TalkOptions:
    """How models talk: turns of a conversation, the opening's among them; seed; temperature."""

    turns: int
    seed: int
    temperature: float


@dataclass(frozen=True)
class Yardstick:
    """What models are measured by: openings, and what a show's people really said.

    `conversations` are those to foretell, `said` what says how the show talks. Without a show, or
    where it holds nothing out, they are empty.
    """

    openings: tuple[Opening, ...]
    run: Run | None = None
    conversations: tuple[Opening, ...] = ()
    said: tuple[Said, ...] = ()


@dataclass(frozen=True)
class Measured:
    """Models' figures, their conversations by opening, and the show's own figures."""

    models: tuple[ModelFigures, ...]
    conversations: tuple[tuple[Conversation, ...], ...]
    real: ShowFigures | None


@dataclass
class _Heard:
    """What a model did, before it is compared."""

    named: NamedModel
    conversations: list[Conversation] = field(default_factory=list)
    added: list[Said] = field(default_factory=list)  # by the model, in all conversations
    held_out: dict[str, Foretold] = field(default_factory=dict)
    kind: str = ""
    tokens: int = 0
    seconds: float = 0.0

    def add(self, talk: Talk, opening: Opening) -> None:
        """Take a conversation; what its opening gave is not the model's."""
        self.conversations.append(Conversation(turns=talk.turns))
        fresh = talk.turns[len(opening.turns) :]
        self.added += [Said(turn.speaker, turn.text) for turn in fresh]
        self.tokens += talk.tokens
        self.seconds += talk.seconds


def prepare_yardstick(run: Run | None, openings: Sequence[Opening]) -> Yardstick:
    """Take what a show holds out as the yardstick."""
    report = find_report(run)
    if run is None or report is None or not report.validation:
        return Yardstick(tuple(openings))
    said = (
        Said(turn.speaker, turn.text)
        for conversation in read_conversations(run, "validation", REAL_WORDS)
        for turn in conversation.turns
    )
    return Yardstick(
        openings=tuple(openings),
        run=run,
        conversations=tuple(read_conversations(run, "validation", READ_WORDS)),
        said=tuple(said),
    )


def measure_models(
    models: Sequence[NamedModel],
    yardstick: Yardstick,
    options: TalkOptions,
    progress: Progress,
) -> Measured:
    """Let each model talk and read, and compare what it said with what the show says.

    Raises EngineError where a model cannot be opened, says nothing, or cannot read.
    """
    steps = len(models) * (len(yardstick.openings) + bool(yardstick.conversations))
    done = 0
    heard: list[_Heard] = []

    def report_step() -> None:
        nonlocal done
        done += 1
        progress.report("compare", done, steps, "steps")

    for named in models:
        one = _Heard(named)
        heard.append(one)
        with closing(open_engine("write", "llama_cpp", **named.opening)) as writer:
            one.kind = "chat" if writer.model.chat else "script"
            for number, opening in enumerate(yardstick.openings):
                seed = derive_seed(options.seed, "opening", number)
                talk = converse(
                    writer, opening, options.turns, seed=seed, temperature=options.temperature
                )
                one.add(talk, opening)
                report_step()
        if yardstick.conversations:
            one.held_out = read_by_model(named, yardstick.conversations)
            report_step()
    return _compare(heard, yardstick)


def _compare(heard: Sequence[_Heard], yardstick: Yardstick) -> Measured:
    """Hold what the models said to what the show says, and to what they learned."""
    known_by_heart = _find_copied(heard, yardstick)
    real = wording = None
    if yardstick.said and yardstick.run is not None:
        profile = measure_profile(yardstick.said)
        words = sum(count_words(turn.text) for one in heard for turn in one.added) // len(heard)
        sample = choose_stretches(yardstick.said, len(yardstick.openings), words)
        real = ShowFigures(
            show=yardstick.run.name,
            profile=profile,
            copied=known_by_heart.get(REAL),
            distance=measure_distance(measure_profile(sample), profile),
        )
        wording = count_wording(turn.text for turn in yardstick.said)
    models = [
        _describe(one, yardstick, real, wording, known_by_heart.get(str(number)))
        for number, one in enumerate(heard)
    ]
    return Measured(tuple(models), tuple(tuple(one.conversations) for one in heard), real)


def _find_copied(heard: Sequence[_Heard], yardstick: Yardstick) -> dict[str, Copied]:
    """What was said word for word as in a training text, by model's number and of the show itself.

    Each show's training text is read once.
    """
    groups: dict[Path, tuple[Run, dict[str, list[str]]]] = {}

    def add(run: Run | None, name: str, said: Sequence[Said]) -> None:
        report = find_report(run)
        if run is not None and report is not None and report.train:
            texts = [turn.text for turn in said]
            groups.setdefault(run.path, (run, {}))[1][name] = texts

    for number, one in enumerate(heard):
        add(_training_run(one.named, yardstick), str(number), one.added)
    if yardstick.said:
        add(yardstick.run, REAL, yardstick.said)
    found: dict[str, Copied] = {}
    for run, said in groups.values():
        found |= find_copied(said, read_training_texts(run))
    return found


def choose_stretches(said: Sequence[Said], count: int, words: int) -> list[Said]:
    """So many stretches of neighbouring turns, evenly spread, of about so many words together."""
    chosen: list[Said] = []
    end = 0
    for number in range(count):
        place = max(end, number * len(said) // count)
        left = words / count
        while place < len(said) and left > 0:
            chosen.append(said[place])
            left -= count_words(said[place].text)
            place += 1
        end = place
    return chosen


def _training_run(named: NamedModel, yardstick: Yardstick) -> Run | None:
    """The show whose text a model learned; for a model of no show, the one that it is held to."""
    runs = (run for run in (named.run, yardstick.run) if run is not None)
    return next((run for run in runs if find_report(run) is not None), None)


def _describe(
    one: _Heard,
    yardstick: Yardstick,
    real: ShowFigures | None,
    known: Wording | None,
    copied: Copied | None,
) -> ModelFigures:
    profile = measure_profile(one.added)
    wording = count_wording(turn.text for turn in one.added)
    return ModelFigures(
        label=one.named.label,
        file=one.named.path.name,
        size_bytes=one.named.size_bytes,
        kind=one.kind,
        tokens_per_s=round(one.tokens / one.seconds, 1) if one.seconds else 0.0,
        profile=profile,
        held_out=one.held_out,
        distance=measure_distance(profile, real.profile) if real else None,
        copied=copied,
        says_more=find_marked(wording, known, MOST_MARKED) if known else (),
        says_less=find_marked(known, wording, MOST_MARKED) if known else (),
        heard_before=_count_heard_before(one.named, yardstick),
    )


def _count_heard_before(named: NamedModel, yardstick: Yardstick) -> int:
    """Held-out recordings that another show's model was trained on."""
    run, own = yardstick.run, named.run
    if run is None or own is None or own.path == run.path or find_report(own) is None:
        return 0
    return len(list_recordings(run, "validation") & list_recordings(own, "train"))


def label_models(models: Sequence[NamedModel]) -> tuple[NamedModel, ...]:
    """The models with labels that are short and all different: a file goes by its name."""
    short = [
        replace(one, label=Path(one.label).name or one.label)
        if one.label.lower().endswith(".gguf")
        else one
        for one in models
    ]
    labels = [one.label for one in short]
    return tuple(
        given if labels.count(one.label) > 1 else one
        for given, one in zip(models, short, strict=True)
    )


def page_name(labels: Sequence[str]) -> str:
    """What the page of a comparison is called, if nobody says."""
    parts = (slugify(label.removesuffix(".gguf"), fallback="model") for label in labels)
    return f"compare-{'-'.join(parts)}"[:120] + ".html"
