"""The model in the repository: what it is, and that transformers and llama.cpp agree on it."""

from collections.abc import Iterator

import llama_cpp
import numpy as np
import pytest

from podcaster.builtin import IDF_PATH, MODEL_PATH, NGRAMS_PATH
from podcaster.builtin.keywords import keywords, read_idf
from podcaster.builtin.ngrams import open_ngrams
from podcaster.dialogue import DialogueTemplate, template_from_metadata

LARGEST_BYTES = 45_000_000
LEAST_CONTEXT = 2048
TALK = (
    "<|episode|><|names|>Ada Moor; Zoë Li<|topic|>bread, flour, oven<|host|> How do you bake it?"
    "<|end|><|guest|> Well, I've found that it's the flour, and 12 hours of rest…<|end|><|host|>"
)

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def model() -> Iterator[llama_cpp.Llama]:
    opened = llama_cpp.Llama(str(MODEL_PATH), n_ctx=256, logits_all=True, verbose=False)
    yield opened
    opened.close()


def nats_per_token(logits: np.ndarray, ids: list[int]) -> float:
    """Mean cross-entropy of each token after the first; logits: (n, vocabulary)."""
    rows = logits[:-1].astype(np.float64)
    norms = np.log(np.exp(rows - rows.max(axis=1, keepdims=True)).sum(axis=1)) + rows.max(axis=1)
    return float((norms - rows[np.arange(len(rows)), ids[1:]]).mean())


def test_what_is_shipped_fits_the_repository_and_an_episode(model: llama_cpp.Llama) -> None:
    assert MODEL_PATH.stat().st_size <= LARGEST_BYTES
    assert model.metadata["general.architecture"] == "llama"
    assert int(model.metadata["llama.context_length"]) >= LEAST_CONTEXT
    template = template_from_metadata(model.metadata)
    assert template == DialogueTemplate()
    for token in template.special_tokens():
        assert len(model.tokenize(token.encode(), add_bos=False, special=True)) == 1


def test_the_model_foretells_talk_better_than_its_words_in_disorder(
    model: llama_cpp.Llama,
) -> None:
    ids = model.tokenize(TALK.encode(), add_bos=False, special=True)
    begun = ids.index(model.tokenize(b"<|host|>", add_bos=False, special=True)[0])
    header, spoken = ids[:begun], ids[begun:]
    shuffled = np.random.default_rng(0).permutation(spoken).tolist()
    nats = []
    for sequence in (spoken, shuffled):
        model.reset()
        model.eval([*header, *sequence])
        logits = np.array(model.scores[begun : len(ids)])
        nats.append(nats_per_token(logits, sequence))
    assert nats[0] < 0.6 * nats[1]


def test_transformers_reads_the_file_as_llama_cpp_does(model: llama_cpp.Llama) -> None:
    torch = pytest.importorskip("torch", reason="needs torch: install podcaster[train]")
    transformers = pytest.importorskip("transformers", reason="needs podcaster[train]")
    pytest.importorskip("accelerate", reason="needs accelerate: install podcaster[train]")
    folder, name = MODEL_PATH.parent, MODEL_PATH.name
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name)
    ids = model.tokenize(TALK.encode(), add_bos=False, special=True)
    assert tokenizer.encode(TALK, add_special_tokens=False) == ids
    network = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name)
    with torch.no_grad():
        theirs = network.eval()(torch.tensor([ids])).logits[0].float().numpy()
    model.reset()
    model.eval(ids)
    ours = np.array(model.scores[: len(ids)])
    # llama.cpp rounds activations to eight bits as well
    assert nats_per_token(ours, ids) == pytest.approx(nats_per_token(theirs, ids), rel=0.01)


def test_the_tables_beside_the_model_are_whole() -> None:
    assert len(read_idf(IDF_PATH)) > 10_000
    assert "rocket" in keywords("The rocket engine burns, and the rocket rises. A rocket!", 3)
    with open_ngrams(NGRAMS_PATH) as index:
        assert index.count > 100_000
        assert index.longest_run_words("nobody ever cooked purple algebra under my piano " * 2) == 0
