"""XTTS: seconds of sound per second, alone and batched, beside coqui-tts's own `inference`.

    python bench/xtts.py [--clips N] [--seconds S] [--batch N...] [--rounds N] [--tiny]
                         [--device auto|cpu|cuda] [--precision auto|float32|float16|bfloat16]

The network is of XTTS-v2's full size with random weights, which take the same time as trained
ones; `--tiny` makes it small, to try the bench itself. Every clip is of the same length in every
way of making it: the end of speech is forbidden, and so many tokens are decoded. Latents of the
voices are there beforehand, as they are in use. The ways alternate, round by round, so that all
meet the same machine; each is timed by its best round. Prints one JSON line.
"""

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from podcaster.quiet import hush
from podcaster.speak.coqui.decoding import Decoder, Row, Sampling
from podcaster.speak.coqui.voicer import COQUI_VERSION

# what config.json of XTTS-v2 says
FULL = {
    "gpt_layers": 30,
    "gpt_n_model_channels": 1024,
    "gpt_n_heads": 16,
    "gpt_num_audio_tokens": 1026,
    "gpt_start_audio_token": 1024,
    "gpt_stop_audio_token": 1025,
    "gpt_use_perceiver_resampler": True,
    "gpt_number_text_tokens": 6681,
    "gpt_start_text_token": 261,
    "gpt_stop_text_token": 0,
}
TINY = FULL | {"gpt_layers": 2, "gpt_n_model_channels": 64, "gpt_n_heads": 4}
SAMPLING = Sampling(temperature=0.75, top_k=50, top_p=0.85, repetition_penalty=5.0)
TOKENS_PER_CHARACTER = 0.35  # of XTTS-v2's English vocabulary, about
CHARACTERS_PER_SECOND = 14.3
PRECISIONS = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class Bench:
    """A random `Xtts`, and clips of about a sentence each, in two voices."""

    def __init__(self, arguments: dict[str, Any], clips: int, seconds: float, device: str) -> None:
        from TTS.tts.configs.xtts_config import XttsArgs, XttsConfig
        from TTS.tts.models.xtts import Xtts

        torch.manual_seed(1)
        width = arguments["gpt_n_model_channels"]
        self.model = Xtts(XttsConfig(model_args=XttsArgs(decoder_input_dim=width, **arguments)))
        self.model.to(device).eval()
        self.model.requires_grad_(False)
        self.device = device
        with torch.no_grad():
            self.model.gpt.mel_head.bias[self.model.gpt.stop_audio_token] = -1e4
        self.token_s = 1024 / 22_050
        # the lengths of sentences: some half as long as the mean, some half as long again
        self.lengths = [round(seconds * (0.5 + i % 5 / 4) / self.token_s) for i in range(clips)]
        self.texts = [self._draw_text(length * self.token_s) for length in self.lengths]
        self.voices = [
            (torch.randn(1, 32, width, device=device), torch.randn(1, 512, 1, device=device))
            for _ in range(2)
        ]

    @property
    def sound_s(self) -> float:
        """How long all clips last."""
        return sum(self.lengths) * self.token_s

    def library(self) -> None:
        """The clips one after the other by `Xtts.inference`, with its tokenizer's work spared."""
        for number, (text, length) in enumerate(zip(self.texts, self.lengths, strict=True)):
            conditioning, speaker = self.voices[number % 2]
            with self._reading(text):
                made = self.model.inference(
                    "",
                    "en",
                    conditioning,
                    speaker,
                    temperature=SAMPLING.temperature,
                    top_k=SAMPLING.top_k,
                    top_p=SAMPLING.top_p,
                    repetition_penalty=SAMPLING.repetition_penalty,
                    max_new_tokens=length,
                )
            assert abs(len(made["wav"]) / 24_000 - length * self.token_s) < 0.1

    def ours(self, decoder: Decoder) -> None:
        """The clips as the engine makes them: decoded side by side, then heard one by one."""
        rows = [
            Row(tuple(text), self.voices[number % 2][0], length, seed=number)
            for number, (text, length) in enumerate(zip(self.texts, self.lengths, strict=True))
        ]
        for number, decoded in enumerate(decoder.decode(rows)):
            with torch.inference_mode():
                speaker = self.voices[number % 2][1]
                sound = self.model.hifigan_decoder(decoded.latents[None], g=speaker).cpu()
            assert abs(sound.numel() / 24_000 - self.lengths[number] * self.token_s) < 0.1

    def decoded(self, decoder: Decoder) -> None:
        """The part of `ours` that is the GPT's."""
        decoder.decode(
            [
                Row(tuple(text), self.voices[number % 2][0], length, seed=number)
                for number, (text, length) in enumerate(zip(self.texts, self.lengths, strict=True))
            ]
        )
        if self.device == "cuda":
            torch.cuda.synchronize()

    def _draw_text(self, seconds: float) -> list[int]:
        count = round(seconds * CHARACTERS_PER_SECOND * TOKENS_PER_CHARACTER)
        return torch.randint(300, 6000, (max(1, count),)).tolist()

    @contextmanager
    def _reading(self, text: list[int]) -> Iterator[None]:
        self.model.tokenizer.encode = lambda *_, **__: text
        yield


