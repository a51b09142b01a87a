"""What a show's model learned is known again, word for word."""

import json
from pathlib import Path

import pytest

from podcaster.errors import InputError
from podcaster.write.verbatim import open_verbatim

SAID = "We took the old road down to the harbour before the fog came in that evening."


def place(tmp_path: Path, lines: str) -> str:
    model = tmp_path / "runs" / "tea" / "export" / "0123" / "tea-Q8_0.gguf"
    model.parent.mkdir(parents=True)
    (tmp_path / "runs" / "tea" / "dataset").mkdir()
    (tmp_path / "runs" / "tea" / "dataset" / "dialogue.train.jsonl").write_text(lines)
    return str(model)


def test_the_longest_shared_run_is_counted_in_words(tmp_path: Path) -> None:
    line = {"messages": [{"role": "system", "content": "Tea"}, {"role": "user", "content": SAID}]}
    measure = open_verbatim(place(tmp_path, json.dumps(line) + "\n"))
    assert measure is not None
    assert measure(SAID) == len(SAID.split())
    assert measure(f"Well, {SAID.lower()} I think.") == len(SAID.split())
    assert measure("We took the old road down to the river, and the fog came in.") == 8
    assert measure("We took the old road, and it was long.") == 0
    assert measure("") == 0


def test_other_models_have_learned_nothing_that_is_known(tmp_path: Path) -> None:
    for name in ("builtin", "model.gguf", str(tmp_path / "a" / "b" / "c.gguf")):
        assert open_verbatim(name) is None


def test_a_broken_dataset_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dialogue\.train\.jsonl"):
        open_verbatim(place(tmp_path, "{\n"))
