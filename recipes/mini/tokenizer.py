"""Stage 3: train a byte-level BPE tokenizer of our own, with the dialogue's special tokens.

    python -m recipes.mini.tokenizer CORPUS.jsonl OUT/tokenizer.json

The pre-tokenizer is GPT-2's, which llama.cpp knows as `gpt-2`, so both split text alike.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from podcaster.dialogue import DialogueTemplate
from recipes.mini.episodes import Episode, read_corpus

VOCABULARY = 8192


def train_tokenizer(
    episodes: Iterable[Episode], *, size: int = VOCABULARY, every: int = 1
) -> Tokenizer:
    """Train on every `every`-th training episode; special tokens get the first ids."""
    special = DialogueTemplate().special_tokens()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(episodes, every), trainer)
    return tokenizer


def _texts(episodes: Iterable[Episode], every: int) -> Iterator[str]:
    training = (episode for episode in episodes if episode.split == "train")
    for number, episode in enumerate(training):
        if number % every == 0:
            # turns are spelled after a space, as DialogueTemplate.format_turn does
            yield from (f" {line.text}" for line in episode.lines)


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=VOCABULARY)
    parser.add_argument("--every", type=int, default=3, help="use every n-th episode")
    options = parser.parse_args(arguments)
    tokenizer = train_tokenizer(read_corpus(options.corpus), size=options.size, every=options.every)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(options.out))
    print(f"{tokenizer.get_vocab_size()} tokens", file=sys.stderr)


if __name__ == "__main__":
    main()
