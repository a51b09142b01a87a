"""Where stderr is no terminal, lines say how far the work is, and that it goes on."""

import time

import pytest

from podcaster.terminal import HEARTBEAT_S, TerminalProgress

LEAST_OFTEN_S = 60.0


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_last_that_is_known_is_told_again_with_the_time_it_takes(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = TerminalProgress(clock=clock)
    progress.report("train", 1, 400, "steps, loss 3.41")
    clock.now_s += HEARTBEAT_S
    progress.beat()
    clock.now_s += HEARTBEAT_S / 2
    progress.beat()  # nothing is due yet
    clock.now_s += HEARTBEAT_S / 2
    progress.beat()
    assert capsys.readouterr().err.splitlines() == [
        "train: 1 of 400 steps, loss 3.41, 30 s so far",
        "train: 1 of 400 steps, loss 3.41, 1:00 so far",
    ]


def test_work_that_has_not_reported_yet_is_told_to_go_on(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = TerminalProgress(clock=clock)
    clock.now_s += HEARTBEAT_S
    progress.beat()
    assert capsys.readouterr().err == "still working, 30 s so far\n"


def test_what_is_finished_is_not_told_again(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = TerminalProgress(clock=clock)
    progress.report("words", 10, 20, "s of sound")
    progress.report("voices", 0, 20, "s of sound")
    progress.report("voices", 20, 20, "s of sound")
    clock.now_s += HEARTBEAT_S
    progress.beat()
    progress.report("words", 20, 20, "s of sound")
    clock.now_s += HEARTBEAT_S
    progress.beat()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "voices: 20 of 20 s of sound in 0 s"
    assert said[1] == "words: 10 of 20 s of sound, 30 s so far"
    assert said[2] == "words: 20 of 20 s of sound in 30 s"
    assert said[3] == "still working, 1:00 so far"


def test_a_line_that_was_told_puts_the_next_heartbeat_off(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = TerminalProgress(clock=clock)
    clock.now_s += HEARTBEAT_S - 1
    progress.note("a line")
    clock.now_s += HEARTBEAT_S - 1
    progress.beat()
    assert capsys.readouterr().err == "a line\n"
    assert 2 * HEARTBEAT_S <= LEAST_OFTEN_S


def test_it_beats_of_itself_while_the_work_says_nothing_and_stops_with_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = ""
    with TerminalProgress(heartbeat_s=0.01) as progress:
        progress.report("export", 0, 3, "files")
        while said.count("export: 0 of 3 files") < 3:
            time.sleep(0.01)
            said += capsys.readouterr().err
    time.sleep(0.1)
    capsys.readouterr()
    time.sleep(0.1)
    assert capsys.readouterr().err == ""


def test_whoever_wants_quiet_hears_no_heartbeat(capsys: pytest.CaptureFixture[str]) -> None:
    with TerminalProgress(quiet=True, heartbeat_s=0.01):
        time.sleep(0.1)
    assert capsys.readouterr().err == ""
