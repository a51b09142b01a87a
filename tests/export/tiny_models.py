"""Tiny models of each family that can be exported: random weights, a tokenizer of the right kind.

All are the real classes of transformers, saved as transformers saves them. Nothing is downloaded.
"""

import json
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import torch
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import CONFIG_MAPPING as CONFIGS
from transformers import (
    AutoModelForCausalLM,
    Gemma3ForConditionalGeneration,
    PreTrainedTokenizerFast,
    set_seed,
)

from podcaster.export.vocabulary import PATTERNS

HARD_TEXT = (
    "We've  got\n\n 12,345.67 tabs\t\tand 👩‍🚀🚀; it's \"def f(x): return x**2\" — Привет, שלום, "
    "こんにちは, नमस्ते! they'll THEY'LL 2026's… naïve\u00a0straße   \r\n x<|end|> Y<|begin|>"
)
BEGIN, END = "<|begin|>", "<|end|>"
SPECIAL = (BEGIN, END, "<|tool|>")
CHAT_TEMPLATE = "{% for m in messages %}<|begin|>{{ m['content'] }}<|end|>{% endfor %}"

SIZES: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "initializer_range": 0.15,
}  # fmt: skip
LLAMA_3_SCALING = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}  # fmt: skip
# llama.cpp looks GELU up in a table of half precision, so Gemma's weights are kept smaller
GEMMA = {
    "head_dim": 24, "sliding_window": 16, "tie_word_embeddings": True, "initializer_range": 0.04,
}  # fmt: skip
# family → (model_type, kind of tokenizer, what its configuration says beyond the sizes)
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama-2": ("llama", "prepended", {"num_key_value_heads": 4}),
    "llama-3": ("llama", "llama-bpe", {"rope_scaling": LLAMA_3_SCALING, "rope_theta": 5e5}),
    "llama-3.2": (
        "llama",
        "llama-bpe",
        {"rope_scaling": LLAMA_3_SCALING, "rope_theta": 5e5, "tie_word_embeddings": True},
    ),
    "mistral": ("mistral", "first", {"sliding_window": None, "head_dim": 32}),
    "mistral-nemo": ("mistral", "tekken", {"sliding_window": None, "head_dim": 32}),
    "qwen2": ("qwen2", "qwen2", {"rope_theta": 1e6}),
    "qwen3": ("qwen3", "qwen2", {"rope_theta": 1e6, "head_dim": 32, "tie_word_embeddings": True}),
    "gemma2": ("gemma2", "gemma", {**GEMMA, "query_pre_attn_scalar": 30}),
    "gemma3": ("gemma3_text", "gemma", {**GEMMA, "query_pre_attn_scalar": 24,
                                        "sliding_window_pattern": 2}),
    "smollm": ("llama", "smollm", {"tie_word_embeddings": True}),
}  # fmt: skip


def train_text() -> list[str]:
    """A little text in several scripts, with the digits and the spaces that tokens are made of."""
    plain = HARD_TEXT
    for token in SPECIAL:
        plain = plain.replace(token, " ")
    return [plain, "the rocket and the bread are going to the moon again " * 3, plain.upper()] * 3


