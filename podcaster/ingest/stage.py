"""Turn items that a source holds into recordings: fetched, checked, hashed, their words read.

One item, one recording, one file `<id>.json` in the stage's folder, with what belongs to it beside
it. Nothing is copied that lies on this machine already.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import msgspec

from podcaster.audio import probe
from podcaster.errors import InputError
from podcaster.ingest.chapters import fetch_chapters, read_embedded_chapters
from podcaster.ingest.download import fetch_file, find_twin
from podcaster.ingest.engine import PageItem, Pages
from podcaster.ingest.feed import safe_name
from podcaster.ingest.imports import parse_transcript, read_transcript
from podcaster.ingest.sources import MEDIA_SUFFIXES, Item, ShowSource
from podcaster.model import Recording, Transcript, TranscriptChapter, slugify, to_json
from podcaster.progress import Progress
from podcaster.run import sha256_file, write_atomic

STAGE_VERSION = 2
AUDIO_FOLDER = "audio"
TRANSCRIPT_SUFFIX = ".transcript.json"
LARGEST_RECORDING_BYTES = 4_000_000_000


@dataclass(frozen=True)
class Ingested:
    """A recording and its files in the stage's folder.

    `twin` is the hash of a recording that is there already and is the same: then nothing was kept.
    """

    recording: Recording | None = None
    outputs: tuple[str, ...] = ()
    twin: str = ""


@dataclass(frozen=True)
class _Media:
    """Where a recording's sound is, its hash, its file in the stage's folder if it was fetched."""

    path: Path
    sha256: str
    fetched: str = ""
    twin: bool = False


def recording_id(item: Item) -> str:
    """The same id for the same item for ever: its title, and a hash of where it is from."""
    digest = hashlib.sha256(item.identity.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{slugify(item.title, fallback='recording')}-{digest}"


def describe_engine() -> str:
    """What reads media files, for the fingerprint."""
    return f"av {installed_version('av')}"


def hash_inputs(item: Item) -> dict[str, str]:
    """Hashes of what an item consists of: its files' content, or its place in a feed.

    Raises RunError where a file is unreadable.
    """
    inputs: dict[str, str] = {}
    if item.media is not None:
        inputs["media"] = sha256_file(item.media)
    if item.transcript is not None:
        inputs["transcript"] = sha256_file(item.transcript)
    if item.text is not None:
        inputs["transcript"] = hashlib.sha256(item.text).hexdigest()
    if item.page is not None:
        inputs["page"] = hashlib.sha256(item.identity.encode()).hexdigest()
    if item.published is not None:
        # not its address: feeds sign theirs anew at every reading
        inputs["guid"] = hashlib.sha256(item.published.guid.encode()).hexdigest()
    return inputs


def ingest_item(
    item: Item,
    source: ShowSource,
    folder: Path,
    *,
    language: str,
    inputs: Mapping[str, str],
    progress: Progress,
    pages: Pages | None = None,
    allow_private: bool = False,
) -> Ingested:
    """Make a recording of one item and write it to `folder`.

    `language` is what somebody says is spoken; where it is empty, a feed's word is taken, and a
    transcript that does not say is taken for English.

    Raises InputError where the file cannot be fetched, has no sound that can be read, or the
    transcript is none.
    """
    name = recording_id(item)
    if item.page is not None and pages is not None:
        media: _Media | None = _fetch_page(item.page, name, folder, pages, progress)
    else:
        media = _find_media(item, folder, inputs, progress, allow_private=allow_private)
    published = item.published
    outputs = [media.fetched] if media and media.fetched else []
    duration_s = _check_sound(media.path) if media and not media.twin else None
    transcript = _read_words(item, source, language or "en")
    if transcript is not None:
        outputs.append(name + TRANSCRIPT_SUFFIX)
        write_atomic(folder / outputs[-1], to_json(transcript))
    recording = Recording(
        id=name,
        title=(transcript.title if transcript else "") or item.title,
        origin=item.identity,
        audio=(media.fetched or str(media.path)) if media else "",
        audio_sha256=media.sha256 if media else "",
        transcript=name + TRANSCRIPT_SUFFIX if transcript else "",
        duration_s=duration_s or (transcript.duration_s if transcript else None),
        published_at=_published_at(item),
        language=transcript.language if transcript else language or item.language,
        description=transcript.description if transcript else _summary(item),
        persons=published.persons if published else (),
        chapters=_chapters(item, transcript),
    )
    if media and media.twin:
        return Ingested(twin=media.sha256)
    if not recording.chapters:
        found = _look_for_chapters(item, media, progress, allow_private=allow_private)
        recording = msgspec.structs.replace(recording, chapters=found)
    outputs.append(f"{name}.json")
    write_atomic(folder / outputs[-1], to_json(recording))
    return Ingested(recording, tuple(outputs))


def _find_media(
    item: Item,
    folder: Path,
    inputs: Mapping[str, str],
    progress: Progress,
    *,
    allow_private: bool,
) -> _Media | None:
    if item.media is not None:
        return _Media(item.media, inputs["media"])
    if item.published is None:
        return None
    suffix = PurePosixPath(urlsplit(item.published.audio_url).path).suffix.lower()
    ending = suffix if suffix in MEDIA_SUFFIXES else ".mp3"
    target = folder / AUDIO_FOLDER / (safe_name(item.title, item.published.guid) + ending)
    fetched = fetch_file(
        item.published.audio_url,
        target,
        largest_bytes=LARGEST_RECORDING_BYTES,
        expected_bytes=item.published.audio_bytes,
        allow_private=allow_private,
        progress=progress,
    )
    path = target.with_name(fetched.path)
    return _Media(
        path,
        fetched.sha256,
        fetched=path.relative_to(folder).as_posix(),
        twin=fetched.twin is not None,
    )


def _check_sound(path: Path) -> float | None:
    """How long a recording says it is, None where it does not say."""
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty: it has 0 bytes.")
    return probe(path).duration_s or None


def _fetch_page(
    page: PageItem, name: str, folder: Path, pages: Pages, progress: Progress
) -> _Media:
    target = folder / AUDIO_FOLDER / name
    path = pages.fetch(page, target, largest_bytes=LARGEST_RECORDING_BYTES, progress=progress)
    digest = sha256_file(path)
    twin = find_twin(digest, path.stat().st_size, path.parent, besides=path)
    if twin is not None:
        path.unlink()
    kept = twin or path
    return _Media(kept, digest, kept.relative_to(folder).as_posix(), twin=twin is not None)


def _published_at(item: Item) -> str:
    if item.published is not None:
        return item.published.published_at or ""
    return item.page.published_at if item.page is not None else ""


def _chapters(item: Item, transcript: Transcript | None) -> tuple[TranscriptChapter, ...]:
    for told in (transcript, item.published, item.page):
        if told is not None and told.chapters:
            return told.chapters
    return ()


def _look_for_chapters(
    item: Item, media: _Media | None, progress: Progress, *, allow_private: bool
) -> tuple[TranscriptChapter, ...]:
    """Those in a file that the feed names, else those that the recording itself marks."""
    if item.published is not None and item.published.chapters_url:
        try:
            found = fetch_chapters(item.published.chapters_url, allow_private=allow_private)
        except InputError as error:  # what is not needed must not cost the recording
            progress.note(f"{item.title}: {error}")
        else:
            if found:
                return found
    return read_embedded_chapters(media.path) if media is not None else ()


def _summary(item: Item) -> str:
    if item.published is not None:
        return item.published.summary
    return item.page.description if item.page is not None else ""


def _read_words(item: Item, source: ShowSource, language: str) -> Transcript | None:
    kind = source.format or None
    if item.text is not None:
        return parse_transcript(item.text, item.text_name, kind=kind, language=language)
    if item.transcript is not None:
        return read_transcript(item.transcript, kind=kind, language=language)
    return None
