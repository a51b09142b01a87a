"""Tokenizers as Hugging Face saves them: llama.cpp gives the same ids, or they are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

for library in ("torch", "transformers", "tokenizers", "gguf", "llama_cpp"):
    pytest.importorskip(library, reason=f"export needs {library}: install podcaster[train]")

from tokenizers import AddedToken, Tokenizer  # noqa: E402

from podcaster.errors import EngineError, InputError  # noqa: E402
from podcaster.export.gguf import ModelCard, WrittenModel, write_model  # noqa: E402
from podcaster.export.vocabulary import (  # noqa: E402
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    read_vocabulary,
)
from tests.export.tiny_models import (  # noqa: E402
    BEGIN,
    CHAT_TEMPLATE,
    END,
    HARD_TEXT,
    edit_json,
    make_model,
    make_tokenizer,
    open_model,
)

CARD = ModelCard(name="tiny", licence="MIT", description="random", extra={})
BYTE_LEVEL = ["gpt-2", "smollm", "llama-bpe", "qwen2", "tekken"]
SCORED = ["prepended", "first", "gemma"]
TEXTS = [
    HARD_TEXT.replace("नमस्ते", "now"),
    "",
    " ",
    "      six spaces, then\ttabs\t\t\tand\n\n\nlines \n \n x",
    "Hello",
    " Hello  there ",
    "a<plain tag>b <plain tag> c<plain tag>",
    "<unk> <s>x</s> [INST] <0x0A> ▁▁ <|host|> Hello.<|end|><|guest|>Yes",
    "def f(x):\n    return {'a': [1, 22, 333, 4444]}  # ½ ² ⅷ №5 ６",
    "\u200bzero\u200dwidth\ufeff \u00adsoft \x07bell\x1b[0m, 🇩🇪🇯🇵 ❤️ 👍🏽 ┻━┻ ∀x∈ℝ",
    "ALL CAPS and mixedCase, THEY'LL we'Ve I'D 'S don't",
    "安全 你好，世界。안녕하세요 สวัสดี مرحبا",
]


def save(folder: Path, kind: str) -> Path:
    path = folder / "tokenizer.json"
    make_tokenizer(kind).save(str(path))
    return path


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def write(folder: Path, family: str, **options: Any) -> WrittenModel:
    given = {"precision": "F32", "card": CARD, **options}
    return write_model(folder.parent / "model.gguf", folder, None, **given)


@pytest.mark.parametrize("family", ["llama-2", "llama-3", "qwen2", "mistral-nemo", "smollm",
                                    "mistral", "gemma3"])  # fmt: skip
def test_llama_cpp_gives_the_same_ids(tmp_path: Path, family: str) -> None:
    base = tmp_path / "base"
    make_model(base, family)
    written = write(base, family)
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    model = open_model(written.path)
    assert (written.opening == BEGIN) == (family == "mistral")
    caveats = {"mistral-nemo": "text with combining marks", "gemma3": "text in which ▁"}
    assert written.caveat.startswith(caveats.get(family, ""))
    assert bool(written.caveat) == (family in caveats)
    compared = 0
    for text in TEXTS:
        if {"mistral-nemo": "สวัสดี", "gemma3": "▁"}.get(family, "none") in text:
            continue  # as the caveat says
        wanted = tokenizer.encode(written.opening + text, add_special_tokens=False).ids
        told = (written.opening + text).encode()
        assert model.tokenize(told, add_bos=False, special=True) == wanted, text
        compared += len(wanted)
    assert compared > 200
    model.close()


@pytest.mark.parametrize("family", ["llama-2", "llama-3", "gemma2"])
def test_text_comes_back_from_its_ids(tmp_path: Path, family: str) -> None:
    base = tmp_path / "base"
    make_model(base, family)
    model = open_model(write(base, family).path)
    text = "The  rocket — 3.14 안 🚀\n\n\tand <plain tag>"
    ids = model.tokenize(text.encode(), add_bos=False, special=True)
    assert model.detokenize(ids, special=True).decode().strip() == text
    model.close()


def test_kinds_of_tokens(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(save(tmp_path, "gemma"), size=800)
    kinds = dict(zip(vocabulary.tokens, vocabulary.kinds, strict=True))
    assert vocabulary.model == "llama"
    assert kinds["<unk>"] == UNKNOWN
    assert kinds[BEGIN] == kinds["<unused3>"] == CONTROL
    assert kinds["<0x0A>"] == BYTE
    assert kinds["\n\n"] == kinds["<plain tag>"] == USER_DEFINED
    assert kinds["▁▁"] == kinds["▁the"] == NORMAL
    assert kinds["[PAD799]"] == UNUSED
    assert len(vocabulary.scores) == 800
    scores = dict(zip(vocabulary.tokens, vocabulary.scores, strict=True))
    assert scores["▁▁"] > scores["▁▁▁"] > scores["▁the"]


def test_the_name_of_an_unused_id_is_taken_by_no_other(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer = make_tokenizer("gpt-2")
    tokenizer.add_tokens([AddedToken("[PAD799]", normalized=False)])
    tokenizer.save(str(path))
    tokens = read_vocabulary(path, size=800).tokens
    assert len(set(tokens)) == 800
    assert tokens[799] == "[PAD799]_"


def test_what_begins_and_ends_is_carried(tmp_path: Path) -> None:
    base = tmp_path / "base"
    model = make_model(base, "llama-3")
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    host, guest = tokenizer.token_to_id("<|tool|>"), tokenizer.token_to_id("<plain tag>")
    begin, end = tokenizer.token_to_id(BEGIN), tokenizer.token_to_id(END)
    edit_json(base / "generation_config.json", eos_token_id=[host, end, guest])
    opened = open_model(write(base, "llama-3").path)
    assert (opened.token_bos(), opened.token_eos()) == (begin, end)
    vocab = opened._model.vocab
    import llama_cpp

    ending = {n for n in range(model.config.vocab_size) if llama_cpp.llama_vocab_is_eog(vocab, n)}
    assert ending == {host, end, guest}
    assert opened.metadata["tokenizer.chat_template"] == CHAT_TEMPLATE
    assert opened.tokenize(b"x", add_bos=True)[0] == begin  # as the tokenizer's template says
    assert opened.metadata["tokenizer.ggml.add_eos_token"] == "false"
    opened.close()
    other = tokenizer.token_to_id("!")
    edit_json(base / "generation_config.json", eos_token_id=[host, end, guest, other])
    with pytest.raises(EngineError, match="can be told of three, and does not know '!'"):
        write(base, "llama-3")


def test_a_chat_template_may_lie_in_the_configuration_or_be_several(tmp_path: Path) -> None:
    base = tmp_path / "base"
    make_model(base, "qwen2")
    (base / "chat_template.jinja").unlink()
    edit_json(base / "tokenizer_config.json", chat_template="{{ 1 }}")
    opened = open_model(write(base, "qwen2").path)
    assert opened.metadata["tokenizer.chat_template"] == "{{ 1 }}"
    opened.close()
    several = [{"name": "default", "template": "{{ 2 }}"}, {"name": "tool", "template": "{{ 3 }}"}]
    edit_json(base / "tokenizer_config.json", chat_template=several)
    opened = open_model(write(base, "qwen2").path)
    assert opened.metadata["tokenizer.chat_template"] == "{{ 2 }}"
    assert opened.metadata["tokenizer.chat_template.tool"] == "{{ 3 }}"
    opened.close()
    edit_json(base / "tokenizer_config.json", chat_template=[{"name": "default"}])
    with pytest.raises(InputError, match="neither text nor a list"):
        write(base, "qwen2")


Change = Callable[[dict[str, Any]], None]


def put(*path: Any, value: Any) -> Change:
    """A change that sets one value of a document."""

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


HOSTILE = [
    put("model", value=None),
    put("model", value=[]),
    put("model", "vocab", value={"a": "b"}),
    put("model", "vocab", value={"a": -1}),
    put("model", "vocab", value={"a": 10**30}),
    put("model", "vocab", value={"a": 1.5}),
    put("model", "vocab", value={"a\0b": 1}),
    put("model", "vocab", value={"\ud800": 1}),
    put("model", "vocab", value={"a": 100, "b": 100}),
    put("model", "merges", value=[["a"]]),
    put("model", "merges", value=["ab"]),
    put("model", "merges", value=[5]),
    put("model", "merges", value=None),
    put("model", "ignore_merges", value="yes"),
    put("added_tokens", value=[{"id": 3}]),
    put("added_tokens", value=[{"id": 10**9, "content": "x"}]),
    put("added_tokens", value=[{"id": 50, "content": ""}]),
    put("added_tokens", value=[{"id": 50, "content": "taken"}, {"id": 51, "content": "taken"}]),
    put("added_tokens", 0, "rstrip", value=True),
    put("pre_tokenizer", value={"type": "Sequence"}),
    put("pre_tokenizer", value={"type": "Sequence", "pretokenizers": [3]}),
    put("pre_tokenizer", value=3),
    put("pre_tokenizer", value={"type": "Whitespace"}),
    put("model", "merges", value=[["a", "b"], ["a", "b"]]),
    put("normalizer", value={"type": "Lowercase"}),
    put("normalizer", value={"type": "Sequence", "normalizers": 3}),
    put("model", "type", value="WordPiece"),
    put("model", "type", value="Unigram"),
    put("model", "dropout", value=0.5),
]


@pytest.mark.parametrize("kind", ["gpt-2", "llama-bpe", "gemma"])
@pytest.mark.parametrize("change", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_tokenizer_gives_a_sentence(tmp_path: Path, kind: str, change: Change) -> None:
    path = save(tmp_path, kind)
    read_vocabulary(path, size=800)
    edit(path, change)
    with pytest.raises((InputError, EngineError), match=r"^.*tokenizer\.json.*\.$"):
        read_vocabulary(path, size=800)


def unlist(document: dict[str, Any]) -> None:
    """One of the ways to cut a token is no longer a merge."""
    left, right = next(m for m in document["model"]["merges"] if len(m[0] + m[1]) > 3)
    document["model"]["merges"].remove([left, right])


def shuffle(document: dict[str, Any]) -> None:
    """The ways to cut one token no longer stand together."""
    merges = document["model"]["merges"]
    several = [m for m in merges if sum(a + b == m[0] + m[1] for a, b in merges) > 1]
    merges.remove(several[-1])
    merges.append(several[-1]) if several[-1] != merges[-1] else merges.insert(0, several[-1])
    merges.insert(0, merges.pop())


def mix_runs(document: dict[str, Any]) -> None:
    """The merges of runs of spaces stand mixed, as where all have one score (Llama 2)."""
    runs = [m for m in document["model"]["merges"] if not "".join(m).strip("▁")]
    rest = [m for m in document["model"]["merges"] if m not in runs]
    longest_first = sorted(runs, key=lambda m: (len(m[0]), len(m[1])), reverse=True)
    document["model"]["merges"] = [*rest, *longest_first]


def test_merges_of_runs_of_spaces_may_stand_mixed(tmp_path: Path) -> None:
    path = save(tmp_path, "gemma")
    edit(path, mix_runs)
    vocabulary = read_vocabulary(path, size=800)
    scores = dict(zip(vocabulary.tokens, vocabulary.scores, strict=True))
    assert max(scores["▁▁"], scores["▁▁▁▁▁▁▁▁"]) < scores["▁the"]
    assert vocabulary.caveat.startswith("text with more spaces in a row")


def drop_byte(document: dict[str, Any]) -> None:
    document["model"]["vocab"]["<byte>"] = document["model"]["vocab"].pop("<0x41>")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("prepended", unlist, "in an order that llama.cpp, which goes by scores, cannot follow"),
        ("prepended", shuffle, "in an order that llama.cpp, which goes by scores, cannot follow"),
        ("prepended", drop_byte, "falls back to bytes and lacks the token <0x41>"),
        ("prepended", put("normalizer", value=None), "does not write spaces as ▁"),
        ("first", put("pre_tokenizer", "prepend_scheme", value="always"), "splits text by Metasp"),
        ("first", put("pre_tokenizer", "split", value=True), "splits text by Metaspace"),
        ("gemma", put("normalizer", value={"type": "NFKC"}), "normalises text by NFKC"),
        ("gpt-2", put("model", "ignore_merges", value=True), None),
        ("llama-bpe", put("model", "ignore_merges", value=False), None),
    ],
)
def test_what_llama_cpp_would_split_otherwise_is_refused(
    tmp_path: Path, kind: str, change: Change, message: str | None
) -> None:
    path = save(tmp_path, kind)
    edit(path, change)
    if message is None:  # each token is reached by its merges, so this changes nothing
        assert read_vocabulary(path, size=800).model == "gpt2"
        edit(path, lambda document: document["model"]["merges"].pop())
        message = "merges otherwise than ignore_merges says"
    with pytest.raises(EngineError, match=message):
        read_vocabulary(path, size=800)


def test_an_unknown_pattern_and_too_many_ids_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "qwen2")
    with pytest.raises(EngineError, match="the network knows 100 ids"):
        read_vocabulary(path, size=100)
    pattern = ("pre_tokenizer", "pretokenizers", 0, "pattern", "Regex")
    edit(path, put(*pattern, value=r"\w+"))
    with pytest.raises(EngineError, match=r"has no name for; known are GPT-2's, .* and SmolLM's"):
        read_vocabulary(path, size=800)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("tokenizer_config.json", {"bos_token": 5}, "names the bos_token 5, which has no id"),
        ("tokenizer_config.json", {"eos_token": "<no>"}, "names the eos_token '<no>'"),
        ("generation_config.json", {"eos_token_id": "x"}, "gives the eos_token_id 'x'"),
        ("generation_config.json", {"eos_token_id": [10**9]}, "gives the eos_token_id 1000000000"),
        ("generation_config.json", {"eos_token_id": [True]}, "gives the eos_token_id True"),
    ],
)
def test_special_tokens_without_an_id_are_refused(
    tmp_path: Path, name: str, changes: dict[str, Any], message: str
) -> None:
    base = tmp_path / "base"
    make_model(base, "llama-3")
    edit_json(base / name, **changes)
    with pytest.raises(InputError, match=message):
        write(base, "llama-3")
    assert [path.name for path in tmp_path.iterdir()] == ["base"]
