import json
import os
import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from podcaster.captions import LINE_CHARACTERS, format_json, format_srt, format_vtt, make_cues
from podcaster.model import Segment, Speaker
from podcaster.publish.transcripts import make_sentences

GOLDEN = Path(__file__).parent.parent / "golden" / "episode.vtt"
WORDS = st.lists(st.text("abcdefghij&<>'é漢", min_size=1, max_size=60), min_size=1, max_size=60)
SENTENCES = st.lists(
    st.builds(
        lambda start, length, words, name: Segment(
            text=" ".join(words), start_s=start, end_s=start + length, speaker=name
        ),
        st.floats(0, 10_000),
        st.floats(0, 60),
        WORDS,
        st.sampled_from(["Ana", "Bo & Co <x>", "محمد"]),
    ),
    max_size=8,
)


def test_the_vtt_of_the_example_is_the_golden_one(make: SimpleNamespace) -> None:
    vtt = format_vtt(make_sentences(make.script(), make.timeline()))
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_bytes(vtt)
    assert vtt == GOLDEN.read_bytes()


@given(SENTENCES)
def test_cues_keep_every_character_and_stand_in_order(sentences: list[Segment]) -> None:
    cues = make_cues(sentences)
    assert [c.start_ms for c in cues] == sorted(c.start_ms for c in cues)
    for cue in cues:
        assert cue.end_ms > cue.start_ms
        assert 1 <= len(cue.lines) <= 2
        assert all(len(line) <= LINE_CHARACTERS for line in cue.lines)
    for sentence in sentences:
        own = make_cues([sentence])
        joined = "".join("".join(cue.lines) for cue in own).replace(" ", "")
        assert joined == sentence.text.replace(" ", "")
        assert own[0].start_ms == round(sentence.start_s * 1000)
        assert all(a.end_ms == b.start_ms for a, b in pairwise(own))


@given(SENTENCES)
def test_vtt_text_is_escaped_and_has_one_time_line_a_cue(sentences: list[Segment]) -> None:
    text = format_vtt(sentences).decode()
    blocks = text.rstrip("\n").split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert len(blocks) - 1 == len(make_cues(sentences))
    for block in blocks[1:]:
        times, *lines = block.split("\n")
        assert re.fullmatch(r"\d\d+:\d\d:\d\d\.\d{3} --> \d\d+:\d\d:\d\d\.\d{3}", times)
        payload = "\n".join(lines)
        inner = payload.removeprefix("<v ").removesuffix("</v>")
        assert "<" not in inner
        assert inner.count(">") == 1


def test_overlapping_turns_keep_their_times_and_the_earlier_comes_first() -> None:
    late = Segment(text="Yes, and then…", start_s=5.0, end_s=9.0, speaker="A")
    early = Segment(text="Mm-hm.", start_s=4.5, end_s=5.5, speaker="B")
    assert [(c.name, c.start_ms, c.end_ms) for c in make_cues([late, early])] == [
        ("B", 4500, 5500),
        ("A", 5000, 9000),
    ]


def test_a_long_sentence_is_split_with_times_in_proportion() -> None:
    text = " ".join(["word"] * 50)
    cues = make_cues([Segment(text=text, start_s=10.0, end_s=20.0, speaker="A")])
    assert len(cues) == 4
    assert cues[0].start_ms == 10_000
    assert cues[-1].end_ms == 20_000
    assert 2_500 < cues[0].end_ms - cues[0].start_ms < 4_000


def test_srt_numbers_its_cues_and_names_who_begins_to_speak() -> None:
    sentences = [
        Segment(text="One --> two.", start_s=0.0, end_s=1.0, speaker="Ana"),
        Segment(text="Three.", start_s=1.0, end_s=2.0, speaker="Ana"),
        Segment(text="Four.", start_s=2.0, end_s=3661.5, speaker="Bo"),
    ]
    assert format_srt(sentences).decode() == (
        "1\n00:00:00,000 --> 00:00:01,000\nAna: One → two.\n\n"
        "2\n00:00:01,000 --> 00:00:02,000\nThree.\n\n"
        "3\n00:00:02,000 --> 01:01:01,500\nBo: Four.\n"
    )


def test_json_has_one_segment_a_sentence_with_the_speakers_name(make: SimpleNamespace) -> None:
    data = json.loads(format_json(make_sentences(make.script(), make.timeline())))
    assert data["version"] == "1.0.0"
    assert [s["speaker"] for s in data["segments"]] == ["Robin Hale", "Jane Doe"] * 2
    assert data["segments"][1] == {
        "speaker": "Jane Doe",
        "startTime": 2.6,
        "endTime": 5.5,
        "body": "Thank you, it is good to be here.",
    }


def test_a_name_with_markup_and_line_breaks_stays_one_voice(make: SimpleNamespace) -> None:
    speakers = (
        Speaker(id="host", name="Ann\n-->\n<b>Bee</b>", role="host"),
        Speaker(id="guest", name="\x00\x01", role="guest"),
    )
    text = format_vtt(make_sentences(make.script(speakers=speakers), make.timeline())).decode()
    assert "<v Ann --&gt; &lt;b&gt;Bee&lt;/b&gt;>Hello" in text
    assert "<v ?>Thank you" in text
    assert text.count("-->") == text.count("<v ")


def test_an_episode_without_words_is_still_a_valid_transcript(make: SimpleNamespace) -> None:
    silent = make_sentences(make.script(), make.timeline(turns=()))
    assert format_vtt(silent) == b"WEBVTT\n"
    assert json.loads(format_json(silent))["segments"] == []
    assert format_srt(silent) == b"\n"
