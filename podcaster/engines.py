"""The engines by name: where each lives and what must be installed for it.

Strings only: nothing here is imported until `open_engine` is called, so that the command line
stays instant and a missing extra is one sentence.
"""

import difflib
import importlib
import re
from dataclasses import dataclass
from importlib import metadata
from importlib.metadata import PackageNotFoundError
from typing import Any

from podcaster.errors import ConfigError, EngineMissing


@dataclass(frozen=True)
class EngineEntry:
    """Where an engine is: `module:Class`, and the extra (None: the base install has it).

    `batch`: how many clips a voicer likes to be handed at once. `memory_bytes`: what a process of
    it takes, if several of one thread each are the quickest way on processors.
    `distributions`: the packages whose versions affect what comes out.
    """

    target: str
    extra: str | None
    batch: int = 1
    memory_bytes: int = 0
    distributions: tuple[str, ...] = ()


ENGINES: dict[str, dict[str, EngineEntry]] = {
    "ingest": {"ytdlp": EngineEntry("podcaster.ingest.ytdlp:YtDlpPages", "pages")},
    "transcribe": {
        "faster_whisper": EngineEntry(
            "podcaster.transcribe.faster_whisper:FasterWhisperTranscriber",
            "asr",
            distributions=("faster-whisper", "ctranslate2"),
        ),
        "whisperx": EngineEntry(
            "podcaster.transcribe.whisperx:WhisperXAligner", "asr", distributions=("whisperx",)
        ),
        "builtin": EngineEntry(
            "podcaster.transcribe.builtin_diariser:BuiltinDiariser",
            "asr",
            distributions=("faster-whisper", "resemblyzer", "whisperx"),
        ),
        "pyannote": EngineEntry(
            "podcaster.transcribe.pyannote:PyannoteDiariser",
            "asr",
            distributions=("whisperx", "pyannote-audio"),
        ),
    },
    "voiceprint": {
        "resemblyzer": EngineEntry(
            "podcaster.voiceprint:Encoder", "asr", distributions=("resemblyzer",)
        ),
    },
    "dataset": {
        "llama_cpp": EngineEntry("podcaster.dataset.llama_cpp:LlamaCppTokenizer", None),
        "tokenizers": EngineEntry("podcaster.dataset.tokenizers:HuggingFaceTokenizer", "train"),
    },
    "export": {
        "gguf": EngineEntry(
            "podcaster.export.exporter:GgufExporter",
            "train",
            distributions=("gguf", "llama-cpp-python"),
        ),
    },
    "write": {"llama_cpp": EngineEntry("podcaster.write.llama_cpp:LlamaCppWriter", None)},
    "mark": {
        "audioseal": EngineEntry(
            "podcaster.mark.audioseal:AudioSealMarker", "watermark", distributions=("audioseal",)
        ),
    },
    "read": {"llama_cpp": EngineEntry("podcaster.write.llama_reading:LlamaCppReader", None)},
    # how long speech will be: by speaking it, where that is quick, or by a clock
    "time": {
        "espeak": EngineEntry("podcaster.speak.espeak:EspeakVoicer", None),
        "kokoro": EngineEntry("podcaster.speak.kokoro.clock:KokoroClock", None),
    },
    "speak": {
        "espeak": EngineEntry("podcaster.speak.espeak:EspeakVoicer", None),
        "likeness": EngineEntry(
            "podcaster.speak.likeness.voicer:LikenessVoicer",
            None,
            memory_bytes=700_000_000,
            distributions=("onnxruntime",),
        ),
        "likeness_sketch": EngineEntry(
            "podcaster.speak.likeness.espeak:EspeakLikenessVoicer", None
        ),
        "coqui": EngineEntry(
            "podcaster.speak.coqui.voicer:CoquiVoicer", "tts", batch=8, distributions=("coqui-tts",)
        ),
        "kokoro": EngineEntry(
            "podcaster.speak.kokoro.voicer:KokoroVoicer",
            None,
            memory_bytes=700_000_000,
            distributions=("onnxruntime",),
        ),
    },
}


def describe_engine(stage: str, name: str) -> str:
    """An engine and the versions of its packages, for fingerprints; nothing is imported."""
    versions = []
    for distribution in ENGINES[stage][name].distributions:
        try:
            versions.append(f"{distribution} {metadata.version(distribution)}")
        except PackageNotFoundError:
            versions.append(f"{distribution} missing")
    return f"{name} ({', '.join(versions)})" if versions else name


def examine_extra(extra: str) -> tuple[list[str], list[str]]:
    """What an extra asks for: packages with versions, and those that are missing; none imported."""
    wanted = [
        re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        for requirement in metadata.requires("podcaster") or ()
        if re.search(rf"""extra\s*==\s*['"]{extra}['"]""", requirement)
    ]
    versions, missing = [], []
    for name in wanted:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    return versions, missing


def open_engine(stage: str, name: str, **settings: Any) -> Any:
    """Import an engine's module and open it with `settings`; the caller closes it.

    Raises ConfigError for a name that is not registered, EngineMissing where its library is not
    installed, and whatever the engine raises when it opens.
    """
    entries = ENGINES[stage]
    if name not in entries:
        close = difflib.get_close_matches(name, entries, n=1)
        raise ConfigError(
            f"There is no engine {name!r} for {stage}; there is {', '.join(sorted(entries))}.",
            next_step=f"Did you mean {close[0]!r}?" if close else None,
        )
    entry = entries[name]
    module_name, _, class_name = entry.target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        package = f"podcaster[{entry.extra}]" if entry.extra else "podcaster"
        raise EngineMissing(
            f"The {stage} engine {name!r} cannot be loaded: {error}.",
            next_step=f"Install it with `pip install '{package}'`.",
        ) from error
    return getattr(module, class_name)(**settings)
