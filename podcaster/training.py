"""The stage `train` over a show: its dataset and a base model become a LoRA adapter.

runs/tea-talk/train/
  adapter/       adapter_model.safetensors, adapter_config.json: the best, as peft saves it
  base.json      which model it belongs to, and where that lies
  report.json    curve.csv  curve.png  card.md  record.json (the commit)
  checkpoints/   from which a killed training goes on
"""

import hashlib
import importlib
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from podcaster import __version__
from podcaster.config import ClusterOptions
from podcaster.dataset.costs import read_prices
from podcaster.devices import Device, describe_cluster, find_device
from podcaster.errors import EngineMissing, InputError
from podcaster.model import Record, to_json
from podcaster.preparing import read_recording_counts
from podcaster.progress import Progress
from podcaster.quiet import hush
from podcaster.recordings import DATASET, TRAIN
from podcaster.run import (
    RECORD_NAME,
    Run,
    atomic_path,
    changed_outputs,
    fingerprint,
    open_show_run,
    read_record,
    sha256_file,
    write_atomic,
    write_record,
)
from podcaster.setup.cache import find_adapter, find_model
from podcaster.show import read_sources
from podcaster.train.bases import BUILTIN, Base, describe_base, find_base, read_shape
from podcaster.train.estimates import (
    Forecast,
    choose_rate,
    count_flops,
    fit_memory,
)
from podcaster.train.options import TrainOptions
from podcaster.train.packing import count_efficiency, fit_row, pack, plan_epoch
from podcaster.train.report import (
    REPORT,
    TrainReport,
    draw_curve,
    format_curve,
    list_versions,
    write_card,
)
from podcaster.trained import read_train_report

TRAIN_FILE, VALIDATION_FILE = "dialogue.train.jsonl", "dialogue.validation.jsonl"
CURVE, PICTURE, CARD, BASE = "curve.csv", "curve.png", "card.md", "base.json"
BASES = "base"  # where the built-in model is spelled out
SMALLEST_CONTEXT = 1024  # by which rows and steps are measured, however short the examples
ROW_CONTEXTS = 4  # of a row, or a little less: so long, hardly a slot of it stays empty
SMALL_PARAMETERS = 50_000_000
WITHOUT_EFFECT = ("workers", "row_tokens")
FREE_SHARE = 0.9  # of the memory that is free, for us
SPEAKERS_ON_CARD = 12


@dataclass(frozen=True)
class Trained:
    """A training that ended, and whether it was there already."""

    report: TrainReport
    folder: Path
    reused: bool
    notes: tuple[str, ...] = ()


def train_show(
    home: Path,
    name: str,
    options: TrainOptions,
    cluster: ClusterOptions,
    progress: Progress,
) -> Trained:
    """Train on a show's dataset, or go on where a killed training stopped.

    The forecast is told before it begins. Raises InputError for a show without a dataset, a base
    that is not here, or memory that does not suffice; EngineMissing, EngineError, RunLocked.
    """
    run = open_show_run(home, name, version=__version__)
    with run.lock():
        return _Training(home, run, options, cluster, progress).run_all()


