"""Stage 4: lay episodes out as rows of token ids in the form of `DialogueTemplate`.

    python -m recipes.mini.windows CORPUS.jsonl TOKENIZER.json IDF.json.gz OUT.npz

A row is one window: a header (names, topic), then whole turns, a new topic now and then, cut off
at the row's end. Rows hold `context + 1` ids, so that a row gives `context` predictions. What is
most of an interview of two is kept for the final phase of training, in rows of the whole context.
"""

import argparse
import random
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from podcaster.builtin.keywords import rank, read_idf
from podcaster.dialogue import DialogueTemplate
from podcaster.units import count_words
from recipes.mini.corpus import split_sentences
from recipes.mini.episodes import Episode, Line, read_corpus, source_of
from recipes.mini.roles import assign_roles, known_hosts, score_dialogue

CONTEXT = 2048
SHORT_CONTEXT = 1024  # half the attention, and two openings instead of one: for most of training
INTERVIEWS = 0.4  # the share of the rows that is kept for the final phase
WEIGHTS: dict[str, float] = {"speeches": 0.0}  # the share of a source's episodes that is drawn
LONGEST_TURN_WORDS = (70, 170)  # a monologue is cut at a sentence's end near a length drawn here
STRETCH_WORDS = (80, 400)  # how long a topic lasts
KEYWORDS = (4, 8)
OPENING = "welcome"  # the first keyword of a window that opens an episode
CLOSING = "goodbye"  # the first keyword of a stretch that ends one
NAMELESS = 0.1  # the share of windows without names
TOPICLESS = 0.05
RENAMED = 0.8  # the share of speakers who get another name, so that names are read, not known
FEWEST_FILLED = 0.6  # of a row; shorter rests of episodes are dropped

Ids = npt.NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of token ids `(n, context + 1)`, padded with the end token from `lengths` on."""

    ids: Ids
    lengths: npt.NDArray[np.int32]


def shorten(line: Line, draw: random.Random) -> Line:
    """Cut a monologue at the end of a sentence; shorter turns stay whole."""
    limit = draw.randint(*LONGEST_TURN_WORDS)
    if count_words(line.text) <= LONGEST_TURN_WORDS[1]:
        return line
    kept: list[str] = []
    words = 0
    for sentence in split_sentences(line.text):
        words += count_words(sentence)
        if kept and words > limit:
            break
        kept.append(sentence)
    return Line(line.speaker, " ".join(kept))


def chance_of(episode: Episode, seed: int) -> random.Random:
    """The source of all chance in an episode's windows."""
    return random.Random(f"{seed}/{episode.show}/{episode.name}")


def shorten_all(episode: Episode, draw: random.Random) -> list[Line]:
    """The episode's turns as they are trained on, but for people's names."""
    return [shorten(line, draw) for line in episode.lines]


def rename(lines: Sequence[Line], pool: Sequence[str], draw: random.Random) -> list[Line]:
    """Give most speakers another name, in the labels and wherever the text says it."""
    swaps: dict[str, str] = {}
    new_names: dict[str, str] = {}
    for name in sorted({line.speaker for line in lines}):
        new = draw.choice(pool) if pool and draw.random() < RENAMED else name
        if new in new_names.values():
            new = name
        new_names[name] = new
        old_parts, new_parts = name.split(), new.split()
        if len(old_parts[0]) > 2 and old_parts[0] not in swaps:
            swaps[old_parts[0]] = new_parts[0]
        if len(old_parts) > 1 and len(old_parts[-1]) > 3 and len(new_parts) > 1:
            swaps.setdefault(old_parts[-1], new_parts[-1])
    if not swaps:
        return list(lines)
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, swaps)) + r")\b")
    return [
        Line(new_names[line.speaker], pattern.sub(lambda m: swaps[m.group()], line.text))
        for line in lines
    ]


@dataclass(frozen=True, kw_only=True)
class Talk:
    """An episode ready to be laid out: its turns as lines and as token ids, and its chance."""

    lines: Sequence[Line]
    ids: Sequence[Ids]
    hosts: frozenset[str]
    draw: random.Random


@dataclass(frozen=True, kw_only=True)
class Window:
    """Turns [first, stop) of a talk as one row of ids, and how much of an interview they are."""

    first: int
    stop: int
    ids: Ids
    score: float


