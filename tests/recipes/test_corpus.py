"""Labelled transcripts become plain spoken turns, split so that nothing held out is trained on."""

import io
import tarfile
from pathlib import Path

import pytest

from podcaster.errors import InputError
from podcaster.model import Role
from podcaster.units import count_words
from recipes.mini.corpus import (
    build_corpus,
    clean_text,
    clean_turns,
    cut_speech,
    hold_out_guests,
    main,
    split_of,
    split_sentences,
    summarize,
)
from recipes.mini.episodes import Episode, Line, read_corpus, source_of
from recipes.mini.roles import assign_roles, known_hosts, recurring_speakers, score_dialogue
from recipes.mini.sources import Layout, Transcript, Turn, parse_changelog


def from_markdown(show: str, name: str, markdown: str) -> Transcript:
    turns = parse_changelog(markdown)
    return Transcript(layout="changelog", show=show, name=name, turns=turns)


def episode(show: str, name: str, split: str, *speakers: str) -> Episode:
    return Episode(show, name, split, tuple(Line(speaker, "Yes.") for speaker in speakers))


@pytest.mark.parametrize(
    ("markdown", "spoken"),
    [
        (r"\[04:33\] You tend to keep things going.", "You tend to keep things going."),
        ("See [the docs (new)](https://x.org/a_(b)) and ![i](j.png)!", "See the docs (new) and!"),
        (r"\[laughs\] Yes\! [laughter] It's \#1.", "Yes! It's #1."),
        (r"I went to \[unintelligible 00:12:03.08\] then. It was fun.", "It was fun."),
        ("It’s “fine” – really — so…", 'It\'s "fine" - really - so...'),
        ("People just -- you know, they--", "People just - you know, they..."),
        ("In general..., the thing... But I like it...?", "In general, the thing. But I like it?"),
        ("<b>Bold</b> *and* _it_ &amp; `code` <!-- no -->", "Bold and it & 'code'"),
        ("Welcome to JS Party! It's the Changelog podcast.", "Welcome to the show! It's the show."),
        ("Go to changelog.com/live now. Thanks, all.", "Thanks, all."),
        ("One  \n\nparagraph.\n\nAnother 🚀 one.", "One paragraph. Another one."),
        (r"\[music\]", ""),
    ],
)  # fmt: skip
def test_cleaning(markdown: str, spoken: str) -> None:
    assert clean_text(markdown) == spoken


def test_only_the_changelogs_own_names_are_hidden() -> None:
    assert (
        clean_text("Read the RFC, it is short.", layout="bitcoin") == "Read the RFC, it is short."
    )
    assert clean_text("Keep a changelog.", layout="presidents") == "Keep a changelog."
    assert clean_text("Keep a changelog.") == ""


def test_turns_are_labelled_merged_and_without_breaks_or_sponsors() -> None:
    markdown = r"""Nobody says this.

**Ann Host:** Hello Bob.

**Ann Host:** How are you?

**Bob Guest**: Fine.

And a second paragraph.

**Break:** \[01:44\]

**Sponsor:** Buy it.

**Ann Host:** This show is brought to you by Acme; use code SHOW for 20% off.

**Bob Guest, PhD:** More.

**Ann Host:** \[laughs\]
"""
    assert clean_turns(parse_changelog(markdown)) == [
        Line("Ann Host", "Hello Bob. How are you?"),
        Line("Bob Guest", "Fine. And a second paragraph. More."),
    ]
    thanks = [Turn("Ann President", "We owe thanks to our people.")]
    assert not clean_turns(thanks, "bitcoin")
    assert clean_turns(thanks, "presidents") == [
        Line("Ann President", "We owe thanks to our people.")
    ]


