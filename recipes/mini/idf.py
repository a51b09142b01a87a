"""Stage 2: count how rare words are, for the topics of the windows and of outlines.

    python -m recipes.mini.idf CORPUS.jsonl OUT.json.gz

The table and its reader are `podcaster/builtin/keywords.py`'s.
"""

import argparse
import gzip
import math
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import msgspec

from podcaster.builtin.keywords import IdfTable
from podcaster.units import split_words
from recipes.mini.episodes import Episode, read_corpus

STRETCH_WORDS = 400  # a "document": about what one topic of a window covers
TABLE_WORDS = 20_000


def build_idf(episodes: Iterable[Episode], *, size: int = TABLE_WORDS) -> IdfTable:
    """Count in how many stretches of the training episodes each word is said."""
    documents = 0
    tally: Counter[str] = Counter()
    for episode in episodes:
        if episode.split != "train":
            continue
        text = " ".join(line.text for line in episode.lines)
        words = [word.removesuffix("'s") for word in split_words(text)]
        for start in range(0, len(words), STRETCH_WORDS):
            tally.update(set(words[start : start + STRETCH_WORDS]))
            documents += 1
    kept = sorted(tally, key=lambda word: (-tally[word], word))[:size]
    kept.sort()
    rarity = tuple(round(100 * math.log(documents / tally[word])) for word in kept)
    return IdfTable(version=1, documents=documents, words=" ".join(kept), idf=rarity)


def write_idf(path: Path, table: IdfTable) -> None:
    """Write the table, byte for byte the same for the same corpus."""
    path.write_bytes(gzip.compress(msgspec.json.encode(table), compresslevel=9, mtime=0))


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    write_idf(options.out, build_idf(read_corpus(options.corpus)))
    print(f"{options.out.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
