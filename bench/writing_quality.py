"""What the writer finds, refuses and lets through: twenty episodes, counted and compared in pairs.

    python bench/writing_quality.py [--model FILE] [--set NAME=VALUE]… [--grid "NAME=VALUE …"]…
        [--keep FILE] [--against FILE]

Every episode is written by the real stage, with a fixed seed, and without speech. A NAME is an
option of the stage (`min_p`) or a constant of one of its modules (`score.TOPIC_WEIGHT`; for a model
with an index of training text of its own, `verbatim.NGRAMS_PATH`), its VALUE as in JSON. Each
`--grid` is one more setting, compared with the base (`--set` alone) episode by episode; there
`model` is a NAME, too. One JSON line a setting: first the stage's own counts (`found`, `repaired`),
then what the same checks find in the finished scripts (`left`: that is what a listener hears), then
measures of the text.
"""

import argparse
import importlib
import json
import random
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import llama_cpp
import msgspec
import numpy as np

from podcaster.builtin import MODEL_PATH
from podcaster.builtin.keywords import COMMON_IDF, idf
from podcaster.dialogue import template_from_metadata
from podcaster.model import Chapter, Script, Turn
from podcaster.progress import Silence
from podcaster.units import count_words, split_words
from podcaster.write.checks import CHECKS, TurnContext, phrases_of
from podcaster.write.llama_cpp import LlamaCppWriter
from podcaster.write.notes import read_notes
from podcaster.write.options import WriteOptions
from podcaster.write.sentences import is_whole, split_sentences
from podcaster.write.stage import write
from podcaster.write.verbatim import open_verbatim

REPEATED_WORDS = 4  # a run of so many, said in an earlier turn: shorter than the checks look for
SHORTEST_CHAPTER_WORDS = 50  # over which the density of a topic word means something
RESAMPLINGS = 2000
INTERVAL = 0.9

_FILLERS = re.compile(
    r"\b(?:i don't know|you know|i mean|kind of|sort of|or something|and stuff|things? like that|"
    r"like that|a lot of things?|(?:it's|was|were|is|are) like)\b"
)

FURNACE = """\
I built the first solar furnace from mirrors that a theatre threw away. It melted copper on the
second afternoon, and it melted my glasses on the third.

The village owns the furnace now. A committee of nine meets on Thursdays, and it mends the mirrors
with its own tools. We wrote no manual, because those who polish the mirrors teach the next ones.

A cistern came later. We dug the cistern under the school yard, and it kept forty families in water
through the drought. Rain is the only customer that always pays.
"""
BAKERY = """\
A sourdough is a colony, and I am its landlady. The starter in my bakery is older than my children,
and it has been to more weddings.

The oven burns beech. Beech gives a steady heat, and a steady heat forgives a sleepy baker. We bake
four hundred loaves a night, and we sell the last of them before nine.

I hire people who were told that they cannot work. An apprentice who counted everything wrong turned
out to hear when a crust is done. Bread taught me that patience is a tool like any other.
"""
NOTES = {"furnace": FURNACE, "bakery": BAKERY}


@dataclass(frozen=True)
class Job:
    """An episode to write; `notes` names one of ours."""

    guest: str
    seed: int
    minutes: float = 3.0
    topics: tuple[str, ...] = ()
    steer: str = ""
    notes: str = ""


EPISODES = (
    Job("Barack Obama", 1, 5),
    Job("Ada Lovelace", 2, 4, ("the analytical engine",)),
    Job("Marie Curie", 3, 3, ("working with radium", "prizes")),
    Job("Grace Hopper", 4, 4, ("compilers",), "practical, with examples"),
    Job("Linus Torvalds", 5, 5, ("kernel patches", "code review")),
    Job("Julia Child", 6, 3, ("cooking",), "cheerful"),
    Job("Tamsin Oduya", 7, 3),
    Job("Charles Darwin", 8, 4, ("finches",)),
    Job("Wenzel Arkwright", 9, 3, ("databases",), "nothing about money"),
    Job("Amelia Earhart", 10, 3, ("flying alone",)),
    Job("Ibn al-Haytham", 11, 3, ("light and mirrors",)),
    Job("Katherine Johnson", 12, 4, ("orbits", "mathematics")),
    Job("Mirela Santos", 13, 5, (), "teaching children to write programs"),
    Job("Nikola Tesla", 14, 3, ("electricity",)),
    Job("Oskar Lindqvist", 15, 4, ("open source", "burnout", "money")),
    Job("Barack Obama", 16, 3, ("health care",)),
    Job("Noor Beaumont", 17, 4, ("solar furnaces",), "", "furnace"),
    Job("Hilde Brandt", 18, 3, (), "", "bakery"),
    Job("Alan Turing", 19, 4, ("machines that learn",), "", "furnace"),
    Job("Rosa Albrecht", 20, 3, ("bread",), "about apprentices", "bakery"),
)

