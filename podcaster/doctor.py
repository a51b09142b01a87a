"""Doctor: what works on this machine, and what to type for the rest.

Libraries that hold native code are tried in a process of their own: one that crashes is a finding
like any other.
"""

import importlib.util
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal

from podcaster.engines import examine_extra
from podcaster.errors import EngineMissing, PodcasterError
from podcaster.model import Noun
from podcaster.probe import ProbeFailed, run_probe
from podcaster.setup.cache import cached_path, find_stand_in
from podcaster.setup.packaged import PACKAGED_MODELS, PackagedModel, find_packaged
from podcaster.units import format_bytes

OLDEST_PYTHON = (3, 11)
DEFAULT_PORT = 8080
LEAST_DISK_BYTES = 300_000_000  # an hour's episode with its clips
EASY_DISK_BYTES = 2_000_000_000
REINSTALL = "pip install --force-reinstall --no-deps --no-cache-dir"
# what is looked at: its package, code that tries it and prints a list, and how to spell that list
NATIVE_PROBES = {
    "eSpeak NG": (
        "espeakng-loader",
        """
import ctypes, json, espeakng_loader as loader
library = ctypes.CDLL(loader.get_library_path())
library.espeak_Info.restype = ctypes.c_char_p
rate = library.espeak_Initialize(2, 0, str(loader.get_data_path()).encode(), 0)
assert rate > 0, "eSpeak NG found no voices in its data folder"
print(json.dumps([library.espeak_Info(None).decode(), rate]))
""",
        "{}, {:,} Hz",
    ),
    "MP3 encoder": (
        "av",
        """
import av, json
av.codec.Codec("libmp3lame", "w")
print(json.dumps([av.__version__, *av.library_versions["libavcodec"]]))
""",
        "libmp3lame in PyAV {} (libavcodec {}.{}.{})",
    ),
    "fonts": (
        "pillow",
        """
import json, PIL
from PIL import ImageFont
font = ImageFont.load_default(40)
assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
print(json.dumps([font.getname()[0], PIL.__version__]))
""",
        "{} in Pillow {}",
    ),
}
EXTRAS = {
    "asr": "hearing recordings, and whose voice it is",
    "train": "training a show's own model",
    "tts": "cloned voices by XTTS",
    "provenance": "signing where an episode comes from",
    "cluster": "work over a Ray cluster",
}


class Finding(Noun, frozen=True):
    """One thing that was looked at.

    `missing`: no episode can be made without it. `warn`: something optional is not there, or will
    soon be trouble. Whatever is not `ok` says in `next_step` what to type.
    """

    what: str
    state: Literal["ok", "warn", "missing"]
    detail: str
    next_step: str | None = None

    def __post_init__(self) -> None:
        if self.state != "ok" and not self.next_step:
            raise ValueError(f"the finding {self.what!r} does not say what to do")


def examine(home: Path, *, port: int = DEFAULT_PORT) -> list[Finding]:
    """Look at everything an episode needs and everything optional, in a fixed order.

    `port` is the one that `podcaster feed serve` would listen on. Never raises: a check that
    fails is a finding. Leaves nothing behind in the workspace.
    """
    needed: dict[str, Callable[[], list[Finding]]] = {
        "Python": _check_python,
        "llama-cpp-python": _check_llama,
        **{what: partial(_check_native, what) for what in NATIVE_PROBES},
        "packaged models": _check_packaged,
        "voices": partial(_check_voices, home),
        "workspace": partial(_check_workspace, home),
        "settings": partial(_check_settings, home),
        "disk": partial(_check_disk, home),
    }
    optional: dict[str, Callable[[], list[Finding]]] = {
        "file locks": partial(_check_locks, home),
        "models": _check_models,
        "clones": partial(_check_clones, home),
        "extras": _check_extras,
        "cluster": partial(_check_cluster, home),
        "feed": partial(_check_feed, home),
        "port": partial(_check_port, port),
    }
    checks = {**needed, **optional}
    with ThreadPoolExecutor(max_workers=2) as pool:
        groups = pool.map(lambda what: _guard(what, checks[what], what in needed), checks)
        return [finding for group in groups for finding in group]


def makes_episodes(findings: Sequence[Finding]) -> bool:
    """Whether nothing is missing that an episode needs."""
    return not any(finding.state == "missing" for finding in findings)


def _guard(what: str, check: Callable[[], list[Finding]], needed: bool) -> list[Finding]:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 (what breaks a check must not end the examination)
        if isinstance(error, PodcasterError):
            text, step = error.message, error.next_step
        else:
            text, step = f"the check failed: {type(error).__name__}: {str(error)[:300]}", None
        return [
            Finding(
                what=what,
                state="missing" if needed else "warn",
                detail=text,
                next_step=step or f"Install podcaster again: `{REINSTALL} podcaster`.",
            )
        ]


