"""Read the notes that ground a guest: text, markdown, PDF or web pages, as sentences.

Notes come from outside: they are bounded before they are read, and whatever they say is text.
"""

import hashlib
import re
import stat
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from podcaster.errors import InputError
from podcaster.model import Noun, Source
from podcaster.units import count_words
from podcaster.write.fetch import fetch_page, is_url
from podcaster.write.sentences import clean_line, split_sentences

LARGEST_NOTE_BYTES = 20_000_000
LARGEST_PAGE_BYTES = 5_000_000  # of HTML, whose tree is much larger than its text
LARGEST_TEXT_CHARACTERS = 2_000_000
MOST_PDF_PAGES = 500
MOST_NOTES = 50


class Note(Noun, frozen=True):
    """A note as sentences, in paragraphs, in order; `sha256` is of the bytes as they came."""

    id: str
    title: str
    location: str
    sha256: str
    paragraphs: tuple[tuple[str, ...], ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """All sentences in order."""
        return tuple(sentence for paragraph in self.paragraphs for sentence in paragraph)

    @property
    def source(self) -> Source:
        """The note as a script names it."""
        return Source(id=self.id, title=self.title, location=self.location, sha256=self.sha256)


def read_notes(
    locations: Sequence[str], *, language: str = "en", allow_private: bool = False
) -> tuple[Note, ...]:
    """Read notes from files and addresses; their ids are `note-1`, `note-2`, …

    Raises InputError, naming the note, where one is missing, empty, too large, locked or not text.
    """
    if len(locations) > MOST_NOTES:
        raise InputError(
            f"There are {len(locations)} notes, expected at most {MOST_NOTES}.",
            next_step="Join some of them into one file.",
        )
    return tuple(
        _read_note(f"note-{number}", location, language, allow_private)
        for number, location in enumerate(locations, 1)
    )


def _read_note(note_id: str, location: str, language: str, allow_private: bool) -> Note:
    if is_url(location):
        page = fetch_page(location, largest_bytes=LARGEST_NOTE_BYTES, allow_private=allow_private)
        content = page.content
        kind, encoding = _kind_of_page(page.content_type, content, location), page.encoding
        title = location
    else:
        content = _read_file(Path(location), location)
        kind, encoding = _kind_of_file(location, content), None
        title = Path(location).stem.replace("_", " ").replace("-", " ")
    if kind == "pdf":
        text, found_title = _text_of_pdf(content, location), None
    elif kind == "html":
        text, found_title = _text_of_html(content, location)
    else:
        text = decode_text(content, location, encoding)
        found_title = _first_heading(text)
    if len(text) > LARGEST_TEXT_CHARACTERS:
        raise InputError(
            f"The note {location} has {len(text)} characters, expected at most "
            f"{LARGEST_TEXT_CHARACTERS}.",
            next_step="Save the part that matters to a file and give that.",
        )
    paragraphs = split_paragraphs(text, language)
    if not paragraphs:
        raise InputError(
            f"The note {location} holds no whole sentence.",
            next_step="Give a text in sentences, or leave the note out.",
        )
    return Note(
        id=note_id,
        title=clean_line(found_title or title)[:200] or note_id,
        location=location,
        sha256=hashlib.sha256(content).hexdigest(),
        paragraphs=paragraphs,
    )


def _read_file(path: Path, location: str) -> bytes:
    next_step = "Check the path given with --notes."
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise InputError(f"The note {location} is {kind}.", next_step=next_step)
        if status.st_size > LARGEST_NOTE_BYTES:
            raise InputError(
                f"The note {location} has {status.st_size / 1e6:.1f} MB, expected at most "
                f"{LARGEST_NOTE_BYTES // 1_000_000} MB.",
                next_step="Save the part that matters to a file and give that.",
            )
        with path.open("rb") as file:
            content = file.read(LARGEST_NOTE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"The note {location} cannot be read: {reason}.", next_step=next_step
        ) from error
    if not content.strip():
        raise InputError(f"The note {location} is empty.", next_step="Leave it out, or fill it.")
    return content


def _kind_of_file(location: str, content: bytes) -> str:
    if content.startswith(b"%PDF-"):
        return "pdf"
    return "html" if location.lower().endswith((".html", ".htm", ".xhtml")) else "text"


def _kind_of_page(content_type: str, content: bytes, location: str) -> str:
    if content.startswith(b"%PDF-") or content_type == "application/pdf":
        return "pdf"
    if content_type in ("text/html", "application/xhtml+xml"):
        return "html"
    if content_type.startswith("text/") or content_type in ("application/markdown", ""):
        return "text"
    raise InputError(
        f"The note {location} is of type {content_type}, expected text, HTML or PDF.",
        next_step="Save it as text and give the file.",
    )


def decode_text(content: bytes, location: str, encoding: str | None = None) -> str:
    """Decode text of an unknown encoding: its mark, UTF-8, UTF-16 by its zeros, else Windows-1252.

    Raises InputError where it is not text at all.
    """
    text = None
    for mark, marked in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe\x00\x00", "utf-32"),
        (b"\x00\x00\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if content.startswith(mark):
            encoding = marked
            break
    guesses = [encoding] if encoding else []
    sample = content[:4096]
    if not encoding and sample.count(0) > len(sample) // 4:
        guesses.append("utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be")
    for guess in (*guesses, "utf-8", "cp1252", "latin-1"):
        try:
            text = content.decode(guess)
            break
        except (UnicodeDecodeError, LookupError):
            continue
    text = text or ""
    strange = sum(1 for char in text[:20_000] if char < " " and char not in "\t\n\r\f\x0b")
    if "\x00" in text or strange > len(text[:20_000]) // 20:
        raise InputError(
            f"The note {location} is not text: it looks like a binary file.",
            next_step="Give text, markdown, HTML or PDF.",
        )
    return text


def _text_of_pdf(content: bytes, location: str) -> str:
    import pypdf

    try:
        reader = pypdf.PdfReader(BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise InputError(
                f"The note {location} is a PDF that is locked with a password.",
                next_step="Save an unlocked copy and give that.",
            )
        pages = []
        size = 0
        for page in reader.pages[:MOST_PDF_PAGES]:
            pages.append(page.extract_text())
            size += len(pages[-1])
            if size > LARGEST_TEXT_CHARACTERS:
                break
    except InputError:
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise InputError(
            f"The note {location} is a PDF that cannot be read: {reason}.",
            next_step="Save it again, or as text.",
        ) from error
    # a word broken at the end of a line is one word
    return re.sub(r"(\w)-\n(\w)", r"\1\2", "\n".join(pages))[:LARGEST_TEXT_CHARACTERS]


def _text_of_html(content: bytes, location: str) -> tuple[str, str | None]:
    import trafilatura

    if len(content) > LARGEST_PAGE_BYTES:
        raise InputError(
            f"The note {location} is a page of {len(content) / 1e6:.1f} MB, expected at most "
            f"{LARGEST_PAGE_BYTES // 1_000_000} MB.",
            next_step="Save the part that matters as text and give the file.",
        )
    try:
        text = trafilatura.extract(content, include_comments=False, include_tables=False)
        metadata = trafilatura.extract_metadata(content)
    except Exception as error:
        raise InputError(f"The note {location} is a page that cannot be read: {error}.") from error
    # lines of its result are paragraphs
    return (text or "").replace("\n", "\n\n"), (metadata.title if metadata else None)


_BREAK = re.compile(r"\n[^\S\n]*\n")
_STAGE_DIRECTION = re.compile(r"\[[^\]\n]{0,60}\]|\((?:[A-Z][a-z]+[a-z ,]*\.|[a-z ]{0,30})\)")
_MARKDOWN = (
    (re.compile(r"\A---\n.*?\n---\n", re.DOTALL), ""),
    (re.compile(r"```.*?(?:```|\Z)", re.DOTALL), "\n\n"),
    (re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)"), r"\1"),
    (re.compile(r"(?m)^\s{0,3}(?:#{1,6}|>|[-*+]|\d{1,3}[.)])\s+"), "\n\n"),
    (re.compile(r"(\*\*|__|~~|`)"), ""),
    (re.compile(r"https?://\S+"), ""),
)
# in a transcript with labels, those of the others: who asks, who calls out
_QUESTION_LABEL = re.compile(r"^(?:Q\b[.:]?|(?:QUESTION|Question|AUDIENCE)(?: [A-Z]+)?:)\s+")
_LABEL = re.compile(r"^(?:[A-Z][A-Z.' ]{1,40}|A):\s+")
_LABELLED_LINE = re.compile(r"\n(?=(?:Q {2,}|[A-Z][A-Z.' ]{2,40}:\s))")


def split_paragraphs(text: str, language: str = "en") -> tuple[tuple[str, ...], ...]:
    """Split a note into paragraphs of whole sentences, without markup, labels and headings.

    In a transcript of questions and answers only the answers stay: they are the guest's.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x0c", "\n\n")
    for pattern, replacement in _MARKDOWN:
        text = pattern.sub(replacement, text)
    text = _LABELLED_LINE.sub("\n\n", text)
    paragraphs = []
    asked = False
    for block in _BREAK.split(text):
        block = _STAGE_DIRECTION.sub(" ", block)
        line = clean_line(block)
        if _QUESTION_LABEL.match(line):
            asked = True
        elif _LABEL.match(line):
            asked = False
            line = _LABEL.sub("", line)
        if asked:
            continue
        line = re.sub(r"\s*(?:--+|—)\s*", " – ", line)
        sentences = [s for s in split_sentences(line, language) if _is_prose(s)]
        if sentences:
            paragraphs.append(tuple(sentences))
    return tuple(paragraphs)


def _is_prose(sentence: str) -> bool:
    if not sentence.rstrip("\"'”’»)]").endswith((".", "?", "!", "…", "。", "！", "？", "؟", "।")):
        return False  # a heading, a caption, a cell
    return count_words(sentence) >= 2 or len(sentence) > 20


def _first_heading(text: str) -> str | None:
    for line in text.splitlines()[:20]:
        if line.startswith("#") and (heading := line.lstrip("# ").strip()):
            return heading
    return None
