"""Kokoro's graph in ONNX Runtime: the whole, or the part of it that decides how long a text takes.

The graph is handled as the protocol buffer that it is (onnx.proto3): fields are numbered, and those
that are not needed are left out.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from podcaster.errors import EngineError, EngineMissing, foreign
from podcaster.placement import choose_device
from podcaster.speak.kokoro.weights import Weights

# frames of 25 ms for each token, as the model's releases call them
DURATIONS = "/encoder/Clip_output_0"
FRAME_S = 0.025

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT, _GRAPH_VALUE_INFO = 1, 5, 12, 13
_NODE_INPUT, _NODE_OUTPUT = 1, 2
_TENSOR_NAME, _VALUE_NAME = 8, 1


class Graph:
    """An opened graph that takes tokens, a row of a style and a speed."""

    def __init__(self, session: Any) -> None:
        self._session = session
        (self._token_input,) = {node.name for node in session.get_inputs()} - {"style", "speed"}

    def run(
        self, tokens: NDArray[np.int64], style: NDArray[np.float32], speed: float
    ) -> NDArray[Any]:
        """Its first output, flat, for tokens `(1, n + 2)` and a style `(1, 256)`."""
        inputs = {
            self._token_input: tokens,
            "style": style,
            "speed": np.array([speed], dtype=np.float32),
        }
        (found, *_) = self._session.run(None, inputs)
        return np.asarray(found).ravel()


def open_graph(weights: Weights, device: str, threads: int, output: str = "") -> Graph:
    """Open a graph and check that it takes what Kokoro takes.

    With `output`, a value inside the graph, only what leads to it is opened. Raises EngineError
    where it is no Kokoro model, EngineMissing where it has no such value or the GPU's library is
    not there.
    """
    providers = choose_providers(device)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # several voicers share a machine, and a thread that waits should not work
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    where = weights.parts[0]
    source: str | bytes = str(where)
    if output or len(weights.parts) > 1:
        source = weights.read()
    with foreign(EngineError, f"Opening {where} as an ONNX model"):
        if isinstance(source, bytes) and output:
            source = keep_up_to(source, output)
        session = onnxruntime.InferenceSession(source, options, providers=providers)
        session._model_bytes = None  # or it would keep them for as long as it lives
        inputs = {node.name for node in session.get_inputs()}
    if inputs not in ({"tokens", "style", "speed"}, {"input_ids", "style", "speed"}):
        raise EngineError(
            f"{where} is no Kokoro model: it takes {', '.join(sorted(inputs))[:200]}, "
            "expected tokens (or input_ids), style and speed."
        )
    return Graph(session)


def choose_providers(device: str) -> list[str]:
    """ONNX Runtime's providers for a device. Raises ConfigError, EngineMissing."""
    gpu = choose_device(device, "onnxruntime") == "cuda"
    on_gpu = ["CUDAExecutionProvider"] if gpu else []
    return [*on_gpu, "CPUExecutionProvider"]


def keep_up_to(model: bytes, output: str) -> bytes:
    """A model whose only output is a value inside of the given one; what is not needed is left out.

    Raises EngineMissing where no node makes that value, ValueError where the bytes are no model.
    """
    fields = list(_read_fields(memoryview(model)))
    graphs = [data for number, _, data in fields if number == _MODEL_GRAPH]
    if len(graphs) != 1:
        raise ValueError(f"it has {len(graphs)} graphs, expected one")
    inside = list(_read_fields(graphs[0]))
    nodes = [_Node(data) for number, _, data in inside if number == _GRAPH_NODE]
    makers = {name: node for node in nodes for name in node.outputs}
    if output not in makers:
        raise EngineMissing(
            f"This export of Kokoro does not tell how long a text takes: it has no {output!r}.",
            next_step="Lengths are estimated from the text instead.",
        )
    needed: set[bytes | str] = set()
    ahead = [output]
    while ahead:
        name = ahead.pop()
        if name not in needed:
            needed.add(name)
            ahead += makers[name].inputs if name in makers else ()
    kept = []
    for number, field, data in inside:
        if number == _GRAPH_NODE:
            wanted = not needed.isdisjoint(_Node(data).outputs)
        elif number == _GRAPH_INITIALIZER:
            wanted = not needed.isdisjoint(_read_names(data, _TENSOR_NAME))
        else:
            wanted = number not in (_GRAPH_OUTPUT, _GRAPH_VALUE_INFO)
        if wanted:
            kept.append(bytes(field))
    kept.append(_write_field(_GRAPH_OUTPUT, _write_field(_VALUE_NAME, output.encode())))
    rest = b"".join(bytes(field) for number, field, _ in fields if number != _MODEL_GRAPH)
    return rest + _write_field(_MODEL_GRAPH, b"".join(kept))


class _Node:
    """What a node of a graph takes and makes, by name."""

    def __init__(self, data: memoryview) -> None:
        self.inputs = _read_names(data, _NODE_INPUT)
        self.outputs = _read_names(data, _NODE_OUTPUT)


def _read_names(data: memoryview, wanted: int) -> tuple[str, ...]:
    return tuple(
        bytes(text).decode() for number, _, text in _read_fields(data) if number == wanted and text
    )


def _read_fields(data: memoryview) -> Iterator[tuple[int, memoryview, memoryview]]:
    """The fields of a message: number, all its bytes, and its content where that has a length."""
    place = 0
    while place < len(data):
        start = place
        key, place = _read_varint(data, place)
        content = data[:0]
        match key & 7:
            case 0:
                _, place = _read_varint(data, place)
            case 1:
                place += 8
            case 2:
                size, place = _read_varint(data, place)
                content, place = data[place : place + size], place + size
            case 5:
                place += 4
            case kind:
                raise ValueError(f"it has a field of kind {kind}")
        if place > len(data):
            raise ValueError("it ends in the middle of a field")
        yield key >> 3, data[start:place], content


def _read_varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 64:
        byte = data[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place
    raise ValueError("it ends in the middle of a number")


def _write_field(number: int, content: bytes) -> bytes:
    return _write_varint(number << 3 | 2) + _write_varint(len(content)) + content


def _write_varint(value: int) -> bytes:
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)
