"""Chapters beside a recording or in it: taken where they are good, and never in the way."""

import json
from pathlib import Path

import numpy as np
import pytest
from mutagen.id3 import CHAP, ID3, TIT2

from podcaster.audio import write_wav
from podcaster.errors import InputError
from podcaster.ingest.chapters import parse_chapters, read_embedded_chapters
from podcaster.mp3 import Mp3Writer


def test_json_chapters_come_in_order_without_what_nobody_can_show() -> None:
    document = {
        "version": "1.2.0",
        "chapters": [
            {"startTime": 90.5, "title": "Tea\n &amp; <b>biscuits</b>"},
            {"startTime": 0, "title": "Hello"},
            {"startTime": 95, "title": "A new picture", "toc": False},
            {"startTime": -1, "title": "Before"},
            {"startTime": "12", "title": "A text"},
            {"startTime": 20},
            "nothing",
        ],
    }
    chapters = parse_chapters(json.dumps(document).encode())
    assert [(c.start_s, c.title) for c in chapters] == [(0, "Hello"), (90.5, "Tea & biscuits")]


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"chapters": {}}', b"[" * 100_000])
def test_what_is_no_chapters_file_is_a_sentence(data: bytes) -> None:
    with pytest.raises(InputError, match="chapters file"):
        parse_chapters(data)


def test_marks_of_an_mp3_are_read(tmp_path: Path) -> None:
    path = tmp_path / "marked.mp3"
    with Mp3Writer(path, channels=1, bitrate_kbps=64) as writer:
        writer.write(np.zeros(44_100 * 3, dtype=np.float32))
    tags = ID3()
    for number, (start_ms, title) in enumerate([(1500, "Second"), (0, "First")]):
        times = {"start_time": start_ms, "end_time": start_ms + 500}
        tags.add(CHAP(element_id=f"c{number}", **times, sub_frames=[TIT2(text=title)]))
    tags.save(path)
    chapters = read_embedded_chapters(path)
    assert [(c.start_s, c.title) for c in chapters] == [(0.0, "First"), (1.5, "Second")]


def test_a_file_without_marks_has_no_chapters(tmp_path: Path) -> None:
    path = tmp_path / "plain.wav"
    write_wav(path, np.zeros(16_000, dtype=np.float32), 16_000)
    assert read_embedded_chapters(path) == ()