Setting = tuple[tuple[str, str], ...]


class OrdinaryPace:
    """Two people at 160 words a minute."""

    gap_s = 0.25

    def turn_s(self, speaker_id: str, text: str) -> float:
        """Words by the minute."""
        return count_words(text) * 60 / 160

    def said_s(self, speaker_id: str, text: str) -> float:
        """Exactly as estimated."""
        return self.turn_s(speaker_id, text)

    def overhead_s(self, chapters: int) -> float:
        """Music, and a breath before each chapter."""
        return 8.0 + chapters


# -- settings --------------------------------------------------------------------------------------


def parse_setting(pairs: Sequence[str]) -> Setting:
    """Read `NAME=VALUE` pairs; a later one wins over an earlier one of the same name.

    Raises ValueError where a pair has no `=`.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise ValueError(f"{pair!r} is no NAME=VALUE")
        found[name] = value
    return tuple(sorted(found.items()))


def read_options(setting: Setting) -> dict[str, Any]:
    """The stage's options in a setting, as they would be read from a configuration."""
    kinds = {f.name: f.type for f in msgspec.structs.fields(WriteOptions)}
    return {
        name: msgspec.convert(value, kinds[name], strict=False)
        for name, value in setting
        if "." not in name and name != "model"
    }


@contextmanager
def constants(setting: Setting) -> Iterator[None]:
    """Put a setting's constants into the stage's modules, and take them out again.

    Raises AttributeError for a constant that there is not.
    """
    before: list[tuple[Any, str, Any]] = []
    try:
        for name, value in setting:
            module_name, separator, constant = name.rpartition(".")
            if not separator:
                continue
            module = importlib.import_module(f"podcaster.write.{module_name}")
            old = getattr(module, constant)
            before.append((module, constant, old))
            is_path = isinstance(old, Path)
            new = Path(value) if is_path else msgspec.json.decode(value, type=type(old))
            setattr(module, constant, new)
        yield
    finally:
        for module, constant, old in reversed(before):
            setattr(module, constant, old)


# -- one episode -----------------------------------------------------------------------------------


def write_job(
    job: Job, setting: Setting, model: str, judge: str = ""
) -> tuple[dict[str, Any], str]:
    """Write an episode; returns its figures (see `measure_script`), and the script to read.

    `model` is `builtin`, or a file that is treated as if it were the built-in model; `judge` is a
    dialogue model that says how likely the turns are (see `judge_script`).
    """
    model = dict(setting).get("model", model)
    path = str(MODEL_PATH) if model == "builtin" else model
    with constants(setting), tempfile.TemporaryDirectory() as folder:
        notes: tuple[Any, ...] = ()
        if job.notes:
            note = Path(folder) / f"{job.notes}.txt"
            note.write_text(NOTES[job.notes], encoding="utf-8")
            notes = read_notes([str(note)])
        draft = Path(folder) / "draft.jsonl"
        options = WriteOptions(
            guest=job.guest, topics=job.topics, steer=job.steer, minutes=job.minutes,
            **read_options(setting),
        )  # fmt: skip
        writer = LlamaCppWriter(path, options.context_tokens)
        started, started_cpu = time.perf_counter(), time.process_time()
        result = write(
            options, writer, pace=OrdinaryPace(), notes=notes, seed=job.seed, disclosure=True,
            draft=draft, progress=Silence(),
        )  # fmt: skip
        wall_s, cpu_s = time.perf_counter() - started, time.process_time() - started_cpu
        writer.close()
        steps = [json.loads(line) for line in draft.read_text("utf-8").splitlines()]
        improvised = [step["value"]["text"] for step in steps if isinstance(step["value"], dict)]
        verbatim = open_verbatim(options.model)
    figures = measure_script(result.script, improvised, verbatim=verbatim)
    figures |= {"wall_s": wall_s, "cpu_s": cpu_s, "record": result.counts}
    if judge:
        figures |= judge_script(result.script, improvised, judge)
    return figures, format_reading(result.script)


