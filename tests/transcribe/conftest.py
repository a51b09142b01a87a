"""Tiny speech models that the real libraries load, and recordings that they know.

`tiny_whisper` is a folder that faster-whisper opens, `tiny_aligner` one that whisperX opens. Both
are trained once a session (some 40 s on two cores), on `spoken_clips`: four sentences in two
voices. They know these and nothing else: put clips into a recording in any order, none twice within
30 s of speech, with `join_clips`.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _import_tiny_models() -> ModuleType:
    pytest.importorskip("faster_whisper", reason="needs the extra asr")
    pytest.importorskip("whisperx", reason="needs the extra asr")
    name = "podcaster_tiny_models"
    if name not in sys.modules:
        path = Path(__file__).with_name("tiny_models.py")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def tiny_models() -> ModuleType:
    """The module that makes them: `join_clips`, `build_english_only_whisper`, …"""
    return _import_tiny_models()


@pytest.fixture(scope="session")
def spoken_clips(tiny_models: ModuleType) -> tuple[Any, ...]:
    """Four sentences, each with `voice`, `text`, `samples` (float32 at 16 kHz), `duration_s`."""
    clips: tuple[Any, ...] = tiny_models.speak_clips()
    return clips


@pytest.fixture(scope="session")
def tiny_whisper(
    tiny_models: ModuleType, spoken_clips: tuple[Any, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder as ctranslate2's converter makes it, of a Whisper that knows the clips."""
    folder: Path = tiny_models.build_whisper(tmp_path_factory.mktemp("whisper"), spoken_clips)
    return folder


@pytest.fixture(scope="session")
def tiny_aligner(
    tiny_models: ModuleType, spoken_clips: tuple[Any, ...], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder as transformers saves it, of a wav2vec 2.0 that spells the clips."""
    folder: Path = tiny_models.build_aligner(tmp_path_factory.mktemp("aligner"), spoken_clips)
    return folder
