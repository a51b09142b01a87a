"""Memory of an export: one shard and 2 GB at most, however large the model is.

    python bench/export_memory.py [LAYERS]

Makes a random Llama of several shards with a LoRA on all its linear layers, and merges and writes
it as F16 in a process of its own, whose peak is what the operating system counts: the pages of the
shard that is mapped, too. Needs some 6 GB of disk. Prints one JSON line.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig

from podcaster.export.adapters import CONFIG, WEIGHTS
from podcaster.export.architectures import read_network

SHARD_BYTES = 700 * 10**6
ALLOWED_BYTES = 2 * 10**9  # beside one shard
RANK = 16
SHAPE = {
    "hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128_256, "rope_theta": 500_000.0,
}  # fmt: skip

CHILD = """
import json, resource, sys, time
from pathlib import Path
from podcaster.export.gguf import ModelCard, write_model

folder = Path(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
card = ModelCard(name="random", licence="MIT", description="", extra={})
started = time.monotonic()
written = write_model(
    folder / "model.gguf", folder / "base", folder / "adapter", precision="F16", card=card
)
seconds = time.monotonic() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([before, peak, written.size_bytes, seconds]))
"""


@dataclass(frozen=True)
class Measured:
    """What one export took. `libraries_bytes` is the process before it began."""

    layers: int
    shards: int
    base_bytes: int
    largest_shard_bytes: int
    gguf_bytes: int
    libraries_bytes: int
    peak_bytes: int
    allowed_bytes: int
    holds: bool
    seconds: float


def main() -> None:
    """Measure and print; exit with 1 if the memory is more than allowed."""
    layers = int(sys.argv[1]) if len(sys.argv) > 1 else 16
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), layers)
    print(json.dumps({"bench": "export_memory", **asdict(measured)}))
    sys.exit(0 if measured.holds else 1)


def measure(folder: Path, layers: int) -> Measured:
    """Make a model of so many blocks and export it in a child."""
    make_base(folder / "base", layers)
    make_adapter(folder / "adapter", folder / "base")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder)], check=True, capture_output=True, text=True
    )
    before, peak, size, seconds = json.loads(done.stdout.splitlines()[-1])
    shards = [path.stat().st_size for path in (folder / "base").glob("*.safetensors")]
    allowed = max(shards) + ALLOWED_BYTES
    return Measured(
        layers=layers,
        shards=len(shards),
        base_bytes=sum(shards),
        largest_shard_bytes=max(shards),
        gguf_bytes=size,
        libraries_bytes=before,
        peak_bytes=peak,
        allowed_bytes=allowed,
        holds=peak <= allowed,
        seconds=round(seconds, 1),
    )


def make_base(folder: Path, layers: int) -> None:
    """Write random shards in bfloat16, of at most `SHARD_BYTES` if a tensor is not larger."""
    folder.mkdir()
    LlamaConfig(**SHAPE, num_hidden_layers=layers, tie_word_embeddings=True).save_pretrained(folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: n for n, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"eos_token": "!"}')
    shard: dict[str, torch.Tensor] = {}
    placed: dict[str, str] = {}

    def close() -> None:
        name = f"model-{len(set(placed.values())) + 1:05}.safetensors"
        save_file(shard, folder / name)
        placed.update(dict.fromkeys(shard, name))
        shard.clear()

    for tensor in read_network(folder).tensors():
        values = torch.empty(tensor.shape, dtype=torch.bfloat16).normal_(std=0.02)
        if shard and sum(v.nbytes for v in shard.values()) + values.nbytes > SHARD_BYTES:
            close()
        shard[tensor.source] = values
    close()
    index = {"metadata": {}, "weight_map": placed}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def make_adapter(folder: Path, base: Path) -> None:
    """Write a LoRA on all linear layers, as peft does."""
    folder.mkdir()
    tensors = {}
    for tensor in read_network(base).tensors():
        if "_proj" in tensor.source:
            rows, columns = tensor.shape
            name = f"base_model.model.{tensor.source.removesuffix('.weight')}"
            tensors[f"{name}.lora_A.weight"] = torch.randn(RANK, columns) * 0.01
            tensors[f"{name}.lora_B.weight"] = torch.randn(rows, RANK) * 0.01
    save_file(tensors, folder / WEIGHTS)
    (folder / CONFIG).write_text(json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": 32}))


if __name__ == "__main__":
    main()
