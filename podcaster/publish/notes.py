"""Show notes: what an episode is about, its chapters, sources and voices, and that AI made it."""

from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import urlsplit

from podcaster.model import Script, Source, Timeline, TimelineChapter, Voice
from podcaster.publish.text import clean_line, clean_text, escape_html

ALLOWED_TAGS = frozenset({"p", "ol", "ul", "li", "a"})  # all that podcast apps show alike
_CONSENTS = {
    "self": "by the speaker",
    "written": "in writing",
    "licensed": "by licence",
    "public-domain": "public domain",
}
_LONGEST_URL = 2000
DISCLOSURE_START = "This episode was made with AI"


def disclose(names: Sequence[str]) -> str:
    """The sentence that says that AI made this episode, and that these people did not speak."""
    who = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return (
        f"{DISCLOSURE_START}: the conversation is generated and the voices are synthetic. "
        f"{who} did not take part in it and did not say these words."
    )


def guests_of(script: Script) -> list[str]:
    """The names that the disclosure must name: the guests', or else everybody's."""
    guests = [s.name for s in script.speakers if s.role == "guest"]
    return [clean_line(n, fallback="?") for n in guests or [s.name for s in script.speakers]]


def format_clock(seconds: float) -> str:
    """A chapter's time, as apps make it a link: `02:05`, `1:02:05`."""
    minutes, s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{s:02d}" if hours else f"{minutes:02d}:{s:02d}"


def format_notes_html(
    script: Script, timeline: Timeline, voices: Mapping[str, Voice], *, disclosure: bool
) -> str:
    """Show notes as HTML, of `ALLOWED_TAGS` only."""
    parts = [f"<p>{escape_html(line)}</p>" for line in _paragraphs(script.summary)]
    parts.append("<p>Chapters</p>")
    parts.append(_html_list("ul", [escape_html(line) for line in _chapters(timeline.chapters)]))
    if script.sources:
        parts.append("<p>Sources</p>")
        parts.append(_html_list("ol", [_html_source(source) for source in script.sources]))
    parts.append("<p>Voices</p>")
    parts.append(_html_list("ul", [escape_html(line) for line in _voices(script, voices)]))
    if disclosure:
        parts.append(f"<p>{escape_html(disclose(guests_of(script)))}</p>")
    return "\n".join(parts) + "\n"


def format_notes_markdown(
    script: Script, timeline: Timeline, voices: Mapping[str, Voice], *, disclosure: bool
) -> str:
    """Show notes as Markdown, the same in content as the HTML."""
    blocks = [f"# {_escape_markdown(clean_line(script.title))}"]
    blocks += [_escape_markdown(line) for line in _paragraphs(script.summary)]
    chapters = "\n".join(f"- {_escape_markdown(c)}" for c in _chapters(timeline.chapters))
    blocks += ["## Chapters", chapters]
    if script.sources:
        lines = [f"{n}. {_markdown_source(s)}" for n, s in enumerate(script.sources, start=1)]
        blocks += ["## Sources", "\n".join(lines)]
    voice_lines = "\n".join(f"- {_escape_markdown(line)}" for line in _voices(script, voices))
    blocks += ["## Voices", voice_lines]
    if disclosure:
        blocks.append(_escape_markdown(disclose(guests_of(script))))
    return "\n\n".join(blocks) + "\n"


def web_address(location: str) -> str | None:
    """`location` if it is an http(s) address that may be linked to, else None."""
    if len(location) > _LONGEST_URL or any(c.isspace() or not c.isprintable() for c in location):
        return None
    try:
        parts = urlsplit(location)
        has_secret = bool(parts.username or parts.password)
    except ValueError:
        return None
    is_web = parts.scheme in ("http", "https") and bool(parts.netloc)
    return location if is_web and not has_secret else None


def source_title(source: Source) -> str:
    """A source's title; of a path only the file's name, never this machine's folders."""
    title = clean_line(source.title)
    if "://" not in title and (title.startswith(("/", "\\", "~")) or " " not in title):
        title = PureWindowsPath(PurePosixPath(title).name).name
    return title or source.id


class _Sanitiser(HTMLParser):
    """Keeps the allowed tags, balanced, and the text; scripts and styles lose their text too."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.open: list[str] = []
        self.muted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self.muted += 1
        if tag not in ALLOWED_TAGS or self.muted or len(self.open) > 50:
            return
        address = web_address(dict(attrs).get("href") or "") if tag == "a" else None
        if tag == "a" and address is None:
            return
        self.open.append(tag)
        self.parts.append(f'<a href="{escape_html(address)}">' if address else f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self.muted = max(0, self.muted - 1)
        elif tag in self.open:
            while True:
                closing = self.open.pop()
                self.parts.append(f"</{closing}>")
                if closing == tag:
                    break

    def handle_data(self, data: str) -> None:
        if not self.muted:
            self.parts.append(escape_html(data))


def sanitise_html(text: str) -> str:
    """Reduce HTML from anywhere to `ALLOWED_TAGS`, balanced, with links to the web only."""
    parser = _Sanitiser()
    parser.feed(clean_text(text[:200_000]))
    parser.close()
    return "".join(parser.parts) + "".join(f"</{tag}>" for tag in reversed(parser.open))


def _paragraphs(text: str) -> list[str]:
    lines = (clean_line(line, longest=4000) for line in clean_text(text).split("\n"))
    return [line for line in lines if line]


def _chapters(chapters: Sequence[TimelineChapter]) -> list[str]:
    return [f"{format_clock(c.start_s)} {clean_line(c.title, fallback='…')}" for c in chapters]


def _voices(script: Script, voices: Mapping[str, Voice]) -> list[str]:
    lines = []
    for speaker in script.speakers:
        line = f"{clean_line(speaker.name, fallback='?')} ({speaker.role})"
        voice = voices.get(speaker.id)
        if voice is not None:
            line += f": the synthetic voice “{voice.name}”, {clean_line(voice.description)}"
            line = line.rstrip(". ") + f" ({clean_line(voice.licence)})."
            if voice.consent is not None:
                line += f" Its use was allowed {_CONSENTS[voice.consent.kind]}."
        lines.append(line)
    return lines


def _html_list(tag: str, items: Sequence[str]) -> str:
    return f"<{tag}>" + "".join(f"<li>{item}</li>" for item in items) + f"</{tag}>"


def _html_source(source: Source) -> str:
    address, title = web_address(source.location), escape_html(source_title(source))
    return f'<a href="{escape_html(address)}">{title}</a>' if address else title


def _markdown_source(source: Source) -> str:
    address, title = web_address(source.location), _escape_markdown(source_title(source))
    return f"[{title}](<{address.replace('>', '%3E')}>)" if address else title


def _escape_markdown(text: str) -> str:
    return "".join("\\" + c if c in "\\`*_[]<>#|" else c for c in text)
