"""Whether llama.cpp computes with an exported model what transformers does with the trained one.

The reference shares no code with the export: `tokenizers` reads `tokenizer.json`, transformers the
base, and peft merges the adapter. Imports torch, transformers and peft: reach this module only when
a model is to be exported.
"""

import gc
import logging
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import tokenizers
import torch
import transformers
from numpy.typing import NDArray
from peft import PeftModel

from podcaster.errors import EngineError, foreign
from podcaster.export.llama_cpp import LlamaCppModel

LARGEST_LOGIT_DIFFERENCE = 1e-3
TOKENIZER = "tokenizer.json"
MOST_COMPARED_TOKENS = 512
MOST_COMPARED_LOGITS = 1 << 26  # 268 MB of float32
MOST_SPECIAL_TOKENS = 24
NEXT_STEP = (
    "Nothing was exported. Train from another base, or report this with the base's name: it is a "
    "fault of podcaster or of llama.cpp."
)
TABLE_ENDS = 10.0  # beyond, GELU is 0 or the value itself
SHOWN_CHARACTERS = 40  # of the text before a difference

HARD_TEXTS = (
    "We've  got\n\n 12,345.67 tabs\t\tand it's 9:30; they'll THEY'LL 2026's… 'S 'Re x'y I'd've",
    "def f(x: int) -> float:\n    return x**2 / 0x1F  # {'a': [1, 2]}\n\tif a != b && !c: ++i;\r\n",
    "naïve straße — “Ærø”, ĳ, ½, №5, ²³, €100, £3.50, 5 000 km/h, ⅷ, Ｆｕｌｌ\u00a0width\u2009thin",
    "Привет, мир! שלום עולם مرحبا بالعالم नमस्ते दुनिया สวัสดีชาวโลก 你好，世界。こんにちは 안녕하세요",
    "👩‍🚀🚀 👍🏽 🇩🇪🇯🇵 ❤️ (╯°□°)╯︵ ┻━┻ ✓ → ∀x∈ℝ: ∑ᵢ xᵢ² ≥ 0",
    " leading, trailing ",
    "   \n \n\n\n  x\t \t\ty     z\r\n\r\n   ",
    "aaaaaaaaaaaaaaaaaaaa 0000000000000000 ................ ------------ !!!!?? \\n\\t \"\"''``",
    "https://example.org/a?b=c&d=%20#e me@example.org C:\\dir\\file.txt <tag a='b'/> <|no_token|>",
    "\u200bzero\u200dwidth\ufeff \u00adsoft \x07bell\x1b[0m e=mc² A\u030a",
    "Hello",
    " ",
)


@dataclass(frozen=True)
class ParityFigures:
    """What was compared, and by how much the logits differed at most.

    `token_ids_equal` is false where some of the hard texts are split otherwise, as the caveat says.
    `half_precision_gelu`: see TableGelu.
    """

    tokens: int
    token_ids_equal: bool
    max_logit_difference: float
    layers: int
    all_layers: int
    half_precision_gelu: bool = False