def measure_script(script: Script, improvised: Sequence[str], *, verbatim: Any) -> dict[str, Any]:
    """Count what is in a finished script; `improvised` are the texts that the model settled on.

    `left` is what the checks find in all turns, `model_left` in the model's. The other measures
    look at the model's turns (a turn may be shorter than what the model settled on), except `asked`
    and `whole`, which look at the host's turns between greeting and farewell, and at all turns.
    """
    turns = list(script.turns())
    names = tuple(speaker.name for speaker in script.speakers)
    roles = {speaker.id: speaker.role for speaker in script.speakers}
    edges = {id(turn) for chapter in script.chapters[:: len(script.chapters) - 1 or 1]
             for turn in chapter.turns}  # fmt: skip
    settled = tuple(text for text in improvised if text)
    own = [is_settled(turn, settled) for turn in turns]
    left: Counter[str] = Counter()
    model_left: Counter[str] = Counter()
    said: set[tuple[str, ...]] = set()
    previous, unasked = "", 0
    for turn, is_own in zip(turns, own, strict=True):
        context = TurnContext(
            role=roles[turn.speaker], names=names, previous=previous, said=said, unasked=unasked,
            edge=id(turn) in edges, verbatim=verbatim,
        )  # fmt: skip
        found = [name for name, (check, _) in CHECKS.items() if check(turn.text, context)]
        left.update(found)
        model_left.update(found if is_own else ())
        said |= phrases_of(turn.text)
        previous = turn.text
        if roles[turn.speaker] == "host":
            unasked = 0 if "?" in turn.text else unasked + 1
    chapters = [
        (chapter, [turn.text for turn in chapter.turns if is_settled(turn, settled)])
        for chapter in script.chapters
    ]
    model_texts = [turn.text for turn, is_own in zip(turns, own, strict=True) if is_own]
    body = [t for chapter in script.chapters[1:-1] for t in chapter.turns]
    host = [turn.text for turn in body if roles[turn.speaker] == "host"]
    topics = [measure_topic(chapter, texts) for chapter, texts in chapters if texts]
    return {
        "turns": len(turns),
        "words": sum(count_words(turn.text) for turn in turns),
        "model_turns": len(model_texts),
        "model_words": sum(count_words(text) for text in model_texts),
        "left": dict(left),
        "model_left": dict(model_left),
        "asked": mean([float("?" in text) for text in host]),
        "whole": mean([float(_ends_whole(turn.text)) for turn in turns]),
        "distinct_2": share_distinct([turn.text for turn in turns], 2),
        "model_distinct_2": share_distinct(model_texts, 2),
        "said_before": share_said_before([turn.text for turn in turns], own),
        "topic_said": mean([said_share for said_share, _ in topics]),
        "topic_density": mean([density for _, density in topics if density is not None]),
        "topic_density_max": max((d for _, d in topics if d is not None), default=0.0),
        "related": mean(
            [
                float(is_related(turns[i].text, turns[i - 1].text))
                for i in range(1, len(turns))
                if own[i]
            ]
        ),
        "fillers": sum(len(_FILLERS.findall(text.lower())) for text in model_texts),
        "rarity": mean([_rarity(w) for text in model_texts for w in split_words(text)]),
        "echoed": share_echoed(model_texts),
        "unknown": sum(_is_unknown(w) for t in model_texts for w in split_words(t)),
        "quotations": sum(text.count('"') for text in model_texts) // 2,
        "verbatim_words": max((verbatim(text) for text in model_texts), default=0)
        if verbatim
        else 0,
    }


def is_settled(turn: Turn, settled: Sequence[str]) -> bool:
    """Whether a turn is one that the model settled on, or the first sentences of such a one."""
    return any(text.startswith(turn.text) for text in settled)