class WindowBuilder:
    """Builds the rows of one episode after the other; all chance comes from `seed` and its name."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        idf: Mapping[str, float],
        hosts: Mapping[str, frozenset[str]],
        *,
        seed: int = 0,
        names: Sequence[str] = (),
    ) -> None:
        self.template = DialogueTemplate()
        self.tokenizer = tokenizer
        self.idf = idf
        self.hosts = hosts
        self.seed = seed
        self.names = names
        self.ids = {t: tokenizer.token_to_id(t) for t in self.template.special_tokens()}

    def prepare(self, episode: Episode) -> Talk:
        """Shorten monologues, exchange names and spell the turns in tokens."""
        draw = chance_of(episode, self.seed)
        hosts = self.hosts.get(episode.show, frozenset())
        lines = shorten_all(episode, draw)
        renamed = rename(lines, self.names, draw)
        encodings = self.tokenizer.encode_batch(
            [f" {self.template.clean(line.text)}" for line in renamed]
        )
        return Talk(
            lines=renamed,
            ids=[np.array(e.ids, dtype=np.uint16) for e in encodings],
            hosts=frozenset(
                new.speaker for old, new in zip(lines, renamed, strict=True) if old.speaker in hosts
            ),
            draw=draw,
        )

    def build(
        self, talk: Talk, context: int, *, first: int = 0, stop: int | None = None
    ) -> list[Window]:
        """Lay turns [first, stop) out as windows of at most `context + 1` ids."""
        begin, end = first, len(talk.lines) if stop is None else stop
        windows: list[Window] = []
        while first < end:
            start, first = self._span(talk, first, begin, end, context)
            ids = self._lay_out(talk, start, first)
            if len(ids) >= FEWEST_FILLED * context:
                score = score_dialogue(talk.lines[start:first], talk.hosts)
                window = np.array(ids[: context + 1], dtype=np.uint16)
                windows.append(Window(first=start, stop=first, ids=window, score=score))
        return windows

    def _span(self, talk: Talk, start: int, begin: int, end: int, context: int) -> tuple[int, int]:
        """Turns [first, stop) fill a row that begins at `start`, or earlier at the end."""
        stop, room = start, context - 40  # about what header and topics take
        while stop < end and room > 0:
            room -= len(talk.ids[stop]) + 2
            stop += 1
        first = start
        while room > 0 and first > begin and len(talk.ids[first - 1]) + 2 < room:
            first -= 1
            room -= len(talk.ids[first]) + 2
        return first, stop

    def _lay_out(self, talk: Talk, first: int, stop: int) -> list[int]:
        roles = assign_roles(talk.lines[first:stop], talk.hosts)
        order = sorted(roles, key=lambda n: (("host", "guest", "other").index(roles[n]), n))
        header = self.template.begin
        if talk.draw.random() >= NAMELESS:
            header = self.template.format_header(order[:4], ())
        ids = list(self.tokenizer.encode(header).ids)
        words_left = 0
        for position in range(first, stop):
            line = talk.lines[position]
            if words_left <= 0 and len(talk.lines) - position > 1:
                words_left = talk.draw.randint(*STRETCH_WORDS)
                ids += self._topic(talk, position, words_left)
            words_left -= count_words(line.text)
            role = self.ids[self.template.role_token(roles[line.speaker])]
            ids += [role, *talk.ids[position].tolist(), self.ids[self.template.end]]
        return ids

    def _topic(self, talk: Talk, position: int, words: int) -> list[int]:
        texts: list[str] = []
        here = position
        while here < len(talk.lines) and words > 0:
            texts.append(talk.lines[here].text)
            words -= count_words(talk.lines[here].text)
            here += 1
        spoken = {part.lower() for line in talk.lines for part in line.speaker.split()}
        wanted = talk.draw.randint(*KEYWORDS)
        ranked = rank(" ".join(texts), wanted + len(spoken), self.idf)
        found = [word for word in ranked if word not in spoken][:wanted]
        if position == 0:
            found = [OPENING, *found]
        elif here == len(talk.lines):
            found = [CLOSING, *found]
        if talk.draw.random() < TOPICLESS or not found:
            return []
        return list(self.tokenizer.encode(self.template.format_topic(found)).ids)


def stack(windows: Sequence[Window], context: int, padding: int) -> Rows:
    """Put windows into one array of rows."""
    ids = np.full((len(windows), context + 1), padding, dtype=np.uint16)
    for row, window in zip(ids, windows, strict=True):
        row[: len(window.ids)] = window.ids
    return Rows(ids=ids, lengths=np.array([len(w.ids) for w in windows], dtype=np.int32))


def build_rows(
    builder: WindowBuilder,
    episodes: Sequence[Episode],
    *,
    context: int = CONTEXT,
    short_context: int = SHORT_CONTEXT,
    interviews: float = INTERVIEWS,
    weights: Mapping[str, float] | None = None,
    keep_back: bool = True,
) -> dict[str, Rows]:
    """Build the rows of all parts: `broad` and `interviews` to train on, `validation`.

    The share `interviews` of the training windows that is most of an interview makes long rows for
    the final phase; the rest is laid out anew in short ones. With `keep_back=False` the interviews
    are among the broad rows as well, for runs of many epochs.
    """
    padding = builder.ids[builder.template.end]
    held_out = [e for e in episodes if e.split == "validation"]
    validation = [w for e in held_out for w in builder.build(builder.prepare(e), context)]
    pairs: list[tuple[Talk, Window]] = []
    for episode in episodes:
        if episode.split == "train" and is_drawn(episode, weights or {}, builder.seed):
            talk = builder.prepare(episode)
            pairs += [(talk, window) for window in builder.build(talk, context)]
    scores = np.array([window.score for _, window in pairs])
    best = set(np.argsort(-scores, kind="stable")[: round(len(pairs) * interviews)].tolist())
    broad: list[Window] = []
    for number, (talk, window) in enumerate(pairs):
        if not keep_back or number not in best:
            broad += builder.build(talk, short_context, first=window.first, stop=window.stop)
    return {
        "broad": stack(broad, short_context, padding),
        "interviews": stack([pairs[n][1] for n in sorted(best)], context, padding),
        "validation": stack(validation, context, padding),
    }


def is_drawn(episode: Episode, weights: Mapping[str, float], seed: int) -> bool:
    """Whether an episode is trained on, where only a share of its source is wanted."""
    share = weights.get(source_of(episode.show), 1.0)
    return random.Random(f"{seed}/{episode.show}/{episode.name}/drawn").random() < share


def guest_names(episodes: Sequence[Episode], hosts: Mapping[str, frozenset[str]]) -> list[str]:
    """Two-word names of people who are not hosts: what speakers are renamed to."""
    names = {
        line.speaker
        for episode in episodes
        if episode.split == "train"
        for line in episode.lines
        if line.speaker not in hosts[episode.show]
    }
    return sorted(n for n in names if re.fullmatch(r"[A-Z][a-z]{2,10} [A-Z][a-z]{2,12}", n))


def write_rows(path: Path, splits: Mapping[str, Rows]) -> None:
    """Write splits as one uncompressed .npz without pickles."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for split, rows in splits.items():
        arrays[f"{split}_ids"] = rows.ids
        arrays[f"{split}_lengths"] = rows.lengths
    with path.open("wb") as out:
        np.savez(out, allow_pickle=False, **arrays)


