"""The recipe from an archive to a model that llama.cpp runs, on a corpus that the test makes."""

import io
import json
import math
import random
import shutil
import tarfile
from dataclasses import replace
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
from recipes.mini import corpus, idf, ngrams, run, to_gguf, tokenizer, train, windows  # noqa: E402
from recipes.mini.baselines import TokenNgrams, xz_bits_per_byte  # noqa: E402
from recipes.mini.episodes import Episode, Line, read_corpus  # noqa: E402
from recipes.mini.evaluate import converse, evaluate  # noqa: E402
from recipes.mini.network import IGNORED, block_attention, label_rows  # noqa: E402
from recipes.mini.to_gguf import HARD_TEXT, compare, export  # noqa: E402
from recipes.mini.train import Progress, Trainer, TrainOptions, checkpoints  # noqa: E402
from recipes.mini.windows import read_rows  # noqa: E402

CONTEXT = 96
PARTS = ("broad", "interviews", "validation")
TEMPLATE = DialogueTemplate()
THINGS = ["rocket", "bread", "database", "guitar", "garden", "engine", "oven", "melody", "flower"]
OPTIONS = TrainOptions(
    steps=12, layers=2, width=32, heads=2, batch_tokens=4 * 48, micro_tokens=2 * 48,
    evaluate_every=6, evaluate_rows=2, checkpoint_every=4, compiled=False,
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
    corpus.main([text, str(archive), "--holdout", "0.2"])
    idf.main([text, table])
    tokenizer.main([text, vocabulary, "--size", "400", "--every", "1"])
    contexts = ["--context", str(CONTEXT), "--short-context", str(CONTEXT // 2)]
    windows.main([text, vocabulary, table, rows, *contexts])
    ngrams.main([text, str(folder / "index.bloom")])
    return folder


@pytest.fixture(scope="module")
def checkpoint(made: Path) -> Path:
    """A network trained long enough to end its turns."""
    out = made / "run"
    flags = "--steps 150 --layers 2 --width 32 --heads 2 --batch-tokens 384"
    more = "--evaluate-every 50 --evaluate-rows 2 --checkpoint-every 1000 --no-compiled"
    inputs = [str(made / "windows.npz"), str(made / "tokenizer.json"), str(out)]
    train.main([*inputs, *flags.split(), *more.split()])
    return out / train.FINAL


@pytest.fixture(scope="module")
def gguf_file(made: Path, checkpoint: Path) -> Path:
    path = made / "model.gguf"
    export(checkpoint, path)
    return path


def new_trainer(made: Path, out: Path, options: TrainOptions = OPTIONS) -> Trainer:
    out.mkdir(exist_ok=True)
    rows = {name: read_rows(made / "windows.npz", name) for name in PARTS}
    return Trainer(rows, Tokenizer.from_file(str(made / "tokenizer.json")), out, options)


def test_special_tokens_are_single_and_come_first(made: Path) -> None:
    vocabulary = Tokenizer.from_file(str(made / "tokenizer.json"))
    for number, token in enumerate(TEMPLATE.special_tokens()):
        assert vocabulary.encode(token).ids == [number]
    text = " Any bytes: 李雷 \U0001f680 \x01 x\t\ty"
    assert vocabulary.decode(vocabulary.encode(text).ids) == text


def test_rows_are_windows_in_the_form_of_the_template(made: Path) -> None:
    vocabulary = Tokenizer.from_file(str(made / "tokenizer.json"))
    parts = {name: read_rows(made / "windows.npz", name) for name in PARTS}
    widths = {name: part.ids.shape[1] - 1 for name, part in parts.items()}
    assert widths == {"broad": CONTEXT // 2, "interviews": CONTEXT, "validation": CONTEXT}
    assert all(len(part.ids) > 5 for part in parts.values())
    rows = [row.tolist() for part in parts.values() for row in part.ids]
    texts = [vocabulary.decode(row, skip_special_tokens=False) for row in rows]
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


def empty_rows(count: int, context: int) -> windows.Rows:
    ids = np.zeros((count, context + 1), dtype=np.uint16)
    return windows.Rows(ids=ids, lengths=np.full(count, context + 1, dtype=np.int32))


def test_interviews_are_kept_for_the_final_phase_in_batches_of_as_many_tokens() -> None:
    pools = {"broad": empty_rows(60, 10), "interviews": empty_rows(40, 25)}
    options = TrainOptions(steps=30, batch_tokens=50)
    sampler = train.Sampler(pools, options)
    progress = Progress()
    draws = [sampler.draw(progress) for _ in range(12)]
    assert {pool for pool, _ in draws} == {"broad"}
    assert sorted(np.concatenate([rows for _, rows in draws])) == list(range(60))
    progress.step = 20
    draws = [sampler.draw(progress) for _ in range(20)]
    assert {pool for pool, _ in draws} == {"interviews"}
    assert sorted(np.concatenate([rows for _, rows in draws])) == list(range(40))


def test_what_is_kept_back_is_most_of_an_interview_and_in_no_broad_row(made: Path) -> None:
    vocabulary = Tokenizer.from_file(str(made / "tokenizer.json"))
    table = read_idf(made / "idf.json.gz")
    builder = windows.WindowBuilder(vocabulary, table, {"show": frozenset({"Ann Host"})})
    chat = [Line("Ann Host" if n % 2 else "Bob Guest", f"number {n} " * 20) for n in range(40)]
    speech = [Line("Bob Guest", f"number {n} " * 20) for n in range(40, 80)]
    episode = Episode("show", "one", "train", (*chat, *speech))
    sizes = {"context": 400, "short_context": 200}

    def numbers(rows: windows.Rows) -> set[int]:
        texts = [vocabulary.decode(row[1:n]) for row, n in zip(rows.ids, rows.lengths, strict=True)]
        return {int(word) for text in texts for word in text.split() if word.isdigit()}

    parts = windows.build_rows(builder, [episode], interviews=0.3, **sizes)
    kept = numbers(parts["interviews"])
    assert kept
    assert max(kept) < 41
    shared = kept & numbers(parts["broad"])
    assert len(shared) <= len(parts["interviews"].ids) * 2  # a turn at a border is in both
    both = windows.build_rows(builder, [episode], interviews=0.3, keep_back=False, **sizes)
    assert numbers(both["broad"]) >= kept
    none = windows.build_rows(builder, [episode], weights={"changelog": 0.0}, **sizes)
    assert len(none["broad"].ids) == len(none["interviews"].ids) == 0


def test_blocks_of_attention_give_what_whole_attention_gives() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 600, 8) for _ in range(3))
    ours, _ = block_attention(torch.nn.Module(), query, key, value, None, scaling=8**-0.5)
    wanted = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    torch.testing.assert_close(ours, wanted.transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_an_average_looks_back_on_its_share_of_the_steps() -> None:
    class Walker(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.place = torch.nn.Parameter(torch.zeros(1))

    walker = Walker()
    everything, recent = train.Average(walker, 1.0), train.Average(walker, 0.1)
    for step in range(1, 101):
        walker.place.data.fill_(step)
        everything.update(walker)
        recent.update(walker)
    assert everything.weights["place"].item() == pytest.approx(50.5)
    assert 85 < recent.weights["place"].item() < 95


def test_dropout_works_in_training_alone(made: Path, tmp_path: Path) -> None:
    trainer = new_trainer(made, tmp_path / "run", replace(OPTIONS, dropout=0.5))
    for parameter in trainer.model.parameters():  # the outputs of blocks begin at zero
        parameter.data.normal_(std=0.2)
    ids = torch.arange(20)[None, :]

    def logits() -> torch.Tensor:
        return trainer.model(ids).logits.detach()

    trainer.model.train()
    assert not torch.equal(logits(), logits())
    trainer.model.eval()
    assert torch.equal(logits(), logits())


def test_training_that_gains_nothing_ends_and_keeps_its_best(made: Path, tmp_path: Path) -> None:
    wild = replace(
        OPTIONS, steps=500, muon_lr=3.0, adam_lr=3.0, evaluate_every=2, patience=3, decay_from=0.9
    )
    trainer = new_trainer(made, tmp_path / "run", wild)
    progress = trainer.run()
    assert progress.step < 500
    chosen = json.loads((tmp_path / "run" / train.FINAL / "chosen.json").read_text())
    assert chosen["chosen"] == "best"
    losses = {name: figure["validation_loss"] for name, figure in chosen["figures"].items()}
    assert losses["best"] == min(losses.values()) < losses["last"]


@pytest.mark.parametrize("name", sorted(run.PRESETS))
def test_a_preset_goes_through_its_stages_with_fewer_steps(
    name: str, made: Path, tmp_path: Path
) -> None:
    preset = run.PRESETS[name]
    small = "--device cpu --steps 3 --layers 1 --width 32 --heads 2 --no-compiled"
    small += " --batch-tokens 96 --micro-tokens 48 --evaluate-rows 2 --evaluate-every 2"
    stages = run.plan([made / "transcripts.tar.xz"], tmp_path, preset, small.split())
    by_name = {stage: (call, arguments) for stage, _, call, arguments in stages}
    shutil.copy(made / "tokenizer.json", tmp_path / "tokenizer.json")
    shutil.copy(made / "corpus.jsonl", tmp_path / "corpus.jsonl")
    shutil.copy(made / "idf.json.gz", tmp_path / "idf.json.gz")
    short = ["--context", "96", "--short-context", "48" if name == "cores" else "96"]
    for stage in ("windows", "train", "to_gguf"):
        call, arguments = by_name[stage]
        call([*arguments, *(short if stage == "windows" else [])])
    _, _, _, options = train.read_options(by_name["train"][1])
    assert options.steps == 3
    assert (options.dropout > 0, options.patience > 0) == ((name == "gpu"),) * 2
    assert (tmp_path / "run" / "curve.png").is_file()
    assert (tmp_path / "dialogue.gguf").read_bytes()[:4] == b"GGUF"


def test_a_finished_recipe_replaces_what_was_delivered_before(made: Path, tmp_path: Path) -> None:
    work, deliver = tmp_path / "work", tmp_path / "deliver"
    archive = made / "transcripts.tar.xz"
    for _, output, _, _ in run.plan([archive], work, run.PRESETS["cores"], []):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(f"new {output.name}")
    deliver.mkdir()
    (deliver / "dialogue.gguf").write_text("old")
    run.main([str(work), str(deliver), str(archive)])
    assert {path.name: path.read_text() for path in deliver.iterdir()} == {
        name: f"new {name}" for name in ("dialogue.gguf", "idf.json.gz", "training-ngrams.bloom")
    }


def test_loss_falls_and_the_file_says_the_same_as_the_network(
    checkpoint: Path, gguf_file: Path
) -> None:
    log = [json.loads(x) for x in (checkpoint.parent / "log.jsonl").read_text().splitlines()]
    held = [line["validation_loss"] for line in log if "validation_loss" in line]
    assert held[-1] < 0.6 * math.log(400)
    assert (checkpoint.parent / "curve.png").stat().st_size > 1_000
    parity = compare(checkpoint, gguf_file)
    assert parity.holds(), parity
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
    assert len(said) > 2
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