def measure_topic(chapter: Chapter, texts: Sequence[str]) -> tuple[float, float | None]:
    """The share of a chapter's keywords that `texts` say, and the density of the one said most.

    Singular and plural are one word. The density is in times a hundred words, None for fewer than
    SHORTEST_CHAPTER_WORDS.
    """
    wanted = {_stem(word) for phrase in chapter.keywords for word in split_words(phrase)}
    words = [_stem(word) for text in texts for word in split_words(text)]
    tally = Counter(word for word in words if word in wanted)
    most = max(tally.values(), default=0)
    density = 100 * most / len(words) if len(words) >= SHORTEST_CHAPTER_WORDS else None
    return len(tally) / max(1, len(wanted)), density


def share_distinct(texts: Sequence[str], n: int) -> float:
    """Of all runs of `n` words inside a text, how large a share is different ones."""
    grams = [gram for text in texts for gram in _grams(split_words(text), n)]
    return len(set(grams)) / max(1, len(grams))


def share_said_before(texts: Sequence[str], counted: Sequence[bool]) -> float:
    """Of the counted texts' runs of REPEATED_WORDS words, the share that an earlier text has."""
    seen: set[tuple[str, ...]] = set()
    again = total = 0
    for text, counts in zip(texts, counted, strict=True):
        grams = _grams(split_words(text), REPEATED_WORDS)
        if counts:
            again += sum(gram in seen for gram in grams)
            total += len(grams)
        seen.update(grams)
    return again / max(1, total)


def share_echoed(texts: Sequence[str]) -> float:
    """Of the words that are no everyday words, the share that the same turn has said already."""
    again = total = 0
    for text in texts:
        words = [_stem(word) for word in split_words(text) if idf(word) > COMMON_IDF]
        total += len(words)
        again += len(words) - len(set(words))
    return again / max(1, total)


def is_related(text: str, before: str) -> bool:
    """Whether a turn has a word in common with the one before that is not an everyday word."""
    common = {_stem(w) for w in split_words(text)} & {_stem(w) for w in split_words(before)}
    return any(idf(word) > COMMON_IDF for word in common)


def judge_script(script: Script, improvised: Sequence[str], path: str) -> dict[str, float]:
    """How likely a dialogue model finds the model's turns where they stand.

    `nats_a_word` is the surprise, `context_nats_a_word` by how much it is less than where the turn
    stands alone: what a turn owes to the topic and to the talk before it. A chapter is read as a
    window of its own. A judge that is the writer itself prefers what it writes anyway.
    """
    judge = llama_cpp.Llama(path, n_ctx=0, n_batch=512, n_threads=1, logits_all=True, verbose=False)
    template = template_from_metadata(judge.metadata)
    if template is None:
        raise ValueError(f"{path} is no dialogue model")
    settled = tuple(text for text in improvised if text)
    names = [speaker.name for speaker in script.speakers]
    roles = {speaker.id: speaker.role for speaker in script.speakers}
    surprise = alone = 0.0
    words = 0
    for chapter in script.chapters:
        before = template.format_header(names, chapter.keywords)
        for turn in chapter.turns:
            spelled = template.format_turn(roles[turn.speaker], turn.text)
            if is_settled(turn, settled):
                surprise += _surprise(judge, before, spelled)
                alone += _surprise(judge, template.begin, spelled)
                words += count_words(turn.text)
            before += spelled
    judge.close()
    return {
        "nats_a_word": surprise / max(1, words),
        "context_nats_a_word": (alone - surprise) / max(1, words),
    }


def _surprise(judge: llama_cpp.Llama, before: str, text: str) -> float:
    """The nats that `text` takes after `before`, of which so much is read as fits."""
    tokens = judge.tokenize(text.encode(), add_bos=False, special=True)
    head = judge.tokenize(before.encode(), add_bos=False, special=True)
    head = head[-(judge.n_ctx() - len(tokens)) :]
    judge.reset()
    judge.eval([*head, *tokens])
    logits = np.asarray(judge.scores[len(head) - 1 : len(head) + len(tokens) - 1], dtype=np.float64)
    highest = logits.max(axis=1, keepdims=True)
    spread = highest[:, 0] + np.log(np.exp(logits - highest).sum(axis=1))
    return float((spread - logits[np.arange(len(tokens)), tokens]).sum())


