"""Read the few frames of a stranger's ID3v2 tag that say who made a file and how.

Only plain text is looked at: nothing is decompressed and no picture is touched, so that a tag
costs no more than its size. Specifications: ID3v2.3.0, ID3v2.4.0.
"""

from pathlib import Path

from podcaster.errors import InputError
from podcaster.model import Noun
from podcaster.publish.text import clean_line, clean_text, shorten

LARGEST_TAG_BYTES = 16_000_000  # covers are much smaller
_MOST_FRAMES = 2000
_LONGEST_COMMENT = 4000
_HEADER_BYTES = 10
_UNSYNCHRONISED, _EXTENDED = 0x80, 0x40  # of the tag's flags
_PLAIN = {3: 0x00E0, 4: 0x000F}  # flags of frames that are compressed, encrypted, grouped, …
_ENCODINGS = {0: "latin-1", 1: "utf-16", 2: "utf-16-be", 3: "utf-8"}
_TEXTS = {b"TIT2": "title", b"TPE1": "artist", b"TALB": "album"}
_MANIFEST_TYPE = b"application/c2pa"


class FoundTags(Noun, frozen=True):
    """What a tag says; text is cleaned, for it is shown. `manifests` counts those for C2PA."""

    version: str
    title: str = ""
    artist: str = ""
    album: str = ""
    comments: tuple[str, ...] = ()
    manifests: int = 0


def read_id3(path: Path) -> FoundTags | None:
    """Read an MP3's ID3v2.3 or 2.4 tag; None where there is none. What is broken is passed over.

    Raises InputError for a tag larger than LARGEST_TAG_BYTES, or a file that cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER_BYTES)
            if len(head) < _HEADER_BYTES or head[:3] != b"ID3" or head[3] not in _PLAIN:
                return None
            size = _synchsafe(head[6:10])
            if size > LARGEST_TAG_BYTES:
                raise InputError(
                    f"{path} has a tag of {size:,} bytes, expected at most {LARGEST_TAG_BYTES:,}."
                )
            body = file.read(size)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    return _parse(body, head[3], head[5])


def _parse(body: bytes, version: int, flags: int) -> FoundTags:
    if version == 3 and flags & _UNSYNCHRONISED:
        body = body.replace(b"\xff\x00", b"\xff")
    position = _skip_extended(body, version) if flags & _EXTENDED else 0
    texts: dict[str, str] = {}
    comments: list[str] = []
    manifests = 0
    for _ in range(_MOST_FRAMES):
        name, header = body[position : position + 4], body[position + 4 : position + 10]
        if len(header) < 6 or not name.isalnum():
            break
        size = _synchsafe(header[:4]) if version == 4 else int.from_bytes(header[:4], "big")
        content = body[position + 10 : position + 10 + size]
        position += 10 + size
        if name == b"GEOB":
            manifests += _MANIFEST_TYPE in content[:64]
        elif not int.from_bytes(header[4:6], "big") & _PLAIN[version] and content:
            if name in _TEXTS:
                texts[_TEXTS[name]] = clean_line(_decode(content[0], content[1:]))
            elif name == b"COMM":
                comments.append(_comment(content))
    return FoundTags(
        version=f"2.{version}",
        comments=tuple(comment for comment in comments if comment),
        manifests=manifests,
        **texts,
    )


def _skip_extended(body: bytes, version: int) -> int:
    # 2.4 counts these four bytes in, 2.3 does not
    return _synchsafe(body[:4]) if version == 4 else int.from_bytes(body[:4], "big") + 4


def _comment(content: bytes) -> str:
    """The text of a COMM frame: encoding, three letters of language, description, zero, text."""
    encoding, rest = content[0], content[4:]
    wide = encoding in (1, 2)
    for index in range(0, len(rest) - wide, 1 + wide):
        if rest[index] == 0 and (not wide or rest[index + 1] == 0):
            text = _decode(encoding, rest[index + 1 + wide :])
            return shorten(clean_text(text).strip(), _LONGEST_COMMENT)
    return ""


def _decode(encoding: int, data: bytes) -> str:
    # UTF-16 has four bytes a character at most, and only so much is shown
    codec = _ENCODINGS.get(encoding, "latin-1")
    return data[: 8 * _LONGEST_COMMENT].decode(codec, errors="replace").strip("\x00")


def _synchsafe(data: bytes) -> int:
    """A number of four bytes, of each of which seven bits count."""
    value = 0
    for byte in data:
        value = value << 7 | byte & 0x7F
    return value
