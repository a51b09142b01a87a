"""Chat templates of the shapes that real models have, taken apart and put together again."""

from typing import Any

import jinja2
import pytest

from podcaster.chat_form import ChatForm
from podcaster.errors import EngineError

BOS, EOS = "<s>", "</s>"

# the shapes of the templates, not their texts: what precedes, divides and ends the turns
SHAPES = {
    # puts a system message of its own where there is none, and strips nothing
    "chatml, own system (SmolLM2)": (
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
        "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    # a block for the system first, then the rest; thinking may be switched off (Qwen)
    "chatml, system block (Qwen)": (
        "{%- if messages[0].role == 'system' %}"
        "{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}{%- endif %}"
        "{%- for message in messages %}"
        "{%- if message.role == 'user' %}"
        "{{- '<|im_start|>user\n' + message.content + '<|im_end|>\n' }}"
        "{%- elif message.role == 'assistant' %}"
        "{{- '<|im_start|>assistant\n' + message.content + '<|im_end|>\n' }}{%- endif %}"
        "{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}"
        "{%- if enable_thinking is defined and enable_thinking is false %}"
        "{{- '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}"
    ),
    "system inside the first turn (Llama 2)": (
        "{% if messages[0]['role'] == 'system' %}{% set rest = messages[1:] %}"
        "{% set told = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
        "{% else %}{% set rest = messages %}{% set told = '' %}{% endif %}"
        "{% for message in rest %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}"
        "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' }}"
        "{% if loop.first %}{{ told }}{% endif %}{{ message['content'] | trim + ' [/INST]' }}"
        "{% else %}{{ ' ' + message['content'] | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
    ),
    "headers (Llama 3)": (
        "{% for message in messages %}{% if loop.first %}{{ bos_token }}{% endif %}"
        "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + "
        "message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}"
        "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    ),
    "no system role (Gemma)": (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for message in messages %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Roles must alternate') }}{% endif %}"
        "{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}"
        "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
    ),
    "system before the first request (Mistral)": (
        "{%- if messages[0]['role'] == 'system' %}{%- set told = messages[0]['content'] + '\n\n' %}"
        "{%- set rest = messages[1:] %}{%- else %}{%- set told = '' %}{%- set rest = messages %}"
        "{%- endif %}{{- bos_token }}{%- for message in rest %}"
        "{%- if message['role'] == 'user' %}"
        "{{- ' [INST] ' + (told if loop.first else '') + message['content'] + ' [/INST]' }}"
        "{%- else %}{{- ' ' + message['content'] + eos_token }}{%- endif %}{%- endfor %}"
    ),
    "role marks on lines (TinyLlama, Zephyr)": (
        "{% for message in messages %}\n{% if message['role'] == 'user' %}\n"
        "{{ '<|user|>\n' + message['content'] + eos_token }}\n"
        "{% elif message['role'] == 'system' %}\n"
        "{{ '<|system|>\n' + message['content'] + eos_token }}\n"
        "{% elif message['role'] == 'assistant' %}\n"
        "{{ '<|assistant|>\n'  + message['content'] + eos_token }}\n{% endif %}\n"
        "{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n"
        "{% endfor %}"
    ),
}

SYSTEM = "You are Ada, the guest of a podcast."
TALK = (
    ("user", "Hello, Ada. Where did it start?"),
    ("assistant", "In a shed, with a loom."),
    ("user", "And then?"),
    ("assistant", "Then came the engine."),
)


def refuse(message: str) -> None:
    raise jinja2.TemplateError(message)


def render(source: str, messages: list[dict[str, str]], **told: Any) -> str:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    template = environment.from_string(source)
    return template.render(
        messages=messages, bos_token=BOS, eos_token=EOS, raise_exception=refuse, **told
    )


def spell(form: ChatForm, turns: tuple[tuple[str, str], ...]) -> str:
    """The conversation as a prompt puts the pieces together."""
    text = form.head + SYSTEM + form.close_system
    for number, (role, said) in enumerate(turns):
        who = "host" if role == "user" else "guest"
        opened = form.open_turn(who) if number else form.open_first
        text += opened + said + form.close_turn(who)
    return text


def whole(source: str, turns: tuple[tuple[str, str], ...]) -> str:
    """The same by the template itself; its system message joins the first turn where it must."""
    told = [{"role": role, "content": said} for role, said in turns]
    try:
        text = render(source, [{"role": "system", "content": SYSTEM}, *told])
        assert SYSTEM in text
    except jinja2.TemplateError:
        told[0] = {"role": "user", "content": f"{SYSTEM}\n\n{turns[0][1]}"}
        text = render(source, told)
    return text


@pytest.mark.parametrize("length", range(2, 5))
@pytest.mark.parametrize("shape", SHAPES)
def test_the_pieces_joined_are_what_the_template_writes(shape: str, length: int) -> None:
    source = SHAPES[shape]
    form = ChatForm(source, bos=BOS, eos=EOS)
    assert spell(form, TALK[:length]) == whole(source, TALK[:length])


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_begins_where_the_template_lets_it_begin(shape: str) -> None:
    source = SHAPES[shape]
    form = ChatForm(source, bos=BOS, eos=EOS)
    answered = whole(source, TALK[:2])
    opened = spell(form, TALK[:1]) + form.open_turn("guest")
    assert answered.startswith(opened + TALK[1][1]) or answered.startswith(
        opened + " " + TALK[1][1]
    )


ENDS = ("<|im_end|>", "<|im_end|>", EOS, "<|eot_id|>", "<end_of_turn>", EOS, EOS)


@pytest.mark.parametrize(("shape", "end"), zip(SHAPES, ENDS, strict=True))
def test_an_answer_is_closed_by_the_token_that_the_model_ends_it_with(shape: str, end: str) -> None:
    form = ChatForm(SHAPES[shape], bos=BOS, eos=EOS)
    assert form.close_turn("guest").strip() == end


@pytest.mark.parametrize(
    "source",
    [
        "{% for m in messages if m.role != 'assistant' %}{{ m.content }}{% endfor %}",
        "{{ messages[-1].content }}",
        "{% for m in messages | reverse %}<{{ m.role }}>{{ m.content }}{% endfor %}",
        "{% for m in messages[:2] %}<{{ m.role }}>{{ m.content }}{% endfor %}",
    ],
)
def test_a_template_that_leaves_turns_out_is_a_sentence(source: str) -> None:
    with pytest.raises(EngineError, match="leaves out or reorders what is said") as failure:
        ChatForm(source, bos=BOS, eos=EOS)
    assert "podcaster setup" in failure.value.next_step


@pytest.mark.parametrize(
    "source",
    [
        "{{ raise_exception('never') }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{{ unknown.attribute }}",
        "{% if %}",
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
    ],
)
def test_a_hostile_or_broken_template_is_a_sentence(source: str) -> None:
    with pytest.raises(EngineError, match="chat template") as failure:
        ChatForm(source, bos=BOS, eos=EOS)
    assert "\n" not in str(failure.value)