def time_s(action: Callable[[], None]) -> tuple[float, float]:
    """How long it takes, and the processors' time; each way ends with its sound in memory."""
    start, busy = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - start, time.process_time() - busy


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=6.0, help="a clip's mean length")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 16, 32])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=["auto", *PRECISIONS], default="auto")
    parser.add_argument("--tiny", action="store_true")
    return parser.parse_args()


def choose_ways(bench: Bench, sizes: list[int], precision: str) -> dict[str, Callable[[], None]]:
    """What is compared, by name: the library, ours in batches, the GPT's part of ours."""
    ways: dict[str, Callable[[], None]] = {"library": bench.library}
    for size in sizes:
        dtype = PRECISIONS[precision]
        decoder = Decoder(bench.model.gpt, SAMPLING, batch_size=size, dtype=dtype)
        ways[f"batch_{size}"] = partial(bench.ours, decoder)
        ways[f"batch_{size}_gpt_alone"] = partial(bench.decoded, decoder)
    return ways


def time_ways(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, tuple[float, float]]:
    """The best of some rounds of each: its time, and the processors' least."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, action in ways.items():
            times[name].append(time_s(action))
            print(f"round {number + 1}: {name} {times[name][-1][0]:.2f} s", file=sys.stderr)
    return {
        name: (min(wall for wall, _ in taken), min(busy for _, busy in taken))
        for name, taken in times.items()
    }


def main() -> None:
    """Time every way, some rounds, and compare."""
    asked = parse_arguments()
    cuda = asked.device == "cuda" or (asked.device == "auto" and torch.cuda.is_available())
    precision = asked.precision
    if precision == "auto":
        precision = "float16" if cuda else "float32"
    hush()
    warnings.simplefilter("ignore")
    bench = Bench(
        TINY if asked.tiny else FULL, asked.clips, asked.seconds, "cuda" if cuda else "cpu"
    )
    times = time_ways(choose_ways(bench, asked.batch, precision), asked.rounds)
    rates = {name: bench.sound_s / wall for name, (wall, _) in times.items()}
    result = {
        "bench": "xtts",
        "size": "tiny" if asked.tiny else "full",
        "device": torch.cuda.get_device_name(0) if cuda else platform.machine(),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "coqui_tts": COQUI_VERSION,
        "clips": asked.clips,
        "sound_s": round(bench.sound_s, 1),
        "rounds": asked.rounds,
        "sound_seconds_per_second": {name: round(rate, 3) for name, rate in rates.items()},
        "over_library": {
            name: round(rate / rates["library"], 2)
            for name, rate in rates.items()
            if not name.endswith("alone") and name != "library"
        },
    }
    if cuda:
        result["gpu_memory_peak_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 2)
    else:  # what else the machine does is not in it
        result["sound_seconds_per_processor_second"] = {
            name: round(bench.sound_s / busy, 4) for name, (_, busy) in times.items()
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
