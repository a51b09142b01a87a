"""Fetch a note from the web: bounded in size and time, and never from inside this network."""

from podcaster import web
from podcaster.web import Page, is_url

__all__ = ["Page", "fetch_page", "is_url"]


def fetch_page(url: str, *, largest_bytes: int, allow_private: bool = False) -> Page:
    """Get `url` over http or https, checking every redirect as the first address.

    Raises InputError for an address inside this network (unless `allow_private`), for a refusal,
    for too many redirects, bytes or seconds.
    """
    purpose = web.Purpose(
        what="note",
        if_unreachable="Check the address, or save the page and give the file.",
        if_private="Save it to a file, or set `write.private_notes` to true.",
        if_large="Save the part that matters to a file and give that.",
        allow_private=allow_private,
    )
    return web.fetch_page(
        url, purpose, largest_bytes=largest_bytes, accept="text/*, application/pdf"
    )
