"""A model's own tokenizer counts: that of the built-in model, and any `tokenizer.json`."""

import json
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from podcaster.dataset.chat import ChatTemplate
from podcaster.dataset.engine import choose_context
from podcaster.dataset.examples import ExampleMaker
from podcaster.engines import open_engine
from podcaster.errors import ConfigError, EngineError, InputError
from podcaster.setup.cache import find_model
from tests.dataset.conversations import WordTokenizer, say, talk_of


@pytest.mark.engine
def test_the_builtin_model_counts_its_windows_exactly_and_they_fit() -> None:
    llama_cpp = pytest.importorskip("llama_cpp")
    path = find_model("builtin")
    turns = [say(name, n * 7 % 400, about=f"brew{n}") for n in range(40) for name in ("Ann", "Bob")]
    with closing(open_engine("dataset", "llama_cpp", path=str(path))) as tokenizer:
        assert tokenizer.context_tokens == 8192
        maker = ExampleMaker(tokenizer, 512, "guest")
        examples = maker.make(talk_of(turns)).dialogues
        spell = tokenizer.chat.spell
    assert len(examples) > 10
    model = llama_cpp.Llama(str(path), vocab_only=True, verbose=False)
    for example in examples:
        text = spell(msgspec.to_builtins(example.messages))
        tokens = model.tokenize(text.encode(), add_bos=False, special=True)
        assert example.tokens == len(tokens) <= 512


@pytest.mark.engine
def test_what_is_no_model_is_refused_with_its_name(tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    wrong = tmp_path / "wrong.gguf"
    wrong.write_bytes(b"PK\x03\x04 a zip")
    with pytest.raises(InputError, match=r"wrong\.gguf is not a GGUF model"):
        open_engine("dataset", "llama_cpp", path=str(wrong))
    wrong.write_bytes(find_model("builtin").read_bytes()[:3000])
    with pytest.raises(EngineError, match="cannot read the vocabulary"):
        open_engine("dataset", "llama_cpp", path=str(wrong))
    with pytest.raises(InputError, match="is not a file"):
        open_engine("dataset", "llama_cpp", path=str(tmp_path / "none.gguf"))


CHAT = (
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}"
    "{% endfor %}"
)


def make_folder(path: Path, *, special: tuple[str, ...], **settings: object) -> Path:
    """A tiny byte-level BPE tokenizer, trained on the spot, in a model's folder."""
    tokenizers = pytest.importorskip("tokenizers", reason="needs the extra train")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=list(special),
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([say("Ann", 200).text, "Host Guest Topics"], trainer)
    path.mkdir(exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    (path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (path / "config.json").write_text('{"max_position_embeddings": 640}', encoding="utf-8")
    return path


def test_a_tokenizer_json_counts_rendered_chats_exactly(tmp_path: Path) -> None:
    special = ("<s>", "</s>", "<|system|>", "<|user|>", "<|assistant|>")
    folder = make_folder(
        tmp_path / "model",
        special=special,
        chat_template=CHAT,
        bos_token="<s>",
        eos_token={"content": "</s>"},
    )
    import tokenizers

    library = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    turns = [say(name, n * 13 % 300) for n in range(20) for name in ("Ann", "Bob", "Cy")]
    for path in (folder, folder / "tokenizer.json"):
        with closing(open_engine("dataset", "tokenizers", path=str(path))) as tokenizer:
            assert choose_context(tokenizer, 0) == 640
            examples = ExampleMaker(tokenizer, 300, "guest").make(talk_of(turns)).dialogues
            assert len(examples) > 3
            for example in examples:
                text = tokenizer.chat.spell(msgspec.to_builtins(example.messages))
                assert text.startswith("<s><|system|>Tea Talk")
                ids = library.encode(text, add_special_tokens=False).ids
                assert example.tokens == len(ids) <= 300
                assert ids.count(library.token_to_id("</s>")) == len(example.messages)


def test_another_vocabulary_has_another_id(tmp_path: Path) -> None:
    folders = [make_folder(tmp_path / n, special=("<s>", n)) for n in ("a", "b")]
    ids = []
    for folder in folders:
        with closing(open_engine("dataset", "tokenizers", path=str(folder))) as tokenizer:
            ids.append(tokenizer.id)
    assert len(set(ids)) == 2


def test_a_folder_without_a_tokenizer_is_told(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="needs the extra train")
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be read"):
        open_engine("dataset", "tokenizers", path=str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(EngineError, match="Reading the tokenizer"):
        open_engine("dataset", "tokenizers", path=str(tmp_path))


def test_the_context_is_the_models_own_within_reason() -> None:
    tokenizer = WordTokenizer()
    assert choose_context(tokenizer, 0) == 4096
    tokenizer.context_tokens = 2048
    assert (choose_context(tokenizer, 0), choose_context(tokenizer, 999)) == (2048, 999)
    with pytest.raises(ConfigError, match="to be 4000 tokens, expected from 128 to 2048"):
        choose_context(tokenizer, 4000)
    with pytest.raises(ConfigError, match="to be 100 tokens"):
        choose_context(tokenizer, 100)


@pytest.mark.parametrize(
    "source",
    [
        "{% for n in range(999999999) %}x{% endfor %}",
        "{{ 'x' * 999999999 }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% for m in messages %}{% for n in range(9999) %}{{ m.content }}{% endfor %}{% endfor %}",
        "{{ raise_exception('I refuse') }}",
        "{% for %}",
    ],
)
def test_a_hostile_chat_template_is_refused(source: str) -> None:
    with pytest.raises(EngineError, match="chat template cannot be used"):
        ChatTemplate(source).spell([{"role": "user", "content": "hi"}] * 3)


def test_chatml_is_what_is_spelled_where_there_is_no_template() -> None:
    text = ChatTemplate().spell([{"role": "user", "content": "Hi"}])
    assert text == "<|im_start|>user\nHi<|im_end|>\n"
