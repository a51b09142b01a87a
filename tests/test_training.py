"""A show's dataset becomes an adapter: what is left, what is told beforehand, what is refused."""

import csv
import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

for library in ("torch", "transformers", "peft", "matplotlib"):
    pytest.importorskip(library, reason=f"training needs {library}: install podcaster[train]")

import podcaster.train.stage  # noqa: E402
from podcaster import training  # noqa: E402
from podcaster.cli import app  # noqa: E402
from podcaster.config import ClusterOptions  # noqa: E402
from podcaster.dataset.costs import read_prices  # noqa: E402
from podcaster.devices import Device, find_device  # noqa: E402
from podcaster.errors import EngineMissing, InputError  # noqa: E402
from podcaster.progress import Silence  # noqa: E402
from podcaster.run import Run, open_show_run  # noqa: E402
from podcaster.train.options import TrainOptions  # noqa: E402
from podcaster.trained import read_train_report  # noqa: E402
from podcaster.training import Trained, train_show  # noqa: E402


def load_module(name: str, *parts: str) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent.joinpath(*parts))
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


tiny_models = load_module("podcaster_tiny_language_models", "export", "tiny_models.py")
shows = load_module("podcaster_tiny_shows", "train", "shows.py")
exported_show = load_module("podcaster_exported_show", "exported_show.py")

NAME = "Tea Talk"


class Killed(BaseException):
    """As a kill: nothing catches it."""


class Listener(Silence):
    """Keeps what is told; dies after `most` steps."""

    def __init__(self, most: int | None = None) -> None:
        self.notes: list[str] = []
        self.steps: list[tuple[float, float]] = []
        self.units: list[str] = []
        self._most = most

    def report(self, stage: str, done: float, total: float, unit: str) -> None:
        self.steps.append((done, total))
        self.units.append(unit)
        if self._most and done >= self._most:
            raise Killed

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True)
class Place:
    """A workspace with a show and its dataset, and bases beside it."""

    home: Path
    run: Run
    bases: Path

    @property
    def dataset(self) -> Path:
        return self.run.path / "dataset"

    @property
    def folder(self) -> Path:
        return self.run.path / "train"

    def train(self, progress: Silence | None = None, **changes: Any) -> Trained:
        told = {"base": str(self.bases / "chat"), "max_steps": 6, "epochs": 50.0,
                "batch_tokens": 1000, "rank": 4, "checkpointing": "off"}  # fmt: skip
        options = TrainOptions(**{**told, **changes})
        return train_show(self.home, NAME, options, ClusterOptions(), progress or Silence())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Place:
    home = tmp_path_factory.mktemp("home")
    run = exported_show.make_show(home, NAME)
    for split, numbers in (("train", range(16)), ("validation", range(100, 104))):
        path = run.path / "dataset" / f"dialogue.{split}.jsonl"
        path.rename(path.with_name(f"real.{split}.jsonl"))
        shows.write_lines(path, numbers, turns=4, words=4)  # shorter, so that tests are quick
    bases = home / "bases"
    shape = {"num_hidden_layers": 1, "max_position_embeddings": 4096}
    tiny_models.make_model(bases / "chat", "llama-3", **shape)
    tiny_models.make_model(bases / "other", "qwen2", **shape)
    return Place(home, run, bases)


@pytest.fixture
def place(made: Place, tmp_path: Path) -> Place:
    """One of its own."""
    home = tmp_path / "home"
    shutil.copytree(made.home, home)
    run = open_show_run(home, NAME, version="1")
    return Place(home, run, home / "bases")


@pytest.fixture(scope="module")
def trained(
    made: Place, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Place, Trained, Listener]:
    home = tmp_path_factory.mktemp("trained") / "home"
    shutil.copytree(made.home, home)
    run = open_show_run(home, NAME, version="1")
    place, listener = Place(home, run, home / "bases"), Listener()
    return place, place.train(listener), listener


