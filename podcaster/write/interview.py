"""Lead a small model through an episode: we open, plan and close; it asks and answers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from podcaster.builtin.keywords import keywords
from podcaster.model import Speaker
from podcaster.units import split_words
from podcaster.write.closing import choose_closing, first_name
from podcaster.write.conversation import Conversation, Wanted
from podcaster.write.disclosure import disclosure_sentence
from podcaster.write.exchange import content_words
from podcaster.write.length import TOLERANCE, shorten
from podcaster.write.notes import Note
from podcaster.write.outline import (
    CHAPTER_S,
    ChapterPlan,
    count_chapters,
    list_questions,
    plan_chapters,
)
from podcaster.write.phrases import PHRASES, Phrasebook, fill, seeded
from podcaster.write.quote import (
    Passage,
    choose_passages,
    find_passages,
    group_passages,
    name_phrase,
    recaps,
    shorten_passage,
)
from podcaster.write.sentences import join_words, split_sentences

WELCOME = "Welcome"
GOODBYE = "Thank you, and goodbye"
SHORTEST_ANSWER_S = 7.0
ANSWER_S = (12.0, 26.0)  # the longer a small model speaks, the further it strays
LONGEST_ANSWER_S = 30.0
REACTION_SHARE = 0.3
QUESTION_WORDS = (8, 18)
LONGEST_FACT = 240  # characters
MOST_FACTS = 5  # of the notes, that the guest is told for a chapter of free talk
SHORTEST_EXCHANGE_S = 16.0
CLOSING_SHARE = 0.06  # of the episode, at most, is kept free for closing sentences
MOST_CLOSING_S = 7.0
QUESTION_COST_S = 5.0
MOST_RECAPS = 3
SHORTEST_RECAP_S = 8.0
LOOKING_BACK_S = 45.0
MOST_TURNS = 5000


@dataclass(frozen=True)
class Brief:
    """What an episode is to be; `fields`: in which the guest is known, where nothing is asked."""

    host: Speaker
    guest: Speaker
    topics: tuple[str, ...]
    steer: str
    target_s: float
    seed: int
    disclosure: bool
    fields: tuple[str, ...] = ()


class Interview:
    """One episode in the making."""

    def __init__(
        self, brief: Brief, conversation: Conversation, notes: Sequence[Note] = ()
    ) -> None:
        self._brief = brief
        self._talk = conversation
        self._notes = notes
        self._book = Phrasebook(brief.seed)
        self._host_first = first_name(brief.host.name)
        self._spoken_chapters: list[ChapterPlan] = []
        self._turns = 0
        self._stuck = False  # the guest had nothing to say
        self._asked: set[str] = set()
        self._taken_up: set[str] = set()

    def write(self) -> None:
        """Write it from the greeting to the goodbye."""
        if self._notes:
            self._write_from_notes()
        else:
            count = count_chapters(self._brief.target_s, len(self._brief.topics))
            plans = self._plan(count)
            self._expected_chapters = len(plans) + 2
            subjects = (
                self._brief.topics
                or tuple(dict.fromkeys((*self._brief.fields, *(plan.subject for plan in plans))))[
                    :3
                ]
            )
            self._open(subjects)
            self._chat_through(plans)
            self._talk.check_answers()
        self._close()

    def _plan(self, count: int) -> tuple[ChapterPlan, ...]:
        """Chapters on what was asked for; else on the guest's field by turns with life and work."""
        brief = self._brief
        if brief.topics or not brief.fields:
            return plan_chapters(brief.topics, brief.steer, count, brief.seed)
        ours = plan_chapters(brief.fields, brief.steer, (count + 1) // 2, brief.seed)
        rest = plan_chapters((), brief.steer, max(1, count - len(ours)), brief.seed)
        rest = tuple(replace(p, topics=(*p.topics, *brief.fields[:1])) for p in rest)
        mixed = [plan for pair in zip_longest(ours, rest) for plan in pair if plan is not None]
        return tuple(mixed[:count])

    # -- time ---------------------------------------------------------------------------------

    @property
    def _body_end_s(self) -> float:
        """When the farewell must begin, counted in spoken seconds."""
        reserve_s = min(MOST_CLOSING_S, CLOSING_SHARE * self._brief.target_s)
        overhead_s = self._talk.clock.overhead_s(self._expected_chapters)
        return self._brief.target_s - overhead_s - self._closing_base_s - reserve_s

    @property
    def _closing_base_s(self) -> float:
        host, guest = self._brief.host.id, self._brief.guest.id
        turn_s = self._talk.clock.turn_s
        longest = {kind: max(PHRASES[kind], key=len) for kind in ("thanks", "farewell_reply")}
        thanks = fill(longest["thanks"], guest=self._brief.guest.name)
        reply = fill(longest["farewell_reply"], host=self._host_first)
        goodbye = max(PHRASES["goodbye"], key=len)
        return turn_s(host, thanks) + turn_s(guest, reply) + turn_s(host, goodbye)

    def _left_s(self) -> float:
        return self._body_end_s - self._talk.clock.spoken_s

    # -- opening ------------------------------------------------------------------------------

    def _open(self, subjects: Sequence[str]) -> None:
        host, guest = self._brief.host, self._brief.guest
        self._talk.begin_chapter(
            ChapterPlan(
                title=WELCOME,
                subject="",
                keywords=("welcome", *keywords(" ".join(subjects), 4)),
            )
        )
        parts = [self._book.pick("hello")]
        if self._brief.disclosure:
            parts.append(disclosure_sentence("en"))
        parts.append(self._book.pick("introduction", host=host.name, guest=guest.name))
        if subjects:
            parts.append(self._book.pick("subject", topic=join_words(list(subjects)[:3])))
        self._talk.say(host.id, " ".join(parts))
        self._talk.say(guest.id, self._book.pick("opening_reply", host=self._host_first))

    # -- chapters written by the model --------------------------------------------------------

    def _chat_through(self, plans: Sequence[ChapterPlan]) -> None:
        for number, plan in enumerate(plans):
            chapters_left = len(plans) - number
            end_s = self._talk.clock.spoken_s + self._left_s() / chapters_left
            self._chat(plan, end_s, first=number == 0)

    def _chat(self, plan: ChapterPlan, end_s: float, *, first: bool) -> None:
        """One chapter of questions and answers until `end_s` of spoken time."""
        self._talk.begin_chapter(plan)
        self._spoken_chapters.append(plan)
        host = self._brief.host.id
        opening = plan.question or self._book.pick("about", topic=plan.subject)
        self._asked.add(opening)
        if not first:
            # a question of ours names its subject itself
            kind = "turn_page" if plan.question else "transition"
            opening = f"{self._book.pick(kind, topic=plan.subject)} {opening}"
        self._talk.say(host, opening)
        self._answer(end_s)
        while end_s - self._talk.clock.spoken_s >= SHORTEST_EXCHANGE_S and self._turns < MOST_TURNS:
            self._ask(plan)
            self._answer(end_s)

    def _ask(self, plan: ChapterPlan) -> None:
        """Let the host ask for what follows from the last answer, or change the subject."""
        host = self._brief.host.id
        self._turns += 1
        if self._stuck or self._talk.stands_still:
            self._stuck = False
            self._talk.say(host, f"{self._book.pick('other_side')} {self._other_question(plan)}")
            return
        ours = self._follow_up()
        words = self._random("question").randint(*QUESTION_WORDS)
        text = self._talk.improvise(Wanted(host, words, asks=True, question=ours))
        if text.endswith("?") and self._follows(text, plan):
            self._talk.say(host, text)
            return
        if self._random("reaction").random() < REACTION_SHARE:
            ours = f"{self._book.pick('reaction')} {ours}"
        self._talk.say(host, ours)

    def _follow_up(self) -> str:
        """A question of ours that takes up what the guest has named, else one that always fits."""
        phrase = name_phrase(self._talk.last_text, self._taken_up)
        if not phrase:
            return self._book.pick("follow_up")
        self._taken_up.update(word.removesuffix("s") for word in split_words(phrase))
        return self._book.pick("mention", topic=phrase)

    def _follows(self, question: str, plan: ChapterPlan) -> bool:
        """Whether the host's question has a word of the last answer or of the chapter in it."""
        about = " ".join((self._talk.last_text, *plan.topics, *plan.keywords))
        return bool(set(content_words(question)) & set(content_words(about)))

    def _other_question(self, plan: ChapterPlan) -> str:
        questions = list_questions(plan.topics, self._brief.seed)
        question = next((q for q in questions if q not in self._asked), questions[0])
        self._asked.add(question)
        return question

    def _answer(self, end_s: float) -> None:
        guest = self._brief.guest.id
        left_s = end_s - self._talk.clock.spoken_s
        wished_s = self._random("answer").uniform(*ANSWER_S)
        if left_s < wished_s + SHORTEST_EXCHANGE_S:
            # the chapter's last answer takes what is left, within reason
            wished_s = min(max(left_s, SHORTEST_ANSWER_S), LONGEST_ANSWER_S)
        words = self._talk.clock.words_in(wished_s, guest)
        text = self._talk.improvise(Wanted(guest, words))
        fitting = shorten(self._talk.clock, guest, text, max(left_s + 4.0, SHORTEST_ANSWER_S), "en")
        self._stuck = not text
        # where not even one sentence fits, it is said all the same: the farewell makes up for it
        said = fitting or next(iter(split_sentences(text)), "")
        self._talk.say(guest, said or self._book.pick("guest_stuck"))
        self._turns += 1

    def _random(self, what: str) -> random.Random:
        return seeded(self._brief.seed, what, len(self._talk.chapters), self._turns)

    # -- chapters out of the notes ------------------------------------------------------------

    def _write_from_notes(self) -> None:
        brief = self._brief
        passages = find_passages(self._notes)
        guest = brief.guest.id
        turn_s = self._talk.clock.turn_s
        estimate_s = brief.target_s * 0.85
        chosen = choose_passages(
            passages, estimate_s, lambda p: turn_s(guest, p.text) + QUESTION_COST_S
        )
        count = count_chapters(brief.target_s)
        quoted_s = sum(turn_s(guest, p.text) + QUESTION_COST_S for p in chosen)
        quoted_chapters = max(1, min(count, round(quoted_s / CHAPTER_S)))
        groups = group_passages(chosen, quoted_chapters) if chosen else ()
        self._expected_chapters = len(groups) + 2
        headlines = (max(group, key=lambda p: p.salience).phrase for _, group in groups)
        self._open(brief.topics or tuple(dict.fromkeys(p for p in headlines if p))[:3])
        chosen = choose_passages(
            passages, self._left_s(), lambda p: turn_s(guest, p.text) + QUESTION_COST_S
        )
        groups = group_passages(chosen, quoted_chapters) if chosen else ()
        for number, (plan, group) in enumerate(groups):
            self._quote_chapter(plan, group, first=number == 0)
        self._sum_up(chosen)

    def _quote_chapter(self, plan: ChapterPlan, group: Sequence[Passage], *, first: bool) -> None:
        guest = self._brief.guest.id
        begun = False
        before: Passage | None = None
        for passage in group:
            fitting = self._fit_passage(passage)
            if fitting is None:
                break
            question = self._question(passage, before)
            if not begun:
                self._talk.begin_chapter(plan)
                self._spoken_chapters.append(plan)
                if not first:
                    moving_on = self._book.pick("transition", topic=passage.phrase or plan.subject)
                    question = f"{moving_on} {self._book.pick('quote_open')}"
                begun = True
            elif self._random("reaction").random() < 0.4:
                question = f"{self._book.pick('reaction')} {question}"
            self._talk.say(self._brief.host.id, question)
            text = fitting.text
            if (before is None or not passage.follows(before)) and (
                self._random("lead-in").random() < 0.45
            ):
                kind = "own_words" if passage.own_words else "others_words"
                text = f"{self._book.pick(kind)} {text}"
            self._talk.say(guest, text, sources=(passage.note,))
            self._turns += 1
            before = passage if fitting == passage else None

    def _question(self, passage: Passage, before: Passage | None) -> str:
        if before is not None and passage.follows(before):
            return self._book.pick("quote_on")
        if passage.phrase:
            return self._book.pick("quote_about", topic=passage.phrase)
        return self._book.pick("quote_on")

    def _fit_passage(self, passage: Passage) -> Passage | None:
        """The passage, or so many of its first sentences as there is time for."""
        left_s = self._left_s() - QUESTION_COST_S + 3.0
        for sentences in range(len(passage.sentences), 0, -1):
            shorter = shorten_passage(passage, sentences)
            if self._talk.clock.turn_s(self._brief.guest.id, shorter.text) <= left_s:
                return shorter
        return None

    def _sum_up(self, quoted: Sequence[Passage]) -> None:
        """The notes are used up: come back to what was said, then let the talk go on freely."""
        left_s = self._left_s()
        if left_s < SHORTEST_RECAP_S:
            return
        if left_s >= LOOKING_BACK_S or len(self._talk.chapters) < 2:
            self._expected_chapters += 1
            text = " ".join(passage.text for passage in quoted)
            plan = ChapterPlan(
                title="Looking back", subject="what we heard so far", keywords=keywords(text, 6)
            )
            self._talk.begin_chapter(plan)
            self._spoken_chapters.append(plan)
        self._recap(quoted)
        rest_s = self._left_s()
        if rest_s < 2 * SHORTEST_EXCHANGE_S:
            return
        count = count_chapters(rest_s)
        self._expected_chapters += count
        named = (p.phrase for p in sorted(quoted, key=lambda p: -p.salience) if p.phrase)
        topics = self._brief.topics or tuple(dict.fromkeys(named))[: max(1, count // 3)]
        plans = plan_chapters(topics, self._brief.steer, count, self._brief.seed)
        self._chat_through([self._with_facts(plan) for plan in plans])

    def _with_facts(self, plan: ChapterPlan) -> ChapterPlan:
        """The plan with the sentences of the notes that have most to do with it."""
        wanted = set(content_words(" ".join((*plan.topics, *plan.keywords))))
        sentences = [s for note in self._notes for s in note.sentences if len(s) < LONGEST_FACT]
        kinship = [len(wanted & set(content_words(s))) for s in sentences]
        order = sorted(range(len(sentences)), key=lambda i: (-kinship[i], i))[:MOST_FACTS]
        return replace(plan, facts=tuple(sentences[i] for i in sorted(order) if kinship[i]))

    def _recap(self, quoted: Sequence[Passage]) -> None:
        host, guest = self._brief.host.id, self._brief.guest.id
        for quote in recaps(quoted, MOST_RECAPS):
            source = next(p.note for p in quoted if quote in p.sentences)
            asked = self._book.pick("recap", quote=quote)
            reply = self._book.pick("recap_reply")
            turn_s = self._talk.clock.turn_s
            if turn_s(host, asked) + turn_s(guest, reply) <= self._left_s() + 2.0:
                self._talk.say(host, asked, sources=(source,))
                self._talk.say(guest, reply)

    # -- closing ------------------------------------------------------------------------------

    def _close(self) -> None:
        """Say goodbye, with as many closing sentences as bring the episode to its length."""
        host, guest = self._brief.host, self._brief.guest
        chapters = len(self._talk.finished_chapters()) + 1
        available_s = self._brief.target_s - self._talk.clock.overhead_s(chapters)
        thanks = self._book.pick("thanks", guest=guest.name)
        reply = self._book.pick("farewell_reply", host=self._host_first)
        goodbye = self._book.pick("goodbye")
        turn_s = self._talk.clock.turn_s
        base_s = turn_s(host.id, thanks) + turn_s(guest.id, reply) + turn_s(host.id, goodbye)
        too_long_s = TOLERANCE * self._brief.target_s / 2
        while self._talk.clock.spoken_s + base_s > available_s + too_long_s:
            if not self._talk.drop_last_sentence(guest.id):
                break
        wished_s = available_s - self._talk.clock.spoken_s - base_s
        subjects = [plan.subject for plan in self._spoken_chapters]
        slots = {"first": subjects[0], "last": subjects[-1]} if len(subjects) > 1 else {}
        said = choose_closing(
            self._talk, wished_s, {host.id: "filler_host", guest.id: "filler_guest"}, slots
        )
        self._talk.begin_chapter(
            ChapterPlan(title=GOODBYE, subject="goodbye", keywords=("goodbye",))
        )
        self._talk.say(host.id, " ".join([*said[host.id], thanks]))
        self._talk.say(guest.id, " ".join([reply, *said[guest.id]]))
        self._talk.say(host.id, goodbye)
