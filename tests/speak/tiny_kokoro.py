"""A tiny ONNX model with Kokoro's inputs and outputs, and a file of voices, as releases have them.

Each token sounds for a fiftieth of a second as a tone of its own, the pad is silent, `speed`
stretches, and the style sets the volume: enough to see that all three arrive.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save_model

from podcaster.speak.kokoro.graph import DURATIONS, FRAME_S

RATE_HZ = 24_000
TOKENS, SAMPLES_PER_TOKEN = 178, 480
STOCK = ("af_heart", "am_adam", "bf_emma", "if_sara")


def write_tiny_kokoro(
    folder: Path, *, token_input: str = "tokens", durations: str = DURATIONS, seed: int = 7
) -> Path:
    """Write `kokoro-tiny.onnx` and `voices-tiny.bin` into `folder`, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    pitches_hz = rng.uniform(150, 900, TOKENS)
    times_s = np.arange(SAMPLES_PER_TOKEN) / RATE_HZ
    tones = np.sin(2 * np.pi * pitches_hz[:, None] * times_s).astype(np.float32)
    tones[0] = 0
    constants = {
        "tones": tones,
        "row": np.array([1, 1, -1], dtype=np.int64),
        "flat": np.array([-1], dtype=np.int64),
        "nothing": np.zeros(1, dtype=np.float32),
        "unit": np.ones(2, dtype=np.float32),
        "one": np.ones(1, dtype=np.float32),
        "empty": np.zeros(0, dtype=np.float32),
        "frames": np.full(1, SAMPLES_PER_TOKEN / RATE_HZ / FRAME_S, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["tones", token_input], ["spoken"]),
        helper.make_node("Reshape", ["spoken", "row"], ["line"]),
        helper.make_node("Div", ["one", "speed"], ["slowness"]),
        # as many frames for each token as it sounds
        helper.make_node("Cast", [token_input], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "nothing"], ["silence"]),
        helper.make_node("Mul", ["slowness", "frames"], ["each"]),
        helper.make_node("Add", ["silence", "each"], [durations]),
        helper.make_node("Concat", ["unit", "slowness"], ["scales"], axis=0),
        helper.make_node("Resize", ["line", "empty", "scales"], ["stretched"], mode="linear"),
        helper.make_node("ReduceMean", ["style"], ["volume"], keepdims=0),
        helper.make_node("Mul", ["stretched", "volume"], ["loud"]),
        helper.make_node("Reshape", ["loud", "flat"], ["audio"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info(token_input, TensorProto.INT64, [1, "length"]),
            helper.make_tensor_value_info("style", TensorProto.FLOAT, [1, 256]),
            helper.make_tensor_value_info("speed", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["samples"])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save_model(model, folder / "kokoro-tiny.onnx")
    write_voices(
        folder / "voices-tiny.bin",
        {
            name: np.full((510, 1, 256), 0.2 + 0.1 * index, dtype=np.float32)
            for index, name in enumerate(STOCK)
        },
    )
    return folder


def write_voices(path: Path, styles: dict[str, np.ndarray]) -> None:
    """Write voices as NumPy does: a ZIP of arrays, whatever the file is called."""
    with path.open("wb") as file:
        np.savez(file, **styles)  # type: ignore[arg-type]
