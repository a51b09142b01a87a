"""Cover art of our own: a bold geometric composition, the show's name and the guest's.

One JPEG serves both the tag in the MP3 (≤ 300 kB) and the feed (square, RGB, 1400–3000 px).
The same words and seed give the same picture.
"""

import hashlib
import io
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

from podcaster.errors import PodcasterError
from podcaster.publish.accents import draw_line
from podcaster.publish.lettering import fit_lines, legible, line_spacing

SIZE_PX = 1500
LONGEST_BYTES = 290_000
_SCALE = 2  # drawn larger and reduced, which smooths the edges
_MARGIN_PX = 110
_ART_PX = 900  # height of the art above the names
_SHOW_PX = 190  # height of the strip that holds the show's name alone

Colour = str


@dataclass(frozen=True)
class Palette:
    """Colours that go together: the ground, what is written on it, and three for the shapes."""

    ground: Colour
    ink: Colour
    shapes: tuple[Colour, Colour, Colour]


PALETTES = (
    Palette("#14213d", "#fff7e6", ("#fca311", "#3a6ea5", "#e9e4d8")),
    Palette("#c8452f", "#fff4e0", ("#2b2d42", "#f4b942", "#f7d9c4")),
    Palette("#1b4332", "#f1faee", ("#95d5b2", "#f4a261", "#40916c")),
    Palette("#3d1e4f", "#ffeedb", ("#ff6b6b", "#ffd166", "#8a5cb0")),
    Palette("#f5ebdd", "#22223b", ("#e07a5f", "#3d5a80", "#f2cc8f")),
    Palette("#0b525b", "#f0f3f5", ("#f9c74f", "#90e0ef", "#f3722c")),
    Palette("#f2b134", "#1d1d2c", ("#d64933", "#1b4965", "#fff3d6")),
    Palette("#1e1e24", "#fff8f0", ("#fb5012", "#5bc0eb", "#fde74c")),
)


def make_cover(show: str, name: str, *, seed: int) -> bytes:
    """Draw a cover for `show` with the guest's `name`: a JPEG of 1500 px and at most 290 kB.

    Words in scripts that the built-in font lacks are left out, and the art fills their place.
    """
    key = f"{seed}\n{show}\n{name}"
    rng = random.Random(hashlib.sha256(key.encode("utf-8", "replace")).digest())
    palette = rng.choice(PALETTES)
    name_text, show_text = legible(name), legible(show)
    image = Image.new("RGB", (SIZE_PX * _SCALE, SIZE_PX * _SCALE), palette.ground)
    height_px = _ART_PX if name_text else SIZE_PX - (_SHOW_PX if show_text else 0)
    art = Image.new("RGB", (SIZE_PX * _SCALE, height_px * _SCALE), palette.ground)
    motif = rng.choice((_draw_voices, _draw_bars, _draw_tiles, _draw_waves))
    motif(ImageDraw.Draw(art), art.width, art.height, palette, rng)
    image.paste(art, (0, 0))
    image = image.resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS)
    _write_names(ImageDraw.Draw(image), show_text, name_text, height_px, palette)
    encoded = encode_jpeg(image)
    if encoded is None:
        raise PodcasterError(f"The cover cannot be made smaller than {LONGEST_BYTES} bytes.")
    return encoded


def encode_jpeg(image: Image.Image) -> bytes | None:
    """Encode as well as `LONGEST_BYTES` allow; None where even a poor quality takes more."""
    for quality in (92, 88, 84, 78, 70, 60, 50):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True, subsampling=0)
        if buffer.tell() <= LONGEST_BYTES:
            return buffer.getvalue()
    return None


def _write_names(
    draw: ImageDraw.ImageDraw, show: str, name: str, art_px: int, palette: Palette
) -> None:
    width_px = SIZE_PX - 2 * _MARGIN_PX
    y_px = float(art_px + 72)
    if show:
        font, lines = fit_lines(show.upper(), width_px, 60, most_lines=1, largest_px=50)
        draw_line(
            draw,
            (_MARGIN_PX, y_px),
            lines[0],
            font,
            ink=palette.ink,
            ground=palette.ground,
            weight_px=1,
        )
        y_px += 96
    if not name:
        return
    room_px = SIZE_PX - 80 - y_px
    font, lines = fit_lines(name, width_px, room_px, most_lines=3, largest_px=190)
    line_px = font.size * line_spacing(name)
    y_px += (room_px - line_px * len(lines)) / 2
    weight_px = max(1, round(font.size / 45))
    for line in lines:
        place = (_MARGIN_PX - font.size * 0.04, y_px)
        draw_line(
            draw, place, line, font, ink=palette.ink, ground=palette.ground, weight_px=weight_px
        )
        y_px += line_px


