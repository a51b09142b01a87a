"""Read finished transcripts of many formats into a `Transcript`.

    read_transcript(Path("episode.srt"))

A format is told by its content, or named with `kind`; `FORMATS` says which there are. Text comes
out plain, each utterance on one line, and otherwise as it was written: nothing is corrected, no
speaker is guessed, and times are those of the file. `engine` and `diariser` of what is read are
`import:` and the format; `diariser` is None where the file says of nobody that they speak.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from podcaster.errors import InputError
from podcaster.ingest.imports import (
    changelog,
    log,
    name,
    outline,
    page,
    segments,
    srt,
    vtt,
)
from podcaster.ingest.imports.decode import clean_text, read_text
from podcaster.ingest.imports.languages import as_language
from podcaster.model import Transcript

DETECTION_CHARACTERS = 1_000_000  # of a text are looked at to tell its format


class _Format(NamedTuple):
    """A format: what it is, how its text is told from others', and who reads it."""

    what: str
    looks_so: Callable[[str], bool]
    parse: Callable[[str, str, str], Transcript]


# in the order in which they are tried: what cannot be mistaken comes first
_FORMATS: dict[str, _Format] = {
    "json": _Format(
        "JSON of openai-whisper, whisper.cpp, faster-whisper, WhisperX, the podcast namespace, "
        "or our own",
        segments.looks_so,
        segments.parse,
    ),
    "vtt": _Format("WebVTT captions, with or without voices", vtt.looks_so, vtt.parse),
    "log": _Format(
        "what Whisper programs print: `[0.00s -> 2.00s]  text`", log.looks_so, log.parse
    ),
    "srt": _Format("SubRip captions", srt.looks_so, srt.parse),
    "page": _Format(
        "an episode's page with turns that begin `Name (HH:MM:SS):`", page.looks_so, page.parse
    ),
    "changelog": _Format(
        "markdown whose paragraphs begin `**Name:**`", changelog.looks_so, changelog.parse
    ),
    "outline": _Format(
        "chapters alone, `MM:SS - title` each, and nothing said", outline.looks_so, outline.parse
    ),
    "name": _Format(
        "paragraphs that begin `Name:` or `Name: HH:MM:SS`, with or without YAML front matter",
        name.looks_so,
        name.parse,
    ),
}

FORMATS: dict[str, str] = {kind: form.what for kind, form in _FORMATS.items()}


def read_transcript(path: Path, *, kind: str | None = None, language: str = "en") -> Transcript:
    """Read a transcript file: `parse_transcript` of what it holds, called by its name.

    Raises InputError for a file that cannot be read, and whatever `parse_transcript` raises.
    """
    _check_kind(kind)
    return _parse(read_text(path), path.name, kind, language)


def parse_transcript(
    content: bytes, where: str, *, kind: str | None = None, language: str = "en"
) -> Transcript:
    """Read a transcript that is called `where` in messages.

    `kind` is one of `FORMATS`, and told by the content where it is None. `language` is taken
    where the content names none.

    Raises InputError, with the file and the line, for what is too large or no text, an unknown
    format, a text in which nobody says anything, and times that run backwards.
    """
    _check_kind(kind)
    return _parse(clean_text(content, where), where, kind, language)


def _parse(text: str, where: str, kind: str | None, language: str) -> Transcript:
    tag = as_language(language)
    if tag is None:
        raise InputError(
            f"{language!r} is no language.",
            next_step="Give a language tag such as `en` or `pt-BR`.",
        )
    return _FORMATS[kind or detect(text, where=where)].parse(text, where, tag)


def detect(source: Path | str, *, where: str = "The text") -> str:
    """Tell the format of a file, or of a text that is called `where` in messages.

    Raises InputError, with the formats that are known, where it is none of them.
    """
    if isinstance(source, Path):
        return detect(read_text(source), where=source.name)
    start = source[:DETECTION_CHARACTERS]
    for kind, form in _FORMATS.items():
        if form.looks_so(start):
            return kind
    suffix = where.rpartition(".")[2].lower()
    if suffix in ("json", "srt", "vtt"):  # whose reader can say what is wrong with it
        return suffix
    raise InputError(
        f"{where} is no transcript of a known format: it has neither captions, nor speakers' "
        "names before what they say, nor chapters.",
        next_step=_name_formats(),
    )


def _check_kind(kind: str | None) -> None:
    if kind is not None and kind not in _FORMATS:
        raise InputError(f"{kind!r} is no format of transcripts.", next_step=_name_formats())


def _name_formats() -> str:
    return f"Name one of {', '.join(FORMATS)} with `--format`."
