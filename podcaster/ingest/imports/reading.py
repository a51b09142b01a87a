"""A transcript while it is read: what was said so far, and the faults that end the reading."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podcaster.errors import InputError
from podcaster.model import Transcript, TranscriptChapter, Utterance, Word
from podcaster.units import format_timestamp

OVERLAP_S = 2.0  # people who time turns by hand put one that began within another behind it
LONGEST_LABEL = 200
LONGEST_TIME_S = 1e8  # three years; no recording is longer

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ufeff\ud800-\udfff]")


@dataclass
class Reading:
    """What was read so far out of `text`, which is called `where` in messages.

    A time may lie up to `overlap_s` before the latest that was read. `at` is where in the text
    something stands (an offset), or the words for it.
    """

    kind: str
    where: str
    text: str = ""
    overlap_s: float = 0.0
    utterances: list[Utterance] = field(default_factory=list)
    chapters: list[TranscriptChapter] = field(default_factory=list)
    latest_s: float = 0.0
    latest_chapter_s: float = 0.0

    def say(
        self,
        text: str,
        *,
        at: int | str,
        start_s: float | None = None,
        end_s: float | None = None,
        speaker: str | None = None,
        words: tuple[Word, ...] = (),
    ) -> None:
        """Add an utterance, on one line; without text only its times are checked.

        Raises InputError for a time before that of the utterance before, for an end before the
        start, and for a label that is too long.
        """
        if start_s is not None:
            self.check_time(start_s, at=at, after_s=self.latest_s, slack_s=self.overlap_s)
            self.latest_s = max(start_s, self.latest_s)
            if end_s is not None and not start_s <= end_s <= LONGEST_TIME_S:
                raise self.fault(
                    at,
                    f"it ends at {_clock(end_s)}, before it starts: expected at least "
                    f"{_clock(start_s)}",
                )
        plain = flatten(text)
        if not plain:
            return
        label = flatten(speaker) if speaker else ""
        if len(label) > LONGEST_LABEL:
            raise self.fault(
                at,
                f"a speaker's name has {len(label)} characters, expected at most {LONGEST_LABEL}",
            )
        self.utterances.append(
            Utterance(text=plain, start_s=start_s, end_s=end_s, speaker=label or None, words=words)
        )

    def begin_chapter(self, title: str, *, at: int | str, start_s: float | None = None) -> None:
        """Add a chapter; one without a title is left out."""
        if start_s is not None:
            self.latest_chapter_s = self.check_time(start_s, at=at, after_s=self.latest_chapter_s)
        if plain := flatten(title):
            self.chapters.append(TranscriptChapter(title=plain, start_s=start_s))

    def check_time(
        self, time_s: float, *, at: int | str, after_s: float, slack_s: float = 0.0
    ) -> float:
        """Return the time if it is one, and not more than the slack before `after_s`.

        Raises InputError else.
        """
        if not (math.isfinite(time_s) and 0 <= time_s <= LONGEST_TIME_S):
            raise self.fault(at, f"{time_s!r} is no time of a recording: expected seconds from 0")
        if time_s < after_s - slack_s:
            raise self.fault(
                at,
                f"times run backwards: expected at least {_clock(after_s)}, where what stands "
                f"before begins, got {_clock(time_s)}",
            )
        return time_s

    def fault(self, at: int | str, message: str, next_step: str | None = None) -> InputError:
        """The error to raise: a sentence that begins with the file and the line."""
        place = at if isinstance(at, str) else f"line {self.text.count(chr(10), 0, at) + 1}"
        return InputError(f"{self.where}, {place}: {message}.", next_step=next_step)

    def finish(
        self,
        *,
        language: str,
        expected: str,
        title: str = "",
        description: str = "",
        duration_s: float | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Transcript:
        """The transcript; raises InputError, naming what was `expected`, if nobody speaks."""
        if not self.utterances:
            raise InputError(f"{self.where} holds nothing that anybody says: expected {expected}.")
        maker = f"import:{self.kind}"
        known = any(utterance.speaker for utterance in self.utterances)
        return Transcript(
            language=language,
            utterances=tuple(self.utterances),
            engine=maker,
            diariser=maker if known else None,
            duration_s=duration_s,
            title=flatten(title),
            description=flatten(description),
            chapters=tuple(self.chapters),
            options=dict(options or {}),
        )


def flatten(text: str) -> str:
    """Put text on one line, with single spaces and no control characters."""
    line = " ".join(text.split())
    return line if line.isprintable() else _UNPRINTABLE.sub("", line).strip()


def _clock(seconds: float) -> str:
    return format_timestamp(seconds) if 0 <= seconds <= LONGEST_TIME_S else f"{seconds!r} s"
