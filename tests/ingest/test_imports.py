from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcaster.errors import InputError
from podcaster.ingest.imports import FORMATS, detect, parse_transcript, read_transcript
from podcaster.ingest.imports.clock import parse_clock
from podcaster.ingest.imports.decode import decode
from podcaster.ingest.imports.languages import as_language
from podcaster.ingest.imports.plain import to_plain
from podcaster.model import Transcript, parse, to_json

SEEDS = Path(__file__).parents[3] / "shared" / "data" / "seeds"

SAMPLES = {
    "json": '{"segments": [{"start": 0, "end": 1, "text": " Hello."}], "language": "en"}',
    "vtt": "WEBVTT\n\n00:00.000 --> 00:01.000\nHello.\n",
    "log": "loading model\n[0.00s -> 2.00s]  Hello.\n",
    "srt": "1\n00:00:00,000 --> 00:00:01,000\nHello.\n",
    "page": "A show\n\n00:00 - Beginning\n\nAnn Smith (00:00:00):\nHello.\n",
    "changelog": "**Ann Smith:** Hello.\n",
    "outline": "A show\n\n00:00 - Beginning\n01:00 - The end\n",
    "name": "Ann: Hello.\n\nBob: Good morning.\n",
}


def say(text: str, kind: str | None = None) -> list[tuple[str | None, str]]:
    transcript = parse_transcript(text.encode(), "t.txt", kind=kind)
    return [(utterance.speaker, utterance.text) for utterance in transcript.utterances]


def fail(content: bytes | str, kind: str | None = None, where: str = "t.txt") -> str:
    if isinstance(content, str):
        content = content.encode()
    with pytest.raises(InputError) as caught:
        parse_transcript(content, where, kind=kind)
    return str(caught.value)


# --- formats and files


def test_every_format_is_told_from_all_others_and_read_from_a_file(tmp_path: Path) -> None:
    assert set(SAMPLES) == set(FORMATS)
    for kind, text in SAMPLES.items():
        path = tmp_path / "transcript.txt"
        path.write_text(text, "utf-8")
        assert detect(path) == detect(text) == kind
        transcript = read_transcript(path)
        assert [u.text for u in transcript.utterances][:1] == (
            [] if kind == "outline" else ["Hello."]
        )
        assert parse(to_json(transcript), Transcript, where="it") == transcript


def test_a_format_that_is_not_known_is_told_with_those_that_are() -> None:
    assert fail("x", kind="docx") == (
        "'docx' is no format of transcripts. Name one of json, vtt, log, srt, page, changelog, "
        "outline, name with `--format`."
    )
    message = fail("Nothing but a sentence.\n")
    assert message.startswith("t.txt is no transcript of a known format: ")
    assert message.endswith("name with `--format`.")


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind not in ("json", "outline")])
def test_a_text_in_which_nobody_speaks_is_an_error_that_says_what_was_expected(kind: str) -> None:
    assert fail("Only a sentence", kind=kind).startswith(
        "t.txt holds nothing that anybody says: expected "
    )


def test_empty_files_recordings_and_folders_are_errors(tmp_path: Path) -> None:
    assert fail(b"") == fail(b" \r\n\0 ") == "t.txt is empty."
    assert fail(bytes(range(32)) * 40).startswith("t.txt is no text. ")
    assert "more than 2,000,000 lines" in fail(b"a\n" * 2_000_001)
    with pytest.raises(InputError, match="is no file that can be read"):
        read_transcript(tmp_path)
    with pytest.raises(InputError, match="is no file that can be read"):
        read_transcript(tmp_path / "missing.srt")
    huge = tmp_path / "huge.srt"
    with huge.open("wb") as stream:
        stream.truncate(64_000_001)  # takes no room on the disk
    with pytest.raises(InputError, match=r"huge\.srt is larger than 64\.0 MB"):
        read_transcript(huge)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_encodings_are_told_apart(encoding: str) -> None:
    text = "Zoë: “It’s a café – isn’t it?” she asked.\r\n\r\nBob: Yes.\r\n"
    assert say(decode(text.encode(encoding)).replace("\ufeff", "")) == [
        ("Zoë", "“It’s a café – isn’t it?” she asked."),
        ("Bob", "Yes."),
    ]


def test_single_bad_bytes_do_not_spoil_the_rest_of_a_utf_8_text() -> None:
    content = "Zoë: “It’s a café”, “naïve”.".encode() + b" \xff\0 Yes."
    transcript = parse_transcript(content, "t.txt")
    assert transcript.utterances[0].text == "“It’s a café”, “naïve”. \ufffd Yes."


