"""The stage `export` over a show: its trained model becomes GGUF files, proved before they count.

What a training left is checked first, then what the files take of disk. They are made in a scratch
folder, and get their place and their record only when all of them are there: an export that fails,
or is killed, leaves the one before it as it was.
"""

import os
import re
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from podcaster import __version__
from podcaster.engines import describe_engine, open_engine
from podcaster.errors import InputError
from podcaster.export.held_out import read_held_out
from podcaster.export.options import ExportOptions
from podcaster.export.stage import (
    STAGE_VERSION,
    BaseSize,
    Made,
    MadeFile,
    Task,
    Wanted,
    check_disk,
    choose_layers,
    choose_quantisations,
    measure_base,
    read_shapes,
)
from podcaster.exported import (
    REPORT,
    ExportedFile,
    ExportReport,
    Parity,
    read_export,
)
from podcaster.model import Record, Sha256, parse, to_json
from podcaster.progress import Progress
from podcaster.quiet import hush
from podcaster.recordings import DATASET, EXPORT, TRAIN
from podcaster.run import (
    RECORD_NAME,
    Run,
    changed_outputs,
    fingerprint,
    make_folder,
    open_show_run,
    read_bytes,
    read_record,
    sha256_file,
    write_atomic,
    write_record,
    writing,
)
from podcaster.setup.machine import free_bytes, total_memory_bytes
from podcaster.train.bases import BUILTIN, hash_base

BASE_FILE = "base.json"  # what a training says of its base
ADAPTER = "adapter"
ADAPTER_FILES = (f"{ADAPTER}/adapter_model.safetensors", f"{ADAPTER}/adapter_config.json")
BUILTIN_LICENCE = "Apache-2.0"
READ_ALONG = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
)
HELD_OUT = "dialogue.validation.jsonl"
ENGINE = "gguf"
SCRATCH = ".scratch"
FINGERPRINT_DIGITS = 12
SMALL_PARAMETERS = 100_000_000
SPARE_MEMORY_BYTES = 1_000_000_000  # of what is free, for everything else
MOST_README_BYTES = 20_000
_LICENCE = re.compile(rb"^license:[ \t]*([\w.+-]{1,60})[ \t]*\r?$", re.MULTILINE)


class TrainedBase(msgspec.Struct, frozen=True):
    """What of `base.json` counts here: the base's name as it was given, its folder and its hash."""

    name: str
    folder: str
    sha256: Sha256


@dataclass(frozen=True)
class Trained:
    """A finished training: the adapter's folder and its base's, both as they were then."""

    base: TrainedBase
    folder: Path
    adapter: Path
    adapter_sha256: str


@dataclass(frozen=True)
class Exported:
    """An export, and whether it was there already."""

    run: Run
    report: ExportReport
    reused: bool
    seconds: float


def export_show(home: Path, name: str, options: ExportOptions, progress: Progress) -> Exported:
    """Bring a show's exported model up to date with its training.

    Raises InputError for a show without a finished training, or whose adapter or base is no longer
    what it was; EngineMissing without the extra `train`; EngineError where a library or the proof
    fails; RunError where the disk is too full; RunLocked.
    """
    started = time.monotonic()
    run = open_show_run(home, name, version=__version__)
    folder = run.path / EXPORT
    with run.lock():
        trained = read_training(run)
        size = measure_base(trained.folder)
        wanted = _want(options, trained, size)
        inputs = _hash_inputs(run, trained)
        decided = {
            **{k: v for k, v in msgspec.to_builtins(wanted).items() if k != "threads"},
            "base": trained.base.name,
        }
        engine = describe_engine(EXPORT, ENGINE)
        expected = fingerprint(EXPORT, STAGE_VERSION, decided, engine, inputs)
        place = expected[:FINGERPRINT_DIGITS]
        record = read_record(folder / RECORD_NAME)
        if record and record.fingerprint == expected and not changed_outputs(record, folder):
            _remove_leftovers(folder, place)
            return Exported(run, read_export(run), True, round(time.monotonic() - started, 3))
        report = _export(run, trained, wanted, size, place, progress)
        seconds = round(time.monotonic() - started, 3)
        record = Record(
            stage=EXPORT,
            item=run.name,
            fingerprint=expected,
            inputs=inputs,
            options=decided,
            engine=engine,
            outputs={},
            seconds=seconds,
            counts=msgspec.to_builtins(report.parity),
        )
        _commit(run, report, record, place)
    return Exported(run, report, False, seconds)


