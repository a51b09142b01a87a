"""Who is who, from what is said, from titles and from persons in a feed."""

import pytest

from podcaster.model import Person, Transcript, Utterance
from podcaster.speakers.introductions import find_evidence
from podcaster.speakers.proposals import Voice, find_hosts, propose_names
from podcaster.speakers.recording import RecordingSpeakers
from podcaster.speakers.stage import analyse_recording
from podcaster.speakers.titles import find_hints


def said(*turns: tuple[str, str]) -> Transcript:
    utterances = tuple(Utterance(speaker=who, text=text) for who, text in turns)
    return Transcript(language="en", utterances=utterances, engine="test")


def analyse(
    *turns: tuple[str, str], name: str = "one", title: str = "", persons: tuple[Person, ...] = ()
) -> RecordingSpeakers:
    return analyse_recording(
        name, said(*turns), title=title, persons=persons, description="", audio=None, encoder=None
    )


def propose(*shows: RecordingSpeakers, same: bool = False) -> dict[str, str]:
    """The names proposed, by label; `same`: a label is the same voice in all recordings."""
    voices: dict[tuple[str, str], Voice] = {}
    for show in shows:
        for one in show.speakers:
            voice = voices.setdefault(("" if same else show.recording, one.label), Voice([]))
            voice.members.append((show.recording, one))
    ordered = list(voices.values())
    proposed = propose_names(ordered, shows, find_hosts(ordered, shows))
    return {ordered[i].members[0][1].label: name for i, (name, _, _) in proposed.items()}


FILLER = "That is a long story, and I would rather tell all of it than half."


@pytest.mark.parametrize(
    "opening",
    [
        "Hello and welcome. I'm Ada Quill, and this is a show about gardens.",
        "Welcome to the show, I'm your host, Ada Quill.",
        "Good morning. My name is Ada Quill.",
        "Hi, this is Ada Quill, and you are listening to gardens.",
        "Ada Quill here, with another hour of gardens.",
    ],
)
def test_who_says_i_am_ada_is_ada(opening: str) -> None:
    assert propose(analyse(("S1", opening), ("S2", FILLER))) == {"S1": "Ada Quill"}


@pytest.mark.parametrize(
    "opening",
    [
        "I'm joined today by Ben Moss.",
        "My guest today is Ben Moss, who keeps bees.",
        "Please welcome Ben Moss.",
        "With me is the gardener and writer Ben Moss.",
        "I'm here with Ben Moss. So, how are the bees?",
        "Joining me now is Ben Moss from the coast.",
        "Welcome back to the show, Ben Moss.",
    ],
)
def test_who_is_introduced_answers_next_and_is_not_who_introduces(opening: str) -> None:
    assert propose(analyse(("S1", opening), ("S2", FILLER))) == {"S2": "Ben Moss"}


def test_an_introduction_that_is_cut_into_captions_is_read_whole() -> None:
    show = analyse(("S1", "I'm joined today by"), ("S1", "Ben Moss, a gardener."), ("S2", FILLER))
    assert propose(show) == {"S2": "Ben Moss"}
    assert {one.turn for one in show.evidence} == {1}


def test_those_who_greet_each_other_are_told_apart() -> None:
    show = analyse(
        ("S1", "Good morning, Ben. How are the bees?"),
        ("S2", "Good morning, Ada. They are well."),
        ("S1", "Tell us more, Ben."),
        ("S2", "Thanks, Ada. They swarmed twice."),
    )
    assert propose(show) == {"S1": "Ada", "S2": "Ben"}


def test_a_first_name_stands_for_the_full_one_that_is_known() -> None:
    show = analyse(
        ("S1", "Welcome. Ben, how are the bees?"),
        ("S2", "They are well."),
        ("S1", "And what do they eat, Ben?"),
        ("S2", FILLER),
        title="Ben Moss on bees",
    )
    assert propose(show)["S2"] == "Ben Moss"


def test_evidence_adds_up_over_recordings() -> None:
    first = analyse(("S1", "So, Ben, tell me."), ("S2", FILLER), name="one")
    second = analyse(("S1", "Hello, Ben. Again."), ("S2", FILLER), name="two")
    assert propose(first) == {}
    assert propose(first, second, same=True) == {"S2": "Ben"}


def test_words_that_are_no_names_are_not_proposed() -> None:
    show = analyse(
        ("S1", "Exactly, it is exactly that."),
        ("S2", "Honestly, I'm German and I'm Happy, happy as can be."),
        ("S1", "Exactly, I'm talking to LibreOffice."),
        ("S2", "Exactly, so honestly."),
    )
    assert propose(show) == {}


def test_one_name_goes_to_one_voice_of_a_recording() -> None:
    show = analyse(
        ("S1", "I'm Ada Quill."), ("S2", "I'm Ada Quill, too, as a joke."), ("S1", FILLER)
    )
    assert list(propose(show).values()).count("Ada Quill") == 1


@pytest.mark.parametrize(
    ("title", "guests"),
    [
        ("Jane Doe on bees", {"Jane Doe"}),
        ("#12: Jane Doe", {"Jane Doe"}),
        ("Episode 12 - Jane Doe", {"Jane Doe"}),
        ("Talking shop with Jane Doe", {"Jane Doe"}),
        ("Bees | Jane Doe", {"Jane Doe"}),
        ("Bees (feat. Jane Doe)", {"Jane Doe"}),
        ("A chat with Ann and Bob Lee", {"Ann Lee", "Bob Lee"}),
        ("Why the bees came back", set()),
        ("12 years of the show", set()),
    ],
)
def test_titles_name_guests(title: str, guests: set[str]) -> None:
    hints = find_hints(title, (), "", said(("S1", FILLER)))
    assert {hint.name for hint in hints if hint.role == "guest"} == guests


def test_a_title_of_ordinary_words_names_nobody() -> None:
    transcript = said(("S1", "We speak of deep roots and of old learning: deep learning, even."))
    assert find_hints("Deep Learning on old roots", (), "", transcript) == ()


def test_a_feeds_guest_is_not_the_host() -> None:
    turns = (("S1", "Welcome to the show. How are the bees?"), ("S2", FILLER))
    persons = (Person(name="Ben Moss", role="guest"), Person(name="Ada Quill", role="host"))
    assert propose(analyse(*turns, persons=persons)) == {"S1": "Ada Quill", "S2": "Ben Moss"}


def test_a_description_names_hosts_who_share_a_surname() -> None:
    hints = find_hints("", (), "A show of plants. Hosted by Ann and Bob Lee.", said(("S1", FILLER)))
    assert {(hint.name, hint.role) for hint in hints} == {("Ann Lee", "host"), ("Bob Lee", "host")}


def test_the_host_is_who_recurs_and_opens() -> None:
    shows = [
        analyse(("S1", f"Welcome, number {i}."), (f"G{i} Guest", FILLER), name=f"r{i}")
        for i in range(4)
    ]
    host = Voice([(show.recording, show.speakers[0]) for show in shows])
    guests = [Voice([(show.recording, show.speakers[1])]) for show in shows]
    assert find_hosts([*guests, host], shows) == {4}


def test_long_hostile_text_is_read_to_an_end_and_says_little() -> None:
    # hours, if a pattern backtracked
    nasty = "I'm " + "A" * 50_000 + " welcome to " + "the " * 20_000 + ", A" * 20_000
    names = "I'm Ann, so, Bob, " * 5000
    evidence = find_evidence(said(("S1", nasty), ("S2", names), ("S1", nasty)), "one")
    assert 0 < len(evidence) < 2000
