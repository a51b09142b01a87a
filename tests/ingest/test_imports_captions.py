import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcaster.captions import format_json, format_srt, format_vtt
from podcaster.errors import InputError
from podcaster.ingest.imports import parse_transcript
from podcaster.model import Segment, Transcript, Utterance, Word, to_json

WORDS = st.lists(st.text("abcXYZéß&<'.,?", min_size=1, max_size=8), min_size=1, max_size=6).map(
    " ".join
)
# a cue that begins with a dash or a name says who speaks, and a cue of a number may be its number
TEXTS = WORDS.filter(lambda text: text[0].isalpha())
NAMES = st.sampled_from(["Ann Smith", "Bob", "Zoë O'Neil", "Dr. Jo Li"])


@st.composite
def sentences(draw: st.DrawFn) -> list[Segment]:
    made, at_ms = [], 0
    for _ in range(draw(st.integers(1, 5))):
        at_ms += draw(st.integers(0, 5_000_000))
        end_ms = at_ms + draw(st.integers(1, 9000))
        made.append(
            Segment(
                text=draw(TEXTS), start_s=at_ms / 1000, end_s=end_ms / 1000, speaker=draw(NAMES)
            )
        )
    return made


def show(transcript: Transcript) -> list[tuple[Any, ...]]:
    return [(u.start_s, u.end_s, u.speaker, u.text) for u in transcript.utterances]


def read(text: str, kind: str | None = None) -> list[tuple[Any, ...]]:
    return show(parse_transcript(text.encode(), "t.txt", kind=kind))


def fail(text: str, kind: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        parse_transcript(text.encode(), "t.txt", kind=kind)
    return str(caught.value)


# --- captions


def render_srt(segments: list[Segment], number: bool, point: str) -> str:
    def clock(seconds: float) -> str:
        minutes, ms = divmod(round(seconds * 1000), 60_000)
        return f"{minutes // 60:02}:{minutes % 60:02}:{ms // 1000:02}{point}{ms % 1000:03}"

    return "\n".join(
        (f"{i}\n" if number else "")
        + f"{clock(s.start_s)} --> {clock(s.end_s)}\n{s.speaker}: <i>{s.text}</i>\n"
        for i, s in enumerate(segments, 1)
    )


@given(sentences(), st.booleans(), st.sampled_from(",."))
@settings(max_examples=40, deadline=None)
def test_srt_comes_back_as_it_was_written(
    segments: list[Segment], number: bool, point: str
) -> None:
    expected = [(s.start_s, s.end_s, s.speaker, s.text) for s in segments]
    assert read(render_srt(segments, number, point), "srt") == expected


@given(sentences())
@settings(max_examples=40, deadline=None)
def test_what_we_publish_comes_back(segments: list[Segment]) -> None:
    # short sentences, so that each is one cue
    expected = [(s.start_s, s.end_s, s.speaker, s.text) for s in segments]
    assert show(parse_transcript(format_vtt(segments), "t.vtt")) == expected
    assert show(parse_transcript(format_srt(segments), "t.srt")) == expected
    transcript = parse_transcript(format_json(segments), "t.json")
    assert show(transcript) == expected
    assert transcript.engine == transcript.diariser == "import:podcast-namespace"


def test_srt_with_tags_dashes_names_and_bare_numbers() -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:02,000 X1:10\n{\\an8}<i>Look,</i>\na < b.\n\n"
        "2\n00:00:02,000 --> 00:00:03,000\n- How many?\n- ANN: -5 degrees.\n3\n"
        "00:00:03,000 --> 00:00:04,000\n42\n\n"
        "4\n00:00:04,000 --> 00:00:05,000\n>> The question is: why?\n"
    )
    assert read(text) == [
        (1, 2, None, "Look, a < b."),
        (2, 3, None, "How many?"),
        (2, 3, "ANN", "-5 degrees."),
        (3, 4, "ANN", "42"),
        (4, 5, None, "The question is: why?"),
    ]


