"""The recipe from an archive to a model that llama.cpp runs, on a corpus that the test makes."""

import io
import json
import math
import random
import shutil
import tarfile
from pathlib import Path

import pytest

for library in ("torch", "transformers", "tokenizers", "gguf", "llama_cpp"):
    pytest.importorskip(library, reason=f"the recipe needs {library}: install podcaster[train]")

import llama_cpp  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

from podcaster.builtin.keywords import read_idf  # noqa: E402
from podcaster.builtin.ngrams import open_ngrams  # noqa: E402
from podcaster.dialogue import METADATA_KEY, DialogueTemplate, template_from_metadata  # noqa: E402
from recipes.mini import corpus, idf, ngrams, to_gguf, tokenizer, train, windows  # noqa: E402
from recipes.mini.baselines import TokenNgrams, xz_bits_per_byte  # noqa: E402
from recipes.mini.corpus import Line, read_corpus  # noqa: E402
from recipes.mini.evaluate import converse, evaluate  # noqa: E402
from recipes.mini.network import IGNORED, label_rows  # noqa: E402
from recipes.mini.to_gguf import HARD_TEXT, compare, export  # noqa: E402
from recipes.mini.train import Progress, Trainer, TrainOptions, checkpoints  # noqa: E402
from recipes.mini.windows import read_rows  # noqa: E402

CONTEXT = 96
TEMPLATE = DialogueTemplate()
THINGS = ["rocket", "bread", "database", "guitar", "garden", "engine", "oven", "melody", "flower"]
OPTIONS = TrainOptions(
    steps=12, layers=2, width=32, heads=2, batch_rows=4, micro_rows=2, evaluate_every=6,
    evaluate_rows=2, checkpoint_every=4, compiled=False,
)  # fmt: skip


