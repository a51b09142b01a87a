"""Whole episodes, made by the command as a user types it."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

MINUTES = "2"
SEED = "11"


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


def podcaster(home: Path, *arguments: str) -> Done:
    command = [sys.executable, "-m", "podcaster", *arguments]
    done = subprocess.run(
        command, cwd=home, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    return Done(done.returncode, done.stdout, done.stderr)


def start_podcaster(home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "podcaster", *arguments]
    return subprocess.Popen(
        command,
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


EPISODE = ("episode", "--guest", "Barack Obama", "--minutes", MINUTES, "--seed", SEED, "--json")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workspace")


@pytest.fixture(scope="session")
def made(workspace: Path) -> Any:
    """One episode, made once; tests that change anything copy it."""
    done = podcaster(workspace, *EPISODE)
    assert done.code == 0, done.err
    return done.json


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """Serve the workspace's feed on a free port of this machine; yields the address."""
    command = [sys.executable, "-m", "podcaster", "feed", "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=home, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                if found:
                    break
            else:
                raise AssertionError("the server ended without saying where it listens")
            yield found.group()
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate()
