"""A show's trained model becomes files that are proved, whole, once, and found by its name."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

for library in ("torch", "transformers", "tokenizers", "peft", "gguf"):
    pytest.importorskip(library, reason=f"export needs {library}: install podcaster[train]")

from podcaster.cli import app  # noqa: E402
from podcaster.errors import EngineError, InputError, PodcasterError, RunError  # noqa: E402
from podcaster.export.options import ExportOptions  # noqa: E402
from podcaster.export.stage import (  # noqa: E402
    BaseSize,
    choose_quantisations,
    list_weights,
    measure_base,
)
from podcaster.exported import find_named_model, read_export  # noqa: E402
from podcaster.exporting import Exported, export_show, read_training  # noqa: E402
from podcaster.model import Record, to_json  # noqa: E402
from podcaster.progress import Silence  # noqa: E402
from podcaster.run import Run, open_show_run, sha256_file, write_record  # noqa: E402
from podcaster.train.bases import hash_base  # noqa: E402
from tests.export.tiny_models import edit_json, make_adapter, make_model  # noqa: E402

pytestmark = pytest.mark.engine

ALL = ("F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M")


def train(run: Run, base: Path, model: Any, *, name: str = "my/base", **lora: Any) -> None:
    """Leave what a finished training leaves: an adapter, its base, the record."""
    folder = run.path / "train"
    lora = {"target_modules": ["q_proj", "v_proj", "down_proj"], **lora}
    make_adapter(folder / "adapter", model, **lora)
    written = {
        "name": name,
        "folder": str(base),
        "sha256": hash_base(base),
        "model_type": "llama",
    }
    (folder / "base.json").write_bytes(to_json(written))
    names = ["adapter/adapter_model.safetensors", "adapter/adapter_config.json"]
    record = Record(
        stage="train",
        item=run.name,
        fingerprint="0" * 64,
        inputs={},
        options={},
        engine="test",
        outputs={one: sha256_file(folder / one) for one in names},
        seconds=1.0,
    )
    write_record(folder / "record.json", record)


def hold_out(run: Run, *, lines: int = 12) -> None:
    """Held-out examples as the stage `dataset` writes them."""
    folder = run.path / "dataset"
    folder.mkdir(exist_ok=True)
    with (folder / "dialogue.validation.jsonl").open("w") as file:
        for number in range(lines):
            asked, said = f"Is the rocket number {number} going?", "To the moon, with bread. " * 6
            line: dict[str, Any] = {
                "messages": [
                    {"role": "user", "content": asked},
                    {"role": "assistant", "content": said},
                ],
                "show": "Tea Talk",
                "tokens": 120,
            }
            file.write(json.dumps(line) + "\n")


@pytest.fixture
def show(tmp_path: Path) -> Run:
    """A show with a small model (Llama) trained."""
    run = open_show_run(tmp_path, "Tea Talk", version="1", create=True)
    base = tmp_path / "base"
    model = make_model(base, "smollm")
    train(run, base, model)
    hold_out(run)
    return run


def export(run: Run, **options: Any) -> Exported:
    given = {"threads": 2, "perplexity_tokens": 600, **options}
    return export_show(run.path.parents[1], run.name, ExportOptions(**given), Silence())


def test_a_model_is_exported_and_proved(show: Run, tmp_path: Path) -> None:
    exported = export(show)
    report = exported.report
    assert not exported.reused
    assert report == read_export(show)
    assert (report.show, report.base, report.architecture) == ("tea-talk", "my/base", "llama")
    assert [file.quantisation for file in report.files] == ["Q8_0"] == [report.quantisation]
    parity = report.parity
    assert parity.tokens > 500
    assert parity.token_ids_equal
    assert 0 < parity.max_logit_difference < 1e-3
    assert (parity.layers, parity.all_layers, parity.precision) == (3, 3, "F32")
    before, after = report.perplexity_before, report.perplexity
    assert before is not None
    assert after == pytest.approx(before, rel=0.05)
    assert before > 5  # of random weights
    agreement = report.files[0].agreement
    assert agreement is not None
    assert 0.8 < agreement <= 1
    folder = show.path / "export"
    left = sorted(path.name for path in folder.iterdir())
    assert left == sorted([Path(report.files[0].path).parent.name, "record.json"])
    assert report.adapter is not None
    for file in (*report.files, report.adapter):
        assert sha256_file(folder / file.path) == file.sha256
        assert (folder / file.path).stat().st_size == file.size_bytes
    assert find_named_model(tmp_path, "tea talk").path == folder / report.files[0].path


def test_all_quantisations_of_one_model(tmp_path: Path) -> None:
    run = open_show_run(tmp_path, "Tea Talk", version="1", create=True)
    base = tmp_path / "base"
    model = make_model(
        base, "smollm", hidden_size=256, intermediate_size=256, num_hidden_layers=2
    )  # K-quants work on blocks of 256
    train(run, base, model)
    hold_out(run)
    report = export(run, quantise=ALL, with_base=True).report
    assert tuple(file.quantisation for file in report.files) == ALL
    assert report.quantisation == "F16"
    sizes = [file.size_bytes for file in report.files]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 5
    assert report.files[0].perplexity == report.perplexity_before
    assert report.files[0].agreement == 1
    assert all(file.perplexity and file.agreement for file in report.files)
    agreements = [file.agreement or 0 for file in report.files]
    assert agreements[1] > agreements[4]  # 8 bits say more than 4
    base_file = report.base_file
    assert base_file is not None
    assert base_file.quantisation == "F16"
    assert base_file.perplexity not in {None, report.perplexity}
    assert find_named_model(tmp_path, "Tea Talk:base").path.name == "tea-talk-base-F16.gguf"


def test_a_chat_model_is_read_with_its_template(tmp_path: Path) -> None:
    run = open_show_run(tmp_path, "Tea Talk", version="1", create=True)
    base = tmp_path / "base"
    train(run, base, make_model(base, "qwen2"))
    hold_out(run)
    report = export(run).report
    assert report.architecture == "qwen2"
    assert report.perplexity is not None
    lines = (run.path / "dataset/dialogue.validation.jsonl").read_text().replace("rocket", "bread")
    (run.path / "dataset/dialogue.validation.jsonl").write_text(lines)
    again = export(run).report
    assert again.perplexity not in {None, report.perplexity}  # it is that text that was read


def test_what_f16_cannot_hold_becomes_bf16(tmp_path: Path) -> None:
    import torch

    run = open_show_run(tmp_path, "Tea Talk", version="1", create=True)
    base = tmp_path / "base"
    model = make_model(base, "smollm")
    with torch.no_grad():
        feed_forward = model.model.layers[1].mlp
        feed_forward.up_proj.weight[5] = 0  # so that what is too large meets nothing
        feed_forward.down_proj.weight[:, 5] = 70_000
    model.save_pretrained(base)
    train(run, base, model, target_modules=["q_proj", "v_proj"])
    report = export(run, quantise=("F16", "Q8_0")).report
    assert [file.quantisation for file in report.files] == ["BF16", "Q8_0"]
    assert report.quantisation == "BF16"
    assert find_named_model(tmp_path, "tea talk").path.name == "tea-talk-BF16.gguf"


def test_an_adapter_with_whole_modules_has_no_file_of_its_own(tmp_path: Path) -> None:
    run = open_show_run(tmp_path, "Tea Talk", version="1", create=True)
    base = tmp_path / "base"
    model = make_model(base, "llama-3")
    train(run, base, model, modules_to_save=["embed_tokens"])
    report = export(run).report
    assert report.adapter is None
    assert report.parity.max_logit_difference < 1e-3


def test_what_is_there_is_not_made_again(show: Run) -> None:
    first = export(show)
    second = export(show)
    assert not first.reused
    assert second.reused
    assert second.report == first.report
    third = export(show, threads=1)
    assert third.reused  # how many threads there are does not matter
    other = export(show, quantise=("Q8_0", "F16"))
    assert not other.reused
    assert [file.quantisation for file in other.report.files] == ["Q8_0", "F16"]
    folders = [path.name for path in (show.path / "export").iterdir() if path.is_dir()]
    assert folders == [Path(other.report.files[0].path).parent.name]  # the older one is gone
    where = show.path / "export" / other.report.files[0].path
    where.write_bytes(where.read_bytes()[:-1])
    mended = export(show, quantise=("Q8_0", "F16"))
    assert not mended.reused
    assert sha256_file(where) == mended.report.files[0].sha256


def test_a_failed_proof_leaves_the_export_before(
    show: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = export(show).report
    train(show, show.path.parents[1] / "base", open_base(show), name="other/name")
    from podcaster.export import exporter, gguf

    written = gguf.write_model

    def write_base_alone(path: Path, base: Path, _adapter: Path, **told: Any) -> Any:
        return written(path, base, None, **told)  # the fault: the adapter is forgotten

    monkeypatch.setattr(exporter, "write_model", write_base_alone)
    with pytest.raises(EngineError, match=r"does not compute what transformers does: at token \d+"):
        export(show)
    assert read_export(show) == before
    assert [p.name for p in (show.path / "export").iterdir() if p.name == ".scratch"] == []
    monkeypatch.undo()
    assert export(show).report.base == "other/name"


def open_base(run: Run) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(run.path.parents[1] / "base")


def test_what_a_killed_export_left_is_removed(show: Run) -> None:
    scratch = show.path / "export" / ".scratch"
    scratch.mkdir(parents=True)
    (scratch / "whole.gguf").write_bytes(b"half")
    (show.path / "export" / "0123456789ab").mkdir()  # it was killed before its record
    report = export(show).report
    left = sorted(path.name for path in (show.path / "export").iterdir())
    assert left == sorted([Path(report.files[0].path).parent.name, "record.json"])


def test_without_held_out_text_there_is_no_perplexity(show: Run) -> None:
    (show.path / "dataset/dialogue.validation.jsonl").unlink()
    report = export(show).report
    assert report.perplexity is None
    assert report.perplexity_before is None
    assert report.parity.token_ids_equal


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda run: (run.path / "train/record.json").unlink(), "has no trained model"),
        (lambda run: (run.path / "train/base.json").unlink(), "has no trained model"),
        (
            lambda run: cut_in_half(run.path / "train/adapter/adapter_model.safetensors"),
            r"adapter_model\.safetensors has \d+ bytes, expected \d+: it is only a part",
        ),
        (
            lambda run: (run.path / "train/adapter/adapter_model.safetensors").write_bytes(b"\0"),
            "is not a safetensors file, or only its beginning",
        ),
        (
            lambda run: edit_json(run.path / "train/adapter/adapter_config.json", r=99),
            r"adapter_config\.json is not what the training left",
        ),
        (
            lambda run: (run.path / "train/adapter/adapter_model.safetensors").unlink(),
            r"left no adapter/adapter_model\.safetensors",
        ),
        (
            lambda run: edit_json(run.path / "train/base.json", folder="/nowhere/at/all"),
            r"The model my/base that tea-talk was trained from is gone.*Bring it back",
        ),
        (
            lambda run: edit_json(run.path.parents[1] / "base/config.json", rope_theta=5.0),
            "is not the one that tea-talk was trained from: its files have changed",
        ),
        (lambda run: edit_json(run.path / "train/base.json", sha256=7), "is not a valid trained"),
    ],
)  # fmt: skip
def test_a_training_that_is_not_whole_is_refused(show: Run, spoil: Any, message: str) -> None:
    assert read_training(show).base.name == "my/base"
    spoil(show)
    with pytest.raises(InputError, match=message) as caught:
        export(show)
    assert caught.value.next_step or "valid" in message
    assert not (show.path / "export").exists()


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_an_adapter_for_another_base_is_refused(show: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    make_model(other, "smollm", hidden_size=32)
    edit_json(show.path / "train/base.json", folder=str(other), sha256=hash_base(other))
    with pytest.raises(PodcasterError, match="is for another base"):
        export(show)


def test_too_full_a_disk_is_told_before_anything_is_written(
    show: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podcaster.exporting.free_bytes", lambda _: 1_000_000)
    with pytest.raises(RunError, match=r"needs 10\d\.\d MB of disk on its way, and 1\.0 MB are"):
        export(show)


def test_little_memory_compares_fewer_layers_and_says_so(
    show: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 600-odd tokens of 64, and three blocks of some 31,000 weights, at 9 bytes each
    monkeypatch.setattr("podcaster.exporting._available_bytes", lambda: 9 * 110_000)
    parity = export(show).report.parity
    assert (parity.layers, parity.all_layers) == (2, 3)
    monkeypatch.setattr("podcaster.exporting._available_bytes", lambda: 9 * 50_000)
    with pytest.raises(EngineError, match="Comparing even one layer with transformers takes"):
        export(show, quantise=("F16",))


def test_a_large_model_is_quantised_more_by_itself() -> None:
    small, large = BaseSize(32, 800_000_000, 100_000_000), BaseSize(32, 1_100_000_000, 0)
    assert choose_quantisations(ExportOptions(), small) == ("Q8_0",)
    assert choose_quantisations(ExportOptions(), large) == ("Q4_K_M",)
    asked = ExportOptions(quantise=("Q6_K", "F16", "Q6_K"))
    assert choose_quantisations(asked, large) == ("Q6_K", "F16")


def test_sizes_are_read_from_shards_without_opening_them(tmp_path: Path) -> None:
    model = make_model(tmp_path, "qwen2", max_shard_size="100KB", num_hidden_layers=4)
    assert len(list_weights(tmp_path)) > 2
    size = measure_base(tmp_path)
    assert size.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert size.layers == 4
    assert size.first(4) == size.parameters > size.first(2) > size.outside > 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors.index.json", b"[1]", "is not an index of safetensors files"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "../../x"}}', "not in its folder"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "b.safetensors"}}', "there is no"),
        ("model.safetensors", b"", "is not a safetensors file, or only its beginning"),
        ("model.safetensors", b"\xff" * 64, "is not a safetensors file, or only its beginning"),
        ("model.safetensors", (9).to_bytes(8, "little") + b'{"a": 1} ', "is not a safetensors"),
        ("model.safetensors", (2).to_bytes(8, "little") + b"{}" + b"x" * 9, "only a part"),
        ("model.safetensors", (2).to_bytes(8, "little") + b"{}", "has no layers"),
        ("readme.txt", b"", r"lacks its weights: there is no \*\.safetensors"),
    ],
)
def test_weights_that_are_none_are_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        measure_base(tmp_path)


# -- the command ------------------------------------------------------------------------------


def run_command(run: Run, *arguments: str) -> Any:
    home = str(run.path.parents[1])
    given = ["show", "export", "Tea Talk", "--home", home, *arguments]
    return CliRunner().invoke(app, given)


def test_the_command_says_where_and_how_good(show: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PODCASTER_EXPORT_PERPLEXITY_TOKENS", "300")
    done = run_command(show, "--quantise", "q8_0", "--quantise", "F16", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout.splitlines()[-1])
    report = read_export(show)
    assert Path(told["gguf"]).is_file()
    assert Path(told["gguf"]).stat().st_size == told["bytes"]
    assert Path(told["adapter_gguf"]).is_file()
    assert told["quantisation"] == "Q8_0"
    assert told["token_ids_equal"] is True
    assert told["max_logit_difference"] == report.parity.max_logit_difference
    assert told["perplexity"] == report.perplexity
    assert told["perplexity_before"] == report.perplexity_before
    assert [one["quantisation"] for one in told["files"]] == ["Q8_0", "F16"]
    assert told["reused"] is False
    shown = run_command(show, "--quantise", "q8_0", "--quantise", "F16")
    assert "nothing to do: it was exported before" in shown.stdout
    assert "token ids equal; logits within" in shown.stdout
    assert "podcaster episode --show tea-talk --guest NAME" in shown.stdout


def test_the_command_fails_with_a_sentence(show: Run) -> None:
    unknown = run_command(show, "--quantise", "Q9_Z")
    assert unknown.exit_code == 2
    assert "There is no quantisation 'Q9_Z'; there is F16, Q8_0, Q6_K" in unknown.stderr
    (show.path / "train/record.json").unlink()
    untrained = run_command(show)
    assert untrained.exit_code == 3
    assert "podcaster show train tea-talk" in untrained.stderr
