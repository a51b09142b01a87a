"""Stage 4: lay episodes out as rows of token ids in the form of `DialogueTemplate`.

    python -m recipes.mini.windows CORPUS.jsonl TOKENIZER.json IDF.json.gz OUT.npz

A row is one window: a header (names, topic), then whole turns, a new topic now and then, cut off
at the row's end. Rows hold `context + 1` ids, so that a row gives `context` predictions.
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
from recipes.mini.corpus import Episode, Line, read_corpus, split_sentences
from recipes.mini.roles import assign_roles, recurring_speakers, score_dialogue

CONTEXT = 1024
LONGEST_TURN_WORDS = (70, 170)  # a monologue is cut at a sentence's end near a length drawn here
STRETCH_WORDS = (220, 600)  # how long a topic lasts
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
    """Rows of token ids `(n, context + 1)`, padded with the end token from `lengths` on.

    `scores` say how much of an interview each is, from 0 to 1.
    """

    ids: Ids
    lengths: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float32]


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


class WindowBuilder:
    """Builds the rows of one episode after the other; all chance comes from `seed` and its name."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        idf: Mapping[str, float],
        hosts: Mapping[str, frozenset[str]],
        *,
        context: int = CONTEXT,
        seed: int = 0,
        names: Sequence[str] = (),
    ) -> None:
        self.template = DialogueTemplate()
        self.tokenizer = tokenizer
        self.idf = idf
        self.hosts = hosts
        self.context = context
        self.seed = seed
        self.names = names
        self.ids = {t: tokenizer.token_to_id(t) for t in self.template.special_tokens()}

    def build(self, episode: Episode) -> list[tuple[list[int], float]]:
        """Return (ids, score) of each window of an episode; ids are at most `context + 1`."""
        draw = chance_of(episode, self.seed)
        hosts = self.hosts.get(episode.show, frozenset())
        lines = shorten_all(episode, draw)
        renamed = rename(lines, self.names, draw)
        new_hosts = frozenset(
            new.speaker for old, new in zip(lines, renamed, strict=True) if old.speaker in hosts
        )
        encodings = self.tokenizer.encode_batch(
            [f" {self.template.clean(line.text)}" for line in renamed]
        )
        turns = [(line, e.ids) for line, e in zip(renamed, encodings, strict=True)]
        windows: list[tuple[list[int], float]] = []
        start = 0
        while start < len(turns):
            first, stop = self._span(turns, start)
            part = [line for line, _ in turns[first:stop]]
            ids = self._lay_out(turns, first, stop, new_hosts, draw)
            if len(ids) >= FEWEST_FILLED * self.context:
                windows.append((ids[: self.context + 1], score_dialogue(part, new_hosts)))
            start = stop
        return windows

    def _span(self, turns: Sequence[tuple[Line, list[int]]], start: int) -> tuple[int, int]:
        """Turns [first, stop) fill a row that begins at `start`, or earlier at an episode's end."""
        stop, room = start, self.context - 40  # about what header and topics take
        while stop < len(turns) and room > 0:
            room -= len(turns[stop][1]) + 2
            stop += 1
        first = start
        while room > 0 and first > 0 and len(turns[first - 1][1]) + 2 < room:
            first -= 1
            room -= len(turns[first][1]) + 2
        return first, stop

    def _lay_out(
        self,
        turns: Sequence[tuple[Line, list[int]]],
        first: int,
        stop: int,
        hosts: frozenset[str],
        draw: random.Random,
    ) -> list[int]:
        part = [line for line, _ in turns[first:stop]]
        roles = assign_roles(part, hosts)
        order = sorted(roles, key=lambda n: (("host", "guest", "other").index(roles[n]), n))
        header = self.template.begin
        if draw.random() >= NAMELESS:
            header = self.template.format_header(order[:4], ())
        ids = list(self.tokenizer.encode(header).ids)
        words_left = 0
        for position in range(first, stop):
            line, text_ids = turns[position]
            if words_left <= 0 and len(turns) - position > 1:
                words_left = draw.randint(*STRETCH_WORDS)
                ids += self._topic(turns, position, words_left, draw)
            words_left -= count_words(line.text)
            role = self.ids[self.template.role_token(roles[line.speaker])]
            ids += [role, *text_ids, self.ids[self.template.end]]
        return ids

    def _topic(
        self,
        turns: Sequence[tuple[Line, list[int]]],
        position: int,
        words: int,
        draw: random.Random,
    ) -> list[int]:
        texts: list[str] = []
        here = position
        while here < len(turns) and words > 0:
            texts.append(turns[here][0].text)
            words -= count_words(turns[here][0].text)
            here += 1
        spoken = {part.lower() for line, _ in turns for part in line.speaker.split()}
        wanted = draw.randint(*KEYWORDS)
        ranked = rank(" ".join(texts), wanted + len(spoken), self.idf)
        found = [word for word in ranked if word not in spoken][:wanted]
        if position == 0:
            found = [OPENING, *found]
        elif here == len(turns):
            found = [CLOSING, *found]
        if draw.random() < TOPICLESS or not found:
            return []
        return list(self.tokenizer.encode(self.template.format_topic(found)).ids)


def build_rows(builder: WindowBuilder, episodes: Sequence[Episode], split: str) -> Rows:
    """Build the rows of all episodes of a split, in order."""
    windows = [w for e in episodes if e.split == split for w in builder.build(e)]
    width = builder.context + 1
    ids = np.full((len(windows), width), builder.ids[builder.template.end], dtype=np.uint16)
    for row, (window, _) in zip(ids, windows, strict=True):
        row[: len(window)] = window
    return Rows(
        ids=ids,
        lengths=np.array([len(w) for w, _ in windows], dtype=np.int32),
        scores=np.array([score for _, score in windows], dtype=np.float32),
    )


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


def write_rows(path: Path, **splits: Rows) -> None:
    """Write splits as one uncompressed .npz without pickles."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for split, rows in splits.items():
        arrays[f"{split}_ids"] = rows.ids
        arrays[f"{split}_lengths"] = rows.lengths
        arrays[f"{split}_scores"] = rows.scores
    with path.open("wb") as out:
        np.savez(out, allow_pickle=False, **arrays)


def read_rows(path: Path, split: str) -> Rows:
    """Read one split of what `write_rows` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Rows(
            ids=arrays[f"{split}_ids"],
            lengths=arrays[f"{split}_lengths"],
            scores=arrays[f"{split}_scores"],
        )


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "tokenizer", "idf", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--context", type=int, default=CONTEXT)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    episodes = read_corpus(options.corpus)
    hosts = recurring_speakers(episodes)
    builder = WindowBuilder(
        Tokenizer.from_file(str(options.tokenizer)),
        read_idf(options.idf),
        hosts,
        context=options.context,
        seed=options.seed,
        names=guest_names(episodes, hosts),
    )
    train = build_rows(builder, episodes, "train")
    validation = build_rows(builder, episodes, "validation")
    write_rows(options.out, train=train, validation=validation)
    tokens = int(train.lengths.sum())
    held = len(validation.ids)
    print(f"{len(train.ids)} rows, {tokens} tokens, {held} rows held out", file=sys.stderr)


if __name__ == "__main__":
    main()
