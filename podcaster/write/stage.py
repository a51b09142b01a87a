"""The stage `write`: from a guest, topics and notes to a script of the wished length."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from podcaster.errors import ConfigError, EngineError
from podcaster.model import Script, Speaker
from podcaster.progress import Progress
from podcaster.run import fingerprint
from podcaster.write.conversation import Conversation, Craft, words_of_names
from podcaster.write.draft import Draft
from podcaster.write.engine import Writer
from podcaster.write.instruct import Commission, InstructPrompt
from podcaster.write.interview import Brief, Interview
from podcaster.write.known import ask_fields
from podcaster.write.length import Clock, Pace
from podcaster.write.notes import Note
from podcaster.write.options import WriteOptions
from podcaster.write.outline import count_chapters
from podcaster.write.prompt import ChatPrompt, Prompt
from podcaster.write.script_file import read_script_file
from podcaster.write.sentences import clean_line, join_words
from podcaster.write.verbatim import open_verbatim

STAGE_VERSION = 3
LONGEST_NAME = 120
CHAT_CANDIDATES = 6
CHAT_REPEAT_PENALTY = 1.12  # a small model goes round in circles without
SCRIPT_CANDIDATES = 2
MOST_TITLE_TOPICS = 3
HOST, GUEST = "host", "guest"


@dataclass(frozen=True)
class WriteResult:
    """A script, how long it will be when spoken (by the pace handed in), and what was done.

    `counts`: `turns`, `candidates`, `resamples`, `reused` (turns taken from the draft),
    `found.<check>` and `repaired.<check>` for each check, and the engine's `tokens_evaluated`,
    `tokens_sampled`, `decode_s`.
    """

    script: Script
    estimate_s: float
    counts: dict[str, Any] = field(default_factory=dict)


def write(
    options: WriteOptions,
    engine: Writer | None,
    *,
    pace: Pace,
    notes: Sequence[Note],
    seed: int,
    disclosure: bool,
    draft: Path,
    progress: Progress,
) -> WriteResult:
    """Write a script as `options` wish, or take the one that they name.

    `draft` is a file that remembers each accepted turn: after a kill the same call goes on where it
    was, and ends with the same script, byte for byte. `engine` may be None where `options.script`
    is given. Raises ConfigError for names or lengths that cannot be, InputError for a script that
    cannot be read, EngineError where the model fails or cannot do this, RunError for the disk.
    """
    if options.script:
        script = read_script_file(
            Path(options.script), options=options, seed=seed, disclosure=disclosure
        )
        return WriteResult(script, _estimate_s(script, pace), {"turns": len([*script.turns()])})
    host = Speaker(id=HOST, name=check_name(options.host, "host"), role="host")
    guest = Speaker(id=GUEST, name=check_name(options.guest, "guest"), role="guest")
    if engine is None:
        raise EngineError("No model was opened to write with, and no script was given.")
    check_language(options, engine)
    decides = fingerprint(
        "write",
        STAGE_VERSION,
        {"options": msgspec.to_builtins(options), "seed": seed, "disclosure": disclosure,
         "pace": _describe_pace(pace)},
        engine.id,
        {note.id: note.sha256 for note in notes},
    )  # fmt: skip
    before = engine.counts()
    with Draft(draft, decides) as decisions:
        writing = _Writing(options, engine, host, guest, tuple(notes), seed, disclosure)
        conversation = writing.write(Clock(pace, options.minutes * 60), decisions, progress)
        reused = decisions.reused
    progress.report("write", options.minutes * 60, options.minutes * 60, "s")
    script = writing.script(conversation)
    after = engine.counts()
    counts: dict[str, Any] = {**dict(sorted(conversation.counts.items())), "reused": reused}
    counts |= {name: round(after[name] - before[name], 6) for name in after}
    return WriteResult(script, conversation.estimate_s(), counts)


class _Writing:
    """What one call of `write` holds together."""

    def __init__(
        self,
        options: WriteOptions,
        engine: Writer,
        host: Speaker,
        guest: Speaker,
        notes: tuple[Note, ...],
        seed: int,
        disclosure: bool,
    ) -> None:
        self._options = options
        self._engine = engine
        self._speakers = (host, guest)
        self._notes = notes
        self._seed = seed
        self._disclosure = disclosure
        self._title = f"A conversation with {guest.name}"
        self._summary = ""

    def write(self, clock: Clock, draft: Draft, progress: Progress) -> Conversation:
        """Write the conversation with the kind of model that there is."""
        host, guest = self._speakers
        brief = Brief(
            host=host,
            guest=guest,
            topics=self._choose_topics(clock.target_s, progress),
            steer=clean_line(self._options.steer),
            target_s=clock.target_s,
            seed=self._seed,
            disclosure=self._disclosure,
        )
        if brief.topics:
            about = join_words(brief.topics[:MOST_TITLE_TOPICS])
            self._title = f"{guest.name} on {about}"[:200]
        form = self._engine.model.chat
        if form is not None:
            if not brief.topics and not self._notes:
                brief = replace(brief, fields=self._ask_fields(draft))
            if brief.steer:
                progress.note(
                    f"{self._engine.model.name} is a small model: of --steer only the words count, "
                    "as topics; its tone does not. Larger models follow it: `podcaster setup`."
                )
            prompt = ChatPrompt(self._engine, form, self._speakers)
            talk = self._conversation(prompt, clock, draft, progress, CHAT_CANDIDATES)
            Interview(brief, talk, self._notes).write()
            return talk
        commission = Commission(brief, self._options.language, self._notes, self._engine)
        outline = commission.agree_outline(draft)
        self._title, self._summary = outline.title, outline.summary
        instructed = InstructPrompt(self._engine, commission, outline, draft)
        talk = self._conversation(instructed, clock, draft, progress, SCRIPT_CANDIDATES)
        commission.carry_out(outline, talk)
        return talk

    def _choose_topics(self, target_s: float, progress: Progress) -> tuple[str, ...]:
        """The topics that there is time for; those that are left out are named."""
        topics = tuple(tidy for t in self._options.topics if (tidy := clean_line(t)))
        room = count_chapters(target_s, len(topics))
        if left_out := topics[room:]:
            progress.note(
                f"--minutes {self._options.minutes:g} has room for {room} of {len(topics)} "
                f"topics; left out: {', '.join(left_out)}. Give more --minutes or fewer topics."
            )
        return topics[:room]

    def _ask_fields(self, draft: Draft) -> tuple[str, ...]:
        guest = self._speakers[1].name
        found: list[str] = draft.step(
            "fields", lambda: list(ask_fields(self._engine, guest, self._seed))
        )
        return tuple(found)

    def _conversation(
        self, prompt: Prompt, clock: Clock, draft: Draft, progress: Progress, candidates: int
    ) -> Conversation:
        options = self._options
        names = [speaker.name for speaker in self._speakers]
        craft = Craft(
            writer=self._engine,
            prompt=prompt,
            candidates=options.candidates or candidates,
            temperature=options.temperature,
            min_p=options.min_p,
            seed=self._seed,
            language=options.language,
            verbatim=open_verbatim(options.model),
            known_words=words_of_names("I", *names, *options.topics),
            repeat_penalty=CHAT_REPEAT_PENALTY if self._engine.model.chat else 1.0,
        )
        return Conversation(self._speakers, craft, clock, draft, progress)

    def script(self, talk: Conversation) -> Script:
        """The conversation as a script."""
        chapters = talk.finished_chapters()
        titles = [chapter.title for chapter in chapters[1:-1]]
        quoted = {source for chapter in chapters for t in chapter.turns for source in t.sources}
        guest = self._speakers[1].name
        return Script(
            title=self._title,
            summary=self._summary
            or f"{self._speakers[0].name} talks with {guest}. The chapters: "
            f"{join_words(titles) or 'hello and goodbye'}.",
            language=self._options.language,
            speakers=self._speakers,
            chapters=chapters,
            seed=self._seed,
            model=self._engine.model.name,
            model_sha256=self._engine.model.sha256,
            sources=tuple(note.source for note in self._notes if note.id in quoted),
        )


def check_name(name: str, role: str) -> str:
    """A speaker's name without control characters. Raises ConfigError: empty, or too long."""
    tidy = clean_line(name)
    if not tidy:
        raise ConfigError(
            f"The {role} has no name.",
            next_step=f'Say who it is: --{role} "Ada Lovelace".',
        )
    if len(tidy) > LONGEST_NAME:
        raise ConfigError(
            f"The {role}'s name has {len(tidy)} characters, expected at most {LONGEST_NAME}.",
            next_step="Use a shorter name.",
        )
    return tidy


def check_language(options: WriteOptions, engine: Writer) -> None:
    """Raise EngineError where the model cannot write in the language that is wished."""
    if engine.model.chat is not None and options.language.partition("-")[0] != "en":
        which = "built-in model" if options.model == "builtin" else f"model {engine.model.name}"
        raise EngineError(
            f"The {which} is small: it is led through a conversation in English only, and the "
            f"language asked for is {options.language}.",
            next_step="Choose a larger model with --model (see `podcaster setup`), or give a "
            "script of your own with --script.",
        )


def _describe_pace(pace: Pace) -> list[float]:
    # another voice speaks at another pace, and then another script is due
    sample = "This is how long it takes to say a sentence of a dozen words."
    timings = [pace.gap_s, pace.overhead_s(1), pace.overhead_s(5)]
    timings += [pace.turn_s(speaker, sample) for speaker in (HOST, GUEST)]
    return [round(timing, 3) for timing in timings]


def _estimate_s(script: Script, pace: Pace) -> float:
    spoken = sum(pace.turn_s(turn.speaker, turn.text) + pace.gap_s for turn in script.turns())
    return spoken + pace.overhead_s(len(script.chapters))