def read_training(run: Run) -> Trained:
    """What a show's training left, checked.

    Raises InputError where there is none, where the adapter is not whole or not what was recorded,
    and where the base is gone or another model is in its place.
    """
    folder = run.path / TRAIN
    record = read_record(folder / RECORD_NAME)
    again = f"Train it with `podcaster show train {run.name}`."
    if record is None or not (folder / BASE_FILE).is_file():
        raise InputError(f"The show {run.name} has no trained model.", next_step=again)
    where = folder / BASE_FILE
    base = parse(read_bytes(where), TrainedBase, where=str(where))
    _check_adapter(folder, record, again)
    place = Path(base.folder)
    if not (place / "config.json").is_file():
        raise InputError(
            f"The model {base.name} that {run.name} was trained from is gone: there is no "
            f"{place / 'config.json'}.",
            next_step=f"Bring it back to that place, or train anew with `podcaster show train "
            f"{run.name}`.",
        )
    if hash_base(place) != base.sha256:
        raise InputError(
            f"The model in {place} is not the one that {run.name} was trained from: its files have "
            "changed.",
            next_step=f"Put the files of {base.name} back, or train anew with `podcaster show "
            f"train {run.name}`.",
        )
    return Trained(base, place, folder / ADAPTER, record.outputs[ADAPTER_FILES[0]])


def _check_adapter(folder: Path, record: Record, again: str) -> None:
    for name in ADAPTER_FILES:
        path = folder / name
        if name not in record.outputs or not path.is_file():
            raise InputError(f"The training in {folder} left no {name}.", next_step=again)
        if sha256_file(path) == record.outputs[name]:
            continue
        if path.suffix == ".safetensors":
            try:
                read_shapes(path)
            except InputError as error:
                raise InputError(error.message, next_step=again) from error
        raise InputError(f"{path} is not what the training left: it has changed.", next_step=again)


def _want(options: ExportOptions, trained: Trained, size: BaseSize) -> Wanted:
    return Wanted(
        quantisations=choose_quantisations(options, size),
        with_base=options.with_base and trained.base.name != BUILTIN,
        perplexity_tokens=options.perplexity_tokens,
        threads=options.threads or _choose_threads(size),
    )


def _hash_inputs(run: Run, trained: Trained) -> dict[str, str]:
    inputs = {
        ADAPTER: trained.adapter_sha256,
        "adapter_config": sha256_file(trained.adapter / "adapter_config.json"),
        "base": trained.base.sha256,
    }
    for place, folder in (("base", trained.folder), (ADAPTER, trained.adapter)):
        for name in READ_ALONG:
            if (folder / name).is_file():
                inputs[f"{place}/{name}"] = sha256_file(folder / name)
    held_out = run.path / DATASET / HELD_OUT
    if held_out.is_file():
        inputs["held_out"] = sha256_file(held_out)
    return inputs


def _export(
    run: Run, trained: Trained, wanted: Wanted, size: BaseSize, place: str, progress: Progress
) -> ExportReport:
    """Make the files and what is to be said of them, in the scratch folder.

    Raises RunError where the disk is too full, EngineError where memory is short; see export_show.
    """
    hush()
    exporter = open_engine(EXPORT, ENGINE)
    scratch = run.path / EXPORT / SCRATCH
    _remove(scratch)  # of an export that was killed
    disk = free_bytes(run.path)
    check_disk(size, wanted.quantisations, with_base=wanted.with_base, free_bytes=disk)
    task = Task(
        name=run.name,
        title=run.name.replace("-", " ").title(),
        base_name=trained.base.name,
        base=trained.folder,
        adapter=trained.adapter,
        adapter_sha256=trained.adapter_sha256,
        licence=_find_licence(trained),
        wanted=wanted,
        layers=choose_layers(size, memory_bytes=_available_bytes(), disk_bytes=disk),
        texts=_read_held_out(run, trained, wanted.perplexity_tokens),
    )
    made_in = scratch / place
    make_folder(made_in)
    try:
        with closing(exporter), writing(made_in):
            made = exporter.export(task, made_in, scratch, progress)
            report = _describe(trained, task, made, made_in)
        write_atomic(made_in / REPORT, to_json(report))
    except BaseException:
        _remove(scratch)
        raise
    return report