def make_byte_level(kind: str, *, size: int = 600) -> Tokenizer:
    """A byte-level BPE tokenizer that splits as the named kind does."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=kind in {"llama-bpe", "tekken"}))
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    bare = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if kind == "gpt-2":
        tokenizer.pre_tokenizer = whole
    elif kind == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, whole])
    else:
        split = pre_tokenizers.Split(Regex(PATTERNS[kind]), "isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bare])
    if kind == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(train_text(), trainer)
    tokenizer.add_tokens([AddedToken("<plain tag>", normalized=False, special=False)])
    if kind == "llama-bpe":
        begin = tokenizer.token_to_id(BEGIN)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BEGIN} $A", special_tokens=[(BEGIN, begin)]
        )
    return tokenizer


def make_sentencepiece(kind: str, *, size: int = 700) -> Tokenizer:
    """A BPE tokenizer as one is made of a SentencePiece model: every cut of a token is a merge.

    `prepended` is Llama 2's, `first` Mistral 0.3's, `gemma` Gemma's.
    """
    trained = Tokenizer(models.BPE())
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Split(Regex("▁?[^▁]+"), "isolated")
    alphabet = trainers.BpeTrainer(vocab_size=size - 300, show_progress=False)
    trained.train_from_iterator(train_text(), alphabet)
    pieces = [piece for piece, _ in sorted(trained.get_vocab().items(), key=lambda item: item[1])]
    letters = [piece for piece in pieces if len(piece) == 1 and piece not in "🚀नि"]
    joined = [piece for piece in pieces if len(piece) > 1 and set(piece) <= set(letters)]
    runs = ["▁" * n for n in range(2, 9)] if kind == "gemma" else []
    lines = ["\n" * n for n in range(1, 5)] if kind == "gemma" else []
    spare = [f"<unused{n}>" for n in range(24)] if kind == "gemma" else []
    joined = [piece for piece in joined if piece not in {*lines, *runs}]
    first = ["<unk>", "<s>", "</s>", *SPECIAL, *spare]
    ordered = [*first, *[f"<0x{byte:02X}>" for byte in range(256)], *lines, *runs]
    ordered += joined
    ordered += [letter for letter in letters if letter not in ordered]
    vocab = {piece: number for number, piece in enumerate(ordered)}
    tokenizer = Tokenizer(
        models.BPE(
            vocab, cut_merges(vocab, [*lines, *runs, *joined]), unk_token="<unk>",
            fuse_unk=True, byte_fallback=True,
        )
    )  # fmt: skip
    spaces = normalizers.Replace(" ", "▁")
    if kind == "prepended":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces])
    elif kind == "first":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        tokenizer.normalizer = spaces
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in first])
    tags = [*lines, *runs, "<plain tag>"]
    tokenizer.add_tokens([AddedToken(tag, normalized=False, special=False) for tag in tags])
    return tokenizer


def cut_merges(vocab: dict[str, int], pieces: list[str]) -> list[tuple[str, str]]:
    """Every way to cut each piece in two tokens, the pieces in their order."""
    cuts = [(piece[:at], piece[at:]) for piece in pieces for at in range(1, len(piece))]
    return [(left, right) for left, right in cuts if left in vocab and right in vocab]


def make_tokenizer(kind: str) -> Tokenizer:
    """A tokenizer of the named kind."""
    if kind in {"prepended", "first", "gemma"}:
        return make_sentencepiece(kind)
    return make_byte_level(kind)


def make_model(folder: Path, family: str, **changes: Any) -> Any:
    """Save a tiny model of a family with its tokenizer into `folder`; return the model.

    `max_shard_size` goes to `save_pretrained`, all else changes the configuration.
    """
    model_type, kind, options = FAMILIES[family]
    shard = changes.pop("max_shard_size", "5GB")
    tokenizer = make_tokenizer(kind)
    begin, end = tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)
    size = tokenizer.get_vocab_size() + 5  # ids beyond the vocabulary, as larger models have them
    numbers = {"vocab_size": size, "bos_token_id": begin, "eos_token_id": end, "pad_token_id": None}
    config = CONFIGS[model_type](**{**SIZES, **numbers, **options, **changes})
    set_seed(3)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder, max_shard_size=shard)
    save_tokenizer(folder, tokenizer)
    return model


def save_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    """Save a tokenizer as transformers does."""
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END)
    fast.chat_template = CHAT_TEMPLATE
    fast.save_pretrained(folder)


def make_adapter(folder: Path, model: Any, *, std: float = 0.1, **changes: Any) -> Any:
    """Save a LoRA with random weights on all linear layers; return the model with it on top."""
    from peft import LoraConfig, get_peft_model

    options = {"r": 4, "lora_alpha": 6, "target_modules": "all-linear", **changes}
    tuned = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options)).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for _, parameter in tuned.named_parameters():
            if parameter.requires_grad:
                parameter.normal_(std=std, generator=generator)
    tuned.save_pretrained(folder)
    return tuned


def make_seeing_model(folder: Path) -> Any:
    """Save a tiny Gemma 3 that sees, with its tokenizer; return the model."""
    text = {**SIZES, **FAMILIES["gemma3"][2], "vocab_size": 1, "num_hidden_layers": 2}
    tokenizer = make_tokenizer("gemma")
    text["vocab_size"] = tokenizer.get_vocab_size() + 1
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
              "num_attention_heads": 2, "image_size": 28, "patch_size": 14}  # fmt: skip
    ends = tokenizer.token_to_id(END)
    config = CONFIGS["gemma3"](
        text_config=text, vision_config=vision, mm_tokens_per_image=4, eos_token_id=ends,
        image_token_index=3,
    )  # fmt: skip
    set_seed(3)
    model = Gemma3ForConditionalGeneration._from_config(config, attn_implementation="eager").eval()
    model.save_pretrained(folder)
    save_tokenizer(folder, tokenizer)
    return model


def open_model(path: Path, **options: Any) -> llama_cpp.Llama:
    """Open a GGUF file in llama.cpp with a cache of whole float32 numbers."""
    return llama_cpp.Llama(
        str(path), n_ctx=512, logits_all=True, n_threads=2, verbose=False,
        type_k=llama_cpp.GGML_TYPE_F32, type_v=llama_cpp.GGML_TYPE_F32, **options,
    )  # fmt: skip


def compute_logits(path: Path, ids: list[int], **options: Any) -> np.ndarray:
    """What llama.cpp computes for a text, `(ids, vocabulary)`."""
    model = open_model(path, **options)
    model.eval(ids)
    logits = np.array(model.scores[: len(ids)])
    model.close()
    return logits


def wanted_logits(model: Any, ids: list[int]) -> np.ndarray:
    """What transformers computes for it."""
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float().numpy()


def edit_json(path: Path, **changes: Any) -> None:
    """Change some keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