def test_the_language_is_the_files_or_else_the_one_that_is_given() -> None:
    assert parse_transcript(b"Ann: Hallo.", "t", language="DE_at").language == "de-AT"
    assert (
        parse_transcript(b"WEBVTT\nLanguage: fr\n\n00:00.0 --> 00:01.0\nOui.", "t").language == "fr"
    )
    assert as_language("English") == "en"
    assert as_language("gibberish") is None
    with pytest.raises(InputError, match=r"'klingonese' is no language\. Give a language tag"):
        parse_transcript(b"Ann: Hello.", "t", language="klingonese")


# --- times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("00:00", 0),
        ("1:02", 62),
        ("62:03.5", 3723.5),
        ("1:02:03,004", 3723.004),
        ("100:00:00", 3.6e5),
    ],
)
def test_clocks(text: str, seconds: float) -> None:
    assert parse_clock(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "1", "00:60", "1:60:00", "1:2:3:4", "-1:00", "٠٠:٠٠", "1:00:00.1234567"]
)
def test_what_is_no_clock(text: str) -> None:
    assert parse_clock(text) is None


BACKWARDS = {
    "srt": ("1\n00:00:05,000 --> 00:00:06,000\nB.\n\n2\n00:00:04,999 --> 00:00:06,000\nA.\n", 6),
    "vtt": ("WEBVTT\n\n00:05.000 --> 00:06.000\nB.\n\n00:04.999 --> 00:06.000\nA.\n", 6),
    "log": ("[5.00s -> 6.00s] B.\n[4.999s -> 6.00s] A.\n", 2),
    "page": ("Ann (00:00:08):\nB.\n\nBob (00:00:05):\nA.\n", 4),
    "name": ("Ann: 00:00:08\n\nB.\n\nBob: 00:00:05\n\nA.\n", 5),
    "outline": ("00:05 - B\n00:04 - A\n", 2),
}


@pytest.mark.parametrize("kind", BACKWARDS)
def test_times_that_run_backwards_are_one_clear_line(kind: str) -> None:
    text, line = BACKWARDS[kind]
    message = fail(text)
    assert message.startswith(f"t.txt, line {line}: times run backwards: expected at least 00:00:0")
    assert message.count("\n") == 0
    assert detect(text) == kind


def test_turns_timed_by_hand_may_overlap_by_two_seconds() -> None:
    transcript = parse_transcript(b"Ann (00:08):\nSo.\n\nBob (00:06):\nYes.\n", "t")
    assert [utterance.start_s for utterance in transcript.utterances] == [8, 6]


def test_an_end_before_its_start_is_told_with_the_line() -> None:
    assert fail("1\n00:00:05,000 --> 00:00:04,000\nA.\n") == (
        "t.txt, line 2: it ends at 00:00:04.000, before it starts: expected at least 00:00:05.000."
    )


# --- labelled paragraphs


def test_changelog_markdown_comes_out_plain_without_breaks_and_stamps() -> None:
    text = (
        "**Ann Smith:** See [the *site*](https://a.example/b_(c)), \\[laughs\\] "
        "it's `x_y` &amp; z.\n"
        "\n\\[05:59\\] And so **on**.\n\n**Break:** \\[01:44\\]\n\n**Break**: \\[00:01:02.03\\] to "
        "\\[02:00\\]\n\n**Sponsor:** Buy this.\n\n**Ann Smith:** We're back."
        "\n\n**Bob** : 2 * 3 * 4\n"
    )
    assert say(text) == [
        ("Ann Smith", "See the site, [laughs] it's x_y & z. And so on."),
        ("Ann Smith", "We're back."),
        ("Bob", "2 * 3 * 4"),
    ]


def test_what_is_said_after_a_break_without_a_name_belongs_to_nobody() -> None:
    assert say("**Ann:** So.\n\n**Break:** \\[01:44\\]\n\nWelcome back.\n") == [
        ("Ann", "So."),
        (None, "Welcome back."),
    ]


def test_a_page_has_title_description_chapters_and_turns() -> None:
    transcript = parse_transcript(
        b"The Show\n\nAbout boats.\nAnd masts.\n\nCHAPTERS:\n=====\n"
        b"00:00 - Boats\n1:01:29 - Masts: why?\n"
        b"\nSOURCES:\n====\nhttps://a.example\n\nWhat is The Show?\n\nA show.\n\n"
        b"Ann Smith (00:00:00):\nHello.\n\nTwo paragraphs.\n\nBob (01:00:02): Same line.\n",
        "t.txt",
    )
    assert (transcript.title, transcript.description) == ("The Show", "About boats. And masts.")
    assert [(c.start_s, c.title) for c in transcript.chapters] == [
        (0, "Boats"),
        (3689, "Masts: why?"),
    ]
    assert [(u.speaker, u.start_s, u.text) for u in transcript.utterances] == [
        ("Ann Smith", 0, "Hello. Two paragraphs."),
        ("Bob", 3602, "Same line."),
    ]
    assert transcript.diariser == "import:page"


