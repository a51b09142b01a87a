"""What feeds write in their own ways, in ours: text, moments, durations, numbers, languages."""

import re
import unicodedata
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from lxml import etree

LONGEST_HTML = 200_000
LONGEST_DURATION_S = 1_000_000.0  # some 11 days

# controls, surrogates, non-characters, and what turns the direction of the text that follows
_UNSHOWN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]*>|<!--|&(?:#\w{1,8}|[a-zA-Z]\w{1,31});")
_BLOCKS = ("p", "div", "br", "li", "ul", "ol", "h1", "h2", "h3", "h4", "tr", "blockquote", "pre")
_BREAK = re.compile(r"<(?:p|br|div|li|h\d)[\s/>]", re.IGNORECASE)
_MUTED = ("script", "style", "template")
_CLOCK = re.compile(r"(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,7}(?:\.\d{1,6})?)")


def plain_text(text: str, *, longest: int) -> str:
    """HTML or text as plain text in lines, at most `longest` characters, in composed form (NFC)."""
    text = _UNSHOWN.sub("", text[:LONGEST_HTML].replace("\r", "\n"))
    if _MARKUP.search(text):
        text = _strip_markup(text)
    lines = (" ".join(line.split()) for line in _UNSHOWN.sub("", text).split("\n"))
    joined = "\n".join(line for line in lines if line)
    return _shorten(unicodedata.normalize("NFC", joined), longest)


def plain_line(text: str, *, longest: int) -> str:
    """The same, in one line."""
    return _shorten(" ".join(plain_text(text, longest=LONGEST_HTML).split()), longest)


def parse_moment(text: str) -> str | None:
    """An RFC 822 or ISO 8601 moment as `2026-11-21T08:30:00Z`; None where it cannot be read.

    A moment without a time zone is taken as UTC.
    """
    text = " ".join(text.split())[:100]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    try:
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def parse_duration(text: str) -> float | None:
    """Seconds of `3725`, `62:05` or `1:02:05.5`; None where it cannot be read."""
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        return None
    seconds = int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + float(match[3])
    return seconds if seconds <= LONGEST_DURATION_S else None


def parse_count(text: str) -> int | None:
    """A whole number above zero, else None."""
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) and int(text) > 0 else None


def parse_language(text: str) -> str | None:
    """A language tag (`en_US` as `en-US`), or None where it is none."""
    tag = text.strip().replace("_", "-")
    primary, dash, rest = tag.partition("-")
    tag = primary.lower() + dash + rest
    return tag if re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag) else None


def _strip_markup(text: str) -> str:
    if _BREAK.search(text):  # where markup breaks lines, a line end is a space
        text = " ".join(text.split())
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(f"<html><body>{text}</body></html>".encode(), parser)
    except etree.XMLSyntaxError:
        return ""
    if root is None:
        return ""
    etree.strip_elements(root, *_MUTED, with_tail=False)
    for element in root.iter(*_BLOCKS):
        element.text = "\n" + (element.text or "")
        element.tail = "\n" + (element.tail or "")
    return "".join(str(part) for part in root.itertext())


def _shorten(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
