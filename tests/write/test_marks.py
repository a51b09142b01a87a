"""Marks for the person who edits a script change nothing that is said."""

import pytest

from podcaster.errors import InputError
from podcaster.model import Chapter, Script, Speaker, Turn
from podcaster.write.markdown import find_turn_lines, format_script, parse_script
from podcaster.write.marks import mark_turns

SCRIPT = Script(
    title="Kettles",
    summary="About kettles.",
    language="en",
    speakers=(
        Speaker(id="mia", name="Mia", role="host"),
        Speaker(id="tom", name="Tom", role="guest"),
    ),
    chapters=(
        Chapter(
            title="Copper",
            turns=(
                Turn(speaker="mia", text="Why copper?"),
                Turn(speaker="tom", text="It sings -- and it shines."),
            ),
        ),
        Chapter(title="Tin", turns=(Turn(speaker="mia", text="And tin?"),)),
    ),
    seed=3,
    model="by hand",
)


def test_a_marked_script_is_the_same_script() -> None:
    text = format_script(SCRIPT)
    marked = mark_turns(text, {1: "a pause of 3.1 s --> listen", 2: "too long"}, "s.md")
    lines = marked.split("\n")
    assert lines[lines.index("<!-- look: too long -->") + 1] == "**Mia:** And tin?"
    assert sum(line.startswith("<!-- look: a pause of 3.1 s") for line in lines) == 1
    assert parse_script(marked, "s.md") == SCRIPT


def test_marks_of_before_go() -> None:
    text = format_script(SCRIPT)
    marked = mark_turns(text, {0: "swallowed"}, "s.md")
    assert mark_turns(marked, {}, "s.md") == text
    assert mark_turns(marked, {2: "other"}, "s.md").count("<!-- look:") == 1


def test_plain_and_windows_scripts_can_be_marked() -> None:
    text = "Mia: Why copper?\r\nTom: It sings.\r\n  And it shines.\r\nMia:\r\nMia: And tin?\r\n"
    assert find_turn_lines(text, "s.md") == (1, 2, 5)
    marked = mark_turns(text, {2: "clipped"}, "s.md")
    assert "\r\n<!-- look: clipped -->\r\nMia: And tin?" in marked
    assert parse_script(marked, "s.md") == parse_script(text, "s.md")


def test_a_comment_between_lines_of_a_turn_is_not_said() -> None:
    script = parse_script("Mia: Why\n<!-- my own note -->\ncopper?\nTom: It sings.", "s.md")
    assert [turn.text for turn in script.turns()] == ["Why copper?", "It sings."]


def test_a_script_that_cannot_be_read_is_not_marked() -> None:
    with pytest.raises(InputError, match="nobody"):
        mark_turns("just words", {0: "x"}, "s.md")
