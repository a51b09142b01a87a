"""Writing: wall time over pure llama.cpp decode time of the same tokens in the same batches.

    python bench/write.py [--minutes M] [--model FILE] [--rounds N]

An episode is written, then written again while every call that goes to llama.cpp's memory and
decoder is taken down; the calls alone are then made again in the same process. Rounds alternate,
so that both see the same machine, and the median of their ratios counts; the ratio of processor
times beside it does not see what else the machine is doing.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as lib

from podcaster.progress import Silence
from podcaster.setup.cache import find_adapter, find_model
from podcaster.units import count_words
from podcaster.write.llama_cpp import LlamaCppWriter
from podcaster.write.options import WriteOptions
from podcaster.write.stage import WriteResult, write

RECORDED = ("llama_decode", "llama_memory_clear", "llama_memory_seq_cp", "llama_memory_seq_rm")
Call = Callable[[], None]


class OrdinaryPace:
    """Two people at 160 words a minute."""

    gap_s = 0.25

    def turn_s(self, speaker_id: str, text: str) -> float:
        """Words by the minute."""
        return count_words(text) * 60 / 160

    def said_s(self, speaker_id: str, text: str) -> float:
        """Exactly as estimated."""
        return self.turn_s(speaker_id, text)

    def overhead_s(self, chapters: int) -> float:
        """Music, and a breath before each chapter."""
        return 8.0 + chapters


def write_episode(writer: LlamaCppWriter, model: str, minutes: float) -> WriteResult:
    """Write one episode from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        return write(
            WriteOptions(guest="Ada Lovelace", minutes=minutes, model=model),
            writer,
            pace=OrdinaryPace(),
            notes=(),
            seed=7,
            disclosure=True,
            draft=Path(folder) / "draft.jsonl",
            progress=Silence(),
        )


def record(action: Callable[[], Any]) -> list[Call]:
    """Do `action`, and return the calls that it made to llama.cpp, ready to be made again."""
    originals = {name: getattr(lib, name) for name in RECORDED}
    calls: list[Call] = []

    def decode(context: Any, batch: Any) -> int:
        copy = lib.llama_batch_init(batch.n_tokens, 0, 64)
        copy.n_tokens = batch.n_tokens
        for i in range(batch.n_tokens):
            copy.token[i], copy.pos[i] = batch.token[i], batch.pos[i]
            copy.logits[i], copy.n_seq_id[i] = batch.logits[i], batch.n_seq_id[i]
            for j in range(batch.n_seq_id[i]):
                copy.seq_id[i][j] = batch.seq_id[i][j]
        calls.append(lambda: originals["llama_decode"](context, copy))
        return int(originals["llama_decode"](context, batch))

    def forward(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            calls.append(lambda: originals[name](*arguments))
            return originals[name](*arguments)

        return call

    try:
        for name in RECORDED:
            setattr(lib, name, decode if name == "llama_decode" else forward(name))
        action()
    finally:
        for name, original in originals.items():
            setattr(lib, name, original)
    return calls


def time_s(action: Callable[[], Any]) -> tuple[float, float]:
    """How long it takes, in seconds: by the clock on the wall, and of the processor."""
    started, started_cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - started, time.process_time() - started_cpu


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--rounds", type=int, default=5)
    settings = parser.parse_args()
    model = settings.model
    writer = LlamaCppWriter(str(find_model(model)), adapter=find_adapter(model))

    results: list[WriteResult] = []

    def episode() -> None:
        results.append(write_episode(writer, settings.model, settings.minutes))

    calls = record(episode)

    def replay() -> None:
        for call in calls:
            call()

    times = [(time_s(episode), time_s(replay)) for _ in range(settings.rounds)]
    wall_s = statistics.median(written[0] for written, _ in times)
    decode_s = statistics.median(decoded[0] for _, decoded in times)
    ratios = [
        statistics.median(written[clock] / decoded[clock] for written, decoded in times)
        for clock in (0, 1)
    ]
    counts = results[-1].counts
    words = sum(count_words(turn.text) for turn in results[-1].script.turns())
    print(
        json.dumps(
            {
                "benchmark": "write",
                "minutes": settings.minutes,
                "wall_s": round(wall_s, 3),
                "decode_s": round(decode_s, 3),
                "wall_over_decode": round(ratios[0], 3),
                "cpu_over_decode": round(ratios[1], 3),
                "tokens_per_s": round(counts["tokens_sampled"] / wall_s),
                "words_per_s": round(words / wall_s, 1),
                "candidates": counts["candidates"],
                "decode_calls": len(calls),
            }
        )
    )
    writer.close()


if __name__ == "__main__":
    main()
