"""What goes wrong in written turns: a check for each fault, and a repair where there is one.

A check looks at a turn and says what it found, or None. A repair returns the text without the
fault, and empty text where nothing worth saying is left; such a candidate is not used.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

from podcaster.model import Role
from podcaster.units import count_words, split_words
from podcaster.write.exchange import (
    drop_agreement,
    drop_assistant_talk,
    drop_mirrored,
    drop_nothing_new,
    drop_speaks_of_self,
    find_agrees_emptily,
    find_assistant_talk,
    find_mirrors,
    find_no_answer,
    find_nothing_new,
    find_speaks_of_self,
    keep_answer,
)
from podcaster.write.sentences import capitalise, is_whole, keep_whole, split_sentences

LONGEST_VERBATIM_WORDS = 12  # of a training transcript in one go
REPEAT_WITHIN_WORDS = 5
REPEAT_ACROSS_WORDS = 7
WORN_WORDS = 3  # so short a phrase may come twice in a turn ("I don't know"), and not more often
WORN_TIMES = 3
SHORT_REPLY_WORDS = 2
LOOP_TIMES = 3
LONGEST_LOOP_WORDS = 12
TURNS_BETWEEN_QUESTIONS = 2


@dataclass(frozen=True)
class TurnContext:
    """What a check must know beside the turn's text.

    `previous` is the turn before; `said` are the phrases of all earlier turns (see `phrases_of`),
    `known` their content words (see `exchange`); `own_name` is the speaker's;
    `unasked` counts the host's turns since the last question; `question` is one of ours to ask
    instead; at an `edge` of the episode greetings and farewells are in place; `verbatim` finds the
    longest run of words that stands in the training transcripts.
    """

    role: Role
    names: tuple[str, ...]
    finished: bool = True
    previous: str = ""
    said: Set[tuple[str, ...]] = frozenset()
    known: Set[str] = frozenset()
    own_name: str = ""
    unasked: int = 0
    question: str = ""
    language: str = "en"
    edge: bool = False
    verbatim: Callable[[str], int] | None = field(default=None, compare=False)


Check = Callable[[str, TurnContext], str | None]
Repair = Callable[[str, TurnContext], str]


@dataclass(frozen=True)
class Inspected:
    """A turn after its repairs; unusable turns have no text."""

    text: str
    findings: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Whether something worth saying is left."""
        return bool(self.text)


# -- the other speaker's words ---------------------------------------------------------------------

_SPECIAL = re.compile(r"<\|[a-z0-9_]*\|?>?")
_ROLE_LABEL = r"(?:host|guest|interviewer|interviewee|narrator|speaker(?: \w+)?|user|assistant|q|a)"


def find_other_speaker(text: str, context: TurnContext) -> str | None:
    """Another speaker's token, or a "Name:" that begins somebody's line."""
    match = _SPECIAL.search(text) or _label(context).search(text)
    return match.group().strip() if match else None


def cut_other_speaker(text: str, context: TurnContext) -> str:
    """Cut where the other speaker begins; a label at the very beginning is only taken off."""
    text = _SPECIAL.split(text)[0].strip()
    label = _label(context)
    if (first := label.match(text)) is not None:
        text = text[first.end() :]
    match = label.search(text)
    return (text[: match.start()] if match else text).strip()


def _label(context: TurnContext) -> re.Pattern[str]:
    names = {part for name in context.names for part in (name, name.split(" ")[0]) if part}
    spelled = "|".join(re.escape(name) for name in sorted(names, key=lambda n: (-len(n), n)))
    return re.compile(
        rf"(?:^|(?<=[\s*]))(?:\*\*)?(?i:{_ROLE_LABEL}|{spelled})(?:\*\*)?:(?:\*\*)?\s+"
    )


# -- ends ------------------------------------------------------------------------------------------


def find_missing_end(text: str, context: TurnContext) -> str | None:
    """The model did not end the turn."""
    return None if context.finished else "the turn does not end"


# a full stop after one of these ends no sentence: "It's not that it's."
_DANGLING = re.compile(
    r"\b(?:the|an?|and|but|or|because|if|my|your|our|their|very|it's|I'm|you're|they're|we're|"
    r"there's|that's|gonna|wanna|(?:kind|sort|lot) of)[.!]+$",
    re.IGNORECASE,
)


def find_unfinished(text: str, context: TurnContext) -> str | None:
    """The last sentence breaks off, or one ends in a word that cannot end it."""
    sentences = split_sentences(text, context.language)
    if sentences and not is_whole(sentences[-1]):
        return sentences[-1][-40:]
    return next((s[-40:] for s in sentences if _dangles(s, context)), None)


def cut_unfinished(text: str, context: TurnContext) -> str:
    """Cut back to the last whole sentence, and leave out those that dangle."""
    whole = keep_whole(text, context.language)
    return _drop_sentences(whole, context, lambda sentence: _dangles(sentence, context))


def _dangles(sentence: str, context: TurnContext) -> bool:
    return context.language.startswith("en") and bool(_DANGLING.search(sentence))


