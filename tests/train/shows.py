"""Conversations that nobody had, as a dataset's lines, for tests of training."""

import json
import random
from pathlib import Path

NOUNS = ("kettle", "leaf", "spring", "cup", "garden", "harbour", "lantern", "paper", "river")
VERBS = ("holds", "keeps", "needs", "finds", "makes", "moves")


def say(draw: random.Random, words: int) -> str:
    """Words in an order that can be learned a little: a noun, a verb, a noun."""
    text = [draw.choice((NOUNS, VERBS, NOUNS)[i % 3]) for i in range(words)]
    return " ".join(text).capitalize() + "."


def make_line(number: int, turns: int = 6, words: int = 12) -> dict[str, object]:
    """One line of `dialogue.*.jsonl`."""
    draw = random.Random(number)
    names = ["Ann Host", f"Bob {NOUNS[number % len(NOUNS)].title()}"]
    topics = [NOUNS[number % len(NOUNS)], "tea"]
    messages = [{"role": "system", "content": f"Tea Talk: {number}.\nHost: {names[0]}."}]
    for turn in range(turns):
        said = say(draw, words + turn)
        messages.append({"role": "assistant" if turn % 2 else "user", "content": said})
    return {
        "messages": messages, "names": names, "roles": ["host", "guest"], "keywords": topics,
        "episode": f"On {topics[0]}", "show": "Tea Talk",
    }  # fmt: skip


def write_lines(path: Path, numbers: range, **shape: int) -> Path:
    """Write so many lines."""
    path.write_text("".join(json.dumps(make_line(n, **shape)) + "\n" for n in numbers))
    return path
