from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcaster.errors import InputError
from podcaster.model import Chapter, Script, Source, Speaker, Turn
from podcaster.write.markdown import ScriptDefaults, format_script, parse_script
from podcaster.write.sentences import clean_line

lines = st.text(min_size=1, max_size=80).map(clean_line).filter(bool)
awkward = st.sampled_from(
    [
        *("# no heading", "- no list", "**Bob:** no turn", "[note-1]", "a [note-1]", "\\"),
        *("a\\*b\\", "#", "--", "---", "-->", "<!-- podcaster {} -->", "Name: text", "1. one"),
        *("> quote", "a #", "*", "["),
    ]
)
texts = lines | awkward
HASH = "ab" * 32


@st.composite
def scripts(draw: Any) -> Any:
    names = draw(st.lists(texts.filter(lambda t: len(t) <= 100), min_size=1, max_size=4))
    roles = st.sampled_from(["host", "guest", "other"])
    speakers = tuple(
        Speaker(
            id=f"s{i}",
            name=name,
            role=draw(roles),
            voice=draw(st.none() | st.sampled_from(["deep", "north-1"])),
        )
        for i, name in enumerate(names)
    )
    sources = tuple(
        Source(id=f"note-{i}", title=draw(texts), location=draw(texts), sha256=HASH)
        for i in range(1, draw(st.integers(1, 3)))
    )
    ids = [source.id for source in sources]
    quoted = st.lists(st.sampled_from(ids), max_size=3) if ids else st.just([])
    turns = st.builds(
        Turn,
        speaker=st.sampled_from([speaker.id for speaker in speakers]),
        text=texts,
        sources=quoted.map(tuple),
    )
    chapters = st.builds(
        Chapter,
        title=texts,
        turns=st.lists(turns, min_size=1, max_size=4).map(tuple),
        keywords=st.lists(st.text(max_size=20), max_size=3).map(tuple),
    )
    return Script(
        title=draw(texts),
        summary=draw(st.just("") | texts),
        language=draw(st.sampled_from(["en", "de", "pt-BR"])),
        speakers=speakers,
        chapters=tuple(draw(st.lists(chapters, min_size=1, max_size=3))),
        seed=draw(st.integers(0, 2**48)),
        model=draw(st.text(max_size=30)),
        model_sha256=draw(st.none() | st.just(HASH)),
        sources=sources,
    )


@given(scripts())
@settings(max_examples=300, deadline=None)
def test_every_script_comes_back_as_it_was(script: Script) -> None:
    assert parse_script(format_script(script), "script.md") == script


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_script_or_one_sentence(text: str) -> None:
    try:
        script = parse_script(text, "a.md")
    except InputError as error:
        assert error.message.startswith(("a.md", "The "))  # noqa: PT017 - either is right
    else:
        assert any(script.turns())


SCRIPT = Script(
    title="On sheds",
    summary="Two people talk.",
    language="en",
    speakers=(
        Speaker(id="host", name="Robin Hale", role="host"),
        Speaker(id="guest", name="Ada Lovelace", role="guest", voice="deep"),
    ),
    chapters=(
        Chapter(
            title="The shed",
            turns=(
                Turn(speaker="host", text="Was it cold?"),
                Turn(speaker="guest", text="Very.", sources=("note-1",)),
            ),
            keywords=("shed",),
        ),
    ),
    seed=3,
    model="tiny",
    model_sha256=HASH,
    sources=(Source(id="note-1", title="Sheds", location="sheds.txt", sha256=HASH),),
)

GOLDEN = """\
# On sheds

Two people talk.

- **Robin Hale** (host)
- **Ada Lovelace** (guest, voice: deep)

## The shed

**Robin Hale:** Was it cold?

**Ada Lovelace:** Very. [note-1]

---

[note-1]: Sheds (sheds.txt)
"""


def test_it_reads_as_plain_markdown() -> None:
    assert format_script(SCRIPT).startswith(GOLDEN)


def test_an_edit_by_hand_changes_just_that() -> None:
    edited = format_script(SCRIPT).replace("Was it cold?", "Was it warm?\n\nOr wet?")
    script = parse_script(edited, "script.md")
    assert [turn.text for turn in script.turns()] == ["Was it warm? Or wet?", "Very."]
    assert script.seed == 3
    assert script.speakers == SCRIPT.speakers


