"""The shape of the project: an instant --help, and nothing heavy on the way to it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = set(
    """
    numpy torch transformers ray TTS llama_cpp pydub av lxml aiohttp PIL mutagen rich
    huggingface_hub requests trafilatura sentencex msgspec
    """.split()  # noqa: SIM905 - a list of words is easier to read so
)


def modules_after(*arguments: str) -> set[str]:
    code = (
        "import json, sys\n"
        f"sys.argv = ['podcaster', *{list(arguments)!r}]\n"
        "from podcaster.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('\\n' + json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["episode", "--help"],
        ["feed", "--help"],
        ["voice", "--help"],
        ["show", "--help"],
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    modules = modules_after(*arguments)
    assert "typer" in modules  # the guard looked at something
    assert modules.isdisjoint(HEAVY)


def test_the_public_modules_have_a_first_sentence() -> None:
    files = sorted((ROOT / "podcaster").rglob("*.py"))
    assert len(files) > 30
    for file in files:
        assert file.read_text(encoding="utf-8").lstrip().startswith('"""'), file


def test_every_stage_of_an_episode_is_in_its_five_places() -> None:
    from podcaster.config import Settings
    from podcaster.pipeline import STAGE_NAMES
    from podcaster.stages import EPISODE_STAGES

    assert tuple(stage.name for stage in EPISODE_STAGES) == STAGE_NAMES
    for name in STAGE_NAMES:
        assert (ROOT / "podcaster" / name / "stage.py").is_file()
        assert (ROOT / "tests" / name).is_dir()
        assert hasattr(Settings(), name)


def test_every_registered_engine_opens_or_says_what_to_install() -> None:
    import importlib

    from podcaster.engines import ENGINES

    entries = [entry for kind in ENGINES.values() for entry in kind.values()]
    assert entries
    for entry in entries:
        module, _, name = entry.target.partition(":")
        try:
            engine = getattr(importlib.import_module(module), name)
        except ImportError:
            assert entry.extra is not None, entry.target
            continue
        assert isinstance(engine, type)


def test_nothing_names_a_registry_or_a_machine() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a git checkout")
    forbidden = [("pypi" + ".org"), ("files.python" + "hosted"), ("/wo" + "rk/"), ("/ro" + "ot/")]
    for name in tracked:
        file = ROOT / name
        if file.suffix in {".gguf", ".bloom", ".gz", ".png", ".jpg"} or not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        assert not [word for word in forbidden if word in text], name
