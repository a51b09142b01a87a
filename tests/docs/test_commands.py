"""Every command line of README.md and docs/ is run as it is typed, or says why it cannot be.

A document's lines are run in order, by a shell, in an empty workspace with an empty home; no other
machine can be asked. README.md comes first; the others are read by somebody who has followed it,
in the workspace where its show "Tea Talk" has been made, trained and exported.
"""

import importlib.util
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from podcaster.setup.packaged import locate_packaged
from tests.docs.command_lines import (
    CommandLine,
    documents,
    read_commands,
)
from tests.docs.material import make_environment, make_material, place_models
from tests.signing_chain import make_chain

NEEDED = ("torch", "peft", "faster_whisper", "ray", "c2pa")
PORT = 8080  # the feed's
ASKED = "PODCASTER_LONG_TESTS"

TYPED = [document for document in documents() if read_commands(document)]


class Reader:
    """Somebody who types what a document says, line by line, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "workspace"
        self.environment = make_environment(folder)
        make_material(self.workspace)
        place_models(folder / "home")

    def read(self, document: str) -> int:
        """Run a document's lines; returns how many were run."""
        lines = [line for line in read_commands(document) if not line.mark]
        for line in lines:
            self.type(line)
        return len(lines)

    def type(self, line: CommandLine) -> None:
        command = line.command
        if " install " in command:
            command = self._skip_installing(command)
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self.environment[name] = shlex.split(value)[0]
        elif " feed serve" in command:
            self._serve(line)
        elif command:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=self.workspace,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            told = f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
            assert done.returncode == 0, told
            assert "Traceback" not in done.stdout + done.stderr, told

    def _skip_installing(self, command: str) -> str:
        """What comes after the installing, which `check_install` and CI look after."""
        parts = command.split(" && ")
        rest = [part for part in parts if "-m venv" not in part and " install " not in part]
        if rest == [".venv/bin/just test"]:  # this is it
            return ""
        programs = self.workspace / ".venv" / "bin"
        if not programs.exists():
            programs.parent.mkdir()
            programs.symlink_to(self.workspace.parent / "bin")
        return " && ".join(part for part in rest if not part.startswith("pip "))

    def _serve(self, line: CommandLine) -> None:
        """Start the server, ask it for a page, end it as Ctrl-C does."""
        with socket.socket() as place:
            if place.connect_ex(("127.0.0.1", PORT)) == 0:
                pytest.skip(f"{line}: something else listens on port {PORT}")
        with subprocess.Popen(
            shlex.split(line.command),
            cwd=self.workspace,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as server:
            try:
                assert ask_for_nothing() == 404, line
            finally:
                server.send_signal(signal.SIGINT)
                told, _ = server.communicate()
        assert server.returncode in (0, 130), f"{line}\n{told}"
        assert "Traceback" not in told, f"{line}\n{told}"


def ask_for_nothing() -> int:
    """The status that the feed's server gives to whoever knows no address of it."""
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/feed.xml", timeout=10)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.2)
        else:
            return 200
    raise AssertionError("the server does not answer")


needs_weights = [
    pytest.mark.weights,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in NEEDED)
        or any(locate_packaged(name) is None for name in ("smollm2", "whisper-tiny.en")),
        reason="needs the extra all",
    ),
    pytest.mark.skipif(
        not os.environ.get(ASKED),
        reason=f"it takes an hour: `just test-long`, which sets {ASKED}",
    ),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """Who has typed all of README.md, and reads on."""
    reader = Reader(tmp_path_factory.mktemp("reader"))
    assert reader.read("README.md") >= 20
    return reader


def prepare(document: str, workspace: Path) -> None:
    """What a document presumes that README.md did not leave."""
    if document == "docs/publishing.md":  # another feed
        shutil.rmtree(workspace / "feed")
    if document == "docs/voices.md":  # no voices yet
        shutil.rmtree(workspace / "voices")
    if document == "docs/provenance.md":
        episode = next(workspace.glob("runs/*/publish/episode.mp3"))
        shutil.copyfile(episode, workspace / "episode.mp3")
        shutil.copyfile(make_chain(workspace) / "ca.pem", workspace / "authority.pem")


class TestReading:
    pytestmark = needs_weights

    def test_readme_makes_episodes_and_a_show(self, reader: Reader) -> None:
        runs = reader.workspace / "runs"
        assert len(list(runs.glob("*/publish/episode.mp3"))) >= 5
        (script,) = runs.glob("ada-*/write/script.md")
        assert "I have changed this line." in script.read_text("utf-8")
        assert list((runs / "tea-talk" / "export").glob("*/*.gguf"))

    @pytest.mark.parametrize("document", [one for one in TYPED if one != "README.md"])
    def test_document(self, document: str, reader: Reader) -> None:
        prepare(document, reader.workspace)
        typed = [line for line in read_commands(document) if not line.mark]
        assert reader.read(document) == len(typed)
