"""Stage 8: measure a GGUF file on held-out episodes, against baselines, and let it speak.

    python -m recipes.mini.evaluate ROWS.npz TOKENIZER.json MODEL.gguf REPORT.json [--baselines]

Bits a byte count every token that the model has to predict (text, role, end of turn) and the
bytes of spoken text alone.
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from tokenizers import Tokenizer

from podcaster.dialogue import DialogueTemplate
from podcaster.model import Role
from recipes.mini.baselines import TokenNgrams, xz_bits_per_byte
from recipes.mini.network import IGNORED, label_rows, text_bytes_per_token
from recipes.mini.windows import Rows, read_rows

SAMPLING: dict[str, Any] = {
    "temp": 0.8,
    "top_k": 60,
    "top_p": 0.95,
    "min_p": 0.05,
    "repeat_penalty": 1.1,
}
LONGEST_TURN_TOKENS = 160
PROMPTS: tuple[tuple[Sequence[str], Sequence[str]], ...] = (
    (("Jane Miller", "Bob Stone"), ("welcome", "rockets", "mars", "fuel", "engine")),
    (("Anna Bell", "Carlos Diaz"), ("bread", "flour", "oven", "bakery", "yeast")),
    (("Kim Park", "Lena Vogt"), ("database", "queries", "index", "postgres", "performance")),
)


def score(model: llama_cpp.Llama, rows: Rows, tokenizer: Tokenizer) -> dict[str, float]:
    """Nats a token and bits a byte of a model on rows; each row is read from its start."""
    labels = label_rows(rows.ids, rows.lengths, tokenizer)
    letters = text_bytes_per_token(tokenizer)
    nats, tokens, spoken = 0.0, 0, 0
    for row, wanted in zip(rows.ids, labels, strict=True):
        model.n_tokens = 0  # forget the row before
        model.eval(row[:-1].tolist())
        counted = wanted != IGNORED
        logits = np.asarray(model.scores[: len(wanted)])[counted].astype(np.float64)
        top = logits.max(axis=1)
        norm = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        nats += float((norm - logits[np.arange(len(logits)), wanted[counted]]).sum())
        tokens += int(counted.sum())
        spoken += int(letters[wanted[counted]].sum())
    return _summarise(nats, tokens, spoken)


def _summarise(nats: float, tokens: int, spoken: int) -> dict[str, float]:
    return {
        "nats_per_token": nats / tokens,
        "bits_per_byte": nats / spoken / float(np.log(2)),
        "tokens": tokens,
        "bytes": spoken,
    }


def score_ngrams(
    train: Sequence[Rows], held_out: Rows, tokenizer: Tokenizer, order: int = 5
) -> dict[str, float]:
    """The same of a Kneser-Ney model of the training rows; the first tokens of rows are free."""
    model = TokenNgrams(
        [row[:n] for rows in train for row, n in zip(rows.ids, rows.lengths, strict=True)],
        order=order,
        vocabulary=tokenizer.get_vocab_size(),
    )
    labels = label_rows(held_out.ids, held_out.lengths, tokenizer)[:, order - 2 :]
    letters = text_bytes_per_token(tokenizer)
    nats, tokens, spoken = 0.0, 0, 0
    for row, wanted in zip(held_out.ids, labels, strict=True):
        counted = wanted != IGNORED
        nats += float(model.nats(row)[counted].sum())
        tokens += int(counted.sum())
        spoken += int(letters[wanted[counted]].sum())
    return _summarise(nats, tokens, spoken)


def score_xz(held_out: Rows, tokenizer: Tokenizer) -> float:
    """Bits a byte of xz on the spoken text of the rows, which it has not seen the like of."""
    rows = zip(held_out.ids, held_out.lengths, strict=True)
    texts = [tokenizer.decode(row[:n].tolist(), skip_special_tokens=True) for row, n in rows]
    return xz_bits_per_byte("\n".join(texts).encode())


def converse(
    model: llama_cpp.Llama, names: Sequence[str], keywords: Sequence[str], *, turns: int, seed: int
) -> list[str]:
    """Let host and guest speak by turns; returns the turns as they come, cut at the longest."""
    template = DialogueTemplate()
    model.set_seed(seed)
    header = template.format_header(names, keywords)
    longest = min(LONGEST_TURN_TOKENS, model.n_ctx() // 3)
    spoken: list[str] = []
    history: list[str] = []
    for number in range(turns):
        role: Role = "guest" if number % 2 else "host"
        opened = template.open_turn(role)
        ids = _tokenise(model, header + "".join(history) + opened)
        while history and len(ids) + longest > model.n_ctx():
            history.pop(0)
            ids = _tokenise(model, header + "".join(history) + opened)
        said: list[int] = []
        for token in model.generate(ids, **SAMPLING):
            if token == model.token_eos() or len(said) == longest:
                break
            said.append(token)
        text = model.detokenize(said).decode("utf-8", errors="replace")
        history.append(opened + text + template.end)
        spoken.append(f"{role}: {text.strip()}")
    return spoken


def _tokenise(model: llama_cpp.Llama, text: str) -> list[int]:
    return list(model.tokenize(text.encode(), add_bos=False, special=True))


def measure_speed(path: Path, *, tokens: int = 400, threads: int = 2) -> float:
    """Tokens a second that llama.cpp writes, one after the other, with sampling."""
    model = llama_cpp.Llama(str(path), n_ctx=1024, n_threads=threads, verbose=False)
    prompt = _tokenise(model, "<|episode|><|host|> Well")
    writing = model.generate(prompt, **SAMPLING)
    next(writing)  # reads the prompt, too
    began = time.perf_counter()
    for _ in range(tokens):
        next(writing)
    seconds = time.perf_counter() - began
    model.close()
    return tokens / seconds


def evaluate(
    rows: Path, tokenizer_json: Path, gguf: Path, *, baselines: bool, seed: int = 0
) -> dict[str, Any]:
    """Measure everything; the dictionary is what the report file holds."""
    tokenizer = Tokenizer.from_file(str(tokenizer_json))
    held_out = read_rows(rows, "validation")
    context = held_out.ids.shape[1] - 1
    model = llama_cpp.Llama(
        str(gguf), n_ctx=context, n_batch=context, logits_all=True, n_threads=2, verbose=False
    )
    report: dict[str, Any] = {"model": score(model, held_out, tokenizer)}
    model.close()
    if baselines:
        training = [read_rows(rows, split) for split in ("broad", "interviews")]
        report["five_gram"] = score_ngrams(training, held_out, tokenizer)
        report["xz_bits_per_byte"] = score_xz(held_out, tokenizer)
    report["tokens_per_s"] = measure_speed(gguf)
    room = max(context, 256)  # llama.cpp makes contexts in steps of 256
    speaker = llama_cpp.Llama(str(gguf), n_ctx=room, n_threads=2, verbose=False)
    report["samples"] = [
        {"names": list(names), "keywords": list(words), "turns": spoken}
        for names, words in PROMPTS
        for spoken in [converse(speaker, names, words, turns=6, seed=seed)]
    ]
    speaker.close()
    return report


def main(arguments: list[str] | None = None) -> None:
    """Run the stage from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("rows", "tokenizer", "gguf", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--baselines", action="store_true", help="xz and a 5-gram model as well")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    report = evaluate(
        options.rows,
        options.tokenizer,
        options.gguf,
        baselines=options.baselines,
        seed=options.seed,
    )
    text = json.dumps(report, indent=1, ensure_ascii=False)
    options.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
