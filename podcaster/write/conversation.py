"""A conversation being written: who said what, how long it takes, and what the model says next."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from podcaster.errors import EngineError
from podcaster.model import Chapter, Speaker, Turn
from podcaster.progress import Progress
from podcaster.units import count_words, split_words
from podcaster.write.checks import Inspected, TurnContext, inspect_turn, phrases_of
from podcaster.write.draft import Draft
from podcaster.write.engine import Candidate, Sampling, Writer
from podcaster.write.exchange import content_words, share_new, stands_still
from podcaster.write.length import Clock
from podcaster.write.outline import ChapterPlan
from podcaster.write.phrases import derive_seed
from podcaster.write.prompt import Prompt
from podcaster.write.score import Wish, score
from podcaster.write.sentences import capitalise, split_sentences

ATTEMPTS = 3
MOST_INSPECTED = 8  # of the candidates for a turn
TOKENS_PER_WORD = 1.7
MOST_EMPTY_ANSWERS = 8  # before a model is given up in mid-conversation …
MOST_EMPTY_SHARE = 0.5  # … if they are more than this of all its answers
FOREIGN_TOKENS = 3.0  # a word, in languages that vocabularies know less well
LONGEST_TURN_WORDS = 170
TOO_LONG = 1.4  # times the wished words; then sentences are dropped from the end

_SOURCE_MARK = re.compile(r"\s*\[note-\d+\]")  # which notes are used is found by comparing

Verbatim = Callable[[str], int]


@dataclass(frozen=True)
class Craft:
    """How turns are sampled: the model, its settings, and what training text must not come back."""

    writer: Writer
    prompt: Prompt
    candidates: int
    temperature: float
    min_p: float
    seed: int
    language: str = "en"
    verbatim: Verbatim | None = None
    known_words: frozenset[str] = frozenset()
    repeat_penalty: float = 1.0


@dataclass(frozen=True)
class Wanted:
    """The next turn: who speaks, about how long, and what else is known of it.

    `question` is ours to ask where a host must and the model does not; the turn goes on from
    `beginning`; at an `edge` of the episode people greet and say goodbye.
    """

    speaker: str
    words: int
    asks: bool = False
    question: str = ""
    beginning: str = ""
    edge: bool = False


@dataclass
class OpenChapter:
    """A chapter that turns are still added to."""

    plan: ChapterPlan
    turns: list[Turn] = field(default_factory=list)


class Conversation:
    """Grows turn by turn; every decision of the model goes through the draft."""

    def __init__(
        self,
        speakers: tuple[Speaker, ...],
        craft: Craft,
        clock: Clock,
        draft: Draft,
        progress: Progress,
    ) -> None:
        self.speakers = {speaker.id: speaker for speaker in speakers}
        self.clock = clock
        self.chapters: list[OpenChapter] = []
        self.counts: Counter[str] = Counter()
        self._craft = craft
        self._draft = draft
        self._progress = progress
        self._said: set[tuple[str, ...]] = set()
        self._known: set[str] = set()
        self._shares: list[float] = []  # of what is new in each of the model's turns
        self._unasked = 0

    @property
    def stands_still(self) -> bool:
        """Whether the model's last turns bring so little that is new that the subject must change.

        Asking forgets them: what is said next has its chance.
        """
        found = stands_still(self._shares)
        if found:
            self._shares.clear()
            self.counts["found.stands_still"] += 1
        return found

    @property
    def last_text(self) -> str:
        """What was said last; empty at the beginning."""
        turns = [turn for chapter in self.chapters[-2:] for turn in chapter.turns]
        return turns[-1].text if turns else ""

    def begin_chapter(self, plan: ChapterPlan) -> None:
        """Move on to another chapter."""
        self.chapters.append(OpenChapter(plan))
        self._craft.prompt.add_chapter(plan)

    def say(self, speaker_id: str, text: str, sources: tuple[str, ...] = ()) -> None:
        """Add a turn whose text is settled."""
        speaker = self.speakers[speaker_id]
        self.chapters[-1].turns.append(Turn(speaker=speaker_id, text=text, sources=sources))
        self._craft.prompt.add_turn(speaker, text)
        self.clock.add(speaker_id, text)
        self._said |= phrases_of(text)
        self._known.update(content_words(text))
        if speaker.role == "host":
            self._unasked = 0 if "?" in text else self._unasked + 1
        self._progress.report(
            "write", min(self.clock.spoken_s, self.clock.target_s), self.clock.target_s, "s"
        )

    def improvise(self, wanted: Wanted) -> str:
        """Let the model find the next turn; empty where none of its attempts can be used.

        It is not added.
        """
        room = self._most_tokens(wanted.words) + count_words(wanted.beginning) * 2 + 8
        self._craft.prompt.make_room(room)
        turn = len(self.chapters[-1].turns) + 1
        key = f"{len(self.chapters)}.{turn}.{self.counts['turns']}"
        decided = self._draft.step(key, lambda: self._decide(key, wanted))
        self.counts["turns"] += 1
        self.counts.update(decided["counts"])
        text: str = decided["text"]
        if self.speakers[wanted.speaker].role == "guest" and not wanted.edge:
            self._shares.append(share_new(text, self._known))
            self.counts["answers"] += 1
            self.counts["empty_answers"] += not text
            if self.counts["empty_answers"] >= MOST_EMPTY_ANSWERS:
                self.check_answers()
        return text

    def check_answers(self) -> None:
        """Raise EngineError where the model had nothing to say to most of what it was asked."""
        asked, empty = self.counts["answers"], self.counts["empty_answers"]
        if empty <= MOST_EMPTY_SHARE * asked:
            return
        raise EngineError(
            f"The model {self._craft.writer.model.name} had nothing to say to {empty} of the "
            f"{asked} questions that its guest was asked.",
            next_step="Choose another model: `podcaster setup` lists some that answer.",
        )

    def finished_chapters(self) -> tuple[Chapter, ...]:
        """The chapters that have turns."""
        return tuple(
            Chapter(
                title=chapter.plan.title,
                turns=tuple(chapter.turns),
                keywords=chapter.plan.keywords,
            )
            for chapter in self.chapters
            if chapter.turns
        )

    def estimate_s(self) -> float:
        """How long the episode will be, as it stands."""
        return self.clock.spoken_s + self.clock.overhead_s(len(self.finished_chapters()))

    def drop_last_sentence(self, speaker_id: str) -> bool:
        """Take the last sentence off the latest turn of this speaker that has several."""
        language = self._craft.language
        for chapter in reversed(self.chapters):
            for index in range(len(chapter.turns) - 1, -1, -1):
                turn = chapter.turns[index]
                sentences = split_sentences(turn.text, language)
                if turn.speaker != speaker_id or len(sentences) < 2:
                    continue
                self._replace(chapter, index, " ".join(sentences[:-1]))
                self.counts["sentences_dropped"] += 1
                return True
        return False

    def extend_last_turn(self, speaker_id: str, text: str) -> None:
        """Put `text` before the last words of this speaker in the current chapter."""
        turns = self.chapters[-1].turns
        for index in range(len(turns) - 1, -1, -1):
            if turns[index].speaker == speaker_id:
                self._replace(self.chapters[-1], index, f"{text} {turns[index].text}")
                return

    def _replace(self, chapter: OpenChapter, index: int, text: str) -> None:
        old = chapter.turns[index]
        self.clock.replace(old.speaker, old.text, text)
        chapter.turns[index] = Turn(speaker=old.speaker, text=text, sources=old.sources)

    def _most_tokens(self, words: int) -> int:
        per_word = TOKENS_PER_WORD if self._craft.language.startswith("en") else FOREIGN_TOKENS
        return int(min(words, LONGEST_TURN_WORDS) * per_word) + 12

    def _decide(self, key: str, wanted: Wanted) -> dict[str, Any]:
        """Sample, inspect and score candidates until one can be used."""
        craft = self._craft
        counts: Counter[str] = Counter()
        wish, context = self._wish(wanted), self._context(wanted)
        opening = craft.prompt.open_turn(self.speakers[wanted.speaker], wanted.beginning)
        best, best_score = "", -math.inf
        best_findings: tuple[str, ...] = ()
        for attempt in range(ATTEMPTS):
            counts["resamples"] += attempt > 0
            sampling = Sampling(
                temperature=craft.temperature,
                min_p=craft.min_p,
                max_tokens=self._most_tokens(wanted.words),
                seed=derive_seed(craft.seed, key, attempt),
                stop_texts=craft.prompt.stop_texts,
                repeat_penalty=craft.repeat_penalty,
            )
            candidates = craft.writer.sample(opening, craft.candidates, sampling)
            counts["candidates"] += len(candidates)
            for candidate in _most_promising(candidates, wish):
                said = _SOURCE_MARK.sub("", wanted.beginning + candidate.text)
                inspected = inspect_turn(said, replace(context, finished=candidate.finished))
                counts.update(f"found.{finding}" for finding in inspected.findings)
                counts["inspected"] += 1
                counts["inspected_words"] += count_words(said)
                counts["refused"] += not inspected.usable
                text = self._fit(inspected.text, wanted)
                value = score(replace(inspected, text=text), candidate.mean_logprob, wish)
                if value > best_score:
                    best, best_score, best_findings = text, value, inspected.findings
            if best:
                break
        counts.update(f"repaired.{finding}" for finding in best_findings)
        return {"text": best, "counts": {name: n for name, n in counts.items() if n}}

    def _wish(self, wanted: Wanted) -> Wish:
        return Wish(
            words=min(wanted.words, LONGEST_TURN_WORDS),
            asks=wanted.asks,
            keywords=self.chapters[-1].plan.keywords,
            question=self.last_text,
            known=self._craft.known_words,
            said=self._known,
            invents=self._craft.writer.model.chat is not None,
        )

    def _context(self, wanted: Wanted) -> TurnContext:
        return TurnContext(
            role=self.speakers[wanted.speaker].role,
            names=tuple(s.name for s in self.speakers.values()),
            previous=self.last_text,
            said=self._said,
            known=self._known,
            own_name=self.speakers[wanted.speaker].name,
            unasked=self._unasked if wanted.asks else 0,
            question=wanted.question,
            language=self._craft.language,
            edge=wanted.edge,
            verbatim=self._craft.verbatim,
        )

    def _fit(self, text: str, wanted: Wanted) -> str:
        """End a host's turn with its first question; drop sentences where a turn is too long."""
        sentences = split_sentences(text, self._craft.language)
        if wanted.asks:
            # who asks twice in one turn mostly asks the same again
            asked = next((i for i, s in enumerate(sentences) if s.endswith("?")), len(sentences))
            del sentences[asked + 1 :]
        while len(sentences) > 1 and count_words(" ".join(sentences)) > wanted.words * TOO_LONG:
            # a question stays, what leads to it can go
            del sentences[0 if wanted.asks else -1]
        return capitalise(" ".join(sentences))


def _most_promising(candidates: Sequence[Candidate], wish: Wish) -> Sequence[Candidate]:
    """Those worth a close look, by their score as they came; the sort is stable."""
    if len(candidates) <= MOST_INSPECTED:
        return candidates
    return sorted(candidates, key=lambda c: -score(Inspected(c.text, ()), c.mean_logprob, wish))[
        :MOST_INSPECTED
    ]


def words_of_names(*texts: str) -> frozenset[str]:
    """Words that may stand with a capital because somebody or something is called so."""
    return frozenset(word for text in texts for word in split_words(text))
