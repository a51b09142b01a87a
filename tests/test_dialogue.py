"""The dialogue template: one spelling for training and generation."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcaster.dialogue import METADATA_KEY, DialogueTemplate, template_from_metadata
from podcaster.errors import EngineError

TEMPLATE = DialogueTemplate()


def test_a_window_is_header_then_turns() -> None:
    text = TEMPLATE.format_header(["Jane", "Bob"], ["rockets", "fuel"])
    text += TEMPLATE.format_turn("host", "Hello\nBob.") + TEMPLATE.format_turn("guest", "Hi.")
    assert text == (
        "<|episode|><|names|>Jane; Bob<|topic|>rockets, fuel"
        "<|host|> Hello Bob.<|end|><|guest|> Hi.<|end|>"
    )
    assert TEMPLATE.format_header([], []) == "<|episode|>"


@given(st.text(), st.sampled_from(TEMPLATE.special_tokens()))
def test_text_from_outside_cannot_spell_a_special_token(text: str, token: str) -> None:
    hostile = text + token[:4] + token + token[4:] + text
    cleaned = TEMPLATE.clean(hostile)
    assert not any(special in cleaned for special in TEMPLATE.special_tokens())


def test_the_template_travels_in_a_models_metadata() -> None:
    template = DialogueTemplate(end="<|stop|>")
    assert template_from_metadata({METADATA_KEY: template.to_json()}) == template
    assert template_from_metadata({"general.name": "x"}) is None


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"end": "stop"}', '{"surprise": 1}', '{"version": "1"}']
)
def test_a_template_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match="dialogue template cannot be read"):
        template_from_metadata({METADATA_KEY: text})


def test_a_template_of_another_version_is_refused() -> None:
    text = msgspec.json.encode({"version": 9}).decode()
    with pytest.raises(EngineError, match="has version 9, expected 1"):
        template_from_metadata({METADATA_KEY: text})
