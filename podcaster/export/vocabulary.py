"""A tokenizer as Hugging Face saves it (`tokenizer.json`) → the vocabulary of a GGUF file.

Byte-level BPE keeps its merges and names the rule by which text is split first; BPE in the manner
of SentencePiece keeps scores, by which llama.cpp merges in the same order. What llama.cpp would
split otherwise is refused. Byte for byte the same text goes in: Qwen's normaliser (NFC) is the
caller's to apply. llama.cpp's `tekken` splits combining marks, and capitals outside ASCII,
otherwise than Mistral's own pattern does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import msgspec

from podcaster.errors import EngineError, InputError, foreign
from podcaster.export.sentencepiece import BYTE_TOKENS, score_tokens
from podcaster.export.weights import read_json

# The split patterns of the tokenizers library → the names under which llama.cpp has built them in.
_LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN_2 = _LLAMA_3.replace(r"\p{N}{1,3}", r"\p{N}")
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = {"llama-bpe": _LLAMA_3, "qwen2": _QWEN_2, "tekken": _TEKKEN}
_NAMES = {pattern: name for name, pattern in PATTERNS.items()}
_IGNORES_MERGES = {"llama-bpe", "tekken"}  # llama.cpp takes a word that is a token whole
_LONG_RUNS = "text with more spaces in a row than the longest token of spaces has"
_CAVEATS = {"tekken": "text with combining marks, or with capitals outside ASCII in mid-word"}
KNOWN = "GPT-2's, Llama 3's, Qwen 2's, Mistral Nemo's (tekken) and SmolLM's"

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = (
    int(kind)
    for kind in (
        gguf.TokenType.NORMAL, gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL,
        gguf.TokenType.USER_DEFINED, gguf.TokenType.UNUSED, gguf.TokenType.BYTE,
    )
)  # fmt: skip


class AddedToken(msgspec.Struct, frozen=True):
    """A token that is found in the raw text before all else."""

    id: int
    content: str
    special: bool = False
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False


class BpeModel(msgspec.Struct, frozen=True):
    """The model part of a `tokenizer.json`."""

    vocab: dict[str, int]
    merges: list[str | tuple[str, str]]
    type: str = "BPE"
    unk_token: str | None = None
    byte_fallback: bool = False
    ignore_merges: bool = False
    dropout: float | None = None
    continuing_subword_prefix: str | None = None
    end_of_word_suffix: str | None = None


class TokenizerFile(msgspec.Struct, frozen=True):
    """A `tokenizer.json`, as far as it is read."""

    model: BpeModel
    added_tokens: list[AddedToken] = []
    normalizer: dict[str, Any] | None = None
    pre_tokenizer: dict[str, Any] | None = None
    post_processor: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """A vocabulary for llama.cpp: `model` is "gpt2" (byte-level, `pre`) or "llama" (`scores`).

    `tokens` and `kinds` go by id. `space_prefix`: a space is put before text that begins anew.
    `needs_opening`: only text that opens with a token of its own (`<s>`) is split alike. `caveat`:
    which text llama.cpp splits otherwise than the tokenizer does.
    """

    model: str
    pre: str
    tokens: tuple[str, ...]
    kinds: tuple[int, ...]
    merges: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    space_prefix: bool = False
    needs_opening: bool = False
    caveat: str = ""

    def add_to(self, writer: gguf.GGUFWriter) -> None:
        """Write it as metadata."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        if self.scores:
            writer.add_token_scores(self.scores)
        writer.add_token_types(self.kinds)
        if self.merges:
            writer.add_token_merges(self.merges)
        writer.add_add_space_prefix(self.space_prefix)


def read_vocabulary(tokenizer_json: Path, *, size: int) -> Vocabulary:
    """Read a `tokenizer.json`; ids without a token up to `size` become unused ones.

    Raises EngineError if llama.cpp could not split text as this tokenizer does, InputError for a
    file that contradicts itself.
    """
    return build_vocabulary(read_tokenizer(tokenizer_json), size=size, where=tokenizer_json.name)


def read_tokenizer(path: Path) -> TokenizerFile:
    """Read a `tokenizer.json`; InputError where it is none, EngineError where it is no BPE."""
    document = read_json(path)
    model = document.get("model")
    kind = model.get("type", "BPE") if isinstance(model, dict) else None
    if kind != "BPE":
        raise EngineError(f"{path.name} is a {kind} tokenizer, expected BPE.")
    try:
        return msgspec.convert(document, TokenizerFile)
    except msgspec.ValidationError as error:
        raise InputError(f"{path} cannot be used: {error}.") from error


