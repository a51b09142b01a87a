"""Merges of a SentencePiece-style BPE → scores by which llama.cpp merges in the same order.

llama.cpp knows no merges there: of all neighbours that together are a token, it joins those whose
token has the highest score, the leftmost first. That is the same as going by merges if every way to
cut a token in two tokens is a merge, and all merges into one token stand together.
"""

from collections.abc import Container, Mapping, Sequence

from podcaster.errors import EngineError

BYTE_TOKENS = frozenset(f"<0x{byte:02X}>" for byte in range(256))


def score_tokens(
    vocab: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    *,
    letters: Container[str],
    where: str,
) -> tuple[dict[int, float], bool]:
    """The score of each id: 0 for the first merge, -1 for the next token's, and so on.

    Also, whether the merges of runs of spaces stand mixed: then a run is split as it was up to the
    longest that is a token.

    `vocab` is without tokens that are found in the raw text; `letters` are all tokens. Raises
    EngineError if no scores give the same order.
    """
    lacking = next((token for token in sorted(BYTE_TOKENS) if token not in vocab), None)
    if lacking:
        raise EngineError(f"{where} falls back to bytes and lacks the token {lacking}.")
    known = set(merges)
    try:
        order, mixed = _order(vocab, merges, where, mixed=False), False
    except EngineError:  # in some, runs of spaces have one score, and their merges are mixed
        order, mixed = _order(vocab, merges, where, mixed=True), True
    for token in vocab:
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in vocab and right in vocab and (left, right) not in known:
                raise _other_order(where, token)
        if len(token) > 1 and token not in BYTE_TOKENS and not all(c in letters for c in token):
            raise EngineError(f"{where} has the token {token!r} of characters it lacks.")
    lowest = len(order)
    scores = {
        number: 0.0 if token in BYTE_TOKENS else -float(order.get(token, lowest))
        for token, number in vocab.items()
    }
    return scores, mixed


def _order(
    vocab: Mapping[str, int], merges: Sequence[tuple[str, str]], where: str, *, mixed: bool
) -> dict[str, int]:
    """Tokens in the order of their merges. Raises EngineError if those of one stand apart.

    With `mixed`, those of runs of blanks may: such a run becomes whole in any order.
    """
    order: dict[str, int] = {}
    previous = ""
    for left, right in merges:
        merged = left + right
        if merged not in vocab:
            continue
        blank = len(set(merged)) == 1 and (merged[0] == "▁" or merged.isspace())
        if merged in order and merged != previous and not (mixed and blank):
            raise _other_order(where, merged)
        order.setdefault(merged, len(order))
        previous = previous if mixed and blank else merged
    return order


def _other_order(where: str, token: str) -> EngineError:
    return EngineError(
        f"{where} joins pieces to {token!r} in an order that llama.cpp, which goes by scores, "
        "cannot follow."
    )
