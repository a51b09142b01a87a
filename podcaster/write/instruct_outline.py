"""The outline that an instruct model proposes, held to a JSON schema."""

from typing import Annotated, Any

import msgspec

from podcaster.errors import EngineError
from podcaster.model import Noun
from podcaster.write.engine import Sampling, Writer
from podcaster.write.phrases import derive_seed
from podcaster.write.sentences import clean_line

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


def propose_outline(writer: Writer, system: str, assignment: str, count: int, seed: int) -> Outline:
    """Let the model propose an outline of `count` chapters until one can be read.

    Raises EngineError where none of its attempts can.
    """
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
        if all(clean_line(chapter.title) for chapter in outline.chapters) and clean_line(
            outline.title
        ):
            return _tidy(outline)
    raise EngineError(
        f"The model {writer.model.name} did not write a usable outline in "
        f"{OUTLINE_ATTEMPTS} attempts.",
        next_step="Choose another model: `podcaster setup` lists some that do.",
    )


def _tidy(outline: Outline) -> Outline:
    return Outline(
        title=clean_line(outline.title),
        summary=clean_line(outline.summary),
        chapters=tuple(
            PlannedChapter(
                title=clean_line(chapter.title),
                keywords=tuple(word for k in chapter.keywords if (word := clean_line(k))),
                goal=clean_line(chapter.goal),
            )
            for chapter in outline.chapters
        ),
    )