class _Training:
    """One training of one show."""

    def __init__(
        self,
        home: Path,
        run: Run,
        options: TrainOptions,
        cluster: ClusterOptions,
        progress: Progress,
    ) -> None:
        self.home, self.run, self.options, self.cluster = home, run, options, cluster
        self.progress = progress
        self.folder = run.stage_folder(TRAIN)
        self.notes: list[str] = []
        self.on_cluster = options.workers > 1 or bool(cluster.address)
        self.device = Device("the processor", "cpu", False, 0, False)

    def run_all(self) -> Trained:
        """Check, forecast, train, write."""
        dataset = self._find_dataset()
        stage = load_stage()
        base = self._open_base(stage)
        decided = {
            k: v for k, v in msgspec.to_builtins(self.options).items() if k not in WITHOUT_EFFECT
        }
        inputs = {"dataset": dataset, "base": base.sha256}
        engine = ", ".join(f"{name} {number}" for name, number in list_versions().items())
        expected = fingerprint(TRAIN, stage.STAGE_VERSION, decided, engine, inputs)
        record = read_record(self.folder / RECORD_NAME)
        if record and record.fingerprint == expected and not changed_outputs(record, self.folder):
            return Trained(read_train_report(self.run), self.folder, True)
        started = time.monotonic()
        with self._at_device():
            job, forecast = self._prepare(stage, base, expected)
            self.progress.note(forecast.format())
            result = self._train(stage, job, forecast)
        report = self._report(job, result, forecast, dataset)
        self._write(stage, job, result, report)
        write_record(
            self.folder / RECORD_NAME,
            Record(
                stage=TRAIN,
                item=self.run.name,
                fingerprint=expected,
                inputs=inputs,
                options=decided,
                engine=engine,
                outputs={o: sha256_file(self.folder / o) for o in self._outputs(stage)},
                seconds=round(time.monotonic() - started, 3),
                counts={"steps": report.steps, "tokens": report.tokens},
            ),
        )
        return Trained(report, self.folder, False, tuple(self.notes))

    def _outputs(self, stage: Any) -> tuple[str, ...]:
        adapter = [f"{stage.ADAPTER_FOLDER}/{n}" for n in stage.ADAPTER_FILES]
        return (*adapter, BASE, REPORT, CURVE, PICTURE, CARD)

    def _find_dataset(self) -> str:
        record = read_record(self.run.path / DATASET / RECORD_NAME)
        if record is None:
            raise InputError(
                f"The show {self.run.name} has no dataset.",
                next_step=f"Make it with `podcaster show dataset {self.run.name}`.",
            )
        digest = hashlib.sha256()
        for name in (TRAIN_FILE, VALIDATION_FILE):
            path = self.run.path / DATASET / name
            if not path.is_file():
                raise InputError(
                    f"The dataset of {self.run.name} lacks {name}.",
                    next_step=f"Make it again with `podcaster show dataset {self.run.name}`.",
                )
            digest.update(f"{name} {sha256_file(path)}\n".encode())
        return digest.hexdigest()

    def _open_base(self, stage: Any) -> Base:
        if self.options.base != BUILTIN:
            return find_base(self.options.base)
        adapter = find_adapter(BUILTIN)
        folder = stage.unpack_base(
            find_model(BUILTIN), Path(adapter) if adapter else None, self.folder / BASES
        )
        return describe_base(BUILTIN, folder)

    # -- what is to be done ---------------------------------------------------------------------

    def _prepare(self, stage: Any, base: Base, expected: str) -> tuple[Any, Forecast]:
        files = {n: self.run.path / DATASET / n for n in (TRAIN_FILE, VALIDATION_FILE)}
        language = read_sources(self.run).language or "en"
        examples = stage.read_examples(files[TRAIN_FILE], base, language, base.context_tokens)
        held_out = stage.read_examples(files[VALIDATION_FILE], base, language, base.context_tokens)
        self.notes += stage.check_examples(
            examples, held_out, self.run.name, self.options.roles, base.context_tokens
        )
        longest = max(map(len, (*examples.found, *held_out.found)))
        context = min(base.context_tokens, max(longest, SMALLEST_CONTEXT))
        shape = read_shape(Path(base.folder))
        rank = self.options.rank or (64 if shape.parameters < SMALL_PARAMETERS else 16)
        fitted = fit_memory(
            shape, self.options, rank=rank, context=context, longest=longest,
            free_bytes=int(self.device.free_bytes * FREE_SHARE), gpu=self.device.gpu,
            bf16=self.device.bf16,
        )  # fmt: skip
        fitted.check(base.name, self.device.name)
        # what lies together must not depend on the machine, or nobody could go on elsewhere
        lengths = [len(example) for example in examples.found]
        row_tokens = fit_row(lengths, ROW_CONTEXTS * context)
        batch_tokens = self.options.batch_tokens or 8 * context
        prices = read_prices(self.home)
        flops = count_flops(shape, lengths)
        workers = max(1, self.options.workers)
        peak = self.device.peak_flops(prices)
        job = stage.Job(
            base=base,
            options=fitted.options,
            train=str(files[TRAIN_FILE].resolve()),
            validation=str(files[VALIDATION_FILE].resolve()),
            folder=str(self.folder.resolve()),
            expected=expected,
            language=language,
            context=context,
            row_tokens=row_tokens,
            memory_tokens=fitted.row_tokens,
            batch_tokens=batch_tokens,
            learning_rate=self.options.learning_rate or choose_rate(shape.parameters),
            rank=rank,
            alpha=self.options.alpha or 2 * rank,
            flops_per_token=flops,
            peak_flops=peak * workers if peak else None,
        )
        per_epoch = len(plan_epoch(lengths, row_tokens, batch_tokens, 0, 0))
        steps = max(1, math.ceil(self.options.epochs * per_epoch))
        steps = min(steps, self.options.max_steps) if self.options.max_steps else steps
        tokens = round(sum(lengths) * steps / per_epoch)
        twice = fitted.options.checkpointing == "on"
        spent = count_flops(shape, lengths, checkpointing=twice)
        seconds = tokens * spent / (peak * prices.utilisation * workers) if peak else None
        forecast = Forecast(
            device=self.device.name,
            memory=fitted.memory,
            free_bytes=fitted.free_bytes,
            steps=steps,
            tokens=tokens,
            seconds=seconds,
            price=self.device.price(prices, (seconds or 0) * workers) if seconds else None,
            currency=prices.currency,
        )
        return job, forecast

    @contextmanager
    def _at_device(self) -> Iterator[None]:
        """Know what it is trained on: what the cluster says of itself, or this machine."""
        if not self.on_cluster:
            self.device = find_device()
            yield
            return
        from podcaster.grouping import open_cluster

        address = self.cluster.address or ("" if os.environ.get("RAY_ADDRESS") else "local")
        with open_cluster(address) as gpus:
            self.device = describe_cluster(gpus, read_prices(self.home))
            yield

    # -- the work -------------------------------------------------------------------------------

    def _train(self, stage: Any, job: Any, forecast: Forecast) -> Any:
        self.progress.report(TRAIN, 0, forecast.steps, "steps")

        def tell(point: Any, steps: int) -> None:
            held = f", held out {point.validation:.4f}" if point.validation is not None else ""
            mfu = f", MFU {point.mfu:.0%}" if point.mfu else ""
            self.progress.report(
                TRAIN,
                point.step,
                steps,
                f"steps, loss {point.loss:.3f}{held}, {point.tokens_per_s:,.0f} tokens/s{mfu}",
            )
            self.run.log_event("train", **msgspec.to_builtins(point))

        foretold = forecast.seconds is not None

        def hear(step: int, steps: int, what: str, tokens_per_s: float) -> None:
            nonlocal foretold
            if not foretold and not step and tokens_per_s:
                foretold = True
                self.progress.note(forecast.format_time(tokens_per_s))
            self.progress.report(TRAIN, step, steps, f"steps, {what}")

        if self.on_cluster:
            from podcaster.grouping import train_in_group

            told = (self.cluster.gpus_per_worker, self.cluster.cpus_per_worker)
            return train_in_group(job, max(1, self.options.workers), *told, tell)
        from podcaster.train.engine import Alone

        return stage.work(job, Alone(), self.device.torch_name, tell, hear)

    def _report(self, job: Any, result: Any, forecast: Forecast, dataset: str) -> TrainReport:
        state, shape = result.state, read_shape(Path(job.base.folder))
        points = state.points
        best = next((p for p in points if p.step == state.best_step), None)
        tail = points[-max(1, len(points) // 10) :]
        if state.best_loss is not None and state.best_loss >= (state.base_loss or 0):
            self.notes.append(
                "the held-out loss did not fall: train longer, on more recordings, or with a lower "
                "--learning-rate"
            )
        examples = load_stage().read_examples(Path(job.train), job.base, job.language, job.context)
        lengths = [len(example) for example in examples.found]
        seconds = sum(p.tokens - q for p, q in _with_before(points)) / max(1e-9, state.seconds)
        mfus = [p.mfu for p in points if p.mfu is not None]
        for name in result.damaged:
            self.notes.append(f"the checkpoint {name} was damaged and was passed over")
        return TrainReport(
            show=self.run.name,
            base=job.base.name,
            base_sha256=job.base.sha256,
            dataset_sha256=dataset,
            roles=self.options.roles,
            device=forecast.device,
            workers=max(1, self.options.workers),
            steps=state.step,
            best_step=state.best_step or state.step,
            stopped_early=state.stopped,
            tokens=state.tokens,
            tokens_per_s=round(seconds, 1),
            mfu=sorted(mfus)[len(mfus) // 2] if mfus else None,
            packing=round(
                count_efficiency(lengths, pack(lengths, job.row_tokens, 0), job.row_tokens), 4
            ),
            train_loss=sum(p.loss for p in tail) / len(tail),
            validation_loss=state.best_loss,
            validation_host=best.validation_host if best else None,
            validation_guest=best.validation_guest if best else None,
            base_validation_loss=state.base_loss,
            base_validation_host=state.base_host,
            base_validation_guest=state.base_guest,
            trained_parameters=shape.lora_parameters(job.rank),
            parameters=shape.parameters,
            rank=job.rank,
            alpha=job.alpha,
            learning_rate=job.learning_rate,
            context=job.context,
            row_tokens=job.memory_tokens,
            batch_tokens=job.batch_tokens,
            peak_memory_bytes=result.peak_memory_bytes,
            estimated_memory_bytes=forecast.memory.total,
            seconds=round(state.seconds, 1),
            checkpoints=tuple(sorted(p.name for p in (self.folder / "checkpoints").glob("step-*"))),
            versions=list_versions(),
            trained_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        )

    def _write(self, stage: Any, job: Any, result: Any, report: TrainReport) -> None:
        """Put everything in place; from here until the record, nothing is believed."""
        (self.folder / RECORD_NAME).unlink(missing_ok=True)
        adapter = self.folder / stage.ADAPTER_FOLDER
        shutil.rmtree(adapter, ignore_errors=True)
        (self.folder / f".{stage.ADAPTER_FOLDER}").replace(adapter)
        points = result.state.points
        write_atomic(self.folder / CURVE, format_curve(points).encode())
        with atomic_path(self.folder / PICTURE) as path:
            draw_curve(path, points, report.base_validation_loss, f"{report.show} on {report.base}")
        people = sorted(
            {who.name for one in read_recording_counts(self.run) if one.split == "train"
             for who in one.speakers}
        )[:SPEAKERS_ON_CARD]  # fmt: skip
        # what was 0, to be chosen, as it was chosen
        chosen = ("learning_rate", "rank", "alpha", "batch_tokens", "row_tokens")
        settings = {k: v for k, v in msgspec.to_builtins(self.options).items() if k != "workers"}
        settings |= {name: getattr(job, name) for name in chosen}
        settings["checkpointing"] = job.options.checkpointing
        write_atomic(self.folder / CARD, write_card(report, people, settings).encode())
        write_atomic(self.folder / BASE, to_json(job.base))
        write_atomic(self.folder / REPORT, to_json(report))


def load_stage() -> Any:
    """The module that trains. Raises EngineMissing where its libraries are not installed."""
    hush()
    try:
        return importlib.import_module("podcaster.train.stage")
    except ImportError as error:
        raise EngineMissing(
            f"Training needs libraries that cannot be loaded: {error}.",
            next_step="Install them with `pip install 'podcaster[train]'`.",
        ) from error


def _with_before(points: Sequence[Any]) -> list[tuple[Any, int]]:
    return list(zip(points, [0, *(p.tokens for p in points)], strict=False))
