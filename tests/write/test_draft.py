from pathlib import Path

import pytest

from podcaster.errors import RunError
from podcaster.write.draft import Draft


def never() -> None:
    raise AssertionError("this was decided before")


def test_what_was_decided_stays_decided(tmp_path: Path) -> None:
    path = tmp_path / "write" / "draft.jsonl"
    with Draft(path, "f") as draft:
        assert draft.step("1", lambda: {"text": "a"}) == {"text": "a"}
        assert draft.step("1", never) == {"text": "a"}
    with Draft(path, "f") as draft:
        assert draft.step("1", never) == {"text": "a"}
        assert draft.reused == 1


def test_a_torn_last_line_is_decided_again(tmp_path: Path) -> None:
    path = tmp_path / "draft.jsonl"
    with Draft(path, "f") as draft:
        draft.step("1", lambda: "one")
        draft.step("2", lambda: "two")
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    with Draft(path, "f") as draft:
        assert draft.step("1", never) == "one"
        assert draft.step("2", lambda: "two") == "two"
    assert path.read_bytes() == whole


@pytest.mark.parametrize("tail", [b"\x00\x00\x00\n", b"[1, 2]\n", b"{" * 5000 + b"\n"])
def test_rubbish_at_the_end_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "draft.jsonl"
    with Draft(path, "f") as draft:
        draft.step("1", lambda: "one")
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    with Draft(path, "f") as draft:
        assert draft.step("1", never) == "one"
    assert path.read_bytes() == whole


def test_another_fingerprint_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "draft.jsonl"
    with Draft(path, "f") as draft:
        draft.step("1", lambda: "one")
    with Draft(path, "g") as draft:
        assert draft.step("1", lambda: "other") == "other"
    assert b'"f"' not in path.read_bytes()


def test_a_folder_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "draft.jsonl").mkdir()
    with pytest.raises(RunError, match="Cannot write"):
        Draft(tmp_path / "draft.jsonl", "f")
