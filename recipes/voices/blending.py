"""Styles from shares of stock styles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from podcaster.speak.kokoro.styles import STYLE_SIZE, Style

ENGLISH = "ab"  # the first letter of a stock style's name: American, British


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A voice as `voices.toml` has it."""

    description: str
    gender: Literal["f", "m"]
    blend: dict[str, Annotated[float, msgspec.Meta(gt=0, le=1)]]
    language: str = "en"
    accent: Literal["american", "british"] = "american"
    away: float = 0.2
    speed: float = 1.0
    sketch: dict[str, str | int] = {}


def read_recipes(path: Path) -> dict[str, Recipe]:
    """The voices that are to be made, by name."""
    recipes = msgspec.toml.decode(path.read_bytes(), type=dict[str, Recipe])
    for name, recipe in recipes.items():
        total = sum(recipe.blend.values())
        if abs(total - 1.0) > 1e-9:
            raise SystemExit(f"The shares of {name} add up to {total}, expected 1.")
    return recipes


def read_styles(folder: Path) -> dict[str, Style]:
    """The stock styles `NAME.bin` in a folder: float32, 510 rows of 256."""
    styles = {
        path.stem: np.fromfile(path, dtype="<f4").reshape(-1, STYLE_SIZE)
        for path in sorted(folder.glob("*.bin"))
    }
    if not styles:
        raise SystemExit(f"{folder} has no stock styles (*.bin).")
    return styles


def blend(recipe: Recipe, styles: Mapping[str, Style]) -> Style:
    """Shares of stock styles, and then a step away from what is usual for that sex."""
    mixed = sum(share * styles[name] for name, share in recipe.blend.items())
    alike = [
        style for name, style in styles.items() if name[0] in ENGLISH and name[1] == recipe.gender
    ]
    usual = np.mean(alike, axis=0)
    blended: Style = np.asarray(mixed + recipe.away * (mixed - usual), dtype=np.float32)
    return blended
