"""Read a text file from anywhere: encodings, zero bytes, line ends, and files that are no text."""

import codecs
import re
from pathlib import Path

from podcaster.errors import InputError, foreign
from podcaster.units import format_bytes

LARGEST_FILE_BYTES = 64_000_000  # more than a thousand hours of speech
MOST_LINES = 2_000_000

_MARKS = (  # the longer ones first: UTF-32's begins as UTF-16's does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_SAMPLE = 65_536


def read_text(path: Path) -> str:
    """Read a text file; see `clean_text` for what comes out.

    Raises InputError if it is no file, or what `clean_text` raises.
    """
    with foreign(InputError, f"Reading {path.name}", OSError, ValueError):
        if not path.is_file():  # a pipe or a device may never end
            raise InputError(f"{path} is no file that can be read.")
        with path.open("rb") as stream:
            content = stream.read(LARGEST_FILE_BYTES + 1)
    return clean_text(content, path.name)


def clean_text(content: bytes, where: str) -> str:
    """Decode a text; its lines end with a line feed, and it has no control characters.

    Raises InputError if it is larger than `LARGEST_FILE_BYTES`, empty, or no text.
    """
    if len(content) > LARGEST_FILE_BYTES:
        raise InputError(
            f"{where} is larger than {format_bytes(LARGEST_FILE_BYTES)}, which no transcript is.",
        )
    text = decode(content)
    sample = text[:_SAMPLE]
    if len(_CONTROL.findall(sample)) > 16 + len(sample) / 50:
        raise InputError(
            f"{where} is no text.",
            next_step="Give a transcript, not a recording or an archive.",
        )
    text = _CONTROL.sub("", text) if _CONTROL.search(text) else text
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise InputError(f"{where} is empty.")
    if text.count("\n") > MOST_LINES:
        raise InputError(f"{where} has more than {MOST_LINES:,} lines, which no transcript has.")
    return text


def decode(content: bytes) -> str:
    """Decode text by its byte-order mark, else as UTF-16, UTF-8 or Windows-1252 by how it looks.

    Nothing fails: what cannot be decoded becomes U+FFFD.
    """
    for mark, marked in _MARKS:
        if content.startswith(mark):
            return content.decode(marked, errors="replace")
    if encoding := _utf16_without_mark(content[:_SAMPLE]):
        return content.decode(encoding, errors="replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("utf-8", errors="replace")
    # a few bad bytes in what is UTF-8 otherwise, or an older encoding throughout
    wrong = text.count("\ufffd")
    right = sum(map(len, re.findall(r"[^\x00-\x7f\ufffd]+", text)))
    return text if wrong * 4 < right else content.decode("cp1252", errors="replace")


def _utf16_without_mark(sample: bytes) -> str | None:
    half = len(sample) // 2
    if half < 8:
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if odd > half * 0.4 and even < half * 0.05:
        return "utf-16-le"
    if even > half * 0.4 and odd < half * 0.05:
        return "utf-16-be"
    return None
