"""What a client that has part of a file, or an older one, may ask for: conditions and ranges.

Specification: RFC 9110, sections 13 (conditional requests) and 14 (range requests).
"""

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

_MOST_RANGES = 64
_MOST_TAGS = 64
_RANGE = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")
_TAG = re.compile(r'\s*(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')


class Unsatisfiable(Exception):
    """No byte of the file is in any of the ranges asked for: the answer is 416."""


def parse_range(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """The bytes `[start, end)` that a `Range` header asks for; None: send the whole file.

    A header that cannot be read is ignored, as the specification wants. So is one with several
    ranges, unless they join into one: a server may always answer with everything.

    Raises Unsatisfiable.
    """
    if header is None or not header.lower().startswith("bytes="):
        return None
    specs = header[len("bytes=") :].split(",", _MOST_RANGES)
    matches = [_RANGE.fullmatch(spec.strip()) for spec in specs]
    if len(specs) > _MOST_RANGES or any(m is None or m.group() == "-" for m in matches):
        return None
    spans = []
    for first, last in (m.groups() for m in matches if m):
        if first and last and int(last) < int(first):
            return None
        if first:
            start, end = int(first), int(last) + 1 if last else size_bytes
        else:
            start, end = max(0, size_bytes - int(last)), size_bytes
        if start < min(end, size_bytes):
            spans.append((start, min(end, size_bytes)))
    if not spans:
        raise Unsatisfiable
    spans.sort()
    joined_end = spans[0][1]
    for start, end in spans[1:]:
        if start > joined_end:
            return None
        joined_end = max(joined_end, end)
    return spans[0][0], joined_end


def is_unchanged(
    etag: str, modified: datetime, if_none_match: str | None, if_modified_since: str | None
) -> bool:
    """Whether the client has what the file is now, so that 304 is the answer.

    `etag` is quoted. The tag decides where the client sent one, else the date.
    """
    if if_none_match is not None:
        return if_none_match.strip() == "*" or etag in _parse_tags(if_none_match)
    since = _parse_date(if_modified_since)
    return since is not None and modified.replace(microsecond=0) <= since


def may_continue(etag: str, modified: datetime, if_range: str | None) -> bool:
    """Whether a range may be sent: the client's earlier part is of the same file."""
    if if_range is None:
        return True
    if if_range.strip().startswith('"'):
        return if_range.strip() == etag
    date = _parse_date(if_range)  # a weak tag is no date, and so no
    return date is not None and modified.replace(microsecond=0) == date


def format_date(moment: datetime) -> str:
    """A moment as HTTP writes it: `Fri, 20 Nov 2026 00:00:00 GMT`."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _parse_tags(header: str) -> list[str]:
    tags: list[str] = []
    position = 0
    while position < len(header) and len(tags) < _MOST_TAGS:
        match = _TAG.match(header, position)
        if match is None:
            break
        tags.append(match.group(1))
        position = match.end()
    return tags


def _parse_date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
