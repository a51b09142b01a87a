"""Find sponsor reads among the sentences of a recording: the cue, and what belongs to it.

A cue is a sentence that can hardly be anything else ("this episode is brought to you by …"). From
it the read reaches, both ways, over nearby sentences that name the sponsor or make an offer, into
neighbouring turns, too. A sponsor that is talked about throughout is the topic: then only offers
count.
"""

import re
from collections.abc import Sequence

REACH_SENTENCES = 3  # this many others may stand between two sentences of one read
LONGEST_READ_SENTENCES = 40
ANNOUNCED_SENTENCES = 25  # an announced read is no longer than this
TOPIC_MENTIONS = 15  # a sponsor named in more sentences of a recording is its topic
CALL_SENTENCES = 4  # a turn that is a read ends with the call, within so many sentences
CALL_MENTIONS = 2  # other sentences of a turn that name whose address it ends with

_SHOW = r"(?:show|episode|podcast|segment|program|week|conversation|interview|recording)"
_CUE = re.compile(
    rf"\b(?:this|today's|our|the) (?:\w+ )?{_SHOW}(?:'s)?(?: \w+)? (?:is|was|are|comes)"
    r"(?: \w+)?(?: also)? (?:brought|sponsored|supported|presented|made possible|to you)"
    r"(?: to you)?(?: today)? by\b"
    rf"|\bsupport for (?:this|today's|the) {_SHOW}\b"
    rf"|\bsponsors? (?:of|for) (?:today|this (?:week|month)|(?:today's|this|the|our) {_SHOW})\b"
    r"|\b(?:today|week|episode|month|show|podcast)'s sponsors?\b"
    r"|(?<!before )\bour (?:first|second|third|next|last|final|other|title|only|newest) sponsors?\b"
    r"|\bour sponsors?,? (?:today|this (?:week|episode|month)|for (?:today|the|this))\b"
    r"|\b(?:thank(?:s| you)|shout-?out|cheers|gratitude|appreciation|hear|message|words?)"
    r"(?: \w+){0,5} (?:to|for|from|of) (?:all |both )?(?:of )?(?:our|the) (?:\w+ ){0,2}sponsors?\b"
    r"|\bquick (?:break|word|message) (?:to|for|from|about) (?:hear |thank )?(?:from )?(?:one of )?"
    r"(?:our|a|the) (?:\w+ )?sponsors?"
    r"|(?<!before the )(?<!before our )(?<!before this )(?<!before our first )"
    r"\bsponsor(?:ed|s|'s)?,? (?:break|message|news|segment)\b"
    r"|\b(?:have|got|is|use|enter|with)(?: a| the| our| your)? (?:discount|coupon) codes?\b(?! gen)"
    r"|\bwe have (?:a|one|two|three|four|some|\d) (?:\w+ )?sponsors? (?:for|of|today|this)\b",
    re.IGNORECASE,
)
# each cue has one of these in it: looking for them takes a tenth of the time
_MARKS: tuple[str, ...] = ("sponsor", " code", "brought to you", "made possible", "support")
_MARKS += ("our friend", "our partner", "presented", "to you by")
_CODE = r"(?:[\"']\w|(?:[A-Z0-9]{4,}|[A-Za-z]+\d+)\b)"  # as in: use code TALK20
_CASED_CUE = re.compile(  # what is a cue because a name or a code follows
    rf"\b(?:promo|[Oo]ffer|[Rr]eferral) code,?(?: is| of)? {_CODE}"
    rf"|\b[Uu]se (?:the |our |my |offer |this )*code,? {_CODE}"
    r"|\b[Oo]ur sponsors?,? (?:is|are) [A-Z]"
    r"|(?:^|(?<=[.!?] ))(?:And |So )?(?:[Aa] )?(?:(?:[Bb]ig|[Hh]uge|[Ss]pecial|[Mm]any) )?"
    r"[Tt]hanks?(?: you| again)?(?: \w+){0,3} (?:to|for) our (?:\w+ )?(?:partners?|friends)"
    r"(?:,| at| over at) [A-Z]"
)
_OFFER = re.compile(
    r"\b\d+(?:%| percent) (?:off|discount)\b|\bfree (?:trial|tier|account|credits?|plan|demo)\b"
    r"|\b(?:promo|discount|coupon|offer) code\b|\bno credit card\b|\bmonths? free\b"
    r"|\b(?:sign up|get started|learn more|find out more|check (?:it|them) out|try it|head"
    r"(?: over| on over)? to|go to|start (?:your|a) (?:free|trial)|visit)\b"
    r"|\b(?:show|check) (?:them|it) some love\b|\blinks? (?:is |are |will be )?in (?:the|your|our)"
    r" (?:show ?notes|description|newsletter)\b|\btell (?:them|'em)\b.{0,30}\bsent you\b"
    r"|\b\$\d+ (?:credit|in)\b|\b(?:credit|discount)s? (?:when|if|on|to|for)\b"
    r"|\bsponsor(?:s|ed|ship)?\b",
    re.IGNORECASE,
)
_DOMAIN = (
    r"\.(?:com|io|ai|dev|sh|net|org|co|app|fm|so|us|tech|cloud|studio|run|build)\b"  # of a company
)
_ENDING = re.compile(_DOMAIN)
_ADDRESS = re.compile(rf"\b(?:www\.)?([A-Za-z][\w-]{{2,30}}){_DOMAIN}")
_CALL = re.compile(
    r"\b(?:learn more|find out more|head(?: on)?(?: over)? to|check (?:it|them|this) out|try it"
    r"|sign up|get started|go to|visit|start (?:your|a|for) (?:free|trial))\b",
    re.IGNORECASE,
)
_SPONSOR_NAME = re.compile(
    r"\b(?:[Bb]y|[Aa]t|[Ii]s|[Aa]re|[Ff]rom|[Ss]ponsors?:?,?|[Ff]riends?,?|[Tt]o)"
    r" ((?:[A-Z][\w.&-]+)(?: [A-Z][\w.&-]+)?)"
)
_BACK = re.compile(r"\b(?:we are|we're|and) back\b|\bwelcome back\b|\bbefore the break\b", re.I)
_NO_NAMES = frozenset(
    {"the", "our", "this", "today", "and", "we", "they", "you", "it", "my", "your", "that"}
    | {"these", "sponsor", "sponsors", "i", "so", "go", "code", "use", "show", "podcast"}
)
# what follows is the read, though it may name nobody at first
_ANNOUNCEMENT = re.compile(
    r"\bsponsored (?:news|segment|message)\b|\b(?:word|message|hear) from (?:one of )?our (?:\w+ )?"
    r"sponsors?\b|\b(?:first|second|third|next|last|final) sponsor\b",
    re.IGNORECASE,
)
_SEGMENT = re.compile(r"\bsponsored (?:news|segment|message)\b", re.IGNORECASE)


