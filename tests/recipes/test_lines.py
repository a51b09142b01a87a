"""The lines that the built-in writer's adapter learns from: chosen, and with other names."""

import json
import random
from typing import Any

from recipes.writer.lines import choose, is_good, vary
from recipes.writer.names import FIRST, LAST, Renaming


def make_line(number: int = 0, *, names: tuple[str, ...] = ("Ann Host", "Bob Brewer")) -> Any:
    question = "And what did you do with the kettle then, Bob? Did the harbour freeze that winter?"
    answer = (
        "Bob Brewer would have said that the kettle was too small, but we boiled the water twice. "
        "The harbour froze over in the second week, and nobody in the village could leave by boat."
    )
    said = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}] * 3
    return {
        "messages": [{"role": "system", "content": "Tea Talk."}, *said],
        "names": list(names),
        "roles": ["host", "guest"],
        "keywords": ["kettle", "harbour"],
        "recording": f"tea-{number}-0123abcd",
        "tokens": 300,
    }


def test_names_are_varied_in_all_that_is_said() -> None:
    varied = vary(make_line(), seed=1)
    spelled = json.dumps(varied)
    assert "Bob" not in spelled
    assert "Brewer" not in spelled
    assert "Ann Host" not in spelled
    guest = varied["names"][1]
    assert guest.split()[0] in FIRST
    assert guest.split()[1] in LAST
    assert f"{guest} would have said" in varied["messages"][1]["content"]


def test_the_same_line_and_seed_give_the_same_names() -> None:
    assert vary(make_line(), seed=1) == vary(make_line(), seed=1)
    assert vary(make_line(), seed=1)["names"] != vary(make_line(), seed=2)["names"]


def test_a_name_that_is_a_word_is_replaced_within_the_whole_name_only() -> None:
    rename = Renaming(["Will Young", "Ann Host"], random.Random(0))
    assert rename("Will you ask Will Young?") == f"Will you ask {rename.names[0]}?"


def test_facts_are_sentences_of_the_guest() -> None:
    lines = [vary(make_line(number), seed=3) for number in range(40)]
    told = [line for line in lines if line["facts"]]
    assert 0 < len(told) < len(lines)
    for line in told:
        said = " ".join(m["content"] for m in line["messages"] if m["role"] == "assistant")
        assert all(fact in said for fact in line["facts"])


def test_talk_about_the_programme_itself_is_left_out() -> None:
    assert is_good(make_line())
    line = make_line()
    line["messages"][2]["content"] += " This podcast has a sponsor."
    assert not is_good(line)


def test_a_panel_is_no_conversation_of_two() -> None:
    assert not is_good(make_line(names=("Ann Host", "Bob Brewer", "Cy Third")))


def test_no_more_is_chosen_than_was_asked_for() -> None:
    lines = [make_line(number) for number in range(20)]
    assert sum(line["tokens"] for line in choose(lines, 1000, seed=0)) <= 1000 + 300
    assert len(choose(lines, 1000, seed=0)) == 4
