"""What a show's model was exported to: found by the show's name, with what was proved of it.

    runs/tea-talk/export/
      record.json                     the commit: names the newest good export
      <12 hex>/tea-talk-Q8_0.gguf …   its files, in a folder of their own
      <12 hex>/report.json            what `ExportReport` says

An export that fails leaves the one before it in place.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from podcaster import __version__
from podcaster.errors import InputError
from podcaster.model import Noun, Sha256, parse
from podcaster.recordings import EXPORT
from podcaster.run import RECORD_NAME, Run, open_show_run, read_bytes, read_record
from podcaster.setup.cache import find_adapter, find_model
from podcaster.setup.catalogue import BUILTIN_NAME

REPORT = "report.json"
BASE = "base"  # after a show's name and a colon: what its model was before it was trained


class ExportedFile(Noun, frozen=True):
    """A GGUF file, by its path inside `runs/<show>/export/`.

    `quantisation` is what `--quantise` calls it. `perplexity` is of the held-out text, `agreement`
    the share of its tokens at which the file thinks the same one likeliest as the unquantised one.
    """

    path: str
    quantisation: str
    size_bytes: int
    sha256: Sha256
    perplexity: float | None = None
    agreement: float | None = None


class Parity(Noun, frozen=True):
    """Whether llama.cpp computes what transformers does.

    `max_logit_difference` is the largest absolute one over all logits of a hard text, in the
    precision named; `layers` are those that were compared, `all_layers` those that there are.
    `half_precision_gelu`: of a network with GELU (Gemma), which llama.cpp looks up in a table of
    half-precision numbers, and for the comparison transformers did, too. `caveat`: the text that
    llama.cpp is known to split otherwise; only such, and none of the show's own, may differ.
    """

    tokens: int
    token_ids_equal: bool
    max_logit_difference: float
    precision: str
    layers: int
    all_layers: int
    half_precision_gelu: bool = False
    caveat: str = ""


class ExportReport(Noun, frozen=True):
    """An export: of which show and base, its files, and the proof.

    `quantisation` names the file that an episode takes. `perplexity` is that file's and
    `perplexity_before` the unquantised one's, both of the same held-out text; None where the show
    holds nothing out. `base_gguf` is the base without the adapter, if it was asked for.
    """

    show: str
    base: str
    architecture: str
    adapter_sha256: str
    quantisation: str
    files: tuple[ExportedFile, ...]
    adapter: ExportedFile | None
    parity: Parity
    perplexity: float | None
    perplexity_before: float | None
    base_file: ExportedFile | None = None
    exported_at: str = ""

    def find(self, quantisation: str) -> ExportedFile | None:
        """The file of a quantisation, whatever the case of its letters."""
        wanted = quantisation.lower()
        return next((file for file in self.files if file.quantisation.lower() == wanted), None)


@dataclass(frozen=True)
class NamedModel:
    """A model that somebody named: its label, its file, and the show's run it came from, if any.

    `adapter` is the GGUF adapter that belongs to the file; "": none.
    """

    label: str
    path: Path
    run: Run | None = None
    report: ExportReport | None = None
    adapter: str = ""

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(Path(name).stat().st_size for name in self.opening.values() if name)

    @property
    def opening(self) -> dict[str, str]:
        """What an engine that writes or reads with it is told."""
        return {"path": str(self.path), "adapter": self.adapter}


def read_export(run: Run) -> ExportReport:
    """The newest good export of a show.

    Raises InputError where there is none, or where its files are no longer what they were.
    """
    folder = run.path / EXPORT
    record = read_record(folder / RECORD_NAME)
    if record is None:
        raise InputError(
            f"The show {run.name} has no exported model.",
            next_step=f"Train one with `podcaster show train {run.name}` and export it with "
            f"`podcaster show export {run.name}`.",
        )
    missing = [name for name in record.outputs if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"The exported model of {run.name} lacks {missing[0]}.",
            next_step=f"Export it again with `podcaster show export {run.name}`.",
        )
    where = folder / next(name for name in record.outputs if name.endswith(f"/{REPORT}"))
    return parse(read_bytes(where), ExportReport, where=str(where))


def find_named_model(home: Path, name: str) -> NamedModel:
    """The model meant by `SHOW`, `SHOW:QUANTISATION`, `SHOW:base`, `builtin`, a path, or a name
    of `podcaster setup`; a show goes first.

    Raises InputError, ConfigError or EngineMissing where there is none.
    """
    title, _, wanted = name.partition(":")
    try:
        run = open_show_run(home, title, version=__version__)
    except InputError:
        if wanted:
            raise
        return NamedModel(name, find_model(name), adapter=find_adapter(name))
    report = read_export(run)
    if wanted == BASE:
        file = report.base_file
        if file is None and report.base == BUILTIN_NAME:
            builtin = find_model(BUILTIN_NAME)
            return NamedModel(name, builtin, run, report, find_adapter(BUILTIN_NAME))
    else:
        file = report.find(wanted or report.quantisation)
    if file is None:
        have = ", ".join(one.quantisation for one in report.files)
        raise InputError(
            f"The show {run.name} has no export {wanted!r}; there is {have}.",
            next_step=f"Make it with `podcaster show export {run.name} --quantise {wanted}`.",
        )
    path = run.path / EXPORT / file.path
    return NamedModel(name, path, run, report)


def describe_report(run: Run, report: ExportReport) -> dict[str, Any]:
    """What scripts are told of an export: paths are absolute."""
    folder = run.path / EXPORT
    best = report.files[0]

    def tell(file: ExportedFile | None) -> dict[str, Any] | None:
        if file is None:
            return None
        return {**msgspec.to_builtins(file), "path": str(folder / file.path)}

    return {
        "show": report.show,
        "base": report.base,
        "architecture": report.architecture,
        "gguf": str(folder / best.path),
        "adapter_gguf": str(folder / report.adapter.path) if report.adapter else None,
        "base_gguf": str(folder / report.base_file.path) if report.base_file else None,
        "quantisation": report.quantisation,
        "bytes": best.size_bytes,
        "token_ids_equal": report.parity.token_ids_equal,
        "max_logit_difference": report.parity.max_logit_difference,
        "parity": msgspec.to_builtins(report.parity),
        "perplexity": report.perplexity,
        "perplexity_before": report.perplexity_before,
        "files": [tell(file) for file in report.files],
        "adapter": tell(report.adapter),
        "base_file": tell(report.base_file),
    }