def edit_lines(path: Path, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines
    path.write_text("".join(json.dumps(edit(line)) + "\n" for line in lines))


# -- what is left -------------------------------------------------------------------------------


def test_the_loss_falls_and_all_files_are_there(trained: tuple[Place, Trained, Listener]) -> None:
    place, done, listener = trained
    report = done.report
    assert not done.reused
    assert report.steps == 6
    assert report.validation_loss is not None
    assert report.base_validation_loss is not None
    assert report.validation_loss < report.base_validation_loss
    assert 0 < report.packing <= 1
    assert report.parameters > report.trained_parameters > 0
    assert report.peak_memory_bytes > 0
    assert report.checkpoints == ("step-00000006",)
    assert read_train_report(place.run) == report
    record = json.loads((place.folder / "record.json").read_text())
    assert set(record["outputs"]) == {
        "adapter/adapter_model.safetensors", "adapter/adapter_config.json", "base.json",
        "report.json", "curve.csv", "curve.png", "card.md",
    }  # fmt: skip
    assert record["options"]["rank"] == 4
    assert record["counts"] == {"steps": 6, "tokens": report.tokens}
    assert {p.name for p in place.folder.iterdir() if p.name.startswith(".")} <= {".result.json"}
    forecast, time = listener.notes
    assert " tokens/s" in time
    assert "memory: about" in forecast
    assert "free on the processor" in forecast
    assert "at most 6 steps over" in forecast
    assert list(dict.fromkeys(step for step, _ in listener.steps)) == [0, 1, 2, 3, 4, 5, 6]
    assert "held out" in listener.units[-1]
    assert "tokens/s" in listener.units[-1]


def test_the_curve_is_a_table_and_a_picture(trained: tuple[Place, Trained, Listener]) -> None:
    place, done, _ = trained
    with (place.folder / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(1, 7))
    assert min(float(row["validation"]) for row in rows if row["validation"]) == pytest.approx(
        done.report.validation_loss
    )
    assert (place.folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    events = (place.run.path / "events.jsonl").read_text().splitlines()
    assert [json.loads(e)["step"] for e in events if json.loads(e)["event"] == "train"] == [
        1, 2, 3, 4, 5, 6,
    ]  # fmt: skip


def test_the_card_says_whose_words_and_how_it_went(
    trained: tuple[Place, Trained, Listener],
) -> None:
    place, done, _ = trained
    card = (place.folder / "card.md").read_text()
    assert exported_show.HOST in card
    assert f"{done.report.base_validation_loss:.4f} before" in card
    assert f"{done.report.validation_loss:.4f} after" in card
    assert done.report.dataset_sha256[:16] in card
    assert done.report.base_sha256[:16] in card
    assert "| `rank` | 4 |" in card
    assert "made by AI" in card


def test_the_adapter_is_pefts_and_gives_the_loss_that_is_reported(
    trained: tuple[Place, Trained, Listener],
) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from podcaster.train.bases import describe_base
    from podcaster.train.spelling import GIVEN
    from podcaster.train.stage import read_examples

    place, done, _ = trained
    base = place.bases / "chat"
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, place.folder / "adapter").eval()
    found = read_examples(
        place.dataset / "dialogue.validation.jsonl", describe_base("x", base), "en", 4096
    ).found
    nats, count = 0.0, 0
    for example in found:
        labels = torch.tensor(example.ids.astype("int64")).where(
            torch.tensor(example.owners) != GIVEN, torch.tensor(-100)
        )
        told = int((labels[1:] != -100).sum())
        with torch.no_grad():
            given = torch.tensor(example.ids.astype("int64"))[None]
            nats += float(model(input_ids=given, labels=labels[None]).loss) * told
        count += told
    assert count > 100
    assert nats / count == pytest.approx(done.report.validation_loss, rel=1e-3)


def test_real_windows_are_learned_by_another_family(place: Place) -> None:
    for split in ("train", "validation"):
        real = place.dataset / f"real.{split}.jsonl"
        real.replace(place.dataset / f"dialogue.{split}.jsonl")
        keep(place, split, 2)
    done = place.train(base=str(place.bases / "other"), max_steps=2, learning_rate=0.01)
    assert done.report.validation_loss is not None
    assert done.report.base_validation_loss is not None
    assert done.report.validation_loss < done.report.base_validation_loss


# -- again --------------------------------------------------------------------------------------


def test_a_second_run_has_nothing_to_do_until_something_changes(place: Place) -> None:
    first = place.train(max_steps=2)
    assert place.train(max_steps=2).reused
    # neither of these changes the result
    assert place.train(max_steps=2, workers=1, row_tokens=5000).reused
    changed = place.train(max_steps=2, learning_rate=1e-4)
    assert not changed.reused
    assert changed.report.learning_rate == 1e-4
    assert changed.report.base_validation_loss == first.report.base_validation_loss
    edit_lines(place.dataset / "dialogue.train.jsonl", lambda line: {**line, "episode": "New"})
    again = place.train(max_steps=2, learning_rate=1e-4)
    assert not again.reused
    assert again.report.dataset_sha256 != changed.report.dataset_sha256
    (place.folder / "adapter" / "adapter_model.safetensors").write_bytes(b"")
    assert not place.train(max_steps=2, learning_rate=1e-4).reused
    assert place.train(max_steps=2, learning_rate=1e-4).reused


def test_a_killed_training_goes_on_where_it_was(
    trained: tuple[Place, Trained, Listener], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = podcaster.train.stage.Job

    def often(**given: Any) -> Any:
        return honest(**{**given, "save_every": 2})

    monkeypatch.setattr(podcaster.train.stage, "Job", often)
    with pytest.raises(Killed):
        place.train(Listener(5))
    assert not (place.folder / "record.json").exists()
    with pytest.raises(InputError, match="has no trained model"):
        read_train_report(place.run)
    listener = Listener()
    # with less memory than before
    done = place.train(listener, row_tokens=600)
    assert list(dict.fromkeys(step for step, _ in listener.steps)) == [0, 4, 5, 6]
    whole = trained[1].report
    assert done.report.train_loss == pytest.approx(whole.train_loss, abs=1e-4)
    assert done.report.validation_loss == pytest.approx(whole.validation_loss, abs=1e-4)
    assert done.report.tokens == whole.tokens


def test_a_damaged_checkpoint_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = podcaster.train.stage.Job
    monkeypatch.setattr(
        podcaster.train.stage, "Job", lambda **given: honest(**{**given, "save_every": 1})
    )
    with pytest.raises(Killed):
        place.train(Listener(4))
    path = place.folder / "checkpoints" / "step-00000003" / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = place.train()
    assert done.notes == ("the checkpoint step-00000003 was damaged and was passed over",)


# -- datasets -----------------------------------------------------------------------------------


def keep(place: Place, split: str, count: int) -> None:
    path = place.dataset / f"dialogue.{split}.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:count]))


def test_one_example_is_enough(place: Place) -> None:
    keep(place, "train", 1)
    keep(place, "validation", 0)
    done = place.train(max_steps=3)
    assert done.report.steps == 3
    assert done.report.validation_loss is None
    assert "nothing is held out: the last step is kept, not the best" in done.notes
    assert "holds nothing out" in (place.folder / "card.md").read_text()


def test_no_example_is_refused(place: Place) -> None:
    keep(place, "train", 0)
    with pytest.raises(InputError, match=r"has no example to learn from.*show dataset"):
        place.train()


def test_a_show_without_a_dataset_is_told_how_to_make_one(place: Place) -> None:
    (place.dataset / "dialogue.validation.jsonl").unlink()
    with pytest.raises(InputError, match=r"lacks dialogue\.validation\.jsonl.*show dataset"):
        place.train()
    shutil.rmtree(place.dataset)
    with pytest.raises(InputError, match=r"has no dataset\. Make it with `podcaster show dataset"):
        place.train()


def test_a_role_that_nobody_has_is_told() -> None:
    from podcaster.train.spelling import HOST, Example
    from podcaster.train.stage import Examples, check_examples

    alone = Example(np.arange(9, dtype=np.int32), np.full(9, HOST, np.int8))
    found = Examples((alone,), 0, 0)
    for roles in ("both", "guest"):
        with pytest.raises(InputError, match=r"Nobody in the dataset of tea speaks as guest"):
            check_examples(found, found, "tea", roles, 512)
    assert check_examples(found, found, "tea", "host", 512) == []


def test_windows_longer_than_the_context_lose_their_end_and_it_is_told(place: Place) -> None:
    tiny_models.edit_json(place.bases / "chat" / "config.json", max_position_embeddings=256)
    done = place.train(max_steps=2)
    (note, *_) = done.notes
    assert "examples are longer than the base's 256 tokens and lose their end" in note
    assert "--tokenizer" in note
    tiny_models.edit_json(place.bases / "chat" / "config.json", max_position_embeddings=16)
    with pytest.raises(InputError, match="has no example to learn from"):
        place.train(max_steps=2)


def test_a_dataset_made_with_longer_windows_is_read_whole(place: Place) -> None:
    tiny_models.edit_json(place.bases / "chat" / "config.json", max_position_embeddings=16384)

    def lengthen(line: dict[str, Any]) -> dict[str, Any]:
        return {**line, "messages": line["messages"][:1] + line["messages"][1:] * 60}

    keep(place, "train", 1)
    edit_lines(place.dataset / "dialogue.train.jsonl", lengthen)
    done = place.train(max_steps=1)
    assert done.notes == ()
    assert done.report.context > 4096


def test_a_broken_line_is_named_before_anything_is_trained(place: Place) -> None:
    with (place.dataset / "dialogue.validation.jsonl").open("a") as file:
        file.write('{"messages": 7}\n')
    with pytest.raises(InputError, match=r"^Line \d+ of .*dialogue\.validation\.jsonl"):
        place.train()
    assert not (place.folder / "checkpoints").exists()


# -- bases and machines -------------------------------------------------------------------------


def test_a_tokenizer_of_another_model_is_told(place: Place) -> None:
    tiny_models.edit_json(place.bases / "chat" / "config.json", vocab_size=100)
    with pytest.raises(InputError, match=r"makes the token \d+, and its model knows 100"):
        place.train()
    (place.bases / "chat" / "tokenizer.json").write_text('{"added_tokens": []')
    with pytest.raises(InputError, match="Reading the tokenizer of"):
        place.train()


def test_memory_that_does_not_suffice_is_told_before_anything_is_trained(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    little = replace(find_device(), free_bytes=300_000_000)
    monkeypatch.setattr(training, "find_device", lambda: little)
    with pytest.raises(InputError, match=r"needs about .*the processor has 270.* free") as told:
        place.train(checkpointing="off")
    assert 'checkpointing = "on"' in str(told.value)
    with pytest.raises(InputError, match=r"smaller `--context`, or lower rank or row_tokens"):
        place.train(checkpointing="auto")
    assert not (place.folder / "record.json").exists()


def test_four_bits_need_a_gpu(place: Place) -> None:
    if find_device().gpu:
        pytest.skip("there is a GPU")
    with pytest.raises(EngineMissing, match="A base in 4 bits needs a GPU"):
        place.train(quantise_base="4bit")


@pytest.mark.parametrize(
    ("name", "tflops"),
    [("NVIDIA L4", 121), ("NVIDIA L40S", 362), ("NVIDIA H100 80GB HBM3", 989), ("Other", None)],
)
def test_a_gpu_is_known_by_its_whole_name_in_the_price_table(
    tmp_path: Path, name: str, tflops: int | None
) -> None:
    prices = read_prices(tmp_path)
    device = Device(name, "cuda:0", True, 1, True)
    peak = device.peak_flops(prices)
    assert peak == (tflops * 1e12 if tflops else None)
    assert (device.price(prices, 3600) is None) == (tflops is None)
    assert Device(name, "cpu", False, 1, False).peak_flops(prices) is None


# -- the command --------------------------------------------------------------------------------


def test_the_command_prints_what_a_script_needs(place: Place) -> None:
    given = ["show", "train", NAME, "--base", str(place.bases / "chat"), "--max-steps", "2",
             "--rank", "4", "--home", str(place.home), "--json"]  # fmt: skip
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told.keys() >= {
        "adapter", "steps", "tokens_per_s", "train_loss", "validation_loss",
        "base_validation_loss", "checkpoints", "peak_memory_bytes",
    }  # fmt: skip
    assert told["steps"] == 2
    assert (Path(told["adapter"]) / "adapter_config.json").is_file()
    assert [Path(one).is_dir() for one in told["checkpoints"]] == [True]
    again = CliRunner().invoke(app, given[:-1])
    assert again.exit_code == 0, again.output
    assert "nothing to do" in again.stdout
    assert "Next: podcaster show export" in again.stdout


def test_a_show_that_is_not_there_is_told(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["show", "train", "Nobody", "--home", str(tmp_path)])
    assert result.exit_code == 3
    assert "Traceback" not in result.output
