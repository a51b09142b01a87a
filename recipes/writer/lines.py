"""Choose windows of a dataset that show how two people talk, and vary the names in them.

Reads a `dialogue.*.jsonl` of `podcaster show dataset` and writes lines of the same form.
"""

import argparse
import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from podcaster.units import count_words
from recipes.writer.names import Renaming

FILLERS = re.compile(
    r"\b(?:you know|I mean|kind of|sort of|like,|right\?|yeah|u[hm]+|mm+|basically|literally)\b",
    re.IGNORECASE,
)
# talk about the programme itself is of no use to another programme
OWN_SHOW = re.compile(
    r"\b(?:changelog|go ?time|js ?party|founders talk|practical ai|ship it|brain science|podcasts?|"
    r"episodes?|listeners?|livera|sponsors?|show ?notes|patreon|newsletter|slack|tweet|this show|"
    r"the show|coming on|(?:inaudible|unintelligible|laughter|crosstalk))\b",
    re.IGNORECASE,
)
FEWEST_TURNS = 3
GUEST_WORDS = (15, 220)  # of a turn, in the median
LONGEST_TURN_WORDS = 330
HOST_MEAN_WORDS = 80
ASKS_SHARE = 0.3  # of the host's turns, at least
CHOSEN_SHARE = 0.75  # of a show's windows that are good at all: those with the fewest fillers
FACTS_SHARE = 0.3  # of the windows are told beforehand what the guest will tell
FACT_WORDS = (9, 32)
SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a dataset."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def is_good(line: dict[str, Any]) -> bool:
    """Whether a window is a conversation of two, in turns as an episode has them."""
    said = [m for m in line["messages"] if m["role"] != "system"]
    text = " ".join(m["content"] for m in said)
    if len(line["names"]) != 2 or len(said) < FEWEST_TURNS or OWN_SHOW.search(text):
        return False
    host = [m["content"] for m in said if m["role"] == "user"]
    guest = sorted(count_words(m["content"]) for m in said if m["role"] == "assistant")
    if not guest or not GUEST_WORDS[0] <= guest[len(guest) // 2] <= GUEST_WORDS[1]:
        return False
    words = [count_words(m["content"]) for m in said]
    asks = sum("?" in text for text in host) / len(host)
    mean = sum(count_words(text) for text in host) / len(host)
    return max(words) <= LONGEST_TURN_WORDS and asks >= ASKS_SHARE and mean <= HOST_MEAN_WORDS


def count_fillers(line: dict[str, Any]) -> float:
    """Fillers a word."""
    text = " ".join(m["content"] for m in line["messages"] if m["role"] != "system")
    return len(FILLERS.findall(text)) / max(1, count_words(text))


def choose(lines: Sequence[dict[str, Any]], tokens: int, seed: int) -> list[dict[str, Any]]:
    """Good windows of all shows in equal parts, as far as there are, of about `tokens` together."""
    shows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in filter(is_good, lines):
        shows[show_of(line)].append(line)
    draw = random.Random(seed)
    for name, found in shows.items():
        found.sort(key=count_fillers)
        shows[name] = found[: max(1, int(len(found) * CHOSEN_SHARE))]
        draw.shuffle(shows[name])
    chosen: list[dict[str, Any]] = []
    left = tokens
    while left > 0 and any(shows.values()):
        for name in sorted(shows):
            if shows[name] and left > 0:
                chosen.append(shows[name].pop())
                left -= chosen[-1]["tokens"]
    draw.shuffle(chosen)
    return chosen


def show_of(line: dict[str, Any]) -> str:
    """The show that a recording is of: its transcript's name without the number."""
    return re.sub(r"[\d-]+$", "", re.sub(r"-[0-9a-f]{8}$", "", line["recording"]))[:12]


def vary(line: dict[str, Any], seed: int) -> dict[str, Any]:
    """The line with other names, with one to six of its topics, and sometimes with facts."""
    draw = random.Random(f"{seed} {line['recording']} {line['messages'][1]['content'][:80]}")
    rename = Renaming(line["names"], draw)
    said = [
        {"role": m["role"], "content": rename(m["content"])}
        for m in line["messages"]
        if m["role"] != "system"
    ]
    keywords = list(line["keywords"])
    draw.shuffle(keywords)
    facts: list[str] = []
    if draw.random() < FACTS_SHARE:
        told = [
            sentence.strip()
            for m in said
            if m["role"] == "assistant"
            for sentence in SENTENCES.split(m["content"])
            if FACT_WORDS[0] <= count_words(sentence) <= FACT_WORDS[1] and "?" not in sentence
        ]
        facts = draw.sample(told, min(len(told), draw.randint(1, 4)))
    return {
        "messages": [m for m in said if m["content"]],
        "names": rename.names,
        "roles": line["roles"],
        "keywords": keywords[: draw.randint(1, max(1, len(keywords)))] if keywords else [],
        "facts": facts,
        "episode": "",
    }


def main() -> None:
    """Write the lines to learn from and those to validate with."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path, help="the folder of a show's dataset")
    parser.add_argument("out", type=Path)
    parser.add_argument("--tokens", type=int, default=600_000)
    parser.add_argument("--validation-tokens", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    for split, tokens in (("train", told.tokens), ("validation", told.validation_tokens)):
        name = f"dialogue.{split}.jsonl"
        lines = choose(list(read(told.dataset / name)), tokens, told.seed)
        with (told.out / name).open("w", encoding="utf-8") as out:
            for line in lines:
                out.write(json.dumps(vary(line, told.seed), ensure_ascii=False) + "\n")
        print(
            json.dumps(
                {"split": split, "lines": len(lines), "tokens": sum(x["tokens"] for x in lines)}
            )
        )


if __name__ == "__main__":
    main()
