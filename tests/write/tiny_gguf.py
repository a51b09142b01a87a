"""Write tiny Llama models as real GGUF files: seeded random weights, byte-level vocabulary.

The architecture, the tokenizer and the metadata are those of real models, so real llama.cpp loads
them; only the text they write is noise.
"""

from pathlib import Path

import gguf
import numpy as np

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHAT_TOKENS = ("<|im_start|>", "<|im_end|>")
EMBEDDING = 64
HEADS = 4
LAYERS = 2
MARK_BIAS = 2.1  # of a full stop or a question mark, beside words with 1.5

# the likeliest bytes of a random model: with letters, blanks and marks it writes "words"
FAVOURED = "  eeetaoinshrdlu.?,"


def byte_symbols() -> list[str]:
    """The 256 printable stand-ins of GPT-2's byte-level vocabulary, by byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    extra = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(extra)) for byte in range(256)]


def vocabulary(words: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Byte-level tokens with, for each word, the merges that build it from its letters."""
    tokens = dict.fromkeys(byte_symbols())
    merges: list[str] = []
    for word in words:
        spelled = word.replace(" ", "Ġ")
        for end in range(2, len(spelled) + 1):
            if spelled[:end] not in tokens:
                tokens[spelled[:end]] = None
                merges.append(f"{spelled[: end - 1]} {spelled[end - 1]}")
    return list(tokens), merges


def write_tiny_gguf(
    path: Path,
    *,
    seed: int = 1,
    context_tokens: int = 512,
    chat_template: str | None = CHATML,
    end_bias: float = 3.0,
    words: tuple[str, ...] = (),
    name: str = "tiny",
) -> Path:
    """Write a model; the higher `end_bias`, the sooner it ends a turn."""
    specials = list(CHAT_TOKENS)
    tokens, merges = vocabulary(words)
    types = [gguf.TokenType.NORMAL] * len(tokens) + [gguf.TokenType.CONTROL] * len(specials)
    tokens = tokens + specials
    end = tokens.index("<|im_end|>")
    rng = np.random.default_rng(seed)

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_name(name)
    writer.add_context_length(context_tokens)
    writer.add_embedding_length(EMBEDDING)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(2 * EMBEDDING)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(EMBEDDING // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges or ["Ġ t"])
    writer.add_bos_token_id(tokens.index(specials[0]))
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)
    if chat_template is not None:
        writer.add_chat_template(chat_template)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return rng.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)

    writer.add_tensor("token_embd.weight", _embedding(matrix(len(tokens), EMBEDDING) * 8))
    writer.add_tensor("output_norm.weight", np.ones(EMBEDDING, np.float32))
    writer.add_tensor("output.weight", _output(rng, tokens, specials, end, end_bias, words))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        writer.add_tensor(f"{block}.attn_norm.weight", np.ones(EMBEDDING, np.float32))
        writer.add_tensor(f"{block}.ffn_norm.weight", np.ones(EMBEDDING, np.float32))
        for part in ("attn_q", "attn_k", "attn_v"):
            writer.add_tensor(f"{block}.{part}.weight", matrix(EMBEDDING, EMBEDDING))
        writer.add_tensor(f"{block}.attn_output.weight", _steady(matrix(EMBEDDING, EMBEDDING)))
        writer.add_tensor(f"{block}.ffn_gate.weight", matrix(2 * EMBEDDING, EMBEDDING))
        writer.add_tensor(f"{block}.ffn_up.weight", matrix(2 * EMBEDDING, EMBEDDING))
        writer.add_tensor(f"{block}.ffn_down.weight", _steady(matrix(EMBEDDING, 2 * EMBEDDING)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_tiny_adapter(path: Path, *, seed: int = 5, rows: int = EMBEDDING) -> Path:
    """Write a LoRA adapter of rank 4 for a tiny model's attention; `rows` it should have."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 64.0)
    for layer in range(LAYERS):
        name = f"blk.{layer}.attn_output.weight"
        writer.add_tensor(f"{name}.lora_a", rng.normal(0, 1, (4, EMBEDDING)).astype(np.float32))
        writer.add_tensor(f"{name}.lora_b", rng.normal(0, 1, (rows, 4)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _embedding(weights: np.ndarray) -> np.ndarray:
    """The last dimension is the same for all tokens, so that the output can have a bias."""
    weights[:, -1] = 8
    return weights


def _steady(weights: np.ndarray) -> np.ndarray:
    """The last dimension is left alone by every layer that adds to the stream."""
    weights[-1, :] = 0
    return weights


def _output(
    rng: np.random.Generator,
    tokens: list[str],
    specials: list[str],
    end: int,
    end_bias: float,
    words: tuple[str, ...],
) -> np.ndarray:
    """Random directions, and a bias (the last column) for what is to be likely."""
    bias = np.full(len(tokens), -1.0, np.float32)
    for symbol in set(FAVOURED):
        bias[tokens.index("Ġ" if symbol == " " else symbol)] = -2.0 if words else 0.5
    places = {token: place for place, token in enumerate(tokens)}
    for word in words:
        bias[places[word.replace(" ", "Ġ")]] = MARK_BIAS if word in ".?" else 1.5
    bias[[tokens.index(special) for special in specials]] = -3.0
    bias[end] = end_bias / 3
    weights = rng.normal(0, 0.1, (len(tokens), EMBEDDING)).astype(np.float32)
    weights[:, -1] = bias
    return weights
