"""Who hosts is judged from who comes back; guests of validation are trained on nowhere."""

import hypothesis.strategies as st
from hypothesis import assume, given, settings

from podcaster.dataset.options import DatasetOptions
from podcaster.dataset.passes import Entry, KnownPeople, Measured, decide
from podcaster.dataset.roles import (
    Cast,
    Part,
    assign_roles,
    choose_sides,
    find_hosts,
    measure_parts,
)
from podcaster.dataset.split import choose_validation, find_held_out, normalise_name
from podcaster.dataset.stage import (
    GUEST_NOT_HEARD,
    HELD_OUT_GUEST,
    NO_SPEAKERS,
    ONE_SPEAKER,
    TOO_FEW_WORDS,
    TOO_MANY_SPEAKERS,
    screen,
)
from podcaster.model import Person, Role
from tests.dataset.conversations import say


def cast_of(**words: int) -> dict[str, Part]:
    return {
        name: Part(words=count, turns=5, questions=9 - place * 4, opened=place == 0)
        for place, (name, count) in enumerate(words.items())
    }


def test_parts_are_measured_in_the_order_of_first_words() -> None:
    cast = measure_parts([say("Ann", 10), say("Bob", 20), say("Ann", 5)])
    assert list(cast) == ["Ann", "Bob"]
    assert (cast["Ann"].words, cast["Ann"].turns, cast["Ann"].opened) == (15, 2, True)
    assert (cast["Bob"].words, cast["Bob"].opened) == (20, False)


def test_hosts_come_back_to_their_own_series() -> None:
    casts: list[tuple[str, Cast]] = [
        ("tea", cast_of(Ann=100, **{f"Guest{n}": 300})) for n in range(12)
    ]
    casts += [("milk", cast_of(Mo=100, Ann=300)), ("milk", cast_of(Mo=100, Lee=300))]
    assert find_hosts(casts) == {"tea": {"Ann"}, "milk": {"Mo"}}


def test_a_guest_who_came_twice_to_a_small_show_is_no_host() -> None:
    casts: list[tuple[str, Cast]] = [
        ("tea", cast_of(Ann=100, **{name: 300})) for name in ("Bob", "Bob", "Cy", "Di")
    ]
    assert find_hosts(casts) == {"tea": {"Ann"}}


def test_roles_and_sides() -> None:
    cast = cast_of(Ann=100, Bob=300, Cy=5)
    assert assign_roles(cast, frozenset({"Ann"})) == {"Ann": "host", "Bob": "guest", "Cy": "other"}
    assert assign_roles(cast, frozenset())["Ann"] == "host"  # who asks most
    dropped = assign_roles(cast, frozenset({"Ann"}), frozenset({"Bob"}))
    assert dropped["Bob"] == "other"
    # among hosts alone one leads, and stays a host
    roles = assign_roles(cast, frozenset({"Ann", "Bob"}))
    assert (roles["Ann"], roles["Bob"]) == ("host", "host")
    assert choose_sides(cast, roles) == {"Ann": "host", "Bob": "guest", "Cy": "other"}
    pair: dict[str, Role] = {"Ann": "host", "Bob": "guest", "Cy": "other"}
    assert choose_sides(cast, pair) == pair


def test_recordings_are_left_out_for_stated_reasons() -> None:
    options = DatasetOptions(fewest_words=200, most_speakers=3, fewest_guest_words=100)
    talk = cast_of(Ann=300, Bob=300)
    assert screen(talk, (), options) == ""
    assert screen({}, (), options) == NO_SPEAKERS
    assert screen(cast_of(Ann=60, Bob=60), (), options) == TOO_FEW_WORDS
    assert screen(cast_of(Ann=300, Bob=5), (), options) == ONE_SPEAKER
    crowd = cast_of(Ann=99, Bob=99, Cy=99, Di=99)
    assert screen(crowd, (), options) == TOO_MANY_SPEAKERS
    zoe = (Person(name="Zoë Guest", role="guest"), Person(name="Ann", role="host"))
    assert screen(talk, zoe, options) == GUEST_NOT_HEARD
    assert screen(talk | {"Zoe Guest": Part(words=20)}, zoe, options) == GUEST_NOT_HEARD
    assert screen(talk | {"ZOE GUEST": Part(words=150)}, zoe, options) == ""
    # a voice without a name may be theirs
    assert screen(talk | {"S2": Part(words=150)}, zoe, options) == ""


