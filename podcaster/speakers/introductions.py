"""Who somebody is, from what is said: introductions, greetings, thanks.

Who says "I'm Ada" is Ada; who says "I'm joined by Ben" is not Ben, but who answers probably is.
Patterns are English; in other languages nothing is found, and nothing is made up.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from podcaster.model import Transcript
from podcaster.speakers.names import find_names, name_key, read_name
from podcaster.speakers.recording import Evidence, EvidenceKind, shorten

SELF_POINTS = 4.0
SELF_LATE_POINTS = 1.5  # deep in a conversation, "I'm Spartacus" may be a joke or a quotation
INTRODUCED_POINTS = 3.0
INTRODUCED_LATE_POINTS = 1.0  # who has been talking for long is hardly introduced
ADDRESSED_POINTS = 1.5
NOT_ONESELF_POINTS = -3.0
MOST_ADDRESSED_POINTS = 4.5  # of one name, for one label, in one recording

_EARLY_TURNS = 4  # of one's own
_READ_CHARACTERS = 6000  # of what somebody says in one go
_AHEAD = 160  # characters after a phrase in which its name is looked for

_SELF = re.compile(
    r"\b(?:my name(?:['’]s| is)|I(?:['’]m| am) your (?:co-?)?host,?|I(?:['’]m| am)|"
    r"your (?:co-?)?host(?:,| is| as always,?)?|(?P<this>this is))\s+",
    re.IGNORECASE,
)
_SELF_AFTER = re.compile(r"\s+here\b|\s+speaking\b", re.IGNORECASE)
_INTRODUCES = re.compile(
    r"\b(?:(?:joined|accompanied)(?: \w+){0,3} by|"
    r"(?:I|we)(?:['’]m|['’]re| am| are)(?: \w+){0,3} "
    r"(?:here|back|sitting|chatting|talking|speaking)(?: \w+){0,2} (?:with|to)|"
    r"(?:my|our|special|week['’]s|today['’]s) (?:special )?guests?"
    r"(?: (?:today|tonight|this \w+|for \w+))*(?: is| are|,|:)|"
    r"please welcome|welcome(?: back)?(?: to (?:the )?\w+(?: \w+){0,4})?,|"
    r"with (?:me|us)(?: (?:today|here|now|again|in \w+))*(?: is| are|,)?|"
    r"joining (?:me|us)(?: (?:today|here|now|again|from \w+))*(?: is| are|,)?|"
    r"(?:introduce|introducing)(?: you to)?)\s+",
    re.IGNORECASE,
)
_GREETS = re.compile(
    r"(?:^|[.!?…]\s+|,\s+)(?P<word>hi|hey|hello|good morning|good day|good evening|good afternoon|"
    r"welcome|welcome back|so|okay|alright|tell us|thanks|thank you|thanks so much|"
    r"thank you so much|thanks a lot)(?: (?:there|again|everyone))?,?\s+",
    re.IGNORECASE,
)
_CALLS = re.compile(r",\s+(?P<name>[^\W\d_][\w'’-]*(?: [^\W\d_][\w'’-]*)?)[.?!…]+(?:\s|$)")
_HOSTS_SAY = re.compile(
    r"\b(?:your (?:co-?)?host\b|my guest|our guest|guest today|"
    r"welcome (?:back )?to (?:the |another|this|\w+ )|joined(?: \w+){0,2} by|joining (?:me|us)|"
    r"thanks for (?:listening|tuning in|joining us|coming on)|on today['’]s (?:show|episode))",
    re.IGNORECASE,
)
_SMALL = re.compile(r"(?<![^\W_])[^\W\d_A-Z][^\W\d_]*")
_NO_PERSON_AFTER = frozenset({"of", "from", "at", "for", "in", "on"})
_THANKS = "thank"


@dataclass(frozen=True)
class _Said:
    """A name that a turn says, and what that means for the one who says it."""

    name: str
    kind: EvidenceKind
    text: str
    at: int
    thanks: bool = False


@dataclass
class _Run:
    """What a label says before another one does: transcribers cut it at every pause.

    `starts` are where in the text each utterance begins, and its turn.
    """

    label: str
    text: str
    starts: list[tuple[int, int]]

    def turn_at(self, place: int) -> int:
        """The turn that a place in the text belongs to."""
        return [turn for start, turn in self.starts if start <= place][-1]


@dataclass(frozen=True)
class _Place:
    """Where something is said: by whom, after and before whom, and how often each spoke before."""

    recording: str
    run: _Run
    before: str | None
    after: str | None
    runs: Mapping[str, int]


def find_evidence(transcript: Transcript, recording: str) -> tuple[Evidence, ...]:
    """What the words of a recording say of its speakers' names, in the order of turns."""
    all_runs = _join_runs(transcript)
    small = words_in_small(transcript)
    counts: Counter[str] = Counter()
    found: list[Evidence] = []
    for index, run in enumerate(all_runs):
        before = all_runs[index - 1].label if index else None
        after = all_runs[index + 1].label if index + 1 < len(all_runs) else None
        place = _Place(recording, run, before, after, counts)
        for said in _read_run(run.text):
            if not all(word.lower() in small for word in said.name.split()):
                found += _weigh(said, place)
        counts[run.label] += 1
    return tuple(_bound(found))


def _join_runs(transcript: Transcript) -> list[_Run]:
    runs: list[_Run] = []
    for turn, utterance in enumerate(transcript.utterances, 1):
        if utterance.speaker is None:
            continue
        if not runs or runs[-1].label != utterance.speaker:
            runs.append(_Run(utterance.speaker, "", []))
        run = runs[-1]
        if len(run.text) < _READ_CHARACTERS:
            gap = " " if run.text else ""
            run.starts.append((len(run.text) + len(gap), turn))
            run.text += gap + utterance.text[:_READ_CHARACTERS]
    return runs


