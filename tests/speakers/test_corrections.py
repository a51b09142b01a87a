"""What a person said of speakers holds when words, labels and recordings change around it."""

import contextlib
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podcaster.errors import InputError
from podcaster.model import Recording, Transcript, Utterance, Word
from podcaster.speakers.corrections import (
    Corrected,
    Corrections,
    Group,
    Merge,
    Rename,
    TurnFinder,
    apply_corrections,
)
from podcaster.speakers.people import (
    Naming,
    ShowSpeaker,
    SpeakersFile,
    describe_people,
    resolve_transcript,
)
from podcaster.speakers.recording import RecordingSpeakers, refer_to_turn
from podcaster.speakers.requests import Desk, Requests
from podcaster.speakers.stage import analyse_recording

LINES = (
    "Rain fell on the roof of the little house by the harbour.",
    "Nobody counted the boats that came back in the morning.",
    "Yes.",
    "The baker opened at four, and the fishermen stood in line.",
    "Yes.",
    "My aunt kept a map of every well between here and the hills.",
)


def script(labels: str, lines: tuple[str, ...] = LINES, *, start_s: float = 0.0) -> Transcript:
    """Each line is a turn of five seconds; `labels` are one letter each."""
    return Transcript(
        language="en",
        engine="test",
        utterances=tuple(
            Utterance(
                text=text,
                speaker=f"S_{label}",
                start_s=start_s + 5.0 * i,
                end_s=start_s + 5.0 * i + 4.5,
                words=(Word(text=text.split()[0], start_s=0.0, end_s=1.0, speaker=f"S_{label}"),),
            )
            for i, (label, text) in enumerate(zip(labels, lines, strict=True))
        ),
    )


def analyse(transcripts: Mapping[str, Transcript]) -> list[RecordingSpeakers]:
    return [
        analyse_recording(
            name, transcript, title="", persons=(), description="", audio=None, encoder=None
        )
        for name, transcript in transcripts.items()
    ]


class Show:
    """A show whose labels are matched as its test says: letters that are one voice."""

    def __init__(self, transcripts: Mapping[str, Transcript]) -> None:
        self.transcripts = dict(transcripts)
        self.corrections = Corrections()

    def apply(self) -> Corrected:
        shows = analyse(self.transcripts)
        letters: dict[str, set[tuple[str, str]]] = {}
        for show in shows:
            for one in show.speakers:
                letters.setdefault(one.label, set()).add((show.recording, one.label))
        groups = [Group(members) for _, members in sorted(letters.items())]
        return apply_corrections(groups, self.corrections, TurnFinder(self.transcripts.get))

    def people(self) -> SpeakersFile:
        return describe_people(
            self.apply(), analyse(self.transcripts), {}, SpeakersFile(), encoder=""
        )

    def ask(self, **asked: tuple[str, ...]) -> None:
        desk = Desk(
            self.people(),
            analyse(self.transcripts),
            [Recording(id=name, title=name.title(), origin=name) for name in self.transcripts],
            self.transcripts.get,
        )
        added = desk.write_down(Requests(**asked))
        self.corrections = Corrections(corrections=(*self.corrections.corrections, *added))

    def names(self) -> dict[str, str]:
        """Who says each turn of each recording: names, or ids."""
        people = self.people()
        by_id = {one.id: one.name or one.id for one in people.speakers}
        naming = Naming(people)
        return {
            name: " ".join(
                by_id.get(str(utterance.speaker), "?")
                for utterance in resolve_transcript(transcript, name, naming).utterances
            )
            for name, transcript in self.transcripts.items()
        }

    def one(self, speaker_id: str) -> ShowSpeaker:
        return next(one for one in self.people().speakers if one.id == speaker_id)


def id_of(show: Show, label: str) -> str:
    return next(s.id for s in show.people().speakers if any(m.label == label for m in s.members))


@pytest.fixture
def show() -> Show:
    return Show({"one": script("abaabb"), "two": script("bcbccb", tuple(reversed(LINES)))})


def test_a_name_given_once_names_the_voice_in_all_recordings(show: Show) -> None:
    show.ask(rename=(f"{id_of(show, 'S_b')}=Ben",))
    assert show.names()["one"].split()[1] == "Ben"
    assert show.names()["two"].split()[0] == "Ben"
    assert show.one("ben").named_by == "person"