def find_loop(text: str, context: TurnContext) -> str | None:
    """The same words again and again at the end."""
    words = split_words(text)
    for length in range(1, LONGEST_LOOP_WORDS + 1):
        tail = words[-length:]
        if len(words) >= LOOP_TIMES * length and words[-LOOP_TIMES * length :] == tail * LOOP_TIMES:
            return " ".join(tail)
    return None


def cut_loop(text: str, context: TurnContext) -> str:
    """Keep what is said again and again only once, up to a whole sentence."""
    words = text.split()
    while (loop := find_loop(" ".join(words), context)) is not None:
        length = len(loop.split())
        while split_words(" ".join(words[-length:])) == split_words(
            " ".join(words[-2 * length : -length])
        ):
            del words[-length:]
        if find_loop(" ".join(words), context) == loop:
            del words[-length:]  # spelled in another number of pieces than it has words
    return keep_whole(" ".join(words), context.language)


def find_short_replies(text: str, context: TurnContext) -> str | None:
    """A reply of one or two words to a turn of one or two words."""
    short = count_words(text) <= SHORT_REPLY_WORDS
    if short and context.previous and count_words(context.previous) <= SHORT_REPLY_WORDS:
        return f"{context.previous} / {text}"
    return None


# -- repetition ------------------------------------------------------------------------------------


def find_repeats(text: str, context: TurnContext) -> str | None:
    """A phrase said twice in the turn (a short one thrice), or before in the conversation."""
    words = split_words(text)
    worn = Counter(_grams(words, WORN_WORDS))
    for gram, times in worn.items():
        if times >= WORN_TIMES:
            return " ".join(gram)
    seen: set[tuple[str, ...]] = set()
    for gram in _grams(words, REPEAT_WITHIN_WORDS):
        if gram in seen:
            return " ".join(gram)
        seen.add(gram)
    for gram in _grams(words, REPEAT_ACROSS_WORDS):
        if gram in context.said:
            return " ".join(gram)
    return None


def drop_repeats(text: str, context: TurnContext) -> str:
    """Drop the sentences that say again what was said."""
    kept: list[str] = []
    for sentence in split_sentences(text, context.language):
        if find_repeats(" ".join([*kept, sentence]), context) is None:
            kept.append(sentence)
    return " ".join(kept)


def _grams(words: list[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + length]) for i in range(len(words) - length + 1)]


def phrases_of(text: str) -> set[tuple[str, ...]]:
    """The phrases of a turn that later turns must not say again."""
    return set(_grams(split_words(text), REPEAT_ACROSS_WORDS))


# -- what does not belong into a conversation ------------------------------------------------------

_ADVERT = re.compile(
    r"\b(?:sponsor(?:s|ed|ing)?\b|brought to you by|promo code|coupon|discount code|free trial|"
    r"\d+ ?(?:%|percent) off|money[- ]back|sign up (?:at|for)|use (?:the )?code\b|"
    r"this (?:episode|show) is (?:supported|made possible)|our (?:friends|partners) at|"
    r"head (?:on )?over to|check (?:them|us|it) out at|dot (?:com|io|dev|fm|org)\b|"
    r"(?:rate|review|subscribe|follow) (?:us|to the show|this podcast)|buy now|order now)",
    re.IGNORECASE,
)
_STAGE_DIRECTION = re.compile(
    r"\[[^\]\n]{0,80}\]|\([^)\n]{0,80}\)|(?<![\w*])\*[^*\n]{1,60}\*(?![\w*])"
)
_KEPT_ASIDE = re.compile(r"\((?=[^)]*\w+ \w+ \w+ \w+)")  # a real aside has a few words
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)")
_ADDRESS = re.compile(
    r"(?:https?://|www\.)\S+|\b[\w.-]+@[\w-]+\.\w+|\b\w[\w-]*\.(?:com|org|net|io|dev|fm|ai|co)\b\S*",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"(?m)^\s*(?:#{1,6}\s+|[-*+]\s+|>\s+|\d+[.)]\s+(?=\S))|\*\*|__|~~|`+")
_CODE = re.compile(r"[{}\\]|=>|==|;\s*$|\w\(\)|</?\w+>|\w=\w")


def find_advert(text: str, context: TurnContext) -> str | None:
    """A sponsor's message, or begging for subscribers."""
    match = _ADVERT.search(text)
    return match.group() if match else None


def drop_adverts(text: str, context: TurnContext) -> str:
    """Drop the sentences that advertise."""
    return _drop_sentences(text, context, lambda sentence: bool(_ADVERT.search(sentence)))


def find_not_speech(text: str, context: TurnContext) -> str | None:
    """Markdown, stage directions, addresses, code, symbols: what nobody can say."""
    for pattern in (_ADDRESS, _LINK, _CODE, _MARKUP):
        if match := pattern.search(text):
            return match.group()
    for match in _STAGE_DIRECTION.finditer(text):
        if not _KEPT_ASIDE.match(match.group()):
            return match.group()
    return next((char for char in text if unicodedata.category(char) in {"So", "Cc"}), None)


