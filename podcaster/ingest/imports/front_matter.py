"""The YAML head of a markdown file: title, speakers, language.

Such heads hold plain scalars and lists of them, and only those are read: no aliases, no tags, no
nesting, so that a head from anywhere costs no more than its length.
"""

import re
from dataclasses import dataclass

from podcaster.ingest.imports.languages import as_language

LARGEST_HEAD_CHARACTERS = 100_000

_KEY = re.compile(r"([A-Za-z][\w-]{0,60})[ \t]{0,8}:(?:[ \t]{1,8}(.*))?")


@dataclass(frozen=True)
class FrontMatter:
    """What the head says; the text of the file below it begins at `end`."""

    title: str = ""
    description: str = ""
    speakers: tuple[str, ...] = ()
    language: str | None = None
    end: int = 0


def read_front_matter(text: str) -> FrontMatter:
    """Read the head of a file between two lines `---`; it may be missing."""
    if not text.startswith("---\n"):
        return FrontMatter()
    end = text.find("\n---", 3, LARGEST_HEAD_CHARACTERS)
    if end < 0:
        return FrontMatter()
    values: dict[str, list[str]] = {}
    items: list[str] = []
    for line in text[4:end].split("\n"):
        if key := _KEY.fullmatch(line.rstrip()):
            items = values.setdefault(key[1].lower(), [])
            items.extend(_read_value(key[2] or ""))
        elif (item := line.strip()).startswith("- "):
            items.append(_unquote(item[2:]))
        elif line[:1].isspace() and item:
            items.append(item)  # a text over several lines
    body = text.find("\n", end + 1)
    return FrontMatter(
        title=" ".join(values.get("title", [])),
        description=" ".join(values.get("description", values.get("summary", []))),
        speakers=tuple(name for name in values.get("speakers", []) if name),
        language=as_language(" ".join(values.get("language", values.get("lang", [])))),
        end=len(text) if body < 0 else body + 1,
    )


def _read_value(value: str) -> list[str]:
    value = value.strip()
    if value in ("", "|", ">", "|-", ">-"):
        return []
    if value.startswith("[") and value.endswith("]"):
        return [_unquote(part) for part in value[1:-1].split(",")]
    return [_unquote(value)]


def _unquote(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1].replace("''", "'")
    if len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1].replace('\\"', '"')
    return value
