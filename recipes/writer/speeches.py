"""Speeches and press conferences of presidents: who says what, in texts without one form.

Whoever asks is `REPORTER`; calls from the hall and stage directions are dropped.
"""

import re
from collections import Counter
from itertools import pairwise

from recipes.writer.turns import AUDIENCE, FEWEST_TURNS, Turn, cut_at, mark_sounds

REPORTER = "Reporter"  # whoever asks a president
MODERATOR = "Moderator"
SPEECHES = "speeches"
PRESIDENTS = "presidents"
MOST_LABELS = 100  # different ones in a text; more are no people

_TITLES = (
    r"(?:Mr|Mrs|Ms|Miss|Dr|Sec|MR|MRS|MS|MISS|DR|SEC|Governor|Senator|President|Vice President|"
    r"Secretary|Admiral|General|Director|Administrator|Prime Minister|Chancellor)"
)
_ASKER_LABEL = r"(?P<asker>Q|QUESTION|Question|REPORTER|Reporter|THE PRESS|The Press)(?:[.:]\s|\s+)"
_PRESIDENT_LABEL = (
    r"(?P<president>THE PRESIDENT|The President|PRESIDENT(?: [A-Z]+)|MR\. PRESIDENT)[.:]\s"
)
_HALL_LABEL = r"(?P<hall>AUDIENCE(?: MEMBERS?)?|Audience(?: Members?)?|PARTICIPANTS?|CROWD)[.:]\s"
_WORD = r"[A-Z][\w'’-]{1,20}"
_OTHER_LABEL = (
    rf"(?P<other>(?:{_TITLES}\.? {_WORD}(?: {_WORD})?"
    r"|(?:[A-Z][A-Zc.'’-]{1,20} ){1,4}[A-Z][A-Zc'’-]{1,20}"
    r"|(?:The|THE) [A-Z]\w{1,20}(?: (?:of )?[A-Z]\w{1,20}){0,4})"
    r"(?:, ?[A-Z][A-Za-z ]{2,30})?)[.:]\s"
)
_PRESS_LABEL = (
    r"(?P<press>[A-Z][a-z]{1,20} (?:[A-Z]\. )?[A-Z][A-Za-z]{1,20}, [A-Z][^:.\n]{2,50}):\s"
)
_SPEECH_LABEL = re.compile(
    rf"^[ \t]*(?:{_ASKER_LABEL}|{_PRESIDENT_LABEL}|{_HALL_LABEL}|{_PRESS_LABEL}|{_OTHER_LABEL})",
    re.MULTILINE,
)
_STAGE = re.compile(r"[(\[][A-Z][^()\[\]\n]{0,80}[.!]?[)\]]")
_CALLED = re.compile(
    rf"^[ \t]*(?:(?:Yes, |Okay, |All right, )?{_TITLES}\.? {_WORD}(?: {_WORD})?"
    r"|(?:[A-Z][a-z'’-]{1,20} ){1,2}[A-Z][a-z'’-]{1,20})[.?,!]?[ \t]*$",
    re.MULTILINE,
)
_HEADING = re.compile(
    r"^[ \t]*[A-Z0-9][^.?!:,\"”\n]{0,70}[^.?!:,;)\"”\s-][ \t]*$|^[^a-z\n]{4,70}$", re.MULTILINE
)


def parse_speech(text: str) -> tuple[str, tuple[Turn, ...]]:
    """Read one text that begins with `President: Name` as (show, turns).

    With questions and answers the show is `presidents`, and whoever asks is `Reporter`; otherwise
    it is `speeches`, and all is one turn of the president's.
    """
    head, _, body = text.partition("\n")
    president = head.partition(":")[2].strip() or "President"
    body = _HEADING.sub("", _STAGE.sub(" ", mark_sounds(body)))
    labels = _find_labels(body, president)
    start = labels[0][0].start() if labels else len(body)
    before = _drop_calls(body[:start])
    moderated = any(speaker == MODERATOR for _, speaker in labels)
    turns = [Turn(MODERATOR if moderated else president, before)] if before.strip() else []
    texts = cut_at(body, [match for match, _ in labels])
    for (_, speaker), said in zip(labels, texts, strict=True):
        if speaker != AUDIENCE and (said := _drop_calls(said)).strip():
            turns.append(Turn(speaker, said))
    pace = sum(a.speaker != b.speaker for a, b in pairwise(turns))
    if pace < FEWEST_TURNS - 1:
        own = "\n\n".join(turn.text for turn in turns if turn.speaker == president)
        return SPEECHES, (Turn(president, own),)
    return PRESIDENTS, tuple(turns)


_NO_FIRST_NAME = re.compile(
    rf"(?:{_TITLES}|The|And|But|Or|To|Commissioner|Congressman|Congresswoman|Ambassador|Comrade|Fire"
    r"|Government|Justice|Senator|Judge|Professor|Candidate|Mayor|Representative|Chairman|Thank|Thanks|Yes|No|Well)$"
)


def _drop_calls(text: str) -> str:
    """Without lines that only call upon the next to ask: `Mr. Smith.`, `Ann Smith?`."""
    return _CALLED.sub("", text)


def _find_labels(body: str, president: str) -> list[tuple[re.Match[str], str]]:
    found = list(_SPEECH_LABEL.finditer(body))
    surname = president.split()[-1].upper()
    running = any((match["other"] or "").upper() == f"MR. {surname}" for match in found)
    # A candidate who is president only later debates with the one who is president then.
    incumbent = _incumbent(body, president) if running else president
    tally = Counter(match["other"] for match in found if match["other"])
    people = {
        label: _person(label, president, body)
        for label, n in tally.most_common(MOST_LABELS)
        if n >= 2 or "MODERATOR" in label
    }
    labels = []
    for match in found:
        if match["asker"] or match["press"]:
            labels.append((match, REPORTER))
        elif match["hall"]:
            labels.append((match, AUDIENCE))
        elif match["president"]:
            labels.append((match, incumbent))
        elif match["other"] in people:
            labels.append((match, people[match["other"]]))
    return labels


def _incumbent(body: str, candidate: str) -> str:
    for match in re.finditer(r"\bPresident ([A-Z][a-z]+ (?:[A-Z]\. )?[A-Z][a-z]+)\b", body):
        if match[1].split()[-1] != candidate.split()[-1]:
            return match[1]
    return "Mr President"


def _person(label: str, president: str, body: str) -> str:
    """The name behind `MR. SMITH`, in full if the text says it somewhere."""
    label = label.split(",")[0].strip()
    if label.upper() in ("THE MODERATOR", "MODERATOR"):
        return MODERATOR
    surname = label.split()[-1]
    if surname.upper() == president.split()[-1].upper():
        return president
    if not label.upper().startswith(("THE ", "VICE ", "SECRETARY OF")):
        pattern = rf"\b([A-Z][a-z]+) (?:[A-Z]\. )?((?i:{re.escape(surname)}))\b"
        full = Counter((m[1], m[2]) for m in re.finditer(pattern, body))
        for (first, last), _ in full.most_common():
            if last[0].isupper() and not last.isupper() and not _NO_FIRST_NAME.match(first):
                return f"{first} {last}"
    words = label.title() if label.isupper() else label
    return re.sub(r"^(Mr|Mrs|Ms|Dr)\. ", r"\1 ", words)
