"""Collect interviews of two out of archives of transcripts, as files that the program takes in.

    python -m recipes.writer.collect ARCHIVE.tar.xz … OUT

OUT/train/<show>/ is what may be learned, OUT/held-out/<show>/ what nothing is ever trained on.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from podcaster.units import count_words
from recipes.writer.archives import Transcript, read_archive

# by the archives' names; the last part names the folder
LEARNED = frozenset(
    {"afk", "brainscience", "friends", "gotime", "jsparty", "podcast", "practicalai", "shipit",
     "spotlight", "bitcoin/bitcoin-explained", "bitcoin/stephan-livera-podcast", "presidents"}
)  # fmt: skip
HELD_OUT = frozenset({"founderstalk", "bitcoin/chaincode-podcast"})
FEWEST_WORDS = 800
FEWEST_TURNS = 14
TWO_SHARE = 0.93  # of the words, which two people say together
SECOND_SHARE = 0.06  # of the words, which the quieter of them says


def is_interview(transcript: Transcript) -> bool:
    """Whether two people say nearly all of it, in turns."""
    words: Counter[str] = Counter()
    for turn in transcript.turns:
        words[turn.speaker] += count_words(turn.text)
    said, top = sum(words.values()), [count for _, count in words.most_common(2)]
    return (
        said >= FEWEST_WORDS
        and len(transcript.turns) >= FEWEST_TURNS
        and len(top) == 2
        and sum(top) >= TWO_SHARE * said
        and top[1] >= SECOND_SHARE * said
    )


def collect(transcripts: Iterable[Transcript], out: Path) -> Counter[str]:
    """Write the interviews of known shows as Markdown; how many of each folder."""
    written: Counter[str] = Counter()
    for one in transcripts:
        part = "train" if one.show in LEARNED else "held-out"
        if one.show not in LEARNED | HELD_OUT or not is_interview(one):
            continue
        folder = out / part / one.show.rsplit("/", 1)[-1]
        folder.mkdir(parents=True, exist_ok=True)
        paragraphs = [f"**{turn.speaker}:** {' '.join(turn.text.split())}" for turn in one.turns]
        name = re.sub(r"[^\w-]+", "-", one.name)
        (folder / f"{name}.md").write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
        written[f"{part}/{folder.name}"] += 1
    return written


def main() -> None:
    """Collect; prints a JSON line of how many interviews each folder has."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("archives", type=Path, nargs="+")
    parser.add_argument("out", type=Path)
    told = parser.parse_args()
    written: Counter[str] = Counter()
    for archive in told.archives:
        written += collect(read_archive(archive), told.out)
    print(json.dumps(dict(sorted(written.items()))))


if __name__ == "__main__":
    main()
