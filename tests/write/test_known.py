"""In which field a guest is known: believed where a model's answers agree."""

from podcaster.write.known import ANSWERS, FIELDS, find_fields


def test_a_field_that_the_answers_agree_on_is_believed() -> None:
    answers = [
        "is a former US President and politician.",
        "was the 44th President of the United States.",
        "is a politician from Illinois.",
        "is a lawyer and author.",
    ]
    assert len(answers) == ANSWERS
    assert find_fields(answers) == ("politics",)


def test_answers_that_differ_each_time_say_nothing() -> None:
    answers = [
        "is a rapper from Jamaica.",
        "is a physicist who studied stars.",
        "is a chef with a restaurant in Lyon.",
        "was a painter.",
    ]
    assert find_fields(answers) == ()


def test_whoever_is_called_made_up_is_known_for_nothing() -> None:
    answers = ["is a fictional character, a musician in a video game."] * ANSWERS
    assert find_fields(answers) == ()


def test_the_field_named_most_often_comes_first() -> None:
    answers = [
        "was a painter and inventor.",
        "was an artist, famous for his inventions.",
        "was a painter who drew machines.",
        "was an engineer and an artist.",
    ]
    assert find_fields(answers) == ("art", "inventing things")


def test_no_word_stands_for_two_fields() -> None:
    words = [word for spelled in FIELDS.values() for word in spelled.split()]
    assert len(words) > 100
    assert len(words) == len(set(words))
