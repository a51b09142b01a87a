"""Accents drawn over the letters of a font that has none: geometry, like the rest of the cover."""

from collections.abc import Callable

from PIL import ImageDraw, ImageFont

# a mark's strokes as polylines: x in units of its half width around the letter's middle,
# y in units of its height above (or, for cedilla and ogonek, below) the letter
_Strokes = tuple[tuple[tuple[float, float], ...], ...]
_ABOVE: dict[str, _Strokes] = {
    "\u0300": (((-0.7, 1.0), (0.4, 0.0)),),  # grave
    "\u0301": (((0.7, 1.0), (-0.4, 0.0)),),  # acute
    "\u0302": (((-0.9, 0.0), (0.0, 1.0), (0.9, 0.0)),),  # circumflex
    "\u0303": (((-1.0, 0.2), (-0.5, 0.7), (0.0, 0.45), (0.5, 0.2), (1.0, 0.7)),),  # tilde
    "\u0304": (((-0.9, 0.4), (0.9, 0.4)),),  # macron
    "\u0306": (((-0.8, 0.9), (-0.45, 0.25), (0.0, 0.1), (0.45, 0.25), (0.8, 0.9)),),  # breve
    "\u0307": (((0.0, 0.4), (0.0, 0.4)),),  # dot
    "\u0308": (((-0.65, 0.4), (-0.65, 0.4)), ((0.65, 0.4), (0.65, 0.4))),  # diaeresis
    "\u030a": (((0.0, 0.0), (0.5, 0.5), (0.0, 1.0), (-0.5, 0.5), (0.0, 0.0)),),  # ring
    "\u030b": (((-0.1, 1.0), (-0.8, 0.0)), ((0.9, 1.0), (0.2, 0.0))),  # double acute
    "\u030c": (((-0.9, 1.0), (0.0, 0.0), (0.9, 1.0)),),  # caron
}
_BELOW: dict[str, _Strokes] = {
    "\u0327": (((0.0, 0.0), (0.4, 0.5), (0.0, 1.0), (-0.5, 0.9)),),  # cedilla
    "\u0328": (((0.5, 0.0), (0.1, 0.6), (0.5, 1.0)),),  # ogonek
}
ACCENTS = frozenset({*_ABOVE, *_BELOW})


def strip_accents(text: str) -> str:
    """The letters of decomposed text without the marks that are drawn apart."""
    return "".join(c for c in text if c not in ACCENTS)


def draw_line(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    font: ImageFont.FreeTypeFont,
    *,
    ink: str,
    ground: str,
    weight_px: int,
) -> None:
    """Write decomposed `text` with its ascender at `place`, then its accents one by one.

    `weight_px` thickens the letters; `ground` covers the dots of i and j that bear another mark.
    """
    letters = strip_accents(text)
    draw.text(place, letters, ink, font, stroke_width=weight_px, anchor="la")
    baseline_px = place[1] + font.getmetrics()[0]
    index = -1
    stacked = 0
    for character in text:
        if character not in ACCENTS:
            index += 1
            stacked = 0
            continue
        if index < 0:
            continue
        start_px = place[0] + font.getlength(letters[:index])
        _draw_accent(
            draw, start_px, baseline_px, letters[index], character, font,
            ink=ink, ground=ground, weight_px=weight_px, stacked=stacked,
        )  # fmt: skip
        stacked += 1


def _draw_accent(
    draw: ImageDraw.ImageDraw,
    start_px: float,
    baseline_px: float,
    letter: str,
    accent: str,
    font: ImageFont.FreeTypeFont,
    *,
    ink: str,
    ground: str,
    weight_px: int,
    stacked: int,
) -> None:
    size = font.size
    left, top, right, _ = font.getbbox(letter, anchor="ls")
    middle = start_px + (left + right) / 2
    half, height, width = size * 0.15, size * 0.15, round(size * 0.085) + weight_px
    if accent in _BELOW:
        bottom = baseline_px + weight_px

        def below(x: float, y: float) -> tuple[float, float]:
            return middle + x * half, bottom + y * height * 1.2

        _stroke(draw, _BELOW[accent], below, ink, width)
        return
    if letter in "ij":
        top = font.getbbox("x", anchor="ls")[1]
        reach = size * 0.12
        dot = (middle - reach, baseline_px - size, middle + reach, baseline_px + top - size * 0.04)
        draw.rectangle(dot, ground)
    lift = baseline_px + top - weight_px - size * 0.1 - stacked * height * 1.5

    def above(x: float, y: float) -> tuple[float, float]:
        return middle + x * half, lift - y * height

    _stroke(draw, _ABOVE[accent], above, ink, width)


def _stroke(
    draw: ImageDraw.ImageDraw,
    strokes: _Strokes,
    locate: Callable[[float, float], tuple[float, float]],
    ink: str,
    width: int,
) -> None:
    for stroke in strokes:
        points = [locate(x, y) for x, y in stroke]
        draw.line(points, ink, width, joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), ink)
