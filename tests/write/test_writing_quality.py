import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from podcaster.model import Chapter, Script, Speaker, Turn
from podcaster.write import score
from podcaster.write.options import WriteOptions

BENCH = Path(__file__).parents[2] / "bench" / "writing_quality.py"
_spec = importlib.util.spec_from_file_location("writing_quality", BENCH)
quality = importlib.util.module_from_spec(_spec)
sys.modules["writing_quality"] = quality  # where its dataclasses look for their module
_spec.loader.exec_module(quality)

HOST = Speaker(id="host", name="Robin Hale", role="host")
GUEST = Speaker(id="guest", name="Ada Lovelace", role="guest")
LONG = "Rockets burn fuel, and fuel is dear. "


def make_script(*turns: str, keywords: Any = ("rocket", "fuel", "mars")) -> Any:
    """A greeting, a chapter of `turns` that begins with the host, and a farewell."""
    body = tuple(
        Turn(speaker="guest" if i % 2 else "host", text=text) for i, text in enumerate(turns)
    )
    return Script(
        title="Rockets",
        summary="About rockets.",
        language="en",
        speakers=(HOST, GUEST),
        chapters=(
            Chapter(title="Welcome", turns=(Turn(speaker="host", text="Hello, Ada Lovelace."),)),
            Chapter(title="Rockets", turns=body, keywords=keywords),
            Chapter(title="Goodbye", turns=(Turn(speaker="host", text="Goodbye."),)),
        ),
        seed=1,
        model="none",
    )


def test_the_list_of_episodes_is_varied_and_fixed() -> None:
    assert len(quality.EPISODES) == 20
    assert len({job.seed for job in quality.EPISODES}) == 20
    assert all(3 <= job.minutes <= 5 for job in quality.EPISODES)
    assert {"Barack Obama", "Ada Lovelace"} <= {job.guest for job in quality.EPISODES}
    assert sum(bool(job.notes) for job in quality.EPISODES) == 4
    assert {bool(job.topics) for job in quality.EPISODES} == {True, False}
    assert sum(bool(job.steer) for job in quality.EPISODES) >= 4


def test_a_setting_is_read_and_the_last_of_a_name_counts() -> None:
    setting = quality.parse_setting(["min_p=0.1", "score.TOPIC_WEIGHT=0.5", "min_p=0.2"])
    assert setting == (("min_p", "0.2"), ("score.TOPIC_WEIGHT", "0.5"))
    assert quality.read_options(setting) == {"min_p": 0.2}
    assert WriteOptions(**quality.read_options((("candidates", "40"),))).candidates == 40
    with pytest.raises(ValueError, match="'min_p' is no NAME=VALUE"):
        quality.parse_setting(["min_p"])


def test_constants_are_put_in_and_taken_out_again() -> None:
    before = score.TOPIC_WEIGHT
    with quality.constants((("score.TOPIC_WEIGHT", "0.25"),)):
        assert score.TOPIC_WEIGHT == 0.25
    assert before == score.TOPIC_WEIGHT
    with (
        pytest.raises(AttributeError, match="NO_SUCH"),
        quality.constants((("score.TOPIC_WEIGHT", "0.25"), ("score.NO_SUCH", "1"))),
    ):
        pass
    assert before == score.TOPIC_WEIGHT


def test_what_the_checks_leave_is_counted_and_the_models_share_of_it() -> None:
    fault = "We built it in a shed. We built it in a shed."
    script = make_script("What did you build?", fault, "How?", "Slowly, over years.")
    figures = quality.measure_script(script, [f"{fault} And more."], verbatim=None)
    assert figures["left"] == {"repeats": 1}
    assert figures["model_left"] == {"repeats": 1}
    assert figures["model_turns"] == 1
    assert figures["model_words"] == 12
    others = quality.measure_script(script, ["Slowly, over years."], verbatim=None)
    assert others["left"] == {"repeats": 1}
    assert others["model_left"] == {}


def test_turns_are_measured() -> None:
    script = make_script("What did you build?", "A shed, and then", "I see.", "Sheds are dear.")
    figures = quality.measure_script(script, ["Sheds are dear."], verbatim=lambda text: 7)
    assert figures["asked"] == 0.5
    assert figures["whole"] == pytest.approx(5 / 6)
    assert figures["verbatim_words"] == 7
    assert figures["turns"] == 6


