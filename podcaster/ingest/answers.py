"""What a server's answer is: a recording at all, how long, from which byte on."""

import re

import requests

from podcaster.errors import InputError

_NOT_AUDIO = re.compile(
    r"text/|image/|application/(?:json|xml|xhtml\+xml|rss\+xml|atom\+xml|pdf|zip|javascript)\b"
)
_PAGE = re.compile(rb"\s*<(?:!doctype\s+html|html|head|\?xml|script)\b", re.IGNORECASE)
_GZIP = b"\x1f\x8b"
# MP3 with and without tags, AAC, Ogg, FLAC, WAV, AIFF, MPEG-4, Matroska
_AUDIO = re.compile(
    rb"ID3|\xff[\xe2\xe3\xf1\xf2\xf3\xf9\xfa\xfb]|OggS|fLaC|RIFF|FORM|.{4}ftyp|\x1aE\xdf\xa3",
    re.DOTALL,
)
BEGINNING_BYTES = 512
_RANGE = re.compile(r"bytes\s+(?:(\d{1,18})-\d{1,18}|\*)/(?:(\d{1,18})|\*)", re.IGNORECASE)


def refuse_unlike_audio(response: requests.Response, beginning: bytes, shown: str) -> None:
    """Raise InputError, beginning with `shown`, for a page or something else that is no recording.

    The body's first bytes count for more than what the server calls them: some call everything
    audio, and some call no audio so.
    """
    if _AUDIO.match(beginning):
        return
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") or _PAGE.match(beginning):
        raise InputError(
            f"{shown} is a web page, not a recording.",
            next_step="Open the address in a browser: it may ask for a login, or be gone.",
        )
    if _NOT_AUDIO.match(kind):
        raise InputError(
            f"{shown} is of type {kind[:80]}, not a recording.",
            next_step="Check the feed's address, or download the recording yourself.",
        )
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity") or beginning.startswith(_GZIP):
        raise InputError(
            f"{shown} was sent compressed, although it was asked for as it is.",
            next_step="Download it yourself, unpack it and give the file.",
        )


def content_length(response: requests.Response) -> int | None:
    """The length that counts: none of a chunked or malformed answer."""
    length = response.headers.get("content-length", "")
    if is_chunked(response):
        return None
    return int(length) if length.isascii() and length.isdigit() else None


def is_chunked(response: requests.Response) -> bool:
    """Whether the body says itself where it ends."""
    return "chunked" in response.headers.get("transfer-encoding", "").lower()


def content_range(response: requests.Response, start: int) -> tuple[int | None, int | None]:
    """The first byte and the whole length of an answer to a range (RFC 9110 §14.4)."""
    match = _RANGE.fullmatch(response.headers.get("content-range", "").strip())
    if match is None or match[1] is None:
        return None, None
    rest = content_length(response)
    total = int(match[2]) if match[2] else None
    return int(match[1]), start + rest if total is None and rest is not None else total