def may_hold_read(text: str) -> bool:
    """Whether a turn may hold a cue or a call: a quick look that spares most turns the slow one."""
    lowered = text.lower()
    if any(mark in lowered for mark in _MARKS):
        found = _CUE.search(text) is not None or _CASED_CUE.search(text) is not None
        return found or _calls(text)
    return _calls(text)


def _is_cue(text: str) -> bool:
    lowered = text.lower()
    if not any(mark in lowered for mark in _MARKS):
        return False
    return _CUE.search(text) is not None or _CASED_CUE.search(text) is not None


def find_reads(turns: Sequence[Sequence[str]]) -> set[tuple[int, int]]:
    """The sentences that belong to sponsor reads, as (turn, sentence); `turns` hold sentences."""
    cues = [
        (number, place)
        for number, sentences in enumerate(turns)
        for place, sentence in enumerate(sentences)
        if _is_cue(sentence)
    ]
    found: set[tuple[int, int]] = set()
    flat = [(n, p) for n, sentences in enumerate(turns) for p in range(len(sentences))]
    where = {place: index for index, place in enumerate(flat)}
    texts = [turns[n][p] for n, p in flat]
    for cue in cues:
        if cue in found:
            continue
        names = _drop_topics(_names_in(turns[cue[0]][cue[1]]), texts)
        begin = _reach(texts, where[cue], -1, names)
        end = _reach(texts, where[cue], 1, names)
        if _ANNOUNCEMENT.search(texts[where[cue]]):
            end = max(end, _find_end(texts, where[cue]), _find_segment_end(turns, flat, where[cue]))
        found.update(flat[begin : end + 1])
    cued = {number for number, _ in cues}
    for number, sentences in enumerate(turns):
        if number not in cued:
            found.update((number, place) for place in _find_call(sentences, texts))
    return found


