"""Networks written as GGUF say the same in llama.cpp as in transformers."""

import json
from pathlib import Path
from typing import Any

import pytest

for library in ("torch", "transformers", "tokenizers", "gguf", "llama_cpp"):
    pytest.importorskip(library, reason=f"export needs {library}: install podcaster[train]")

import llama_cpp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from podcaster.errors import EngineError  # noqa: E402
from podcaster.export import gguf  # noqa: E402
from podcaster.export.gguf import (  # noqa: E402
    ModelCard,
    quantise,
    read_vocabulary,
    to_interleaved_rotary,
    write_llama_gguf,
)

HARD_TEXT = (
    "We've  got\n\n 12,345.67 tabs\t\tand 👩‍🚀🚀; it's \"def f(x): return x**2\" — Привет, שלום, "
    "こんにちは, नमस्ते! they'll THEY'LL 2026's… naïve\u00a0straße   \r\n x<|end|> Y<|begin|>"
)
CARD = ModelCard(name="tiny", licence="MIT", description="random", extra={"podcaster.note": "é"})
QWEN_2 = gguf._QWEN_2
LLAMA_3 = gguf._LLAMA_3


def make_tokenizer(path: Path, pattern: str | None, *, size: int = 600) -> Tokenizer:
    """A tokenizer that splits as GPT-2 does, or by a pattern, trained on the hard text."""
    whole_words = pattern == LLAMA_3
    tokenizer = Tokenizer(models.BPE(ignore_merges=whole_words))
    if pattern is None:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<|begin|>", "<|end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator([HARD_TEXT.replace("<|end|>", "")] * 4, trainer)
    tokenizer.save(str(path))
    return tokenizer


def make_network(vocabulary: int, **changes: Any) -> LlamaForCausalLM:
    torch.manual_seed(3)
    sizes: dict[str, Any] = {
        "vocab_size": vocabulary, "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4,
        "max_position_embeddings": 512, "initializer_range": 0.2,
    }  # fmt: skip
    return LlamaForCausalLM(LlamaConfig(**{**sizes, **changes})).eval()


def write(folder: Path, network: LlamaForCausalLM, **changes: Any) -> Path:
    path = folder / "model.gguf"
    vocabulary = read_vocabulary(folder / "tokenizer.json", size=int(network.config.vocab_size))
    given: dict[str, Any] = {
        "config": network.config.to_dict(), "weights": network.state_dict(),
        "vocabulary": vocabulary, "begin": "<|begin|>", "end": "<|end|>", "card": CARD,
    }  # fmt: skip
    write_llama_gguf(path, **{**given, **changes})
    return path


def open_model(path: Path) -> llama_cpp.Llama:
    return llama_cpp.Llama(
        str(path),
        n_ctx=512,
        logits_all=True,
        n_threads=2,
        verbose=False,
        type_k=llama_cpp.GGML_TYPE_F32,
        type_v=llama_cpp.GGML_TYPE_F32,
    )