def format_reading(script: Script) -> str:
    """A script to be read beside its counts."""
    lines = [f"# {script.title}"]
    for chapter in script.chapters:
        lines.append(f"\n## {chapter.title}  ({', '.join(chapter.keywords)})")
        lines += [f"{turn.speaker}: {turn.text}" for turn in chapter.turns]
    return "\n".join(lines) + "\n"


def mean(values: Sequence[float]) -> float:
    """The mean; 0 of nothing."""
    return statistics.fmean(values) if values else 0.0


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _stem(word: str) -> str:
    word = word.removesuffix("'s")
    return word.removesuffix("s") if len(word) > 3 else word


def _is_unknown(word: str) -> bool:
    return idf(word) >= idf("")


def _rarity(word: str) -> float:
    return 0.0 if _is_unknown(word) else max(0.0, idf(word) - COMMON_IDF)


def _ends_whole(text: str) -> bool:
    sentences = split_sentences(text)
    return bool(sentences) and is_whole(sentences[-1])


# -- twenty of them --------------------------------------------------------------------------------

MEANS = (
    "asked", "whole", "distinct_2", "model_distinct_2", "said_before", "echoed", "topic_said",
    "topic_density", "related", "rarity",
)  # fmt: skip


JUDGED = ("nats_a_word", "context_nats_a_word")


def rates_of(figures: dict[str, Any]) -> dict[str, float]:
    """An episode's figures as rates, so that longer and shorter episodes can be compared."""
    record, words = figures["record"], max(1, figures["words"])
    sampled = max(1, record.get("inspected_words", 0))
    found = sum(n for name, n in record.items() if name.startswith("found."))
    repaired = sum(n for name, n in record.items() if name.startswith("repaired."))
    rates = {
        "found_per_1000_words": 1000 * found / sampled,
        "repaired_per_1000_words": 1000 * repaired / max(1, figures["model_words"]),
        "left_per_1000_words": 1000 * sum(figures["left"].values()) / words,
        "model_left_per_1000_words": 1000
        * sum(figures["model_left"].values())
        / max(1, figures["model_words"]),
        "refused": record.get("refused", 0) / max(1, record.get("inspected", 0)),
        "fillers_per_1000_words": 1000 * figures["fillers"] / max(1, figures["model_words"]),
        "unknown_per_1000_words": 1000 * figures["unknown"] / max(1, figures["model_words"]),
        "quotations_per_1000_words": 1000 * figures["quotations"] / max(1, figures["model_words"]),
        "words_a_turn": words / max(1, figures["turns"]),
        "model_words_a_turn": figures["model_words"] / max(1, figures["model_turns"]),
        "cpu_s": figures["cpu_s"],
    }
    return rates | {name: figures[name] for name in (*MEANS, *JUDGED) if name in figures}


