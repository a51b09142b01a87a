"""Examples are chats that trainers read as they are, and none is longer than the context."""

from typing import Any, Literal

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from podcaster.dataset.clean import SpokenTurn
from podcaster.dataset.examples import Example, ExampleMaker
from podcaster.dataset.topics import find_topics
from podcaster.errors import ConfigError
from tests.dataset.conversations import SIDES, WordTokenizer, say, talk_of
from tests.dataset.test_windows import conversations

STRICT = (  # like those of models that refuse all but user, assistant, user, …
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('must alternate') }}{% endif %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
)


def spelled(example: Example, tokenizer: WordTokenizer) -> int:
    """Tokens of what the model reads, counted in one go."""
    return tokenizer.count([tokenizer.chat.spell(msgspec.to_builtins(example.messages))])[0]


@given(turns=conversations, context=st.integers(128, 600))
@settings(deadline=None)
def test_no_example_is_longer_than_the_context_and_tokens_are_what_the_model_reads(
    turns: list[SpokenTurn], context: int
) -> None:
    tokenizer = WordTokenizer()
    made = ExampleMaker(tokenizer, context, "guest").make(talk_of(turns))
    for example in made.dialogues:
        assert example.tokens == spelled(example, tokenizer) <= context
        assert example.roles[0] == "host"
        assert {"host", "guest"} <= set(example.roles)


@pytest.mark.parametrize("learn", ["guest", "host"])
@given(turns=conversations)
@settings(deadline=None)
def test_messages_alternate_and_begin_with_the_host(
    learn: Literal["guest", "host"], turns: list[SpokenTurn]
) -> None:
    tokenizer = WordTokenizer(template=STRICT)
    assert not tokenizer.chat.takes_system
    for example in ExampleMaker(tokenizer, 200, learn).make(talk_of(turns)).dialogues:
        messages = msgspec.to_builtins(example.messages)
        tokenizer.chat.spell(messages)  # which raises where they do not alternate
        begins = [m["role"] for m in messages[:2]]
        assert begins == (["system", "user"] if learn == "guest" else ["user", "assistant"])
        assert "Ann" in messages[0]["content"]  # the header
        assert all(m["content"].strip() for m in messages)


def test_an_example_has_the_documented_columns_and_nothing_is_null() -> None:
    turns = [say("Ann", 30), say("Bob", 30), say("Cy", 10), say("Ann", 10), say("Bob", 20)]
    (example,) = ExampleMaker(WordTokenizer(), 600, "guest").make(talk_of(turns)).dialogues
    line: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(example))
    columns = "messages show episode recording chapter names roles keywords words characters tokens"
    assert set(line) == set(columns.split(" "))
    assert None not in line.values()
    assert [set(message) for message in line["messages"]] == [{"role", "content"}] * 5
    assert (line["show"], line["episode"], line["recording"]) == ("Tea Talk", "On tea", "tea-1")
    assert dict(zip(line["names"], line["roles"], strict=True)) == SIDES
    assert line["messages"][0]["content"].startswith("Tea Talk: On tea.\nHost: Ann.\nGuest: Bob.")


def test_who_shares_a_side_is_named_and_who_does_not_is_not() -> None:
    turns = [say("Ann", 10), say("Bob", 10), say("Cy", 10), say("Ann", 10), say("Bob", 10)]
    (example,) = ExampleMaker(WordTokenizer(), 600, "guest").make(talk_of(turns)).dialogues
    system, host, guest, others, again = (message.content for message in example.messages)
    assert host.startswith("Ann: Tea")
    assert guest.startswith("Tea")
    assert others.startswith("Cy: Tea")
    assert "\nAnn: Tea" in others
    assert again.startswith("Tea")
    assert system


def test_a_side_that_never_speaks_leaves_no_example_but_is_counted() -> None:
    turns = [say("Bob", 20), say("Ann", 50)]
    made = ExampleMaker(WordTokenizer(), 600, "guest").make(talk_of(turns))
    assert not made.dialogues
    assert (made.early_words, made.alone_words) == (20, 50)


def test_a_chapter_becomes_a_request_and_its_conversation() -> None:
    turns = [say("Bob", 30, chapter=0), say("Ann", 40, chapter=0), say("Ann", 70, chapter=1)]
    talk = talk_of(turns, chapters=("How to brew", "Cups"), language="de")
    first, second = ExampleMaker(WordTokenizer(), 600, "guest").make(talk).conversations
    assert [message.role for message in first.messages] == ["system", "user", "assistant"]
    assert first.messages[1].content == "How to brew"
    assert first.messages[2].content == f"Bob: {turns[0].text}\n\nAnn: {turns[1].text}"
    assert (second.chapter, second.names) == ("Cups", ("Ann",))


@given(words=st.lists(st.integers(5, 400), min_size=2, max_size=6), context=st.integers(128, 400))
@settings(deadline=None)
def test_a_long_chapter_becomes_parts_that_fit_and_hold_all_of_it(
    words: list[int], context: int
) -> None:
    tokenizer = WordTokenizer()
    turns = [say(("Ann", "Bob")[n % 2], count, chapter=0) for n, count in enumerate(words)]
    talk = talk_of(turns, chapters=("Brewing", "x"))
    made = ExampleMaker(tokenizer, context, "guest").make(talk).conversations
    assert all(e.tokens == spelled(e, tokenizer) <= context for e in made)
    if sum(words) >= 60:
        said = sum(example.words for example in made)
        assert said == sum(turn.text.count(" ") + 1 for turn in turns)


def test_a_context_without_room_for_a_header_and_a_sentence_is_refused() -> None:
    maker = ExampleMaker(WordTokenizer(), 40, "guest")
    with pytest.raises(ConfigError, match="40 tokens is too small for the dialogues of tea-1"):
        maker.make(talk_of([say("Ann", 50), say("Bob", 50)]))


def test_endless_titles_and_names_do_not_crowd_out_the_talk() -> None:
    tokenizer = WordTokenizer()
    turns = [say("Ann", 50), say("Bob", 200)]
    talk = talk_of(turns, title="A very long title of a talk " * 400)
    made = ExampleMaker(tokenizer, 128, "guest").make(talk)
    assert made.dialogues
    assert all(example.tokens <= 128 for example in made.dialogues)


def test_topics_are_english_only_and_no_names() -> None:
    text = "Ann, the kettle and the teapot boil. The kettle whistles. Ann fills the teapot."
    assert "kettle" in find_topics(text, ["Ann"], "en-GB")
    assert "ann" not in find_topics(text, ["Ann"], "en-GB")
    assert find_topics(text, ["Ann"], "de") == ()
