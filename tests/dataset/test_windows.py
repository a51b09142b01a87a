"""Windows begin with the host, hold all that was said in order, and fit."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from podcaster.dataset.clean import SpokenTurn, merge_turns
from podcaster.dataset.windows import SMALLEST_ROOM, Measure, Window, cut_windows
from tests.dataset.conversations import SIDES, WordTokenizer, say

MEASURE = Measure(WordTokenizer().count, dict.fromkeys(SIDES, 3))

sentences = st.builds(
    lambda words: " ".join(words).capitalize() + ".",
    st.lists(st.text("abcé'", min_size=1, max_size=9), min_size=1, max_size=30),
)
conversations = st.lists(
    st.builds(
        lambda name, parts: SpokenTurn(name, " ".join(parts)),
        st.sampled_from(sorted(SIDES)),
        st.lists(sentences, min_size=1, max_size=12),
    ),
    max_size=14,
).map(merge_turns)


def said(windows: list[Window]) -> str:
    return "".join(p.text for w in windows for p in w if not p.repeated).replace(" ", "")


def cost(window: Window) -> int:
    return sum(MEASURE.count([p.text])[0] + MEASURE.overheads[p.speaker] for p in window)


@given(turns=conversations, room=st.integers(SMALLEST_ROOM, 400))
def test_windows_begin_with_the_host_fit_and_hold_everything_from_the_host_on(
    turns: list[SpokenTurn], room: int
) -> None:
    windows = cut_windows(turns, SIDES, MEASURE, room)
    first = next((n for n, turn in enumerate(turns) if turn.speaker == "Ann"), len(turns))
    assert said(windows) == "".join(turn.text for turn in turns[first:]).replace(" ", "")
    for window in windows:
        assert SIDES[window[0].speaker] == "host"
        assert any(not piece.repeated for piece in window)
        assert cost(window) <= room
    places = [piece.turn for window in windows for piece in window if not piece.repeated]
    assert places == sorted(places)


@given(turns=conversations, room=st.integers(SMALLEST_ROOM, 400))
def test_without_sides_a_window_begins_with_anybody_and_nothing_is_left_out(
    turns: list[SpokenTurn], room: int
) -> None:
    windows = cut_windows(turns, None, MEASURE, room)
    assert said(windows) == "".join(turn.text for turn in turns).replace(" ", "")
    assert all(cost(window) <= room for window in windows)
    assert not any(piece.repeated for window in windows for piece in window)


def test_whole_exchanges_stay_together() -> None:
    turns = [say("Ann", 20), say("Bob", 60), say("Ann", 20), say("Bob", 60)]
    windows = cut_windows(turns, SIDES, MEASURE, 150)
    assert [[piece.turn for piece in window] for window in windows] == [[0, 1], [2, 3]]
    assert all(piece.text == turns[piece.turn].text for window in windows for piece in window)


def test_a_long_answer_is_cut_at_sentences_and_its_question_repeated() -> None:
    turns = [SpokenTurn("Ann", "Well. What is tea?"), say("Bob", 300)]
    windows = cut_windows(turns, SIDES, MEASURE, 120)
    assert len(windows) > 2
    for window in windows[1:]:
        assert [(piece.text, piece.repeated) for piece in window[:1]] == [
            ("Well. What is tea?", True)
        ]
    for piece in [piece for window in windows for piece in window]:
        assert piece.text.endswith((".", "?"))


def test_too_little_room_is_refused() -> None:
    with pytest.raises(ValueError, match="room for 32 tokens, got 31"):
        cut_windows([], SIDES, MEASURE, SMALLEST_ROOM - 1)