def test_it_holds_when_the_diariser_calls_everybody_something_else(show: Show) -> None:
    show.ask(rename=(f"{id_of(show, 'S_b')}=Ben", f"{id_of(show, 'S_a')}=Ann"))
    before = show.names()
    show.transcripts = {
        "one": script("baabbb".translate(str.maketrans("ab", "ba"))),
        "two": script("acaaca".translate(str.maketrans("ac", "az")), tuple(reversed(LINES))),
    }
    show.transcripts["one"] = script("babbaa")
    show.transcripts["two"] = script("acacca", tuple(reversed(LINES)))
    after = show.names()
    assert before["one"] == "Ann Ben Ann Ann Ben Ben"
    assert after["one"] == before["one"]
    assert after["two"].split()[0] == "Ben"
    assert show.apply().stale == []


def test_it_holds_when_the_words_are_heard_a_little_differently(show: Show) -> None:
    show.ask(rename=(f"{id_of(show, 'S_a')}=Ann",))
    lines = tuple(
        line.replace("little", "small").replace("every well", "each well") for line in LINES
    )
    show.transcripts["one"] = script("xyxxyy", lines, start_s=0.4)
    assert show.names()["one"].split()[0] == "Ann"


def test_what_is_gone_is_told_and_changes_nothing(show: Show) -> None:
    show.ask(rename=(f"{id_of(show, 'S_a')}=Ann",), reassign=(f"one:2={id_of(show, 'S_a')}",))
    other = tuple(f"Something else altogether, number {i}." for i in range(6))
    show.transcripts["one"] = script("abaabb", other)
    corrected = show.apply()
    assert len(corrected.stale) == 2
    assert "no longer applies" in corrected.stale[0]
    assert "Ann" not in show.names()["one"]
    del show.transcripts["one"]
    assert len(show.apply().stale) == 2


def test_merged_voices_are_one(show: Show) -> None:
    show.ask(merge=(f"{id_of(show, 'S_c')}={id_of(show, 'S_a')}",))
    assert {frozenset(m.recording for m in s.members) for s in show.people().speakers} == {
        frozenset({"one", "two"})
    }
    assert len(show.people().speakers) == 2


def test_a_split_recording_is_somebody_else(show: Show) -> None:
    show.ask(rename=(f"{id_of(show, 'S_b')}=Ben",))
    show.ask(split=("ben:two",))
    names = show.names()
    assert names["one"].split()[1] == "Ben"
    assert "Ben" not in names["two"]
    show.ask(rename=(f"{names['two'].split()[0]}=Bea",))
    assert show.names()["two"].split()[0] == "Bea"
    assert show.names()["one"].split()[1] == "Ben"


def test_one_turn_changes_hands_and_the_others_stay(show: Show) -> None:
    show.ask(rename=(f"{id_of(show, 'S_b')}=Ben", f"{id_of(show, 'S_a')}=Ann"))
    show.ask(reassign=("one:5=ann",))
    assert show.names()["one"] == "Ann Ben Ann Ann Ann Ben"
    # two turns say the same; the label of the other one changed, and this one is found by its time
    show.transcripts["one"] = script("abbabb")
    assert show.names()["one"] == "Ann Ben Ben Ann Ann Ben"


def test_what_is_dropped_is_nobody_and_stays_visible(show: Show) -> None:
    show.ask(drop=(id_of(show, "S_c"),))
    dropped = [one for one in show.people().speakers if one.dropped]
    assert [one.role for one in dropped] == ["other"]


def test_a_given_name_that_somebody_has_joins_the_two() -> None:
    transcript = script("abcabc")
    utterances = tuple(
        Utterance(
            text=u.text, speaker={"S_a": "Mum", "S_b": "Ann Lee", "S_c": "Bob"}[u.speaker or ""]
        )
        for u in transcript.utterances
    )
    shows = {"one": Transcript(language="en", engine="test", utterances=utterances)}

    class Named(Show):
        def apply(self) -> Corrected:
            groups = [Group({("one", name)}, name) for name in ("Mum", "Ann Lee", "Bob")]
            return apply_corrections(groups, self.corrections, TurnFinder(self.transcripts.get))

    show = Named(shows)
    show.ask(rename=("mum=ANN LEE",))
    assert show.names() == {"one": "ANN LEE ANN LEE Bob ANN LEE ANN LEE Bob"}


def test_two_people_of_one_name_are_not_joined_by_saying_it_again(show: Show) -> None:
    refs = {name: refer_to_turn(t, name, 0) for name, t in show.transcripts.items()}
    groups = [Group({("one", "S_a")}, "Ann"), Group({("two", "S_b")}, "Ann")]
    said = Corrections(corrections=(Rename(who=(refs["two"],), name="Ann"),))
    finder = TurnFinder(show.transcripts.get)
    assert len(apply_corrections(groups, said, finder).groups) == 2