def test_names_are_compared_without_accents_case_and_points() -> None:
    assert normalise_name("Zoë O'Neil, Jr.") == normalise_name("ZOE ONEIL JR") == "zoe oneil jr"
    assert [normalise_name(label) for label in ("S1", "SPEAKER_00", "Speaker 2", "")] == [""] * 4


@given(
    ids=st.lists(st.text("abcdef0123456789", min_size=4, max_size=8), unique=True, max_size=60),
    more=st.lists(st.text("ghij", min_size=4, max_size=8), unique=True, max_size=60),
    share=st.floats(0, 0.5),
)
def test_adding_recordings_never_makes_a_trained_one_validate(
    ids: list[str], more: list[str], share: float
) -> None:
    before = choose_validation(ids, share)
    # where all but one validate, that one may be there only for something to train on
    assume(len(before) != len(ids) - 1)
    after = choose_validation([*ids, *more], share)
    assert not (set(ids) - before) & after
    if share == 0:
        assert not after
    elif len(ids) > 1:
        assert 0 < len(before) < len(ids)


@given(ids=st.lists(st.text("abcdef", min_size=2), unique=True, min_size=2, max_size=4))
def test_something_is_left_to_train_on_and_to_validate_with(ids: list[str]) -> None:
    for share in (0.001, 0.5):
        assert 0 < len(choose_validation(ids, share)) < len(ids)


def test_the_share_is_about_what_was_asked_for() -> None:
    ids = [f"recording-{n}" for n in range(4000)]
    chosen = choose_validation(ids, 0.05)
    assert 150 < len(chosen) < 250
    assert choose_validation(ids[:2000], 0.05) == chosen & set(ids[:2000])


names = st.sampled_from(["Ann", "Bob Lee", "Cy Fox", "Di Ray", "Ed Kim", "Flo Day", "S1", "S2"])
shows = st.lists(st.lists(names, min_size=2, max_size=4, unique=True), min_size=2, max_size=25)


@given(shows=shows, known=st.booleans(), share=st.floats(0.05, 0.5))
@settings(deadline=None)
def test_a_guest_of_validation_is_trained_on_nowhere(
    shows: list[list[str]], known: bool, share: float
) -> None:
    entries = [Entry(n, f"talk-{n}", "", "", "", ()) for n in range(len(shows))]
    measured = [Measured(cast=cast_of(**dict.fromkeys(people, 400))) for people in shows]
    people = KnownPeople(hosts=frozenset({"Ann"})) if known else None
    tasks = decide(entries, measured, DatasetOptions(hold_out=share), people)
    heard: dict[str, set[str]] = {"train": set(), "validation": set()}
    for task in tasks:
        for name, role in task.roles.items():
            if task.split == "train" or role != "host":
                heard[task.split].add(name)
    anonymous = set() if known else {"S1", "S2"}
    regular = find_hosts(("", one.cast) for one in measured)[""] if not known else {"Ann"}
    leads = {n for t in tasks if t.split == "validation" for n, r in t.roles.items() if r == "host"}
    assert not heard["validation"] & heard["train"] - regular - leads - anonymous
    kept = {task.entry.number for task in tasks}
    for number, one in enumerate(measured):
        assert (number in kept) != (one.dropped == HELD_OUT_GUEST)


def test_hosts_of_validation_hold_nothing_out() -> None:
    casts = {"a": cast_of(Ann=1, Bob=1), "b": cast_of(Ann=1, Cy=1), "c": cast_of(Ann=1, BOB=1)}
    roles: dict[str, dict[str, Role]] = {
        name: {who: "host" if who == "Ann" else "guest" for who in cast}
        for name, cast in casts.items()
    }
    assert find_held_out(casts, roles, frozenset({"a"}), {"Ann"}) == {"c"}
    assert find_held_out(casts, roles, frozenset({"a"}), {"Ann", "Bob"}) == frozenset()
