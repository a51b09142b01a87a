"""Stage 7: index the training text's word n-grams, so that verbatim runs can be detected.

    python -m recipes.mini.ngrams CORPUS.jsonl OUT.bloom

The file and what it guarantees are described in `podcaster/builtin/ngrams.py`.
"""

import argparse
import hashlib
import math
import sys
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from podcaster.builtin.ngrams import HEADER, MAGIC, VERSION, hash_grams, hash_word, winnow
from podcaster.units import split_words
from recipes.mini.episodes import Episode, read_corpus
from recipes.mini.windows import WEIGHTS, chance_of, is_drawn, shorten_all

N = 8
WINDOW = 8
LARGEST_BYTES = 4_900_000
FALSE_POSITIVES = 0.001  # a turn of 60 words is 12 lookups

Hashes = npt.NDArray[np.uint64]


def training_texts(episodes: Iterable[Episode], seed: int) -> Iterator[str]:
    """One text per training episode: its turns, cut as in the windows of the same `seed`."""
    for episode in episodes:
        if episode.split == "train" and is_drawn(episode, WEIGHTS, seed):
            lines = shorten_all(episode, chance_of(episode, seed))
            yield " ".join(line.text for line in lines)


def kept_grams(texts: Iterable[str], *, salt: bytes, n: int, window: int) -> Hashes:
    """The distinct hashes that winnowing keeps of all texts, sorted."""
    known: dict[str, int] = {}
    kept = array("Q")
    for text in texts:
        hashes = []
        for word in split_words(text):
            value = known.get(word)
            if value is None:
                value = known[word] = hash_word(word, salt)
            hashes.append(value)
        grams = hash_grams(hashes, n)
        kept.extend(grams[place] for place in winnow(grams, window))
    return np.unique(np.frombuffer(kept, dtype=np.uint64))


def build_filter(grams: Hashes, *, bits: int, hashes: int) -> bytes:
    """Set the bits of all n-grams, by double hashing of each 64-bit hash (Kirsch, Mitzenmacher)."""
    cells = np.zeros(bits, dtype=np.bool_)
    place = grams.copy()
    step = (grams >> np.uint64(32)) | np.uint64(1)
    for _ in range(hashes):
        cells[place % np.uint64(bits)] = True
        place = place + step
    return np.packbits(cells, bitorder="little").tobytes()


def write_index(
    path: Path,
    texts: Iterable[str],
    *,
    n: int = N,
    window: int = WINDOW,
    largest_bytes: int = LARGEST_BYTES,
    false_positives: float = FALSE_POSITIVES,
) -> None:
    """Write the index, with as few bits as the false positives or `largest_bytes` allow."""
    salt = hashlib.sha256(b"podcaster training n-grams").digest()[:16]
    grams = kept_grams(texts, salt=salt, n=n, window=window)
    wanted = math.ceil(max(1, len(grams)) * -math.log(false_positives) / math.log(2) ** 2)
    bits = 8 * math.ceil(min(wanted, 8 * (largest_bytes - HEADER.size)) / 8)
    hashes = max(1, round(bits / max(1, len(grams)) * math.log(2)))
    header = HEADER.pack(MAGIC, VERSION, n, window, hashes, bits, len(grams), salt)
    path.write_bytes(header + build_filter(grams, bits=bits, hashes=hashes))


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--n", type=int, default=N)
    parser.add_argument("--window", type=int, default=WINDOW)
    parser.add_argument("--seed", type=int, default=0, help="the one given to windows")
    options = parser.parse_args(arguments)
    write_index(
        options.out,
        training_texts(read_corpus(options.corpus), options.seed),
        n=options.n,
        window=options.window,
    )
    print(f"{options.out.stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
