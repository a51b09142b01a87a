"""Write the trained adapter as a GGUF file that llama.cpp adds to the packaged SmolLM2."""

import argparse
import json
from pathlib import Path

from podcaster.export.gguf import AdapterPrecision, ModelCard, write_adapter
from podcaster.run import sha256_file
from podcaster.setup.packaged import SMOLLM2

CARD = ModelCard(
    name="Podcaster dialogue adapter",
    licence="Apache-2.0",
    description="A LoRA adapter for SmolLM2-135M-Instruct: how two people talk in an interview",
    extra={
        "general.base_model.0.name": "SmolLM2-135M-Instruct",
        "general.base_model.0.organization": "HuggingFaceTB",
        "podcaster.base_sha256": SMOLLM2.sha256,
    },
)


def export(base: Path, adapter: Path, out: Path, precision: AdapterPrecision) -> None:
    """Write `out` from the folder that peft saved; `base` is SmolLM2's as transformers saves it."""
    write_adapter(out, base, adapter, card=CARD, precision=precision)


def main() -> None:
    """Write it; prints a JSON line with its size and its hash."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, help="the model's folder, as transformers saves it")
    parser.add_argument("adapter", type=Path, help="the folder that recipes.writer.train wrote")
    parser.add_argument("out", type=Path)
    parser.add_argument("--precision", choices=("F16", "Q8_0", "F32"), default="Q8_0")
    told = parser.parse_args()
    export(told.base, told.adapter, told.out, told.precision)
    print(
        json.dumps(
            {
                "file": told.out.name,
                "precision": told.precision,
                "bytes": told.out.stat().st_size,
                "sha256": sha256_file(told.out),
            }
        )
    )


if __name__ == "__main__":
    main()
