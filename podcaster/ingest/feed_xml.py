"""Feeds as XML: decoded whatever they claim to be, parsed without trust, read by known names.

No entity of a document's own is expanded, nothing is loaded from elsewhere, and depth, text and
tags are bounded. What is not well-formed is mended where that is safe, and that is said.
"""

import codecs
import html
import re
from collections.abc import Iterable, Iterator
from html.entities import html5
from typing import Any
from urllib.parse import urljoin

from lxml import etree

from podcaster.errors import InputError
from podcaster.web import is_url, shown_address

MOST_TAGS = 2_000_000  # opening and closing; a tree takes some 100 bytes for each
_BROKEN = "\ufffd"

# by address without its scheme, in lower case: feeds spell these in many ways
_PREFIXES = {
    "www.itunes.com/dtds/podcast-1.0.dtd": "itunes:",
    "podcastindex.org/namespace/1.0": "podcast:",
    "github.com/podcastindex-org/podcast-namespace/blob/main/docs/1.0.md": "podcast:",
    "purl.org/rss/1.0/modules/content": "content:",
    "purl.org/dc/elements/1.1": "dc:",
    "search.yahoo.com/mrss": "media:",
    "podlove.org/simple-chapters": "psc:",
    "www.w3.org/2005/atom": "atom:",
    "purl.org/rss/1.0": "",
    "backend.userland.com/rss2": "",
    "": "",
}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"<\0?\0", "utf-16-le"),
    (b"\0<\0?", "utf-16-be"),
)
_DECLARATION = re.compile(rb"""\A\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})["']""")
_NO_TEXT_ENCODINGS = {"punycode", "idna", "unicode_escape", "raw-unicode-escape", "utf-7"}
_SEVEN_BIT = re.compile(r"iso2022|hz")  # they look like ASCII, which looks like UTF-8
# what XML 1.0 cannot carry (§2.2), as itself and as a reference
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(?:[xX]([0-9a-fA-F]{1,8})|([0-9]{1,8}));")
_NAMED = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31};)")
_BARE_AMPERSAND = re.compile(r"&(?!#?\w{1,32};)")
_XML_NAMES = {"amp;", "lt;", "gt;", "quot;", "apos;"}
_PAGE = re.compile(r"<(?:!doctype\s+html|html[\s>])", re.IGNORECASE)
_LINK = re.compile(r"<link\b[^<>]{0,2000}>", re.IGNORECASE)
_HREF = re.compile(r"""\bhref\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_FEED_TYPE = re.compile(r"application/(?:rss|atom)\+xml", re.IGNORECASE)


class Node:
    """An element with its children by name: `title`, `itunes:author`, `atom:link`, …"""

    def __init__(self, element: etree._Element) -> None:
        self._element = element
        self._children: dict[str, list[etree._Element]] = {}
        for child in element:
            if isinstance(child.tag, str):
                self._children.setdefault(_name(child.tag), []).append(child)

    @property
    def name(self) -> str:
        """The element's own name."""
        return _name(str(self._element.tag))

    @property
    def content(self) -> str:
        """All text inside the element, its children's included."""
        return "".join(str(text) for text in self._element.itertext())

    def all(self, *names: str) -> Iterator["Node"]:
        """The children of these names: all of the first name, then all of the second …"""
        for name in names:
            for child in self._children.get(name, ()):
                yield Node(child)

    def text(self, *names: str) -> str:
        """The first text that is not blank among the children of these names, else nothing."""
        return next((text for node in self.all(*names) if (text := node.content.strip())), "")

    def get(self, attribute: str) -> str:
        """An attribute, without space around it; nothing where there is none."""
        return str(self._element.get(attribute) or "").strip()


def parse_xml(content: bytes, *, where: str, stated: str | None, base: str) -> tuple[Node, str]:
    """Parse a feed's bytes: its root, and a remark on what had to be mended ("" if nothing).

    `where` begins the error sentences ("The feed x"), `stated` is the encoding that a server
    stated, `base` the address that it came from. Raises InputError for what is not XML.
    """
    if not content.strip():
        raise InputError(f"{where} is empty.", next_step="Check the address or the file.")
    text = _decode(content, stated)
    if _PAGE.search(text[:2000]):
        raise _not_a_feed(text, where, base)
    if text.count("<") > MOST_TAGS:
        raise InputError(
            f"{where} has more than {MOST_TAGS} tags.",
            next_step="Ask whoever publishes it for a smaller one, or save a part of it to a file.",
        )
    remarks = [f"{where} has characters that cannot be read."] if _BROKEN in text else []
    text = _NAMED.sub(_spell_out, _REFERENCE.sub(_check_reference, _FORBIDDEN.sub("", text)))
    root, mended_at = _parse_leniently(text)
    if root is None:
        raise InputError(
            f"{where} is not XML: it begins with {text.strip()[:40]!r}.",
            next_step="Give the address of an RSS or Atom feed, or a file that holds one.",
        )
    document_type = root.getroottree().docinfo.internalDTD
    if document_type is not None and any(True for _ in _entities(document_type)):
        raise InputError(
            f"{where} declares entities of its own, which no feed needs and which can be used to "
            "fill a machine's memory.",
            next_step="Do not trust it; if it is yours, remove its DOCTYPE.",
        )
    if mended_at:
        remarks.append(f"{where} is not well-formed at line {mended_at}; items may be missing.")
    return Node(root), " ".join(remarks)


def _parse_leniently(text: str) -> tuple[etree._Element | None, int]:
    """The root, and the line that a parser had to guess at, or 0."""
    line = 0
    for mended, recover in ((text, False), (_BARE_AMPERSAND.sub("&amp;", text), False), ("", True)):
        data = (mended or _BARE_AMPERSAND.sub("&amp;", text)).encode("utf-8", "replace")
        parser = etree.XMLParser(
            encoding="utf-8",  # whatever the declaration says: it is decoded already
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
            recover=recover,
        )
        try:
            root = etree.fromstring(data.lstrip(), parser)
        except etree.XMLSyntaxError as error:
            line = line or error.lineno or 1
            continue
        return root, (line if recover else 0)
    return None, line


def _decode(content: bytes, stated: str | None) -> str:
    """By its mark; as UTF-8 if it is that, whatever it claims; else as it claims, or as can be."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, "replace").lstrip("\ufeff")
    declaration = _DECLARATION.match(content[:1000])
    claimed = [declaration[1].decode()] if declaration else []
    claimed += [stated] if stated else []
    encodings = [name for name in map(_codec, claimed) if name]
    seven_bit = content.isascii() and any(map(_SEVEN_BIT.match, encodings))
    for encoding in (*(() if seven_bit else ("utf-8",)), *encodings):
        try:
            return content.decode(encoding)
        except UnicodeError:
            continue
    # a few broken bytes among good UTF-8, or something of one byte a letter
    text = content.decode("utf-8", "replace")
    high_bytes = len(content) - len(content.decode("ascii", "ignore"))
    if text.count(_BROKEN) * 4 < high_bytes:
        return text
    return content.decode("cp1252", "replace")


def _codec(name: str) -> str | None:
    try:
        codec = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return None if codec in _NO_TEXT_ENCODINGS else codec


def _check_reference(match: re.Match[str]) -> str:
    code = int(match[1], 16) if match[1] else int(match[2])
    allowed = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE
    return match[0] if allowed or 0x10000 <= code <= 0x10FFFF else ""


def _spell_out(match: re.Match[str]) -> str:
    # HTML's names (&nbsp;) mean nothing in XML; writers of feeds forget that
    if match[1] in _XML_NAMES or match[1] not in html5:
        return match[0]
    return "".join(f"&#{ord(char)};" for char in html5[match[1]])


def _entities(document_type: Any) -> Iterable[object]:
    # its type stubs do not know this
    return document_type.iterentities()  # type: ignore[no-any-return]


def _name(tag: str) -> str:
    namespace, _, local = tag.rpartition("}")
    address = re.sub(r"^\{?(?:https?://)?", "", namespace.lower()).rstrip("/#")
    return _PREFIXES.get(address, "other:") + local


def _not_a_feed(text: str, where: str, base: str) -> InputError:
    for link in _LINK.findall(text[:200_000]):
        href = _HREF.search(link)
        if href and _FEED_TYPE.search(link):
            try:
                found = urljoin(base, html.unescape(href[1]))
            except ValueError:
                continue
            if is_url(found):
                step = f"It names a feed: {shown_address(found)}."
                return InputError(f"{where} is a web page, not a feed.", next_step=step)
    return InputError(
        f"{where} is a web page, not a feed.",
        next_step="Look on it for a link called RSS or feed, and give that address.",
    )
