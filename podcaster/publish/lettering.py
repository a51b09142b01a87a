"""Words on a picture: which of them the built-in font can show, and how large they fit."""

import unicodedata
from functools import lru_cache

from PIL import ImageFont

from podcaster.publish.accents import ACCENTS, strip_accents
from podcaster.publish.text import clean_line, shorten

_PROBE_PX = 40
_MISSING = "\U0010ffff"  # a noncharacter: no font has it, so this draws the box for "no such glyph"
_SMALLEST_PX = 34
# letters that Unicode does not decompose, as their languages spell them without the font
_SPELT = str.maketrans(
    {
        "ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ø": "o", "Ø": "O",
        "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th",
        "ı": "i", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"',
    }
)  # fmt: skip


@lru_cache(maxsize=64)
def _open_font(size_px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow was built with FreeType
    return font


@lru_cache(maxsize=4096)
def has_glyph(character: str) -> bool:
    """Whether Pillow's built-in font can draw `character`, rather than an empty box."""
    if character == " ":
        return True
    font = _open_font(_PROBE_PX)
    drawn, missing = font.getmask(character), font.getmask(_MISSING)
    if drawn.size == missing.size and bytes(drawn) == bytes(missing):
        return False
    return drawn.getbbox() is not None


def legible(text: str) -> str:
    """What of `text` can be written on a picture, decomposed, so that accents stand apart.

    Letters come from the font and accents from `accents`; emoji are left out. Empty where a
    letter cannot be shown: a picture without words is better than half a name.
    """
    line = clean_line(text, longest=120)
    spelt = line if all(has_glyph(c) for c in line) else line.translate(_SPELT)
    plain = unicodedata.normalize("NFKD", spelt).translate(_SPELT)
    shown = [c for c in plain if has_glyph(c) or c in ACCENTS]
    letters = [c for c in plain if unicodedata.category(c)[0] in "LN"]
    if not letters or not all(has_glyph(c) for c in letters):
        return ""
    return " ".join("".join(shown).split())


def line_spacing(text: str) -> float:
    """How far apart lines stand, in sizes of the type: accents need room above capitals."""
    return 1.22 if any(c in ACCENTS for c in text) else 1.08


def fit_lines(
    text: str, width_px: float, height_px: float, *, most_lines: int, largest_px: int
) -> tuple[ImageFont.FreeTypeFont, list[str]]:
    """Choose the largest type at which `text` fits, and where its lines break.

    At the smallest type, what still does not fit is cut, with an ellipsis.
    """
    for size_px in range(largest_px, _SMALLEST_PX - 1, -4):
        font = _open_font(size_px)
        lines = _wrap(text, font, width_px)
        fits = len(lines) <= most_lines and len(lines) * size_px * line_spacing(text) <= height_px
        if fits and all(_width(line, font) <= width_px for line in lines):
            return font, lines
    font = _open_font(_SMALLEST_PX)
    lines = _wrap(text, font, width_px)[:most_lines]
    return font, [_cut(line, font, width_px) for line in lines]


def _wrap(text: str, font: ImageFont.FreeTypeFont, width_px: float) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        if lines and _width(f"{lines[-1]} {word}", font) <= width_px:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _cut(line: str, font: ImageFont.FreeTypeFont, width_px: float) -> str:
    while len(line) > 2 and _width(line, font) > width_px:
        line = shorten(line, len(line) - 1)
    return line


def _width(line: str, font: ImageFont.FreeTypeFont) -> float:
    return font.getlength(strip_accents(line))
