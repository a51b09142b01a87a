"""What is in a workspace: its runs, why a run would be redone, its configuration."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from podcaster.config import list_settings, load_configuration, settings_by_key
from podcaster.episode import read_settings
from podcaster.errors import InputError, RunError
from podcaster.model import Record
from podcaster.pipeline import STAGE_NAMES, EpisodeContext, explain_run
from podcaster.progress import Silence
from podcaster.recordings import (
    INGEST,
    MODEL_STAGES,
    SHOW_STAGES,
    TRANSCRIBE,
    explain_units,
    read_recordings,
)
from podcaster.run import RECORD_NAME, Run, list_runs, open_run, read_record
from podcaster.stages import EPISODE_STAGES
from podcaster.transcribing import plan_show
from podcaster.units import format_duration


def list_run_rows(home: Path) -> list[dict[str, str]]:
    """One row a run, oldest first: its name, the last stage done, its length, its title.

    Of a show, the last stage that has done something, and how many recordings it has.
    """
    rows = []
    for name in list_runs(home):
        run = open_run(home, name)
        if run.info.kind == "show":
            rows.append(_describe_show_row(run))
            continue
        done = [s for s in STAGE_NAMES if read_record(run.path / s / RECORD_NAME)]
        title, duration_s = _read_title(run)
        length = format_duration(duration_s) if duration_s else ""
        rows.append(
            {"run": name, "done": done[-1] if done else "-", "length": length, "title": title}
        )
    return rows


def show_run(home: Path, reference: str) -> dict[str, Any]:
    """Everything that a run's records say."""
    run = open_run(home, reference)
    if run.info.kind == "show":
        return _show_show(run)
    stages: dict[str, dict[str, Any]] = {}
    for stage in STAGE_NAMES:
        record = read_record(run.path / stage / RECORD_NAME)
        if record:
            stages[stage] = {
                "seconds": record.seconds,
                "engine": record.engine,
                "counts": record.counts,
                "files": [str(run.path / stage / name) for name in record.outputs],
            }
    title, duration_s = _read_title(run)
    return {
        "run": run.name,
        "folder": str(run.path),
        "created_at": run.info.created_at,
        "seed": run.info.seed,
        "version": run.info.version,
        "title": title,
        "duration_s": duration_s,
        "stages": stages,
    }


def format_shown(shown: dict[str, Any]) -> str:
    """Spell `show_run`'s result for people."""
    lines = [
        f"{shown['run']}  {shown['title']}".rstrip(),
        f"made {shown['created_at']} by podcaster {shown['version']}, seed {shown['seed']}",
        f"in {shown['folder']}",
    ]
    for stage, entry in shown["stages"].items():
        lines.append(f"\n{stage}: {entry['seconds']} s, {entry['engine']}")
        lines += [f"  {key}: {value}" for key, value in entry["counts"].items()]
        files = entry["files"]
        lines += [f"  {file}" for file in files[:6]]
        if len(files) > 6:
            lines.append(f"  … and {len(files) - 6} more files")
    return "\n".join(lines)


def explain(home: Path, reference: str) -> list[dict[str, Any]]:
    """Say stage by stage whether `resume` would redo it, and why; of a show, its words."""
    run = open_run(home, reference)
    if run.info.kind == "show":
        return _explain_show(home, run)
    context = EpisodeContext(home, run, read_settings(run), Silence())
    return [
        {"stage": row.stage, "redo": row.redo, "reason": row.reason}
        for row in explain_run(context, EPISODE_STAGES)
    ]


def clean_run(home: Path, reference: str, *, everything: bool) -> tuple[str, int]:
    """Remove a run's clips, or all of it; returns its name and the bytes that became free.

    Raises RunLocked while another process works on it, InputError for a show but for all of it:
    what it has cannot be made again quickly.
    """
    run = open_run(home, reference)
    if run.info.kind == "show" and not everything:
        raise InputError(
            f"{run.name} is a show: it has no clips that could be made again.",
            next_step=f"`podcaster runs clean {run.name} --all` removes all of it.",
        )
    with run.lock():
        folder = run.path if everything else run.path / "speak"
        freed_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        try:
            if folder.exists():
                shutil.rmtree(folder)
        except OSError as error:
            raise RunError(f"Cannot remove {folder}: {error.strerror}.") from error
    return run.name, freed_bytes


def list_configuration(home: Path) -> tuple[dict[str, Any], str]:
    """Every setting of the workspace with value, origin and meaning: for scripts, for people."""
    configuration = load_configuration(home, {}, os.environ)
    values = settings_by_key(configuration.settings)
    rows = [
        {
            "key": setting.key,
            "value": msgspec.to_builtins(values[setting.key]),
            "origin": configuration.origins[setting.key],
            "variable": setting.variable,
            "meaning": setting.description,
        }
        for setting in list_settings()
    ]
    lines = []
    for row in rows:
        value = msgspec.json.encode(row["value"]).decode()
        lines.append(f"{row['key']} = {value}  ({row['origin']})\n    {row['meaning']}")
    return {"settings": rows}, "\n".join(lines)


def _describe_show_row(run: Run) -> dict[str, str]:
    counts = {stage: len(list(_records(run, stage))) for stage in (*SHOW_STAGES, *MODEL_STAGES)}
    done = [stage for stage, count in counts.items() if count]
    title = f"show, {counts[INGEST]:,} recordings"
    return {"run": run.name, "done": done[-1] if done else "-", "length": "", "title": title}


def _show_show(run: Run) -> dict[str, Any]:
    stages: dict[str, dict[str, Any]] = {}
    for stage in (*SHOW_STAGES, *MODEL_STAGES):
        records = list(_records(run, stage))
        if records:
            stages[stage] = {
                "seconds": round(sum(record.seconds for record in records), 1),
                "engine": records[-1].engine,
                "counts": {"units": len(records)},
                "files": [str(run.path / stage)],
            }
    return {
        "run": run.name,
        "folder": str(run.path),
        "created_at": run.info.created_at,
        "seed": run.info.seed,
        "version": run.info.version,
        "title": "",
        "duration_s": sum(r.duration_s or 0.0 for r in read_recordings(run)),
        "stages": stages,
    }


def _explain_show(home: Path, run: Run) -> list[dict[str, Any]]:
    """How many recordings `show transcribe` would take on, and why the first of them."""
    settings = load_configuration(home, {}, os.environ).settings
    recordings = list(read_recordings(run))
    reasons = [
        reason
        for stage, units in plan_show(run, recordings, settings.transcribe)
        for reason in explain_units(run, stage, units)
    ]
    told = f"{len(reasons)} of {len(recordings)} recordings" if reasons else "nothing changed"
    if reasons:
        told += f"; {reasons[0][0]}: {reasons[0][1]}"
    return [{"stage": TRANSCRIBE, "redo": bool(reasons), "reason": told}]


def _records(run: Run, stage: str) -> Iterator[Record]:
    for path in sorted((run.path / stage).glob(f"*{RECORD_NAME}")):
        record = read_record(path)
        if record is not None:
            yield record


def _read_title(run: Run) -> tuple[str, float]:
    import json

    try:
        script = json.loads((run.path / "write" / "script.json").read_bytes())
        title = str(script["title"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", 0.0
    try:
        timeline = json.loads((run.path / "mix" / "timeline.json").read_bytes())
        return title, float(timeline["duration_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return title, 0.0
