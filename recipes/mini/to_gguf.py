"""Stage 6: write the trained network as GGUF and check it against transformers, both ways.

    python -m recipes.mini.to_gguf RUN OUT.gguf [--quantise Q8_0]

RUN is the folder that training wrote; what it chose in the end, RUN/final, is taken. llama.cpp must
give the network's logits, and transformers must read the file back (`gguf_file=`) and give them, so
that the model can be fine-tuned from the file alone.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import llama_cpp
import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from podcaster.dialogue import DialogueTemplate
from podcaster.errors import EngineError, InputError
from podcaster.export.gguf import ModelCard, quantise, write_model
from recipes.mini.network import load_model
from recipes.mini.train import FINAL

LARGEST_DIFFERENCE = 1e-3
HARD_TEXT = (
    "<|episode|><|names|>Zoë O'Brien; 李雷<|topic|>naïve, straße<|host|> We've  got\n\n 12,345.67 "
    'tabs\t\tand 👩‍🚀🚀; it\'s "def f(x): return x**2" — Привет, שלום, こんにちは, नमस्ते!  '
    "they'll THEY'LL 2026's…   \r\n end<|end|><|guest|> Hello.<|end|>"
)
CARD = ModelCard(
    name="podcaster mini dialogue",
    licence="CC-BY-SA-4.0",
    description=(
        "A small model of podcast conversation, trained from scratch on the transcripts of "
        "Changelog Media's podcasts (github.com/thechangelog/transcripts, CC BY-SA 4.0), of "
        "Bitcoin podcasts (bitcointranscripts, MIT) and of presidents' press conferences "
        "(public domain)."
    ),
    extra={},
)


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How a GGUF file compares with the network it came from."""

    token_ids_equal: bool
    max_logit_difference: float
    read_back_token_ids_equal: bool
    read_back_logit_difference: float

    def holds(self) -> bool:
        """Whether all three are the same model: token ids equal, logits within 1e-3."""
        worst = max(self.max_logit_difference, self.read_back_logit_difference)
        same_ids = self.token_ids_equal and self.read_back_token_ids_equal
        return same_ids and worst <= LARGEST_DIFFERENCE


def export(checkpoint: Path, target: Path) -> None:
    """Write a checkpoint of this recipe as a float32 GGUF file."""
    write_model(target, checkpoint, None, precision="F32", card=CARD, dialogue=DialogueTemplate())


def compare(checkpoint: Path, written: Path, text: str = HARD_TEXT) -> Parity:
    """Run the same text through both; the differences are over all positions' logits."""
    ours = Tokenizer.from_file(str(checkpoint / "tokenizer.json")).encode(text).ids
    model = load_model(checkpoint)
    ours_cut = ours[: model.config.max_position_embeddings]
    with torch.no_grad():
        wanted = model(torch.tensor([ours_cut])).logits[0].numpy()
    other = llama_cpp.Llama(
        str(written),
        n_ctx=max(64, len(ours_cut)),
        logits_all=True,
        verbose=False,
        n_threads=2,
        type_k=llama_cpp.GGML_TYPE_F32,  # the cache is half precision by default
        type_v=llama_cpp.GGML_TYPE_F32,
    )
    try:
        theirs = other.tokenize(text.encode(), add_bos=False, special=True)
        other.eval(ours_cut)
        got = np.array(other.scores[: len(ours_cut)])
    finally:
        other.close()
    again = AutoModelForCausalLM.from_pretrained(
        written.parent, gguf_file=written.name, dtype=torch.float32
    ).eval()
    spelled = AutoTokenizer.from_pretrained(written.parent, gguf_file=written.name)
    with torch.no_grad():
        read_back = again(torch.tensor([ours_cut])).logits[0].numpy()
    return Parity(
        token_ids_equal=theirs == ours,
        max_logit_difference=float(np.abs(got - wanted).max()),
        read_back_token_ids_equal=spelled.encode(text, add_special_tokens=False) == ours,
        read_back_logit_difference=float(np.abs(read_back - wanted).max()),
    )


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--quantise", default="Q8_0")
    options = parser.parse_args(arguments)
    trained = options.run / FINAL
    if not trained.is_dir():
        raise InputError(
            f"{options.run.name} holds no finished network ({FINAL}/).",
            next_step="Run recipes.mini.train again: it goes on to the end of its budget.",
        )
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "full.gguf"
        export(trained, full)
        parity = compare(trained, full)
        if not parity.holds():
            raise EngineError(f"The GGUF file differs from the network: {parity}.")
        quantise(full, options.out, options.quantise)
    size = options.out.stat().st_size
    print(json.dumps({**asdict(parity), "bytes": size}))
    print(f"{options.out.name}: {size} bytes, {options.quantise}", file=sys.stderr)


if __name__ == "__main__":
    main()