def _reach(texts: Sequence[str], start: int, step: int, names: frozenset[str]) -> int:
    """The last sentence of a read in one direction, from the cue at `start`."""
    edge, here = start, start + step
    while 0 <= here < len(texts) and abs(here - start) < LONGEST_READ_SENTENCES:
        if abs(here - edge) > REACH_SENTENCES + 1:
            break
        sentence = texts[here]
        if step > 0 and _BACK.search(sentence):
            break
        if _belongs(sentence, names) or (step > 0 and _is_cue(sentence)):
            edge = here
        here += step
    return edge


def _find_end(texts: Sequence[str], start: int) -> int:
    """Where the read that is announced at `start` ends: with the next call to visit an address."""
    for here in range(start + 1, min(start + ANNOUNCED_SENTENCES, len(texts))):
        if _BACK.search(texts[here]):
            break
        if _calls(texts[here]):
            return here
    return start


def _find_segment_end(
    turns: Sequence[Sequence[str]], flat: Sequence[tuple[int, int]], start: int
) -> int:
    """Where a sponsored segment ends: with its turn, or the next where it is only announced."""
    turn, place = flat[start]
    if not _SEGMENT.search(turns[turn][place]):
        return start
    rest = len(turns[turn]) - 1 - place
    if not rest and turn + 1 < len(turns):
        rest = len(turns[turn + 1])
    return start + min(rest, ANNOUNCED_SENTENCES)


def _belongs(sentence: str, names: frozenset[str]) -> bool:
    lowered = sentence.lower()
    return any(name in lowered for name in names) or (
        _OFFER.search(sentence) is not None and (bool(names) or "sponsor" in lowered)
    )


def _names_in(sentence: str) -> frozenset[str]:
    """Who pays, as a cue sentence names them: lower-case words, and addresses' names."""
    names = {match.group(1).split(" ")[0].lower() for match in _SPONSOR_NAME.finditer(sentence)}
    names |= {match.group(1).lower() for match in _ADDRESS.finditer(sentence)}
    return frozenset(
        name.removesuffix("'s").rstrip(".&-") for name in names if name not in _NO_NAMES
    ) - {""}


def _drop_topics(names: frozenset[str], texts: Sequence[str]) -> frozenset[str]:
    lowered = [text.lower() for text in texts] if names else []
    return frozenset(
        name
        for name in names
        if len(name) > 2 and sum(name in text for text in lowered) <= TOPIC_MENTIONS
    )


def _calls(text: str) -> bool:
    return _ENDING.search(text) is not None and _CALL.search(text) is not None


def _find_call(sentences: Sequence[str], texts: Sequence[str]) -> range:
    """A turn that names somebody again and again and ends with their address is a read."""
    for place in range(len(sentences) - 1, max(-1, len(sentences) - 1 - CALL_SENTENCES), -1):
        address = _ADDRESS.search(sentences[place])
        if address is None or not _CALL.search(sentences[place]):
            continue
        name = address.group(1).lower().replace("-", "")
        naming = [
            other
            for other, sentence in enumerate(sentences)
            if name in sentence.lower().replace(" ", "")
        ]
        elsewhere = sum(name in text.lower().replace(" ", "") for text in texts) - len(naming)
        if len(naming) > CALL_MENTIONS and elsewhere <= CALL_MENTIONS:
            most = (naming[-1] + 1 - naming[0]) * 2 > len(sentences)
            # what leads up to the name belongs to it, where the turn is hardly anything else
            return range(0 if most else naming[0], naming[-1] + 1)
    return range(0)
