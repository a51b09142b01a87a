"""Bases that training starts from, and those that are refused with a sentence."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

for library in ("torch", "transformers", "peft", "gguf", "accelerate"):
    pytest.importorskip(library, reason=f"training needs {library}: install podcaster[train]")

from podcaster.errors import InputError  # noqa: E402
from podcaster.train.bases import (  # noqa: E402
    describe_base,
    find_base,
    hash_base,
    read_shape,
)


def load_tiny_models() -> ModuleType:
    name = "podcaster_tiny_language_models"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "export" / "tiny_models.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


tiny_models = load_tiny_models()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_models.make_model(tmp_path / "model", "llama-3", num_hidden_layers=1)
    return tmp_path / "model"


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; None removes one."""
    value = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in value.items() if v is not None}))


# -- folders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["llama-3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"])
def test_the_shape_of_a_family_counts_its_parameters(tmp_path: Path, family: str) -> None:
    model = tiny_models.make_model(tmp_path, family)
    base = describe_base("x", tmp_path)
    assert base.chat == tiny_models.CHAT_TEMPLATE
    assert (base.bos, base.eos) == ("<|begin|>", "<|end|>")
    assert base.context_tokens == 512
    large = [p.numel() for n, p in model.named_parameters() if p.ndim > 1 and "vision" not in n]
    assert read_shape(tmp_path).parameters == sum(large)


def test_what_a_config_leaves_out_is_as_its_class_has_it(tmp_path: Path) -> None:
    tiny_models.make_seeing_model(tmp_path)
    path = tmp_path / "config.json"
    text = json.loads(path.read_text())["text_config"]
    for key in ("vocab_size", "num_attention_heads", "max_position_embeddings"):
        text.pop(key, None)
    edit(path, text_config=text)
    assert describe_base("x", tmp_path).vocabulary == 262_208
    assert read_shape(tmp_path).tied


def test_a_model_without_a_chat_template_is_refused(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    edit(folder / "tokenizer_config.json", chat_template=None)
    with pytest.raises(InputError, match=r"has no chat template.*Choose the instruct version"):
        describe_base("x", folder)


def test_the_hash_is_of_weights_tokenizer_and_configuration(folder: Path) -> None:
    first = hash_base(folder)
    (folder / "README.md").write_text("anything")
    assert hash_base(folder) == first
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        before = hash_base(folder)
        with (folder / name).open("ab") as file:
            file.write(b" ")
        assert hash_base(folder) != before


# -- refused ------------------------------------------------------------------------------------


def test_another_family_is_refused_by_name(folder: Path) -> None:
    edit(folder / "config.json", model_type="mamba")
    with pytest.raises(InputError, match=r"family 'mamba'; those that can be trained are llama, "):
        describe_base("x", folder)


def test_pickled_weights_are_not_opened(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no file ends in \.safetensors.*could run code"):
        describe_base("x", folder)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("model.gguf", "is a GGUF file; training starts from a folder"),
        ("nobody/has-this", "is not on this machine. Fetch it with `hf download nobody/has-this"),
        ("no such folder", "There is no model folder no such folder. Name `builtin`"),
        ("../../etc/passwd/x", "There is no model folder"),
        ("", "config.json cannot be read: No such file or directory. Name a folder"),
    ],
)
def test_what_is_not_here_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        find_base(name)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"max_position_embeddings": 0}, "max_position_embeddings = 0, expected a number"),
        ({"vocab_size": -4}, "vocab_size = -4, expected a number"),
        ({"vocab_size": "many"}, "vocab_size = 'many', expected a number"),
        ({"model_type": ["llama"]}, "family ['llama']"),
        ({"rope_scaling": {"rope_type": 4}}, ""),
    ],
)
def test_a_config_that_says_nonsense_is_told(
    folder: Path, changes: dict[str, Any], told: str
) -> None:
    edit(folder / "config.json", **changes)
    if not told:  # transformers warns of it and goes on
        assert describe_base("x", folder).context_tokens == 512
        return
    with pytest.raises(InputError) as error:
        describe_base("x", folder)
        read_shape(folder)
    assert told in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "4", "[" * 100_000, "\ufffe"])
def test_a_config_that_is_none_is_told(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"config\.json (is not valid JSON|holds no object)"):
        describe_base("x", folder)


def test_files_that_are_missing_are_told(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"There is no tokenizer\.json"):
        describe_base("x", folder)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json cannot be read: No such file"):
        describe_base("x", folder)
