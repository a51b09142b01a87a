"""`auto` is a device that the library at hand knows, wherever a device can be told."""

import subprocess
import sys
from contextlib import closing

import pytest

from podcaster.engines import open_engine
from podcaster.errors import ConfigError, EngineMissing
from podcaster.placement import DEVICES, Library, choose_device

LIBRARIES: tuple[Library, ...] = ("torch", "ctranslate2", "onnxruntime")


@pytest.mark.parametrize("library", LIBRARIES)
def test_auto_is_never_handed_on(library: Library) -> None:
    pytest.importorskip(library)
    assert choose_device("auto", library) in ("cpu", "cuda")
    assert choose_device("cpu", library) == "cpu"


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_gpu_that_is_not_there_is_a_sentence(library: Library) -> None:
    pytest.importorskip(library)
    if choose_device("auto", library) == "cuda":
        pytest.skip("this machine has a GPU")
    with pytest.raises(EngineMissing, match=f"'cuda', but {library} finds no GPU") as error:
        choose_device("cuda", library)
    assert 'Set device = "auto" or "cpu"' in str(error.value.next_step)


def test_another_word_is_told_with_the_right_ones() -> None:
    with pytest.raises(ConfigError, match=r"'cuda:1', expected one of auto, cpu, cuda"):
        choose_device("cuda:1", "torch")


def test_nothing_is_imported_to_say_cpu() -> None:
    code = (
        "import sys\nfrom podcaster.placement import choose_device\n"
        "for library in ('torch', 'ctranslate2', 'onnxruntime'):\n"
        "    choose_device('cpu', library)\n"
        "print([m for m in ('torch', 'ctranslate2', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.engine
@pytest.mark.parametrize("device", [None, *DEVICES])
@pytest.mark.parametrize(
    ("stage", "name"), [("voiceprint", "resemblyzer"), ("transcribe", "builtin")]
)
def test_the_engines_that_bring_their_weights_open_on_each_device(
    stage: str, name: str, device: str | None
) -> None:
    pytest.importorskip("torch")
    if device == "cuda" and choose_device("auto", "torch") == "cpu":
        pytest.skip("this machine has no GPU")
    with closing(open_engine(stage, name, **({"device": device} if device else {}))) as engine:
        assert engine.id