def make_speech(text: str, context: TurnContext) -> str:
    """Take markup off, leave stage directions out, drop sentences with addresses or code."""
    text = _LINK.sub(r"\1", text)
    text = _STAGE_DIRECTION.sub(lambda m: m.group() if _KEPT_ASIDE.match(m.group()) else " ", text)
    text = _MARKUP.sub("", text)
    text = "".join(" " if unicodedata.category(c) in {"So", "Cc"} else c for c in text)
    return _drop_sentences(
        text, context, lambda sentence: bool(_ADDRESS.search(sentence) or _CODE.search(sentence))
    )


_OUT_OF_PLACE = re.compile(
    r"\b(?:thanks? (?:you )?(?:so much |very much )?for (?:having|inviting|joining|coming on|"
    r"listening|tuning in)|welcome (?:back|to the)|glad to be here|happy to be here|"
    r"(?:next|last|this) (?:week|episode)(?:'s)? (?:show|episode)?|see you next|good ?bye|"
    r"bye[- ]bye|after the break|show notes|listeners? out there|the changelog|go time|"
    r"founders talk|js party|ship it|practical ai|backstage)\b",
    re.IGNORECASE,
)


def find_out_of_place(text: str, context: TurnContext) -> str | None:
    """A greeting, a farewell or a mention of another show in mid-conversation."""
    match = None if context.edge else _OUT_OF_PLACE.search(text)
    return match.group() if match else None


def drop_out_of_place(text: str, context: TurnContext) -> str:
    """Drop such sentences."""
    return _drop_sentences(text, context, lambda sentence: bool(_OUT_OF_PLACE.search(sentence)))


def find_verbatim(text: str, context: TurnContext) -> str | None:
    """A long run of words that stands just so in the training transcripts."""
    run = context.verbatim(text) if context.verbatim else 0
    return f"{run} words" if run >= LONGEST_VERBATIM_WORDS else None


def drop_verbatim(text: str, context: TurnContext) -> str:
    """Drop the sentences that hold such a run; where it spans sentences, drop from the end."""
    measure = context.verbatim
    if measure is None:
        return text
    text = _drop_sentences(text, context, lambda s: measure(s) >= LONGEST_VERBATIM_WORDS)
    sentences = split_sentences(text, context.language)
    while sentences and measure(" ".join(sentences)) >= LONGEST_VERBATIM_WORDS:
        sentences.pop()
    return " ".join(sentences)


def find_never_asks(text: str, context: TurnContext) -> str | None:
    """A host who has not asked for some turns, and does not ask now."""
    if context.role == "host" and "?" not in text and context.unasked >= TURNS_BETWEEN_QUESTIONS:
        return f"{context.unasked + 1} turns without a question"
    return None


def add_question(text: str, context: TurnContext) -> str:
    """Let the host ask one of our questions."""
    return f"{text} {context.question}".strip() if context.question else ""


def find_name_never_said(turns: Sequence[str], guest: str) -> str | None:
    """Whether the host's `turns` never say the guest's name."""
    return None if any(guest in turn for turn in turns) else guest


def _drop_sentences(text: str, context: TurnContext, bad: Callable[[str], bool]) -> str:
    sentences = split_sentences(text, context.language)
    return " ".join(sentence for sentence in sentences if not bad(sentence))


def _reject(text: str, context: TurnContext) -> str:
    return ""


# in the order in which they are applied: first what is not this turn at all, then what is not
# speech, then what should not be said, how it ends, and last what it adds to the conversation
CHECKS: dict[str, tuple[Check, Repair]] = {
    "other_speaker": (find_other_speaker, cut_other_speaker),
    "missing_end": (find_missing_end, cut_unfinished),
    "loop": (find_loop, cut_loop),
    "not_speech": (find_not_speech, make_speech),
    "assistant_talk": (find_assistant_talk, drop_assistant_talk),
    "advert": (find_advert, drop_adverts),
    "out_of_place": (find_out_of_place, drop_out_of_place),
    "verbatim": (find_verbatim, drop_verbatim),
    "repeats": (find_repeats, drop_repeats),
    "unfinished": (find_unfinished, cut_unfinished),
    "speaks_of_self": (find_speaks_of_self, drop_speaks_of_self),
    "agrees_emptily": (find_agrees_emptily, drop_agreement),
    "mirrors": (find_mirrors, drop_mirrored),
    "nothing_new": (find_nothing_new, drop_nothing_new),
    "no_answer": (find_no_answer, keep_answer),
    "short_replies": (find_short_replies, _reject),
    "never_asks": (find_never_asks, add_question),
}


def inspect_turn(text: str, context: TurnContext) -> Inspected:
    """Check a turn for everything, repairing as it goes."""
    findings = []
    text = text.strip().lstrip(_NO_BEGINNING)
    for name, (check, repair) in CHECKS.items():
        if not text:
            break
        if check(text, context) is not None:
            findings.append(name)
            text = repair(text, context)
    return Inspected(capitalise(_balance_quotes(text).lstrip(_NO_BEGINNING)), tuple(findings))


_NO_BEGINNING = " .,;:!?-–—…)]"


def _balance_quotes(text: str) -> str:
    text = " ".join(text.split())
    return text.replace('"', "") if text.count('"') % 2 else text
