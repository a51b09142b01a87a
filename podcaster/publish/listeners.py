"""Who may listen: a token each, of which only the hash is kept.

A token has 192 random bits, so that a plain SHA-256 of it is as hard to undo as a slow hash.
"""

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from podcaster.errors import InputError
from podcaster.model import Noun, Sha256, parse, to_json
from podcaster.publish.feed import feed_folder, lock_feed, read_feed, write_secret
from podcaster.publish.text import clean_line
from podcaster.run import read_bytes

TOKEN_BYTES = 24
TOKEN_PATTERN = re.compile(r"[A-Za-z0-9_-]{32}")
LISTENERS_NAME = "listeners.json"
_LONGEST_NAME = 80


class Listener(Noun, frozen=True):
    """Somebody who may listen, or, where `revoked_at` is set, who might once."""

    name: str
    token_sha256: Sha256
    created_at: str
    revoked_at: str | None = None


class Listeners(Noun, frozen=True):
    """What `listeners.json` holds; revoked ones stay, so that exports can forget them too."""

    listeners: tuple[Listener, ...] = ()


def add_listener(home: Path, name: str) -> tuple[Listener, str]:
    """Add a listener and return the token, which is shown now and never again.

    Raises InputError for a name that is empty, too long or taken, or without a feed.
    """
    shown = clean_line(name, longest=_LONGEST_NAME + 1)
    if not shown or len(shown) > _LONGEST_NAME:
        raise InputError(
            f"A listener's name has 1 to {_LONGEST_NAME} characters that can be shown, got "
            f"{name[:100]!r}."
        )
    with lock_feed(home):
        read_feed(home)
        known = _read(home)
        if any(_key(each.name) == _key(shown) for each in known if each.revoked_at is None):
            raise InputError(
                f"There is already a listener {shown!r}.",
                next_step=f"Take another name, or revoke this one with `podcaster feed listener "
                f'revoke "{shown}"`.',
            )
        # url-safe base64 may begin with a dash, which reads as a flag on a command line
        token = next(t for t in iter(_new_token, None) if not t.startswith("-"))
        listener = Listener(name=shown, token_sha256=hash_token(token), created_at=_now())
        _write(home, (*known, listener))
    return listener, token


def revoke_listener(home: Path, name: str) -> Listener:
    """Close a listener's feed and media at once. Raises InputError where nobody has that name."""
    from msgspec.structs import replace

    with lock_feed(home):
        known = list(_read(home))
        for index, each in enumerate(known):
            if each.revoked_at is None and _key(each.name) == _key(clean_line(name)):
                known[index] = replace(each, revoked_at=_now())
                _write(home, known)
                return known[index]
    raise InputError(
        f"There is no listener {clean_line(name, longest=100)!r}.",
        next_step="List them with `podcaster feed listener list`.",
    )


def list_listeners(home: Path, *, revoked: bool = False) -> list[Listener]:
    """Who may listen now, oldest first; with `revoked`, also those who no longer may."""
    read_feed(home)
    return [each for each in _read(home) if revoked or each.revoked_at is None]


def find_listener(listeners: Iterable[Listener], token: str) -> Listener | None:
    """Whose token this is, if it is anybody's who may listen.

    All are compared, each in constant time, so that how long it takes says nothing.
    """
    digest = hash_token(token)
    found = None
    for listener in listeners:
        same = hmac.compare_digest(listener.token_sha256, digest)
        if same and listener.revoked_at is None:
            found = listener
    return found


def hash_token(token: str) -> str:
    """The form in which a token is kept."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def listeners_path(home: Path) -> Path:
    """Where the listeners of a workspace are kept, readable by its owner only."""
    return feed_folder(home) / LISTENERS_NAME


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def _read(home: Path) -> tuple[Listener, ...]:
    path = listeners_path(home)
    if not path.exists():
        return ()
    return parse(read_bytes(path), Listeners, where=str(path)).listeners


def _write(home: Path, listeners: Iterable[Listener]) -> None:
    write_secret(listeners_path(home), to_json(Listeners(listeners=tuple(listeners))))


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