def test_names_with_front_matter_headings_and_initials() -> None:
    transcript = parse_transcript(
        b"---\ntitle: 'Boats: a ''talk'''\nspeakers:\n  - Ann Smith\n  - \"bo\"\nlang: en-GB\n---\n"
        b"Recorded: https://a.example\n\n## Intro\n\n"
        b"Ann Smith (AS): 00:00:01\n\nHello: this is it.\n\n"
        b"Note: this is a note.\n\nbo: Yes.\n\n## Masts\n\n"
        b"AS: [00:01:02] Look. So the point is: masts.\n",
        "t.md",
    )
    assert (transcript.title, transcript.language) == ("Boats: a 'talk'", "en-GB")
    assert transcript.options == {"speakers": ["Ann Smith", "bo"]}
    assert [(c.title, c.start_s) for c in transcript.chapters] == [("Intro", 1), ("Masts", 62)]
    assert [(u.speaker, u.start_s, u.text) for u in transcript.utterances][1:] == [
        ("bo", None, "Yes."),
        ("Ann Smith", 62, "Look. So the point is: masts."),
    ]


def test_two_speakers_with_one_name_stay_as_they_are() -> None:
    assert say("Ann: One.\n\nAnn: Two.\n\nann: Three.\n\nann: Four.\n\nann: Five.\n")[:3] == [
        ("Ann", "One."),
        ("Ann", "Two."),
        ("ann", "Three."),
    ]


def test_an_article_that_quotes_a_name_is_no_transcript() -> None:
    article = "This is about boats, and nobody speaks in it.\n\n" * 9 + "Ann: Yes.\n"
    assert fail(article).startswith("t.txt is no transcript of a known format")
    assert say(article, kind="name") == [("Ann", "Yes.")]


def test_an_outline_has_chapters_and_nothing_said() -> None:
    transcript = parse_transcript(
        "A show\nAbout: boats.\n\n- 00:00 – Boats\n(01:00) Masts\n1:00:00 | What now?\n".encode(),
        "t",
    )
    assert transcript.utterances == ()
    assert [(c.start_s, c.title) for c in transcript.chapters] == [
        (0, "Boats"),
        (60, "Masts"),
        (3600, "What now?"),
    ]
    assert "no chapters were found" in fail("x", kind="outline")


@given(st.text(alphabet="ab *_[]()\\<>&#!`-\n:0123;", max_size=200))
@settings(max_examples=60, deadline=None)
def test_no_text_breaks_the_plain_text_or_a_reader(text: str) -> None:
    to_plain(text)
    for kind in FORMATS:
        try:
            transcript = parse_transcript(text.encode(), "t.txt", kind=kind)
        except InputError:
            continue
        assert parse(to_json(transcript), Transcript, where="it") == transcript


@pytest.mark.parametrize(
    "unit", ["[", "[a](", "**", "<a ", "<!--", "1:", "_a", " ", "&#9", "# a\n"]
)
def test_no_line_takes_longer_than_its_length(unit: str) -> None:
    # what takes the square of the length would not end
    line = unit * (300_000 // len(unit))
    for text in (f"**Ann:** So: {line}", f"1\n00:00:00,000 --> 00:00:01,000\nSo: {line}\n"):
        assert parse_transcript(text.encode(), "t.txt").utterances[0].text.startswith("So:")


def test_a_line_of_five_megabytes_is_read() -> None:
    (row,) = say("**Ann:** " + "[a](" * 1_250_000)
    assert len(row[1]) == 5_000_000


# --- real files


def test_a_real_page_comes_out_whole() -> None:
    path = SEEDS / "this-day-in-ai.txt"
    if not path.is_file():
        pytest.skip("the page of a real episode is not here (shared/data/seeds)")
    transcript = read_transcript(path)
    assert (len(transcript.utterances), len(transcript.chapters)) == (171, 12)
    assert {u.speaker for u in transcript.utterances} == {"Mum", "Michael Sharkey", "Chris Sharkey"}
    assert transcript.utterances[-1].text.endswith("we will see you next week. Goodbye.")


def test_a_real_log_comes_out_whole_without_speakers() -> None:
    path = SEEDS / "whisper-log.txt"
    if not path.is_file():
        pytest.skip("the log of a real transcription is not here (shared/data/seeds)")
    transcript = read_transcript(path)
    assert len(transcript.utterances) == 817
    assert transcript.utterances[-1].end_s == 3591.55
    assert transcript.diariser is None
    assert {u.speaker for u in transcript.utterances} == {None}
