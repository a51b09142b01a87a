import math
from typing import Any

from podcaster.write.checks import Inspected
from podcaster.write.exchange import content_words
from podcaster.write.score import Wish, is_marked, is_unknown, overlap, score

WISH = Wish(words=12, keywords=("rocket", "fuel"), known=frozenset({"ada"}))


def value(
    text: str, findings: tuple[str, ...] = (), logprob: float = -3.0, wish: Wish = WISH
) -> Any:
    return score(Inspected(text, findings), logprob, wish)


ON_TOPIC = "We burned the rocket fuel in a shed, and it was loud."
OFF_TOPIC = "We walked the whole way to a shop, and it was nice."


def test_the_topic_counts() -> None:
    assert value(ON_TOPIC) > value(OFF_TOPIC)


def test_the_question_counts() -> None:
    wish = Wish(words=12, question="And then you walked to the shop?")
    assert value(OFF_TOPIC, wish=wish) > value(ON_TOPIC, wish=wish)


def test_what_nobody_has_said_yet_counts() -> None:
    said = frozenset(content_words(ON_TOPIC))
    stale, fresh = Wish(words=12, said=said), Wish(words=12)
    assert value(ON_TOPIC, wish=stale) < value(ON_TOPIC, wish=fresh)
    assert value(OFF_TOPIC, wish=stale) == value(OFF_TOPIC, wish=fresh)


def test_likelier_is_better() -> None:
    assert value(ON_TOPIC, logprob=-2.0) > value(ON_TOPIC, logprob=-4.0)


def test_the_wished_length_is_best() -> None:
    assert value(ON_TOPIC) > value("Rocket fuel.")
    assert value(ON_TOPIC) > value(f"{ON_TOPIC} " * 4)


def test_findings_cost() -> None:
    assert value(ON_TOPIC) > value(ON_TOPIC, findings=("advert",))


def test_unknown_names_cost_and_known_ones_do_not() -> None:
    assert value("We asked Jerod about rocket fuel in the old shed, right there.") < value(
        "We asked Ada about rocket fuel in the old shed, right there."
    )


def test_a_host_should_ask() -> None:
    wish = Wish(words=12, asks=True)
    assert value("What was it like to burn rocket fuel in a shed then?", wish=wish) > value(
        "That was what it is like to burn rocket fuel in there.", wish=wish
    )


def test_guests_do_not_ask_nor_talk_about_the_show() -> None:
    assert value("We burned the rocket fuel in a shed, and was it loud?") < value(ON_TOPIC)
    assert value("We burned the rocket fuel on the show, and it was loud.") < value(ON_TOPIC)


def test_other_words_are_better_than_the_same_ones() -> None:
    same = "The rocket fuel and the rocket fuel and the rocket fuel burned."
    assert value(same) < value(ON_TOPIC)


def test_a_rare_word_said_again_costs() -> None:
    again = "We burned the rocket fuel in a rocket, and it was loud."
    assert value(again) < value(ON_TOPIC)
    # a word that everybody says all the time may come again
    assert not is_marked("was")
    assert is_marked("rocket")


def test_pairs_of_words_said_again_cost() -> None:
    wish = Wish(words=12)
    once = "I think it was good, and we said it was there for us."
    twice = "I think it was good, and I think it was there for us."
    assert value(twice, wish=wish) < value(once, wish=wish)


def test_words_that_a_small_model_made_up_cost() -> None:
    assert is_unknown("furnaffle")
    assert not is_marked("furnaffle")  # in another language, no word is one that people say
    made_up, wish = "We burned it in a furnaffle.", Wish(words=6)
    inventive = Wish(words=6, invents=True)
    assert value(made_up, wish=inventive) < value(made_up, wish=wish)
    for heard in (
        Wish(words=6, invents=True, known=frozenset({"furnaffles"})),
        Wish(words=6, invents=True, keywords=("solar", "furnaffles")),
    ):
        assert value(made_up, wish=heard) > value(made_up, wish=inventive)


def test_winning_time_costs() -> None:
    assert value("We burned, you know, the rocket fuel in a shed, I mean.") < value(
        "We burned, one day, the rocket fuel in a shed, for fun."
    )


def test_quoting_somebody_costs() -> None:
    assert value('"We burned the rocket fuel in a shed", and it was loud.') < value(ON_TOPIC)


def test_nothing_is_worst() -> None:
    assert value("") == -math.inf
    assert value("…") == -math.inf


def test_overlap_is_from_zero_to_one() -> None:
    assert overlap(["shed"], ["rocket"]) == 0
    assert 0 < overlap(["rocket", "the"], ["rockets"]) <= 1
    assert overlap(["the", "and"], ["the", "and"]) == 0
