"""Measure dialogue models on what they have not seen: what `bench/builtin_model.py` prints.

All models of a run read the same passages, are asked for the same topics with the same seeds, and
are compared with the same people's talk.
"""

import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from podcaster.units import count_words
from recipes.mini.baselines import TokenNgrams, xz_bits_per_byte
from recipes.mini.episodes import Episode, source_of
from recipes.mini.llama_cpp import (
    LONGEST_TURN_TOKENS,
    DialogueModel,
    Prompt,
    Score,
    measure_writer_speed,
)
from recipes.mini.measures import TopicFollowing, distinct_n, measure_topics, stem, stems_of
from recipes.mini.passages import Outline, Passage, cut_passages, draw_outlines
from recipes.mini.roles import known_hosts
from recipes.mini.verbatim import TrainingText
from recipes.mini.windows import guest_names

SOURCE = "changelog"  # of the passages, the outlines and the people's talk
COMMON_CONTEXT = 1024  # that all models read in, beside their own; less where one has less
TURNS = 8  # of a conversation
OTHER_SOURCE_PASSAGES = 40  # at the most, of each source beside it
SAMPLES = 10
SAMPLE_WORDS = 8  # fewer say nothing of a model
ORDER = 5  # of the n-gram baseline
NAMES = (
    ("Jane Miller", "Bob Stone"),
    ("Anna Bell", "Carlos Diaz"),
    ("Kim Park", "Lena Vogt"),
    ("Tom Reed", "Maya Lind"),
    ("Ruth Cole", "Sam Ortega"),
    ("Ivan Petrov", "Nora Quinn"),
    ("Paul Weber", "Grace Lee"),
    ("Omar Said", "Julia Frank"),
)
FAR_TOPICS = (
    ("bread", "flour", "oven", "yeast", "bakery", "dough"),
    ("sailing", "boat", "wind", "harbor", "storm", "anchor"),
    ("castle", "knights", "sword", "king", "siege", "horses"),
    ("volcano", "lava", "eruption", "ash", "crater", "magma"),
    ("football", "goal", "referee", "stadium", "coach", "striker"),
    ("opera", "singer", "orchestra", "soprano", "stage", "violin"),
    ("bees", "honey", "hive", "queen", "flowers", "pollen"),
    ("mountain", "climbing", "rope", "summit", "glacier", "snow"),
    ("dentist", "teeth", "pain", "drill", "patient", "toothbrush"),
    ("cheese", "milk", "cows", "farmer", "cellar", "butter"),
)


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured: passages of held-out text (0: all), outlines, repetitions."""

    passages: int = 0
    outlines: int = 64
    far_repetitions: int = 3
    ngrams: bool = True
    distinct_words: int = 10_000


QUICK = Size(passages=16, outlines=16, far_repetitions=1, ngrams=False, distinct_words=3_000)


@dataclass(frozen=True, kw_only=True)
class Material:
    """What models are measured on: passages by source, outlines, training text.

    `training_passages` are for the n-gram baseline and have no topics.
    """

    held_out: Mapping[str, Sequence[Passage]]
    outlines: Sequence[Outline]
    training: TrainingText
    training_passages: Sequence[Passage]
    size: Size


@dataclass(frozen=True, kw_only=True)
class Talk:
    """What a model said: a conversation for each outline, without any topic, and for FAR_TOPICS."""

    asked: Sequence[Sequence[str]]
    free: Sequence[Sequence[str]]
    far: Sequence[Sequence[str]]
    far_asked_for: Sequence[int]


def note(text: str) -> None:
    """Tell a person what goes on, and when."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def prepare(episodes: Sequence[Episode], idf: Mapping[str, float], size: Size) -> Material:
    """Lay out what is held out, and index what was trained on."""
    hosts = known_hosts(episodes)
    names = guest_names(episodes, hosts)
    held = [episode for episode in episodes if episode.split == "validation"]
    train = [episode for episode in episodes if episode.split == "train"]
    held_out: dict[str, list[Passage]] = {}
    for source in sorted({source_of(e.show) for e in held}, key=lambda s: (s != SOURCE, s)):
        part = [e for e in held if source_of(e.show) == source]
        most = size.passages or (0 if source == SOURCE else OTHER_SOURCE_PASSAGES)
        held_out[source] = _spread(cut_passages(part, hosts, idf=idf, names=names), most)
    main = [e for e in held if source_of(e.show) == SOURCE]
    return Material(
        held_out=held_out,
        outlines=draw_outlines(main, idf, count=size.outlines, turns=TURNS),
        training=TrainingText(" ".join(line.text for line in e.lines) for e in train),
        training_passages=cut_passages(train, hosts, names=names) if size.ngrams else (),
        size=size,
    )


