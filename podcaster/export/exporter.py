"""Makes an export: the proof first, then the merged model, its quantisations, and the adapter.

Imports torch, gguf and llama_cpp: reach this module by `open_engine("export", "gguf")` only.
"""

from pathlib import Path

from podcaster.errors import InputError
from podcaster.export.gguf import (
    ModelCard,
    Precision,
    WrittenModel,
    quantise,
    write_adapter,
    write_model,
)
from podcaster.export.llama_cpp import LlamaCppModel
from podcaster.export.parity import ParityFigures, check_parity
from podcaster.export.perplexity import Reading, read_texts
from podcaster.export.stage import Made, MadeFile, Task
from podcaster.progress import Progress

STAGE = "export"
F32: Precision = "F32"
F16: Precision = "F16"
BF16: Precision = "BF16"
MOST_PARITY_TEXTS = 20
LONGEST_PARITY_TEXT = 4000  # characters


class GgufExporter:
    """The engine of the stage: transformers' folders in, GGUF files out."""

    def close(self) -> None:
        """Nothing is held between exports."""

    def export(self, task: Task, folder: Path, scratch: Path, progress: Progress) -> Made:
        """Make all files of a task in `folder`; what is needed on the way lies in `scratch`.

        Raises EngineError where a library fails or the proof does, InputError for a base or an
        adapter that cannot be exported.
        """
        return _Export(task, folder, scratch, progress).run()


class _Export:
    def __init__(self, task: Task, folder: Path, scratch: Path, progress: Progress) -> None:
        self.task, self.folder, self.scratch, self.progress = task, folder, scratch, progress
        self.caveat = ""
        files = len(task.wanted.quantisations)
        reads = (
            (files + 1 + task.wanted.with_base)
            if task.texts and task.wanted.perplexity_tokens
            else 0
        )
        self.total = 3 + files + 2 * task.wanted.with_base + reads
        self.done = 0

    def run(self) -> Made:
        """One step after the other; a failed proof comes before anything large is written."""
        figures = self._prove()
        whole, architecture, precision = self._merge(self.task.adapter, "whole")
        before = self._read(whole)
        files = [
            self._keep(precision, before) if kind == F16 else self._quantise(whole, kind, before)
            for kind in self.task.wanted.quantisations
        ]
        if F16 in self.task.wanted.quantisations:
            whole.rename(self.folder / self._name(precision))
        else:
            whole.unlink()
        return Made(
            architecture=architecture,
            files=tuple(files),
            adapter=self._write_adapter(),
            base=self._make_base() if self.task.wanted.with_base else None,
            tokens=figures.tokens,
            token_ids_equal=figures.token_ids_equal,
            caveat=self.caveat,
            max_logit_difference=figures.max_logit_difference,
            precision=F32,
            layers=figures.layers,
            all_layers=figures.all_layers,
            half_precision_gelu=figures.half_precision_gelu,
            perplexity=before.perplexity if before else None,
        )

    def _prove(self) -> ParityFigures:
        task, path = self.task, self.scratch / "parity.gguf"
        written = write_model(
            path,
            task.base,
            task.adapter,
            precision=F32,
            card=self._card("parity"),
            layers=task.layers,
        )
        texts = [text[:LONGEST_PARITY_TEXT] for text in task.texts[:MOST_PARITY_TEXTS]]
        figures = check_parity(
            path,
            task.base,
            task.adapter,
            texts,
            layers=task.layers,
            threads=task.wanted.threads,
            caveat=written.caveat,
        )
        if not figures.token_ids_equal:
            self.caveat = written.caveat
            self.progress.note(f"llama.cpp splits {written.caveat} otherwise than the tokenizer.")
        path.unlink()
        self._step()
        return figures

    def _merge(self, adapter: Path | None, stem: str) -> tuple[Path, str, Precision]:
        """The whole model in 16 bits, its architecture and which 16 bits those are."""
        path = self.scratch / f"{stem}.gguf"

        def write(precision: Precision) -> WrittenModel:
            return write_model(
                path,
                self.task.base,
                adapter,
                precision=precision,
                card=self._card("merged" if adapter else "base"),
                progress=self._within,
            )

        try:
            written = write(F16)
        except InputError:
            written = write(BF16)  # some networks have values beyond F16; else it fails as before
        self._step()
        return path, written.architecture, written.precision

    def _keep(self, precision: Precision, before: Reading | None) -> MadeFile:
        """The whole model is a file of the result itself."""
        self._step(2 if before else 1)
        return _describe(self._name(precision), precision, before, before)

    def _quantise(self, whole: Path, kind: str, before: Reading | None) -> MadeFile:
        path = self.folder / self._name(kind)
        quantise(whole, path, kind, threads=self.task.wanted.threads)
        self._step()
        return _describe(path.name, kind, self._read(path), before)

    def _make_base(self) -> MadeFile:
        whole, _, precision = self._merge(None, "base")
        wanted = self.task.wanted.quantisations[0]
        kind = precision if wanted == F16 else wanted
        path = self.folder / self._name(f"base-{kind}")
        if wanted == F16:
            whole.rename(path)
        else:
            quantise(whole, path, kind, threads=self.task.wanted.threads)
            whole.unlink()
        self._step()
        return _describe(path.name, kind, self._read(path), None)

    def _name(self, what: str) -> str:
        return f"{self.task.name}-{what}.gguf"

    def _write_adapter(self) -> MadeFile | None:
        """The bare adapter; None for one that llama.cpp cannot add to a model that is loaded."""
        path: Path | None = self.folder / self._name("adapter")
        assert path is not None
        try:
            write_adapter(path, self.task.base, self.task.adapter, card=self._card("adapter"))
        except InputError as error:  # what is merged passed, so it is no broken adapter
            self.progress.note(f"There is no adapter of its own: {error.message}")
            path = None
        self._step()
        if path is None:
            return None
        return MadeFile(path.name, "adapter")

    def _read(self, path: Path) -> Reading | None:
        if not self.task.texts or not self.task.wanted.perplexity_tokens:
            return None
        with LlamaCppModel(path, threads=self.task.wanted.threads) as model:
            reading = read_texts(
                model,
                self.task.texts,
                most_tokens=self.task.wanted.perplexity_tokens,
                report=self._within,
            )
        self._step()
        return reading

    def _card(self, what: str) -> ModelCard:
        task = self.task
        return ModelCard(
            name=task.title if what != "base" else task.base_name,
            licence=task.licence,
            description=f"{task.base_name}, trained to talk like the podcast {task.title}"
            if what != "base"
            else f"what {task.title} was trained from",
            extra={
                "podcaster.show": task.name,
                "podcaster.base": task.base_name,
                "podcaster.adapter_sha256": task.adapter_sha256,
                "podcaster.part": what,
            },
        )

    def _step(self, count: int = 1) -> None:
        self.done += count
        self.progress.report(STAGE, self.done, self.total, "steps")

    def _within(self, done: int, total: int) -> None:
        """Hear how far a step is."""
        share = min(0.99, done / total) if total else 0.0
        self.progress.report(STAGE, self.done + share, self.total, "steps")


def _describe(name: str, kind: str, reading: Reading | None, before: Reading | None) -> MadeFile:
    if reading is None:
        return MadeFile(name, kind)
    agreement = reading.agreement(before) if before else None
    return MadeFile(name, kind, reading.perplexity, agreement)
