"""The outline that a large model proposes: held to a JSON schema, checked before it is believed."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from podcaster.errors import EngineError
from podcaster.model import Noun
from podcaster.units import split_words
from podcaster.write.engine import Sampling, Writer
from podcaster.write.exchange import content_words
from podcaster.write.phrases import derive_seed
from podcaster.write.sentences import clean_line, keep_whole

OUTLINE_TOKENS = 1600
OUTLINE_ATTEMPTS = 3
MOST_PLANNED_CHAPTERS = 16


class PlannedChapter(Noun, frozen=True):
    """A chapter as the model proposes it."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    keywords: tuple[str, ...]
    goal: str


class Outline(Noun, frozen=True):
    """An episode as the model proposes it."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
    summary: str
    chapters: Annotated[tuple[PlannedChapter, ...], msgspec.Meta(min_length=1)]


def outline_schema(chapters: int) -> dict[str, Any]:
    """The JSON schema that constrains an outline of so many chapters."""

    def text(longest: int) -> dict[str, Any]:
        return {"type": "string", "minLength": 3, "maxLength": longest}

    chapter = {
        "type": "object",
        "properties": {
            "title": text(60),
            "keywords": {"type": "array", "items": text(24), "minItems": 2, "maxItems": 6},
            "goal": text(160),
        },
        "required": ["title", "keywords", "goal"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "title": text(80),
            "summary": text(300),
            "chapters": {
                "type": "array",
                "items": chapter,
                "minItems": chapters,
                "maxItems": chapters,
            },
        },
        "required": ["title", "summary", "chapters"],
        "additionalProperties": False,
    }


# titles that stand for nothing, whatever the episode
_EMPTY_TITLE = re.compile(
    r"^(?:(?:the |an? )?(?:introductions?|intro|welcome|opening|overview|conclusions?|closing|"
    r"outro|summary|wrap[- ]?up|final thoughts?|chapter|part|section|title|topic|discussion|"
    r"interview|conversation|q ?& ?a|questions?|background|beginning|middle|end(?:ing)?|podcast|"
    r"episode|guest|host|untitled|main (?:topic|part|content))[\s\d:.#-]*)+$",
    re.IGNORECASE,
)


def find_outline_fault(outline: Outline, topics: Sequence[str], guest: str) -> str | None:
    """What is wrong with an outline, or None: its titles, or that it is about something else.

    A topic that was asked for must stand in the title, the summary or a chapter, by one of its
    content words; a topic of everyday words alone cannot be looked for.
    """
    titles = [chapter.title for chapter in outline.chapters]
    for title in titles:
        if _EMPTY_TITLE.match(title) or title.casefold() == guest.casefold():
            return f"the title {title!r} stands for nothing"
    spelled = [" ".join(sorted(set(split_words(title)))) for title in titles]
    if len(set(spelled)) < len(spelled):
        return "two chapters have the same title"
    about = [outline.title, outline.summary]
    about += [part for c in outline.chapters for part in (c.title, c.goal, *c.keywords)]
    said = set(content_words(" ".join(about)))
    for topic in topics:
        wanted = set(content_words(topic))
        if wanted and not wanted & said:
            return f"nothing is about {topic!r}"
    return None


def propose_outline(
    writer: Writer,
    system: str,
    assignment: str,
    count: int,
    seed: int,
    topics: Sequence[str],
    guest: str,
) -> Outline | None:
    """Let the model propose an outline of `count` chapters until one is good.

    None where all its attempts can be read, and none is any good: then plan it yourself. Raises
    EngineError where none can be read.
    """
    readable = False
    request = (
        f"{assignment}\n\nPlan {count} chapters. Answer with JSON: the episode's title "
        "and a summary of one or two sentences; for each chapter a title, a few keywords and "
        "its goal, that is, what the listener knows after it."
    )
    for attempt in range(OUTLINE_ATTEMPTS):
        sampling = Sampling(
            temperature=0.7,
            min_p=0.05,
            max_tokens=OUTLINE_TOKENS,
            seed=derive_seed(seed, "outline", attempt),
        )
        text = writer.complete_json(system, request, outline_schema(count), sampling)
        try:
            outline = msgspec.json.decode(text, type=Outline)
        except (msgspec.MsgspecError, UnicodeEncodeError):
            continue
        titles = (outline.title, *(chapter.title for chapter in outline.chapters))
        if not all(map(clean_line, titles)):
            continue
        readable = True
        tidy = _tidy(outline)
        if find_outline_fault(tidy, topics, guest) is None:
            return tidy
    if readable:
        return None
    raise EngineError(
        f"The model {writer.model.name} did not write a usable outline in "
        f"{OUTLINE_ATTEMPTS} attempts.",
        next_step="Choose another model: `podcaster setup` lists some that do.",
    )


def _tidy(outline: Outline) -> Outline:
    return Outline(
        title=clean_line(outline.title),
        # the schema's limit cuts in mid-sentence
        summary=keep_whole(clean_line(outline.summary)),
        chapters=tuple(
            PlannedChapter(
                title=clean_line(chapter.title),
                keywords=tuple(word for k in chapter.keywords if (word := clean_line(k))),
                goal=clean_line(chapter.goal),
            )
            for chapter in outline.chapters
        ),
    )
