"""How good dialogue models are, on episodes that they have not seen: one JSON line.

    python bench/builtin_model.py [--model A.gguf --model B.gguf] [--archive FILE ...] [--quick]

Every model reads the same held-out passages with its own tokenizer, and is asked for the same
topics with the same seeds. Bits a byte count everything predicted (text, roles, ends of turns)
over the bytes of spoken text alone; headers are given. A keyword of a topic comes up where a word
of the conversation is the same but for the ending of a plural or a possessive. Runs of words are
compared with the whole training text, word by word. `people` are the same measures of the real
turns that the topics were taken from. It needs podcaster[train] and the recipe's transcripts.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the recipes are not installed

DATA = ROOT.parent / "shared" / "data"
ARCHIVES = (
    "changelog-transcripts.tar.xz",
    "bitcoin-transcripts.tar.xz",
    "presidential-speeches.tar.xz",
)


def find_archives(given: list[Path]) -> list[Path]:
    """The archives to read; leaves with one sentence where there are none."""
    archives = given or [DATA / name for name in ARCHIVES]
    missing = [path for path in archives if not path.is_file()]
    if missing:
        sys.exit(
            f"There is no file {missing[0]}: pass the transcripts that the model was trained on "
            "with --archive, or what recipes/mini/corpus.py made of them with --corpus."
        )
    return archives


def read_settings() -> argparse.Namespace:
    """The command line; leaves with one sentence where a file is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, action="append", default=[], help="repeatable")
    parser.add_argument("--archive", type=Path, action="append", default=[], help="repeatable")
    parser.add_argument("--corpus", type=Path, help="corpus.jsonl instead of the archives")
    parser.add_argument("--samples", type=Path, help="a markdown file to write turns to")
    parser.add_argument("--quick", action="store_true", help="a tenth of it, no n-gram model")
    settings = parser.parse_args()
    if settings.corpus and not settings.corpus.is_file():
        sys.exit(f"There is no file {settings.corpus}: --corpus wants what corpus.py made.")
    settings.archive = [] if settings.corpus else find_archives(settings.archive)
    return settings


def main() -> None:
    """Measure and print one JSON line."""
    settings = read_settings()
    try:
        from recipes.mini import corpus, proof
        from recipes.mini.episodes import read_corpus
    except ImportError as error:
        sys.exit(f"The library {error.name} is missing: install podcaster[train].")
    from podcaster.builtin import IDF_PATH, MODEL_PATH
    from podcaster.builtin.keywords import read_idf

    with tempfile.TemporaryDirectory() as folder:
        text = settings.corpus or Path(folder) / "corpus.jsonl"
        if not settings.corpus:
            proof.note("reading the archives")
            corpus.main([str(text), *map(str, settings.archive)])
        episodes = read_corpus(text)
    proof.note("indexing the training text")
    size = proof.QUICK if settings.quick else proof.Size()
    material = proof.prepare(episodes, read_idf(IDF_PATH), size)
    models, samples = proof.compare_models(settings.model or [MODEL_PATH], material)
    if settings.samples:
        settings.samples.write_text("\n".join(samples), encoding="utf-8")
    line = {
        "bench": "builtin_model",
        "quick": settings.quick,
        "load": round(os.getloadavg()[0], 1),
        "training_words": material.training.words,
        "people": proof.measure_people(material),
        "models": models,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
