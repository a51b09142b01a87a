"""Styles: what makes Kokoro sound like one speaker, and the table `[settings]` that names one.

A style is float32 `(lengths, 256)`, a row for each length of text in tokens. Stock styles lie in a
`voices*.bin`, as the model's releases have it. Our own are stored small: nearly all of a style's
energy lies in a mean row and three directions from it.
"""

import base64
import binascii
import io
from pathlib import Path
from typing import Annotated, Any, Literal
from zipfile import BadZipFile, ZipFile

import msgspec
import numpy as np
from numpy.typing import NDArray

from podcaster.errors import EngineError, VoiceError, foreign
from podcaster.model import Voice

Style = NDArray[np.float32]

STYLE_SIZE = 256
MOST_STYLES = 1024  # rows; the released ones have 510
RANK = 3
LARGEST_STYLE_FILE_BYTES = 40_000
SLOWEST, FASTEST = 0.5, 2.0  # what the model takes as speed
_SHAPES = {"mean": (1, STYLE_SIZE), "directions": (RANK, STYLE_SIZE), "lengths": (510, RANK)}


class KokoroSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[settings]` of a Kokoro voice's `voice.toml`.

    Either `voice`, a stock style by name, or `style`, a file in the voice's folder (once it was
    read: its bytes in base64). `accent` is that of a style's English; a stock one has its own.
    `silence_s` is what the model leaves silent around a sentence, in the mean, and the voicer cuts.
    """

    voice: Annotated[str, msgspec.Meta(pattern=r"^([a-z][a-z0-9_]{1,40})?$")] = ""
    style: str = ""
    accent: Literal["", "american", "british"] = ""
    speed: Annotated[float, msgspec.Meta(ge=SLOWEST, le=FASTEST)] = 1.0
    silence_s: Annotated[float, msgspec.Meta(ge=0, le=3)] = 0.78

    def __post_init__(self) -> None:
        if bool(self.voice) == bool(self.style):
            raise ValueError("expected either voice or style")

    @property
    def british(self) -> bool:
        """Whether its English is British: said so, or a stock voice whose name begins with b."""
        return self.accent == "british" or (not self.accent and self.voice.startswith("b"))


def parse_settings(voice: Voice) -> KokoroSettings:
    """Read what a voice says for Kokoro. Raises VoiceError, naming the field."""
    try:
        return msgspec.convert(voice.engine_settings, KokoroSettings)
    except (msgspec.ValidationError, ValueError) as error:
        raise VoiceError(
            f"The Kokoro settings of voice {voice.name!r} are wrong: {error}.",
            next_step="Correct the table [settings] of its voice.toml: voice or style, accent, "
            "speed.",
        ) from error


def embed_style(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the file that `style` names replaced by its bytes, so that they travel alone.

    Raises VoiceError where it lies outside of the voice's folder or is no style.
    """
    name = settings.get("style")
    if not isinstance(name, str) or not name:
        return settings
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise VoiceError(f"{folder} refers to {name[:80]!r}, which is outside of it.")
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_STYLE_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise VoiceError(f"The style {name[:80]!r} in {folder} cannot be read: {error}.") from error
    if len(data) > LARGEST_STYLE_FILE_BYTES:
        raise VoiceError(
            f"{path} is larger than {LARGEST_STYLE_FILE_BYTES:,} bytes, which no style needs."
        )
    parse_style(data, str(path))
    return {**settings, "style": base64.b64encode(data).decode("ascii")}


def decode_style(text: str, where: str) -> Style:
    """The style that `embed_style` put into settings. Raises VoiceError."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise VoiceError(f"The style of {where} is no base64: {error}.") from error
    return parse_style(data, where)


def parse_style(data: bytes, where: str) -> Style:
    """Read a style that was stored small: float32 `(510, 256)`. Raises VoiceError."""
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            parts = {
                name: _read_array(archive, name, np.dtype("<f2"), shape)
                for name, shape in _SHAPES.items()
            }
    except (ValueError, KeyError, OSError, BadZipFile, NotImplementedError) as error:
        raise VoiceError(f"The style of {where} cannot be read: {error}.") from error
    full = parts["lengths"].astype(np.float32) @ parts["directions"].astype(np.float32)
    style: Style = full + parts["mean"].astype(np.float32)
    return style


def format_style(style: Style) -> bytes:
    """Store a style `(510, 256)` small: its mean, and RANK directions with a share for each row."""
    mean = style.mean(axis=0, keepdims=True, dtype=np.float64)
    left, scale, directions = np.linalg.svd(style - mean, full_matrices=False)
    # signs are the algorithm's whim: the largest share of each direction is positive
    signs = np.sign(directions[np.arange(RANK), np.abs(directions[:RANK]).argmax(axis=1)])
    parts = {
        "mean": mean,
        "directions": directions[:RANK] * signs[:, None],
        "lengths": left[:, :RANK] * scale[:RANK] * signs,
    }
    file = io.BytesIO()
    np.savez(file, **{name: part.astype("<f2") for name, part in parts.items()})
    return file.getvalue()


def list_stock(path: Path) -> tuple[str, ...]:
    """The names of the styles in a `voices*.bin`, sorted. Raises EngineError."""
    with foreign(EngineError, f"Reading the voices in {path}"), ZipFile(path) as archive:
        names = tuple(
            sorted(i.filename[:-4] for i in archive.infolist() if i.filename.endswith(".npy"))
        )
    if not names:
        raise EngineError(f"{path} has no voices in it.")
    return names


def read_stock(path: Path, name: str) -> Style:
    """A style out of a `voices*.bin`, `(lengths, 256)`. Raises EngineError."""
    with (
        foreign(EngineError, f"Reading the voice {name!r} in {path}"),
        ZipFile(path) as archive,
    ):
        style = _read_array(archive, name, np.dtype("<f4"), (None, 1, STYLE_SIZE))
    return style.reshape(len(style), STYLE_SIZE)


def _read_array(
    archive: ZipFile, name: str, dtype: np.dtype[Any], shape: tuple[int | None, ...]
) -> NDArray[Any]:
    """Read an array of this type and shape; its header is checked before anything is allocated."""
    with archive.open(f"{name}.npy") as file:
        np.lib.format.read_magic(file)
        found, fortran, kind = np.lib.format.read_array_header_1_0(file)
        good = len(found) == len(shape) and all(
            0 < got <= MOST_STYLES if expected is None else got == expected
            for got, expected in zip(found, shape, strict=False)
        )
        if not good or fortran or kind != dtype:
            told = ", ".join("lengths" if size is None else str(size) for size in shape)
            raise ValueError(f"{name} is {kind} {found}, expected {dtype} ({told})")
        data = file.read(dtype.itemsize * int(np.prod(found)))
    array = np.frombuffer(data, dtype=dtype).reshape(found)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds numbers that are not finite")
    return array
