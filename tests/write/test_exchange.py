"""Checks across turns, on what they must leave alone and what they measure."""

from typing import Any

import pytest

from podcaster.write.checks import TurnContext, inspect_turn
from podcaster.write.exchange import content_words, share_new, stands_still

NAMES = ("Robin Hale", "Ada Lovelace")


def context(**known: Any) -> TurnContext:
    return TurnContext(**{"role": "guest", "names": NAMES, "own_name": NAMES[1], **known})


@pytest.mark.parametrize(
    ("text", "known"),
    [
        # a short answer to what can be answered shortly
        ("No, never.", {"previous": "Did it ever fly?"}),
        # a question at the end of an answer is one
        ("We welded the turbine by hand. Why not?", {"previous": "How was it built?"}),
        # two words of the question may come back in an answer
        ("The turbine came from a scrapyard near Bristol.", {"previous": "Whose turbine is it?"}),
        # a host may ask with words that were said before
        ("And the turbine?", {"role": "host", "known": frozenset({"turbine"})}),
        # a host may agree in a word before he asks
        ("Right. And where is the turbine today?", {"role": "host"}),
        # the host names the guest
        ("Ada Lovelace, where did the turbine come from?", {"role": "host", "own_name": NAMES[0]}),
        # thanks and a goodbye bring nothing new, and need not
        ("You're right. Thank you.", {"edge": True, "known": frozenset({"turbine"})}),
        # who helped, and what an assistant says, are not the same
        ("I was happy, and my assistant welded the turbine.", {}),
    ],
)  # fmt: skip
def test_what_people_say_is_left_alone(text: str, known: dict[str, Any]) -> None:
    assert inspect_turn(text, context(**known)).findings == ()


def test_only_the_refusal_is_left_out_where_an_answer_follows() -> None:
    text = "I don't know. The shed burned down before we could weigh the turbine in it."
    inspected = inspect_turn(text, context(previous="What did it weigh?"))
    assert inspected.text == "The shed burned down before we could weigh the turbine in it."


def test_everyday_words_are_nothing_new() -> None:
    assert content_words("It is what it is, you know, and that was that.") == []
    assert share_new("It is what it is.", frozenset()) == 0
    assert content_words("The king's crown, and two crowns.") == ["king", "crown", "crown"]
    assert share_new("The king has a crown.", frozenset({"king"})) == 0.5
    assert share_new("The king has a crown.", frozenset()) == 1


def test_a_talk_stands_still_by_its_last_turns() -> None:
    assert not stands_still([])
    assert not stands_still([0.0, 0.0])  # too early to say
    assert stands_still([1.0, 0.3, 0.3, 0.3])
    assert not stands_still([0.0, 0.0, 0.3, 0.3, 0.9])
