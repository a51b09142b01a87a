"""The distinctive words of a text, with the shipped table and with broken ones."""

import gzip
from pathlib import Path

import pytest

from podcaster.builtin import IDF_PATH
from podcaster.builtin.keywords import idf, keywords, read_idf
from podcaster.errors import EngineError

NOTE = (
    "The rocket stands on the pad. A rocket's fuel is methane, and the methane tank is the part "
    "that people at the launch site talk about. Rockets to Mars need a lot of fuel, you know."
)


def test_what_is_said_often_and_rarely_elsewhere_comes_first() -> None:
    assert set(keywords(NOTE, 3)) == {"rocket", "fuel", "methane"}
    assert "mars" in keywords(NOTE, 8)


def test_everyday_words_numbers_and_plurals_are_left_out() -> None:
    found = keywords(NOTE + " 2026 3.5 42", 50)
    assert len(found) == len(set(found)) > 4
    assert not {"the", "people", "you", "know", "2026", "3.5", "42"} & set(found)
    assert ("rocket" in found) + ("rockets" in found) == 1
    assert keywords("", 5) == keywords("you know the", 5) == keywords(NOTE, 0) == ()


def test_rarity_does_not_hang_on_case_or_possession() -> None:
    assert idf("the") < 0.1 < idf("software") < idf("methane") <= idf("qwzx-unheard-of")
    assert idf("Rocket's") == idf("rocket")


@pytest.mark.parametrize(
    "content",
    [
        b"not gzip",
        gzip.compress(b"not json"),
        gzip.compress(b'{"version":1,"documents":1,"words":"a b","idf":[1]}'),
        gzip.compress(b'{"version":2,"documents":1,"words":"a","idf":[1]}'),
        gzip.compress(b'{"version":1,"documents":1,"words":"a","idf":[1]}')[:-12],
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "idf.json.gz"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"word table idf\.json\.gz"):
        read_idf(path)


def test_the_shipped_table_is_small_and_whole() -> None:
    assert IDF_PATH.stat().st_size <= 150_000
    assert len(read_idf(IDF_PATH)) > 15_000