def _commit(run: Run, report: ExportReport, record: Record, place: str) -> None:
    """Give the files their place, then the record, then remove what was there before."""
    folder = run.path / EXPORT
    final = folder / place
    with writing(final):
        if final.exists():  # files of the same name that are no longer what they were
            _remove(final)
        (folder / SCRATCH / place).rename(final)
    files = [*report.files, report.adapter, report.base_file]
    outputs = {file.path: file.sha256 for file in files if file is not None}
    outputs[f"{place}/{REPORT}"] = sha256_file(final / REPORT)
    write_record(folder / RECORD_NAME, msgspec.structs.replace(record, outputs=outputs))
    _remove_leftovers(folder, place)


def _remove_leftovers(folder: Path, place: str) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and entry.name != place:
            _remove(entry)


def _remove(folder: Path) -> None:
    """Remove a folder of ours; what cannot be removed does no harm."""
    shutil.rmtree(folder, ignore_errors=True)


def _describe(trained: Trained, task: Task, made: Made, made_in: Path) -> ExportReport:
    def keep(file: MadeFile) -> ExportedFile:
        path = made_in / file.name
        return ExportedFile(
            path=f"{made_in.name}/{file.name}",
            quantisation=file.quantisation,
            size_bytes=path.stat().st_size,
            sha256=sha256_file(path),
            perplexity=file.perplexity,
            agreement=file.agreement,
        )

    files = tuple(keep(file) for file in made.files)
    return ExportReport(
        show=task.name,
        base=trained.base.name,
        architecture=made.architecture,
        adapter_sha256=trained.adapter_sha256,
        quantisation=files[0].quantisation,
        files=files,
        adapter=keep(made.adapter) if made.adapter else None,
        parity=Parity(
            tokens=made.tokens,
            token_ids_equal=made.token_ids_equal,
            caveat=made.caveat,
            max_logit_difference=made.max_logit_difference,
            precision=made.precision,
            layers=made.layers,
            all_layers=made.all_layers,
            half_precision_gelu=made.half_precision_gelu,
        ),
        perplexity=files[0].perplexity,
        perplexity_before=made.perplexity,
        base_file=keep(made.base) if made.base else None,
        exported_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _read_held_out(run: Run, trained: Trained, most_tokens: int) -> tuple[str, ...]:
    """Held-out dialogues as the model reads them; none where the show holds nothing out."""
    where = run.path / DATASET / HELD_OUT
    if not where.is_file() or not most_tokens:
        return ()
    return read_held_out(where, _open_speller(trained), most_tokens)


def _open_speller(trained: Trained) -> Any:
    """The chat template of the tokenizer that the model was trained with."""
    own = (trained.adapter / "tokenizer.json").is_file()
    folder = trained.adapter if own else trained.folder
    with closing(open_engine(DATASET, "tokenizers", path=str(folder))) as tokenizer:
        return tokenizer.chat.spell


def _find_licence(trained: Trained) -> str:
    """What the base's card says; what was made of it is bound by the same."""
    if trained.base.name == BUILTIN:
        return BUILTIN_LICENCE
    try:
        with (trained.folder / "README.md").open("rb") as file:
            found = _LICENCE.search(file.read(MOST_README_BYTES))
    except OSError:
        found = None
    return found[1].decode() if found else f"as {trained.base.name}"


def _available_bytes() -> int:
    """Memory that is free, here or in the container that this runs in."""
    import psutil

    used = psutil.Process().memory_info().rss
    free = min(psutil.virtual_memory().available, total_memory_bytes() - used)
    return max(0, int(free) - SPARE_MEMORY_BYTES)


def _choose_threads(size: BaseSize) -> int:
    """One for a small model: more wait for each other at every layer."""
    if size.parameters < SMALL_PARAMETERS:
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
