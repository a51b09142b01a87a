"""Real interviews out of the shared archives, which nothing of ours was trained on.

Three spellings of who speaks: `**Name:** text`; `Name: 00:01:02` or `Name: text` after front
matter; and `Q    text` with `THE PRESIDENT:  text`.
"""

import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.talks.conversation import Conversation
from podcaster.talk.profile import Said

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
FOUNDERS = ("changelog-transcripts.tar.xz", "founderstalk/")
CHAINCODE = ("bitcoin-transcripts.tar.xz", "chaincode-podcast/")
PRESS = ("2010-02-09", "2010-11-03", "2013-03-01")  # the speeches with questions and answers
FEWEST_TURNS = 12
FEWEST_LABELS = 4  # of a name; what stands before fewer colons is no speaker

_BOLD = re.compile(r"^\*\*\s*([^*\n]{1,80}?)\s*(?::\s*\*\*|\*\*\s*:)\s*", re.MULTILINE)
_PLAIN = re.compile(
    r"^([A-Z][\w.'’ -]{1,40}?)(?: \([A-Z]{1,3}\))?:(?:[ \t]+\[?\d[\d:.]*\]?)?\s+", re.MULTILINE
)
_PRESS = re.compile(r"^(Q|THE PRESIDENT|M[RS]S?\. [A-Z]+)(?::\s+|\s{2,})", re.MULTILINE)
_TITLE = re.compile(r"^title:\s*[\"']?(.+?)[\"']?\s*$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]\n]+)\]\([^)\n]*\)")
_NO_SPEECH = re.compile(
    r"^#.*$|^\(.*\)$|\\?\[[^\]\n]{0,40}\]|\([^)\n]{0,20}(?:laugh|applause)[^)\n]{0,20}\)",
    re.MULTILINE | re.IGNORECASE,
)
_MARKS = str.maketrans("", "", "*_\\")


def read_shows() -> list[Conversation]:
    """All of them; empty where the archives are missing."""
    if not DATA.is_dir():
        return []
    talks = [parse(name, text, _BOLD) for name, text in _read(*FOUNDERS)]
    talks += [parse(name, text, _PLAIN) for name, text in _read(*CHAINCODE)]
    for date in PRESS:
        for path in sorted((DATA / "speeches").glob(f"{date}*.txt")):
            talks.append(parse(path.stem, path.read_text("utf-8"), _PRESS))
    return [talk for talk in talks if len(talk.turns) >= FEWEST_TURNS]


def parse(name: str, text: str, label: re.Pattern[str]) -> Conversation:
    """A transcript's turns; the host is who asks in most of their turns."""
    title = _TITLE.search(text) if text.startswith("---\n") else None
    labels = list(label.finditer(text))
    counted = Counter(found.group(1) for found in labels)
    labels = [found for found in labels if counted[found.group(1)] >= FEWEST_LABELS]
    ends = [*(found.start() for found in labels[1:]), len(text)]
    said: list[tuple[str, str]] = []
    for found, end in zip(labels, ends, strict=False):
        spoken = _NO_SPEECH.sub(" ", _LINK.sub(r"\1", text[found.end() : end]))
        words = " ".join(spoken.translate(_MARKS).split())
        if words and said and said[-1][0] == found.group(1):
            said[-1] = (said[-1][0], f"{said[-1][1]} {words}")
        elif words:
            said.append((found.group(1), words))
    asking = Counter(who for who, words in said if "?" in words)
    turns = Counter(who for who, _ in said)
    host = max(turns, key=lambda who: asking[who] / turns[who], default="Host")
    guest = next((who for who, _ in turns.most_common() if who != host), "Guest")
    return Conversation(
        name=name,
        turns=tuple(Said("host" if who == host else "guest", words) for who, words in said),
        topic=title.group(1) if title else "",
        people=(host, guest),
        others=1 - (turns[host] + turns[guest]) / max(1, len(said)),
    )


def _read(archive: str, folder: str) -> Iterator[tuple[str, str]]:
    if not (DATA / archive).is_file():
        return
    with tarfile.open(DATA / archive, "r|*") as stream:
        for member in stream:
            if member.isfile() and folder in member.name and member.name.endswith(".md"):
                content = stream.extractfile(member)
                assert content is not None
                yield Path(member.name).stem, content.read().decode("utf-8", "replace")