def test_vtt_with_voices_settings_notes_and_tags() -> None:
    text = (
        "WEBVTT - A talk\n\nNOTE\nnot this\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:a\n\n"
        "a cue's name\n00:01.000 --> 00:02.500 align:start line:0%\n"
        "<v.loud Ann &amp; Co>So, <b>hello</b>\n"
        "again &lt;you&gt;.</v>\n\n100:00:00.000 --> 100:00:01.000\n<v Ann>Yes.</v> <v Bob>No.\n\n"
        "NOTE and not this\n\n100:00:02.000 --> 100:00:03.000\nNobody's.\n"
    )
    transcript = parse_transcript(text.encode(), "t")
    assert transcript.title == "A talk"
    assert show(transcript) == [
        (1, 2.5, "Ann & Co", "So, hello again <you>."),
        (360_000, 360_001, "Ann", "Yes."),
        (360_000, 360_001, "Bob", "No."),
        (360_002, 360_003, None, "Nobody's."),
    ]


def test_captions_that_roll_up_are_read_once() -> None:
    text = (
        "WEBVTT\nKind: captions\nLanguage: en\n\n"
        "00:00.000 --> 00:02.000\n \nwe<00:00:00.500><c> sail</c>\n\n"
        "00:02.000 --> 00:02.010\nwe sail\n \n\n"
        "00:02.010 --> 00:04.000\nwe sail\nat<00:00:03.000><c> dawn</c>\n\n"
        "00:04.000 --> 00:04.010\nat dawn\n \n"
    )
    assert [row[3] for row in read(text)] == ["we sail", "at dawn"]


def test_repeated_captions_that_do_not_roll_up_are_kept() -> None:
    text = "WEBVTT\n\n00:00.000 --> 00:01.000\nNo.\n\n00:01.000 --> 00:02.000\nNo.\n"
    assert [row[3] for row in read(text)] == ["No.", "No."]


def test_a_line_of_times_that_cannot_be_read_is_told_with_the_line() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nYes.\n\n2\n00:00:61,000 --> 00:00:62,000\nNo.\n"
    assert fail(text) == (
        "t.txt, line 6: '00:00:61,000 --> 00:00:62,000' is no line of times: expected "
        "`HH:MM:SS,mmm --> HH:MM:SS,mmm`."
    )


def test_logs_are_read_with_both_kinds_of_times_and_nobody_speaks() -> None:
    assert read("ready\n[00:00:00.000 --> 00:00:04.720]   Ann: Hello.\n\nrun time = 3\n") == [
        (0, 4.72, None, "Ann: Hello.")
    ]
    transcript = parse_transcript(
        b"Detected language: German\n[00:00.000 --> 01:00.500] Ja.\n[60.50s -> 61.00s]  Nein.\n",
        "t",
    )
    assert transcript.language == "de"
    assert show(transcript) == [(0, 60.5, None, "Ja."), (60.5, 61, None, "Nein.")]


# --- JSON


def test_openai_whisper() -> None:
    word = {"word": " Hello", "start": 0.1, "end": 0.4, "probability": 0.75}
    segment = {
        "id": 0, "seek": 0, "start": 0.0, "end": 1.0, "text": " Hello.", "tokens": [1, 2],
        "temperature": 0.0, "avg_logprob": float("nan"), "words": [word],
    }  # fmt: skip
    text = json.dumps({"text": " Hello.", "segments": [segment], "language": "de"})
    transcript = parse_transcript(text.encode(), "t.json")
    assert (transcript.engine, transcript.diariser) == ("import:openai-whisper", None)
    assert transcript.language == "de"
    heard = Word(text="Hello", start_s=0.1, end_s=0.4, probability=0.75)
    assert transcript.utterances == (
        Utterance(text="Hello.", start_s=0.0, end_s=1.0, words=(heard,)),
    )


