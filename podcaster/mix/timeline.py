"""The timeline: which turn, sentence and word lies where in the mixed episode."""

from podcaster.mix.clips import ClipScan
from podcaster.mix.timing import Placement
from podcaster.model import (
    Clip,
    Script,
    Segment,
    Timeline,
    TimelineChapter,
    TimelineTurn,
    Word,
)
from podcaster.units import SAMPLE_RATE_HZ


def describe_timeline(
    script: Script,
    clips: tuple[Clip, ...],
    scans: list[ClipScan],
    placed: tuple[Placement, ...],
    samples: int,
) -> Timeline:
    """Say when what is heard, in an episode of `samples` samples.

    A chapter begins in the middle of the silence before its first turn; the first begins with the
    music, at 0. Chapters without turns are left out.
    """
    duration_s = round(samples / SAMPLE_RATE_HZ, 6)
    spoken = [chapter for chapter in script.chapters if chapter.turns]
    turns: list[TimelineTurn] = []
    starts_s: list[float] = []
    for number, chapter in enumerate(spoken):
        first = placed[len(turns)]
        starts_s.append(first.start_s - max(0.0, first.gap_s) / 2 if number else 0.0)
        for turn in chapter.turns:
            index = len(turns)
            start_s, end_s = round(placed[index].start_s, 6), round(placed[index].end_s, 6)
            sentences = tuple(
                _shift(sentence, start_s - scans[index].start_s, start_s, end_s, turn.speaker)
                for sentence in clips[index].sentences
            )
            turns.append(
                TimelineTurn(
                    speaker=turn.speaker,
                    chapter=number,
                    start_s=start_s,
                    end_s=end_s,
                    sentences=sentences,
                )
            )
    ends_s = [*starts_s[1:], duration_s]
    return Timeline(
        duration_s=duration_s,
        chapters=tuple(
            TimelineChapter(title=chapter.title, start_s=round(start_s, 6), end_s=round(end_s, 6))
            for chapter, start_s, end_s in zip(spoken, starts_s, ends_s, strict=True)
        ),
        turns=tuple(turns),
    )


def _shift(sentence: Segment, by_s: float, start_s: float, end_s: float, speaker: str) -> Segment:
    def clock(time_s: float) -> float:
        return round(min(max(time_s + by_s, start_s), end_s), 6)

    words = tuple(
        Word(
            text=word.text,
            start_s=clock(word.start_s),
            end_s=clock(word.end_s),
            speaker=word.speaker or speaker,
            probability=word.probability,
        )
        for word in sentence.words
    )
    return Segment(
        text=sentence.text,
        start_s=clock(sentence.start_s),
        end_s=clock(sentence.end_s),
        speaker=sentence.speaker or speaker,
        words=words,
    )
