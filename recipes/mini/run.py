"""The whole recipe: from the archives of transcripts to the files of `podcaster/builtin/`.

    python -m recipes.mini.run WORK DELIVER ARCHIVE [ARCHIVE...] [--preset cores|gpu] [--minutes M]

WORK keeps what the stages make; a stage whose output is there is not run again, and training goes
on where it was. In the end the model, the word table and the n-gram index are copied to DELIVER,
over what is there. Flags that are not known here go to train, after the preset's own.
"""

import argparse
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from podcaster.builtin import IDF_PATH, MODEL_PATH, NGRAMS_PATH
from recipes.mini import corpus, evaluate, idf, ngrams, to_gguf, tokenizer, train, windows

Stage = tuple[str, Path, Callable[[list[str]], None], list[str]]


@dataclass(frozen=True)
class Preset:
    """The flags of the stages that depend on the machine."""

    windows: str
    train: str
    to_gguf: str


PRESETS = {
    # about one pass over the data in the time that people wait for
    "cores": Preset(
        windows="",
        train="--minutes 85",
        to_gguf="--quantise Q8_0",
    ),
    # 42 million parameters, some ten passes: dropout, and an end when nothing is gained any more
    "gpu": Preset(
        windows="--short-context 2048 --no-keep-back",
        train="--device cuda --minutes 18 --layers 12 --width 512 --heads 8 --batch-tokens 131072 "
        "--micro-tokens 65536 --muon-lr 0.015 --adam-lr 0.003 --weight-decay 0.05 --dropout 0.1 "
        "--interviews-from 0.8 --patience 10 --evaluate-every 50 --evaluate-rows 256 "
        "--checkpoint-every 250",
        to_gguf="--quantise Q6_K",
    ),
}


def plan(
    archives: Sequence[Path], work: Path, preset: Preset, training: Sequence[str]
) -> list[Stage]:
    """All stages in order: name, what each makes, its main function and arguments."""
    text, vocabulary = work / "corpus.jsonl", work / "tokenizer.json"
    rows, run = work / "windows.npz", work / "run"
    table, index, model = (work / path.name for path in (IDF_PATH, NGRAMS_PATH, MODEL_PATH))
    report = work / "report.json"
    laid_out: list[Path | str] = [text, vocabulary, table, rows, *preset.windows.split()]
    trained: list[Path | str] = [rows, vocabulary, run, *preset.train.split(), *training]
    steps: list[tuple[str, Path, Callable[[list[str]], None], Sequence[Path | str]]] = [
        ("corpus", text, corpus.main, [text, *archives]),
        ("idf", table, idf.main, [text, table]),
        ("tokenizer", vocabulary, tokenizer.main, [text, vocabulary]),
        ("windows", rows, windows.main, laid_out),
        ("train", run / "curve.png", train.main, trained),
        ("to_gguf", model, to_gguf.main, [run, model, *preset.to_gguf.split()]),
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
    parser.add_argument("work", type=Path)
    parser.add_argument("deliver", type=Path)
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cores")
    options, training = parser.parse_known_args(arguments)
    options.work.mkdir(parents=True, exist_ok=True)
    options.deliver.mkdir(parents=True, exist_ok=True)
    preset = PRESETS[options.preset]
    run(plan(options.archives, options.work, preset, training))
    for path in (IDF_PATH, NGRAMS_PATH, MODEL_PATH):
        shutil.copy(options.work / path.name, options.deliver / path.name)


if __name__ == "__main__":
    main()
