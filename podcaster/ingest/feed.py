"""Read a podcast's feed from outside: RSS 2.0 or Atom, with what iTunes and Podcasting 2.0 add.

feedparser was not taken: it knows nothing of Podcasting 2.0's persons, transcripts and chapters.
"""

import hashlib
import re
import stat
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from podcaster.errors import ConfigError, InputError
from podcaster.ingest.feed_items import (
    Feed,
    FeedItem,
    FeedReader,
    FeedTranscript,
    ItemWithoutAudio,
)
from podcaster.ingest.feed_xml import parse_xml
from podcaster.model import slugify
from podcaster.web import Purpose, fetch_page, is_url, shown_address

__all__ = [
    "Feed",
    "FeedItem",
    "FeedTranscript",
    "ItemWithoutAudio",
    "read_feed",
    "safe_name",
    "select",
]

LARGEST_FEED_BYTES = 50_000_000
_ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, */*;q=0.5"
_APP_SCHEME = re.compile(r"^(?:feed|itpc|pcast|podcast)://|^feed:(?=https?://)", re.IGNORECASE)
_WITHOUT_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def read_feed(source: str | Path | bytes, *, base: str = "", allow_private: bool = False) -> Feed:
    """Read a feed from an address, from a file, or from bytes that came from the address `base`.

    Raises InputError, naming the source, for what cannot be reached, is too large, is no feed, or
    has no recordings at all. `allow_private` takes addresses inside this machine's network too.
    """
    stated = None
    if isinstance(source, bytes):
        where, content = "The feed", source
    elif isinstance(source, str) and (is_url(source) or source.lower().startswith("feed:")):
        address = _APP_SCHEME.sub(lambda m: "" if m[0].endswith(":") else "https://", source)
        where = f"The feed {shown_address(address)}"
        purpose = _purpose("feed", allow_private)
        page = fetch_page(address, purpose, largest_bytes=LARGEST_FEED_BYTES, accept=_ACCEPT)
        content, stated, base = page.content, page.encoding, base or page.url
    else:
        where, content = f"The feed {source}", _read_file(Path(source))
    if len(content) > LARGEST_FEED_BYTES:
        raise InputError(
            f"{where} has more than {LARGEST_FEED_BYTES // 1_000_000} MB.",
            next_step="Save the part that matters to a file and give that.",
        )
    root, remark = parse_xml(content, where=where, stated=stated, base=base)
    return FeedReader(
        where, base, _purpose("recording", allow_private), [remark] if remark else []
    ).read(root)


def select(
    items: Sequence[FeedItem],
    *,
    last: int | None = None,
    since: date | None = None,
    match: str | None = None,
) -> tuple[FeedItem, ...]:
    """The items that are asked for, newest first; those without a date come last.

    `since` is the first day that counts (in UTC). `match` is words that must all stand in the title
    or among the persons' names, in any order and case, or a regular expression between slashes.
    `last` is how many of those to take. Raises ConfigError where one of them makes no sense.
    """
    if last is not None and last < 1:
        raise ConfigError(f"The last {last} items were asked for, expected at least 1.")
    patterns = _patterns(match) if match is not None else []
    chosen = [
        item
        for item in sorted(items, key=lambda item: item.published_at or "", reverse=True)
        if (since is None or (item.published_at or "")[:10] >= since.isoformat())
        and all(pattern.search(_matched_text(item)) for pattern in patterns)
    ]
    return tuple(chosen[:last])


def safe_name(title: str, guid: str) -> str:
    """A file's name without its suffix: ASCII words of the title, and what is the guid's alone.

    Safe on every file system, whatever the title holds, and the same for the same item.
    """
    unique = hashlib.sha256(guid.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{slugify(title, longest=60)}-{unique}"


def _purpose(what: str, allow_private: bool) -> Purpose:
    return Purpose(
        what=what,
        if_unreachable="Check the address, or save the feed and give the file.",
        if_private="Save it yourself and add the file, or give --private if it is meant.",
        if_large="Save the part that matters to a file and give that.",
        allow_private=allow_private,
        most_redirects=10,
    )


def _read_file(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(
                f"The feed {path} is not a file.", next_step="Give a file or an address."
            )
        with path.open("rb") as file:
            return file.read(LARGEST_FEED_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"The feed {path} cannot be read: {reason}.",
            next_step="Give a file that is there, or an address that begins with https://.",
        ) from error


def _patterns(match: str) -> list[re.Pattern[str]]:
    if len(match) > 2 and match.startswith("/") and match.endswith("/"):
        try:
            return [re.compile(match[1:-1], re.IGNORECASE)]
        except re.error as error:
            raise ConfigError(
                f"{match!r} is not a regular expression: {error}.",
                next_step="Leave the slashes out to look for words.",
            ) from error
    words = match.split()
    if not words:
        raise ConfigError("Nothing to match was given.", next_step="Give a word of the title.")
    # whole words, but where a script has no spaces any part of a line may be one
    return [
        re.compile(
            re.escape(word) if _WITHOUT_SPACES.search(word) else rf"(?<!\w){re.escape(word)}(?!\w)",
            re.IGNORECASE,
        )
        for word in words
    ]


def _matched_text(item: FeedItem) -> str:
    return "\n".join([item.title, *(person.name for person in item.persons)])