def words_in_small(transcript: Transcript) -> frozenset[str]:
    """All words that are said without a capital: they are hardly names."""
    return frozenset(
        match.group()
        for utterance in transcript.utterances
        for match in _SMALL.finditer(utterance.text)
    )


def count_cues(transcript: Transcript) -> dict[str, int]:
    """How often each label says what a host says: welcomes, guests, thanks."""
    runs = _join_runs(transcript)
    return dict(Counter(run.label for run in runs if _HOSTS_SAY.search(run.text)))


def _read_run(text: str) -> Iterator[_Said]:
    seen: set[tuple[str, str]] = set()
    for said in (*_read_self(text), *_read_introductions(text), *_read_addresses(text)):
        name = name_key(said.name)
        # nobody calls oneself by name: "I'm your host, Ada."
        if name and not {(name, said.kind), (name, "introduces-self")} & seen:
            seen.add((name, said.kind))
            yield said


def _read_self(text: str) -> Iterator[_Said]:
    for match in _SELF.finditer(text):
        ahead = text[match.end() : match.end() + _AHEAD]
        name, length = read_name(ahead)
        rest = ahead[length : length + 12]
        alone = rest == "" or re.match(
            r"[,.!?;:—–-]|\s+[—–-]|\s+(?:and|from|with|your|here)\b", rest
        )
        # "this is Python" and "this is Rome" are more common than people with one name
        if name and alone and not (match.group("this") and " " not in name):
            yield _Said(name, "introduces-self", _quote(text, match.start()), match.start())
    for name, start, end in find_names(text[:300]):
        if _SELF_AFTER.match(text, end) and (start == 0 or text[start - 2] in ",.!?;"):
            yield _Said(name, "introduces-self", _quote(text, start), start)


def _read_introductions(text: str) -> Iterator[_Said]:
    for match in _INTRODUCES.finditer(text):
        sentence = re.split(r"(?<=[a-z]{3})[.!?…]\s", text[match.end() : match.end() + _AHEAD])[0]
        own = _SELF.search(sentence)  # "welcome to the show, I'm Ada"
        sentence = sentence[: own.start()] if own else sentence
        for name in _people_in(sentence):
            yield _Said(name, "introduces", _quote(text, match.start()), match.start())


def _people_in(sentence: str) -> list[str]:
    """The people that a sentence introduces: full names, or else a first name at its beginning."""
    names = [
        (name, start, end)
        for name, start, end in find_names(sentence)
        if _word_before(sentence, start) not in _NO_PERSON_AFTER
    ]
    full = [(name, start, end) for name, start, end in names if " " in name]
    if not full:
        return [name for name, start, _ in names[:1] if start == 0]
    people = [full[0][0]]
    for (_, _, end), (name, start, _) in pairwise(full):
        # a list of guests, and not what they talk about
        if re.fullmatch(r",? and ", sentence[end:start]) is None:
            break
        people.append(name)
    return people


def _read_addresses(text: str) -> Iterator[_Said]:
    name, length = read_name(text[:80])
    if name and text[length : length + 1] == "," and len(name.split()) < 3:
        yield _Said(name, "addressed", _quote(text, 0), 0)
    for match in _GREETS.finditer(text):
        name, length = read_name(text[match.end() : match.end() + 80])
        follows = text[match.end() + length : match.end() + length + 1]
        if name and (follows in ",.!?…" or not follows):
            thanks = match.group("word").lower().startswith(_THANKS)
            yield _Said(name, "addressed", _quote(text, match.start()), match.start(), thanks)
    for match in _CALLS.finditer(text):
        name, length = read_name(match.group("name"))
        if name and length == len(match.group("name")):
            quote = _quote(text, max(0, match.start() - 60))
            yield _Said(name, "addressed", quote, match.start())


def _weigh(said: _Said, place: _Place) -> Iterator[Evidence]:
    def points(whose: str, kind: EvidenceKind, value: float) -> Evidence:
        return Evidence(
            recording=place.recording,
            label=whose,
            name=said.name,
            kind=kind,
            points=value,
            turn=place.run.turn_at(said.at),
            text=said.text,
        )

    label, before, after = place.run.label, place.before, place.after
    if said.kind == "introduces-self":
        early = place.runs[label] < _EARLY_TURNS
        yield points(label, said.kind, SELF_POINTS if early else SELF_LATE_POINTS)
        return
    yield points(label, said.kind, NOT_ONESELF_POINTS)
    if said.kind == "introduces" and after is not None:
        early = place.runs[after] < _EARLY_TURNS
        yield points(after, "introduced", INTRODUCED_POINTS if early else INTRODUCED_LATE_POINTS)
    elif said.kind == "addressed" and said.thanks and before is not None:
        yield points(before, said.kind, ADDRESSED_POINTS)
    elif said.kind == "addressed" and after is not None:
        yield points(after, said.kind, ADDRESSED_POINTS)


def _bound(found: Sequence[Evidence]) -> Iterator[Evidence]:
    """All evidence, but so much of a kind only: a name called a hundred times is no surer."""
    sums: dict[tuple[str, str, str], float] = {}
    for one in found:
        key = (one.label, name_key(one.name), one.kind)
        most = MOST_ADDRESSED_POINTS if one.kind == "addressed" else 2 * SELF_POINTS
        if abs(sums.get(key, 0.0) + one.points) <= most or key not in sums:
            sums[key] = sums.get(key, 0.0) + one.points
            yield one


def _word_before(text: str, place: int) -> str:
    words = text[max(0, place - 30) : place].split()
    return words[-1].lower() if words else ""


def _quote(text: str, start: int) -> str:
    return shorten(text[start : start + 100].lstrip(" .,!?…"), 90)
