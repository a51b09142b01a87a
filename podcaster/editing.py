"""The script that is to be spoken: what the program wrote, or what a person made of it."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from msgspec.structs import replace

from podcaster.errors import RunError
from podcaster.model import Record, Script, parse, to_json
from podcaster.run import (
    RECORD_NAME,
    Run,
    read_bytes,
    read_record,
    sha256_file,
    write_atomic,
    write_record,
)
from podcaster.write.markdown import parse_script
from podcaster.write.marks import mark_turns

SCRIPT_JSON = "script.json"
SCRIPT_MD = "script.md"


def read_spoken_script(run: Run) -> Script:
    """The script that is to be spoken: the machine's, or a person's edit of it.

    Raises InputError, with the line, for an edit that cannot be understood; RunError where nothing
    was written yet.
    """
    folder = run.path / "write"
    record = read_stage_record(run, "write")
    written = parse(read_bytes(folder / SCRIPT_JSON), Script, where=str(folder / SCRIPT_JSON))
    edited = find_edit(folder, record)
    if edited != SCRIPT_MD:
        return written
    text = read_bytes(folder / SCRIPT_MD).decode("utf-8", "replace")
    return parse_script(text, str(folder / SCRIPT_MD))


def find_edit(folder: Path, record: Record) -> str | None:
    """Which of the script's two files a person has edited; `script.md` where it is both."""
    for name in (SCRIPT_MD, SCRIPT_JSON):
        path = folder / name
        if path.is_file() and sha256_file(path) != record.outputs.get(name):
            return name
    return None


def read_stage_record(run: Run, stage: str) -> Record:
    """The record of a stage that is done. Raises RunError where it is not."""
    record = read_record(run.path / stage / RECORD_NAME)
    if record is None:
        raise RunError(
            f"The stage {stage} of run {run.name} is not done.",
            next_step=f"Type `podcaster resume {run.name}`.",
        )
    return record


def mark_script(run: Run, marks: Mapping[int, str]) -> None:
    """Put comments before turns of `script.md` (numbers from 0) that want a person's look.

    Marks of before go. A script that nobody has edited counts as unedited afterwards. Raises
    InputError for a script that cannot be read, RunError.
    """
    folder = run.path / "write"
    path = folder / SCRIPT_MD
    record = read_stage_record(run, "write")
    edited = find_edit(folder, record)
    if edited == SCRIPT_JSON or not path.is_file():
        return  # it is not what was spoken
    text = read_bytes(path).decode("utf-8", "replace")
    marked = mark_turns(text, marks, str(path))
    if marked == text:
        return
    write_atomic(path, marked.encode())
    if edited is None:
        outputs = {**record.outputs, SCRIPT_MD: sha256_file(path)}
        write_record(folder / RECORD_NAME, replace(record, outputs=outputs))


def hash_script(script: Script) -> str:
    """The SHA-256 that says whether a script is still the same."""
    return sha256(to_json(script)).hexdigest()