def _check_python() -> list[Finding]:
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info >= OLDEST_PYTHON:
        return [Finding(what="Python", state="ok", detail=detail)]
    step = "Make the environment anew with Python 3.11 or later: `python3.11 -m venv .venv`."
    return [Finding(what="Python", state="missing", detail=detail, next_step=step)]


def _check_llama() -> list[Finding]:
    code = (
        "import json, llama_cpp; print(json.dumps("
        "[llama_cpp.__version__, bool(llama_cpp.llama_supports_gpu_offload())]))"
    )
    answer = _ask("llama-cpp-python", "llama-cpp-python", code)
    if isinstance(answer, Finding):
        return [answer]
    version, offload = answer
    built = "built for a GPU" if offload else "built for the processor"
    finding = Finding(what="llama-cpp-python", state="ok", detail=f"{version}, {built}")
    return [finding, _judge_gpu(version, offload)]


def _judge_gpu(version: str, offload: bool) -> Finding:
    from podcaster.setup.machine import find_gpus

    gpus = find_gpus()
    if not gpus:
        detail = "none seen; models run on the processor"
        return Finding(what="GPU", state="ok", detail=detail)
    detail = ", ".join(f"{gpu.name} ({format_bytes(gpu.memory_bytes)})" for gpu in gpus)
    if offload:
        return Finding(what="GPU", state="ok", detail=detail)
    flag = "-DGGML_METAL=on" if platform.system() == "Darwin" else "-DGGML_CUDA=on"
    return Finding(
        what="GPU",
        state="warn",
        detail=f"{detail}, which llama-cpp-python was built without",
        next_step=f"Build it in: `CMAKE_ARGS={flag} {REINSTALL} llama-cpp-python=={version}`.",
    )


def _check_native(what: str) -> list[Finding]:
    package, code, spelling = NATIVE_PROBES[what]
    answer = _ask(what, package, code)
    if isinstance(answer, Finding):
        return [answer]
    return [Finding(what=what, state="ok", detail=spelling.format(*answer))]


def _check_packaged() -> list[Finding]:
    """The models that pip installed, hashed; one that listens only where something can run it."""
    listens = importlib.util.find_spec("faster_whisper") is not None
    return [_check_weights(one) for one in PACKAGED_MODELS if one.kind != "transcribe" or listens]


def _check_weights(model: PackagedModel) -> Finding:
    what = f"model {model.name}"
    try:
        found = find_packaged(model.name)
    except EngineMissing as error:
        instead = find_stand_in() if model.kind == "write" else None
        detail = f"{error} Until then {instead.name} writes." if instead else error.message
        fatal = model.kind == "write" and not instead
        state: Literal["warn", "missing"] = "missing" if fatal else "warn"
        return Finding(what=what, state=state, detail=detail, next_step=error.next_step)
    detail = f"{format_bytes(model.size_bytes)}, SHA-256 {found.sha256[:16]}…"
    return Finding(what=what, state="ok", detail=detail)


def _check_voices(home: Path) -> list[Finding]:
    code = (
        "import json, sys, pathlib\n"
        "from podcaster.speak.voices import find_voices\n"
        "print(json.dumps(sorted(find_voices(pathlib.Path(sys.argv[1])))))\n"
    )
    step = "See what is wrong with `podcaster voice list`."
    try:
        names = run_probe(code, str(home))
    except ProbeFailed as error:
        return [Finding(what="voices", state="missing", detail=str(error), next_step=step)]
    listing = f"{len(names)}: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
    if len(names) < 2:
        detail = f"found {listing}; host and guest need one each"
        return [Finding(what="voices", state="missing", detail=detail, next_step=step)]
    return [Finding(what="voices", state="ok", detail=listing)]


def _check_workspace(home: Path) -> list[Finding]:
    place = _nearest_place(home)
    note = "" if place == home.absolute() else " (will be made)"
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
    except OSError as error:
        return [
            Finding(
                what="workspace",
                state="missing",
                detail=f"{home.absolute()} cannot be written: {error.strerror or error}",
                next_step="Choose another folder: `podcaster --help` and `--home FOLDER`, or "
                "`export PODCASTER_HOME=FOLDER`.",
            )
        ]
    return [Finding(what="workspace", state="ok", detail=f"{home.absolute()}{note}")]


def _check_settings(home: Path) -> list[Finding]:
    from podcaster.config import FILE_NAME, load_configuration

    origins = load_configuration(home, {}).origins.values()
    changed = sum(origin != "default" for origin in origins)
    there = "" if (home / FILE_NAME).is_file() else f"; no {FILE_NAME}, which is fine"
    return [Finding(what="settings", state="ok", detail=f"{changed} not the default{there}")]


