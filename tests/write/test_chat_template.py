from typing import Any

import pytest

from podcaster.errors import EngineError
from podcaster.write.chat_template import ChatTemplate


def render(source: str, system: str = "Be brief.", request: str = "Hello") -> Any:
    return ChatTemplate(source, bos="<s>", eos="</s>").render(system, request)


def test_contents_are_apart_from_the_template(chatml: str) -> None:
    assert render(chatml) == [
        ("<|im_start|>system\n", True),
        ("Be brief.", False),
        ("<|im_end|>\n<|im_start|>user\n", True),
        ("Hello", False),
        ("<|im_end|>\n<|im_start|>assistant\n", True),
    ]


def test_a_template_without_a_system_role_gets_one_request() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}<{{ m.role }}>{{ m.content }}"
        "{% endfor %}"
    )
    assert render(source) == [("<s><user>", True), ("Be brief.\n\nHello", False)]


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages.__class__.__mro__ }}{{ messages[0].content }}{{ messages[1].content }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(100000) %}x{% endfor %}",
        "{% for i in range(200) %}{% for j in range(200) %}{{ i }}{% endfor %}{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ unknown.attribute }}",
        "{% if %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    ],
)
def test_a_hostile_or_broken_template_is_one_sentence(source: str) -> None:
    with pytest.raises(EngineError, match="chat template") as failure:
        render(source)
    assert "\n" not in str(failure.value)


def test_a_template_that_forgets_the_request() -> None:
    with pytest.raises(EngineError, match="leaves the request out"):
        render("{{ messages[0].content }}")