def build_vocabulary(file: TokenizerFile, *, size: int, where: str) -> Vocabulary:
    """Turn a tokenizer into a vocabulary of `size` ids; `where` names it in messages."""
    model = file.model
    _refuse_odd(file, where)
    by_id = _number_tokens(file, size, where)
    merges = [_split_merge(merge, where) for merge in model.merges]
    if len(set(merges)) < len(merges):
        raise InputError(f"{where} has one merge twice.")
    added = {token.id: token for token in file.added_tokens}
    kinds = {number: CONTROL if token.special else USER_DEFINED for number, token in added.items()}
    if model.byte_fallback:
        return _build_scored(file, merges, by_id, kinds, size=size, where=where)
    pre = _name_pre_tokenizer(file, where)
    if model.ignore_merges != (pre in _IGNORES_MERGES):
        _check_merges_reach(file, merges, where)
    return Vocabulary(
        model="gpt2", pre=pre, tokens=_fill(by_id, size), kinds=_kinds(kinds, by_id, size),
        merges=tuple(" ".join(merge) for merge in merges),
        caveat=_CAVEATS.get(pre, ""),
    )  # fmt: skip


def _build_scored(
    file: TokenizerFile,
    merges: Sequence[tuple[str, str]],
    by_id: dict[int, str],
    kinds: dict[int, int],
    *,
    size: int,
    where: str,
) -> Vocabulary:
    """SentencePiece's manner: scores in place of merges, bytes for what has no token."""
    vocab = file.model.vocab
    space_prefix, needs_opening = _read_space_prefix(file, where)
    plain = {token: number for token, number in vocab.items() if number not in kinds}
    runs = {token: number for token, number in vocab.items() if not token.strip("▁")}
    try:  # Gemma adds runs of spaces as tokens; transformers finds them by their merges
        scores, tied = score_tokens({**plain, **runs}, merges, letters=vocab, where=where)
        caveat = "text in which ▁ itself is written" if kinds.keys() & set(runs.values()) else ""
        caveat = _LONG_RUNS if tied else caveat
        kinds = {number: kind for number, kind in kinds.items() if number not in runs.values()}
    except EngineError:
        scores, _ = score_tokens(plain, merges, letters=vocab, where=where)
        caveat = _LONG_RUNS
    kinds.update({number: BYTE for token, number in plain.items() if token in BYTE_TOKENS})
    if file.model.unk_token in vocab:
        kinds[vocab[file.model.unk_token or ""]] = UNKNOWN
    for number, kind in kinds.items():  # llama.cpp looks for these in the raw text
        spaced = by_id[number].replace("▁", " ")
        if kind == USER_DEFINED and spaced not in by_id.values():
            by_id[number] = spaced
    return Vocabulary(
        model="llama", pre="default", tokens=_fill(by_id, size), kinds=_kinds(kinds, by_id, size),
        scores=tuple(scores.get(n, 0.0) for n in range(size)), space_prefix=space_prefix,
        needs_opening=needs_opening,
        caveat=caveat,
    )  # fmt: skip


def _refuse_odd(file: TokenizerFile, where: str) -> None:
    model = file.model
    for what, found in (
        ("drops merges at random", model.dropout),
        ("marks parts of words", model.continuing_subword_prefix or model.end_of_word_suffix),
    ):
        if found:
            raise EngineError(f"{where} {what}, which llama.cpp cannot do.")
    for token in file.added_tokens:
        if token.single_word or token.lstrip or token.rstrip:
            raise EngineError(
                f"{where}: its token {token.content!r} takes the spaces beside it or only whole "
                "words, which llama.cpp cannot do."
            )


def _number_tokens(file: TokenizerFile, size: int, where: str) -> dict[int, str]:
    """Tokens by id, each id and each text once."""
    pairs = {(number, token) for token, number in file.model.vocab.items()}
    pairs |= {(token.id, token.content) for token in file.added_tokens}
    by_id = dict(sorted(pairs))
    if not by_id:
        raise InputError(f"{where} has no tokens.")
    if len(by_id) < len(pairs) or len(set(by_id.values())) < len(by_id):
        raise InputError(f"{where} gives one id to two tokens, or one token two ids.")
    if min(by_id) < 0 or max(by_id) >= size:
        worst = min(by_id) if min(by_id) < 0 else max(by_id)
        raise EngineError(f"{where} has the token id {worst}, the network knows {size} ids.")
    for number, token in by_id.items():
        if not token or "\0" in token or (not token.isascii() and _has_surrogates(token)):
            raise InputError(f"{where}: the token {number} is {token!r}, which is no text.")
    return by_id


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _split_merge(merge: str | tuple[str, str], where: str) -> tuple[str, str]:
    left, right = (
        merge if isinstance(merge, tuple) else merge.split(" ", 1) + [""] * (" " not in merge)
    )
    if not left or not right or _has_surrogates(left + right) or " " in left + right:
        raise InputError(f"{where} has the merge {merge!r}, expected two parts of a token.")
    return left, right


