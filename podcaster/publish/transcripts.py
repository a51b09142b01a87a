"""Transcripts of an episode: its timeline's sentences, for the writers in `captions`."""

from collections.abc import Callable, Sequence

from podcaster.captions import format_json, format_srt, format_vtt
from podcaster.model import Script, Segment, Timeline
from podcaster.publish.text import clean_line


def make_sentences(script: Script, timeline: Timeline) -> list[Segment]:
    """All sentences of the episode, in the order in which they begin, with their speakers' names.

    Overlapping ones keep their times; turns without sentences are left out.
    """
    names = {speaker.id: clean_line(speaker.name, fallback="?") for speaker in script.speakers}
    sentences = [
        Segment(text=text, start_s=s.start_s, end_s=s.end_s, speaker=names.get(turn.speaker, "?"))
        for turn in timeline.turns
        for s in turn.sentences
        if (text := clean_line(s.text, longest=100_000))
    ]
    return sorted(sentences, key=lambda s: s.start_s)


TRANSCRIPT_WRITERS: dict[str, Callable[[Sequence[Segment]], bytes]] = {
    "episode.vtt": format_vtt,
    "episode.srt": format_srt,
    "transcript.json": format_json,
}
