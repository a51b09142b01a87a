"""Download recordings: bounded, resumed where the server allows it, whole or not at all.

Only what has arrived whole, and is synced to disk, gets its name. A part is gone on with (RFC 9110
§14) only if the server still has the very same file, by its ETag or date; otherwise it is fetched
anew.
"""

import itertools
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import requests

from podcaster.errors import InputError, RunError
from podcaster.ingest.answers import (
    BEGINNING_BYTES,
    content_length,
    content_range,
    is_chunked,
    refuse_unlike_audio,
)
from podcaster.ingest.part import PART_INFO_SUFFIX, PART_SUFFIX, PartFile
from podcaster.ingest.patience import Patience, parse_retry_after
from podcaster.model import Noun, Sha256
from podcaster.progress import Progress, Silence
from podcaster.run import make_folder, sha256_file, writing
from podcaster.units import format_bytes
from podcaster.web import Purpose, open_address, read_chunks, reason_of, shown_address

SPARE_DISK_BYTES = 100_000_000
SLOWEST_BYTES_PER_S = 1000  # slower than any recording plays
FRUITFUL_BYTES = 100_000  # an attempt that brought so much does not count as failed
MOST_REDIRECTS = 15  # counting services stand in line before a recording

Kind = Literal["recording", "transcript"]


class Download(Noun, frozen=True):
    """What was fetched. `path` is the file's name in its folder, `url` without any password.

    `resumed_from` is how many bytes were there before, `attempts` how many requests it took.
    `twin` names a file of the same folder with the same content: then nothing was kept, and `path`
    is that file's name.
    """

    url: str
    path: str
    sha256: Sha256
    bytes: int
    content_type: str
    etag: str | None
    resumed_from: int
    attempts: int
    twin: str | None = None


@dataclass(frozen=True)
class _Arrived:
    content_type: str
    etag: str | None
    resumed_from: int


