import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the benchmarks are not installed

from bench import dialogue  # noqa: E402
from bench.talks import conversation, hearing, meaning, shows, telling, wording  # noqa: E402
from bench.talks.conversation import Conversation  # noqa: E402
from bench.talks.episodes import EPISODES  # noqa: E402
from podcaster.model import Chapter, Script, Speaker, Turn  # noqa: E402
from podcaster.talk.profile import Said  # noqa: E402

QUESTION = "How do you keep bees alive through a cold winter?"
ANSWER = "You wrap the hive, leave them enough honey, and keep the wind away from the entrance."
ASTRAY = "The second movement of the concerto is marked for strings and a single oboe."


def talk(*texts: str, name: str = "one", topic: str = "") -> Conversation:
    """Host and guest in turn."""
    turns = tuple(Said("guest" if i % 2 else "host", text) for i, text in enumerate(texts))
    return Conversation(name, turns, topic)


def test_the_twenty_episodes_are_varied() -> None:
    assert len(EPISODES) == len({job.guest for job in EPISODES}) == 20
    assert sum(len(job.topics) == 2 for job in EPISODES) >= 5
    assert 2 <= sum(bool(job.notes) for job in EPISODES) <= 5
    assert all(job.topics for job in EPISODES)


def make_script() -> Script:
    """A greeting, an answer, a farewell."""
    people = (
        Speaker(id="host", name="Robin Hale", role="host"),
        Speaker(id="guest", name="Ada Lovelace", role="guest"),
    )
    chapters = [
        Chapter(title=title, turns=(Turn(speaker=who, text=text),))
        for title, who, text in (
            ("Welcome", "host", "Hello."), ("Bees", "guest", ANSWER), ("Bye", "host", "Bye."),
        )
    ]  # fmt: skip
    return Script(
        title="Bees", summary="", language="en", speakers=people, chapters=tuple(chapters), seed=1,
        model="none",
    )  # fmt: skip


def test_a_script_is_measured_without_greeting_and_farewell() -> None:
    script = make_script()
    assert conversation.read_script(script, "one", "bees").turns == (Said("guest", ANSWER),)
    first, second, last = script.chapters
    talking = Chapter(title="Welcome", turns=first.turns + second.turns * 3)
    led = msgspec.structs.replace(script, chapters=(talking, last))
    assert len(conversation.read_script(led, "one", "bees").turns) == 4


def test_questions_and_answers_are_found_and_cut_at_sentences() -> None:
    long = " ".join(["We walked all the way to the sea and back."] * 20)
    found = conversation.find_answers(
        talk(f"{long} {QUESTION}", f"{ANSWER} {long}", "Fine.", "Yes.")
    )
    assert len(found) == 1
    question, answer = found[0]
    assert question.endswith(QUESTION)
    assert len(question.split()) <= conversation.QUESTION_WORDS
    assert answer.startswith(ANSWER)
    assert len(answer.split()) <= conversation.MOST_WORDS
    assert conversation.find_answers(talk(QUESTION, "Yes, I do."), fewest_words=15) == []
    assert conversation.find_answers(Conversation("", (Said("host", QUESTION),) * 2)) == []


def test_what_is_compared_is_spread_evenly() -> None:
    assert meaning.spread(range(10), 5) == [0, 2, 4, 6, 8]
    assert meaning.spread(range(3), 5) == [0, 1, 2]


def test_a_repeated_turn_lowers_what_is_new() -> None:
    fresh = wording.measure_wording(talk(QUESTION, ANSWER, ASTRAY))
    again = wording.measure_wording(talk(QUESTION, ANSWER, ANSWER))
    assert again["new_words"] < fresh["new_words"]
    assert again["distinct_2"] < fresh["distinct_2"]
    assert again["mattr"] < fresh["mattr"]
    assert fresh["stale"] == fresh["said_before"] == 0
    assert again["stale"] == pytest.approx(1 / 3)
    assert again["said_before"] > 0.3


def test_a_turn_of_function_words_has_no_share_of_new_words() -> None:
    assert wording.share_new_words(["That is what it is.", "Bees make honey in hives."]) == [
        None,
        1,
    ]


def test_the_type_token_ratio_moves_with_its_window() -> None:
    assert wording.mattr(["a", "b", "a", "b"], window=2) == 1.0
    assert wording.mattr(["a", "a", "b", "b"], window=2) == pytest.approx(2 / 3)
    assert wording.mattr(["a", "a"], window=50) == 0.5


def test_changes_of_words_are_counted_as_they_are_said() -> None:
    assert hearing.count_changes(list("abxd"), list("abcxy")) == 2
    assert hearing.count_changes([], ["so"]) == 1
    assert hearing.count_changes(["so"], []) == 1
    assert hearing.count_changes(list("abcdef"), list("abcdef")) == 0
    assert hearing.count_changes(list("kitten"), list("sitting")) == 3


