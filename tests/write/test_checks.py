from typing import Any

import pytest

from podcaster.write.checks import (
    CHECKS,
    TurnContext,
    find_name_never_said,
    inspect_turn,
    phrases_of,
)

NAMES = ("Robin Hale", "Ada Lovelace")


def context(role: Any = "guest", **known: Any) -> Any:
    return TurnContext(role=role, names=NAMES, **known)


CLEAN = "We built it in a shed behind the house. It took a winter and most of my savings."

# check -> (a text that has the fault, what is known, what the repair leaves)
PLANTED = {
    "other_speaker": [
        (f"{CLEAN} <|host|> And then?", {}, CLEAN),
        (f"{CLEAN}\nRobin Hale: And then?", {}, CLEAN),
        (f"{CLEAN} Host: And then?", {}, CLEAN),
        (f"Ada: {CLEAN}", {}, CLEAN),
        (f"**Ada Lovelace:** {CLEAN}", {}, CLEAN),
    ],
    "missing_end": [(f"{CLEAN} And so we", {"finished": False}, CLEAN)],
    "loop": [
        (f"{CLEAN} I know. I know. I know. I know.", {}, f"{CLEAN} I know."),
        ("It is true and so on and so on and so on and so on", {}, ""),
    ],
    "not_speech": [
        (f"**Well**, {CLEAN}", {}, f"Well, {CLEAN}"),
        (f"[laughs] {CLEAN} (applause)", {}, CLEAN),
        (f"{CLEAN} See https://example.com/a for more.", {}, CLEAN),
        (f"{CLEAN} Look at example.com today.", {}, CLEAN),
        (f"{CLEAN} You write x == y; in there.", {}, CLEAN),
        (f"# Heading\n{CLEAN}", {}, f"Heading {CLEAN}"),
        (f"{CLEAN} \N{ROCKET}", {}, CLEAN),
    ],
    "advert": [
        (f"{CLEAN} This episode is brought to you by Acme.", {}, CLEAN),
        (f"{CLEAN} Use the code SHED for 20 percent off.", {}, CLEAN),
        (f"{CLEAN} Head to acme dot com right now.", {}, CLEAN),
    ],
    "out_of_place": [(f"{CLEAN} Thanks for having me on the show.", {}, CLEAN)],
    "verbatim": [
        (
            f"{CLEAN} It was the best of times.",
            {"verbatim": lambda text: 14 if "best of times" in text else 3},
            CLEAN,
        )
    ],
    "repeats": [
        (f"{CLEAN} We built it in a shed behind the house.", {}, CLEAN),
        (
            f"I'm a baker. {CLEAN} I'm a baker, you see. But I'm a baker.",
            {},
            f"I'm a baker. {CLEAN} I'm a baker, you see.",
        ),
        (  # over the border of two sentences
            f"{CLEAN} I like money. And it was good. I had no money. And it was good.",
            {},
            f"{CLEAN} I like money. And it was good. I had no money.",
        ),
        (
            f"{CLEAN} Nobody believed that it would ever fly.",
            {"said": phrases_of("Nobody believed that it would ever fly, or land.")},
            CLEAN,
        ),
    ],
    "unfinished": [
        (f"{CLEAN} Because the", {}, CLEAN),
        (f"{CLEAN} And then...", {}, CLEAN),
        (f"It is not that it's. {CLEAN} We had a lot of.", {}, CLEAN),
    ],
    "assistant_talk": [
        (f"As an AI language model, I have no shed. {CLEAN}", {}, CLEAN),
        (f"{CLEAN} Feel free to ask me anything.", {}, CLEAN),
        ("I'm SmolLM, and I am here to help.", {}, ""),
    ],
    "speaks_of_self": [
        (f"Ada Lovelace was a great mind. {CLEAN}", {"own_name": "Ada Lovelace"}, CLEAN),
        (f"{CLEAN} People say that Lovelace foresaw it.", {"own_name": "Ada Lovelace"}, CLEAN),
        ("Ada Lovelace foresaw the computer.", {"own_name": "Ada Lovelace"}, ""),
    ],
    "agrees_emptily": [
        (f"You're right. {CLEAN}", {}, CLEAN),
        (f"Yes, absolutely. That's a great question! {CLEAN}", {}, CLEAN),
        ("That's so true.", {}, ""),
    ],
    "mirrors": [
        (
            f"The village welded the turbine by hand. {CLEAN}",
            {"previous": "So the village welded its turbine by hand?"},
            CLEAN,
        ),
        (
            "The village welded the turbine.",
            {"previous": "The turbine was welded in a village?"},
            "",
        ),
    ],
    "nothing_new": [
        ("He is king.", {"known": frozenset({"king"})}, ""),
        ("It is what it is, and that is what it was.", {"known": frozenset({"king"})}, ""),
        (
            "The king wears a crown, a robe and a ring on the throne of the castle. It hurts.",
            {"known": {"king", "wear", "crown", "robe", "ring", "throne", "castle"}},
            "It hurts.",
        ),
    ],
    "no_answer": [
        ("What do you think?", {"previous": "What did it weigh?"}, ""),
        ("I don't know.", {"previous": "What did it weigh?"}, ""),
        (f"I'm sorry, I cannot say. {CLEAN}", {"previous": "How was it done?"}, CLEAN),
        ("Nine pounds.", {"previous": "We saw the crown. What did it weigh?"}, ""),
    ],
    "short_replies": [("Fine.", {"previous": "Right."}, "")],
    "never_asks": [
        (
            "That is a long time.",
            {"role": "host", "unasked": 2, "question": "What about the shed?"},
            "That is a long time. What about the shed?",
        )
    ],
}


