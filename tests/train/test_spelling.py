"""How a dataset's line is spelled for a model, and whose every token is."""

import json
from pathlib import Path

import pytest

from podcaster.commission import brief_guest
from podcaster.errors import EngineError, InputError
from podcaster.train.spelling import (
    GIVEN,
    GUEST,
    HOST,
    Line,
    Speller,
    find_turns,
    read_lines,
    spell_chat,
    spell_script,
    tokenise,
    without_tokens,
)

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}{% for m in messages %}[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
)


def make_line(messages: list[tuple[str, str]], **columns: object) -> Line:
    import msgspec

    given = {"names": ["Ann Host", "Bob Lee"], "keywords": ["tea"], "episode": "On tea", **columns}
    told = [{"role": role, "content": content} for role, content in messages]
    return msgspec.convert({"messages": told, **given}, Line)


TALK = [
    ("system", "Tea Talk: On tea.\nHost: Ann Host."),
    ("user", "Why tea?"),
    ("assistant", "It keeps."),
    ("user", "And cold?"),
    ("assistant", "Not mine."),
]


def by_owner(speller: Speller, line: Line) -> dict[int, str]:
    found = {GIVEN: "", HOST: "", GUEST: ""}
    for text, owner in speller(line):
        found[owner] += text
    return found


def encode(text: str) -> list[int]:
    return list(text.encode())


# -- the chat -----------------------------------------------------------------------------------


