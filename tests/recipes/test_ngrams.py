"""The index of training text: what it promises, and how it meets damaged files."""

import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from podcaster.builtin import NGRAMS_PATH
from podcaster.builtin.ngrams import HEADER, hash_grams, open_ngrams, winnow
from podcaster.errors import EngineError

np = pytest.importorskip("numpy", reason="the recipe's index builder needs numpy")

from recipes.mini.ngrams import build_filter, kept_grams, write_index  # noqa: E402


def babble(seed: int, words: int) -> list[str]:
    """Words that no other seed says."""
    draw = random.Random(seed)
    return [f"{''.join(draw.choices('aeioubdklmnrst', k=6))}{seed}" for _ in range(words)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("index") / "training.bloom"
    write_index(path, [" ".join(babble(seed, 3_000)) for seed in range(5)])
    return path


def test_every_run_of_the_certain_length_is_found(index: Path) -> None:
    training = babble(2, 3_000)
    with open_ngrams(index) as ngrams:
        length = ngrams.certain_words
        assert length == 15
        starts = range(0, len(training) - length, 7)
        assert len(starts) > 400
        for start in starts:
            run = training[start : start + length]
            text = " ".join([*babble(90, 20), *run, *babble(91, 25)])
            assert ngrams.longest_run_words(text) >= ngrams.n, start


def test_punctuation_and_case_do_not_hide_a_run(index: Path) -> None:
    run = babble(3, 3_000)[100:140]
    text = ", ".join(word.upper() for word in run) + "!"
    with open_ngrams(index) as ngrams:
        assert 40 - 2 * 7 <= ngrams.longest_run_words(text) <= 40


def test_fresh_text_is_rarely_suspected_and_never_convicted(index: Path) -> None:
    with open_ngrams(index) as ngrams:
        results = [ngrams.longest_run_words(" ".join(babble(seed, 60))) for seed in range(100, 400)]
        assert sum(result > 0 for result in results) < len(results) * 0.06
        assert all(result <= ngrams.n for result in results)
        assert ngrams.longest_run_words("") == ngrams.longest_run_words("too short") == 0


def test_the_builder_and_the_reader_agree_on_every_kept_gram(tmp_path: Path) -> None:
    path = tmp_path / "one.bloom"
    words = babble(1, 200)
    write_index(path, [" ".join(words)], n=4, window=3)
    with open_ngrams(path) as ngrams:
        assert ngrams.longest_run_words(" ".join(words)) >= 200 - 2 * 2
    content = path.read_bytes()
    *_, bits, count, salt = HEADER.unpack_from(content)
    grams = kept_grams([" ".join(words)], salt=salt, n=4, window=3)
    assert len(grams) == count > 50
    hashes = HEADER.unpack_from(content)[4]
    assert content[HEADER.size :] == build_filter(grams, bits=bits, hashes=hashes)


def test_winnowing_keeps_one_in_every_window() -> None:
    draw = random.Random(7)
    hashes = hash_grams([draw.getrandbits(64) for _ in range(500)], 8)
    kept = winnow(hashes, 8)
    assert len(hashes) == 493
    assert 80 < len(kept) < 160
    for start in range(len(hashes) - 7):
        least = min(range(start, start + 8), key=lambda place: hashes[place])
        assert least in kept


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: b"", "failed"),
        (lambda c: c[:20], "ends in its header"),
        (lambda c: b"X" * 8 + c[8:], "is no index of training text of version 1"),
        (lambda c: c[:-1], "does not fit its contents"),
        (lambda c: c[:12] + struct.pack("<I", 0) + c[16:], "does not fit its contents"),
        (lambda c: c[:24] + struct.pack("<Q", 2**63) + c[32:], "does not fit its contents"),
    ],
)
def test_a_damaged_index_is_refused(
    index: Path, tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    broken = tmp_path / "broken.bloom"
    broken.write_bytes(damage(index.read_bytes()))
    with pytest.raises(EngineError, match=message):
        open_ngrams(broken)


def test_a_closed_index_says_so(index: Path) -> None:
    ngrams = open_ngrams(index)
    ngrams.close()
    ngrams.close()
    with pytest.raises(ValueError, match="is closed"):
        ngrams.longest_run_words(" ".join(babble(2, 100)))


def test_the_shipped_index_is_in_order() -> None:
    with open_ngrams(NGRAMS_PATH) as ngrams:
        assert ngrams.certain_words == 15
        assert ngrams.count > 1_000_000
        assert ngrams.longest_run_words(" ".join(babble(5, 60))) <= ngrams.n
    assert NGRAMS_PATH.stat().st_size <= 5_000_000