def test_topic_words_are_counted_and_their_density() -> None:
    chapter = make_script("What?", "Why?").chapters[1]
    said, density = quality.measure_topic(chapter, [LONG])
    assert said == pytest.approx(2 / 3)
    assert density is None  # too short to tell
    said, density = quality.measure_topic(chapter, [LONG * 10])
    assert density == pytest.approx(100 * 20 / 70)
    assert quality.measure_topic(chapter, ["We walked home."]) == (0.0, None)


def test_repetition_is_measured() -> None:
    assert quality.share_distinct(["one two three"], 2) == 1.0
    assert quality.share_distinct(["one two one two"], 2) == pytest.approx(2 / 3)
    again = ["we went up the hill", "yes", "we went up the stairs"]
    assert quality.share_said_before(again, [True, True, True]) == pytest.approx(1 / 4)
    assert quality.share_said_before(again, [True, True, False]) == 0.0


def test_echoes_of_rare_words_are_measured() -> None:
    assert quality.share_echoed(["The kernel and the mirror and the oven."]) == 0.0
    assert quality.share_echoed(["The kernel is a kernel, and kernels burn."]) == pytest.approx(
        1 / 2
    )


def test_a_related_turn_shares_a_word_that_is_not_an_everyday_one() -> None:
    assert quality.is_related("The rocket was late.", "How do rockets fly?")
    assert not quality.is_related("And that was it.", "And what was that?")


def figures_with(said_before: Any, found: Any = 3) -> Any:
    script = make_script("What did you build?", LONG)
    figures = quality.measure_script(script, [LONG], verbatim=None)
    record = {"found.loop": found, "repaired.loop": 1, "inspected": 8, "inspected_words": 100}
    return figures | {"record": record, "cpu_s": 1.0, "wall_s": 1.0, "said_before": said_before}


def test_pairs_are_compared() -> None:
    base = [quality.rates_of(figures_with(0.1 * i)) for i in range(10)]
    same = quality.compare(base, base)
    assert same["said_before"] == [0.0, 0.0, 0.0]
    better = [quality.rates_of(figures_with(0.1 * i - 0.05)) for i in range(10)]
    mean, low, high = quality.compare(base, better)["said_before"]
    assert mean == low == high == pytest.approx(-0.05)
    mixed = quality.compare(base, base[::-1])
    assert mixed["said_before"][1] < 0 < mixed["said_before"][2]


def test_a_settings_sums_and_rates() -> None:
    line = quality.summarise([figures_with(0.2), figures_with(0.4, found=5)])
    assert line["sums"]["found"] == {"loop": 8}
    assert line["per_1000_words"]["found"] == {"all": 40.0, "loop": 40.0}
    assert line["means"]["said_before"] == pytest.approx(0.3)
    assert line["inspected"] == 16


def run(command: Any) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_settings_are_written_and_compared(dialogue_gguf: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(BENCH), "--model", str(dialogue_gguf), "--episodes", "2"]
    command += ["--set", "candidates=3", "--grid", "score.LENGTH_WEIGHT=0.1 candidates=2"]
    command += ["--grid", f"model={dialogue_gguf}", "--judge", str(dialogue_gguf)]
    kept = tmp_path / "kept.json"
    base, other, same = run(
        [*command, "--scripts", str(tmp_path / "read"), "--keep", str(kept)],
    )
    assert base["setting"] == {"candidates": "3"}
    assert base["candidates"] == base["inspected"] > 0
    assert base["sums"]["found"]
    assert base["means"]["nats_a_word"] > 0
    assert "difference" not in base
    assert set(other["difference"]) == set(base["means"])
    # it is the same model: the same seeds write the same episodes
    timeless = set(base["means"]) - {"cpu_s"}
    assert all(same["difference"][name] == [0.0, 0.0, 0.0] for name in timeless)
    short = [*command[:4], "--episodes", "1", "--set", "candidates=3", "--against", str(kept)]
    (again,) = run(short)
    assert all(
        again["difference"][name] == [0.0, 0.0, 0.0] for name in timeless & {*again["means"]}
    )
    assert sorted(path.name for path in (tmp_path / "read").iterdir()) == [
        f"{setting}-{episode:02d}.md" for setting in range(3) for episode in (1, 2)
    ]
