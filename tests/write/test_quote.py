from typing import Any

from podcaster.units import count_words
from podcaster.write.notes import Note, split_paragraphs
from podcaster.write.outline import count_chapters, plan_chapters
from podcaster.write.quote import choose_passages, find_passages, group_passages, recaps

SPEECH = """
Good evening, ladies and gentlemen. Thank you so much for having me here tonight, all of you.

I have worked on the solar furnace for nine years now, and I can tell you what it does. The solar
furnace melts copper without a gram of coal. We built the first one behind a school, and the copper
came out as pure as any that a smelter makes.

But the copper was never the point of it. The point was that a village could own its furnace and
mend it with its own tools. A village that mends its own furnace does not wait for a company.

Water is the other half of the story, because a furnace in a dry country needs cooling. We dug a
cistern under the school yard and filled it from the roof. That cistern kept forty families in water
through the drought of last summer.

In the end we wrote everything down. The drawings of the furnace and of the cistern lie in the
library of the village, and whoever wants to copy them may do so without asking.
"""


def note_of(text: str, note_id: str = "note-1") -> Any:
    paragraphs = split_paragraphs(text)
    return Note(id=note_id, title="t", location="t.txt", sha256="ab" * 32, paragraphs=paragraphs)


NOTE = note_of(SPEECH)


def test_passages_are_neighbouring_sentences_of_the_note() -> None:
    passages = find_passages([NOTE])
    assert len(passages) >= 3
    for passage in passages:
        start = passage.position
        assert NOTE.sentences[start : start + len(passage.sentences)] == passage.sentences
        assert 10 <= count_words(passage.text) <= 80


def test_ceremony_is_not_quoted() -> None:
    said = " ".join(passage.text for passage in find_passages([NOTE]))
    assert "Thank you" not in said
    assert "Good evening" not in said


def test_questions_name_what_the_answer_is_about() -> None:
    for passage in find_passages([NOTE]):
        words = passage.phrase.removeprefix("the ").removeprefix("a ")
        assert words
        assert words.lower() in passage.text.lower()


def test_what_fits_is_chosen_in_the_notes_order() -> None:
    passages = find_passages([NOTE])
    chosen = choose_passages(passages, 100, lambda p: float(count_words(p.text)))
    assert 0 < sum(count_words(p.text) for p in chosen) <= 100
    positions = [p.position for p in chosen]
    assert positions == sorted(positions)
    assert choose_passages(passages, 1e9, lambda p: 1.0) == passages


def test_two_notes_keep_their_order() -> None:
    other = note_of(SPEECH.replace("furnace", "kiln"), "note-2")
    chosen = choose_passages(find_passages([NOTE, other]), 1e9, lambda p: 1.0)
    notes = [p.note for p in chosen]
    assert notes == sorted(notes)
    assert set(notes) == {"note-1", "note-2"}


def test_chapters_cover_all_passages_once_and_have_different_titles() -> None:
    passages = find_passages([NOTE, note_of(SPEECH, "note-2")])
    for count in range(1, 8):
        groups = group_passages(passages, count)
        assert tuple(p for _, group in groups for p in group) == passages
        titles = [plan.title for plan, _ in groups]
        assert len(set(titles)) == len(titles)
        assert all(title and title[0].isupper() for title in titles)


def test_first_person_notes_are_the_guests_own_words() -> None:
    assert all(passage.own_words for passage in find_passages([NOTE]))
    report = (
        "The furnace melts copper in the yard. The villagers mend it with their own tools. " * 3
    )
    assert not any(passage.own_words for passage in find_passages([note_of(report)]))


def test_recaps_stand_on_their_own() -> None:
    found = recaps(find_passages([NOTE]), 3)
    assert found
    for sentence in found:
        assert sentence in NOTE.sentences
        assert not sentence.startswith(("But", "That"))


def test_a_note_without_anything_to_quote_has_no_passages() -> None:
    assert find_passages([note_of("Yes. No. Maybe so, thank you.")]) == ()


# -- outlines without notes ------------------------------------------------------------------------


def test_every_length_gets_its_chapters_with_titles_of_their_own() -> None:
    for minutes in (1, 2, 5, 20, 60, 200):
        count = count_chapters(minutes * 60)
        for topics in ((), ("rockets",), ("rockets", "learning to cook", "the sea")):
            plans = plan_chapters(topics, "", count, 5)
            assert len(plans) == count
            titles = [plan.title for plan in plans]
            assert len(set(titles)) == count
            for plan in plans:
                assert plan.keywords
                assert plan.question
                assert "{" not in plan.title + plan.subject + plan.question


def test_topics_are_what_the_chapters_are_about() -> None:
    plans = plan_chapters(("rockets", "bread"), "", 4, 1)
    assert [("rockets" in p.keywords, "bread" in p.keywords) for p in plans] == [
        (True, False),
        (True, False),
        (False, True),
        (False, True),
    ]


def test_another_seed_is_another_outline() -> None:
    plans = [tuple(p.title for p in plan_chapters((), "", 5, seed)) for seed in range(4)]
    assert len(set(plans)) == 4
    assert plan_chapters((), "", 5, 1) == plan_chapters((), "", 5, 1)


def test_steering_adds_its_words() -> None:
    assert all("submarines" in p.keywords for p in plan_chapters((), "about submarines", 3, 1))


def test_a_topic_is_never_read_as_a_slot() -> None:
    (plan, *_) = plan_chapters(("{guest} and {0}",), "", 2, 1)
    assert "{guest} and {0}" in plan.title
