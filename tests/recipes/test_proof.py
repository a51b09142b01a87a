"""The proof on tiny real GGUF models: what is read, what is said, and what the benchmark prints."""

import importlib.util
import io
import json
import math
import random
import subprocess
import sys
import tarfile
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the recipe needs tokenizers: install podcaster[train]")

import llama_cpp

from podcaster.builtin.keywords import read_idf
from podcaster.errors import EngineError
from recipes.mini import proof
from recipes.mini.corpus import split_of
from recipes.mini.episodes import Episode, Line
from recipes.mini.idf import build_idf, write_idf
from recipes.mini.llama_cpp import DialogueModel, Prompt
from recipes.mini.passages import (
    Passage,
    PassageTurn,
    cut_passages,
    draw_outlines,
)

ROOT = Path(__file__).parents[2]
THINGS = ["rocket", "bread", "database", "guitar", "garden", "engine", "oven", "melody", "flower"]
WORDS = (" yes", " rocket", " bread", ".", "?")
SCRIPT = ROOT / "bench" / "builtin_model.py"


@pytest.fixture(scope="module")
def tiny_gguf() -> Any:
    path = ROOT / "tests" / "write" / "tiny_gguf.py"
    spec = importlib.util.spec_from_file_location("tiny_gguf_of_recipes", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def gguf_file(tiny_gguf: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("proof") / "tiny.gguf"
    made: Path = tiny_gguf.write_tiny_gguf(path, words=WORDS, end_bias=4.0)
    return made


def episode(number: int, split: str) -> Episode:
    draw = random.Random(number)
    lines: list[Line] = []
    for _ in range(40):
        thing, other = draw.sample(THINGS, 2)
        fresh = "".join(draw.choice("bdfgklmnprst") + draw.choice("aeiou") for _ in range(3))
        lines.append(Line("Bob Guest", f"I like the {thing} and the {fresh} {fresh} of {other}."))
        lines.append(Line("Ann Host", f"What is it about the {thing} that you like?"))
    return Episode("show", f"episode-{number}", split, tuple(lines))


def number_of(split: str, count: int) -> list[int]:
    """Numbers of episodes that the recipe puts into this split."""
    numbers = (n for n in range(10_000) if split_of("show", f"episode-{n}", 0.02) == split)
    return list(islice(numbers, count))


EPISODES = [
    episode(number, split)
    for split, count in (("validation", 3), ("train", 7))
    for number in number_of(split, count)
]


def write_archive(path: Path) -> Path:
    """The episodes in the layout of the recipe's archives."""
    with tarfile.open(path, "w:xz") as out:
        for one in EPISODES:
            text = "".join(f"**{line.speaker}:** {line.text}\n\n" for line in one.lines).encode()
            member = tarfile.TarInfo(f"transcripts/{one.show}/{one.name}.md")
            member.size = len(text)
            out.addfile(member, io.BytesIO(text))
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    path = tmp_path_factory.mktemp("idf") / "idf.json.gz"
    write_idf(path, build_idf(EPISODES))
    return read_idf(path)


PASSAGE = Passage(
    names=("Ann", "Bob"),
    turns=(
        PassageTurn(role="host", text="What about bread?", topic=("bread", "oven")),
        PassageTurn(role="guest", text="Yes. " * 12),
        PassageTurn(role="host", text="And a rocket?", topic=("rocket",)),
        PassageTurn(role="other", text="Yes, yes."),
    ),
)


def test_passages_hold_every_turn_once_and_topics_before_some(table: dict[str, float]) -> None:
    hosts = {"show": frozenset({"Ann Host"})}
    passages = cut_passages(EPISODES[:1], hosts, idf=table)
    turns = [turn for passage in passages for turn in passage.turns]
    assert [turn.text for turn in turns] == [line.text for line in EPISODES[0].lines]
    assert {turn.role for turn in turns} == {"host", "guest"}
    assert turns[1].role == "host"
    assert all(passage.names == ("Ann Host", "Bob Guest") for passage in passages)
    topics = [turn.topic for turn in turns if turn.topic]
    assert topics[0][0] == "welcome"
    assert len(topics) > 2
    bare = cut_passages(EPISODES[:1], hosts)
    assert not any(turn.topic for passage in bare for turn in passage.turns)


def test_outlines_are_keywords_of_the_turns_beside_them(table: dict[str, float]) -> None:
    outlines = draw_outlines(EPISODES[:3], table, count=4, turns=8)
    assert len(outlines) == 4
    for outline in outlines:
        assert len(outline.turns) == 8
        assert len(set(outline.keywords)) == 6
        assert not {"ann", "bob", "host", "guest"} & set(outline.keywords)
    assert draw_outlines(EPISODES[:3], table, count=4, turns=8) == outlines


@pytest.mark.engine
def test_windows_of_any_context_count_every_turn_once(gguf_file: Path) -> None:
    with DialogueModel(gguf_file) as model:
        (whole,) = model.lay_out(PASSAGE, 400)
        text = model.template.format_header(PASSAGE.names, ("bread", "oven"))
        assert whole.ids[: len(model.tokenize(text))].tolist() == model.tokenize(text)
        said = [model.turn_ids(turn.role, turn.text) for turn in PASSAGE.turns]
        everything = [token for turn in said for token in turn]
        assert whole.ids[whole.counted].tolist() == everything
        for context in (50, 75, 100):
            rows = model.lay_out(PASSAGE, context)
            assert len(rows) > 1
            assert all(len(row.ids) <= context + 1 for row in rows)
            counted = [row.ids[row.counted] for row in rows]
            assert np.concatenate(counted).tolist() == everything
            assert all(row.ids[0] == whole.ids[0] for row in rows)
        with pytest.raises(EngineError, match="A context of 20 tokens is too short for a header"):
            model.lay_out(PASSAGE, 20)


@pytest.mark.engine
def test_bits_per_byte_are_those_of_the_models_own_probabilities(gguf_file: Path) -> None:
    with DialogueModel(gguf_file) as model:
        score = model.score([PASSAGE, PASSAGE], 256)
        (row,) = model.lay_out(PASSAGE, 256)
        with pytest.raises(EngineError, match="has a context of 512 tokens, asked to read 1024"):
            model.score([PASSAGE], 1024)
    spoken = sum(len(f" {' '.join(turn.text.split())}".encode()) for turn in PASSAGE.turns)
    assert score.spoken_bytes == 2 * spoken
    assert score.tokens == 2 * int(row.counted.sum())
    other = llama_cpp.Llama(str(gguf_file), n_ctx=256, logits_all=True, verbose=False)
    other.eval(row.ids.tolist())
    logits = np.array(other.scores[: len(row.ids)], dtype=np.float64)
    other.close()
    logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    nats = -sum(
        logprobs[i - 1, token] for i, token in enumerate(row.ids.tolist()) if row.counted[i]
    )
    assert score.nats == pytest.approx(2 * nats, rel=1e-3)
    assert score.bits_per_byte == pytest.approx(nats / math.log(2) / spoken, rel=1e-3)


@pytest.mark.engine
def test_conversations_in_a_batch_are_as_many_as_asked_for(gguf_file: Path) -> None:
    prompts = [
        Prompt(names=("Ann", "Bob"), keywords=("bread",) * (n % 3), seed=n) for n in range(7)
    ]
    with DialogueModel(gguf_file) as model:
        said = model.converse(prompts, turns=3, together=3)
        again = model.converse(prompts, turns=3, together=3)
        assert model.measure_speed(tokens=10, rounds=1) > 0
    assert said == again
    assert [len(turns) for turns in said] == [3] * 7
    assert len({turns[0] for turns in said}) > 1
    assert not any("<|" in turn for turns in said for turn in turns)


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.engine
def test_the_benchmark_measures_several_models_in_one_run(
    tiny_gguf: Any, gguf_file: Path, tmp_path: Path
) -> None:
    longer = tiny_gguf.write_tiny_gguf(
        tmp_path / "longer.gguf", seed=2, words=(" like", " the"), context_tokens=768
    )
    archive = write_archive(tmp_path / "transcripts.tar.xz")
    samples = tmp_path / "samples.md"
    done = run_bench(
        *("--model", str(gguf_file), "--model", str(longer), "--quick"),
        *("--archive", str(archive), "--samples", str(samples)),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    figures = json.loads(done.stdout)
    words = sum(len(line.text.rstrip(".?").split()) for e in EPISODES[3:] for line in e.lines)
    assert figures["training_words"] == words
    first, second = figures["models"].values()
    assert first["held_out"]["bytes"] == second["held_out"]["bytes"] > 1000
    assert first["held_out"]["common_context"] == second["held_out"]["common_context"] == 512
    assert first["held_out"]["tokens"] != second["held_out"]["tokens"]
    held_out = second["held_out"]
    assert held_out["bits_per_byte_own_context"] != held_out["bits_per_byte"]
    people = figures["people"]
    assert people["topics"]["asked"] > 2 * people["topics"]["not_asked"]
    # people here say the same sentences over and over
    assert people["distinct_2"] < 0.6
    assert people["verbatim_words_per_turn"]["max"] >= 6
    assert first["topics"]["far"]["outlines"] == len(proof.FAR_TOPICS)
    assert first["tokens_per_s"] > 0
    text = samples.read_text(encoding="utf-8")
    assert text.count("Asked for *") >= 2
    assert "## tiny.gguf" in text
    assert "## longer.gguf" in text


def test_without_transcripts_the_benchmark_says_what_to_pass(tmp_path: Path) -> None:
    done = run_bench("--archive", str(tmp_path / "none.tar.xz"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"There is no file {tmp_path / 'none.tar.xz'}: pass the transc")
    done = run_bench("--corpus", str(tmp_path / "none.jsonl"))
    assert done.returncode == 1
    assert "--corpus wants what corpus.py made" in done.stderr