def _check_disk(home: Path) -> list[Finding]:
    from podcaster.setup.machine import free_bytes

    free = free_bytes(home)
    detail = f"{format_bytes(free)} free in the workspace"
    if free >= EASY_DISK_BYTES:
        return [Finding(what="disk", state="ok", detail=detail)]
    state: Literal["warn", "missing"] = "warn" if free >= LEAST_DISK_BYTES else "missing"
    step = "Make room, for example with `podcaster runs clean RUN`, or choose another --home."
    return [Finding(what="disk", state=state, detail=detail, next_step=step)]


def _check_locks(home: Path) -> list[Finding]:
    """Try, in the workspace's own file system, that a second holder of a lock is refused."""
    import filelock

    with tempfile.TemporaryDirectory(dir=_nearest_place(home), prefix=".doctor-") as folder:
        path = Path(folder) / "lock"
        with filelock.FileLock(path, timeout=0, is_singleton=False):
            try:
                filelock.FileLock(path, timeout=0, is_singleton=False).acquire()
            except filelock.Timeout:
                return [Finding(what="file locks", state="ok", detail="a second holder is refused")]
    return [
        Finding(
            what="file locks",
            state="warn",
            detail="this file system lets two processes hold one lock",
            next_step="Never work on a run twice at once, or choose a --home on a local disk.",
        )
    ]


def _check_models() -> list[Finding]:
    from podcaster.setup.catalogue import Tier, tier_models
    from podcaster.setup.machine import free_bytes, hub_cache_folder

    findings = []
    for tier in Tier:
        models = tier_models(tier)
        if not models:
            continue
        here = [model.name for model in models if cached_path(model)]
        what = f"{tier} models"
        if here:
            findings.append(Finding(what=what, state="ok", detail=", ".join(here)))
        else:
            step = f"See what fits with `podcaster setup`, download with `podcaster setup {tier}`."
            findings.append(
                Finding(what=what, state="warn", detail="none downloaded", next_step=step)
            )
    folder = hub_cache_folder()
    detail = f"{folder}, {format_bytes(free_bytes(folder))} free"
    findings.append(Finding(what="model folder", state="ok", detail=detail))
    return findings


def _check_clones(home: Path) -> list[Finding]:
    """Which engine speaks for somebody's own voice. What is missing for XTTS is no fault."""
    from podcaster.config import load_configuration
    from podcaster.voicing import XTTS, choose_cloning_engine

    engine = choose_cloning_engine(load_configuration(home, {}).settings.speak)
    detail = "XTTS" if engine == XTTS else "a likeness; XTTS is not here"
    return [Finding(what="own voices", state="ok", detail=detail)]


def _check_extras() -> list[Finding]:
    return [_check_extra(extra, purpose) for extra, purpose in EXTRAS.items()]


def _check_extra(extra: str, purpose: str) -> Finding:
    versions, gone = examine_extra(extra)
    what = f"extra {extra}"
    if versions and not gone:
        return Finding(what=what, state="ok", detail=", ".join(versions))
    return Finding(
        what=what,
        state="warn",
        detail=f"for {purpose}; not installed: {', '.join(gone) or 'unknown to this install'}",
        next_step=f"Install it with `pip install 'podcaster[{extra}]'`.",
    )


def _check_cluster(home: Path) -> list[Finding]:
    """Join the cluster that the settings name, for a moment; nothing where they name none."""
    from podcaster.config import load_configuration
    from podcaster.joining import LOCAL, check_address

    address = load_configuration(home, {}).settings.cluster.address or os.environ.get("RAY_ADDRESS")
    if not address or address == LOCAL or not importlib.util.find_spec("ray"):
        return []
    check_address(address)
    return [Finding(what="cluster", state="ok", detail=f"Ray answers at {address}")]


def _check_feed(home: Path) -> list[Finding]:
    from podcaster.publish.feed import read_feed

    try:
        read_feed(home)
    except PodcasterError as error:
        step = error.next_step or "Make one: `podcaster feed init --title TITLE --url URL`."
        return [Finding(what="feed", state="warn", detail=error.message, next_step=step)]
    return [Finding(what="feed", state="ok", detail=f"set up in {home.absolute()}")]


def _check_port(port: int) -> list[Finding]:
    try:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
    except OSError as error:
        reason = error.strerror or str(error)
        step = f"Serve the feed on another: `podcaster feed serve --port {port % 65535 + 1}`."
        detail = f"{port} cannot be listened on: {reason}"
        return [Finding(what="port", state="warn", detail=detail, next_step=step)]
    return [Finding(what="port", state="ok", detail=f"{port} is free")]


def _ask(what: str, package: str, code: str) -> Any:
    """The probe's answer, or the finding that the package cannot be used."""
    try:
        return run_probe(code)
    except ProbeFailed as error:
        return Finding(
            what=what,
            state="missing",
            detail=f"{package} cannot be used: {error}",
            next_step=f"Install it again: `{REINSTALL} {package}`.",
        )


def _nearest_place(folder: Path) -> Path:
    """The folder itself, or what is nearest above it that exists."""
    absolute = folder.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.exists())