class _Interrupted(Exception):
    """An attempt failed in a way that another may not; `wait_s` is what the server asked for."""

    def __init__(self, reason: str, *, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def fetch_file(
    url: str,
    target: Path,
    *,
    largest_bytes: int,
    expected_bytes: int | None = None,
    kind: Kind = "recording",
    allow_private: bool = False,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> Download:
    """Fetch `url` into `target`, going on with what an earlier call left behind.

    `expected_bytes` is what a feed states; it is believed only where the server states nothing.
    Raises InputError for an address that may not be fetched, a refusal, a web page in place of
    audio, a file larger than `largest_bytes`, or a server that keeps failing; RunError where the
    disk is full or may not be written.
    """
    purpose = Purpose(
        what=kind,
        if_unreachable="Check the address, or download it yourself and give the file.",
        if_private="Download it yourself and add the file, or give --private if it is meant.",
        if_large="Allow a larger size, or leave it out.",
        allow_private=allow_private,
        most_redirects=MOST_REDIRECTS,
    )
    part = PartFile(target, url)
    transfer = _Transfer(
        url,
        part,
        largest_bytes,
        expected_bytes,
        kind,
        purpose,
        progress or Silence(),
        patience or Patience(),
    )
    make_folder(target.parent)
    arrived, attempts = transfer.run()
    digest = sha256_file(part.path)
    size_bytes = part.size_bytes
    twin = find_twin(digest, size_bytes, target.parent, besides=target)
    if twin is None:
        part.keep()
    else:
        part.discard()
    return Download(
        url=shown_address(url),
        path=twin.name if twin else target.name,
        sha256=digest,
        bytes=size_bytes,
        content_type=arrived.content_type,
        etag=arrived.etag,
        resumed_from=arrived.resumed_from,
        attempts=attempts,
        twin=twin.name if twin else None,
    )


def find_twin(
    digest: str, size_bytes: int, folder: Path, *, besides: Path | None = None
) -> Path | None:
    """A file of `folder` with this SHA-256, other than `besides`; None where there is none.

    Shows upload an episode again under another guid; only files of the same size are hashed.
    """
    if not folder.is_dir():
        return None
    for path in sorted(folder.iterdir()):
        if path == besides or path.name.endswith((PART_SUFFIX, PART_INFO_SUFFIX)):
            continue
        if path.is_file() and path.stat().st_size == size_bytes and sha256_file(path) == digest:
            return path
    return None


@dataclass
class _Transfer:
    """One file on its way: attempts until it is whole."""

    url: str
    part: PartFile
    largest_bytes: int
    expected_bytes: int | None
    kind: Kind
    purpose: Purpose
    progress: Progress
    patience: Patience
    unframed_ends: set[int] = field(default_factory=set)

    @property
    def shown(self) -> str:
        """How a sentence about it begins."""
        return f"The {self.kind} {shown_address(self.url)}"

    def run(self) -> tuple[_Arrived, int]:
        """Try until the part is whole: what it is, and how many requests it took."""
        attempts = failed = 0
        furthest = self.part.size_bytes
        while True:
            attempts += 1
            try:
                return self._attempt(), attempts
            except _Interrupted as error:
                gained = self.part.size_bytes - furthest
                furthest = max(furthest, self.part.size_bytes)
                failed = 0 if gained >= FRUITFUL_BYTES else failed + 1
                if failed >= self.patience.most_attempts:
                    raise InputError(
                        f"{self.shown} cannot be fetched: {error}, and so {failed} times in a row.",
                        next_step="Try again later; what has arrived is kept where the server can "
                        "go on from there.",
                    ) from error
                self.patience.wait(failed, error.wait_s)

    def _attempt(self) -> _Arrived:
        start, validator = self.part.resumable()
        accept = "audio/*, video/*;q=0.8, */*;q=0.5" if self.kind == "recording" else "*/*"
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": validator}
        try:
            with open_address(
                self.url,
                self.purpose,
                headers=headers,
                connect_timeout_s=self.patience.connect_timeout_s,
                read_timeout_s=self.patience.read_timeout_s,
            ) as response:
                return self._receive(response, start)
        except requests.RequestException as error:
            raise _Interrupted(reason_of(error)) from error
        except InputError as error:
            cause = error.__cause__
            if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
                raise _Interrupted("its host's name cannot be looked up now") from error
            raise

    def _receive(self, response: requests.Response, start: int) -> _Arrived:
        status = response.status_code
        if start and status in (206, 416):
            first, total = content_range(response, start)
            if status == 416 or first != start or not self.part.fits(response, total):
                self.part.discard()
                raise _Interrupted("the server no longer has the file that was begun", wait_s=0)
        elif status == 200:
            start = 0
            total = content_length(response)
        else:
            raise self._refusal(response)
        if total is not None and total > self.largest_bytes:
            self.part.discard()
            raise self._too_large(f"has {format_bytes(total)}")
        self._check_disk((total or self.expected_bytes or 0) - start)
        chunks = self._chunks(response)
        beginning = b""
        for chunk in chunks:
            beginning += chunk
            if len(beginning) >= BEGINNING_BYTES:
                break
        if self.kind == "recording" and start == 0:
            refuse_unlike_audio(response, beginning, self.shown)
        if start == 0:
            self.part.begin(response, total)
        arriving = itertools.chain((beginning,), chunks)
        self.part.append(self._counted(arriving, start, total), start=start)
        self._check_end(response, total)
        return _Arrived(
            content_type=response.headers.get("content-type", "").partition(";")[0].strip().lower(),
            etag=response.headers.get("etag"),
            resumed_from=start,
        )

    def _counted(self, chunks: Iterator[bytes], start: int, total: int | None) -> Iterator[bytes]:
        """The chunks, told to whoever watches, up to the largest size."""
        size = start
        stage = f"download {self.part.target.name}"
        for chunk in chunks:
            size += len(chunk)
            if size > self.largest_bytes:
                self.part.discard()
                raise self._too_large("goes on")
            # never done before the end, whatever was stated
            goal = max(total or self.expected_bytes or 0, size + 1)
            self.progress.report(stage, size / 1e6, goal / 1e6, "MB")
            yield chunk

    def _check_end(self, response: requests.Response, total: int | None) -> None:
        size = self.part.size_bytes
        if total is not None and size > total:
            self.part.discard()
            raise _Interrupted(f"the server sent more than the {total} bytes it announced")
        if total is not None and size < total:
            raise _Interrupted(f"it ended after {size} of {total} bytes")
        if size == 0:
            raise _Interrupted("the server sent nothing")
        framed = total is not None or is_chunked(response)
        if not framed and size < (self.expected_bytes or 0) and size not in self.unframed_ends:
            # the end of the connection is the end of the file, or of the line; twice the same end
            # is the file's, and the feed is wrong
            self.unframed_ends.add(size)
            raise _Interrupted(f"it ended after {size} of {self.expected_bytes} bytes")

    def _chunks(self, response: requests.Response) -> Iterator[bytes]:
        """The body as it is, compressed or not, watched for a server that only drips."""
        clock = self.patience.clock
        waited_s, arrived_bytes, asked_at = 0.0, 0, clock()
        try:
            for chunk in read_chunks(response, decode=False):
                waited_s += clock() - asked_at
                arrived_bytes += len(chunk)
                yield chunk
                if waited_s >= self.patience.read_timeout_s:
                    if arrived_bytes < SLOWEST_BYTES_PER_S * waited_s:
                        raise _Interrupted(
                            f"the server sent only {arrived_bytes} bytes in {waited_s:.1f} s"
                        )
                    waited_s, arrived_bytes = 0.0, 0
                asked_at = clock()
        except requests.ConnectionError as error:
            raise _Interrupted("the connection broke off") from error
        except requests.RequestException as error:
            raise _Interrupted(reason_of(error)) from error

    def _refusal(self, response: requests.Response) -> Exception:
        status = response.status_code
        answer = f"the server answered {status} {response.reason or ''}".rstrip()
        if status in (408, 425, 429) or status >= 500:
            return _Interrupted(
                answer, wait_s=parse_retry_after(response.headers.get("retry-after", ""))
            )
        step = self.purpose.if_unreachable
        if status in (401, 402, 403):
            step = "Use the feed's private address if it has one, or download it yourself."
        if status in (404, 410):
            step = "Read the feed again: the file may have moved. Or leave this one out."
        return InputError(f"{self.shown} cannot be fetched: {answer}.", next_step=step)

    def _too_large(self, what: str) -> InputError:
        return InputError(
            f"{self.shown} {what}, expected at most {format_bytes(self.largest_bytes)}.",
            next_step=self.purpose.if_large,
        )

    def _check_disk(self, missing_bytes: int) -> None:
        folder = self.part.target.parent
        with writing(self.part.path):
            free_bytes = shutil.disk_usage(folder).free
        if free_bytes < missing_bytes + SPARE_DISK_BYTES:
            raise RunError(
                f"{self.shown} needs {format_bytes(missing_bytes)}, and {folder} has "
                f"{format_bytes(free_bytes)} left.",
                next_step="Make room, then type the same command again: what has arrived is kept.",
            )
