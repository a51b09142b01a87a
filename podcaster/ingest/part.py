"""A file that has arrived in part: its bytes, and what they are a part of.

The bytes are in `<name>.part`; `<name>.part.json` names the file that the server had. It is written
before the first byte and removed before a part is, so that bytes are never taken for another
file's.
"""

import os
import sys
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import requests

from podcaster.model import Noun, Sha256, to_json
from podcaster.run import write_atomic, writing

PART_SUFFIX = ".part"
PART_INFO_SUFFIX = ".part.json"


class PartInfo(Noun, frozen=True):
    """What a part is a part of, as the server told it."""

    place_sha256: Sha256
    etag: str | None
    last_modified: str | None
    total_bytes: int | None


class PartFile:
    """The part of `target`, which comes from `url`. Its methods raise RunError."""

    def __init__(self, target: Path, url: str) -> None:
        self.target = target
        self.path = target.with_name(target.name + PART_SUFFIX)
        self._info_path = target.with_name(target.name + PART_INFO_SUFFIX)
        self._place_sha256 = _place_sha256(url)

    @property
    def size_bytes(self) -> int:
        """How much has arrived."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def resumable(self) -> tuple[int, str]:
        """From which byte to go on, and the ETag or date that the server's file must still have.

        From byte 0, if there is nothing, or nothing that can be gone on with.
        """
        known = self._known()
        if known is None or known.place_sha256 != self._place_sha256:
            return 0, ""
        # a weak ETag vouches for the meaning, not for the bytes
        strong = known.etag if known.etag and not known.etag.startswith("W/") else None
        validator = strong or known.last_modified or ""
        # of a part that is whole, but was not given its name any more, the last byte is asked for
        wanted = (known.total_bytes or sys.maxsize) - 1
        return (min(self.size_bytes, wanted), validator) if validator else (0, "")

    def fits(self, response: requests.Response, total_bytes: int | None) -> bool:
        """Whether `response` is of the same file; not every server heeds If-Range."""
        known = self._known()
        return known is not None and all(
            before is None or now is None or before == now
            for before, now in (
                (known.etag, response.headers.get("etag")),
                (known.last_modified, response.headers.get("last-modified")),
                (known.total_bytes, total_bytes),
            )
        )

    def begin(self, response: requests.Response, total_bytes: int | None) -> None:
        """Begin anew, with the file that `response` is of."""
        self.discard()
        info = PartInfo(
            place_sha256=self._place_sha256,
            etag=response.headers.get("etag"),
            last_modified=response.headers.get("last-modified"),
            total_bytes=total_bytes,
        )
        write_atomic(self._info_path, to_json(info))

    def append(self, chunks: Iterable[bytes], *, start: int) -> None:
        """Write `chunks` from byte `start` on, and sync them."""
        with writing(self.path):
            if self.size_bytes > start:
                os.truncate(self.path, start)
            with self.path.open("ab") as file:
                for chunk in chunks:
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())

    def keep(self) -> None:
        """Give the part, which is whole, the target's name."""
        # the record that is written next into the same folder syncs the folder
        with writing(self.target):
            self.path.replace(self.target)
            self._info_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget what has arrived."""
        with writing(self.path):
            self._info_path.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)

    def _known(self) -> PartInfo | None:
        try:
            return msgspec.json.decode(self._info_path.read_bytes(), type=PartInfo)
        except (OSError, msgspec.MsgspecError, ValueError):
            return None


def _place_sha256(url: str) -> str:
    # without its query and password: feeds sign addresses anew at every reading
    try:
        parts = urlsplit(url)
        place = f"{parts.hostname}{parts.path}"
    except ValueError:
        place = url
    return sha256(place.encode("utf-8", "replace")).hexdigest()