def transcript(number: int) -> str:
    """A conversation of short sentences that are the same in every episode but for the things."""
    draw = random.Random(number)
    text = "**Ann Host:** Hello and welcome to the show, Guest.\n\n"
    for _ in range(30):
        thing, other = draw.sample(THINGS, 2)
        text += f"**Bob {chr(65 + number)}x:** I like the {thing} and the {other}.\n\n"
        text += f"**Ann Host:** \\[00:01\\] What is it about the {thing} that you like?\n\n"
    return text


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the stages before training make."""
    folder = tmp_path_factory.mktemp("mini")
    archive = folder / "transcripts.tar.xz"
    with tarfile.open(archive, "w:xz") as out:
        for number in range(12):
            content = transcript(number).encode()
            member = tarfile.TarInfo(f"transcripts/show/episode-{number}.md")
            member.size = len(content)
            out.addfile(member, io.BytesIO(content))
    text, table = str(folder / "corpus.jsonl"), str(folder / "idf.json.gz")
    vocabulary, rows = str(folder / "tokenizer.json"), str(folder / "windows.npz")
    corpus.main([str(archive), text, "--holdout", "0.2"])
    idf.main([text, table])
    tokenizer.main([text, vocabulary, "--size", "400", "--every", "1"])
    windows.main([text, vocabulary, table, rows, "--context", str(CONTEXT)])
    ngrams.main([text, str(folder / "index.bloom")])
    return folder


@pytest.fixture(scope="module")
def checkpoint(made: Path) -> Path:
    """A network trained long enough to end its turns."""
    out = made / "run"
    flags = "--steps 150 --layers 2 --width 32 --heads 2 --batch-rows 4 --micro-rows 4"
    more = "--evaluate-every 50 --evaluate-rows 2 --checkpoint-every 1000 --no-compiled"
    inputs = [str(made / "windows.npz"), str(made / "tokenizer.json"), str(out)]
    train.main([*inputs, *flags.split(), *more.split()])
    return checkpoints(out)[-1]


@pytest.fixture(scope="module")
def gguf_file(made: Path, checkpoint: Path) -> Path:
    path = made / "model.gguf"
    export(checkpoint, path)
    return path


def new_trainer(made: Path, out: Path) -> Trainer:
    out.mkdir(exist_ok=True)
    return Trainer(
        read_rows(made / "windows.npz", "train"),
        read_rows(made / "windows.npz", "validation"),
        Tokenizer.from_file(str(made / "tokenizer.json")),
        out,
        OPTIONS,
    )


def test_special_tokens_are_single_and_come_first(made: Path) -> None:
    vocabulary = Tokenizer.from_file(str(made / "tokenizer.json"))
    for number, token in enumerate(TEMPLATE.special_tokens()):
        assert vocabulary.encode(token).ids == [number]
    text = " Any bytes: 李雷 \U0001f680 \x01 x\t\ty"
    assert vocabulary.decode(vocabulary.encode(text).ids) == text


def test_rows_are_windows_in_the_form_of_the_template(made: Path) -> None:
    vocabulary = Tokenizer.from_file(str(made / "tokenizer.json"))
    rows = read_rows(made / "windows.npz", "train")
    assert len(rows.ids) > 20
    assert rows.ids.shape[1] == CONTEXT + 1
    assert len(read_rows(made / "windows.npz", "validation").ids) > 0
    texts = [vocabulary.decode(row.tolist(), skip_special_tokens=False) for row in rows.ids]
    assert all(text.startswith(TEMPLATE.begin) for text in texts)
    assert sum(TEMPLATE.names in text for text in texts) > len(texts) / 2
    assert sum(f"{TEMPLATE.topic}{windows.OPENING}" in text for text in texts) > 3
    whole = TEMPLATE.format_turn("guest", "I like the rocket and the bread.").split("rocket")
    assert any(whole[0] in text for text in texts)
    table = read_idf(made / "idf.json.gz")
    assert set(THINGS) <= set(table)


def test_monologues_are_cut_at_a_sentence_and_names_are_changed_everywhere() -> None:
    sentences = [f"This is sentence number {n} of a long talk." for n in range(60)]
    line = Line("Ann Host", " ".join(sentences))
    cut = windows.shorten(line, random.Random(1))
    assert line.text.startswith(cut.text)
    assert cut.text.endswith("long talk.")
    assert 60 <= len(cut.text.split()) <= 175
    lines = [Line("Jerod Host", "I am Jerod."), Line("Bob Guest", "Hi, Jerod Host! Bob here.")]
    renamed = windows.rename(lines, ["Kim Park", "Lena Vogt"], random.Random(3))
    speech = " ".join(f"{new.speaker} {new.text}" for new in renamed)
    assert ("Jerod" in speech) == (renamed[0].speaker == "Jerod Host")
    first = renamed[0].speaker.split()[0]
    assert renamed[0].text == f"I am {first}."
    assert first in renamed[1].text


def test_headers_and_padding_are_not_learned(made: Path) -> None:
    vocabulary = Tokenizer.from_file(str(made / "tokenizer.json"))
    text = TEMPLATE.format_header(["Ann"], ["bread"]) + TEMPLATE.format_turn("host", "I like it.")
    text += TEMPLATE.format_topic(["oven"]) + TEMPLATE.format_turn("guest", "Yes.")
    ids = vocabulary.encode(text).ids
    row = np.array([ids + [6] * 5], dtype=np.uint16)
    labels = label_rows(row, np.array([len(ids)], dtype=np.int32), vocabulary)[0]
    learned = vocabulary.decode([int(i) for i in labels if i != IGNORED], skip_special_tokens=False)
    assert learned == "<|host|> I like it.<|end|><|guest|> Yes.<|end|>"


def test_training_killed_and_resumed_gives_the_same_weights(made: Path, tmp_path: Path) -> None:
    straight = new_trainer(made, tmp_path / "straight")
    straight.run()
    first = new_trainer(made, tmp_path / "resumed")
    first.run(stop_after=7)
    newest = checkpoints(tmp_path / "resumed")[-1]
    assert newest.name == "step-000007"
    shutil.rmtree(newest)  # as if killed after the checkpoint at step 4, in mid-write of the next
    (tmp_path / "resumed" / "step-000008.partial").mkdir()
    second = new_trainer(made, tmp_path / "resumed")
    assert second.run().step == 12
    wanted = straight.model.state_dict()
    assert wanted
    for name, tensor in second.model.state_dict().items():
        assert torch.equal(tensor, wanted[name]), name
    log = (tmp_path / "straight" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == list(range(1, 13))
    assert len(checkpoints(tmp_path / "straight")) == train.KEPT_CHECKPOINTS


def test_the_rate_rises_and_falls_to_zero_with_the_budget() -> None:
    shares = [n / 100 for n in range(101)]
    rates = [train.rate_at(share, OPTIONS) for share in shares]
    assert (rates[-1], max(rates)) == (0.0, 1.0)
    assert rates[0] < 0.2
    assert rates[30:] == sorted(rates[30:], reverse=True)
    timed = TrainOptions(minutes=2)
    assert Progress(elapsed_s=30).share(timed) == 0.25
    with pytest.raises(ValueError, match="a budget in minutes or in steps"):
        TrainOptions()


def test_interviews_are_kept_for_the_last_third() -> None:
    scores = np.arange(100) / 100
    options = TrainOptions(steps=30, batch_rows=5, interviews=0.4)
    sampler = train.Sampler(scores, options)
    early = sampler.draw(Progress(step=0))
    late = sampler.draw(Progress(step=25))
    assert early.max() < 60 <= late.min()
    progress = Progress()
    epoch = np.concatenate([sampler.draw(progress) for _ in range(12)])
    assert sorted(epoch) == list(range(60))


def test_loss_falls_and_the_file_says_the_same_as_the_network(
    checkpoint: Path, gguf_file: Path
) -> None:
    log = [json.loads(x) for x in (checkpoint.parent / "log.jsonl").read_text().splitlines()]
    held = [line["validation_loss"] for line in log if "validation_loss" in line]
    assert held[-1] < 0.6 * math.log(400)
    assert (checkpoint.parent / "curve.png").stat().st_size > 1_000
    parity = compare(checkpoint, gguf_file)
    assert parity.token_ids_equal
    assert parity.max_logit_difference < 1e-3
    assert len(HARD_TEXT) > 200


def test_llama_cpp_speaks_in_turns_that_end(checkpoint: Path, gguf_file: Path) -> None:
    model = llama_cpp.Llama(str(gguf_file), n_ctx=256, n_threads=2, verbose=False)
    assert template_from_metadata(model.metadata) == TEMPLATE
    assert METADATA_KEY in model.metadata
    prompt = model.tokenize(b"<|episode|><|host|>", add_bos=False, special=True)
    said = []
    for token in model.generate(prompt, temp=0.0):
        said.append(token)
        if token == model.token_eos() or len(said) > 60:
            break
    assert model.detokenize(said[-1:], special=True) == b"<|end|>"
    assert len(said) > 4
    turns = converse(model, ["Ann", "Bob"], ["bread"], turns=2, seed=1)
    assert [turn.split(":")[0] for turn in turns] == ["host", "guest"]
    model.close()


def test_to_gguf_quantises_and_the_report_is_complete(made: Path, checkpoint: Path) -> None:
    small = made / "small.gguf"
    to_gguf.main([str(checkpoint.parent), str(small), "--quantise", "Q8_0"])
    report = evaluate(made / "windows.npz", made / "tokenizer.json", small, baselines=True, seed=0)
    full = made / "full.gguf"
    export(checkpoint, full)
    assert small.stat().st_size < 0.5 * full.stat().st_size
    assert 0 < report["model"]["bits_per_byte"] < 3
    assert 0 < report["five_gram"]["bits_per_byte"] < 3
    assert report["xz_bits_per_byte"] > 0
    assert report["tokens_per_s"] > 0
    assert all(len(sample["turns"]) == 6 for sample in report["samples"])


def test_a_planted_run_of_training_text_is_found(made: Path) -> None:
    episode = next(e for e in read_corpus(made / "corpus.jsonl") if e.split == "train")
    words = " ".join(line.text for line in episode.lines).split()[40:60]
    with open_ngrams(made / "index.bloom") as index:
        assert index.longest_run_words(" ".join(["fresh", *words, "words"])) >= index.n
        assert index.longest_run_words("quite other words that nobody has said here " * 3) == 0


def test_token_ngrams_are_a_distribution() -> None:
    draw = np.random.default_rng(0)
    rows = [draw.integers(0, 6, 200).astype(np.uint16) for _ in range(3)]
    model = TokenNgrams(rows, order=3, vocabulary=6)
    for context in ([0, 1], [5, 5], [3, 2]):
        chances = [
            math.exp(-model.nats(np.array([*context, t], dtype=np.uint16))[0]) for t in range(6)
        ]
        assert sum(chances) == pytest.approx(1.0)
    assert xz_bits_per_byte(b"a" * 10_000) < 0.2
