"""Whole episodes, made by the command as a user types it."""

import json
import subprocess
import sys
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
