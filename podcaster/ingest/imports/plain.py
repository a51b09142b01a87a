"""Markdown as plain text: links become their words, escapes what they stand for.

Every pattern is bounded or looks at each character a fixed number of times, so that no text can
make it slow.
"""

import html
import re

from podcaster.ingest.imports.clock import CLOCK

_IMAGE = re.compile(r"!\[[^\[\]]{0,400}+\]\((?:[^()]|\([^()]{0,200}+\)){0,1000}+\)")
_LINK = re.compile(r"(?<![\\!])\[([^\[\]]{0,400}+)\]\((?:[^()]|\([^()]{0,200}+\)){0,1000}+\)")
_ADDRESS = re.compile(r"<((?:https?://|mailto:)[^<>\s]{1,2000}+)>")
_TAG = re.compile(
    r"</?(?:a|abbr|b|br|del|div|em|i|ins|kbd|mark|p|small|span|strong|sub|sup|u)\b[^<>]{0,300}+>",
    re.IGNORECASE,
)
_STRONG = re.compile(r"(?<!\\)\*{2,3}(?=[^\s*])([^*]{1,2000}+)\*{2,3}")
_STRESSED = re.compile(r"(?<![\\*\w])\*(?=[^\s*])([^*]{1,2000}+)(?<![\s\\])\*(?![*\w])")
_UNDERLINED = re.compile(r"(?<![\\\w])_{1,3}(?=[^\s_])([^_]{1,2000}+)(?<![\s\\])_{1,3}(?!\w)")
_SLASHES = r"\\{0,3}"
_STAMP = re.compile(
    rf"{_SLASHES}\[{_SLASHES} ?{CLOCK}(?::[0-9]{{2}})? ?{_SLASHES}\]"
    rf"(?:\s?to\s?(?={_SLASHES}\[{_SLASHES} ?[0-9]))?"
)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,10});")
_BLOCK = re.compile(r"^[ \t]{0,8}(?:>[ >]{0,8}|[-+*][ \t])", re.MULTILINE)


def to_plain(markdown: str) -> str:
    """Return what is said in a paragraph of markdown; bracketed times in it are left out."""
    text = markdown
    if "<" in text:
        text = _TAG.sub(" ", _ADDRESS.sub(r"\1", _drop_comments(text)))
    if "[" in text:
        text = _STAMP.sub(" ", text)
        if "](" in text:
            text = _LINK.sub(r"\1", _IMAGE.sub(" ", text))
    if "*" in text:
        text = _STRESSED.sub(r"\1", _STRONG.sub(r"\1", text))
    if "_" in text:
        text = _UNDERLINED.sub(r"\1", text)
    if "\n" in text:
        text = _BLOCK.sub("", text)
    if "`" in text:
        text = text.replace("`", "")
    if "\\" in text:
        text = _ESCAPED.sub(r"\1", text)
    return unescape(text)


def unescape(text: str) -> str:
    """Replace HTML's entities; what is none stays."""
    if "&" not in text:
        return text
    # html.unescape alone fails on a number of many digits
    return _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)


def _drop_comments(text: str) -> str:
    kept, position = [], 0
    while (start := text.find("<!--", position)) >= 0:
        end = text.find("-->", start)
        if end < 0:
            break
        kept.append(text[position:start])
        position = end + 3
    return " ".join([*kept, text[position:]])
