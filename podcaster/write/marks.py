"""Marks in a script for the person who edits it: comments before turns that want a look.

`parse_script` reads over them, so that a marked script is the same script.
"""

import re
from collections.abc import Mapping

from podcaster.write.markdown import find_turn_lines

_MARK = re.compile(r"^<!-- look: .* -->$")


def mark_turns(text: str, marks: Mapping[int, str], where: str) -> str:
    """A script's text with a comment before each turn of `marks` (numbers from 0), and no others.

    Marks of before go. Raises InputError for a script that cannot be read.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if not _MARK.match(line)]
    starts = find_turn_lines("\n".join(lines), where)
    for turn in sorted(marks, reverse=True):
        # two dashes or an angle would end the comment
        said = re.sub(r"\s+", " ", marks[turn]).replace("--", "- -").replace(">", "›")
        lines.insert(starts[turn] - 1, f"<!-- look: {said.strip()} -->")
    return newline.join(lines)
