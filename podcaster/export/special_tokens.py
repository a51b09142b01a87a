"""Which tokens begin and end a text, and the chat template, as transformers saves them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf

from podcaster.errors import EngineError, InputError
from podcaster.export.vocabulary import Vocabulary
from podcaster.export.weights import LARGEST_JSON_BYTES, read_json

# By these texts llama.cpp itself knows that a generation ends.
_ENDS_BY_NAME = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>",
    "<EOT>", "<|end_of_text|>", "<eos>",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SpecialTokens:
    """Ids of the tokens with a meaning; the first of `ends` ends a text, all end a generation."""

    begin: int
    ends: tuple[int, ...]
    unknown: int | None = None
    padding: int | None = None
    add_begin: bool = False
    add_end: bool = False
    chat_template: str | tuple[Mapping[str, str], ...] | None = None

    def add_to(self, writer: gguf.GGUFWriter, tokens: Sequence[str]) -> None:
        """Write them as metadata. Raises EngineError for more ends than llama.cpp can be told."""
        for number, add in (
            (self.begin, writer.add_bos_token_id), (self.unknown, writer.add_unk_token_id),
            (self.padding, writer.add_pad_token_id),
        ):  # fmt: skip
            if number is not None:
                add(number)
        rest = sorted(self.ends[1:], key=lambda number: tokens[number] in _ENDS_BY_NAME)
        slots = (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id)
        for number, add in zip((*self.ends[:1], *rest), slots, strict=False):
            add(number)
        left = [tokens[n] for n in rest[2:] if tokens[n] not in _ENDS_BY_NAME]
        if left:
            raise EngineError(
                f"generation_config.json ends a generation at {len(self.ends)} tokens; llama.cpp "
                f"can be told of three, and does not know {left[0]!r}."
            )
        writer.add_add_bos_token(self.add_begin)
        writer.add_add_eos_token(self.add_end)
        if self.chat_template:
            writer.add_chat_template(self.chat_template)


def read_special_tokens(folder: Path, vocabulary: Vocabulary, *, settings: Path) -> SpecialTokens:
    """Read them from the files beside `folder/tokenizer.json`, and of `settings` the ends of text.

    Raises InputError for tokens that the vocabulary lacks.
    """
    numbers = {token: number for number, token in enumerate(vocabulary.tokens)}
    config = _read_optional(folder / "tokenizer_config.json")
    named = {**_read_optional(folder / "special_tokens_map.json"), **config}

    def find(role: str) -> int | None:
        value = named.get(f"{role}_token")
        text = value.get("content") if isinstance(value, dict) else value
        if text is None:
            return None
        if not isinstance(text, str) or text not in numbers:
            raise InputError(f"{folder} names the {role}_token {text!r}, which has no id.")
        return numbers[text]

    add_begin, add_end = _read_adding(folder, config)
    model = _read_optional(settings / "config.json")
    ends = [find("eos")]
    for document in (_read_optional(settings / "generation_config.json"), model):
        ends += _list_ids(document, "eos_token_id", vocabulary, settings)
    known = tuple(dict.fromkeys(number for number in ends if number is not None))
    if not known:
        raise InputError(f"{folder} names no token that ends a text (eos_token).")
    begins = (find("bos"), *_list_ids(model, "bos_token_id", vocabulary, settings))
    begin = next((number for number in begins if number is not None), None)
    return SpecialTokens(
        begin=known[0] if begin is None else begin,  # llama.cpp must be told one
        ends=known,
        unknown=find("unk"),
        padding=find("pad"),
        add_begin=add_begin and begin is not None,
        add_end=add_end,
        chat_template=_read_chat_template(folder, config),
    )


def _list_ids(
    document: Mapping[str, Any], key: str, vocabulary: Vocabulary, where: Path
) -> list[int]:
    value = document.get(key)
    ids = value if isinstance(value, list) else [] if value is None else [value]
    for number in ids:
        if type(number) is not int or not 0 <= number < len(vocabulary.tokens):
            raise InputError(f"{where} gives the {key} {number!r}, which is no token's id.")
    return ids


def _read_adding(folder: Path, config: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether a begin and an end are put around a text."""
    before = after = False
    for step in _templates(read_json(folder / "tokenizer.json").get("post_processor")):
        single = step.get("single")
        parts = single if isinstance(single, list) else []
        specials = [isinstance(part, dict) and "SpecialToken" in part for part in parts]
        before, after = before or specials[:1] == [True], after or specials[-1:] == [True]
    told = (config.get("add_bos_token"), config.get("add_eos_token"))
    return (
        told[0] if isinstance(told[0], bool) else before,
        told[1] if isinstance(told[1], bool) else after,
    )


def _templates(processor: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(processor, dict):
        if processor.get("type") == "TemplateProcessing":
            yield processor
        inner = processor.get("processors")
        for one in inner if isinstance(inner, list) else []:
            if isinstance(one, dict) and one.get("type") == "TemplateProcessing":
                yield one


def _read_chat_template(
    folder: Path, config: Mapping[str, Any]
) -> str | tuple[Mapping[str, str], ...] | None:
    """The template verbatim, or several by name."""
    alone = folder / "chat_template.jinja"
    if alone.is_file() and alone.stat().st_size <= LARGEST_JSON_BYTES:
        try:
            return alone.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"Cannot read {alone}: {error}.") from error
    found = _read_optional(folder / "chat_template.json").get("chat_template")
    template = found or config.get("chat_template")
    if template is None or isinstance(template, str):
        return template
    if isinstance(template, list) and all(
        isinstance(one, dict) and {type(one.get("name")), type(one.get("template"))} == {str}
        for one in template
    ):
        return tuple(template)
    raise InputError(f"{folder} has a chat_template that is neither text nor a list of named ones.")


def _read_optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}