def test_reruns_and_excluded_shows_are_left_out() -> None:
    long_talk = " ".join(f"word{n}" for n in range(40)) + "."
    one = f"**A:** {long_talk}\n\n**B:** Yes.\n"
    again = f"**A:** {long_talk}\n\n**B:** No.\n"
    other = f"**A:** Something else. {long_talk}\n"
    raw = [("x", "1", one), ("x", "2", again), ("y", "3", other), ("founderstalk", "4", other)]
    episodes = build_corpus([from_markdown(*fields) for fields in raw])
    assert [(e.show, e.name) for e in episodes] == [("x", "1"), ("y", "3")]
    with pytest.raises(InputError, match="no transcript with labelled turns"):
        build_corpus([from_markdown("x", "1", "no labels here")])


def name_in(split: str, show: str = "x") -> str:
    """A name that the hash puts into `split`."""
    return next(str(n) for n in range(10_000) if split_of(show, str(n), 0.02) == split)


def test_what_another_source_repeats_is_kept_once_and_by_the_first() -> None:
    talk = " ".join(f"word{n}" for n in range(40)) + "."
    copies: list[tuple[Layout, str]] = [("presidents", "z"), ("bitcoin", "b/c"), ("changelog", "x")]
    transcripts = [
        Transcript(layout=layout, show=show, name=name_in("train", show), turns=(Turn("A", talk),))
        for layout, show in copies
    ]
    assert [e.show for e in build_corpus(transcripts)] == ["x"]


def test_training_loses_what_validation_says_in_other_spelling_but_validation_loses_nothing() -> (
    None
):
    words = [f"word{n}" for n in range(40)]
    own = " ".join(f"own{n}" for n in range(40)) + "."
    heard = Turn("A", " ".join(words) + ".")
    spelled = Turn("B", ", ".join(words).upper() + "!")
    train, held = name_in("train"), name_in("validation")
    episodes = build_corpus(
        [
            Transcript(layout="changelog", show="x", name=train, turns=(spelled, Turn("C", own))),
            Transcript(layout="changelog", show="x", name=held, turns=(heard,)),
        ]
    )
    by_split = {e.split: e.lines for e in episodes}
    assert by_split["validation"] == (Line("A", heard.text),)
    assert by_split["train"] == (Line("C", own),)


def test_a_speech_is_cut_at_ends_of_sentences_into_turns_of_some_length() -> None:
    sentences = [f"Sentence {n} has some nine words of its own." for n in range(50)]
    portions = cut_speech([Line("Ann", " ".join([*sentences, "Short end."]))])
    assert all(60 <= count_words(portion.text) <= 150 for portion in portions)
    assert {portion.speaker for portion in portions} == {"Ann"}
    said = " ".join(portion.text for portion in portions)
    assert " ".join(sentences).startswith(said) or said.startswith(" ".join(sentences))
    assert cut_speech([Line("Ann", "Too short.")]) == []


def test_guests_of_validation_are_trained_on_nowhere_but_hosts_are() -> None:
    episodes = [
        episode("x", "held", "validation", "Ann Host", "Zoë Guest", "Bo"),
        episode("x", "host", "train", "Ann Host", "Carl Other"),
        episode("x", "again", "train", "Ann Host", "Zoe Guest"),
        episode("bitcoin/y", "there", "train", "ZOË GUEST", "Dan Other"),
        episode("bitcoin/y", "first name", "train", "Bo", "Zoe Other"),
        episode("x", "held too", "validation", "Ann Host", "Zoe Guest"),
    ]
    kept = hold_out_guests(episodes, {"x": frozenset({"Ann Host"}), "bitcoin/y": frozenset()})
    assert [e.name for e in kept] == ["held", "host", "first name", "held too"]
    # Whoever hosts another show is no unknown voice.
    hosts = {"x": frozenset({"Ann Host"}), "bitcoin/y": frozenset({"Zoë Guest"})}
    assert hold_out_guests(episodes, hosts) == episodes
    totals = summarize(episodes, kept)
    assert (totals["changelog"].episodes, totals["changelog"].left_out) == (3, 1)
    assert (totals["bitcoin"].episodes, totals["bitcoin"].words_left_out) == (1, 2)
    assert totals["changelog"].held_out == 2


