"""The documents' command lines are marked as such, name what there is, say what runs nowhere."""

import re

from tests.docs.command_lines import (
    COMMANDS,
    MARKS,
    ROOT,
    check_install,
    documents,
    read_blocks,
    read_commands,
)

LANGUAGES = {"sh", "text", "toml", "json", "yaml", "python", "markdown"}


def test_command_lines_are_in_blocks_that_say_so() -> None:
    examined = 0
    for document in documents():
        for language, number, line in read_blocks(document):
            examined += 1
            assert language in LANGUAGES, f"{document}:{number}: the block is called {language!r}"
            is_command = line.startswith(COMMANDS) or line.startswith(".venv/bin/")
            assert is_command == (language == "sh") or not line.strip(), f"{document}:{number}"
    assert examined > 200


def test_most_lines_are_run_and_each_mark_is_used() -> None:
    lines = [line for document in documents() for line in read_commands(document)]
    assert len(lines) >= 70
    assert len([line for line in lines if not line.mark]) >= 50
    assert {line.mark for line in lines} - {""} == set(MARKS)


def test_installs_name_extras_and_files_that_there_are() -> None:
    spans = []
    for document in documents():
        text = " ".join((ROOT / document).read_text("utf-8").split())
        spans += re.findall(r"pip install [^`&#]*?podcaster[^`&# ]*", text)
    spans += [
        part
        for document in documents()
        for line in read_commands(document)
        for part in line.command.split("&&")
        if "pip install" in part
    ]
    assert len(spans) >= 10
    for span in spans:
        check_install(span.strip())