def _fill(by_id: Mapping[int, str], size: int) -> tuple[str, ...]:
    """Tokens by id; an id without one gets a text that no other has."""
    taken = set(by_id.values())

    def name(number: int) -> str:
        text = f"[PAD{number}]"
        while text in taken:
            text += "_"
        return text

    return tuple(by_id[n] if n in by_id else name(n) for n in range(size))


def _kinds(kinds: Mapping[int, int], by_id: Mapping[int, str], size: int) -> tuple[int, ...]:
    return tuple(kinds.get(n, NORMAL if n in by_id else UNUSED) for n in range(size))


def _check_merges_reach(file: TokenizerFile, merges: Iterable[tuple[str, str]], where: str) -> None:
    """`ignore_merges` changes nothing where the merges lead to every token anyhow."""
    from tokenizers import models

    with foreign(InputError, f"Reading the merges of {where}"):
        bpe = models.BPE(file.model.vocab, list(merges))
        plain = file.model.vocab.keys() - {token.content for token in file.added_tokens}
        unreached = next((token for token in plain if len(bpe.tokenize(token)) != 1), None)
    if unreached is not None:
        raise EngineError(
            f"{where}: llama.cpp merges otherwise than ignore_merges says, as {unreached!r} shows."
        )


def _name_pre_tokenizer(file: TokenizerFile, where: str) -> str:
    for step in _steps(file.normalizer, "normalizers"):
        if step.get("type") != "NFC":
            raise EngineError(
                f"{where} normalises text by {step.get('type')}, which llama.cpp does not."
            )
    steps = _steps(file.pre_tokenizer, "pretokenizers")
    last = steps[-1] if steps else {}
    if last.get("type") == "ByteLevel" and not last.get("add_prefix_space"):
        own = last.get("use_regex", True)
        if len(steps) == 1 and own:
            return "gpt-2"
        digits = {"type": "Digits", "individual_digits": True}
        if len(steps) == 2 and own and steps[0] == digits:
            return "smollm"
        if len(steps) == 2 and not own:
            pattern = steps[0].get("pattern")
            pattern = pattern.get("Regex") if isinstance(pattern, dict) else None
            plain = steps[0].get("behavior") == "Isolated" and not steps[0].get("invert")
            if isinstance(pattern, str) and pattern in _NAMES and plain:
                return _NAMES[pattern]
    raise EngineError(
        f"{where} splits text in a way that llama.cpp has no name for; known are {KNOWN}."
    )


def _steps(part: Mapping[str, Any] | None, inner: str) -> list[Mapping[str, Any]]:
    """A chain of normalisers or of pre-tokenizers, whether it is written as one or as a list."""
    if not part:
        return []
    steps = part.get(inner) if part.get("type") == "Sequence" else [part]
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise InputError(f"tokenizer.json has a sequence without {inner}.")
    return steps


def _read_space_prefix(file: TokenizerFile, where: str) -> tuple[bool, bool]:
    """Whether text that begins anew gets a space before it; whether text needs an opening token.

    Metaspace's `first` puts a space only before a text that opens without a token of its own. That
    llama.cpp cannot do: it puts none, and the text has to open with a token.
    """
    prefix = spaces = opening = False
    for step in _steps(file.normalizer, "normalizers"):
        kind, pattern = step.get("type"), step.get("pattern")
        if kind == "Prepend" and step.get("prepend") == "▁" and not spaces:
            prefix = True
        elif kind == "Replace" and pattern == {"String": " "} and step.get("content") == "▁":
            spaces = True
        else:
            raise EngineError(f"{where} normalises text by {kind}, which llama.cpp does not.")
    for step in _steps(file.pre_tokenizer, "pretokenizers"):
        kind, scheme = step.get("type"), step.get("prepend_scheme")
        if (
            kind == "Metaspace" and step.get("replacement") == "▁" and not prefix
            and scheme in {"first", "never"} and step.get("split") is False
        ):  # fmt: skip
            spaces, opening = True, scheme == "first"
        elif not (kind == "Split" and step.get("pattern") == {"String": " "} and spaces):
            raise EngineError(f"{where} splits text by {kind}, as llama.cpp's llama does not.")
    if not spaces:
        raise EngineError(f"{where} does not write spaces as ▁, as llama.cpp's llama does.")
    return prefix, opening