def test_a_speech_in_validation_holds_nobody_out() -> None:
    episodes = [
        episode("speeches", "held", "validation", "Ann President"),
        episode("presidents", "q", "train", "Ann President", "Reporter"),
    ]
    assert hold_out_guests(episodes, {}) == episodes


def test_reporters_host_presidents_whoever_comes_back() -> None:
    talks = [episode("presidents", str(n), "train", "Ann President", "Reporter") for n in range(9)]
    speeches = [episode("speeches", str(n), "train", "Ann President") for n in range(9)]
    hosts = known_hosts([*talks, *speeches, episode("x", "1", "train", "A")])
    assert "Reporter" in hosts["presidents"]
    assert "Ann President" not in hosts["presidents"] | hosts["speeches"]
    assert hosts["x"] == frozenset()


def test_shows_tell_their_source() -> None:
    shows = ["jsparty", "bitcoin/some-podcast", "presidents", "speeches", "bitcoins"]
    expected = ["changelog", "bitcoin", "presidents", "speeches", "changelog"]
    assert [source_of(show) for show in shows] == expected


def test_the_split_depends_on_the_name_alone() -> None:
    held = [n for n in range(5_000) if split_of("x", str(n), 0.02) == "validation"]
    assert 60 < len(held) < 140
    assert held == [n for n in range(5_000) if split_of("x", str(n), 0.02) == "validation"]


def test_the_command_reads_several_archives_and_sums_them_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = "**Ann Host:** Hello {n}.\n\n**Gus {n}:** Hi.\n"
    speech = "President: Bo President\n\n" + "We will build a good road to the town. " * 20
    contents = {
        "a.tar.xz": [("top/show/one.md", talk.format(n=1)), ("top/show/two.md", talk.format(n=2))],
        "b.tar.xz": [("data/1950-01-01-a-talk.txt", speech)],
    }
    for archive, files in contents.items():
        with tarfile.open(tmp_path / archive, "w:xz") as out:
            for name, text in files:
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                out.addfile(member, io.BytesIO(text.encode()))
    corpus = tmp_path / "corpus.jsonl"
    main([str(corpus), str(tmp_path / "b.tar.xz"), str(tmp_path / "a.tar.xz"), "--holdout", "0"])
    assert [(e.show, e.name) for e in read_corpus(corpus)] == [
        ("show", "one"),
        ("show", "two"),
        ("speeches", "1950-01-01-a-talk"),
    ]
    summary = capsys.readouterr().err
    assert "changelog: 2 episodes, 0 held out, 6 words; 0 left out" in summary
    assert "speeches: 1 episodes" in summary


def test_sentences_end_before_capitals() -> None:
    text = 'He said "No." Then e.g. this, v1.2 too! 3 more? yes.'
    assert split_sentences(text) == ['He said "No."', "Then e.g. this, v1.2 too!", "3 more? yes."]


def test_roles_follow_who_comes_back() -> None:
    raw = [
        from_markdown(
            "show", str(n), f"**Host A:** Hi {n}?\n\n**G {n}:** Yes {n}.\n\n**Host A:** Bye {n}.\n"
        )
        for n in range(6)
    ]
    hosts = recurring_speakers(build_corpus(raw))["show"]
    assert hosts == {"Host A"}
    lines = [Line("G", "I did a lot of things, and more."), Line("Host A", "Why?"), Line("X", "Oh")]
    roles: dict[str, Role] = {"G": "guest", "Host A": "host", "X": "other"}
    assert assign_roles(lines, hosts) == roles
    assert assign_roles(lines[:2], frozenset()) == {"G": "guest", "Host A": "host"}
    assert assign_roles(lines[:1], frozenset()) == {"G": "host"}
    talk = [lines[0], lines[1]] * 5
    assert score_dialogue(talk, hosts) > score_dialogue([*talk, lines[2]], hosts) > 0
    assert score_dialogue(lines[:1], hosts) == 0