def check_parity(
    gguf: Path,
    base: Path,
    adapter: Path | None,
    texts: Sequence[str],
    *,
    layers: int | None = None,
    threads: int = 1,
    caveat: str = "",
) -> ParityFigures:
    """Compare a float32 GGUF file, of the first `layers` only, with the base and its adapter.

    `texts` are compared beside the hard ones. With a `caveat` (text that llama.cpp is known to
    split otherwise) hard ones may differ, but neither `texts` nor special tokens. Raises
    EngineError where token ids or logits differ, or where a library cannot read its model.
    """
    spelled = adapter if adapter and (adapter / TOKENIZER).is_file() else base
    tokenizer = _open_tokenizer(spelled / TOKENIZER)
    with LlamaCppModel(gguf, threads=threads, exact=True) as model:
        own = [_mix_special_tokens(tokenizer), *texts]
        alike = _check_token_ids(model, tokenizer, own, caveat)
        room = min(
            model.context_tokens,
            MOST_COMPARED_TOKENS,
            max(32, MOST_COMPARED_LOGITS // model.vocab_size),
        )
        ids = [token for text in alike for token in text][:room]
        reference = Reference(base, adapter, model.vocab_size, layers, threads)
        wanted = reference.compute_logits(ids)
        rounds = reference.half_precision_gelu
        largest = _compare_logits(model, ids, wanted, tables=rounds)
        all_layers = reference.all_layers
    return ParityFigures(
        tokens=sum(map(len, alike)),
        token_ids_equal=len(alike) == len(HARD_TEXTS) + len(own),
        max_logit_difference=largest,
        layers=layers or all_layers,
        all_layers=all_layers,
        half_precision_gelu=rounds,
    )


def _check_token_ids(
    model: LlamaCppModel, tokenizer: tokenizers.Tokenizer, own: Sequence[str], caveat: str
) -> list[list[int]]:
    """The ids of all texts that are split alike. Raises EngineError; see check_parity."""
    opening = _find_opening(model, tokenizer)
    alike: list[list[int]] = []
    for number, text in enumerate((*HARD_TEXTS, *own)):
        whole = opening + _normalise(text, tokenizer)
        difference = find_difference(model, tokenizer, whole)
        if difference is None:
            alike.append(_encode(tokenizer, whole))
        elif not caveat or number >= len(HARD_TEXTS):
            raise EngineError(difference, next_step=NEXT_STEP)
    return alike


def find_difference(model: LlamaCppModel, tokenizer: tokenizers.Tokenizer, text: str) -> str | None:
    """Where llama.cpp's token ids of a text part from the tokenizer's; None where they do not."""
    expected, got = _encode(tokenizer, text), model.tokenize(text)
    if expected == got:
        return None
    same = next(
        (i for i, pair in enumerate(zip(expected, got, strict=False)) if pair[0] != pair[1]),
        min(len(expected), len(got)),
    )
    before = "".join(model.piece(token) for token in got[:same])[-SHOWN_CHARACTERS:]
    return (
        f"llama.cpp splits text otherwise than the model's tokenizer: after {before!r} comes "
        f"{_describe(got[same : same + 1], model)}, expected "
        f"{_describe(expected[same : same + 1], model)}."
    )


class Reference:
    """The base with its adapter in transformers, float32, on the processor.

    With `layers` only the first so many are loaded and run. An adapter may have brought rows for
    new tokens: `vocabulary` is how many there are. Raises EngineError.
    """

    def __init__(
        self, base: Path, adapter: Path | None, vocabulary: int, layers: int | None, threads: int
    ) -> None:
        self._base, self._adapter, self._vocabulary = base, adapter, vocabulary
        self._threads = threads
        with foreign(EngineError, f"Reading {base / 'config.json'}"):
            self._config: Any = transformers.AutoConfig.from_pretrained(
                base, local_files_only=True, trust_remote_code=False
            )
        inner = self._config.get_text_config()
        self.all_layers = int(inner.num_hidden_layers)
        if layers is not None and layers < self.all_layers:
            inner.num_hidden_layers = layers
            if getattr(inner, "layer_types", None):
                inner.layer_types = inner.layer_types[:layers]

    def compute_logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The logits `(ids, vocabulary)` at all positions; the network is freed after that."""
        doing = f"Running {self._base} in transformers"
        with _calm(self._threads), foreign(EngineError, doing):
            network = self._load()
            with torch.inference_mode():
                logits = network(torch.tensor([list(ids)]), use_cache=False).logits[0]
            result: NDArray[np.float32] = logits.float().numpy().copy()
        del network, logits
        gc.collect()
        return result

    def _load(self) -> Any:
        network: Any = transformers.AutoModelForCausalLM.from_pretrained(
            self._base,
            config=self._config,
            dtype=torch.float32,
            attn_implementation="eager",
            local_files_only=True,
            use_safetensors=True,
        )
        if self._adapter is not None:
            if len(network.get_input_embeddings().weight) != self._vocabulary:
                network.resize_token_embeddings(self._vocabulary, mean_resizing=False)
            network = PeftModel.from_pretrained(network, str(self._adapter), torch_device="cpu")
            network = network.merge_and_unload()
        self.half_precision_gelu = _round_gelu(network)
        return network.eval()


class TableGelu(torch.nn.Module):
    """GELU as llama.cpp has it on the processor: a table of half-precision numbers.

    Its rounding is a thousand times that of float32 and would hide a fault of the export, so the
    reference rounds alike. Source: `ggml_vec_geglu_f32` in ggml's `vec.h`.
    """

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """GELU by tanh of `values`, of any shape."""
        rounded = values.half().float()
        looked_up = torch.nn.functional.gelu(rounded, approximate="tanh").half().float()
        return torch.where(
            values <= -TABLE_ENDS, 0.0, torch.where(values >= TABLE_ENDS, values, looked_up)
        )


def _round_gelu(network: Any) -> bool:
    """Exchange a network's GELU for llama.cpp's; whether it has any."""
    kinds = tuple(
        kind
        for name in ("GELUTanh", "PytorchGELUTanh")
        if (kind := getattr(transformers.activations, name, None)) is not None
    )
    found = [one for one in network.modules() if isinstance(getattr(one, "act_fn", None), kinds)]
    for one in found:
        one.act_fn = TableGelu()
    return bool(found)


def _compare_logits(
    model: LlamaCppModel, ids: Sequence[int], wanted: NDArray[np.float32], *, tables: bool
) -> float:
    """The largest difference between llama.cpp's logits and those `wanted` `(ids, vocab)`.

    With `tables` a value at the edge of two half-precision ones may fall to either side: then the
    mean is held to the bound, and the largest to ten times it. Raises EngineError.
    """
    if wanted.shape[1] != model.vocab_size:
        raise EngineError(
            f"{model.path.name} has {model.vocab_size} tokens, the trained model has "
            f"{wanted.shape[1]}."
        )
    bound = LARGEST_LOGIT_DIFFERENCE * (10 if tables else 1)
    place, largest, total = 0, 0.0, 0.0
    with model.open_reader(len(ids)) as reader:
        for logits in reader.read(ids):
            differences = np.abs(logits - wanted[place : place + len(logits)])
            rows = differences.max(axis=1)
            worst = int(rows.argmax())  # the first that is not a number, if there is one
            if not rows[worst] <= bound:
                _refuse(f"{rows[worst]:.2g}", place + worst, model.piece(ids[place + worst]), bound)
            largest = max(largest, float(rows[worst]))
            total += float(differences.mean(axis=1).sum())
            place += len(logits)
    if total / place > LARGEST_LOGIT_DIFFERENCE:
        _refuse(f"{total / place:.2g} in the mean", place, "the last", LARGEST_LOGIT_DIFFERENCE)
    return largest


def _refuse(difference: str, place: int, piece: str, bound: float) -> NoReturn:
    raise EngineError(
        f"llama.cpp does not compute what transformers does: at token {place} ({piece!r}) their "
        f"logits differ by {difference}, expected at most {bound:g}.",
        next_step=NEXT_STEP,
    )


def _open_tokenizer(path: Path) -> tokenizers.Tokenizer:
    with foreign(EngineError, f"Reading {path}"):
        tokenizer = tokenizers.Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _encode(tokenizer: tokenizers.Tokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def _mix_special_tokens(tokenizer: tokenizers.Tokenizer) -> str:
    """Special tokens between words, with and without spaces: `a<|x|>b <|y|> c`."""
    added = tokenizer.get_added_tokens_decoder()
    special = [added[number].content for number in sorted(added)][:MOST_SPECIAL_TOKENS]
    return "".join(
        f"{token}word {n}" if n % 2 else f" {token} word\n" for n, token in enumerate(special)
    )


def _find_opening(model: LlamaCppModel, tokenizer: tokenizers.Tokenizer) -> str:
    """What every text must begin with; "" for most.

    Mistral's tokenizer puts a space before a text that does not begin with a token of its own,
    which llama.cpp cannot do there alone. A chat begins with such a token anyway.
    """
    begin = model.begin
    whole, apart = _encode(tokenizer, f"{begin}a"), _encode(tokenizer, "a")
    return begin if begin and whole[1:] != apart else ""


def _normalise(text: str, tokenizer: tokenizers.Tokenizer) -> str:
    """Compose the text where the tokenizer does so first, which llama.cpp leaves to who asks."""
    form = next((f for f in ("NFKC", "NFC") if f in str(tokenizer.normalizer)), None)
    return unicodedata.normalize(form, text) if form else text  # type: ignore[arg-type]


def _describe(ids: Sequence[int], model: LlamaCppModel) -> str:
    if not ids:
        return "the end"
    return f"{ids[0]} ({model.piece(ids[0])!r})" if ids[0] < model.vocab_size else str(ids[0])


@contextmanager
def _calm(threads: int) -> Iterator[None]:
    """Torch with so many threads, and libraries that keep their warnings and bars to themselves."""
    told: Any = transformers.utils.logging
    before, disabled, bars = (
        torch.get_num_threads(),
        logging.root.manager.disable,
        told.is_progress_bar_enabled(),
    )
    torch.set_num_threads(threads)
    logging.disable(logging.WARNING)
    told.disable_progress_bar()
    try:
        yield
    finally:
        torch.set_num_threads(before)
        logging.disable(disabled)
        if bars:
            told.enable_progress_bar()