def _draw_voices(
    draw: ImageDraw.ImageDraw, width: int, height: int, palette: Palette, rng: random.Random
) -> None:
    """Two discs, a conversation, with the sound between them."""
    first, second, third = rng.sample(palette.shapes, 3)
    draw.rectangle((0, 0, width, height), third)
    radius = height * rng.uniform(0.40, 0.46)
    left, right = width * rng.uniform(0.30, 0.36), width * rng.uniform(0.64, 0.70)
    upper, lower = height * rng.uniform(0.42, 0.50), height * rng.uniform(0.52, 0.62)
    _disc(draw, left, upper, radius, first)
    _disc(draw, right, lower, radius, second)
    for ring in range(5, 0, -1):
        colour = palette.ground if ring % 2 else second
        _disc(draw, right, lower, radius * 0.78 * ring / 5, colour)
    for ring in range(3, 0, -1):
        colour = palette.ink if ring % 2 else first
        _disc(draw, left, upper, radius * 0.5 * ring / 3, colour)


def _draw_bars(
    draw: ImageDraw.ImageDraw, width: int, height: int, palette: Palette, rng: random.Random
) -> None:
    """A waveform of rounded bars over a low sun."""
    first, second, third = rng.sample(palette.shapes, 3)
    draw.rectangle((0, 0, width, height), third)
    sun = height * rng.uniform(0.34, 0.42)
    _disc(draw, width * rng.uniform(0.3, 0.7), height * 0.46, sun, first)
    count = rng.choice((11, 13, 15))
    step = width / (count + 1)
    for index in range(count):
        envelope = 1 - abs(index - (count - 1) / 2) / count
        half = height * envelope * rng.uniform(0.12, 0.44)
        x, y = step * (index + 1), height * 0.5
        colour = palette.ground if index % 3 else second
        draw.rounded_rectangle(
            (x - step * 0.27, y - half, x + step * 0.27, y + half), step * 0.27, colour
        )


def _draw_tiles(
    draw: ImageDraw.ImageDraw, width: int, height: int, palette: Palette, rng: random.Random
) -> None:
    """A grid of quarter discs, discs and halves, as a weaver would lay them."""
    columns = 5  # so that whole tiles fill the art above the names
    side = width / columns
    rows = int(height // side) + 1
    colours = (*palette.shapes, palette.ground, palette.ink)
    for row in range(rows):
        for column in range(columns):
            ground, figure, dot = rng.sample(colours, 3)
            x, y = column * side, row * side
            draw.rectangle((x, y, x + side, y + side), ground)
            kind = rng.randrange(4)
            if kind == 0:
                _disc(draw, x + side / 2, y + side / 2, side * 0.42, figure)
                _disc(draw, x + side / 2, y + side / 2, side * 0.18, dot)
            elif kind == 1:
                _quarter(draw, x, y, side, rng.randrange(4), figure)
            elif kind == 2:
                corner = rng.randrange(4)
                _quarter(draw, x, y, side, corner, figure)
                _quarter(draw, x, y, side, corner, dot, reach=0.5)
            else:
                _quarter(draw, x, y, side, 0, figure)
                _quarter(draw, x, y, side, 2, dot)


def _draw_waves(
    draw: ImageDraw.ImageDraw, width: int, height: int, palette: Palette, rng: random.Random
) -> None:
    """Rings that spread from a corner, and a disc that listens."""
    first, second, third = rng.sample(palette.shapes, 3)
    draw.rectangle((0, 0, width, height), first)
    from_left = rng.random() < 0.5
    x, y = (0.0 if from_left else float(width)), float(height)
    count = rng.choice((7, 9))
    reach = width * rng.uniform(0.86, 1.0)
    for ring in range(count, 0, -1):
        colour = (palette.ground, third, second)[ring % 3]
        _disc(draw, x, y, reach * ring / count, colour)
    listener_x = width * (0.79 if from_left else 0.21)
    _disc(draw, listener_x, height * 0.27, height * 0.17, palette.ink)
    _disc(draw, listener_x, height * 0.27, height * 0.075, palette.ground)


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: Colour) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)


def _quarter(
    draw: ImageDraw.ImageDraw,
    x: float,
    y: float,
    side: float,
    corner: int,
    colour: Colour,
    *,
    reach: float = 1.0,
) -> None:
    # the disc's centre is one of the tile's corners; the slice is what lies inside the tile
    centre_x, centre_y = x + side * (corner in (1, 2)), y + side * (corner in (2, 3))
    radius = side * reach
    box = (centre_x - radius, centre_y - radius, centre_x + radius, centre_y + radius)
    draw.pieslice(box, 90 * corner, 90 * corner + 90, colour)
