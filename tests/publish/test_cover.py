import io
import unicodedata
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from podcaster.errors import InputError
from podcaster.publish.accents import draw_line, strip_accents
from podcaster.publish.cover import LONGEST_BYTES, SIZE_PX, make_cover
from podcaster.publish.lettering import fit_lines, has_glyph, legible
from podcaster.publish.pictures import make_feed_cover

NAMES = ["Cher", "Maximiliana Wilhelmina of Hohenstein-Oettingen zu Salzburg", "محمد بن سلمان",
         "Ana 🎙️ Díaz", "漢字", "", "A" * 300, "\u202e\x00evil", "Łukasz Żółć"]  # fmt: skip


def open_jpeg(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    image.load()
    return image


@pytest.mark.parametrize("name", NAMES)
def test_any_name_gives_a_square_rgb_jpeg_that_fits_tag_and_feed(name: str) -> None:
    data = make_cover("Podcaster", name, seed=3)
    image = open_jpeg(data)
    assert image.size == (SIZE_PX, SIZE_PX)
    assert 1400 <= SIZE_PX <= 3000
    assert image.mode == "RGB"
    assert len(data) <= LONGEST_BYTES < 300_000


@pytest.mark.parametrize("seed", range(8))
def test_every_composition_and_palette_fits(seed: int) -> None:
    assert len(make_cover("A show", "Jane Doe", seed=seed)) <= LONGEST_BYTES


def test_the_same_words_and_seed_give_the_same_bytes_and_others_do_not() -> None:
    first = make_cover("Show", "Jane", seed=1)
    assert first == make_cover("Show", "Jane", seed=1)
    assert first != make_cover("Show", "Jane", seed=2)
    assert first != make_cover("Show", "Bob", seed=1)


@pytest.mark.parametrize(
    ("name", "letters"),
    [
        ("Łukasz Żółć", "Lukasz Zolc"),
        ("José Ñandú", "Jose Nandu"),
        ("Ana 🎙️ Díaz", "Ana Diaz"),
        ("Jürgen Straße", "Jurgen Strasse"),
        ("Nguyễn Thị Ưu", "Nguyen Thi Uu"),
        ("محمد", None),
        ("漢字", None),
        ("Жуков", None),
        ("🎙️", None),
        ("", None),
        ("Jane 漢字", None),  # half a name is worse than none
    ],
)
def test_what_the_font_lacks_is_drawn_spelt_or_left_out(name: str, letters: str | None) -> None:
    assert strip_accents(legible(name)) == (letters or "")


def test_accents_stay_where_they_can_be_drawn() -> None:
    assert unicodedata.normalize("NFC", legible("José Ñandú Åse Çelik Őry")) == (
        "José Ñandú Åse Çelik Őry"
    )
    assert make_cover("S", "José", seed=1) != make_cover("S", "Jose", seed=1)


def test_no_box_is_drawn_for_a_missing_glyph() -> None:
    assert has_glyph("A")
    assert not has_glyph("漢")
    for name in NAMES:
        assert all(has_glyph(c) for c in strip_accents(legible(name)))


def test_an_accent_puts_ink_above_its_letter_and_takes_the_dot_of_an_i() -> None:
    font = ImageFont.load_default(100)
    assert isinstance(font, ImageFont.FreeTypeFont)

    def ink_rows(text: str) -> list[int]:
        image = Image.new("L", (400, 300), 0)
        draw_line(
            ImageDraw.Draw(image), (50, 80), text, font, ink="white", ground="black", weight_px=1
        )
        return [y for y in range(300) if image.crop((0, y, 400, y + 1)).getextrema()[1]]

    for plain, accented in (("e", "e\u0301"), ("E", "E\u0300"), ("u", "u\u0308"), ("a", "a\u030a")):
        assert min(ink_rows(accented)) < min(ink_rows(plain))
        assert max(ink_rows(accented)) == max(ink_rows(plain))
    assert max(ink_rows("c\u0327")) > max(ink_rows("c"))
    assert ink_rows("\u0301") == []


@pytest.mark.parametrize("name", ["Cher", "Jane Doe", "of " * 40, "W" * 120])
def test_lines_fit_their_box(name: str) -> None:
    font, lines = fit_lines(legible(name), 1000, 400, most_lines=3, largest_px=190)
    assert 1 <= len(lines) <= 3
    assert all(font.getlength(strip_accents(line)) <= 1000 for line in lines)
    assert len(lines) * font.size <= 400


def test_a_picture_of_the_users_becomes_a_cover(tmp_path: Path) -> None:
    source = tmp_path / "art.png"
    Image.new("RGBA", (3100, 3100), (200, 30, 30, 128)).save(source)
    image = open_jpeg(make_feed_cover("Show", source))
    assert image.mode == "RGB"
    assert image.width == image.height <= 3000


@pytest.mark.parametrize("size", [(1399, 1399), (1500, 1000)])
def test_a_picture_of_the_wrong_shape_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    source = tmp_path / "art.png"
    Image.new("RGB", size).save(source)
    with pytest.raises(InputError, match=f"has {size[0]} × {size[1]} pixels, expected a square"):
        make_feed_cover("Show", source)


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_is_no_picture_is_refused(tmp_path: Path, data: bytes) -> None:
    source = tmp_path / "art.png"
    source.write_bytes(data)
    with pytest.raises(InputError, match="is not a picture that can be read"):
        make_feed_cover("Show", source)


def test_a_missing_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a picture that can be read"):
        make_feed_cover("Show", tmp_path / "none.png")