def test_alike_turns_cannot_be_told_and_different_ones_can() -> None:
    draw = np.random.default_rng(0)
    labels = np.repeat([True, False], 300)
    groups = np.repeat(np.arange(40), 15)
    noise = draw.normal(size=(600, 20))
    assert telling.cross_validate(noise, labels, groups) == pytest.approx(0.5, abs=0.1)
    assert telling.cross_validate(noise + 2 * labels[:, None], labels, groups) > 0.99
    assert telling.area(np.array([1.0, 1.0]), np.array([True, False])) == 0.5


BOLD = """\
**Ann Reed:** What is a [hive](https://example.org) made of?

**Bo Lind:** Of wood, \\[00:12\\] and of *patience*.

And of wax.

**Break:** \\[01:44\\]

"""
HEAD = """\
---
title: "Bees at Night"
speakers:
  - Bo Lind
---
Note: this is no speaker
"""
PLAIN = """\
## Intro

Ann Reed: 00:00:37

What do bees do at night?

Bo Lind: 00:00:44

They sleep.

"""
PRESS = "Q    What will you do?\n\nTHE PRESIDENT:  We will act.  (Laughter.)\n\n"


@pytest.mark.parametrize(
    ("label", "text", "said"),
    [
        ("_BOLD", BOLD * 4, ["What is a hive made of?", "Of wood, and of patience. And of wax."]),
        ("_PLAIN", HEAD + PLAIN * 4, ["What do bees do at night?", "They sleep."]),
        ("_PRESS", PRESS * 4, ["What will you do?", "We will act."]),
    ],
)
def test_interviews_are_read(label: str, text: str, said: list[str]) -> None:
    read = shows.parse("one", text, getattr(shows, label))
    assert [turn.text for turn in read.turns] == said * 4
    assert [turn.role for turn in read.turns] == ["host", "guest"] * 4
    assert read.topic == ("Bees at Night" if HEAD in text else "")
    assert read.others == 0


@pytest.fixture(scope="module")
def embedder() -> Any:
    pytest.importorskip("transformers")
    try:
        return meaning.Embedder()
    except SystemExit as missing:
        pytest.skip(str(missing))


class TestEmbedded:
    """What needs the sentence embedding's weights."""

    def test_an_answer_astray_is_farther(self, embedder: Any) -> None:
        known = [talk(QUESTION, ANSWER), talk(f"{ASTRAY} Is it?", f"{ASTRAY} {ASTRAY}")]
        near = meaning.measure_answers([talk(QUESTION, ANSWER)], known, embedder)
        far = meaning.measure_answers([talk(QUESTION, ASTRAY)], known, embedder)
        assert far["mean"] < near["mean"] - 0.2
        assert far["under_real_p10"] == 1.0
        assert near["strangers"] < near["real"]

    def test_turns_off_the_topic_are_farther(self, embedder: Any) -> None:
        real = [talk(QUESTION, ANSWER, topic="keeping bees")]
        near = meaning.measure_topics(real, real, embedder)
        far = meaning.measure_topics([talk(QUESTION, ASTRAY, topic="bees")], real, embedder)
        assert near["under_real_p10"] == 0.0
        assert far["mean"] < near["mean"]

    def test_a_conversation_that_stands_still_can_be_told(self, embedder: Any) -> None:
        turns = (QUESTION, ANSWER, ASTRAY)
        form = telling.describe_form(talk(*turns, ANSWER), embedder)
        assert form.shape[0] == 4
        same, new = 7, 8  # the likest turn before; new words
        assert form[3, same] == pytest.approx(1.0, abs=1e-3)
        assert form[3, new] == 0.0
        assert form[1, same] < 0.9


def test_what_was_made_is_measured_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, details = tmp_path / "home", tmp_path / "details.jsonl"
    folder = home / "runs/bees/write"
    folder.mkdir(parents=True)
    (folder / "script.json").write_bytes(msgspec.json.encode(make_script()))
    counts = {"found.loop": 2, "repaired.loop": 1, "inspected_words": 100}
    (folder / "record.json").write_text(json.dumps({"counts": counts}))
    result = {"folder": str(folder.parent), "stages": {"write": {"seconds": 1.0}}}
    kept = {"wall_s": 2.0, "cpu_s": 1.5, "peak_mb": 80, "result": result}
    (home / "03.json").write_text(json.dumps(kept))
    monkeypatch.setattr(dialogue, "read_shows", list)
    command = ["dialogue.py", "--kept", "--home", str(home), "--details", str(details)]
    monkeypatch.setattr(sys, "argv", command)
    dialogue.main()
    line = json.loads(capsys.readouterr().out)
    assert line["episodes"] == 1
    assert line["failed"] == []
    assert line["found_per_1000_words"] == 20
    assert line["repaired_per_1000_words"] == pytest.approx(1000 / line["words"], abs=0.01)
    assert line["wording"]["new_words"] == 1
    assert "wer" not in line  # nothing was spoken
    assert json.loads(details.read_text())["guest"] == EPISODES[2].guest
    assert sorted(path.name for path in home.iterdir()) == ["03.json", "runs"]