def test_later_corrections_see_earlier_ones(show: Show) -> None:
    a, c = (
        refer_to_turn(show.transcripts["one"], "one", 0),
        refer_to_turn(show.transcripts["two"], "two", 1),
    )
    show.corrections = Corrections(
        corrections=(Merge(who=(a,), into=(c,)), Rename(who=(a,), name="Ann"))
    )
    assert show.names()["two"].split()[1] == "Ann"


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"rename": ("voice-9=Ann",)}, "There is no speaker 'voice-9'"),
        ({"rename": ("voicee-1=Ann",)}, "Did you mean 'voice-1'"),
        ({"rename": ("voice-1",)}, "not of the form --rename ID=NAME"),
        ({"rename": ("voice-1=\u202e.",)}, "gives no name"),
        ({"merge": ("voice-1=voice-1",)}, "names one speaker twice"),
        ({"split": ("voice-1:three",)}, "There is no recording 'three'"),
        ({"split": ("voice-1:",)}, "There is no recording ''"),
        ({"reassign": ("one:77=voice-1",)}, "its turns are 1 to 6"),
        ({"reassign": ("one:x=voice-1",)}, "There is no turn 'x'"),
        ({"reassign": ("ones:1=voice-1",)}, "Did you mean 'one'"),
        ({"drop": ("",)}, "There is no speaker ''"),
    ],
)
def test_what_refers_to_nothing_is_told_with_what_there_is(
    show: Show, asked: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        show.ask(**asked)
    assert message in str(caught.value)
    assert show.corrections == Corrections()


def test_words_carry_the_speaker_too(show: Show) -> None:
    naming = Naming(show.people())
    resolved = resolve_transcript(show.transcripts["one"], "one", naming)
    for utterance in resolved.utterances:
        assert [word.speaker for word in utterance.words] == [utterance.speaker]
    assert [u.text for u in resolved.utterances] == list(LINES)


def test_ids_stay_when_a_new_recording_brings_louder_voices(show: Show) -> None:
    before = {m: s.id for s in show.people().speakers for m in s.members}
    first = show.people()
    show.transcripts["three"] = script("dddddd", tuple(line * 5 for line in LINES))
    again = describe_people(show.apply(), analyse(show.transcripts), {}, first)
    after = {m: s.id for s in again.speakers for m in s.members}
    assert before.items() <= after.items()
    assert len({s.id for s in again.speakers}) == len(again.speakers) == 4


def test_who_is_hardly_heard_is_flagged() -> None:
    lines = (*(line * 40 for line in LINES[:5]), "No.")
    show = Show({"one": script("ababaz", lines)})
    tiny = [one for one in show.people().speakers if one.tiny]
    assert [(one.members[0].label, one.role) for one in tiny] == [("S_z", "other")]
    assert "hardly heard" in tiny[0].flags[0]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_corrected_everybody_is_somebody(data: st.DataObject) -> None:
    show = Show({"one": script("abaabb"), "two": script("bcbccb", tuple(reversed(LINES)))})
    for _ in range(data.draw(st.integers(1, 6))):
        ids = st.sampled_from([one.id for one in show.people().speakers])
        recording = data.draw(st.sampled_from(["one", "two"]))
        one, other = data.draw(ids), data.draw(ids)
        kind, text = data.draw(
            st.sampled_from(
                [
                    ("rename", f"{one}=Ann"),
                    ("rename", f"{one}=Ben"),
                    ("merge", f"{one}={other}"),
                    ("split", f"{one}:{recording}"),
                    ("reassign", f"{recording}:{data.draw(st.integers(1, 6))}={other}"),
                    ("drop", one),
                ]
            )
        )
        # what cannot be is refused, and changes nothing
        with contextlib.suppress(InputError):
            show.ask(**{kind: (text,)})
    assert show.apply().stale == []
    people = show.people()
    assert len({one.id for one in people.speakers}) == len(people.speakers)
    assert sum(one.share for one in people.speakers) == pytest.approx(1.0, abs=1e-3)
    for name, transcript in show.transcripts.items():
        resolved = resolve_transcript(transcript, name, Naming(people))
        known = {one.id for one in people.speakers}
        assert {utterance.speaker for utterance in resolved.utterances} <= known
