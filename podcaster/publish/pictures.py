"""The feed's own cover: drawn, or made from a picture that the user gives."""

import hashlib
import warnings
from pathlib import Path

from PIL import Image

from podcaster.errors import InputError
from podcaster.publish.cover import SIZE_PX, encode_jpeg, make_cover

LARGEST_PICTURE_BYTES = 30_000_000
_SMALLEST_PX = 1400
_LARGEST_PX = 3000
_MOST_PIXELS = 100_000_000


def make_feed_cover(title: str, image: Path | None) -> bytes:
    """A square RGB JPEG of 1400–3000 px for the feed: drawn for `title`, or made from `image`.

    Raises InputError for a file that is no picture, or not square, or too small.
    """
    if image is None:
        seed = int.from_bytes(hashlib.sha256(title.encode()).digest()[:4], "big")
        return make_cover("", title, seed=seed)
    picture = _open_picture(image)
    width_px, height_px = picture.size
    if abs(width_px - height_px) > 0.01 * max(width_px, height_px) or width_px < _SMALLEST_PX:
        raise InputError(
            f"The picture {image} has {width_px} × {height_px} pixels, expected a square of at "
            f"least {_SMALLEST_PX}.",
            next_step="Give a square picture, or none: one is drawn.",
        )
    side_px = min(_LARGEST_PX, max(width_px, height_px))
    flat = Image.new("RGB", picture.size, "white")
    rgba = picture.convert("RGBA")
    flat.paste(rgba, (0, 0), rgba)
    for size_px in (side_px, SIZE_PX, _SMALLEST_PX):
        resized = flat.resize((size_px, size_px), Image.Resampling.LANCZOS)
        encoded = encode_jpeg(resized)
        if encoded is not None:
            return encoded
    raise InputError(
        f"The picture {image} is too detailed for a cover.", next_step="Give a simpler one."
    )


def _open_picture(path: Path) -> Image.Image:
    try:
        if path.stat().st_size > LARGEST_PICTURE_BYTES:
            raise InputError(f"The picture {path} has more than {LARGEST_PICTURE_BYTES} bytes.")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as picture:
                if picture.width * picture.height > _MOST_PIXELS:
                    raise InputError(f"The picture {path} has more than {_MOST_PIXELS} pixels.")
                picture.load()
                return picture.copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise InputError(
            f"{path} is not a picture that can be read (JPEG, PNG or WebP): {error}."
        ) from error
