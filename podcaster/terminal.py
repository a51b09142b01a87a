"""What a person sees while a command works: a live line on a terminal, plain lines in a log."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from podcaster.units import format_duration

# a log should not fill up: a plain line at most this often, and at the end
PLAIN_INTERVAL_S = 10.0
# and nobody should wonder whether it still works: one at least this often, whatever it does
HEARTBEAT_S = 30.0


class TerminalProgress:
    """A `Progress` on stderr. Use it as a context manager.

    Where stderr is no terminal, lines tell how far it is; where nothing new comes for
    `heartbeat_s`, the last that is known is told again, with the time that it takes.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        heartbeat_s: float = HEARTBEAT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live = sys.stderr.isatty() and not quiet
        self._quiet = quiet
        self._display: Any = None
        self._tasks: dict[str, Any] = {}
        self._started: dict[str, float] = {}
        self._said: dict[str, float] = {}
        self._heartbeat_s, self._clock = heartbeat_s, clock
        self._began = self._spoke = clock()
        self._known: dict[str, str] = {}  # what is not finished, and how far it is
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._live:
            self._display = _open_display()
            self._display.start()
        elif not self._quiet:
            threading.Thread(target=self._keep_beating, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._display is not None:
            self._display.stop()

    def report(self, stage: str, done: float, total: float, unit: str) -> None:
        """Show the count, the rate and the time left."""
        if self._display is not None:
            if stage not in self._tasks:
                self._tasks[stage] = self._display.add_task(stage, total=total, unit=unit)
            self._display.update(self._tasks[stage], completed=done, total=total, unit=unit)
        elif not self._quiet:
            self._report_plainly(stage, done, total, unit)

    def note(self, text: str) -> None:
        """Say one line."""
        if self._display is not None:
            self._display.console.print(text, markup=False, highlight=False)
        else:
            self._print(text)

    def beat(self) -> None:
        """Tell what is known of unfinished work, if nothing has been told for a heartbeat."""
        now = self._clock()
        if now - self._spoke < self._heartbeat_s:
            return
        stage = next(reversed(self._known), "")
        since = self._started.get(stage, self._began)
        known = self._known.get(stage, "still working")
        self._print(f"{known}, {format_duration(now - since)} so far")

    def _keep_beating(self) -> None:
        while not self._ended.wait(max(0.01, self._spoke + self._heartbeat_s - self._clock())):
            self.beat()

    def _print(self, line: str) -> None:
        with self._lock:
            self._spoke = self._clock()
            print(line, file=sys.stderr, flush=True)

    def _report_plainly(self, stage: str, done: float, total: float, unit: str) -> None:
        now = self._clock()
        started = self._started.setdefault(stage, now)
        finished = done >= total
        self._known.pop(stage, None)  # what was told last is told again
        if not finished:
            self._known[stage] = f"{stage}: {done:,.0f} of {total:,.0f} {unit}"
        if not finished and now - self._said.get(stage, started) < PLAIN_INTERVAL_S:
            return
        if finished and self._said.get(stage) == float("inf"):
            return
        self._said[stage] = float("inf") if finished else now
        elapsed = now - started
        rate = done / elapsed if elapsed > 0 else 0.0
        counted = unit.partition(",")[0]
        line = f"{stage}: {done:,.0f} of {total:,.0f} {unit}"
        if finished:
            line += f" in {format_duration(elapsed)}"
        elif rate > 0:
            line += f", {rate:,.1f} {counted}/s, {format_duration((total - done) / rate)} left"
        self._print(line)


def format_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out rows in columns, for people; the last column is not cut."""
    table = [list(headers), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(headers))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    return "\n".join(lines)


def _open_display() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.progress import Task as RichTask
    from rich.text import Text

    class RateColumn(TextColumn):
        def render(self, task: RichTask) -> Text:
            speed = task.finished_speed or task.speed
            counted = str(task.fields["unit"]).partition(",")[0]
            return Text(f"{speed:,.1f} {counted}/s" if speed else "")

    return Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(bar_width=28),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f} {task.fields[unit]}"),
        RateColumn(""),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=False,
    )