def test_a_turn_may_be_taken_out_and_another_put_in() -> None:
    edited = format_script(SCRIPT).replace(
        "**Ada Lovelace:** Very. [note-1]", "**Ada Lovelace:** No.\n\n**Bob:** Yes, it was."
    )
    script = parse_script(edited, "script.md")
    assert [(t.speaker, t.text) for t in script.turns()] == [
        ("host", "Was it cold?"),
        ("guest", "No."),
        ("bob", "Yes, it was."),
    ]
    assert script.speaker("bob").role == "other"


def test_plain_lines_are_enough() -> None:
    script = parse_script("Ada: Good morning.\nBob: Good morning, Ada.\nIt is cold.\n", "a.txt")
    assert [(s.name, s.role) for s in script.speakers] == [("Ada", "host"), ("Bob", "guest")]
    assert [t.text for t in script.turns()] == ["Good morning.", "Good morning, Ada. It is cold."]
    assert script.title == "A conversation"


def test_windows_lines_and_a_byte_order_mark() -> None:
    script = parse_script("\ufeffAda: Good morning.\r\n\r\nBob: Hello.\r\n", "a.txt")
    assert [t.text for t in script.turns()] == ["Good morning.", "Hello."]


def test_headings_are_chapters_and_the_third_speaker_is_other() -> None:
    text = "# Sheds\n\n## One\n\nAda: A.\nBob: B.\n\n## Two\n\nEve (00:01:02): C.\n"
    script = parse_script(text, "a.md")
    assert script.title == "Sheds"
    assert [chapter.title for chapter in script.chapters] == ["One", "Two"]
    assert script.speaker("eve").role == "other"


def test_known_names_get_their_roles() -> None:
    script = parse_script(
        "Ada: A.\nBob: B.\n", "a.md", ScriptDefaults(host="Bob", guest="Ada", language="de")
    )
    assert {s.name: s.role for s in script.speakers} == {"Ada": "guest", "Bob": "host"}
    assert script.language == "de"


def test_one_speaker_is_a_host() -> None:
    script = parse_script("Ada: I talk to myself.", "a.txt")
    assert [(s.name, s.role) for s in script.speakers] == [("Ada", "host")]


def test_a_thousand_turns() -> None:
    text = "".join(f"{'Ada' if i % 2 else 'Bob'}: Sentence number {i}.\n" for i in range(1000))
    assert len(list(parse_script(text, "a.txt").turns())) == 1000


@pytest.mark.parametrize("text", ["", "\n\n", "# Title\n\n## Chapter\n"])
def test_nobody_speaks(text: str) -> None:
    with pytest.raises(InputError, match=r"a\.md, line 1: nobody speaks in this script"):
        parse_script(text, "a.md")


def test_a_line_that_nobody_says() -> None:
    with pytest.raises(InputError, match=r"a\.md, line 3: nobody says 'just prose'"):
        parse_script("# Title\n\njust prose\n", "a.md")


def test_a_colon_in_a_sentence_is_no_speaker() -> None:
    script = parse_script("Ada: I say\nthis is the thing: it was cold.\n", "a.txt")
    assert [t.text for t in script.turns()] == ["I say this is the thing: it was cold."]


def test_a_giant_is_refused() -> None:
    with pytest.raises(InputError, match="has 5000005 characters, expected at most 4000000"):
        parse_script("Ada: " + "x" * 5_000_000, "a.txt")


def test_a_damaged_comment_is_one_sentence() -> None:
    text = format_script(SCRIPT).replace('"seed":3', '"seed":"x"')
    with pytest.raises(InputError, match=r"The comment at the end of a\.md cannot be read"):
        parse_script(text, "a.md")


def test_without_its_comment_a_script_is_still_one() -> None:
    text = format_script(SCRIPT).partition("<!--")[0]
    script = parse_script(text, "a.md", ScriptDefaults(seed=3))
    assert [turn.text for turn in script.turns()] == ["Was it cold?", "Very. [note-1]"]
    assert [(s.name, s.role, s.voice) for s in script.speakers] == [
        ("Robin Hale", "host", None),
        ("Ada Lovelace", "guest", "deep"),
    ]
    assert msgspec.json.encode(script)
