"""Give each part of a transcript the chapter in which it is said, by its times."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from podcaster.dataset.clean import NO_CHAPTER, split_sentences
from podcaster.model import TranscriptChapter, Utterance

FEWEST_CHAPTERS = 2


class Said(NamedTuple):
    """An utterance, or the part of it that lies in a chapter."""

    speaker: str
    text: str
    chapter: int = NO_CHAPTER


def order_chapters(
    of_transcript: Sequence[TranscriptChapter], of_recording: Sequence[TranscriptChapter]
) -> tuple[TranscriptChapter, ...]:
    """The chapters with times, by time: the transcript's own, or else the recording's; or none."""
    for chapters in (of_transcript, of_recording):
        timed = [chapter for chapter in chapters if chapter.start_s is not None]
        if len(timed) >= FEWEST_CHAPTERS:
            return tuple(sorted(timed, key=lambda chapter: chapter.start_s or 0.0))
    return ()


def split_at_chapters(
    utterances: Sequence[Utterance], chapters: Sequence[TranscriptChapter]
) -> list[Said]:
    """Say for all utterances with a speaker in which chapter they lie, as its place in `chapters`.

    One that goes on into the next chapter is divided between sentences, each of which belongs
    where its middle lies: by its words' times, or else by its share of the letters. What has no
    time lies where the one before it does.
    """
    starts = [chapter.start_s or 0.0 for chapter in chapters]
    parts: list[Said] = []
    here = NO_CHAPTER
    for number, utterance in enumerate(utterances):
        speaker = utterance.speaker or ""
        if not chapters or utterance.start_s is None:
            parts.append(Said(speaker, utterance.text, here))
            continue
        end_s = _end_of(utterances, number)
        here = bisect_right(starts, utterance.start_s) - 1
        if bisect_right(starts, end_s) - 1 == here:
            parts.append(Said(speaker, utterance.text, here))
            continue
        divided = _divide(utterance, end_s, starts)
        parts += [Said(speaker, text, chapter) for text, chapter in divided]
        here = divided[-1][1]
    return parts


def _end_of(utterances: Sequence[Utterance], number: int) -> float:
    start_s = utterances[number].start_s or 0.0
    following = utterances[number + 1].start_s if number + 1 < len(utterances) else None
    end_s = utterances[number].end_s
    if end_s is None:
        end_s = following if following is not None else start_s
    return max(start_s, end_s)


def _divide(utterance: Utterance, end_s: float, starts: Sequence[float]) -> list[tuple[str, int]]:
    start_s = utterance.start_s or 0.0
    sentences = split_sentences(utterance.text) or [utterance.text]
    letters = sum(map(len, sentences)) or 1
    before = 0
    divided: list[tuple[str, int]] = []
    for sentence in sentences:
        share = (before + len(sentence) / 2) / letters
        before += len(sentence)
        middle_s = start_s + share * (end_s - start_s)
        if utterance.words:
            place = min(int(share * len(utterance.words)), len(utterance.words) - 1)
            middle_s = utterance.words[place].start_s
        chapter = bisect_right(starts, middle_s) - 1
        if divided and divided[-1][1] == chapter:
            divided[-1] = (f"{divided[-1][0]} {sentence}", chapter)
        else:
            divided.append((sentence, chapter))
    return divided
