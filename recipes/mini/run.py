"""The whole recipe: from the archive of transcripts to the files of `podcaster/builtin/`.

    python -m recipes.mini.run ARCHIVE WORK DELIVER --minutes 60

WORK keeps what the stages make; a stage whose output is there is not run again, and training goes
on where it was. DELIVER gets the model, the word table, the n-gram index and a report.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from podcaster.builtin import IDF_PATH, MODEL_PATH, NGRAMS_PATH
from recipes.mini import corpus, evaluate, idf, ngrams, to_gguf, tokenizer, train, windows

Stage = tuple[str, Path, Callable[[list[str]], None], list[str]]


def plan(archive: Path, work: Path, deliver: Path, training: list[str]) -> list[Stage]:
    """All stages in order: name, what each makes, its main function and arguments."""
    text, vocabulary = work / "corpus.jsonl", work / "tokenizer.json"
    rows, run = work / "windows.npz", work / "run"
    table, index = deliver / IDF_PATH.name, deliver / NGRAMS_PATH.name
    model = deliver / MODEL_PATH.name
    report = work / "report.json"
    steps: list[tuple[str, Path, Callable[[list[str]], None], list[Path | str]]] = [
        ("corpus", text, corpus.main, [archive, text]),
        ("idf", table, idf.main, [text, table]),
        ("tokenizer", vocabulary, tokenizer.main, [text, vocabulary]),
        ("windows", rows, windows.main, [text, vocabulary, table, rows]),
        ("train", run / "curve.png", train.main, [rows, vocabulary, run, *training]),
        ("to_gguf", model, to_gguf.main, [run, model]),
        ("ngrams", index, ngrams.main, [text, index]),
        ("evaluate", report, evaluate.main, [rows, vocabulary, model, report, "--baselines"]),
    ]
    return [(name, made, call, [str(a) for a in given]) for name, made, call, given in steps]


def run(stages: list[Stage]) -> list[str]:
    """Run what is not done yet; returns the names of the stages that were run."""
    ran = []
    for name, made, call, arguments in stages:
        if made.exists():
            print(f"{name}: done before", file=sys.stderr)
            continue
        print(f"{name}: {made}", file=sys.stderr)
        call(arguments)
        ran.append(name)
    return ran


def main(arguments: list[str] | None = None) -> None:
    """Run the recipe from the command line; what it does not know itself goes to train."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("archive", "work", "deliver"):
        parser.add_argument(name, type=Path)
    options, training = parser.parse_known_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    options.deliver.mkdir(parents=True, exist_ok=True)
    run(plan(options.archive, options.work, options.deliver, training))


if __name__ == "__main__":
    main()