@pytest.mark.parametrize(
    ("name", "text", "known", "left"),
    [(name, *case) for name, cases in PLANTED.items() for case in cases],
)
def test_a_planted_fault_is_found_and_repaired(
    name: str, text: str, known: dict[str, Any], left: str
) -> None:
    inspected = inspect_turn(text, context(**known))
    assert name in inspected.findings
    assert inspected.text == left
    assert inspected.usable == bool(left)


def test_every_check_has_a_planted_fault() -> None:
    assert set(PLANTED) == set(CHECKS)


@pytest.mark.parametrize(
    "text",
    [
        CLEAN,
        "I asked myself: why not? The answer came on a Tuesday, at 3.5 degrees (in the cold shed).",
        "Well, that's that. You know, my aunt said so, and I said no.",
        "I don't know. Or rather, I don't know yet.",
        "The U.S. grew by 2 percent. Mr. Smith said so.",
    ],
)
def test_clean_speech_has_no_findings(text: str) -> None:
    assert inspect_turn(text, context()).findings == ()
    assert inspect_turn(text, context()).text == text


def test_a_repair_leaves_nothing_to_find() -> None:
    for cases in PLANTED.values():
        for _, known, left in cases:
            if left:
                known = {**known, "finished": True}
                assert inspect_turn(left, context(**known)).findings == (), left


def test_greetings_are_in_place_at_the_edges() -> None:
    text = "Thanks for having me on the show."
    assert inspect_turn(text, context(edge=True)).findings == ()


def test_a_guest_need_not_ask() -> None:
    assert inspect_turn("That is a long time.", context(unasked=5)).findings == ()


def test_a_host_who_asks_is_left_alone() -> None:
    inspected = inspect_turn("How long was it?", context(role="host", unasked=5))
    assert inspected.findings == ()


def test_the_guests_name_is_missed() -> None:
    assert find_name_never_said(["Hello.", "And now?"], "Ada Lovelace") == "Ada Lovelace"
    assert find_name_never_said(["Hello, Ada Lovelace."], "Ada Lovelace") is None


def test_unbalanced_quotes_are_taken_off() -> None:
    assert inspect_turn('He said "no to me.', context()).text == "He said no to me."