def compare_models(
    paths: Sequence[Path], material: Material
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """All figures of each model, by its path, and its samples as markdown."""
    with ExitStack() as opened:
        models = [opened.enter_context(DialogueModel(path)) for path in paths]
        common = min(COMMON_CONTEXT, *(model.context_tokens for model in models))
        baselines: dict[tuple[bytes, ...], float] = {}
        figures: dict[str, dict[str, Any]] = {}
        samples: list[str] = []
        for model in models:
            name = model.path.name
            note(f"{name}: speed")
            speed = measure_speed(model)
            note(f"{name}: talking")
            talk = talk_with(model, material)
            samples.append(format_samples(name, talk, material))
            note(f"{name}: reading")
            reading = measure_reading(model, material, common_context=common)
            vocabulary = model.vocabulary()
            if material.size.ngrams and vocabulary not in baselines:
                note(f"{name}: {ORDER}-grams of its tokens")
                baselines[vocabulary] = round(score_ngrams(model, material).bits_per_byte, 4)
            reading["five_gram_bits_per_byte"] = baselines.get(vocabulary)
            figures[str(model.path)] = {
                "parameters": model.parameters,
                "vocabulary": model.vocab_size,
                "context_tokens": model.context_tokens,
                "file_bytes": model.path.stat().st_size,
                "held_out": reading,
                "topics": measure_topic_following(talk, material),
                **measure_wording(talk.asked, material),
                **speed,
            }
    return figures, samples


def measure_people(material: Material) -> dict[str, Any]:
    """The same measures of the real talk that the outlines were taken from, and xz."""
    said = [outline.turns for outline in material.outlines]
    spoken = "\n".join(passage.spoken() for passage in material.held_out[SOURCE])
    keywords = [outline.keywords for outline in material.outlines]
    topics = measure_topics(keywords, range(len(said)), [" ".join(turns) for turns in said])
    return {
        "held_out_bytes": len(spoken.encode()),
        "xz_bits_per_byte": round(xz_bits_per_byte(spoken.encode()), 4),
        "topics": round_figures(topics),
        **measure_wording(said, material),
    }


def measure_reading(
    model: DialogueModel, material: Material, *, common_context: int
) -> dict[str, Any]:
    """Bits a byte of held-out passages, in the common context and in the model's own."""
    passages = material.held_out[SOURCE]
    own = model.context_tokens
    common = model.score(passages, common_context)
    full = common if own == common_context else model.score(passages, own)
    others = {
        source: round(model.score(part, common_context).bits_per_byte, 4)
        for source, part in material.held_out.items()
        if source != SOURCE
    }
    return {
        "tokens": common.tokens,
        "bytes": common.spoken_bytes,
        "common_context": common_context,
        "bits_per_byte": round(common.bits_per_byte, 4),
        "nats_per_token": round(common.nats / max(1, common.tokens), 4),
        "bits_per_byte_own_context": round(full.bits_per_byte, 4),
        "bits_per_byte_other_sources": others,
    }


def measure_topic_following(talk: Talk, material: Material) -> dict[str, Any]:
    """Keywords asked for against not asked for, against no topic, and far from the domain."""
    keywords = [outline.keywords for outline in material.outlines]
    asked = [" ".join(turns) for turns in talk.asked]
    free = [" ".join(turns) for turns in talk.free]
    far = [" ".join(turns) for turns in talk.far]
    order = range(len(asked))
    return {
        "asked": round_figures(measure_topics(keywords, order, asked)),
        "against_no_topic": round_figures(measure_topics(keywords, order, asked, unasked=free)),
        "far": round_figures(measure_topics(FAR_TOPICS, talk.far_asked_for, far, unasked=asked)),
    }


def measure_wording(conversations: Sequence[Sequence[str]], material: Material) -> dict[str, Any]:
    """How varied the words are, and the longest runs of words that training text holds as well."""
    turns = [turn for conversation in conversations for turn in conversation]
    whole = [" ".join(conversation) for conversation in conversations]
    runs = material.training.longest_runs(whole)
    longest: tuple[str, ...] = max(runs, key=len) if runs else ()
    distinct, words = distinct_n(turns, words=material.size.distinct_words)
    return {
        "conversations": len(conversations),
        "words_per_conversation": round(sum(map(count_words, whole)) / max(1, len(whole)), 1),
        "words_per_turn": round(sum(map(count_words, whole)) / max(1, len(turns)), 1),
        "distinct_2": round(distinct, 4),
        "distinct_2_words": words,
        "verbatim_words_per_conversation": spread([len(run) for run in runs]),
        "verbatim_words_per_turn": spread(
            [len(run) for run in material.training.longest_runs(turns)]
        ),
        "verbatim_longest": " ".join(longest),
    }


def talk_with(model: DialogueModel, material: Material) -> Talk:
    """Let a model talk: for each outline, with the same names and seeds without topic, and far."""
    outlines = material.outlines
    asked = [
        Prompt(names=NAMES[i % len(NAMES)], keywords=outline.keywords, seed=i)
        for i, outline in enumerate(outlines)
    ]
    free = [Prompt(names=prompt.names, keywords=(), seed=prompt.seed) for prompt in asked]
    repeated = [i for _ in range(material.size.far_repetitions) for i in range(len(FAR_TOPICS))]
    far = [
        Prompt(names=NAMES[n % len(NAMES)], keywords=FAR_TOPICS[i], seed=len(asked) + n)
        for n, i in enumerate(repeated)
    ]
    said = model.converse([*asked, *free, *far], turns=TURNS)
    return Talk(
        asked=said[: len(asked)],
        free=said[len(asked) : len(asked) + len(free)],
        far=said[len(asked) + len(free) :],
        far_asked_for=repeated,
    )


def score_ngrams(model: DialogueModel, material: Material) -> Score:
    """A Kneser-Ney model of the same tokens, of the training turns, on the passages.

    It reads turns alone, without headers, which would only stand between the tokens it counts.
    """
    rows = [_stream(model, passage) for passage in material.training_passages]
    ngrams = TokenNgrams(rows, order=ORDER, vocabulary=model.vocab_size)
    del rows
    total = Score()
    for passage in material.held_out[SOURCE]:
        row = _stream(model, passage)
        foretold = row[ORDER - 1 :].tolist()
        total += Score(
            nats=float(ngrams.nats(row).sum()),
            tokens=len(foretold),
            spoken_bytes=model.spoken_bytes(foretold),
        )
    return total


def measure_speed(model: DialogueModel) -> dict[str, float]:
    """Tokens a second on two threads: one sequence, and the writer's candidates in a batch."""
    return {
        "tokens_per_s": round(model.measure_speed(), 1),
        "tokens_per_s_writer_batch": round(measure_writer_speed(model.path), 1),
    }


def format_samples(name: str, talk: Talk, material: Material, *, seed: int = 0) -> str:
    """Ten turns drawn by chance, each from another conversation, and one conversation whole."""
    draw = np.random.default_rng(seed)
    long_ones = {
        number: [place for place, turn in enumerate(turns) if count_words(turn) >= SAMPLE_WORDS]
        for number, turns in enumerate(talk.asked)
    }
    usable = [number for number, places in long_ones.items() if places]
    count = min(SAMPLES, len(usable))
    lines = [
        f"## {name}",
        "",
        f"{count} turns, unedited (cut at {LONGEST_TURN_TOKENS} tokens): conversations and turns "
        f"drawn by chance (seed {seed}) among those of {SAMPLE_WORDS} words or more, for topics of "
        "held-out episodes. In bold the keywords of the topic that came up in the conversation.",
        "",
    ]
    for number in sorted(draw.choice(usable, count, replace=False).tolist()):
        turns = talk.asked[number]
        place = long_ones[number][int(draw.integers(len(long_ones[number])))]
        role = "guest" if place % 2 else "host"
        topic = _mark(material.outlines[number].keywords, turns)
        lines += [f"Asked for *{topic}*:", "", f"> **{role}:** {turns[place]}", ""]
    shares = [_hits(o.keywords, t) for o, t in zip(material.outlines, talk.asked, strict=True)]
    middle = int(np.argsort(shares, kind="stable")[len(shares) // 2])
    lines += [
        "The conversation in the middle of all by the share of keywords that come up, whole. Asked "
        f"for *{_mark(material.outlines[middle].keywords, talk.asked[middle])}*:",
        "",
    ]
    for place, turn in enumerate(talk.asked[middle]):
        lines += [f"> **{'guest' if place % 2 else 'host'}:** {turn}", ">"]
    return "\n".join(lines).rstrip(">\n") + "\n"


def spread(values: Sequence[int]) -> dict[str, int]:
    """Median, 90th percentile and largest of some counts, each one of them."""
    if not values:
        return {"median": 0, "p90": 0, "max": 0}
    median, p90 = np.quantile(values, [0.5, 0.9], method="nearest")
    return {"median": int(median), "p90": int(p90), "max": max(values)}


def round_figures(figures: TopicFollowing) -> dict[str, Any]:
    """As JSON can say it: four decimals, nothing for a ratio to zero."""
    return {
        key: round(value, 4) if math.isfinite(value) else None
        for key, value in asdict(figures).items()
    }


def _spread(passages: Sequence[Passage], most: int) -> list[Passage]:
    count = min(most or len(passages), len(passages))
    return [passages[number * len(passages) // count] for number in range(count)]


def _stream(model: DialogueModel, passage: Passage) -> "np.ndarray[Any, np.dtype[np.uint16]]":
    template = model.template
    text = "".join(template.format_turn(turn.role, turn.text) for turn in passage.turns)
    before = template.end * (ORDER - 1)
    return np.array(model.tokenize(before + text), dtype=np.uint16)


def _hits(keywords: Iterable[str], turns: Sequence[str]) -> int:
    said = stems_of(" ".join(turns))
    return sum(stem(word) in said for word in keywords)


def _mark(keywords: Iterable[str], turns: Sequence[str]) -> str:
    said = stems_of(" ".join(turns))
    return ", ".join(f"**{word}**" if stem(word) in said else word for word in keywords)
