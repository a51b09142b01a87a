"""What a dataset holds: counts of its files, of recordings and of speakers, sums and means."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from podcaster.model import Noun, Role

Split = Literal["train", "validation", ""]


class SpeakerCount(Noun, frozen=True):
    """How much somebody says in what is trained or validated on; `tokens` of the text alone."""

    name: str
    role: Role
    words: int
    characters: int
    tokens: int
    turns: int


class RecordingCount(Noun, frozen=True):
    """What became of a recording; `dropped` says why there is nothing of it, if there is not."""

    id: str
    title: str
    series: str
    published_at: str = ""
    split: Split = ""
    dropped: str = ""
    examples: int = 0
    conversations: int = 0
    words: int = 0
    characters: int = 0
    tokens: int = 0
    removed: Mapping[str, int] = msgspec.field(default_factory=dict)
    speakers: tuple[SpeakerCount, ...] = ()


class SeriesCount(Noun, frozen=True):
    """A series of a show: a folder of its archive."""

    recordings: int = 0
    train: int = 0
    validation: int = 0
    dropped: int = 0
    examples: int = 0
    words: int = 0
    tokens: int = 0


class DatasetReport(Noun, frozen=True):
    """A dataset in numbers; `train`, `validation` and `examples` count dialogues.

    `tokens` are those of the dialogues as the model reads them; `words` and `characters` those of
    what is said in them. `removed` counts words taken out of recordings that are in, by reason.
    """

    show: str
    tokenizer: str
    context: int
    learn: str
    train: int
    validation: int
    examples: int
    tokens: int
    train_tokens: int
    words: int
    characters: int
    conversations: dict[str, int]
    conversation_tokens: int
    recordings: dict[str, int]
    dropped: dict[str, int]
    removed: dict[str, int]
    series: dict[str, SeriesCount]
    first_published: str = ""
    last_published: str = ""


class Totals:
    """Adds recordings up, one after the other; keeps sums alone."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.removed: Counter[str] = Counter()
        self.series: dict[str, Counter[str]] = {}
        self.dates: list[str] = []

    def add(self, one: RecordingCount, *, train_tokens: int, conversation_tokens: int) -> None:
        """Add a recording."""
        series = self.series.setdefault(one.series, Counter())
        series["recordings"] += 1
        self.sums["recordings"] += 1
        if one.dropped:
            self.dropped[one.dropped] += 1
            series["dropped"] += 1
            return
        series[one.split] += 1
        self.sums[f"{one.split} recordings"] += 1
        self.sums[one.split] += one.examples
        self.sums[f"{one.split} conversations"] += one.conversations
        for name in ("examples", "words", "characters", "tokens"):
            self.sums[name] += getattr(one, name)
        for name in ("examples", "words", "tokens"):
            series[name] += getattr(one, name)
        self.sums["train_tokens"] += train_tokens
        self.sums["conversation_tokens"] += conversation_tokens
        self.removed.update(one.removed)
        if one.published_at:
            self.dates = [
                min([*self.dates, one.published_at]),
                max([*self.dates, one.published_at]),
            ]

    def report(self, show: str, tokenizer: str, context: int, learn: str) -> DatasetReport:
        """The sums as a report."""
        sums = self.sums
        return DatasetReport(
            show=show,
            tokenizer=tokenizer,
            context=context,
            learn=learn,
            train=sums["train"],
            validation=sums["validation"],
            examples=sums["train"] + sums["validation"],
            tokens=sums["tokens"],
            train_tokens=sums["train_tokens"],
            words=sums["words"],
            characters=sums["characters"],
            conversations={s: sums[f"{s} conversations"] for s in ("train", "validation")},
            conversation_tokens=sums["conversation_tokens"],
            recordings={
                "found": sums["recordings"],
                "train": sums["train recordings"],
                "validation": sums["validation recordings"],
            },
            dropped=dict(sorted(self.dropped.items())),
            removed={reason: n for reason, n in sorted(self.removed.items()) if n},
            series={name: SeriesCount(**counts) for name, counts in sorted(self.series.items())},
            first_published=self.dates[0] if self.dates else "",
            last_published=self.dates[-1] if self.dates else "",
        )


def describe_report(report: DatasetReport) -> dict[str, Any]:
    """A dataset's numbers for scripts."""
    builtins: dict[str, Any] = msgspec.to_builtins(report)
    return builtins


def rank_speakers(recordings: Iterable[RecordingCount]) -> list[dict[str, Any]]:
    """Everybody in the dataset, who says most first: sums, and means per recording."""
    sums: dict[str, Counter[str]] = {}
    roles: dict[str, Counter[Role]] = {}
    for recording in recordings:
        if recording.dropped:
            continue
        for one in recording.speakers:
            counts = sums.setdefault(one.name, Counter())
            counts.update(
                words=one.words, characters=one.characters, tokens=one.tokens, turns=one.turns
            )
            counts["recordings"] += 1
            roles.setdefault(one.name, Counter())[one.role] += one.words
    ranked = sorted(sums, key=lambda name: (-sums[name]["words"], name))
    return [
        {
            "name": name,
            "role": roles[name].most_common(1)[0][0],
            **sums[name],
            **_means(sums[name], sums[name]["recordings"]),
        }
        for name in ranked
    ]


def average(report: DatasetReport) -> dict[str, float]:
    """Means per recording of what is in."""
    count = report.recordings["train"] + report.recordings["validation"]
    sums = {"words": report.words, "characters": report.characters, "tokens": report.tokens}
    return _means(sums, count)


def _means(sums: Mapping[str, int], count: int) -> dict[str, float]:
    return {
        f"{name}_per_recording": round(sums[name] / max(1, count), 1)
        for name in ("words", "characters", "tokens")
    }
