"""Bits a byte that dialogue models need for interviews which they have not seen: one JSON line.

    python bench/held_out.py MODEL.gguf[+ADAPTER.gguf] … [--words N]

Every model reads the same windows of two-person interviews (talks/shows.py), spelled as the
program would have it talk: names and whose turn it is are given, what is said is to be foretold,
and so is where a turn ends. All models' nats are over the same bytes of UTF-8, so that vocabularies
do not matter.
"""

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks are not installed

from bench.talks.conversation import Conversation  # noqa: E402
from bench.talks.shows import PRESS, read_shows  # noqa: E402
from podcaster.engines import open_engine  # noqa: E402
from podcaster.talk.figures import Opening, SaidTurn  # noqa: E402
from podcaster.talk.talking import spell_for_reading  # noqa: E402
from podcaster.units import count_words  # noqa: E402
from podcaster.write.sentences import clean_line  # noqa: E402

WINDOW_WORDS = 500  # of a conversation: fits any model's context
OTHERS_SHARE = 0.05  # of the turns of an interview of two


def choose_windows(shows: Sequence[Conversation], words: int) -> list[Opening]:
    """One window from the middle of so many two-person interviews, spread evenly over them."""
    usable = [show for show in shows if show.others <= OTHERS_SHARE]
    count = min(len(usable), math.ceil(words / WINDOW_WORDS))
    return [_cut_window(usable[place * len(usable) // count]) for place in range(count)]


def _cut_window(show: Conversation) -> Opening:
    names = dict(zip(("host", "guest"), show.people, strict=True))
    turns: list[SaidTurn] = []
    left = WINDOW_WORDS
    for turn in show.turns[len(show.turns) // 3 :]:
        left -= count_words(turn.text)
        if left < 0 and turns:
            break
        turns.append(SaidTurn(speaker=turn.role, name=names[turn.role], text=clean_line(turn.text)))
    return Opening(host=names["host"], guest=names["guest"], keywords=(), turns=tuple(turns))


def read(model: str, windows: Sequence[Opening]) -> Iterator[tuple[float, float]]:
    """Of each window, the nats of a model (and its adapter) and the bytes of what it foretold."""
    path, _, adapter = model.partition("+")
    applied = {"adapter": adapter} if adapter else {}
    # one thread: two wait for each other at every layer, on a busy machine for minutes
    with closing(open_engine("read", "llama_cpp", path=path, threads=1, **applied)) as reader:
        for window in windows:
            text = "".join(turn.text for turn in window.turns)
            found = reader.read(*spell_for_reading(reader, window)).values()
            share = sum(one.characters for one in found) / len(text)  # a full context cuts turns
            yield sum(one.nats for one in found), len(text.encode()) * min(1.0, share)


def main() -> None:
    """Read and print the line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="+", help="a GGUF file, with + and a LoRA adapter")
    parser.add_argument("--words", type=int, default=8000)
    given = parser.parse_args()
    # press conferences were among what the adapter learned from
    unread = [show for show in read_shows() if not show.name.startswith(PRESS)]
    windows = choose_windows(unread, given.words)
    if not windows:
        sys.exit("The shared archives are missing, out of which the interviews are.")
    models = {}
    for model in given.model:
        nats, read_bytes = (sum(column) for column in zip(*read(model, windows), strict=True))
        models["+".join(Path(part).name for part in model.split("+"))] = round(
            nats / math.log(2) / read_bytes, 4
        )
    print(
        json.dumps(
            {
                "bench": "held_out",
                "windows": len(windows),
                "bytes": sum(len(t.text.encode()) for window in windows for t in window.turns),
                "bits_per_byte": models,
            }
        )
    )


if __name__ == "__main__":
    main()
