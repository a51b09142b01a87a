"""Find and fetch recordings behind any page that yt-dlp knows. Imports yt_dlp: an extra, `pages`.

yt-dlp reads no configuration of its own here, runs no program and converts nothing: what it brings
is decoded as it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yt_dlp
from yt_dlp.utils import YoutubeDLError

from podcaster.errors import InputError
from podcaster.ingest.engine import PageItem
from podcaster.model import TranscriptChapter
from podcaster.progress import Progress
from podcaster.run import make_folder
from podcaster.units import format_bytes
from podcaster.web import Purpose, check_address, shown_address

MOST_ENTRIES = 10_000
MOST_CHAPTERS = 1000
ATTEMPTS = 5
TIMEOUT_S = 30.0
LONGEST_TITLE = 300
LONGEST_DESCRIPTION = 20_000


class YtDlpPages:
    """Reads pages. `allow_private` takes addresses inside this machine's network, too."""

    def __init__(self, *, allow_private: bool = False) -> None:
        self.purpose = Purpose(
            what="page",
            if_unreachable="Check the address in a browser.",
            if_private="Give --private if it is meant.",
            if_large="Fetch it yourself and add the file.",
            allow_private=allow_private,
        )

    def close(self) -> None:
        """Nothing is kept open."""

    def find(self, url: str, *, last: int | None = None) -> Iterator[PageItem]:
        """The recordings of a page or a list of pages, in the page's order, `last` at most.

        Raises InputError for an address that may not be fetched, or has nothing to hear.
        """
        check_address(url, self.purpose)
        with self._opened({"extract_flat": "in_playlist", "playlistend": last}, url) as reader:
            found = reader.extract_info(url, download=False)
            entries = (found or {}).get("entries")
            for number, entry in enumerate([found] if entries is None else entries):
                if number == MOST_ENTRIES:
                    return
                if entry:
                    yield _describe(entry, url)

    def fetch(
        self, item: PageItem, target: Path, *, largest_bytes: int, progress: Progress
    ) -> Path:
        """Fetch the sound of a recording as `target` with the suffix that it has; returns the path.

        What an earlier call left behind is gone on with. Raises InputError where it cannot be had.
        """

        def watch(state: dict[str, Any]) -> None:
            done = float(state.get("downloaded_bytes") or 0)
            total = float(state.get("total_bytes") or state.get("total_bytes_estimate") or done)
            progress.report("fetch", done / 1e6, total / 1e6, "MB")

        make_folder(target.parent)
        options = {
            "format": "bestaudio/best",
            "outtmpl": str(target).replace("%", "%%") + ".%(ext)s",
            "max_filesize": largest_bytes,
            "progress_hooks": [watch],
        }
        check_address(item.url, self.purpose)
        with self._opened(options, item.url) as reader:
            found = reader.extract_info(item.url, download=False)
            for part in found.get("requested_formats") or [found]:
                if part.get("url"):
                    check_address(part["url"], self.purpose)
            reader.process_info(found)
            path = Path(reader.prepare_filename(found))
        if not path.is_file():
            raise InputError(
                f"{shown_address(item.url)} was not fetched: it is larger than "
                f"{format_bytes(largest_bytes)}, or cannot be fetched without converting it.",
                next_step="Fetch it yourself and add the file.",
            )
        return path

    @contextmanager
    def _opened(self, options: dict[str, Any], url: str) -> Iterator[Any]:
        given = {
            "quiet": True,
            "no_warnings": True,
            "noprogress": True,
            "logger": _Silent(),
            "noplaylist": True,
            "retries": ATTEMPTS,
            "socket_timeout": TIMEOUT_S,
            "cachedir": False,
            "fixup": "never",
            **options,
        }
        try:
            with yt_dlp.YoutubeDL(given) as reader:
                yield reader
        except YoutubeDLError as error:
            raise InputError(
                f"{shown_address(url)} cannot be read: {_first_line(error)}.",
                next_step=self.purpose.if_unreachable,
            ) from error


class _Silent:
    """yt-dlp's messages go nowhere; its errors are raised as well."""

    def debug(self, message: str) -> None:
        pass

    def info(self, message: str) -> None:
        pass

    def warning(self, message: str) -> None:
        pass

    def error(self, message: str) -> None:
        pass


def _describe(entry: dict[str, Any], url: str) -> PageItem:
    address = str(entry.get("webpage_url") or entry.get("url") or url)
    day = str(entry.get("upload_date") or "")
    chapters = entry.get("chapters") or []
    duration_s = entry.get("duration")
    return PageItem(
        identity=f"{entry.get('ie_key') or entry.get('extractor_key')}:{entry.get('id')}",
        url=address,
        title=" ".join(str(entry.get("title") or entry.get("id") or address).split())[
            :LONGEST_TITLE
        ],
        duration_s=float(duration_s) if isinstance(duration_s, int | float) else None,
        published_at=f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == 8 else "",
        description=str(entry.get("description") or "")[:LONGEST_DESCRIPTION],
        chapters=tuple(
            TranscriptChapter(
                title=str(one["title"])[:LONGEST_TITLE], start_s=one.get("start_time")
            )
            for one in chapters[:MOST_CHAPTERS]
            if one.get("title")
        ),
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip().removeprefix("ERROR:").strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__