@pytest.mark.parametrize("pattern", [None, LLAMA_3, QWEN_2], ids=["gpt-2", "llama-bpe", "qwen2"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_token_ids_and_logits_are_those_of_transformers(
    tmp_path: Path, pattern: str | None, tied: bool
) -> None:
    tokenizer = make_tokenizer(tmp_path / "tokenizer.json", pattern)
    # fewer key heads than heads, and ids beyond the vocabulary, as larger models have them
    network = make_network(
        tokenizer.get_vocab_size() + 5, num_key_value_heads=2, tie_word_embeddings=tied
    )
    model = open_model(write(tmp_path, network))
    ids = tokenizer.encode(HARD_TEXT).ids
    assert len(ids) > 40
    assert model.tokenize(HARD_TEXT.encode(), add_bos=False, special=True) == ids
    with torch.no_grad():
        wanted = network(torch.tensor([ids])).logits[0].numpy()
    model.eval(ids)
    assert np.abs(np.array(model.scores[: len(ids)]) - wanted).max() < 1e-3
    assert wanted.std() > 0.1
    model.close()


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(tmp_path / "tokenizer.json", None)
    model = open_model(write(tmp_path, make_network(tokenizer.get_vocab_size())))
    assert model.metadata["general.name"] == "tiny"
    assert model.metadata["general.license"] == "MIT"
    assert model.metadata["podcaster.note"] == "é"
    assert model.metadata["llama.context_length"] == "512"
    assert model.token_eos() == tokenizer.token_to_id("<|end|>")
    assert model.token_bos() == tokenizer.token_to_id("<|begin|>")
    assert model.tokenize(b"x", add_bos=True) == tokenizer.encode("x").ids  # nothing is added
    plain = model.tokenize(b"<|end|>", add_bos=False, special=False)
    assert len(plain) > 1  # text from outside cannot spell a control token
    model.close()


def test_quantised_files_are_smaller_and_near(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(tmp_path / "tokenizer.json", None)
    full = write(tmp_path, make_network(tokenizer.get_vocab_size()))
    small = tmp_path / "small.gguf"
    quantise(full, small, "Q8_0")
    assert small.stat().st_size < 0.5 * full.stat().st_size
    ids = tokenizer.encode(HARD_TEXT).ids
    logits = []
    for path in (full, small):
        model = open_model(path)
        model.eval(ids)
        logits.append(np.array(model.scores[: len(ids)]))
        model.close()
    agreement = np.corrcoef(logits[0].ravel(), logits[1].ravel())[0, 1]
    assert agreement > 0.99
    with pytest.raises(EngineError, match="There is no quantisation 'Q9'; known are F16, Q8_0"):
        quantise(full, small, "Q9")


def test_half_precision_keeps_norms_whole(tmp_path: Path) -> None:
    import gguf as library

    tokenizer = make_tokenizer(tmp_path / "tokenizer.json", None)
    path = write(tmp_path, make_network(tokenizer.get_vocab_size()), precision="F16")
    kinds = {tensor.name: tensor.tensor_type.name for tensor in library.GGUFReader(path).tensors}
    assert kinds["blk.0.attn_q.weight"] == "F16"
    assert kinds["blk.1.attn_norm.weight"] == "F32"


def test_rotary_rows_are_interleaved() -> None:
    rows = np.arange(8, dtype=np.float32).reshape(8, 1)
    assert to_interleaved_rotary(rows, 2).ravel().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_what_llama_cpp_cannot_run_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(tmp_path / "tokenizer.json", None)
    network = make_network(tokenizer.get_vocab_size())
    config = network.config.to_dict()
    odd = {**network.state_dict(), "model.layers.0.odd.weight": torch.zeros(2, 2)}
    with pytest.raises(EngineError, match=r"no place for the tensor model\.layers\.0\.odd"):
        write(tmp_path, network, weights=odd)
    with pytest.raises(EngineError, match=r"The end token .* is not in the vocabulary"):
        write(tmp_path, network, end="<|no|>")
    with pytest.raises(EngineError, match="Only plain Llama networks can be written, got 'mamba'"):
        write(tmp_path, network, config={**config, "model_type": "mamba"})
    with pytest.raises(EngineError, match="has no tensors"):
        write(tmp_path, network, weights={})
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"type": "WordPiece"}}, "is a WordPiece tokenizer, expected BPE"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "llama.cpp has no name for"),
        ({"pre_tokenizer": None}, "llama.cpp has no name for"),
    ],
)
def test_a_tokenizer_that_splits_otherwise_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "tokenizer.json"
    make_tokenizer(path, None)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(EngineError, match=message):
        read_vocabulary(path, size=600)


def test_a_vocabulary_larger_than_the_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    make_tokenizer(path, None)
    with pytest.raises(EngineError, match="the network knows 100 ids"):
        read_vocabulary(path, size=100)