def read_rows(path: Path, split: str) -> Rows:
    """Read one split of what `write_rows` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Rows(ids=arrays[f"{split}_ids"], lengths=arrays[f"{split}_lengths"])


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "tokenizer", "idf", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--context", type=int, default=CONTEXT)
    parser.add_argument("--short-context", type=int, default=SHORT_CONTEXT)
    parser.add_argument("--interviews", type=float, default=INTERVIEWS, metavar="SHARE")
    parser.add_argument("--keep-back", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--weight", action="append", default=[], metavar="SOURCE=SHARE")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    episodes = read_corpus(options.corpus)
    hosts = known_hosts(episodes)
    builder = WindowBuilder(
        Tokenizer.from_file(str(options.tokenizer)),
        read_idf(options.idf),
        hosts,
        seed=options.seed,
        names=guest_names(episodes, hosts),
    )
    splits = build_rows(
        builder,
        episodes,
        context=options.context,
        short_context=options.short_context,
        interviews=options.interviews,
        weights={**WEIGHTS, **_parse_weights(options.weight)},
        keep_back=options.keep_back,
    )
    write_rows(options.out, splits)
    for split, rows in splits.items():
        filled = rows.lengths.sum() / max(1, rows.ids.size)
        print(
            f"{split}: {len(rows.ids)} rows, {int(rows.lengths.sum())} tokens, {filled:.1%} filled",
            file=sys.stderr,
        )


def _parse_weights(given: Sequence[str]) -> dict[str, float]:
    pairs = [text.partition("=") for text in given]
    return {source: float(share) for source, _, share in pairs}


if __name__ == "__main__":
    main()
