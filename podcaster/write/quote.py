"""Let a guest speak in sentences of the notes: which ones, in which order, after which question.

A small model cannot be trusted with facts, so it is not asked for any: what the guest says stands
in a note, in the note's own order, and the host's questions are built from what comes next.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace

from podcaster.builtin.keywords import COMMON_IDF, idf, keywords
from podcaster.units import count_words, split_words
from podcaster.write.notes import Note
from podcaster.write.outline import KEYWORDS_PER_CHAPTER, ChapterPlan
from podcaster.write.sentences import capitalise, join_words

PASSAGE_WORDS = (28, 80)  # of one answer
SENTENCE_WORDS = (4, 60)
FIRST_PERSON_SHARE = 0.15
BESIDE = 1.8  # how much more a passage is worth next to a chosen one
ASKABLE_NATS = 2.5  # by which a single word must be rarer than everyday words
MOST_NAMES_SHARE = 0.2  # of a passage's words; more is a list of dignitaries

_LEANING = re.compile(
    r"^(?:and|but|so|or|yet|because|then|that|this|these|those|it|its|they|he|she|them|their|his|"
    r"her|such|which|instead|rather|however|therefore|moreover|also|again|too|still|thus|likewise|"
    r"in other words|for example|for instance|of course|similarly|meanwhile|after all|in fact|"
    r"as a (?:consequence|result)|more recently|furthermore|nevertheless|finally|lastly|all this|"
    r"(?:the )?(?:second|third|fourth)(?:ly)?)\b",
    re.IGNORECASE,
)
_POINTING = re.compile(r"\b(?:also|this|these|those|they|them|he|she)\b", re.IGNORECASE)
_CEREMONY = re.compile(
    r"\b(?:thanks?|recogni[sz]e|acknowledge|good (?:morning|afternoon|evening|to see|to be)|"
    r"hello|welcome|god bless|applause|please (?:sit|be seated)|have a seat|"
    r"ladies and gentlemen|(?:madam|mr\.?|mister) (?:speaker|president|chairman|vice)|"
    r"distinguished guests|fellow (?:citizens|americans)|members of congress|is here|are here|"
    r"here (?:today|tonight))\b",
    re.IGNORECASE,
)
_FIRST_PERSON = re.compile(r"\b(?:I|we|my|our|me|us|I'm|I've|we're|we've)\b")


@dataclass(frozen=True)
class Passage:
    """Neighbouring sentences of a note that make one answer.

    `position` counts the note's sentences up to it; `phrase` is what a question about it names.
    """

    note: str
    position: int
    sentences: tuple[str, ...]
    salience: float
    phrase: str = ""
    own_words: bool = True

    @property
    def text(self) -> str:
        """The answer."""
        return " ".join(self.sentences)

    def follows(self, other: "Passage") -> bool:
        """Whether this passage goes on where the other one ends."""
        return self.note == other.note and self.position == other.position + len(other.sentences)


def find_passages(notes: Sequence[Note]) -> tuple[Passage, ...]:
    """Cut notes into passages, in order, each with its salience and what to ask for it.

    Salience is the mean weight of a passage's words: said often in the notes and rare elsewhere.
    Greetings and ceremony weigh nothing.
    """
    found: list[Passage] = []
    for note in notes:
        words = Counter(word for s in note.sentences for word in split_words(s))
        phrases = _Phrases(note)
        own = sum(bool(_FIRST_PERSON.search(s)) for s in note.sentences)
        speaks = own >= FIRST_PERSON_SHARE * len(note.sentences)
        for position, sentences in _cut(note):
            found.append(
                Passage(
                    note=note.id,
                    position=position,
                    sentences=sentences,
                    salience=_salience(sentences, words),
                    phrase=phrases.best(" ".join(sentences)),
                    own_words=speaks,
                )
            )
    return tuple(found)


def choose_passages(
    passages: Sequence[Passage], available_s: float, cost_s: Callable[[Passage], float]
) -> tuple[Passage, ...]:
    """The most salient passages that fit into the time, in the notes' order.

    A passage next to a chosen one is worth more: whole stretches make sense, crumbs do not.
    """
    costs = [cost_s(passage) for passage in passages]
    chosen: set[int] = set()
    left_s = available_s
    while True:
        best, best_value = -1, 0.0
        for i, passage in enumerate(passages):
            if i in chosen or costs[i] > left_s:
                continue
            beside = (i - 1 in chosen and passage.follows(passages[i - 1])) or (
                i + 1 in chosen and passages[i + 1].follows(passage)
            )
            value = passage.salience * (BESIDE if beside else 1.0)
            if _LEANING.match(passage.sentences[0]):
                # it leans on what is said before it
                value *= 1.0 if i - 1 in chosen and beside else 0.3
            if value > best_value:
                best, best_value = i, value
        if best < 0:
            return tuple(passages[i] for i in sorted(chosen))
        chosen.add(best)
        left_s -= costs[best]


def group_passages(
    passages: Sequence[Passage], count: int
) -> tuple[tuple[ChapterPlan, tuple[Passage, ...]], ...]:
    """Divide passages, in order, into about `count` chapters, cutting where the subject changes."""
    count = max(1, min(count, len(passages)))
    words = [set(keywords(passage.text, 12)) for passage in passages]
    cuts = [0]
    for number in range(1, count):
        ideal = number * len(passages) / count
        options = [
            i
            for i in range(cuts[-1] + 1, len(passages) - (count - number) + 1)
            if abs(i - ideal) <= max(1.0, len(passages) / count / 3)
        ] or [min(max(cuts[-1] + 1, round(ideal)), len(passages) - 1)]
        cuts.append(min(options, key=lambda i: (_kinship(passages, words, i), abs(i - ideal))))
    groups = [
        tuple(passages[a:b])
        for a, b in zip(cuts, [*cuts[1:], len(passages)], strict=True)
        if passages[a:b]
    ]
    titles: set[str] = set()
    return tuple((_plan(group, titles), group) for group in groups)


def recaps(passages: Sequence[Passage], count: int) -> tuple[str, ...]:
    """The sentences worth hearing twice: salient, short, and standing on their own."""
    weight = Counter(word for passage in passages for word in split_words(passage.text))
    options = [
        sentence
        for passage in passages
        for sentence in passage.sentences
        if 6 <= count_words(sentence) <= 24
        and not _LEANING.match(sentence)
        and not sentence.endswith("?")
        and not _POINTING.search(sentence)
    ]
    options.sort(key=lambda s: (-_salience((s,), weight), s))
    return tuple(dict.fromkeys(options))[:count]


def _kinship(passages: Sequence[Passage], words: Sequence[set[str]], cut: int) -> float:
    same_note = passages[cut - 1].note == passages[cut].note
    return len(words[cut - 1] & words[cut]) + 3.0 * same_note * passages[cut].follows(
        passages[cut - 1]
    )


def _plan(group: Sequence[Passage], titles: set[str]) -> ChapterPlan:
    ranked = sorted(group, key=lambda passage: -passage.salience)
    phrases: list[str] = []
    for phrase in dict.fromkeys(p.phrase for p in ranked if p.phrase):
        # "the shadows and a shadow economy" says one thing twice
        if len(phrases) < 3 and not _stems(phrase) & _stems(" ".join(phrases)):
            phrases.append(phrase)
    subject = join_words(phrases[:2]) or "what comes next"
    bare = [re.sub(r"^(?:the|an?) ", "", phrase) for phrase in phrases]
    title = capitalise(join_words(bare[:2])) or "What comes next"
    if title in titles and len(bare) > 2:
        title = capitalise(join_words([bare[0], bare[2]]))
    if title in titles:
        title = f"{title}, continued"
    while title in titles:
        title += " further"
    titles.add(title)
    text = " ".join(passage.text for passage in group)
    return ChapterPlan(title=title, subject=subject, keywords=keywords(text, KEYWORDS_PER_CHAPTER))


def _cut(note: Note) -> list[tuple[int, tuple[str, ...]]]:
    """Cut a note into runs of sentences of a speakable length, along its paragraphs."""
    least, most = PASSAGE_WORDS
    runs: list[tuple[int, tuple[str, ...]]] = []
    run: list[str] = []
    start = position = 0

    def close() -> None:
        nonlocal run
        if run:
            runs.append((start, tuple(run)))
        run = []

    for paragraph in note.paragraphs:
        if count_words(" ".join(run)) >= least:
            close()
        for sentence in paragraph:
            size = count_words(sentence)
            usable = SENTENCE_WORDS[0] <= size <= SENTENCE_WORDS[1] or (
                run and size < SENTENCE_WORDS[0]
            )
            if not usable or _CEREMONY.search(sentence):
                close()
            else:
                spoken = count_words(" ".join(run))
                leans = bool(_LEANING.match(sentence))
                if spoken + size > most or (spoken >= least * 1.6 and not leans):
                    close()
                if not run:
                    start = position
                run.append(sentence)
            position += 1
    close()
    return [(at, run) for at, run in runs if count_words(" ".join(run)) >= 10]


def _salience(sentences: Sequence[str], weight: Counter[str]) -> float:
    words = [word for sentence in sentences for word in split_words(sentence)]
    rare = {word for word in words if idf(word) > COMMON_IDF and word.isalpha()}
    text = " ".join(sentences)
    names = len(re.findall(r"(?<=[a-z,] )[A-Z][a-z]+", text))
    if names > MOST_NAMES_SHARE * len(words):
        return 0.01
    total = sum((idf(word) - COMMON_IDF) * min(3, weight[word] - 1) for word in rare)
    return 0.02 + total / (len(words) + 10)


# "that" is left out: before a verb it is no determiner ("the capsule that carried him")
_DEFINITE = frozenset(["the", "this", "these", "those", "their", "his", "her", "its"])
_POSSESSIVE = frozenset({"our", "my", "your"})
_PREPOSITIONS = "a an some of for in on about with from by"
_DETERMINER = _DEFINITE | _POSSESSIVE | frozenset(_PREPOSITIONS.split())
_TOKEN = re.compile(r"[A-Za-z][A-Za-z'’-]*|[.,;:?!–()\"]")
_NOT_A_NOUN = re.compile(r"(?:ly|ing|ed|ful|ous|ive|able|ible|est)$")
_EMPTY = (  # too common to be what a text is about, whatever their rarity in talk
    "thing things people way ways lot kind sort time times day days year years today tonight "
    "tomorrow yesterday something everything nothing anything everybody everyone somebody fact "
    "week month moment first last next new good great same own very more most less least many "
    "much every each other another few one two three four five six ten also even just only will "
    "would can could should must may might shall let us says said say make made take took give "
    "gave get got go went come came know knew think thought want need see saw look use used work "
    "works there here not don't can't won't isn't doesn't it's that's we've i've we're they're "
    "president senator congress tens hundreds thousands millions billion million percent part "
    "ever never always often against between among without within before after since while though "
    "certain number amount "
    "whether either neither both instead rather perhaps maybe almost already anyway whatever whose "
    "what's who's let's haven't hasn't didn't wasn't weren't couldn't wouldn't shouldn't"
)
_EMPTY_WORDS = frozenset(_EMPTY.split())


def name_phrase(text: str, avoid: Set[str]) -> str:
    """What of a text one may take up in a question: its rarest noun phrase; empty where none is.

    None whose words are all among `avoid`, for that was taken up already.
    """
    best, best_value = "", 0.0
    for spoken, phrase in _noun_phrases(text):
        words = split_words(phrase)
        fresh = [word for word in words if word.removesuffix("s") not in avoid]
        # a word that the table does not know is a name, or made up
        known = [word for word in fresh if idf(word) < idf("") or phrase[0].isupper()]
        value = sum(min(4.0, idf(word) - COMMON_IDF) for word in known)
        if (
            len(words) == 1
            and not phrase[0].isupper()
            and (value < ASKABLE_NATS or not spoken.startswith("the "))
        ):
            continue  # "a shame", "the experience": nobody asks for that
        if len(known) == len(words) and value > best_value:
            best, best_value = spoken, value
    return best


class _Phrases:
    """What a note is about, as a person would name it: noun phrases that it repeats."""

    def __init__(self, note: Note) -> None:
        self._words = Counter(word for s in note.sentences for word in split_words(s))
        self._counts: Counter[str] = Counter()
        self._spelling: dict[str, Counter[str]] = {}
        self._used: Counter[str] = Counter()
        for sentence in note.sentences:
            for spoken, phrase in _noun_phrases(sentence):
                key = phrase.lower()
                self._counts[key] += 1
                self._spelling.setdefault(key, Counter())[spoken] += 1

    def best(self, text: str) -> str:
        """The phrase to ask for this text with; the same one is not taken again and again."""
        best, best_value = "", 0.0
        for _, phrase in _noun_phrases(text):
            key = phrase.lower()
            words = key.split()
            rarity = sum(min(4.0, max(0.0, idf(w) - COMMON_IDF)) for w in words)
            # a phrase counts by how often it is said, or by how often all of its words are
            times = max(self._counts[key], min(self._words[word] for word in words) / 2)
            value = rarity * min(4, times) / (1 + 4 * self._used[key])
            value *= 1.4 if len(words) > 1 else 1.0
            if times <= 1:
                # said once and one word long, it is seldom what the text is about
                value *= 0.15 if len(words) == 1 and not phrase[0].isupper() else 0.6
            if value > best_value:
                best, best_value = key, value
        if not best:
            return ""
        self._used[best] += 1
        return self._spelling[best].most_common(1)[0][0]


def _noun_phrases(sentence: str) -> list[tuple[str, str]]:
    """Runs of one to three content words after a determiner or preposition: as said, and bare.

    "our economy" is said as "the economy" by somebody else; a name takes no article.
    """
    tokens = [match.group() for match in _TOKEN.finditer(sentence)]
    phrases = []
    i = 0
    while i < len(tokens):
        before = tokens[i].lower()
        if before not in _DETERMINER:
            i += 1
            continue
        j = i + 1
        while j < len(tokens) and j - i <= 3 and _is_content(tokens[j]):
            j += 1
        run = tokens[i + 1 : j]
        ended = j >= len(tokens) or not _is_content(tokens[j])
        proper = bool(run) and all(word[0].isupper() for word in run)
        if run and ended and (proper or not _NOT_A_NOUN.search(run[-1].lower())):
            bare = " ".join(run).replace("’", "'").removesuffix("'s")
            article = ""
            # "the dignity of all" is not something to ask for by the name of "the dignity"
            whole = j >= len(tokens) or tokens[j].lower() != "of"
            if not whole and len(run) == 1 and not proper:
                i = max(j, i + 1)
                continue
            if before in _DEFINITE | _POSSESSIVE and not (proper and before != "the"):
                article = "the "
            elif before in ("a", "an"):
                article = f"{before} "
            phrases.append((f"{article}{bare}", bare))
            # "comprehensive immigration reform" is about immigration reform, too
            if len(run) == 3 and not proper:
                phrases.append((" ".join(run[1:]), " ".join(run[1:])))
        i = max(j, i + 1)
    return phrases


def _is_content(token: str) -> bool:
    word = token.lower().replace("’", "'")
    if not word[0].isalpha() or len(word) < 3 or word in _EMPTY_WORDS or word in _DETERMINER:
        return False
    return token[0].isupper() or idf(word.removesuffix("'s")) > COMMON_IDF


def _stems(phrase: str) -> set[str]:
    words = (word for word in split_words(phrase) if word not in ("the", "a", "an"))
    return {word.removesuffix("s") for word in words}


def shorten_passage(passage: Passage, sentences: int) -> Passage:
    """The passage's first sentences only."""
    return replace(passage, sentences=passage.sentences[:sentences])
