"""Text from outside, made safe for tags, XML, HTML and captions."""

import html
import re
import unicodedata

# what XML 1.0 cannot carry at all (§2.2), and what turns the direction of the text that follows
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffe\uffff\u202a-\u202e\u2066-\u2069]"
)
_NONCHARACTERS = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(f"{chr(p * 0x10000 + 0xFFFE)}-{chr(p * 0x10000 + 0xFFFF)}" for p in range(1, 17))
    + "]"
)


def clean_text(text: str) -> str:
    """Drop what no reader can show: control characters, surrogates, overrides of direction.

    Line breaks and tabs stay; the result is in Unicode's composed form (NFC).
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", _NONCHARACTERS.sub("", _FORBIDDEN.sub("", text)))


def clean_line(text: str, *, longest: int = 250, fallback: str = "") -> str:
    """Clean `text` into one line of at most `longest` characters; `fallback` if none is left."""
    line = " ".join(clean_text(text).split())
    return shorten(line, longest) or fallback


def shorten(text: str, longest: int) -> str:
    """Cut `text` to at most `longest` characters with an ellipsis, between words if possible."""
    if len(text) <= longest:
        return text
    cut = text[: longest - 1]
    # a combining mark or a joiner at the cut belongs to a character that is cut away
    while cut and (unicodedata.combining(text[len(cut)]) or cut[-1] == "\u200d"):
        cut = cut[:-1]
    space = cut.rfind(" ")
    if space > longest // 2:
        cut = cut[:space]
    return cut.rstrip() + "…"


def shorten_bytes(text: str, longest_bytes: int) -> str:
    """Cut `text` to at most `longest_bytes` of UTF-8 with an ellipsis, between characters."""
    data = text.encode()
    if len(data) <= longest_bytes:
        return text
    room = longest_bytes - len("…".encode())
    return data[:room].decode(errors="ignore").rstrip() + "…"


def escape_html(text: str) -> str:
    """Escape for HTML text and attributes, both kinds of quotes included."""
    return html.escape(clean_text(text), quote=True)