def summarise(episodes: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One setting's sums, rates over all its episodes, and means of the episodes' measures."""
    record: Counter[str] = Counter()
    left: Counter[str] = Counter()
    model_left: Counter[str] = Counter()
    for figures in episodes:
        record.update(figures["record"])
        left.update(figures["left"])
        model_left.update(figures["model_left"])
    words = sum(figures["words"] for figures in episodes)
    model_words = sum(figures["model_words"] for figures in episodes)
    tally: dict[str, dict[str, int]] = {"found": {}, "repaired": {}}
    tally |= {"left": dict(left), "model_left": dict(model_left)}
    for name, n in record.items():
        kind, _, check = name.partition(".")
        if check:
            tally[kind][check] = n
    over = {"found": record["inspected_words"], "repaired": model_words}
    over |= {"left": words, "model_left": model_words}
    rates = [rates_of(figures) for figures in episodes]
    return {
        "episodes": len(episodes),
        "sums": {kind: dict(sorted(counts.items())) for kind, counts in tally.items()},
        "per_1000_words": {
            kind: {
                "all": round(1000 * sum(counts.values()) / max(1, over[kind]), 2),
                **{c: round(1000 * n / max(1, over[kind]), 2) for c, n in sorted(counts.items())},
            }
            for kind, counts in tally.items()
        },
        "words": words,
        "model_words": model_words,
        "inspected_words": record["inspected_words"],
        "turns": sum(figures["turns"] for figures in episodes),
        "model_turns": sum(figures["model_turns"] for figures in episodes),
        "candidates": record["candidates"],
        "inspected": record["inspected"],
        "refused": round(record["refused"] / max(1, record["inspected"]), 4),
        "resamples": record["resamples"],
        "means": {name: round(mean([r[name] for r in rates]), 4) for name in rates[0]},
        "topic_density_max": round(max(f["topic_density_max"] for f in episodes), 1),
        "verbatim_words": max(figures["verbatim_words"] for figures in episodes),
        "tokens_sampled": round(record["tokens_sampled"]),
        "tokens_evaluated": round(record["tokens_evaluated"]),
        "decode_s": round(record["decode_s"], 1),
        "wall_s": round(sum(figures["wall_s"] for figures in episodes), 1),
        "cpu_s": round(sum(figures["cpu_s"] for figures in episodes), 1),
    }


def compare(
    base: Sequence[dict[str, float]], other: Sequence[dict[str, float]]
) -> dict[str, list[float]]:
    """How the other setting's rates differ: mean over pairs, and its bootstrap interval's ends.

    Both are the rates of the same episodes, in the same order.
    """
    chance = random.Random(0)
    draws = [chance.choices(range(len(base)), k=len(base)) for _ in range(RESAMPLINGS)]
    differences = {}
    for name in base[0].keys() & other[0].keys():
        values = [b[name] - a[name] for a, b in zip(base, other, strict=True)]
        means = sorted(mean([values[i] for i in draw]) for draw in draws)
        outside = round(RESAMPLINGS * (1 - INTERVAL) / 2)
        ends = means[outside], means[-outside - 1]
        differences[name] = [round(value, 4) for value in (mean(values), *ends)]
    return dict(sorted(differences.items()))


def main() -> None:
    """Write, count, compare, and print one JSON line a setting."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="builtin", help="a file to treat as the built-in model")
    parser.add_argument("--judge", default="", help="a dialogue model that rates the turns, too")
    parser.add_argument("--set", action="append", default=[], help="NAME=VALUE, for all settings")
    parser.add_argument("--grid", action="append", default=[], help="pairs: one more setting")
    parser.add_argument("--episodes", type=int, default=len(EPISODES), help="only the first ones")
    parser.add_argument("--workers", type=int, default=1, help="processes side by side")
    parser.add_argument("--scripts", type=Path, help="a folder for the scripts, to be read")
    parser.add_argument("--keep", type=Path, help="a file for the base's rates, an episode each")
    parser.add_argument("--against", type=Path, help="such a file: compare with it, not the base")
    given = parser.parse_args()
    settings = [parse_setting([*given.set, *pairs.split()]) for pairs in ["", *given.grid]]
    jobs = EPISODES[: given.episodes]
    base: list[dict[str, float]] = []
    if given.against:
        base = json.loads(given.against.read_text("utf-8"))[: len(jobs)]
    # spawned: a forked process would share llama.cpp's state with its parent
    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        waiting = [
            [pool.submit(write_job, job, setting, given.model, given.judge) for job in jobs]
            for setting in settings
        ]
        for number, (setting, futures) in enumerate(zip(settings, waiting, strict=True)):
            results = [future.result() for future in futures]
            rates = [rates_of(figures) for figures, _ in results]
            line: dict[str, Any] = {
                "benchmark": "writing_quality", "model": given.model, "setting": dict(setting),
                **summarise([figures for figures, _ in results]),
            }  # fmt: skip
            if base:
                line["difference"] = compare(base, rates)
            base = base or rates
            print(json.dumps(line), flush=True)
            if given.keep and number == 0:
                given.keep.write_text(json.dumps(rates), "utf-8")
            if given.scripts:
                given.scripts.mkdir(parents=True, exist_ok=True)
                for place, (_, text) in enumerate(results, 1):
                    file = given.scripts / f"{number}-{place:02d}.md"
                    file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