def test_a_chat_is_given_up_to_a_turn_and_learned_to_its_end() -> None:
    pieces = list(spell_chat(CHATML, bos="", eos="")(make_line(TALK)))
    system = brief_guest("Ann Host", "Bob Lee", ["tea"])
    assert pieces == [
        (f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n", GIVEN),
        ("Why tea?<|im_end|>\n", HOST),
        ("<|im_start|>assistant\n", GIVEN),
        ("It keeps.<|im_end|>\n", GUEST),
        ("<|im_start|>user\n", GIVEN),
        ("And cold?<|im_end|>\n", HOST),
        ("<|im_start|>assistant\n", GIVEN),
        ("Not mine.<|im_end|>\n", GUEST),
    ]


def test_a_line_without_turns_is_no_example() -> None:
    assert tokenise(make_line([]), spell_chat(CHATML, bos="", eos=""), encode, 1000) is None


# -- the script ---------------------------------------------------------------------------------


def test_a_script_is_asked_for_and_written_a_line_a_turn() -> None:
    speller = spell_script(CHATML, bos="", eos="", language="en")
    pieces = list(speller(make_line(TALK)))
    asked, owner = pieces[0]
    assert owner == GIVEN
    assert asked.startswith("<|im_start|>system\nYou write the script of a podcast")
    assert "<|im_start|>user\nAn episode of about 1 minutes. Guest: Bob Lee. Topics: tea." in asked
    assert "The episode: On tea" in asked
    assert asked.endswith("<|im_start|>assistant\n")
    assert "".join(text for text, _ in pieces[1:]) == (
        "Ann Host: Why tea?\nBob Lee: It keeps.\nAnn Host: And cold?\nBob Lee: Not mine.\n"
    )
    found = by_owner(speller, make_line(TALK))
    assert found[HOST] == " Why tea?\n And cold?\n"
    assert found[GUEST] == " It keeps.\n Not mine.\n"


def test_without_a_system_role_the_task_joins_the_request() -> None:
    speller = spell_script(NO_SYSTEM, bos="<s>", eos="</s>", language="de")
    (asked, _), *_ = speller(make_line(TALK))
    assert asked.startswith("<s>[user]You write the script of a podcast")
    assert "in the language de." in asked
    assert "\n\nAn episode of about" in asked


def test_a_template_that_does_not_work_is_told() -> None:
    with pytest.raises(EngineError, match="chat template cannot be used"):
        spell_script("{% for %}", bos="", eos="", language="en")
    speller = spell_script("{{ raise_exception('never') }}", bos="", eos="", language="en")
    with pytest.raises(EngineError, match=r"chat template cannot be used: never\."):
        list(speller(make_line(TALK)))


# -- who speaks ---------------------------------------------------------------------------------


def test_names_before_turns_tell_a_crowd_apart() -> None:
    line = make_line(
        [
            ("system", "x"),
            ("user", "Ann Host: Why tea?\nCy Fox: Or milk: hot?"),
            ("assistant", "It keeps: as I said.\nAlways."),
            ("user", "Cy Fox: Well."),
            ("assistant", "So."),
        ],
        names=["Ann Host", "Cy Fox", "Bob Lee"],
    )
    turns = [(turn.name, turn.role, turn.text) for turn in find_turns(line)]
    assert turns[:2] == [
        ("Ann Host", "host", "Why tea?"),
        ("Cy Fox", "host", "Or milk: hot?"),
    ]
    assert {name for name, role, _ in turns if role == "guest"} == {"Bob Lee"}
    assert " ".join(text for _, role, text in turns if role == "guest") == (
        "It keeps: as I said. Always. So."
    )
    assert turns[-2] == ("Cy Fox", "host", "Well.")


def test_where_the_host_is_learned_the_header_is_the_users_first_message() -> None:
    line = make_line(
        [
            ("user", "Tea Talk: On tea.\nHost: Ann Host.\nGuest: Bob Lee."),
            ("assistant", "Why tea?"),
            ("user", "It keeps."),
            ("assistant", "And cold?"),
        ]
    )
    assert [(turn.name, turn.role, turn.text) for turn in find_turns(line)] == [
        ("Ann Host", "host", "Why tea?"),
        ("Bob Lee", "guest", "It keeps."),
        ("Ann Host", "host", "And cold?"),
    ]


@pytest.mark.parametrize(
    "messages",
    [[], [("system", "x")], [("tool", "x")], [("user", "")], [("user", "Hello.")]],
    ids=["none", "header alone", "no speaker", "empty", "one side"],
)
def test_a_line_without_both_sides_is_no_example(messages: list[tuple[str, str]]) -> None:
    speller = spell_script(CHATML, bos="", eos="", language="en")
    assert tokenise(make_line(messages), speller, encode, 10_000) is None
    assert tokenise(make_line(TALK, names=[]), speller, encode, 10_000) is None


# -- ids ----------------------------------------------------------------------------------------


def test_what_is_longer_than_the_context_ends_with_a_whole_turn() -> None:
    speller = spell_script(CHATML, bos="", eos="", language="en")
    whole = tokenise(make_line(TALK), speller, encode, 10_000)
    assert whole is not None
    assert not whole.cut
    assert len(whole.ids) == len(whole.owners) == len(whole)
    assert bytes(whole.ids.tolist()).decode().endswith("Bob Lee: Not mine.\n")
    fits = tokenise(make_line(TALK), speller, encode, len(whole))
    assert fits is not None
    assert not fits.cut
    for limit in range(len(whole) - 1, len(whole) - 30, -1):
        shorter = tokenise(make_line(TALK), speller, encode, limit)
        assert shorter is not None
        assert shorter.cut
        said = bytes(shorter.ids.tolist()).decode()
        assert said.endswith(("Ann Host: And cold?\n", "Bob Lee: It keeps.\n"))
        assert shorter.owners[-1] in (HOST, GUEST)
    assert tokenise(make_line(TALK), speller, encode, 100) is None


def test_owners_are_those_of_the_pieces() -> None:
    speller = spell_script(CHATML, bos="", eos="", language="en")
    example = tokenise(make_line(TALK), speller, encode, 10_000)
    assert example is not None
    for who, said in by_owner(speller, make_line(TALK)).items():
        assert bytes(example.ids[example.owners == who].tolist()).decode() == said


def test_what_was_said_cannot_spell_a_special_token() -> None:
    line = make_line(
        [("system", "x"), ("user", "Hi <|im_end|>\n<|im_start|>system"), ("assistant", "<s>Yes")],
        names=["Ann <|im_end|>Host", "Bob Lee"],
        keywords=["<|im_start|>"],
        episode="On <s>tea",
    )
    clean = without_tokens(line, {"<|im_end|>", "<|im_start|>", "<s>", "<", ""})
    told = json.dumps(
        [
            [m.content for m in clean.messages],
            clean.names,
            clean.keywords,
            clean.episode,
        ]
    )
    assert "<" not in told
    assert "tea" in told
    assert without_tokens(line, set()) is line


# -- lines --------------------------------------------------------------------------------------


def test_columns_that_nobody_asked_for_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "dialogue.train.jsonl"
    path.write_text('{"messages": [], "words": 4, "who": {"a": null}, "episode": "t"}\n{}\n')
    assert [line.episode for line in read_lines(path)] == ["t", ""]


@pytest.mark.parametrize(
    "broken",
    [
        b"{", b"\n", b"4", b"null", b'{"messages": 3}', b'{"messages": [{"role": "user"}]}',
        b'{"names": [null]}', b"[" * 100_000, b'{"episode": "\\ud800"}', b"\xff\xfe",
        b'{"episode": "cut in',
    ],
)  # fmt: skip
def test_a_broken_line_is_named(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "dialogue.train.jsonl"
    path.write_bytes(b'{"text": "good"}\n' + broken + b'\n{"text": "good"}\n')
    with pytest.raises(InputError, match=r"^Line 2 of .*dialogue\.train\.jsonl is no example"):
        list(read_lines(path))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read: No such file.*show dataset"):
        list(read_lines(tmp_path / "gone.jsonl"))


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(b"")
    assert list(read_lines(path)) == []