def test_whisperx_words_without_times_share_the_room_between_others() -> None:
    words = [
        {"word": "In"},
        {"word": "May", "start": 1.0, "end": 2.0, "score": 0.5, "speaker": "SPEAKER_01"},
        {"word": "2014,"},
        {"word": "3"},
        {"word": "of", "start": 4.0, "end": 4.5, "score": 0.25},
    ]
    segment = {
        "start": 0.5,
        "end": 5,
        "text": "In May 2014, 3 of",
        "words": words,
        "speaker": "SPEAKER_01",
    }
    text = json.dumps({"segments": [segment], "word_segments": words})
    transcript = parse_transcript(text.encode(), "t.json")
    assert transcript.engine == transcript.diariser == "import:whisperx"
    utterance = transcript.utterances[0]
    assert utterance.speaker == "SPEAKER_01"
    assert [(w.start_s, w.end_s, w.probability) for w in utterance.words] == [
        (0.5, 1.0, None), (1.0, 2.0, 0.5), (2.0, 3.0, None), (3.0, 4.0, None), (4.0, 4.5, 0.25),
    ]  # fmt: skip


def test_faster_whisper_lists_and_dumps_and_whisper_cpp() -> None:
    segments = [{"start": 0, "end": 1.5, "text": " Yes.", "no_speech_prob": 0.1, "words": None}]
    transcript = parse_transcript(json.dumps(segments).encode(), "t.json", language="fr")
    assert (transcript.engine, transcript.language) == ("import:faster-whisper", "fr")
    dump = {"segments": segments, "info": {"language": "en", "duration": 9.5}}
    transcript = parse_transcript(json.dumps(dump).encode(), "t.json", language="fr")
    assert (transcript.language, transcript.duration_s) == ("en", 9.5)
    cpp = {
        "result": {"language": "en"},
        "transcription": [{"offsets": {"from": 0, "to": 1500}, "text": " Yes."}],
    }
    assert read(json.dumps(cpp)) == show(transcript) == [(0, 1.5, None, "Yes.")]


def test_our_own_transcripts_come_back_and_are_checked() -> None:
    first, second = (
        Utterance(text="Yes.", start_s=start_s, speaker="Ann") for start_s in (1.0, 2.0)
    )
    ours = Transcript(language="en", utterances=(first, second), engine="e", diariser="d")
    assert parse_transcript(to_json(ours), "t.json", language="fr") == ours
    swapped = Transcript(language="en", utterances=(second, first), engine="e")
    assert fail(to_json(swapped).decode()).startswith("t.txt, utterance 2: times run backwards: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n"segments": [}', "t.txt, line 2: JSON is malformed"),
        ('{"a": 1}', "t.txt is JSON, but no transcript: expected `segments`"),
        ('{"segments": []}', "t.txt holds nothing that anybody says: expected segments with text."),
        ('{"segments": [{"text": "a", "start": "1"}]}', "at `$.segments[0].start`"),
        ('{"segments": [{"text": "a", "start": -1, "end": 1}]}', "segment 1: -1.0 is no time of a"),
        ('{"segments": [{"text": "a", "start": 1e308}]}', "segment 1: 1e+308 is no time of a"),
        ('{"segments": [{"text": "a", "start": 2, "end": 1}]}', "segment 1: it ends at 00:00:01"),
        (
            '[{"text": "a", "start": 2, "end": 3}, {"text": "b", "start": 1, "end": 3}]',
            "segment 2: times run backwards: expected at least 00:00:02.000, where what stands "
            "before begins, got 00:00:01.000.",
        ),
        (
            '[{"text": "a b", "start": 0, "end": 3, "words": [{"word": "a", "start": 2, "end": 3}, '
            '{"word": "b", "start": 1, "end": 2}]}]',
            "segment 1, word 2 of those with times: times run backwards",
        ),
        ('{"a": ' + "[" * 100_000, "recursion"),
        ('[{"text": "a", "start": NaN}]', "segment 1: nan is no time of a recording"),
    ],
)  # fmt: skip
def test_json_that_is_wrong_is_told_with_its_place(text: str, message: str) -> None:
    assert message in fail(text, "json")
